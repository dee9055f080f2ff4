//! The inverse of the error function, in double precision.

use std::f64::consts::FRAC_2_SQRT_PI;

/// A first guess for `0 <= x < 1`: the single-precision polynomials of M. Giles, "Approximating the erfinv function" (2010),
/// good to seven digits, and beyond their range the leading terms of the asymptotic series, good to three.
fn guess(x: f64) -> f64 {
    let polynomial = |w: f64, c: [f64; 9]| c.iter().fold(0.0, |sum, c| sum * w + c);
    let w = -((1.0 - x) * (1.0 + x)).ln();
    if w > 16.0 {
        let l = -(1.0 - x).ln();
        return (l - 0.5 * (std::f64::consts::PI * l).ln()).sqrt();
    }
    let p = if w < 5.0 {
        let c = [
            2.81022636e-8,
            3.43273939e-7,
            -3.5233877e-6,
            -4.39150654e-6,
            2.1858087e-4,
            -1.25372503e-3,
            -4.17768164e-3,
            0.246640727,
            1.50140941,
        ];
        polynomial(w - 2.5, c)
    } else {
        let c = [
            -2.00214257e-4,
            1.00950558e-4,
            1.34934322e-3,
            -3.67342844e-3,
            5.73950773e-3,
            -7.6224613e-3,
            9.43887047e-3,
            1.00167406,
            2.83297682,
        ];
        polynomial(w.sqrt() - 3.0, c)
    };
    p * x
}

/// The number whose error function is `x`: infinite at -1 and 1, NaN beyond.
pub(crate) fn erfinv(x: f64) -> f64 {
    let size = x.abs();
    if size >= 1.0 || x.is_nan() {
        return if size == 1.0 { f64::INFINITY.copysign(x) } else { f64::NAN };
    }
    let mut y = guess(size);
    // Halley's steps triple the digits. The tail is compared in the complement, which is exact and keeps its digits.
    for _ in 0..if size < 0.99 { 1 } else { 3 } {
        let beyond = if size < 0.5 { libm::erf(y) - size } else { (1.0 - size) - libm::erfc(y) };
        let step = beyond / (FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_is_exact_to_the_last_digits() {
        // mpmath.erfinv with 40 digits.
        let cases = [
            (1e-300, 8.86226925452758e-301),
            (1e-10, 8.86226925452758e-11),
            (0.1, 0.08885599049425769),
            (0.5, 0.4769362762044699),
            (0.9, 1.163087153676674),
            (0.999999, 3.458910737275499),
            (1.0 - f64::EPSILON / 2.0, 5.863584748755168),
        ];
        for (x, y) in cases {
            let got = erfinv(x);
            assert!((got - y).abs() <= 4e-16 * y, "erfinv({x}) = {got:e}, not {y:e}");
            assert_eq!(erfinv(-x), -got);
        }
        assert_eq!((erfinv(1.0), erfinv(-1.0)), (f64::INFINITY, f64::NEG_INFINITY));
        assert!(erfinv(1.5).is_nan() && erfinv(f64::NAN).is_nan());
        assert!(erfinv(-0.0).is_sign_negative());
    }
}
