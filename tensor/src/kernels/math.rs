//! The elementary functions.
//!
//! For f64 they are the standard library's. For f32, where speed matters, those that networks use are in `single`:
//! branch-free polynomials that the compiler turns into vector code inside `vectorised!` loops.

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
    };
}

impl Math for f64 {
    rounding!(f64);
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
