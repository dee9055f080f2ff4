#!/usr/bin/env python3
"""Values of the elementary functions at a few hundred doubles, computed with 60 digits and rounded once.

    python tests/scripts/double_reference.py > tests/fixtures/double_reference.txt
Each line: function, bits of the argument, bits of the value (hexadecimal).
Needs: pip install mpmath
"""
import random
import struct

import mpmath as m

m.mp.dps = 400  # sines of huge angles need the digits
half = m.mpf(1) / 2
sigmoid = lambda x: 1 / (1 + m.exp(-x))
FUNCTIONS = {
    "exp": (m.exp, -745, 709), "exp2": (lambda x: m.mpf(2) ** x, -1070, 1023), "expm1": (m.expm1, -40, 700),
    "log": (m.log, 0, None), "log1p": (lambda x: m.log(1 + x), -1, None), "log2": (lambda x: m.log(x) / m.log(2), 0, None),
    "log10": (m.log10, 0, None), "sqrt": (m.sqrt, 0, None), "rsqrt": (lambda x: 1 / m.sqrt(x), 0, None),
    "reciprocal": (lambda x: 1 / x, None, None), "sin": (m.sin, None, None), "cos": (m.cos, None, None),
    "tan": (m.tan, None, None), "asin": (m.asin, -1, 1), "acos": (m.acos, -1, 1), "atan": (m.atan, None, None),
    "sinh": (m.sinh, -710, 710), "cosh": (m.cosh, -710, 710), "tanh": (m.tanh, None, None),
    "asinh": (m.asinh, None, None), "acosh": (m.acosh, 1, None), "atanh": (m.atanh, -1, 1),
    "sigmoid": (sigmoid, -700, 700), "silu": (lambda x: x * sigmoid(x), -700, 700),
    "softplus": (lambda x: m.log(1 + m.exp(x)), -700, 700), "logsigmoid": (lambda x: -m.log(1 + m.exp(-x)), -700, 700),
    "mish": (lambda x: x * m.tanh(m.log(1 + m.exp(x))), -300, 300), "erf": (m.erf, -6, 6),
    "erfc": (m.erfc, -6, 26), "erfinv": (m.erfinv, -1, 1),
    "gelu": (lambda x: x * half * m.erfc(-x / m.sqrt(2)), -4, 30),
    "gelu_tanh": (lambda x: x * sigmoid(2 * m.sqrt(2 / m.pi) * (x + m.mpf("0.044715") * x ** 3)), -4, 30),
    "x^2.3": (lambda x: x ** m.mpf(2.3), 0, 1e100), "x^-0.37": (lambda x: x ** m.mpf(-0.37), 0, 1e100),
}


def bits(x):
    return struct.pack(">d", x).hex()


def main():
    print("# tests/scripts/double_reference.py")
    r = random.Random(1)
    for name, (f, low, high) in FUNCTIONS.items():
        low, high = -1e30 if low is None else low, 1e30 if high is None else high
        points = [r.uniform(max(low, -3), min(high, 3)) for _ in range(8)] + [r.uniform(low, high) for _ in range(4)]
        points += [p for k in (-60, -30, -12, -5, 5, 30) for s in (-1, 1)
                   for p in [s * 2.0 ** k * r.uniform(1, 2)] if low < p < high]
        points += [p for p in (low + abs(low) * 1e-9, high - abs(high) * 1e-9, 1 - 1e-9, 1 + 1e-9) if low < p < high]
        for x in points:
            if name == "erfinv" and abs(x) < 1e-10:
                continue  # mpmath's is slow and inexact there
            print(name, bits(x), bits(float(f(m.mpf(x)))))


if __name__ == "__main__":
    main()
