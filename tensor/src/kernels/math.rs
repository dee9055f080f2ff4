//! The elementary functions.
//!
//! For f64 they are the standard library's, completed in `double`. For f32, where speed matters, they are branch-free
//! polynomials that the compiler turns into vector code inside `vectorised!` loops: in `single` where single precision
//! suffices, in `wide` where it does not.

mod double;
mod inverse;
mod single;
mod wide;

use crate::dtype::Float;
use crate::kernels::simd::Simd;

/// Elementary functions of a float type.
///
/// For f32 each result, but that of [`exp_factors`](Math::exp_factors), is within 2 units in the last place;
/// `tensor/tests/precision.rs` measures them.
pub(crate) trait Math: Float {
    fn exp<S: Simd>(self) -> Self;
    /// `e^x` for `x` up to 88, in fewer steps than [`exp`](Math::exp). Where that is no normal number the result may be 0.
    fn exp_below<S: Simd>(self) -> Self;
    /// Two factors of `e^x` for `x` up to 88, in the fewest steps: for sums and averages of powers, in which those of numbers
    /// far below 0 hardly count. They are off by up to 2e-7 of the power, and 4e-9 more for each unit of `x`; without fused
    /// multiply-add 6e-8 more for each unit. Where the power is no normal number the first may be 0.
    fn exp_factors<S: Simd>(self) -> (Self, Self);
    fn exp2<S: Simd>(self) -> Self;
    fn expm1<S: Simd>(self) -> Self;
    fn log<S: Simd>(self) -> Self;
    fn log1p<S: Simd>(self) -> Self;
    fn log2<S: Simd>(self) -> Self;
    fn log10<S: Simd>(self) -> Self;
    /// Whether [`log_ordinary`](Math::log_ordinary) and its like are right for this number.
    fn is_ordinary(self) -> bool;
    /// The logarithm of a positive, normal, finite number.
    fn log_ordinary<S: Simd>(self) -> Self;
    /// The logarithm to base 2 of such a number.
    fn log2_ordinary<S: Simd>(self) -> Self;
    /// The logarithm to base 10 of such a number.
    fn log10_ordinary<S: Simd>(self) -> Self;
    /// Whether this angle is beyond what [`sin_near`](Math::sin_near) and its like reduce without a branch.
    fn is_far(self) -> bool;
    /// The sine of an angle that is not far.
    fn sin_near<S: Simd>(self) -> Self;
    /// The cosine of an angle that is not far.
    fn cos_near<S: Simd>(self) -> Self;
    /// The tangent of an angle that is not far.
    fn tan_near<S: Simd>(self) -> Self;
    /// The sine of any angle, with a branch.
    fn sin<S: Simd>(self) -> Self;
    /// The cosine of any angle, with a branch.
    fn cos<S: Simd>(self) -> Self;
    /// The tangent of any angle, with a branch.
    fn tan<S: Simd>(self) -> Self;
    fn asin<S: Simd>(self) -> Self;
    fn acos<S: Simd>(self) -> Self;
    fn atan<S: Simd>(self) -> Self;
    fn sinh<S: Simd>(self) -> Self;
    fn cosh<S: Simd>(self) -> Self;
    fn tanh<S: Simd>(self) -> Self;
    fn asinh<S: Simd>(self) -> Self;
    fn acosh<S: Simd>(self) -> Self;
    fn atanh<S: Simd>(self) -> Self;
    /// `1 / (1 + e^-x)`.
    fn sigmoid<S: Simd>(self) -> Self;
    /// `x / (1 + e^-x)`.
    fn silu<S: Simd>(self) -> Self;
    /// `log(1 + e^x)`.
    fn softplus<S: Simd>(self) -> Self;
    /// `x tanh(log(1 + e^x))`.
    fn mish<S: Simd>(self) -> Self;
    fn erf<S: Simd>(self) -> Self;
    /// `1 - erf x`.
    fn erfc<S: Simd>(self) -> Self;
    /// The inverse of `erf`.
    fn erfinv<S: Simd>(self) -> Self;
    /// `x (1 + erf(x / sqrt 2)) / 2`.
    fn gelu<S: Simd>(self) -> Self;
    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
    fn gelu_tanh<S: Simd>(self) -> Self;
    fn pow<S: Simd>(self, exponent: Self) -> Self;
    /// The angle of the point `(x, self)`.
    fn atan2<S: Simd>(self, x: Self) -> Self;
    /// `sqrt(a^2 + b^2)`, without overflow on the way.
    fn hypot<S: Simd>(self, other: Self) -> Self;
    fn copysign(self, sign: Self) -> Self;
    fn abs(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    /// To the nearest integer, halves to the even one.
    fn round(self) -> Self;
    fn trunc(self) -> Self;
}

/// Methods that are the standard library's for both types.
macro_rules! rounding {
    ($t:ty) => {
        #[inline(always)]
        fn abs(self) -> Self {
            <$t>::abs(self)
        }
        #[inline(always)]
        fn floor(self) -> Self {
            <$t>::floor(self)
        }
        #[inline(always)]
        fn ceil(self) -> Self {
            <$t>::ceil(self)
        }
        #[inline(always)]
        fn round(self) -> Self {
            <$t>::round_ties_even(self)
        }
        #[inline(always)]
        fn trunc(self) -> Self {
            <$t>::trunc(self)
        }
        #[inline(always)]
        fn atan2<S: Simd>(self, x: Self) -> Self {
            <$t>::atan2(self, x)
        }
        #[inline(always)]
        fn hypot<S: Simd>(self, other: Self) -> Self {
            <$t>::hypot(self, other)
        }
        #[inline(always)]
        fn copysign(self, sign: Self) -> Self {
            <$t>::copysign(self, sign)
        }
    };
}

/// Functions of one argument: the method, and the function that it is.
macro_rules! functions {
    (plain $($name:ident = $f:path,)*) => {$(
        #[inline(always)]
        fn $name<S: Simd>(self) -> Self {
            $f(self)
        }
    )*};
    (vectorised $($name:ident = $module:ident,)*) => {$(
        #[inline(always)]
        fn $name<S: Simd>(self) -> Self {
            $module::$name::<S>(self)
        }
    )*};
    (branching $($name:ident = $near:ident or $far:path,)*) => {$(
        #[inline(always)]
        fn $name<S: Simd>(self) -> Self {
            if self.is_far() { $far(self as f64) as f32 } else { self.$near::<S>() }
        }
    )*};
}

impl Math for f64 {
    rounding!(f64);
    // The standard library's inverse hyperbolic functions lose digits near 0 and 1.
    functions! { plain
        exp = f64::exp,
        exp_below = f64::exp,
        exp2 = f64::exp2,
        expm1 = f64::exp_m1,
        log = f64::ln,
        log1p = f64::ln_1p,
        log2 = f64::log2,
        log10 = f64::log10,
        log_ordinary = f64::ln,
        log2_ordinary = f64::log2,
        log10_ordinary = f64::log10,
        sin_near = f64::sin,
        cos_near = f64::cos,
        tan_near = f64::tan,
        sin = f64::sin,
        cos = f64::cos,
        tan = f64::tan,
        asin = f64::asin,
        acos = f64::acos,
        atan = f64::atan,
        sinh = f64::sinh,
        cosh = f64::cosh,
        tanh = f64::tanh,
        asinh = libm::asinh,
        acosh = libm::acosh,
        atanh = libm::atanh,
        sigmoid = double::sigmoid,
        silu = double::silu,
        softplus = double::softplus,
        mish = double::mish,
        erf = libm::erf,
        erfc = libm::erfc,
        erfinv = inverse::erfinv,
        gelu = double::gelu,
        gelu_tanh = double::gelu_tanh,
    }
    #[inline(always)]
    fn exp_factors<S: Simd>(self) -> (f64, f64) {
        (f64::exp(self), 1.0)
    }
    #[inline(always)]
    fn is_far(self) -> bool {
        false
    }
    #[inline(always)]
    fn is_ordinary(self) -> bool {
        true
    }
    #[inline(always)]
    fn pow<S: Simd>(self, exponent: Self) -> Self {
        f64::powf(self, exponent)
    }
}

impl Math for f32 {
    rounding!(f32);
    functions! { vectorised
        exp = single,
        exp_below = single,
        exp2 = single,
        expm1 = single,
        log = single,
        log1p = single,
        log2 = single,
        log10 = single,
        log_ordinary = single,
        log2_ordinary = single,
        log10_ordinary = single,
        sin_near = wide,
        cos_near = wide,
        tan_near = wide,
        asin = single,
        acos = single,
        atan = single,
        sinh = wide,
        cosh = wide,
        tanh = single,
        asinh = wide,
        acosh = wide,
        atanh = wide,
        sigmoid = single,
        silu = single,
        softplus = wide,
        mish = wide,
        erf = single,
        erfc = wide,
        erfinv = single,
        gelu = single,
        gelu_tanh = single,
    }
    functions! { branching
        sin = sin_near or f64::sin,
        cos = cos_near or f64::cos,
        tan = tan_near or f64::tan,
    }
    #[inline(always)]
    fn exp_factors<S: Simd>(self) -> (f32, f32) {
        single::exp_factors::<S>(self)
    }
    #[inline(always)]
    fn is_far(self) -> bool {
        wide::is_far(self)
    }
    #[inline(always)]
    fn is_ordinary(self) -> bool {
        single::is_ordinary(self)
    }
    #[inline(always)]
    fn pow<S: Simd>(self, exponent: Self) -> Self {
        wide::pow::<S>(self, exponent)
    }
}
