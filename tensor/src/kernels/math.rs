//! The elementary functions.
//!
//! For f64 they are the standard library's. For f32, where speed matters, those that networks use are in `single`:
//! branch-free polynomials that the compiler turns into vector code inside `vectorised!` loops.

mod inverse;
mod single;

use crate::dtype::Float;
use crate::kernels::simd::Simd;

/// Elementary functions of a float type.
pub(crate) trait Math: Float {
    fn exp<S: Simd>(self) -> Self;
    fn expm1<S: Simd>(self) -> Self;
    fn log<S: Simd>(self) -> Self;
    fn log1p<S: Simd>(self) -> Self;
    fn sin<S: Simd>(self) -> Self;
    fn cos<S: Simd>(self) -> Self;
    fn tanh<S: Simd>(self) -> Self;
    /// `1 / (1 + e^-x)`.
    fn sigmoid<S: Simd>(self) -> Self;
    fn erf<S: Simd>(self) -> Self;
    fn pow<S: Simd>(self, exponent: Self) -> Self;
    fn exp2<S: Simd>(self) -> Self;
    fn log2<S: Simd>(self) -> Self;
    fn log10<S: Simd>(self) -> Self;
    fn tan<S: Simd>(self) -> Self;
    fn asin<S: Simd>(self) -> Self;
    fn acos<S: Simd>(self) -> Self;
    fn atan<S: Simd>(self) -> Self;
    /// The angle of the point `(x, self)`.
    fn atan2<S: Simd>(self, x: Self) -> Self;
    fn sinh<S: Simd>(self) -> Self;
    fn cosh<S: Simd>(self) -> Self;
    fn asinh<S: Simd>(self) -> Self;
    fn acosh<S: Simd>(self) -> Self;
    fn atanh<S: Simd>(self) -> Self;
    /// `1 - erf(x)`, without the cancellation.
    fn erfc<S: Simd>(self) -> Self;
    fn erfinv<S: Simd>(self) -> Self;
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

/// Methods whose bodies are functions that somebody else wrote.
macro_rules! library {
    ($($name:ident = $f:expr;)*) => {$(
        #[inline(always)]
        fn $name<S: Simd>(self) -> Self {
            $f(self)
        }
    )*};
}

impl Math for f64 {
    rounding!(f64);
    // The standard library's inverse hyperbolic functions lose digits near 0 and 1.
    library! {
        exp2 = f64::exp2;
        log2 = f64::log2;
        log10 = f64::log10;
        tan = f64::tan;
        asin = f64::asin;
        acos = f64::acos;
        atan = f64::atan;
        sinh = f64::sinh;
        cosh = f64::cosh;
        asinh = libm::asinh;
        acosh = libm::acosh;
        atanh = libm::atanh;
        erfc = libm::erfc;
        erfinv = inverse::erfinv;
    }
    #[inline(always)]
    fn exp<S: Simd>(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn expm1<S: Simd>(self) -> Self {
        f64::exp_m1(self)
    }
    #[inline(always)]
    fn log<S: Simd>(self) -> Self {
        f64::ln(self)
    }
    #[inline(always)]
    fn log1p<S: Simd>(self) -> Self {
        f64::ln_1p(self)
    }
    #[inline(always)]
    fn sin<S: Simd>(self) -> Self {
        f64::sin(self)
    }
    #[inline(always)]
    fn cos<S: Simd>(self) -> Self {
        f64::cos(self)
    }
    #[inline(always)]
    fn tanh<S: Simd>(self) -> Self {
        f64::tanh(self)
    }
    #[inline(always)]
    fn sigmoid<S: Simd>(self) -> Self {
        1.0 / (1.0 + f64::exp(-self))
    }
    #[inline(always)]
    fn erf<S: Simd>(self) -> Self {
        libm::erf(self)
    }
    #[inline(always)]
    fn pow<S: Simd>(self, exponent: Self) -> Self {
        f64::powf(self, exponent)
    }
}

impl Math for f32 {
    rounding!(f32);
    library! {
        exp2 = f32::exp2;
        log2 = f32::log2;
        log10 = f32::log10;
        tan = f32::tan;
        asin = f32::asin;
        acos = f32::acos;
        atan = f32::atan;
        sinh = f32::sinh;
        cosh = f32::cosh;
        asinh = |x| libm::asinh(x as f64) as f32;
        acosh = |x| libm::acosh(x as f64) as f32;
        atanh = |x| libm::atanh(x as f64) as f32;
        erfc = |x| libm::erfc(x as f64) as f32;
        erfinv = |x| inverse::erfinv(x as f64) as f32;
    }
    #[inline(always)]
    fn exp<S: Simd>(self) -> Self {
        single::exp::<S>(self)
    }
    #[inline(always)]
    fn expm1<S: Simd>(self) -> Self {
        single::expm1::<S>(self)
    }
    #[inline(always)]
    fn log<S: Simd>(self) -> Self {
        single::log::<S>(self)
    }
    #[inline(always)]
    fn log1p<S: Simd>(self) -> Self {
        single::log1p::<S>(self)
    }
    #[inline(always)]
    fn sin<S: Simd>(self) -> Self {
        f32::sin(self)
    }
    #[inline(always)]
    fn cos<S: Simd>(self) -> Self {
        f32::cos(self)
    }
    #[inline(always)]
    fn tanh<S: Simd>(self) -> Self {
        single::tanh::<S>(self)
    }
    #[inline(always)]
    fn sigmoid<S: Simd>(self) -> Self {
        single::sigmoid::<S>(self)
    }
    #[inline(always)]
    fn erf<S: Simd>(self) -> Self {
        single::erf::<S>(self)
    }
    #[inline(always)]
    fn pow<S: Simd>(self, exponent: Self) -> Self {
        f32::powf(self, exponent)
    }
}
