//! Functions of two tensors beyond arithmetic: powers, angles, lengths, logarithms, and extrema that pass over NaN.

use crate::dtype::{Number, dispatch};
use crate::kernels::math::Math;
use crate::kernels::simd::Simd;
use crate::kernels::zip::Zip;
use crate::ops::arithmetic::{ZipNumbers, zip_with};
use crate::{DType, Tensor};

/// `f(a, b)` in floats, broadcast.
#[track_caller]
fn float_zip<F: Zip<f32, f32> + Zip<f64, f64>>(op: &str, f: F, a: &Tensor, b: &Tensor) -> Tensor {
    let dtype = a.result_type(b).to_float();
    let (a, b) = (a.to_dtype(dtype.compute()), b.to_dtype(dtype.compute()));
    dispatch!(float a.dtype(), op, T => zip_with::<T, T, _>(op, f, &a, &b)).to_dtype(dtype)
}

/// `f(a, b)` in the dtype to which both promote, broadcast; bools are refused.
#[track_caller]
pub(crate) fn number_zip<F: ZipNumbers>(op: &str, f: F, a: &Tensor, b: &Tensor) -> Tensor {
    let dtype = a.result_type(b);
    let (a, b) = (a.to_dtype(dtype.compute()), b.to_dtype(dtype.compute()));
    dispatch!(number a.dtype(), op, T => zip_with::<T, T, _>(op, f, &a, &b)).to_dtype(dtype)
}

/// Defines binary methods that answer in floats: doc, name, and the function of two elements.
macro_rules! float_operations {
    ($($(#[$doc:meta])* $name:ident: |$a:ident, $b:ident| $body:expr;)*) => { impl Tensor {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self, other: &Tensor) -> Tensor {
            #[derive(Clone, Copy)]
            struct F;
            impl<T: Math> Zip<T, T> for F {
                #[inline(always)]
                fn call<S: Simd>(self, $a: T, $b: T) -> T {
                    $body
                }
            }
            float_zip(stringify!($name), F, self, other)
        }
    )*}};
}
float_operations! {
    /// The angle in `-pi ..= pi` of the point whose height is `self` and whose distance along the axis is `other`.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let angle = Tensor::from([1.0, 0.0]).atan2(&Tensor::from([0.0, -1.0]));
    /// assert_eq!(angle.to_vec::<f64>(), [std::f64::consts::FRAC_PI_2, std::f64::consts::PI]);
    /// ```
    atan2: |y, x| y.atan2::<S>(x);
    /// `sqrt(a^2 + b^2)`, without overflow on the way.
    hypot: |a, b| a.hypot::<S>(b);
    /// `log(e^a + e^b)`, without overflow.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let y = Tensor::from([1e4, f64::NEG_INFINITY]).logaddexp(&Tensor::from([-1e4, f64::NEG_INFINITY]));
    /// assert_eq!(y.to_vec::<f64>(), [1e4, f64::NEG_INFINITY]);
    /// ```
    logaddexp: |a, b| {
        let greater = if a > b { a } else { b };
        // Equal infinities differ by NaN.
        let distance = if a == b { T::ZERO } else { (a - b).abs() };
        greater + (-distance).exp::<S>().log1p::<S>()
    };
    /// `a log(b)`, 0 where `a` is 0 unless `b` is NaN.
    xlogy: |a, b| if a == T::ZERO && !b.is_nan() { T::ZERO } else { a * b.log::<S>() };
    /// The size of `a` with the sign of `b`, that of zeros included.
    copysign: |a, b| a.copysign(b);
}

#[derive(Clone, Copy)]
struct Power;
impl<T: Math> Zip<T, T> for Power {
    #[inline(always)]
    fn call<S: Simd>(self, a: T, b: T) -> T {
        a.pow::<S>(b)
    }
}

/// Powers of integers wrap. Below an exponent of zero lie fractions, which are cut off.
#[derive(Clone, Copy)]
struct IntegerPower;
impl Zip<i64, i64> for IntegerPower {
    #[inline(always)]
    fn call<S: Simd>(self, a: i64, b: i64) -> i64 {
        match (a, b) {
            (1, _) => 1,
            (-1, b) => 1 - 2 * (b & 1),
            (_, b) if b < 0 => 0,
            (a, b) => {
                let (mut power, mut square, mut left) = (1i64, a, b);
                while left > 0 {
                    if left & 1 == 1 {
                        power = power.wrapping_mul(square);
                    }
                    square = square.wrapping_mul(square);
                    left >>= 1;
                }
                power
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Fmax;
impl<T: Number> Zip<T, T> for Fmax {
    #[inline(always)]
    fn call<S: Simd>(self, a: T, b: T) -> T {
        if a >= b || b.is_nan() { a } else { b }
    }
}

#[derive(Clone, Copy)]
struct Fmin;
impl<T: Number> Zip<T, T> for Fmin {
    #[inline(always)]
    fn call<S: Simd>(self, a: T, b: T) -> T {
        if a <= b || b.is_nan() { a } else { b }
    }
}

impl Tensor {
    /// `a ^ b`, broadcast. Two integers give an integer, which wraps; a negative exponent leaves 0, or 1 or -1 of those.
    ///
    /// # Panics
    /// If both operands are bool.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([2i64, -3]).pow(&Tensor::from([10i64, 3])).to_vec::<i64>(), [1024, -27]);
    /// assert_eq!(Tensor::from([2i64]).pow(&Tensor::from([0.5])).to_vec::<f64>(), [2f64.sqrt()]);
    /// ```
    #[track_caller]
    pub fn pow(&self, exponent: &Tensor) -> Tensor {
        let dtype = self.result_type(exponent);
        if dtype.is_floating_point() {
            return float_zip("pow", Power, self, exponent);
        }
        if dtype == DType::Bool {
            panic!("pow: not defined for bool; convert with to_dtype first");
        }
        let (a, b) = (self.to_dtype(DType::I64), exponent.to_dtype(DType::I64));
        zip_with::<i64, i64, _>("pow", IntegerPower, &a, &b).to_dtype(dtype)
    }

    /// `base ^ x` for a number `base`, in floats; in integers (i64 for bools) if `base` is whole and the tensor holds integers.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([3i64, 0]).rpow_scalar(2.0).to_vec::<i64>(), [8, 1]);
    /// assert_eq!(Tensor::from([3i64, 0]).rpow_scalar(0.5).to_vec::<f32>(), [0.125, 1.0]);
    /// ```
    #[track_caller]
    pub fn rpow_scalar(&self, base: f64) -> Tensor {
        if !self.dtype().is_floating_point() && base.fract() == 0.0 {
            let dtype = if self.dtype() == DType::Bool { DType::I64 } else { self.dtype() };
            return Tensor::scalar(base as i64).pow(self).to_dtype(dtype);
        }
        self.to_dtype(self.dtype().to_float()).through_compute(|x| Tensor::full((), base, x.dtype()).pow(x))
    }

    /// The greater of `a` and `b`, broadcast; where one of them is NaN, the other.
    #[track_caller]
    pub fn fmax(&self, other: &Tensor) -> Tensor {
        match self.result_type(other) {
            DType::Bool => self.logical_or(other),
            _ => number_zip("fmax", Fmax, self, other),
        }
    }

    /// The lesser of `a` and `b`, broadcast; where one of them is NaN, the other.
    #[track_caller]
    pub fn fmin(&self, other: &Tensor) -> Tensor {
        match self.result_type(other) {
            DType::Bool => self.logical_and(other),
            _ => number_zip("fmin", Fmin, self, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFINITY: f64 = f64::INFINITY;

    #[test]
    fn powers_of_integers() {
        let pow = |a: i64, b: i64| Tensor::from([a]).pow(&Tensor::from([b])).item::<i64>();
        assert_eq!([pow(0, 0), pow(-1, -3), pow(-1, -2), pow(1, -5), pow(7, -1), pow(2, 64)], [1, -1, 1, 1, 0, 0]);
        assert_eq!(Tensor::from([3u8]).pow(&Tensor::from([6u8])).to_vec::<u8>(), [217]);
    }

    #[test]
    fn logarithms_at_the_ends() {
        let sum = |a: f64, b: f64| Tensor::from([a]).logaddexp(&Tensor::from([b])).item::<f64>();
        assert_eq!([sum(INFINITY, INFINITY), sum(INFINITY, -INFINITY), sum(-INFINITY, 3.0)], [INFINITY, INFINITY, 3.0]);
        assert!(sum(f64::NAN, 1.0).is_nan() && sum(1.0, f64::NAN).is_nan());
        let xlogy = |a: f64, b: f64| Tensor::from([a]).xlogy(&Tensor::from([b])).item::<f64>();
        assert_eq!(
            [xlogy(0.0, 0.0), xlogy(0.0, -1.0), xlogy(0.0, INFINITY), xlogy(2.0, 0.0)],
            [0.0, 0.0, 0.0, -INFINITY]
        );
        assert!(xlogy(0.0, f64::NAN).is_nan());
    }

    #[test]
    fn extrema_pass_over_nan() {
        let (a, b) = (Tensor::from([f64::NAN, 1.0, f64::NAN, 2.0]), Tensor::from([1.0, f64::NAN, f64::NAN, 3.0]));
        assert_eq!(a.fmax(&b).to_vec::<f64>()[..2], [1.0, 1.0]);
        assert_eq!(a.fmin(&b).to_vec::<f64>()[3], 2.0);
        assert!(a.fmax(&b).to_vec::<f64>()[2].is_nan());
    }
}
