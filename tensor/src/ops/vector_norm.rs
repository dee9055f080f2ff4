//! Norms of vectors.

use crate::dtype::{Float, dispatch};
use crate::kernels::reduce::{PowerSum, Reduce};
use crate::{DType, Dims, Error, Tensor};

impl Tensor {
    /// The Euclidean norm of all elements, as a scalar: `sqrt(sum x^2)`.
    ///
    /// # Panics
    /// For integers and bools.
    #[track_caller]
    pub fn norm(&self) -> Tensor {
        self.vector_norm(2.0, [], false)
    }

    /// The norm `(sum |x|^ord)^(1/ord)` over `dims` (an empty list names all). An `ord` of 0 counts the elements that are not
    /// zero; infinity gives the greatest `|x|`, negative infinity the least.
    ///
    /// # Numerics
    /// Computed in double precision. Where a sum of powers is beyond its range, the elements are divided by the greatest
    /// (for a negative `ord` the least) first, so that the norm is finite whenever it fits the dtype; PyTorch's overflows.
    ///
    /// # Panics
    /// For integers and bools, and if there is no element for an infinite or negative `ord`.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[3.0, -4.0], [0.0, 1.0]]);
    /// assert_eq!(x.vector_norm(2.0, 1, false).to_vec::<f64>(), [5.0, 1.0]);
    /// assert_eq!(x.vector_norm(f64::INFINITY, [], false).item::<f64>(), 4.0);
    /// assert_eq!(x.vector_norm(0.0, [], false).item::<f64>(), 3.0);
    /// ```
    #[track_caller]
    pub fn vector_norm(&self, ord: f64, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        let (dims, dtype) = (dims.into(), self.dtype());
        self.require_float("vector_norm");
        if ord.is_nan() {
            panic!("{}", Error::value("vector_norm", "the order is NaN"));
        }
        if ord < 0.0 || ord == f64::INFINITY {
            self.require_elements("vector_norm", &dims);
        }
        let x = self.widen();
        if ord == f64::INFINITY {
            return x.abs().amax(dims, keepdim).to_dtype(dtype);
        }
        if ord == f64::NEG_INFINITY {
            return x.abs().amin(dims, keepdim).to_dtype(dtype);
        }
        if ord == 0.0 {
            return x.truth().sum_dim(dims, keepdim).to_dtype(dtype);
        }
        let norm = x.root_of_powers(ord, &dims, keepdim);
        if self.numel() == 0 {
            return norm.to_dtype(dtype);
        }
        let beyond = norm.isfinite().logical_not().logical_or(&norm.eq_scalar(0.0));
        if !beyond.any().item::<bool>() {
            return norm.to_dtype(dtype);
        }
        // Zeros, infinities and NaN are divided by 1 and come out as they are.
        let sizes = x.to_dtype(DType::F64).abs();
        let extreme = if ord > 0.0 { sizes.amax(&dims, true) } else { sizes.amin(&dims, true) };
        let usable = extreme.isfinite().logical_and(&extreme.gt_scalar(0.0));
        let scale = Tensor::where_(&usable, &extreme, &extreme.ones_like());
        let scaled = sizes.div(&scale).root_of_powers(ord, &dims, keepdim);
        scaled.mul(&scale.reshape(scaled.shape())).to_dtype(dtype)
    }

    /// `(sum |x|^ord)^(1/ord)` in f64.
    #[track_caller]
    fn root_of_powers(&self, ord: f64, dims: &Dims, keepdim: bool) -> Tensor {
        let sums = dispatch!(float self.dtype(), "vector_norm", T => {
            if ord == 1.0 {
                self.sum_powers::<T, _>(PowerSum(|x: f64| x.abs()), dims, keepdim)
            } else if ord == 2.0 {
                self.sum_powers::<T, _>(PowerSum(|x: f64| x * x), dims, keepdim)
            } else {
                self.sum_powers::<T, _>(PowerSum(move |x: f64| x.abs().powf(ord)), dims, keepdim)
            }
        });
        sums.powf(1.0 / ord)
    }

    #[track_caller]
    fn sum_powers<T: Float, R: Reduce<T, Out = f64>>(&self, powers: R, dims: &Dims, keepdim: bool) -> Tensor {
        assert_eq!(T::DTYPE, self.dtype());
        self.reduce::<T, R>("vector_norm", powers, dims, keepdim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_the_range() {
        let norm = |x: [f64; 2], ord| Tensor::from(x).vector_norm(ord, 0, false).item::<f64>();
        for (x, ord, expected) in
            [([3e200, -4e200], 2.0, 5e200), ([3e-200, 4e-200], 2.0, 5e-200), ([1e-200, 1.0], -2.0, 1e-200)]
        {
            assert!((norm(x, ord) / expected - 1.0).abs() < 1e-15, "{x:?}");
        }
        assert_eq!(norm([f64::INFINITY, 1.0], 2.0), f64::INFINITY);
        assert_eq!(norm([f64::INFINITY, 1.0], -1.0), 1.0);
        assert_eq!([norm([0.0, 0.0], 3.0), norm([0.0, 2.0], -2.0)], [0.0, 0.0]);
        assert!(norm([f64::NAN, 1.0], 1.0).is_nan() && norm([f64::NAN, 1.0], f64::INFINITY).is_nan());
        assert_eq!(norm([f64::NAN, 1.0], 0.0), 2.0);
        assert_eq!(Tensor::from([3e30f32, 4e30]).norm().item::<f32>(), 5e30);
        for ord in [0.0, 0.5, 1.0, 2.0] {
            assert_eq!(Tensor::zeros([2, 0], DType::F32).vector_norm(ord, 1, true).to_vec::<f32>(), [0.0, 0.0]);
        }
    }
}
