//! Single-precision functions without branches, so that loops over them vectorise.
//!
//! Each computes all its cases and selects. The scheme is that of Cephes (Moshier, 1992): reduce the argument, evaluate a
//! short polynomial, undo the reduction. Where a rounding would be amplified, what it took is carried along. The newer
//! polynomials are fitted by `tests/scripts/fit_math.py`; `tensor/tests/precision.rs` measures the errors, with and
//! without fused multiply-add.

use std::f32::consts::{LN_2, LOG2_E};

use super::wide;
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

/// Adding this number rounds to an integer, which then stands in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// `ln 2` in two parts; the first has few bits, so that small multiples of it are exact.
const LN_2_PARTS: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

/// `(n, e^r - 1)` with `x = n ln 2 + r`, `|r| <= ln 2 / 2`.
#[inline(always)]
fn reduced_expm1<S: Simd>(x: f32) -> (i32, f32) {
    let rounded = S::mul_add(x, LOG2_E, ROUND);
    let n = rounded - ROUND;
    expm1_of_rest::<S>(rounded, S::mul_add(n, -LN_2_PARTS.1, S::mul_add(n, -LN_2_PARTS.0, x)))
}

#[inline(always)]
fn expm1_of_rest<S: Simd>(rounded: f32, r: f32) -> (i32, f32) {
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
pub(crate) fn clamp(x: f32, low: f32, high: f32) -> f32 {
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

/// `2^(n + 127)` as bits stand in `ROUND_BIASED + n` from the lowest on: a shift makes them a float.
const ROUND_BIASED: f32 = ROUND + 127.0;

/// `2^n` for `rounded = n + ROUND_BIASED` and `-127 <= n < 128`; 0 for the least.
#[inline(always)]
fn power_of_rounded(rounded: f32) -> f32 {
    f32::from_bits(rounded.to_bits() << 23)
}

/// `e^x` for `x` up to 88; where that is no normal number it may be 0.
#[inline(always)]
pub(crate) fn exp_below<S: Simd>(x: f32) -> f32 {
    // From -88 on n is -127.
    let x = if x < -88.0 { -88.0 } else { x };
    let rounded = S::mul_add(x, LOG2_E, ROUND_BIASED);
    let n = rounded - ROUND_BIASED;
    let r = S::mul_add(n, -LN_2_PARTS.1, S::mul_add(n, -LN_2_PARTS.0, x));
    let p = polynomial::<S, _>(r, [0.5, 0.166_665_78, 4.166_655_6e-2, 8.363_173e-3, 1.392_617_6e-3]);
    let power = power_of_rounded(rounded);
    S::mul_add(S::mul_add(r * r, p, r), power, power)
}

/// Two factors of `e^x` for `x` up to 88; where that is no normal number the first may be 0.
#[inline(always)]
pub(crate) fn exp_factors<S: Simd>(x: f32) -> (f32, f32) {
    let x = if x < -88.0 { -88.0 } else { x };
    let rounded = S::mul_add(x, LOG2_E, ROUND_BIASED);
    let r = S::mul_add(rounded - ROUND_BIASED, -LN_2, x);
    let c = [1.0, 0.999_999_7, 0.499_991_5, 0.166_676_36, 0.041_897_93, 0.008_290_315];
    (power_of_rounded(rounded), polynomial::<S, _>(r, c))
}

/// The coefficients of `(2^r - 1) / r` for `|r| <= 1/2`.
const EXP2: [f32; 6] = [LN_2, 0.2402265, 0.05550357, 0.009618083, 0.0013390863, 0.00015453163];

#[inline(always)]
pub(crate) fn exp2<S: Simd>(x: f32) -> f32 {
    let x = clamp(x, -151.0, 129.0);
    let rounded = x + ROUND;
    let r = x - (rounded - ROUND);
    let p = S::mul_add(r, polynomial::<S, _>(r, EXP2), 1.0);
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    p * power_of_2(half) * power_of_2(n.wrapping_sub(half))
}

#[inline(always)]
pub(crate) fn expm1<S: Simd>(x: f32) -> f32 {
    let (n, e) = reduced_expm1::<S>(clamp(x, -18.0, 89.0));
    // Half the result, so that 2^128 is never needed.
    let half = power_of_2(n.wrapping_sub(1));
    let y = S::mul_add(half, e, half - 0.5) * 2.0;
    if x == 0.0 { x } else { y }
}

/// `(n, f, d)` with `x = 2^n (1 + f)` and `log(1 + f) = f + d`, for ordinary `x`.
#[inline(always)]
fn log_parts<S: Simd>(x: f32) -> (f32, f32, f32) {
    let bits = x.to_bits() as i32;
    // 1 + f in sqrt(1/2) .. sqrt(2)
    let n = bits.wrapping_sub(0x3f35_04f3) >> 23;
    let f = f32::from_bits(bits.wrapping_sub(n << 23) as u32) - 1.0;
    let z = f * f;
    let c = [0.3333333, -0.25000307, 0.20001045, -0.16641282, 0.14214496, -0.12998183, 0.12622319, -0.07902744];
    (n as f32, f, S::mul_add(z, -0.5, f * z * polynomial::<S, _>(f, c)))
}

/// Whether [`log_ordinary`] and its like are right for `x`: positive, normal and finite.
#[inline(always)]
pub(crate) fn is_ordinary(x: f32) -> bool {
    (f32::MIN_POSITIVE..f32::INFINITY).contains(&x)
}

#[inline(always)]
pub(crate) fn log_ordinary<S: Simd>(x: f32) -> f32 {
    let (n, f, d) = log_parts::<S>(x);
    S::mul_add(n, LN_2_PARTS.0, f + S::mul_add(n, LN_2_PARTS.1, d))
}

#[inline(always)]
pub(crate) fn log2_ordinary<S: Simd>(x: f32) -> f32 {
    // 1 / ln 2 = 1 + FRACTION
    const FRACTION: f32 = 0.442_695_04;
    let (n, f, d) = log_parts::<S>(x);
    S::mul_add(f, FRACTION, S::mul_add(d, FRACTION, d)) + f + n
}

#[inline(always)]
pub(crate) fn log10_ordinary<S: Simd>(x: f32) -> f32 {
    /// `log10 2` and `1 / ln 10` in two parts, the first of few bits.
    const LOG10_2: (f32, f32) = (0.300_781_25, 2.487_456_7e-4);
    const FACTOR: (f32, f32) = (0.433_593_75, 7.007_319e-4);
    let (n, f, d) = log_parts::<S>(x);
    let low = S::mul_add(n, LOG10_2.1, S::mul_add(d, FACTOR.0 + FACTOR.1, f * FACTOR.1));
    S::mul_add(n, LOG10_2.0, S::mul_add(f, FACTOR.0, low))
}

/// Makes a logarithm of any number from one of ordinary numbers; `step` is the logarithm of 2^23.
#[inline(always)]
fn log_of_any(x: f32, step: f32, ordinary: impl Fn(f32) -> f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let y = ordinary(if tiny { x * 8_388_608.0 } else { x }) - if tiny { step } else { 0.0 };
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 { f32::NAN } else { y }
}

#[inline(always)]
pub(crate) fn log<S: Simd>(x: f32) -> f32 {
    log_of_any(x, 15.942_385, log_ordinary::<S>)
}

#[inline(always)]
pub(crate) fn log2<S: Simd>(x: f32) -> f32 {
    log_of_any(x, 23.0, log2_ordinary::<S>)
}

#[inline(always)]
pub(crate) fn log10<S: Simd>(x: f32) -> f32 {
    log_of_any(x, 6.923_69, log10_ordinary::<S>)
}

#[inline(always)]
pub(crate) fn log1p<S: Simd>(x: f32) -> f32 {
    let u = 1.0 + x;
    // What rounding took from 1 + x.
    let lost = if x > 1.0 { 1.0 - (u - x) } else { x - (u - 1.0) };
    let y = log_ordinary::<S>(u) + lost / u;
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
    // From 9.1 on the result is 1.
    let (n, e) = reduced_expm1::<S>(2.0 * clamp(x.abs(), 0.0, 10.0));
    let power = power_of_2(n);
    let far = 1.0 - 2.0 / S::mul_add(e, power, power + 1.0);
    (if x.abs() < 0.625 { near } else { far }).copysign(x)
}

/// `2^64`, by which numbers are kept away from the smallest ones until the end.
const UP: f32 = 18_446_744_073_709_551_616.0;

/// `2^(n + 64)` for `n` from -190 to 63.
#[inline(always)]
fn raised_power_of_2(n: i32) -> f32 {
    power_of_2(n.wrapping_add(64))
}

/// `(q, d, s)`: the logistic function is `(q + d) s`, where `d` is what rounding took from `q`, and `s` a power of 2
/// which may be too small to multiply by before the end. `x` is at least -110, where even `x` times that is too small.
#[inline(always)]
fn sigmoid_parts<S: Simd>(x: f32) -> (f32, f32, f32) {
    // e^-|x| = 2^n (1 + e) = (h + l) / UP
    let (n, e) = reduced_expm1::<S>(clamp(-x.abs(), -110.0, 0.0));
    let (power, one) = (raised_power_of_2(n), 1.0 + e);
    let (h, l) = (one * power, (e - (one - 1.0)) * power);
    let below = S::mul_add(h, 1.0 / UP, 1.0);
    let lost = S::mul_add(l, 1.0 / UP, S::mul_add(h, 1.0 / UP, 1.0 - below));
    let negative = x < 0.0;
    let q = (if negative { h } else { 1.0 }) / below;
    // d(h / below) = (l - q lost) / below, and 1 / below is the logistic function of |x|.
    let slope = if negative { S::mul_add(q, -1.0 / UP, 1.0) } else { q };
    (q, S::mul_add(-q, lost, if negative { l } else { 0.0 }) * slope, if negative { 1.0 / UP } else { 1.0 })
}

/// The logistic function.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(x: f32) -> f32 {
    let (q, d, s) = sigmoid_parts::<S>(x);
    (q + d) * s
}

/// `x sigmoid(x)`; 0 at negative infinity.
#[inline(always)]
pub(crate) fn silu<S: Simd>(x: f32) -> f32 {
    let x = if x < -110.0 { -110.0 } else { x };
    let (q, d, s) = sigmoid_parts::<S>(x);
    let y = S::mul_add(x, q, x * d) * s;
    // Not infinity times the 0 that was lost.
    if x == f32::INFINITY { x } else { y }
}

/// `asin t = t + d` for `|t| <= 1/2`.
#[inline(always)]
fn asin_rest<S: Simd>(t: f32, z: f32) -> f32 {
    let c = [0.16666666, 0.07500094, 0.044599403, 0.031100662, 0.017149238, 0.033690847];
    t * z * polynomial::<S, _>(z, c)
}

/// `(near, t, d)` with `|t| <= 1/2`, `asin t = t + d`, and `|x|` or, if that is not near 0, `1 - 2 t^2` for `|x|`.
#[inline(always)]
fn asin_parts<S: Simd>(x: f32) -> (bool, f32, f32) {
    let a = x.abs();
    let near = a <= 0.5;
    let z = if near { a * a } else { S::mul_add(a, -0.5, 0.5) };
    let t = if near { a } else { z.sqrt() };
    (near, t, asin_rest::<S>(t, z))
}

/// `pi / 2` in two parts.
const HALF_PI: (f32, f32) = (1.570_796_4, -4.371_139e-8);

#[inline(always)]
pub(crate) fn asin<S: Simd>(x: f32) -> f32 {
    let (near, t, d) = asin_parts::<S>(x);
    let far = HALF_PI.0 - (2.0 * t + S::mul_add(d, 2.0, -HALF_PI.1));
    (if near { t + d } else { far }).copysign(x)
}

#[inline(always)]
pub(crate) fn acos<S: Simd>(x: f32) -> f32 {
    let (near, t, d) = asin_parts::<S>(x);
    let negative = x < 0.0;
    let (u, e) = if negative { (-t, -d) } else { (t, d) };
    let middle = HALF_PI.0 - (u + (e - HALF_PI.1));
    let far = if negative { 2.0 * HALF_PI.0 } else { 0.0 }
        + (2.0 * u + S::mul_add(e, 2.0, if negative { 2.0 * HALF_PI.1 } else { 0.0 }));
    if near { middle } else { far }
}

#[inline(always)]
pub(crate) fn atan<S: Simd>(x: f32) -> f32 {
    let a = x.abs();
    let far = a > 1.0;
    let t = if far { 1.0 / a } else { a };
    let z = t * t;
    let c = [
        -0.3333333,
        0.1999974,
        -0.14278568,
        0.110337645,
        -0.0865688,
        0.06250169,
        -0.03587154,
        0.013507771,
        -0.0023869972,
    ];
    let d = t * z * polynomial::<S, _>(z, c);
    (if far { HALF_PI.0 - (t + (d - HALF_PI.1)) } else { t + d }).copysign(x)
}

/// `erfinv x = x p(w)` with `w = -log(1 - x^2)`: one polynomial of `w`, one of its root.
#[inline(always)]
pub(crate) fn erfinv<S: Simd>(x: f32) -> f32 {
    let w = -log_ordinary::<S>((1.0 - x) * (1.0 + x));
    /// The first coefficient and what is missing in it.
    const HALF_ROOT_PI: (f32, f32) = (0.886_226_95, -2.662_32e-8);
    let c = [
        0.23201372,
        0.0115491655,
        -0.0023352706,
        -0.00012653947,
        4.4048804e-05,
        4.1506632e-06,
        -2.0082714e-06,
        2.243043e-07,
        -8.931926e-09,
    ];
    let near = S::mul_add(x, HALF_ROOT_PI.0, x * S::mul_add(w, polynomial::<S, _>(w, c), HALF_ROOT_PI.1));
    let c = [
        2.8329768,
        1.0016749,
        0.009445132,
        -0.007636819,
        0.005688058,
        -0.0035992807,
        0.0014826907,
        -5.372657e-05,
        -0.0003079133,
        0.00011390817,
    ];
    let far = polynomial::<S, _>(w.sqrt() - 3.0, c);
    let y = (if w < 5.0 { near } else { x * far }).copysign(x);
    let y = if x.abs() == 1.0 { f32::INFINITY.copysign(x) } else { y };
    if x.abs() > 1.0 { f32::NAN } else { y }
}

/// `UP Phi(-t)` for `t` in `0..=14.9`, where `Phi` is the distribution function of the standard normal distribution:
/// `e^(-t^2 / 2) p(u) / (t + 2)` with `u = (t - 2) / (t + 2)`.
#[inline(always)]
fn normal_tail<S: Simd>(t: f32) -> f32 {
    // t^2 / 2 = high + low, exactly: the upper half of the bits has an exact square.
    let upper = f32::from_bits(t.to_bits() & 0xffff_f000);
    let (high, low) = (0.5 * upper * upper, 0.5 * (t - upper) * (t + upper));
    let rounded = S::mul_add(high + low, -LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = S::mul_add(n, -LN_2_PARTS.1, S::mul_add(n, -LN_2_PARTS.0, -high)) - low;
    let (n, e) = expm1_of_rest::<S>(rounded, r);
    let below = t + 2.0;
    let inverse = 1.0 / below;
    let c = [
        0.672408,
        -0.33140448,
        0.028798705,
        0.036719594,
        -0.00048652006,
        -0.006740333,
        -0.0018769745,
        0.0008609578,
        0.0006996681,
        4.679721e-05,
        -6.0329952e-05,
    ];
    let p = polynomial::<S, _>(S::mul_add(inverse, -4.0, 1.0), c);
    // What rounding took from the divisor, and what it took from the quotient.
    let lost = S::mul_add(-inverse, t - (below - 2.0), remainder::<S>(inverse, below));
    let y = p * inverse;
    S::mul_add(y, e + lost, y) * raised_power_of_2(n)
}

/// `1 - a b`, exactly, when that is small.
#[inline(always)]
fn remainder<S: Simd>(a: f32, b: f32) -> f32 {
    if S::FMA {
        return S::mul_add(-a, b, 1.0);
    }
    let half = |x: f32| f32::from_bits(x.to_bits() & 0xffff_f000);
    let (ah, bh) = (half(a), half(b));
    let (al, bl) = (a - ah, b - bh);
    1.0 - ah * bh - (ah * bl + al * bh) - al * bl
}

/// `x Phi(x)`; 0 at negative infinity.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(x: f32) -> f32 {
    let x = if x < -14.9 { -14.9 } else { x };
    let tail = normal_tail::<S>(clamp(x.abs(), 0.0, 14.9));
    // The tail may be too small for a float when the product is not.
    let far = if x < 0.0 { x * tail * (1.0 / UP) } else { x * S::mul_add(tail, -1.0 / UP, 1.0) };
    let c = [0.3989423, -0.06649037, 0.009973206, -0.0011846527, 0.00010705762];
    let near = x * S::mul_add(x, polynomial::<S, _>(x * x, c), 0.5);
    if x.abs() < 0.6 { near } else { far }
}

/// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 = x / (1 + 2^t)` with `t = x (A + B x^2)`; 0 at negative infinity.
#[inline(always)]
pub(crate) fn gelu_tanh<S: Simd>(x: f32) -> f32 {
    // The power would enlarge the rounding errors of `t`. Without fused multiply-add they are not cheap to know.
    if !S::FMA {
        return wide::gelu_tanh::<S>(x);
    }
    /// `A = -2 sqrt(2 / pi) log2(e)` and `B = 0.044715 A`, each in two parts. The first part of `A` has so few bits that its
    /// difference from the sum below is exact.
    const A: (f32, f32) = (-2.302_200_3, -7.880_762e-6);
    const B: (f32, f32) = (-0.102_943_24, 2.016_198_5e-9);
    // Left of -10.9 the result is too small for a float; from 9 on it is x.
    let x = if x < -10.9 { -10.9 } else { x };
    let near = if x > 9.0 { 9.0 } else { x };
    // A + B x^2 = s + lost
    let z = near * near;
    let s = S::mul_add(B.0, z, A.0);
    let lost_of_z = S::mul_add(near, near, -z);
    let lost = S::mul_add(B.0, lost_of_z, S::mul_add(B.1, z, A.1)) + S::mul_add(B.0, z, A.0 - s);
    // The divisor is scaled down to the left, where it would become infinite before the quotient becomes 0.
    let left = x < 0.0;
    let (scale, magic) = if left { (DOWN, ROUND_BIASED - 32.0) } else { (1.0, ROUND_BIASED) };
    let rounded = S::mul_add(near, s, magic);
    let r = S::mul_add(near, lost, S::mul_add(near, s, magic - rounded));
    let power = power_of_rounded(rounded);
    // In this order the sum is rounded least: all results are within 2 units in the last place.
    let below = S::mul_add(r * polynomial::<S, _>(r, EXP2), power, scale) + power;
    x / below * scale
}

/// `2^-32`.
const DOWN: f32 = 1.0 / 4_294_967_296.0;

/// `erf x` for `|x| < 0.93`.
#[inline(always)]
fn erf_near<S: Simd>(x: f32) -> f32 {
    let c = [0.128_379_17, -0.376_125_34, 0.112_819_925, -2.676_813_5e-2, 4.991_194_2e-3, -5.967_617e-4];
    S::mul_add(polynomial::<S, _>(x * x, c), x, x)
}

/// After N. Juffa's `erff`: a polynomial near 0, `1 - e^polynomial` beyond.
#[inline(always)]
pub(crate) fn erf<S: Simd>(x: f32) -> f32 {
    let t = x.abs();
    let near = erf_near::<S>(x);
    let c =
        [-0.128_717_51, -0.634_846_7, -0.106_777_88, 2.425_462_2e-2, -3.883_964_4e-3, 3.831_971_3e-4, -1.728_534_7e-5];
    let far = (1.0 - exp::<S>(S::mul_add(polynomial::<S, _>(t, c), t, -t))).copysign(x);
    if t > 0.927_734_4 { far } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::{Fused, Portable};

    #[test]
    fn the_short_exponential_is_within_two_units_or_0_where_results_are_not_normal() {
        let xs =
            (0x8000_0000..0xff80_0001_u32).step_by(4099).map(f32::from_bits).chain([-87.3, -88.0, f32::NEG_INFINITY]);
        let xs = xs.chain((0..4400).map(|i| i as f32 / 50.0));
        for x in xs {
            let want = (x as f64).exp();
            for got in [exp_below::<Fused>(x), exp_below::<Portable>(x)] {
                if want < 1.5 * f32::MIN_POSITIVE as f64 {
                    assert!(got == 0.0 || (got as f64 / want - 1.0).abs() < 1e-6, "{x}: {got}");
                } else {
                    let unit = f32::EPSILON as f64 * 2f64.powi(want.log2().floor() as i32);
                    assert!((got as f64 - want).abs() <= 2.0 * unit, "{x}: {got}, not {want}");
                }
            }
        }
        assert_eq!(exp_below::<Portable>(f32::NEG_INFINITY), 0.0);
        assert!(exp_below::<Portable>(f32::NAN).is_nan() && exp_below::<Fused>(f32::NAN).is_nan());
    }

    #[test]
    fn the_factors_of_the_exponential_are_good_for_sums() {
        for x in (0..=17600).map(|i| i as f32 / 100.0 - 88.0) {
            let want = (x as f64).exp();
            let error = |(power, rest): (f32, f32)| (power as f64 * rest as f64 / want - 1.0).abs();
            // What a term may be wrong by, relative to a sum that has 1 as another.
            let part = want.min(1.0);
            if want >= f32::MIN_POSITIVE as f64 {
                assert!(error(exp_factors::<Fused>(x)) < 2e-7 + 4e-9 * x.abs() as f64, "{x}");
            }
            assert!(error(exp_factors::<Portable>(x)) * part < 3e-7 + 1.5e-7 * x.max(0.0) as f64, "{x}");
        }
        for hidden in [f32::NEG_INFINITY, f32::MIN, -89.0] {
            for (power, rest) in [exp_factors::<Portable>(hidden), exp_factors::<Fused>(hidden)] {
                assert_eq!(power * rest, 0.0, "{hidden}");
            }
        }
        assert!(exp_factors::<Portable>(f32::NAN).1.is_nan() && exp_factors::<Fused>(-f32::NAN).1.is_nan());
    }
}
