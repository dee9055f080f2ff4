//! Division whose quotient is rounded, and its remainders.

use crate::dtype::Number;
use crate::kernels::math::Math;
use crate::kernels::simd::Simd;
use crate::kernels::zip::Zip;

/// The rounded quotients and their remainders of a number type. Integers must not be divided by zero.
pub(crate) trait Divide: Number {
    /// The quotient, rounded towards zero.
    fn quotient(self, divisor: Self) -> Self;
    /// The quotient, rounded down.
    fn floor_quotient(self, divisor: Self) -> Self;
    /// What the quotient rounded towards zero leaves: it has the sign of `self`.
    fn fmod(self, divisor: Self) -> Self;
    /// What the quotient rounded down leaves: it has the sign of `divisor`.
    fn remainder(self, divisor: Self) -> Self;
}

/// Whether the exact quotient that leaves `rest` is a negative fraction, so that rounding down goes away from zero.
#[inline(always)]
fn below_zero<T: Number>(rest: T, divisor: T) -> bool {
    rest != T::ZERO && (rest < T::ZERO) != (divisor < T::ZERO)
}

macro_rules! floats {
    ($($t:ty)*) => {$(
        impl Divide for $t {
            #[inline(always)]
            fn quotient(self, divisor: Self) -> Self {
                (self / divisor).trunc()
            }
            #[inline(always)]
            fn floor_quotient(self, divisor: Self) -> Self {
                let plain = self / divisor;
                if divisor == 0.0 {
                    return plain;
                }
                // The plain quotient may be rounded up to an integer; what `fmod` leaves is exact.
                let rest = self % divisor;
                let whole = (self - rest) / divisor - if below_zero(rest, divisor) { 1.0 } else { 0.0 };
                let floor = whole.floor();
                let floor = if whole - floor > 0.5 { floor + 1.0 } else { floor };
                if whole == 0.0 { Math::copysign(0.0, plain) } else { floor }
            }
            #[inline(always)]
            fn fmod(self, divisor: Self) -> Self {
                self % divisor
            }
            #[inline(always)]
            fn remainder(self, divisor: Self) -> Self {
                let rest = self % divisor;
                if below_zero(rest, divisor) { rest + divisor } else { rest }
            }
        }
    )*};
}
floats! { f32 f64 }

macro_rules! integers {
    ($($t:ty)*) => {$(
impl Divide for $t {
    #[inline(always)]
    fn quotient(self, divisor: Self) -> Self {
        self.wrapping_div(divisor)
    }
    #[inline(always)]
    fn floor_quotient(self, divisor: Self) -> Self {
        let rest = self.wrapping_rem(divisor);
        self.wrapping_div(divisor) - below_zero(rest, divisor) as $t
    }
    #[inline(always)]
    fn fmod(self, divisor: Self) -> Self {
        self.wrapping_rem(divisor)
    }
    #[inline(always)]
    fn remainder(self, divisor: Self) -> Self {
        let rest = self.wrapping_rem(divisor);
        if below_zero(rest, divisor) { rest + divisor } else { rest }
    }
}
    )*};
}
integers! { i64 u8 }

/// Functions of two elements, one for each method of [`Divide`].
macro_rules! zips {
    ($($(#[$doc:meta])* $name:ident: $method:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name;
        impl<T: Divide> Zip<T, T> for $name {
            #[inline(always)]
            fn call<S: Simd>(self, a: T, b: T) -> T {
                a.$method(b)
            }
        }
    )*};
}
zips! {
    /// [`Divide::quotient`].
    Quotient: quotient;
    /// [`Divide::floor_quotient`].
    FloorQuotient: floor_quotient;
    /// [`Divide::fmod`].
    Fmod: fmod;
    /// [`Divide::remainder`].
    Remainder: remainder;
}
