//! Single-precision functions computed in double precision, where single precision would lose digits to cancellation or
//! to a long argument reduction. Still free of branches: eight lanes of AVX-512 instead of sixteen.
//!
//! The polynomials are fitted by `tests/scripts/fit_math.py` to about 2^-30, a hundredth of a unit in the last place.

use std::f64::consts::{FRAC_1_PI, LN_2, LOG2_E};

use super::single::clamp;
use crate::kernels::simd::Simd;

/// `c[0] + c[1] x + c[2] x^2 + ..`
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(x: f64, c: [f64; N]) -> f64 {
    let mut sum = c[N - 1];
    for i in (0..N - 1).rev() {
        sum = S::mul_add(sum, x, c[i]);
    }
    sum
}

/// Adding this number rounds to an integer, which then stands in the lowest bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// `low..=high` of a double; NaN stays.
#[inline(always)]
fn clamp_wide(x: f64, low: f64, high: f64) -> f64 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `x` to the sign of `s`.
#[inline(always)]
fn with_sign(x: f64, s: f32) -> f32 {
    (x as f32).copysign(s)
}

/// `e^x` for `|x| < 700`.
#[inline(always)]
fn exp<S: Simd>(x: f64) -> f64 {
    let rounded = S::mul_add(x, LOG2_E, ROUND);
    let r = S::mul_add(rounded - ROUND, -LN_2, x);
    let c = [0.5, 0.1666657702559799, 0.041666554662050534, 0.008363173074513711, 0.001392617611993558];
    let p = S::mul_add(r * r, polynomial::<S, _>(r, c), 1.0 + r);
    scaled(p, rounded)
}

/// `2^x` for `|x| < 1000`.
#[inline(always)]
fn exp2<S: Simd>(x: f64) -> f64 {
    let rounded = x + ROUND;
    let r = x - (rounded - ROUND);
    let c = [
        LN_2,
        0.24022650922288757,
        0.055504108839096185,
        0.009618056678524637,
        0.001333350238616277,
        0.0001546144469856913,
        1.5297323760701075e-05,
    ];
    scaled(S::mul_add(r, polynomial::<S, _>(r, c), 1.0), rounded)
}

/// `p 2^n`, where `rounded` is `n` plus [`ROUND`]: `n` is added to the exponent.
#[inline(always)]
fn scaled(p: f64, rounded: f64) -> f64 {
    f64::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 52))
}

/// `(n, f)` with `x = 2^n (1 + f)` and `1 + f` in `sqrt(1/2) .. sqrt(2)`, for positive normal `x`.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    const EXPONENT: u64 = 0xfff << 52;
    /// 1024 is added to the exponent to keep it positive.
    const BIAS: u64 = 1024 << 52;
    let shifted = x.to_bits().wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits()).wrapping_add(BIAS);
    let m = f64::from_bits(x.to_bits().wrapping_sub(shifted & EXPONENT).wrapping_add(BIAS));
    // The integer becomes the low bits of 2^52, from which 2^52 is taken.
    let n = f64::from_bits((shifted >> 52) | 4_503_599_627_370_496f64.to_bits()) - (4_503_599_627_370_496.0 + 1024.0);
    (n, m - 1.0)
}

/// The logarithm of a positive normal number.
#[inline(always)]
fn log<S: Simd>(x: f64) -> f64 {
    let (n, f) = split(x);
    let c = [
        -0.5000000005545165,
        0.33333332792999204,
        -0.24999971698140327,
        0.2000005738825762,
        -0.16669006307204182,
        0.14285624989907217,
        -0.1243226805928479,
        0.11037689258302641,
        -0.10769472428395056,
        0.10589881969443307,
        -0.06020956499496654,
    ];
    S::mul_add(n, LN_2, S::mul_add(f * f, polynomial::<S, _>(f, c), f))
}

/// The logarithm to base 2 of a positive normal number, to about 2^-43.
#[inline(always)]
fn log2<S: Simd>(x: f64) -> f64 {
    let (n, f) = split(x);
    let c = [
        1.4426950408890524,
        -0.7213475204462124,
        0.4808983468711015,
        -0.36067375951188296,
        0.28853902330508163,
        -0.2404492623018822,
        0.20609838960888552,
        -0.18033187497677122,
        0.1603232695730357,
        -0.1444142050221101,
        0.13089265588126772,
        -0.11803157989277945,
        0.11108048187908302,
        -0.11895057618328995,
        0.11427131919552941,
        -0.05607988304133264,
    ];
    S::mul_add(f, polynomial::<S, _>(f, c), n)
}

/// `log(1 + e)` for `e` in `0..=1`.
#[inline(always)]
fn log_of_1_plus<S: Simd>(e: f64) -> f64 {
    let c = [
        0.9999999998657495,
        -0.4999999612139627,
        0.33333145512337686,
        -0.24996389178843487,
        0.19963546159118528,
        -0.1644481781513311,
        0.13403457249133155,
        -0.1008180479257159,
        0.06350289738777211,
        -0.029800145490202278,
        0.008925603861739712,
        -0.0012525852620659762,
    ];
    e * polynomial::<S, _>(e, c)
}

// Angles -----------------------------------------------------------------------------------------------------------------

/// Up to this size an angle is reduced here; a greater one needs more digits of pi.
const FAR: f32 = 1e7;

/// Whether the functions of an angle below are wrong for `x`.
#[inline(always)]
pub(crate) fn is_far(x: f32) -> bool {
    // Not `>`: infinities are far, NaN is not.
    x.abs() > FAR
}

/// pi in two parts; the first has 30 bits, so that its products with multiples of 1/2 up to 2^22 are exact.
const PI: (f64, f64) = (3.141592651605606, 1.984187159361081e-09);

/// `sin r` with its sign flipped for an odd integer in the low bit of `rounded`; `|r| <= pi / 2`.
#[inline(always)]
fn sin_flipped<S: Simd>(r: f64, rounded: f64) -> f32 {
    let z = r * r;
    let c = [
        -0.16666666663881236,
        0.008333332768753579,
        -0.000198410865614788,
        2.75364635625748e-06,
        -2.4080190432969638e-08,
    ];
    let y = r * S::mul_add(z, polynomial::<S, _>(z, c), 1.0);
    f64::from_bits(y.to_bits() ^ (rounded.to_bits() << 63)) as f32
}

/// `sin x` unless `x` is far.
#[inline(always)]
pub(crate) fn sin_near<S: Simd>(x: f32) -> f32 {
    let w = x as f64;
    let rounded = S::mul_add(w, FRAC_1_PI, ROUND);
    let n = rounded - ROUND;
    sin_flipped::<S>(S::mul_add(n, -PI.1, S::mul_add(n, -PI.0, w)), rounded)
}

/// `cos x` unless `x` is far: `sin(x + pi / 2)`.
#[inline(always)]
pub(crate) fn cos_near<S: Simd>(x: f32) -> f32 {
    let w = x as f64;
    let rounded = S::mul_add(w, FRAC_1_PI, 0.5) + ROUND;
    let n = rounded - ROUND - 0.5;
    sin_flipped::<S>(S::mul_add(n, -PI.1, S::mul_add(n, -PI.0, w)), rounded)
}

/// `tan x` unless `x` is far.
#[inline(always)]
pub(crate) fn tan_near<S: Simd>(x: f32) -> f32 {
    let w = x as f64;
    let rounded = S::mul_add(w, 2.0 * FRAC_1_PI, ROUND);
    let n = rounded - ROUND;
    let r = S::mul_add(n, -0.5 * PI.1, S::mul_add(n, -0.5 * PI.0, w));
    let z = r * r;
    // tan r = r (1 + ..) / (1 + ..) for |r| <= pi / 4
    let above = r * polynomial::<S, _>(z, [1.0, -0.11130839205191823, 0.0010714991369831037]);
    let below = polynomial::<S, _>(z, [1.0, -0.44464172526764517, 0.015952068179481]);
    let odd = rounded.to_bits() & 1 == 1;
    let (above, below) = if odd { (-below, above) } else { (above, below) };
    above as f32 / below as f32
}

// Hyperbolic functions ----------------------------------------------------------------------------------------------------

/// `(a, b, cosh r, sinh r)` with `|x| = n ln 2 + r`, `a = 2^(n - 1)` and `b = 2^(-n - 1)`.
#[inline(always)]
fn hyperbolic<S: Simd>(x: f32) -> (f64, f64, f64, f64) {
    let w = clamp(x.abs(), 0.0, 95.0) as f64;
    let rounded = S::mul_add(w, LOG2_E, ROUND);
    let r = S::mul_add(rounded - ROUND, -LN_2, w);
    let z = r * r;
    let c = [0.5000000013457727, 0.04166646500604005, 0.0013933641031986701];
    let even = S::mul_add(z, polynomial::<S, _>(z, c), 1.0);
    let c = [0.16666666681614256, 0.008333310934448869, 0.00019890980869750327];
    let odd = S::mul_add(r * z, polynomial::<S, _>(z, c), r);
    let n = rounded.to_bits() << 52;
    let half = 0.5f64.to_bits();
    (f64::from_bits(half.wrapping_add(n)), f64::from_bits(half.wrapping_sub(n)), even, odd)
}

#[inline(always)]
pub(crate) fn sinh<S: Simd>(x: f32) -> f32 {
    let (a, b, even, odd) = hyperbolic::<S>(x);
    with_sign(S::mul_add(a - b, even, (a + b) * odd), x)
}

#[inline(always)]
pub(crate) fn cosh<S: Simd>(x: f32) -> f32 {
    let (a, b, even, odd) = hyperbolic::<S>(x);
    S::mul_add(a + b, even, (a - b) * odd) as f32
}

#[inline(always)]
pub(crate) fn asinh<S: Simd>(x: f32) -> f32 {
    let t = x.abs();
    let w = t as f64;
    let far = log::<S>(w + S::mul_add(w, w, 1.0).sqrt());
    let y = if t < 1e-3 { S::mul_add(w * w * w, -1.0 / 6.0, w) } else { far };
    let y = if t < f32::INFINITY { y } else { w };
    with_sign(y, x)
}

#[inline(always)]
pub(crate) fn acosh<S: Simd>(x: f32) -> f32 {
    let w = x as f64;
    let y = log::<S>(w + ((w - 1.0) * (w + 1.0)).sqrt()) as f32;
    let y = if x < f32::INFINITY { y } else { x };
    if x < 1.0 { f32::NAN } else { y }
}

#[inline(always)]
pub(crate) fn atanh<S: Simd>(x: f32) -> f32 {
    let t = x.abs();
    let w = t as f64;
    let far = 0.5 * log::<S>((1.0 + w) / (1.0 - w));
    let y = if t < 1e-3 { S::mul_add(w * w * w, 1.0 / 3.0, w) } else { far };
    let y = if t == 1.0 { f64::INFINITY } else { y };
    // Also turns NaN into NaN.
    if t <= 1.0 { with_sign(y, x) } else { f32::NAN }
}

// Powers ------------------------------------------------------------------------------------------------------------------

/// `x^y` with the special cases of C.
#[inline(always)]
pub(crate) fn pow<S: Simd>(x: f32, y: f32) -> f32 {
    let (t, w) = (x.abs() as f64, y as f64);
    let log = log2::<S>(t);
    let log = if t == 0.0 { f64::NEG_INFINITY } else { log };
    let log = if t < f64::INFINITY { log } else { t };
    let power = exp2::<S>(clamp_wide(w * log, -300.0, 300.0)) as f32;
    let power = if t == 1.0 { 1.0 } else { power };
    // From 2^30 on every y is even.
    let z = clamp_wide(w, -1_073_741_824.0, 1_073_741_824.0);
    let rounded = z + ROUND;
    let (whole, odd) = (rounded - ROUND == z, rounded.to_bits() & 1 == 1);
    let negative = x.is_sign_negative();
    let power = if negative & whole & odd { -power } else { power };
    let power = if (x < 0.0) & (t < f64::INFINITY) & !whole { f32::NAN } else { power };
    // log2(NaN) and clamped NaN are anything.
    let power = if x.is_nan() | y.is_nan() { f32::NAN } else { power };
    if (x == 1.0) | (y == 0.0) { 1.0 } else { power }
}

// Functions of networks ---------------------------------------------------------------------------------------------------

/// `log(1 + e^x)`.
#[inline(always)]
pub(crate) fn softplus<S: Simd>(x: f32) -> f32 {
    let tail = log_of_1_plus::<S>(exp::<S>(clamp(-x.abs(), -120.0, 0.0) as f64));
    let y = ((if x > 0.0 { x } else { 0.0 }) as f64 + tail) as f32;
    if x.is_nan() { x } else { y }
}

/// `x tanh(log(1 + e^x))`; 0 at negative infinity.
#[inline(always)]
pub(crate) fn mish<S: Simd>(x: f32) -> f32 {
    // tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2), for e = e^x or, divided by e^2x, with e = e^-x.
    let x = if x < -150.0 { -150.0 } else { x };
    let e = exp::<S>(clamp(-x.abs(), -150.0, 0.0) as f64);
    let above = if x < 0.0 { e * (e + 2.0) } else { S::mul_add(e, 2.0, 1.0) };
    let below = if x < 0.0 { above + 2.0 } else { S::mul_add(e * e, 2.0, above) };
    (x as f64 * above / below) as f32
}

/// `erfc(t) e^(t^2)` for `t` in `0..=10.5`.
#[inline(always)]
fn scaled_erfc<S: Simd>(t: f64) -> f64 {
    let u = (t - 2.0) / (t + 2.0);
    let c = [
        0.25539567633170424,
        -0.4271858478013966,
        0.24165819204328323,
        -0.07897856340491469,
        0.0037329331336798787,
        0.006997235790440287,
        -0.0008474678363180216,
        -0.000980730492182871,
        4.500461841949056e-05,
        0.00017100703728357278,
        2.368435330899797e-05,
        -2.3383670724379726e-05,
        -8.305237068854259e-06,
    ];
    polynomial::<S, _>(u, c)
}

#[inline(always)]
pub(crate) fn erfc<S: Simd>(x: f32) -> f32 {
    let t = clamp(x.abs(), 0.0, 10.5) as f64;
    let y = exp::<S>(-t * t) * scaled_erfc::<S>(t);
    (if x < 0.0 { 2.0 - y } else { y }) as f32
}

/// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 = x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))`.
#[inline(always)]
pub(crate) fn gelu_tanh<S: Simd>(x: f32) -> f32 {
    const LINEAR: f64 = 1.595_769_121_605_730_8;
    // At -20 the result is already too small for a float; 0 at negative infinity.
    let w = (if x < -20.0 { -20.0 } else { x }) as f64;
    let u = w * S::mul_add(w * w, 0.044_715 * LINEAR, LINEAR);
    let e = exp::<S>(clamp_wide(-u, -700.0, 700.0));
    (w / (1.0 + e)) as f32
}
