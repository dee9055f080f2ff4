//! Reductions over one, several or all dimensions.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::reduce::{self, All, Any, Max, Min, Prod, Reduce, Sum, SumInteger, SumOfSquares};
use crate::ops::promotion::require_float;
use crate::{DType, Dims, Element, Error, Shape, Tensor};

impl Tensor {
    #[track_caller]
    pub(crate) fn reduce<T: Element, R: Reduce<T>>(&self, op: &str, r: R, dims: &Dims, keepdim: bool) -> Tensor {
        let dims = dims.resolve(op, self.ndim()).or_panic();
        let shape = reduce::reduced_shape(self.dims(), &dims, keepdim);
        Tensor::build::<R::Out>(shape, |out| reduce::reduce(r, self.elements::<T>(), &dims, out))
    }

    /// The sum of all elements, as a scalar. Integers and bools are summed in i64.
    ///
    /// # Numerics
    /// f32 is added up in short blocks and then in double precision.
    #[track_caller]
    pub fn sum(&self) -> Tensor {
        self.sum_dim([], false)
    }

    /// The sum over `dims` (an empty list names all), which vanish or, with `keepdim`, stay with size 1.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(t.sum_dim(-1, false).to_vec::<f64>(), [3.0, 7.0]);
    /// assert_eq!(t.sum_dim(0, true).shape(), &[1, 2]);
    /// ```
    #[track_caller]
    pub fn sum_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        let dims = dims.into();
        match self.dtype() {
            DType::F16 | DType::BF16 => self.through_compute(|x| x.sum_dim(dims, keepdim)),
            DType::F32 => self.reduce::<f32, _>("sum_dim", Sum, &dims, keepdim),
            DType::F64 => self.reduce::<f64, _>("sum_dim", Sum, &dims, keepdim),
            _ => self.to_dtype(DType::I64).reduce::<i64, _>("sum_dim", SumInteger, &dims, keepdim),
        }
    }

    /// The mean of all elements; NaN when there are none.
    ///
    /// # Panics
    /// For integers and bools, whose mean is no element of theirs; convert with [`to_dtype`](Tensor::to_dtype) first.
    #[track_caller]
    pub fn mean(&self) -> Tensor {
        self.mean_dim([], false)
    }

    /// The mean over `dims`; an empty list names all.
    ///
    /// # Panics
    /// As [`mean`](Tensor::mean).
    #[track_caller]
    pub fn mean_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        let dims = dims.into();
        self.require_float("mean_dim");
        let n = self.count_over("mean_dim", &dims);
        self.through_compute(|x| x.sum_dim(dims, keepdim).div_scalar(n as f64))
    }

    /// Refuses integers and bools.
    #[track_caller]
    pub(crate) fn require_float(&self, op: &str) {
        require_float(op, self.dtype());
    }

    /// The product of all elements, as a scalar. Integers and bools are multiplied in i64.
    #[track_caller]
    pub fn prod(&self) -> Tensor {
        self.prod_dim([], false)
    }

    /// The product over `dims`.
    #[track_caller]
    pub fn prod_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        let dims = dims.into();
        match self.dtype() {
            DType::F16 | DType::BF16 => self.through_compute(|x| x.prod_dim(dims, keepdim)),
            DType::F32 => self.reduce::<f32, _>("prod_dim", Prod, &dims, keepdim),
            DType::F64 => self.reduce::<f64, _>("prod_dim", Prod, &dims, keepdim),
            _ => self.to_dtype(DType::I64).reduce::<i64, _>("prod_dim", Prod, &dims, keepdim),
        }
    }

    /// The greatest element over `dims`; NaN if there is one.
    ///
    /// # Panics
    /// If there is no element to choose from.
    #[track_caller]
    pub fn amax(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        let dims = dims.into();
        self.require_elements("amax", &dims);
        self.extremum("amax", Max, dims, keepdim)
    }

    /// The least element over `dims`; NaN if there is one.
    ///
    /// # Panics
    /// If there is no element to choose from.
    #[track_caller]
    pub fn amin(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        let dims = dims.into();
        self.require_elements("amin", &dims);
        self.extremum("amin", Min, dims, keepdim)
    }

    #[track_caller]
    fn extremum<R>(&self, op: &str, r: R, dims: Dims, keepdim: bool) -> Tensor
    where
        R: Reduce<f32> + Reduce<f64> + Reduce<i64> + Reduce<u8>,
    {
        if self.dtype() == DType::Bool {
            return self.to_dtype(DType::U8).extremum(op, r, dims, keepdim).to_dtype(DType::Bool);
        }
        self.through_compute(|x| dispatch!(number x.dtype(), op, T => x.reduce::<T, R>(op, r, &dims, keepdim)))
    }

    /// The least and the greatest element over `dims`: [`amin`](Tensor::amin) and [`amax`](Tensor::amax).
    ///
    /// # Panics
    /// If there is no element to choose from.
    #[track_caller]
    pub fn aminmax(&self, dims: impl Into<Dims>, keepdim: bool) -> (Tensor, Tensor) {
        let dims = dims.into();
        (self.amin(&dims, keepdim), self.amax(dims, keepdim))
    }

    /// The greatest of all elements, as a scalar.
    #[track_caller]
    pub fn max(&self) -> Tensor {
        self.amax([], false)
    }

    /// The least of all elements, as a scalar.
    #[track_caller]
    pub fn min(&self) -> Tensor {
        self.amin([], false)
    }

    /// Whether any element is not zero, as a bool scalar (for u8, as PyTorch, in u8).
    pub fn any(&self) -> Tensor {
        self.any_dim([], false)
    }

    /// Whether any element is not zero over `dims`.
    #[track_caller]
    pub fn any_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        self.answered(self.truth().reduce::<bool, _>("any_dim", Any, &dims.into(), keepdim))
    }

    /// Whether all elements are not zero, as a bool scalar (for u8, as PyTorch, in u8).
    pub fn all(&self) -> Tensor {
        self.all_dim([], false)
    }

    /// Whether all elements are not zero over `dims`.
    #[track_caller]
    pub fn all_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        self.answered(self.truth().reduce::<bool, _>("all_dim", All, &dims.into(), keepdim))
    }

    /// The answer to a question about this tensor's elements: bool, but u8 for u8, which once stood for truth in PyTorch.
    fn answered(&self, answer: Tensor) -> Tensor {
        if self.dtype() == DType::U8 { answer.to_dtype(DType::U8) } else { answer }
    }

    /// `log sum e^x` over `dims`, computed around the maximum so that nothing overflows.
    #[track_caller]
    pub fn logsumexp(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        let dims = dims.into();
        if self.dtype().is_half() {
            return self.through_compute(|x| x.logsumexp(dims, keepdim));
        }
        let x = self.to_dtype(self.dtype().to_float());
        let max = x.extremum("logsumexp", Max, dims.clone(), true);
        // Infinite maxima are subtracted as 0: inf - inf would be NaN.
        let max = Tensor::where_(&max.isfinite(), &max, &max.zeros_like());
        let log = x.sub(&max).exp().sum_dim(&dims, true).log().add(&max);
        let resolved = dims.resolve("logsumexp", self.ndim()).or_panic();
        log.reshape(reduce::reduced_shape(self.dims(), &resolved, keepdim))
    }

    /// The sum over every dimension along which this tensor was stretched from `shape`: the gradient of broadcasting.
    ///
    /// # Panics
    /// If this tensor's shape is not `shape` stretched.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let t = Tensor::ones([4, 2, 3], DType::F32).sum_to([2, 1]);
    /// assert_eq!(t.to_vec::<f32>(), [12.0, 12.0]);
    /// ```
    #[track_caller]
    pub fn sum_to(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        if *self.shape() == shape {
            return self.clone();
        }
        let stretched = crate::layout::Layout::contiguous(shape.clone()).expand("sum_to", self.shape());
        stretched.or_panic();
        let lead = self.ndim() - shape.len();
        let dims: Vec<isize> = (0..self.ndim())
            .filter(|&d| d < lead || (shape[d - lead] == 1 && self.dims()[d] != 1))
            .map(|d| d as isize)
            .collect();
        if dims.is_empty() {
            return self.reshape(shape);
        }
        self.sum_dim(dims, true).reshape(shape)
    }

    /// The sum of the squares of all elements: the square of the Euclidean norm.
    ///
    /// # Numerics
    /// Short blocks are added up in the tensor's dtype, the blocks in double precision.
    ///
    /// # Panics
    /// For integers and bools.
    #[track_caller]
    pub fn sum_of_squares(&self) -> f64 {
        let x = if self.dtype().is_half() { self.widen() } else { self.clone() };
        let sum = dispatch!(float x.dtype(), "sum_of_squares", T =>
            x.reduce::<T, _>("sum_of_squares", SumOfSquares, &Dims::default(), false));
        sum.item()
    }

    /// How many elements each result over `dims` is made of.
    #[track_caller]
    pub(crate) fn count_over(&self, op: &str, dims: &Dims) -> usize {
        dims.resolve(op, self.ndim()).or_panic().iter().map(|&d| self.dims()[d]).product()
    }

    #[track_caller]
    pub(crate) fn require_elements(&self, op: &str, dims: &Dims) {
        if self.count_over(op, dims) == 0 {
            let what = "there is no element to choose from";
            panic!("{}", Error::shape(op, what, &[("tensor", self.shape())], "the dimensions are not empty"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_sums_at_the_ends_of_the_range() {
        let (up, down) = (f64::INFINITY, f64::NEG_INFINITY);
        let sum = |x: [f64; 3]| Tensor::from(x).logsumexp(0, false).item::<f64>();
        assert_eq!([sum([down; 3]), sum([up, 0.0, down]), sum([up; 3]), sum([1e4, -1e4, down])], [down, up, up, 1e4]);
        assert_eq!(sum([-1e4, -1e4, -2e4]), -1e4 + 2f64.ln());
        assert!(sum([f64::NAN, 0.0, up]).is_nan());
        assert_eq!(Tensor::zeros([2, 0], DType::F32).logsumexp(1, false).to_vec::<f32>(), [f32::NEG_INFINITY; 2]);
        assert_eq!(Tensor::from([true, true]).logsumexp([], false).item::<f32>(), 1.0 + 2f32.ln());
    }
}
