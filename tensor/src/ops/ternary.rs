//! Functions of three tensors, and of two with a number: blends, multiply-adds, bounds.

use crate::dtype::{Float, Number, dispatch};
use crate::error::OrPanic;
use crate::kernels::simd::Simd;
use crate::kernels::zip::Zip;
use crate::kernels::zip3::{self, Zip3};
use crate::ops::arithmetic::{fill_value, scalar_in, zip_with};
use crate::ops::promotion::{require_float, result_type};
use crate::shape::broadcast_shapes;
use crate::{DType, Element, Tensor};

/// `f(a, b, c)`, computed in `T` and converted to `dtype`, broadcast.
#[track_caller]
fn zip3_with<T: Element, F: Zip3<T>>(op: &str, f: F, operands: [&Tensor; 3], dtype: DType) -> Tensor {
    let [a, b, c] = operands.map(|t| t.shape());
    let shape = broadcast_shapes(op, &broadcast_shapes(op, a, b).or_panic(), c).or_panic();
    let stretch = |t: Tensor| t.with_layout(t.layout().expand(op, &shape).or_panic());
    let [a, b, c] = operands.map(|t| stretch(t.to_dtype(T::DTYPE)));
    Tensor::build::<T>(&shape, |out| zip3::zip3(f, [a.elements(), b.elements(), c.elements()], out)).to_dtype(dtype)
}

/// `a + weight (b - a)`, from the nearer end, so that a weight of 1 gives exactly `b`.
#[derive(Clone, Copy)]
struct Lerp;
impl<T: Float> Zip3<T> for Lerp {
    #[inline(always)]
    fn call<S: Simd>(self, a: T, b: T, weight: T) -> T {
        let distance = b - a;
        let near = weight.to_f64().abs() < 0.5;
        if near { a + weight * distance } else { b - distance * (T::ONE - weight) }
    }
}

/// `a + scale * b * c`.
#[derive(Clone, Copy)]
struct AddProduct<T>(T);
impl<T: Number> Zip3<T> for AddProduct<T> {
    #[inline(always)]
    fn call<S: Simd>(self, a: T, b: T, c: T) -> T {
        a.plus(self.0.times(b).times(c))
    }
}

/// `a + scale * b / c`.
#[derive(Clone, Copy)]
struct AddQuotient<T>(T);
impl<T: Float> Zip3<T> for AddQuotient<T> {
    #[inline(always)]
    fn call<S: Simd>(self, a: T, b: T, c: T) -> T {
        a + self.0 * b / c
    }
}

/// `a + scale * b`.
#[derive(Clone, Copy)]
struct AddScaled<T>(T);
impl<T: Number> Zip<T, T> for AddScaled<T> {
    #[inline(always)]
    fn call<S: Simd>(self, a: T, b: T) -> T {
        a.plus(self.0.times(b))
    }
}

impl Tensor {
    /// `scalar` as a 0-d operand of this dtype, in which it may wrap.
    #[track_caller]
    pub(crate) fn number(&self, op: &str, scalar: f64) -> Tensor {
        Tensor::scalar(scalar_in(op, self.dtype(), scalar)).to_dtype(self.dtype())
    }

    /// `value` as a 0-d tensor of this dtype, for elements that are to become it; see [`full`](Tensor::full).
    #[track_caller]
    pub(crate) fn filling(&self, op: &str, value: f64) -> Tensor {
        Tensor::scalar(fill_value(op, self.dtype(), value)).to_dtype(self.dtype())
    }

    /// `a + scale * b`, broadcast: PyTorch's `add` with an `alpha`.
    ///
    /// # Panics
    /// For bool, or if the tensors hold integers and `scale` is a fraction.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let y = Tensor::from([1.0, 2.0]).add_scaled(&Tensor::from([10.0, 20.0]), -0.5);
    /// assert_eq!(y.to_vec::<f64>(), [-4.0, -8.0]);
    /// ```
    #[track_caller]
    pub fn add_scaled(&self, other: &Tensor, scale: f64) -> Tensor {
        let dtype = self.result_type(other);
        let scale = scalar_in("add_scaled", dtype, scale);
        let (a, b) = (self.to_dtype(dtype.compute()), other.to_dtype(dtype.compute()));
        dispatch!(number a.dtype(), "add_scaled", T =>
            zip_with::<T, T, _>("add_scaled", AddScaled(<T as Element>::from_f64(scale)), &a, &b))
        .to_dtype(dtype)
    }

    /// `a + weight (end - a)` for a number `weight`: linear interpolation, broadcast.
    ///
    /// # Panics
    /// If neither operand is floating point.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0]).lerp(&Tensor::from([3.0, 6.0]), 0.25).to_vec::<f64>(), [1.5, 3.0]);
    /// ```
    #[track_caller]
    pub fn lerp(&self, end: &Tensor, weight: f64) -> Tensor {
        let dtype = self.result_type(end);
        require_float("lerp", dtype);
        let weight = Tensor::scalar(weight);
        dispatch!(float dtype.compute(), "lerp", T => zip3_with::<T, _>("lerp", Lerp, [self, end, &weight], dtype))
    }

    /// `a + weight (end - a)` with a weight for each element; all three are broadcast.
    ///
    /// # Panics
    /// If no operand is floating point.
    #[track_caller]
    pub fn lerp_tensor(&self, end: &Tensor, weight: &Tensor) -> Tensor {
        let operands = [self, end, weight];
        let dtype = result_type(&operands);
        require_float("lerp_tensor", dtype);
        dispatch!(float dtype.compute(), "lerp_tensor", T => zip3_with::<T, _>("lerp_tensor", Lerp, operands, dtype))
    }

    /// `x + value * a * b`; all three are broadcast.
    ///
    /// # Panics
    /// For bool, or if the tensors hold integers and `value` is a fraction.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (x, a, b) = (Tensor::from([1.0]), Tensor::from([2.0, 3.0]), Tensor::from([4.0]));
    /// assert_eq!(x.addcmul(&a, &b, 0.5).to_vec::<f64>(), [5.0, 7.0]);
    /// assert_eq!(x.addcdiv(&a, &b, 2.0).to_vec::<f64>(), [2.0, 2.5]);
    /// ```
    #[track_caller]
    pub fn addcmul(&self, a: &Tensor, b: &Tensor, value: f64) -> Tensor {
        let dtype = result_type(&[self, a, b]);
        let value = scalar_in("addcmul", dtype, value);
        dispatch!(number dtype.compute(), "addcmul", T =>
            zip3_with::<T, _>("addcmul", AddProduct(<T as Element>::from_f64(value)), [self, a, b], dtype))
    }

    /// `x + value * a / b`; all three are broadcast.
    ///
    /// # Panics
    /// If no operand is floating point.
    #[track_caller]
    pub fn addcdiv(&self, a: &Tensor, b: &Tensor, value: f64) -> Tensor {
        let dtype = result_type(&[self, a, b]);
        require_float("addcdiv", dtype);
        dispatch!(float dtype.compute(), "addcdiv", T =>
            zip3_with::<T, _>("addcdiv", AddQuotient(T::of(value)), [self, a, b], dtype))
    }

    /// Elements below `min` become `min`, then elements above `max` become `max`; the bounds are broadcast. NaN anywhere
    /// gives NaN.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (x, min) = (Tensor::from([1.0, 2.0, 3.0]), Tensor::from([2.0, 0.0, 5.0]));
    /// let max = Tensor::scalar(2.5);
    /// assert_eq!(x.clamp_tensor(Some(&min), Some(&max)).to_vec::<f64>(), [2.0, 2.0, 2.5]);
    /// ```
    #[track_caller]
    pub fn clamp_tensor(&self, min: Option<&Tensor>, max: Option<&Tensor>) -> Tensor {
        let raised = min.map_or_else(|| self.clone(), |min| self.maximum(min));
        max.map_or_else(|| raised.clone(), |max| raised.minimum(max))
    }

    /// Elements below `min` become `min`: [`clamp`](Tensor::clamp) without an upper bound.
    #[track_caller]
    pub fn clamp_min(&self, min: f64) -> Tensor {
        self.clamp(Some(min), None)
    }

    /// Elements above `max` become `max`: [`clamp`](Tensor::clamp) without a lower bound.
    #[track_caller]
    pub fn clamp_max(&self, max: f64) -> Tensor {
        self.clamp(None, Some(max))
    }
}
