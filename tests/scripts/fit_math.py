#!/usr/bin/env python3
"""Fits the polynomials of tensor/src/kernels/math and prints them as Rust arrays.

Each is the interpolation at the Chebyshev nodes of its interval, computed with 60 digits and rounded once: within a
factor of two of the best polynomial of its degree; or, where every step counts, the best one itself. The last column is
the greatest error, relative to the function that the polynomial is a part of.

    python tests/scripts/fit_math.py
Needs: pip install mpmath numpy
"""
import numpy
from mpmath import (asin, atan, cos, erf, erfc, erfinv, exp, expm1, log, log1p, lu_solve, matrix, mp, mpf, pi, sin, sqrt, tan)

mp.dps = 60


def fit(f, low, high, terms):
    """Coefficients, lowest first, of the polynomial that equals `f` at the Chebyshev nodes of [low, high]."""
    low, high = mpf(low), mpf(high)
    nodes = [(low + high) / 2 + (high - low) / 2 * cos(pi * (2 * k + 1) / (2 * terms)) for k in range(terms)]
    a = matrix(terms, terms)
    for i, x in enumerate(nodes):
        for j in range(terms):
            a[i, j] = x ** j
    return [c for c in lu_solve(a, matrix([f(x) for x in nodes]))]


def value(c, x):
    total = mpf(0)
    for k in reversed(c):
        total = total * x + k
    return total


def show(name, f, low, high, terms, whole, single=False):
    """Prints the polynomial of so many terms that fits `f`; `whole(p, x)` is the error at x, relative to the function
    that it is a part of, when its value there is p. `single`: for the f32 code, so rounded to f32."""
    c = fit(f, low, high, terms)
    low, high = mpf(low), mpf(high)
    xs = [low + (high - low) * k / 997 for k in range(1, 997)]
    worst = max(abs(whole(value(c, x), x)) for x in xs)
    text = [str(numpy.float32(float(k))) if single else repr(float(k)) for k in c]
    print(f"{name} on [{float(low):.5g}, {float(high):.5g}], error {float(worst):.2g}\n    [{', '.join(text)}]")


def show_best(name, f, low, high, terms):
    """Prints the polynomial `1 + x p(x)` with so many terms in p whose greatest error relative to `f` is least, for the
    f32 code, by Lawson's iteration: a fit to least squares, in which each point weighs more the larger its error is."""
    nodes = (low + high) / 2 + (high - low) / 2 * numpy.cos(numpy.pi * (numpy.arange(4001) + 0.5) / 4001)
    value = f(nodes)
    a = numpy.stack([nodes ** (i + 1) / value for i in range(terms)], 1)
    wanted, weights = 1 - 1 / value, numpy.full(len(nodes), 1 / len(nodes))
    for _ in range(3000):
        root = numpy.sqrt(weights)
        c = numpy.linalg.lstsq(a * root[:, None], wanted * root, rcond=None)[0]
        weights = weights * numpy.abs(a @ c - wanted)
        weights /= weights.sum()
    error = numpy.abs(a @ numpy.float32(c).astype(float) - wanted).max()
    text = ["1.0"] + [str(numpy.float32(k)) for k in c]
    print(f"{name} on [{low:.5g}, {high:.5g}], error {error:.2g}\n    [{', '.join(text)}]")


def near(g, at):
    """`g`, with its limit at 0 where the formula has none."""
    return lambda x: g(x) if abs(x) > mpf(10) ** -40 else mpf(at)


def main():
    ln2 = log(2)
    # e^r = 1 + r + r^2 p(r)
    p = near(lambda r: (expm1(r) - r) / r ** 2, mpf(1) / 2)
    show("EXP", p, -ln2 / 2, ln2 / 2, 5, lambda q, r: (1 + r + r * r * q) / exp(r) - 1)
    show("EXP_BELOW single", p, -ln2 / 2, ln2 / 2, 5, lambda q, r: (1 + r + r * r * q) / exp(r) - 1, single=True)
    show_best("EXP_FACTORS single", numpy.exp, -float(ln2) / 2, float(ln2) / 2, 5)
    # 2^r = 1 + r p(r)
    p = near(lambda r: expm1(r * ln2) / r, ln2)
    show("EXP2 single", p, -0.5, 0.5, 6, lambda q, r: (1 + r * q) / exp(r * ln2) - 1, single=True)
    show("EXP2", p, -0.5, 0.5, 7, lambda q, r: (1 + r * q) / exp(r * ln2) - 1)
    # cosh r = 1 + z p(z), sinh r = r + r z p(z), z = r^2
    r_of = lambda z: sqrt(z)
    p = near(lambda z: ((exp(r_of(z)) + exp(-r_of(z))) / 2 - 1) / z, mpf(1) / 2)
    show("COSH", p, 0, ln2 ** 2 / 4, 3, lambda q, z: z * (q - p(z)))
    p2 = near(lambda z: ((exp(r_of(z)) - exp(-r_of(z))) / 2 / r_of(z) - 1) / z, mpf(1) / 6)
    show("SINH", p2, 0, ln2 ** 2 / 4, 3, lambda q, z: z * (q - p2(z)))
    # log(1 + f) = f + f^2 p(f)
    low, high = sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1
    pl = near(lambda f: (log1p(f) - f) / f ** 2, -mpf(1) / 2)
    show("LOG", pl, low, high, 11, lambda q, f: f * f * (q - pl(f)) / log1p(f))
    pf = near(lambda f: (log1p(f) - f + f * f / 2) / f ** 3, mpf(1) / 3)
    # log(1 + f) = f - f^2 / 2 + f^3 p(f)
    show("LOG single", pf, low, high, 8, lambda q, f: f ** 3 * (q - pf(f)) / log1p(f), single=True)
    # log2(1 + f) = f p(f)
    pl2 = near(lambda f: log1p(f) / f / ln2, 1 / ln2)
    show("LOG2", pl2, low, high, 16, lambda q, f: q / pl2(f) - 1)
    # log(1 + e) = e p(e) for e in 0..1
    pe = near(lambda x: log1p(x) / x, 1)
    show("LOG1P", pe, 0, 1, 12, lambda q, x: q / pe(x) - 1)
    # sin r = r + r z p(z), |r| <= pi / 2
    ps = near(lambda z: (sin(sqrt(z)) / sqrt(z) - 1) / z, -mpf(1) / 6)
    show("SIN", ps, 0, pi ** 2 / 4, 5, lambda q, z: z * (q - ps(z)) / (1 + z * ps(z)))
    # tan r = r n(z) / d(z), |r| <= pi / 4
    nodes = [pi ** 2 / 32 * (1 + cos(pi * (2 * k + 1) / 8)) for k in range(4)]
    a, b = matrix(4, 4), matrix(4, 1)
    for i, z in enumerate(nodes):
        ratio = tan(sqrt(z)) / sqrt(z)
        a[i, 0], a[i, 1], a[i, 2], a[i, 3], b[i] = z, z * z, -ratio * z, -ratio * z * z, ratio - 1
    c = lu_solve(a, b)
    print(f"TAN\n    [1, {float(c[0])!r}, {float(c[1])!r}] / [1, {float(c[2])!r}, {float(c[3])!r}]")
    # asin t = t + t z p(z), z = t^2 <= 1/4
    pa = near(lambda z: (asin(sqrt(z)) / sqrt(z) - 1) / z, mpf(1) / 6)
    show("ASIN single", pa, 0, 0.25, 6, lambda q, z: z * (q - pa(z)) / (1 + z * pa(z)), single=True)
    # atan t = t + t z p(z), t <= 1
    pt = near(lambda z: (atan(sqrt(z)) / sqrt(z) - 1) / z, -mpf(1) / 3)
    show("ATAN single", pt, 0, 1, 9, lambda q, z: z * (q - pt(z)) / (1 + z * pt(z)), single=True)
    # erfc t = e^(-t^2) p(u), u = (t - 2) / (t + 2), t <= 10.5
    t_of = lambda u: 2 * (1 + u) / (1 - u)
    ph = lambda u: erfc(t_of(u)) * exp(t_of(u) ** 2)
    show("ERFC", ph, -1, 0.69, 13, lambda q, u: q / ph(u) - 1)
    # Phi(-t) = e^(-t^2 / 2) p(u) / (t + 2), t <= 15
    pg = lambda u: erfc(t_of(u) / sqrt(2)) * exp(t_of(u) ** 2 / 2) * (t_of(u) + 2) / 2
    show("GELU far", pg, -1, mpf(13) / 17, 11, lambda q, u: q / pg(u) - 1, single=True)
    # Phi(x) = 1/2 + x p(z), |x| <= 0.6
    pn = near(lambda z: erf(sqrt(z / 2)) / 2 / sqrt(z), 1 / sqrt(2 * pi))
    show("GELU near", pn, 0, 0.37, 5, lambda q, z: 2 * sqrt(z) * (q - pn(z)), single=True)
    # erfinv x = x p(w), w = -log(1 - x^2); beyond 5 a polynomial of v = sqrt(w) - 3
    pi1 = near(lambda w: erfinv(sqrt(1 - exp(-w))) / sqrt(1 - exp(-w)), sqrt(pi) / 2)
    show("ERFINV near", pi1, 0, 5, 10, lambda q, w: q / pi1(w) - 1, single=True)
    pi2 = lambda v: pi1((v + 3) ** 2)
    show("ERFINV far", pi2, sqrt(mpf(5)) - 3, sqrt(mpf("16.7")) - 3, 10, lambda q, v: q / pi2(v) - 1, single=True)


if __name__ == "__main__":
    main()
