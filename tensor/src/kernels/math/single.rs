//! Single-precision functions without branches, so that loops over them vectorise.
//!
//! Each computes all its cases and selects. The scheme is that of Cephes (Moshier, 1992): reduce the argument, evaluate a
//! short polynomial, undo the reduction. Errors stay below 1.5 units in the last place (2.3 for the sigmoid), with and
//! without fused multiply-add; the tests compare with double precision.

use crate::kernels::simd::Simd;

/// `c[0] + c[1] x + c[2] x^2 + ..`
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut sum = c[N - 1];
    for i in (0..N - 1).rev() {
        sum = S::mul_add(sum, x, c[i]);
    }
    sum
}

/// `ln 2` in two parts; the first has few bits, so that small multiples of it are exact.
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

/// `(n, e^r - 1)` with `x = n ln 2 + r`, `|r| <= ln 2 / 2`.
#[inline(always)]
fn reduced_expm1<S: Simd>(x: f32) -> (i32, f32) {
    // Adding this number rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let rounded = S::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = S::mul_add(n, -LN_2.1, S::mul_add(n, -LN_2.0, x));
    let p = polynomial::<S, _>(r, [0.5, 0.166_666_65, 4.166_579_6e-2, 8.333_452e-3, 1.398_2e-3, 1.987_569_2e-4]);
    ((rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32), S::mul_add(r * r, p, r))
}

/// `2^n` for `-127 < n < 128`.
#[inline(always)]
fn power_of_2(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `x` brought into `low..=high`; NaN stays.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

#[inline(always)]
pub(crate) fn exp<S: Simd>(x: f32) -> f32 {
    let (n, e) = reduced_expm1::<S>(clamp(x, -104.0, 89.0));
    // In two steps, so that results beyond the normal range overflow or lose bits as they should.
    let half = n >> 1;
    (1.0 + e) * power_of_2(half) * power_of_2(n.wrapping_sub(half))
}

#[inline(always)]
pub(crate) fn expm1<S: Simd>(x: f32) -> f32 {
    let (n, e) = reduced_expm1::<S>(clamp(x, -18.0, 89.0));
    // Half the result, so that 2^128 is never needed.
    let half = power_of_2(n.wrapping_sub(1));
    let y = S::mul_add(half, e, half - 0.5) * 2.0;
    if x == 0.0 { x } else { y }
}

/// The logarithm of a positive finite number.
#[inline(always)]
fn log_of_positive<S: Simd>(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let x = if tiny { x * 8_388_608.0 } else { x };
    let bits = x.to_bits() as i32;
    // m in sqrt(1/2) .. sqrt(2)
    let n = bits.wrapping_sub(0x3f35_04f3) >> 23;
    let m = f32::from_bits(bits.wrapping_sub(n << 23) as u32);
    let n = n as f32 - if tiny { 23.0 } else { 0.0 };
    let f = m - 1.0;
    let z = f * f;
    let p = polynomial::<S, _>(
        f,
        [
            0.333_333_3,
            -0.249_999_94,
            0.200_007_15,
            -0.166_680_58,
            0.142_493_23,
            -0.124_201_41,
            0.116_769_99,
            -0.115_146_1,
            7.037_684e-2,
        ],
    );
    let y = S::mul_add(n, LN_2.1, f * z * p);
    S::mul_add(n, LN_2.0, f + S::mul_add(z, -0.5, y))
}

#[inline(always)]
pub(crate) fn log<S: Simd>(x: f32) -> f32 {
    let y = log_of_positive::<S>(x);
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 { f32::NAN } else { y }
}

#[inline(always)]
pub(crate) fn log1p<S: Simd>(x: f32) -> f32 {
    let u = 1.0 + x;
    // What rounding took from 1 + x.
    let lost = if x > 1.0 { 1.0 - (u - x) } else { x - (u - 1.0) };
    let y = log_of_positive::<S>(u) + lost / u;
    let y = if u < f32::INFINITY { y } else { u };
    let y = if u == 0.0 { f32::NEG_INFINITY } else { y };
    let y = if x == 0.0 { x } else { y };
    if u < 0.0 { f32::NAN } else { y }
}

#[inline(always)]
pub(crate) fn tanh<S: Simd>(x: f32) -> f32 {
    let z = x * x;
    let p = polynomial::<S, _>(z, [-0.333_332_8, 0.133_314_42, -5.373_971_6e-2, 2.063_909e-2, -5.704_988_7e-3]);
    let near = S::mul_add(x * z, p, x);
    let far = 1.0 - 2.0 / (exp::<S>(2.0 * x.abs()) + 1.0);
    (if x.abs() < 0.625 { near } else { far }).copysign(x)
}

#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(x: f32) -> f32 {
    let e = exp::<S>(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// After N. Juffa's `erff`: a polynomial near 0, `1 - e^polynomial` beyond.
#[inline(always)]
pub(crate) fn erf<S: Simd>(x: f32) -> f32 {
    let (t, s) = (x.abs(), x * x);
    let c = [0.128_379_17, -0.376_125_34, 0.112_819_925, -2.676_813_5e-2, 4.991_194_2e-3, -5.967_617e-4];
    let near = S::mul_add(polynomial::<S, _>(s, c), x, x);
    let c =
        [-0.128_717_51, -0.634_846_7, -0.106_777_88, 2.425_462_2e-2, -3.883_964_4e-3, 3.831_971_3e-4, -1.728_534_7e-5];
    let far = (1.0 - exp::<S>(S::mul_add(polynomial::<S, _>(t, c), t, -t))).copysign(x);
    if t > 0.927_734_4 { far } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::{Fused, Portable};

    /// The error of `got` in units in the last place of `want`.
    fn error(got: f32, want: f64) -> f64 {
        let nearest = want as f32;
        if nearest.is_nan() || got.is_nan() || nearest.is_infinite() || got.is_infinite() {
            return if nearest == got || (nearest.is_nan() && got.is_nan()) { 0.0 } else { f64::INFINITY };
        }
        let above = nearest.abs().max(f32::MIN_POSITIVE);
        (got as f64 - want).abs() / (above.next_up() as f64 - above as f64)
    }

    /// Compares over all exponents and signs, subnormals, infinities and NaN included.
    fn check(name: &str, limit: f64, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) {
        let special = [0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45, f32::NAN];
        for x in (0..=u32::MAX).step_by(4001).map(f32::from_bits).chain(special) {
            let (got, want) = (f(x), exact(x as f64));
            assert!(error(got, want) <= limit, "{name}({x:e}) = {got:e}, not {want:e}");
            assert!(want != 0.0 || x != 0.0 || got.is_sign_negative() == x.is_sign_negative(), "{name}: sign at {x}");
        }
    }

    fn check_all<S: Simd>() {
        check("exp", 1.2, exp::<S>, f64::exp);
        check("expm1", 1.5, expm1::<S>, f64::exp_m1);
        check("log", 1.0, log::<S>, f64::ln);
        check("log1p", 1.5, log1p::<S>, f64::ln_1p);
        check("tanh", 1.5, tanh::<S>, f64::tanh);
        check(
            "sigmoid",
            2.3,
            sigmoid::<S>,
            |x| if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) },
        );
        check("erf", 1.5, erf::<S>, libm::erf);
    }

    #[test]
    fn functions_are_accurate_with_fused_arithmetic() {
        check_all::<Fused>();
    }

    #[test]
    fn functions_are_accurate_without() {
        check_all::<Portable>();
    }
}
