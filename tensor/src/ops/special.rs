//! Functions of one tensor that take options: rounding to decimals, logits, replacing what is not finite.

use half::{bf16, f16};

use crate::dtype::{Float, dispatch};
use crate::kernels::map::{self, Map};
use crate::kernels::math::Math;
use crate::kernels::simd::Simd;
use crate::{DType, Tensor};

/// Rounds `x * scale`, and undoes the scale; a scale below 1 is given as its inverse.
#[derive(Clone, Copy)]
struct RoundDecimals {
    power_of_10: f64,
    fraction: bool,
}
impl<T: Math> Map<T, T> for RoundDecimals {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> T {
        let scale = T::of(self.power_of_10);
        if self.fraction { (x * scale).round() / scale } else { (x / scale).round() * scale }
    }
}

/// `log(x / (1 - x))` of `x` brought into a range; NaN stays.
#[derive(Clone, Copy)]
struct Logit(f64, f64);
impl<T: Math> Map<T, T> for Logit {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> T {
        let (low, high) = (T::of(self.0), T::of(self.1));
        let inside = if x > high { high } else { x };
        let x = if x < low { low } else { inside };
        (x / (T::ONE - x)).log::<S>()
    }
}

#[derive(Clone, Copy)]
struct Replace<T> {
    nan: T,
    highest: T,
    lowest: T,
}
impl<T: Math> Map<T, T> for Replace<T> {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> T {
        let number = if x.is_nan() { self.nan } else { x };
        let number = if x == T::HIGHEST { self.highest } else { number };
        if x == T::LOWEST { self.lowest } else { number }
    }
}

/// The greatest finite number of a float dtype.
fn greatest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f16::MAX.to_f64(),
        DType::BF16 => bf16::MAX.to_f64(),
        DType::F32 => f32::MAX as f64,
        _ => f64::MAX,
    }
}

impl Tensor {
    /// The nearest number with so many decimals, halves to the even digit; negative `decimals` round to tens, hundreds, ..
    ///
    /// # Panics
    /// If this tensor is not floating point.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([1234.5678]);
    /// assert_eq!(x.round_decimals(2).to_vec::<f64>(), [1234.57]);
    /// assert_eq!(x.round_decimals(-2).to_vec::<f64>(), [1200.0]);
    /// ```
    #[track_caller]
    pub fn round_decimals(&self, decimals: i32) -> Tensor {
        if decimals == 0 && self.dtype().is_floating_point() {
            return self.round();
        }
        let f = RoundDecimals { power_of_10: 10f64.powi(decimals.abs()), fraction: decimals > 0 };
        self.require_float("round_decimals");
        self.through_compute(|x| {
            dispatch!(float x.dtype(), "round_decimals", T =>
                Tensor::build::<T>(x.shape(), |out| map::map(f, x.elements::<T>(), out)))
        })
    }

    /// `log(x / (1 - x))`, the inverse of [`sigmoid`](Tensor::sigmoid), in floats. With `eps`, `x` is first brought into
    /// `eps ..= 1 - eps`; without it, what lies outside `0 ..= 1` gives NaN.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([0.5, 1.0]).logit(None).to_vec::<f64>(), [0.0, f64::INFINITY]);
    /// assert_eq!(Tensor::from([1.0]).logit(Some(0.25)).to_vec::<f64>(), [3f64.ln()]);
    /// ```
    #[track_caller]
    pub fn logit(&self, eps: Option<f64>) -> Tensor {
        let (low, high) = eps.map_or((f64::NEG_INFINITY, f64::INFINITY), |eps| (eps, 1.0 - eps));
        self.map_float("logit", Logit(low, high))
    }

    /// `nan` in the place of NaN, `posinf` and `neginf` in that of the infinities (`None`: the greatest and the least
    /// finite number of the dtype). Integers and bools stay as they are.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([f64::NAN, f64::INFINITY, 1.0]);
    /// assert_eq!(x.nan_to_num(0.0, Some(9.0), None).to_vec::<f64>(), [0.0, 9.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn nan_to_num(&self, nan: f64, posinf: Option<f64>, neginf: Option<f64>) -> Tensor {
        if !self.dtype().is_floating_point() {
            return self.clone();
        }
        let highest = posinf.unwrap_or(greatest(self.dtype()));
        let lowest = neginf.unwrap_or(-greatest(self.dtype()));
        self.through_compute(|x| {
            dispatch!(float x.dtype(), "nan_to_num", T => {
                let f = Replace { nan: T::of(nan), highest: T::of(highest), lowest: T::of(lowest) };
                Tensor::build::<T>(x.shape(), |out| map::map(f, x.elements::<T>(), out))
            })
        })
    }
}
