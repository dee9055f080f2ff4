//! Comparisons, logic, and choices by a mask.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::map::{self, Map};
use crate::kernels::simd::Simd;
use crate::kernels::zip::{self, Zip};
use crate::ops::arithmetic::zip_with;
use crate::shape::broadcast_shapes;
use crate::{DType, Element, Error, Tensor};

/// The dtype in which elements are compared: the small ones as i64, which keeps the number of compiled loops down.
fn comparable(dtype: DType) -> DType {
    dtype.max(DType::I64).compute()
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident: |$a:ident, $b:ident| $body:expr;)*) => { impl Tensor {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self, other: &Tensor) -> Tensor {
            #[derive(Clone, Copy)]
            struct F;
            impl<T: Element> Zip<T, bool> for F {
                #[inline(always)]
                fn call<S: Simd>(self, $a: T, $b: T) -> bool {
                    $body
                }
            }
            let common = self.result_type(other);
            let dtype = comparable(common);
            // First rounded, if need be, to the dtype in which the operands meet.
            let (a, b) = (self.to_dtype(common).to_dtype(dtype), other.to_dtype(common).to_dtype(dtype));
            dispatch!(wide dtype, T => zip_with::<T, bool, _>(stringify!($name), F, &a, &b))
        }

        $(#[$doc])*
        ///
        /// The right side is one number for all elements, rounded to this tensor's dtype if that is floating, as in PyTorch.
        /// Integers are compared in double precision.
        #[track_caller]
        pub fn $scalar(&self, scalar: f64) -> Tensor {
            #[derive(Clone, Copy)]
            struct F(f64);
            impl<T: Element> Map<T, bool> for F {
                #[inline(always)]
                fn call<S: Simd>(self, x: T) -> bool {
                    let ($a, $b) = (x.to_f64(), self.0);
                    $body
                }
            }
            let x = self.to_dtype(comparable(self.dtype()));
            dispatch!(wide x.dtype(), T => {
                let f = F(if T::DTYPE.is_floating_point() { self.dtype().held(scalar) } else { scalar });
                Tensor::build::<bool>(x.shape(), |out| map::map(f, x.elements::<T>(), out))
            })
        }
    )*}};
}
comparisons! {
    /// `a == b`, element by element.
    eq, eq_scalar: |a, b| a == b;
    /// `a != b`, element by element.
    ne, ne_scalar: |a, b| a != b;
    /// `a < b`, element by element.
    lt, lt_scalar: |a, b| a < b;
    /// `a <= b`, element by element.
    le, le_scalar: |a, b| a <= b;
    /// `a > b`, element by element.
    gt, gt_scalar: |a, b| a > b;
    /// `a >= b`, element by element.
    ge, ge_scalar: |a, b| a >= b;
}

macro_rules! logic {
    ($($(#[$doc:meta])* $name:ident: |$a:ident, $b:ident| $body:expr;)*) => { impl Tensor {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self, other: &Tensor) -> Tensor {
            #[derive(Clone, Copy)]
            struct F;
            impl Zip<bool, bool> for F {
                #[inline(always)]
                fn call<S: Simd>(self, $a: bool, $b: bool) -> bool {
                    $body
                }
            }
            zip_with::<bool, bool, _>(stringify!($name), F, &self.truth(), &other.truth())
        }
    )*}};
}
logic! {
    /// Whether both elements are not zero.
    logical_and: |a, b| a & b;
    /// Whether at least one of the elements is not zero.
    logical_or: |a, b| a | b;
    /// Whether exactly one of the elements is not zero.
    logical_xor: |a, b| a ^ b;
}

impl Tensor {
    /// `a` where `condition` holds and `b` elsewhere; all three are broadcast.
    ///
    /// # Panics
    /// If `condition` is not bool or the shapes do not broadcast.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([-1.0, 2.0]);
    /// assert_eq!(Tensor::where_(&x.gt_scalar(0.0), &x, &Tensor::scalar(0.0)).to_vec::<f64>(), [0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn where_(condition: &Tensor, a: &Tensor, b: &Tensor) -> Tensor {
        require_bool("where_", "condition", condition);
        let dtype = a.result_type(b);
        let shape = broadcast_shapes("where_", a.shape(), b.shape()).or_panic();
        let shape = broadcast_shapes("where_", condition.shape(), &shape).or_panic();
        let stretch = |t: Tensor| t.with_layout(t.layout().expand("where_", &shape).or_panic());
        let (condition, a, b) = (stretch(condition.clone()), stretch(a.to_dtype(dtype)), stretch(b.to_dtype(dtype)));
        dispatch!(all dtype, T => Tensor::build::<T>(&shape, |out| {
            zip::select(condition.elements::<bool>(), a.elements::<T>(), b.elements::<T>(), out)
        }))
    }

    /// This tensor with `value` wherever `mask` holds; both are broadcast.
    ///
    /// # Panics
    /// If `mask` is not bool, the shapes do not broadcast, or the tensor holds integers and the value is a fraction or out of
    /// their range.
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor, value: f64) -> Tensor {
        require_bool("masked_fill", "mask", mask);
        broadcast_shapes("masked_fill", self.shape(), mask.shape()).or_panic();
        Tensor::where_(mask, &self.filling("masked_fill", value), self)
    }

    /// This tensor with the 0-d `value`, converted to its dtype, wherever `mask` holds; tensor and mask are broadcast.
    ///
    /// # Panics
    /// If `mask` is not bool, `value` has dimensions, or the shapes do not broadcast.
    #[track_caller]
    pub fn masked_fill_tensor(&self, mask: &Tensor, value: &Tensor) -> Tensor {
        require_bool("masked_fill_tensor", "mask", mask);
        if value.ndim() != 0 {
            let what = format!("the value has {} dimensions", value.ndim());
            panic!("{}", Error::shape("masked_fill_tensor", what, &[("value", value.shape())], "a value is 0-d"));
        }
        Tensor::where_(mask, &value.to_dtype(self.dtype()), self)
    }

    /// Whether each pair of elements agrees: `|a - b| <= atol + rtol * |b|`, broadcast. Infinities agree with themselves,
    /// and NaN does with NaN if `equal_nan` says so.
    ///
    /// # Panics
    /// If the dtypes differ or a tolerance is negative.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (a, b) = (Tensor::from([1.0, f64::NAN]), Tensor::from([1.0 + 1e-9, f64::NAN]));
    /// assert_eq!(a.isclose(&b, 1e-5, 1e-8, false).to_vec::<bool>(), [true, false]);
    /// assert_eq!(a.isclose(&b, 1e-5, 1e-8, true).to_vec::<bool>(), [true, true]);
    /// ```
    #[track_caller]
    pub fn isclose(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Tensor {
        if self.dtype() != other.dtype() {
            panic!("{}", Error::dtype("isclose", format!("the dtypes differ, {} and {}", self.dtype(), other.dtype())));
        }
        if rtol < 0.0 || atol < 0.0 {
            panic!("{}", Error::value("isclose", format!("a tolerance is negative: rtol {rtol}, atol {atol}")));
        }
        self.near(other, rtol, atol, equal_nan)
    }

    #[track_caller]
    fn near(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Tensor {
        #[derive(Clone, Copy)]
        struct Near {
            rtol: f64,
            atol: f64,
            equal_nan: bool,
        }
        impl Zip<f64, bool> for Near {
            #[inline(always)]
            fn call<S: Simd>(self, a: f64, b: f64) -> bool {
                // Infinities of one sign differ by NaN and are equal all the same; a finite value is never near an infinite.
                let near = (a - b).abs() <= self.atol + (self.rtol * b).abs() && b.is_finite();
                near || a == b || self.equal_nan && a.is_nan() && b.is_nan()
            }
        }
        if !self.dtype().is_floating_point() && !other.dtype().is_floating_point() {
            // Large integers keep their distance in i64 only.
            let (a, b) = (self.to_dtype(DType::I64), other.to_dtype(DType::I64));
            return a.sub(&b).abs().to_dtype(DType::F64).le(&(b.to_dtype(DType::F64).abs() * rtol + atol));
        }
        let (a, b) = (self.to_dtype(DType::F64), other.to_dtype(DType::F64));
        zip_with::<f64, bool, _>("isclose", Near { rtol, atol, equal_nan }, &a, &b)
    }

    /// Whether both tensors have one shape and equal elements; NaN equals nothing. The dtypes may differ.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert!(Tensor::from([1.0, 2.0]).equal(&Tensor::from([1.0, 2.0])));
    /// assert!(!Tensor::from([1.0]).equal(&Tensor::from([1.0, 1.0])));
    /// ```
    pub fn equal(&self, other: &Tensor) -> bool {
        self.shape() == other.shape() && self.eq(other).all().item()
    }

    /// Whether all elements agree: `|a - b| <= atol + rtol * |b|`, with broadcasting. NaN agrees with nothing.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert!(Tensor::from([1.0, 2.0]).allclose(&Tensor::from([1.0, 2.0 + 1e-9]), 1e-5, 1e-8));
    /// ```
    #[track_caller]
    pub fn allclose(&self, other: &Tensor, rtol: f64, atol: f64) -> bool {
        self.near(other, rtol, atol, false).all().item()
    }
}

#[track_caller]
pub(crate) fn require_bool(op: &str, what: &str, t: &Tensor) {
    if t.dtype() != DType::Bool {
        panic!("{}", Error::dtype(op, format!("the {what} must be bool, got {}", t.dtype())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closeness_of_infinities_and_large_integers() {
        let near = |a: f64, b: f64| Tensor::from([a]).isclose(&Tensor::from([b]), 1e300, 1e300, false).item::<bool>();
        let up = f64::INFINITY;
        assert_eq!([near(up, up), near(up, -up), near(up, 0.0), near(0.0, up)], [true, false, false, false]);
        let (a, b) = (Tensor::from([1i64 << 60]), Tensor::from([(1i64 << 60) + 1]));
        assert_eq!([a.allclose(&b, 0.0, 0.0), a.allclose(&b, 0.0, 1.0)], [false, true]);
        assert!(!Tensor::from([f64::NAN]).equal(&Tensor::from([f64::NAN])));
    }

    #[test]
    fn a_number_is_rounded_to_a_float_dtype_and_not_to_an_integer() {
        assert_eq!(Tensor::from([0.1f32, 0.2]).eq_scalar(0.1).to_vec::<bool>(), [true, false]);
        assert_eq!(Tensor::from([0.1f32]).gt_scalar(0.1).to_vec::<bool>(), [false]);
        assert!(Tensor::from([0.1]).to_dtype(DType::BF16).eq_scalar(0.1).all().item::<bool>());
        assert!(!Tensor::from([f64::INFINITY]).to_dtype(DType::F16).lt_scalar(7e4).any().item::<bool>());
        assert_eq!(Tensor::from([0i64, 1]).lt_scalar(0.5).to_vec::<bool>(), [true, false]);
        assert_eq!(Tensor::from([f64::NAN]).ne_scalar(f64::NAN).to_vec::<bool>(), [true]);
    }
}
