//! Variances, medians, counts, and sums that pass over NaN.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::lines::{self, Lines};
use crate::kernels::reduce::SquaredDeviations;
use crate::{DType, Dims, Error, Tensor};

impl Tensor {
    /// The variance of all elements with Bessel's correction: `sum (x - mean)^2 / (n - 1)`.
    #[track_caller]
    pub fn var(&self) -> Tensor {
        self.var_dim([], 1.0, false)
    }

    /// The variance over `dims`: `sum (x - mean)^2 / max(n - correction, 0)`.
    ///
    /// `correction` is 1 for the unbiased estimate (PyTorch's default) and 0 for the population's variance.
    ///
    /// # Numerics
    /// One pass in double precision, whatever the dtype (Welford, "Note on a method for calculating corrected sums of
    /// squares and products", 1962; blocks merged as Chan, Golub and LeVeque do): no digits are lost to a large mean.
    /// Where `n` does not exceed the correction, the variance is infinite, or NaN if the elements are all alike.
    ///
    /// # Panics
    /// For integers and bools.
    #[track_caller]
    pub fn var_dim(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> Tensor {
        self.wide_variance(&dims.into(), correction, keepdim).to_dtype(self.dtype())
    }

    /// The standard deviation of all elements: the square root of [`var`](Tensor::var).
    #[track_caller]
    pub fn std(&self) -> Tensor {
        self.std_dim([], 1.0, false)
    }

    /// The standard deviation over `dims`: the square root of [`var_dim`](Tensor::var_dim).
    #[track_caller]
    pub fn std_dim(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> Tensor {
        self.wide_variance(&dims.into(), correction, keepdim).sqrt().to_dtype(self.dtype())
    }

    /// The variance (with Bessel's correction) and the mean of all elements.
    #[track_caller]
    pub fn var_mean(&self) -> (Tensor, Tensor) {
        self.var_mean_dim([], 1.0, false)
    }

    /// The variance and the mean over `dims`; see [`var_dim`](Tensor::var_dim).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (var, mean) = Tensor::from([[1.0, 3.0], [5.0, 5.0]]).var_mean_dim(1, 1.0, false);
    /// assert_eq!((var.to_vec::<f64>(), mean.to_vec::<f64>()), (vec![2.0, 0.0], vec![2.0, 5.0]));
    /// ```
    #[track_caller]
    pub fn var_mean_dim(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> (Tensor, Tensor) {
        let dims = dims.into();
        let var = self.wide_variance(&dims, correction, keepdim);
        (var.to_dtype(self.dtype()), self.mean_dim(dims, keepdim))
    }

    /// The variance in f64.
    #[track_caller]
    fn wide_variance(&self, dims: &Dims, correction: f64, keepdim: bool) -> Tensor {
        self.require_float("var_dim");
        let (x, n) = (self.widen(), self.count_over("var_dim", dims) as f64);
        let squares =
            dispatch!(float x.dtype(), "var_dim", T => x.reduce::<T, _>("var_dim", SquaredDeviations, dims, keepdim));
        squares.div_scalar((n - correction).max(0.0))
    }

    /// The standard deviation (with Bessel's correction) and the mean of all elements.
    #[track_caller]
    pub fn std_mean(&self) -> (Tensor, Tensor) {
        self.std_mean_dim([], 1.0, false)
    }

    /// The standard deviation and the mean over `dims`; see [`var_dim`](Tensor::var_dim).
    #[track_caller]
    pub fn std_mean_dim(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> (Tensor, Tensor) {
        let dims = dims.into();
        let std = self.wide_variance(&dims, correction, keepdim).sqrt();
        (std.to_dtype(self.dtype()), self.mean_dim(dims, keepdim))
    }

    /// How many elements over `dims` (an empty list names all) are not zero, in i64. NaN is not zero.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([[0i64, 1], [2, 3]]).count_nonzero(1).to_vec::<i64>(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn count_nonzero(&self, dims: impl Into<Dims>) -> Tensor {
        let dims = dims.into();
        dims.resolve("count_nonzero", self.ndim()).or_panic();
        self.truth().sum_dim(dims, false)
    }

    /// The sum over `dims` (an empty list names all), to which NaN adds nothing.
    #[track_caller]
    pub fn nansum(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        let dims = dims.into();
        dims.resolve("nansum", self.ndim()).or_panic();
        match self.dtype().is_floating_point() {
            true => self.masked_fill(&self.isnan(), 0.0).sum_dim(dims, keepdim),
            false => self.sum_dim(dims, keepdim),
        }
    }

    /// The mean over `dims` (an empty list names all) of the elements that are not NaN; NaN where there are none.
    ///
    /// # Panics
    /// For integers and bools.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1.0, f64::NAN, 3.0]).nanmean([], false).item::<f64>(), 2.0);
    /// ```
    #[track_caller]
    pub fn nanmean(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        let dims = dims.into();
        dims.resolve("nanmean", self.ndim()).or_panic();
        self.require_float("nanmean");
        // Wide until the division: a half does not hold every count.
        self.through_compute(|x| x.nansum(&dims, keepdim).div(&x.isnan().logical_not().sum_dim(&dims, keepdim)))
    }

    /// The element in the middle of all in order, the lower one of two; NaN if there is one, or no element.
    ///
    /// # Panics
    /// For bool, and for an integer tensor without elements.
    #[track_caller]
    pub fn median(&self) -> Tensor {
        self.middle("median", false)
    }

    /// The middle elements along `dim` (the lower one of two), and where they were: of several equal ones, the first. A line
    /// with a NaN has the first NaN.
    ///
    /// # Panics
    /// For bool, and if the dimension has no element.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (values, indices) = Tensor::from([[4.0, 1.0, 3.0, 2.0]]).median_dim(1, false);
    /// assert_eq!((values.to_vec::<f64>(), indices.to_vec::<i64>()), (vec![2.0], vec![3]));
    /// ```
    #[track_caller]
    pub fn median_dim(&self, dim: isize, keepdim: bool) -> (Tensor, Tensor) {
        self.middles("median_dim", dim, keepdim, false)
    }

    /// The element in the middle of all that are not NaN, the lower one of two; NaN if there is none.
    ///
    /// # Panics
    /// For bool, and for an integer tensor without elements.
    #[track_caller]
    pub fn nanmedian(&self) -> Tensor {
        self.middle("nanmedian", true)
    }

    /// The middle elements along `dim` among those that are not NaN, and where they were. A line of NaN has its first.
    ///
    /// # Panics
    /// For bool, and if the dimension has no element.
    #[track_caller]
    pub fn nanmedian_dim(&self, dim: isize, keepdim: bool) -> (Tensor, Tensor) {
        self.middles("nanmedian_dim", dim, keepdim, true)
    }

    #[track_caller]
    fn middle(&self, op: &str, pass_nan: bool) -> Tensor {
        if self.numel() == 0 && self.dtype().is_floating_point() {
            return Tensor::full((), f64::NAN, self.dtype());
        }
        self.reshape([self.numel()]).middles(op, 0, false, pass_nan).0
    }

    #[track_caller]
    fn middles(&self, op: &str, dim: isize, keepdim: bool, pass_nan: bool) -> (Tensor, Tensor) {
        if self.dtype() == DType::Bool {
            panic!("{}", Error::dtype(op, "not defined for bool; convert with to_dtype first"));
        }
        let shape = self.line_shape(op, dim, true);
        let x = self.ordered();
        let dim_of_lines = x.resolve(op, dim);
        let indices = dispatch!(number x.dtype(), op, T => {
            let lines = Lines::new(x.elements::<T>(), dim_of_lines);
            Tensor::build::<i64>(shape, |out| lines.map(1, out, |line, out| out[0] = lines::median(line, pass_nan) as i64))
        });
        self.taken_along(dim, indices, keepdim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_for_the_correction() {
        let x = Tensor::from([1.0, 1.0, 2.0]);
        assert_eq!(x.var_dim(0, 3.0, false).item::<f64>(), f64::INFINITY);
        assert_eq!(x.std_dim(0, 4.0, false).item::<f64>(), f64::INFINITY);
        assert!(Tensor::from([1.0]).var().item::<f64>().is_nan());
        assert!(Tensor::zeros([0], DType::F32).std().item::<f64>().is_nan());
    }

    #[test]
    fn a_large_mean_or_spread_costs_no_digits() {
        let x = Tensor::from([10_000.0f32, 10_000.002, 10_000.004, 9_999.998]);
        let exact = x.to_dtype(DType::F64).var().item::<f64>();
        assert!((x.var().item::<f64>() / exact - 1.0).abs() < 1e-6);
        let spread = Tensor::from([1e30f32, -1e30]).std().item::<f64>();
        assert!((spread / 2e60f64.sqrt() - 1.0).abs() < 1e-6);
        let many = Tensor::full([3, 5000], 0.1, DType::F32);
        assert_eq!(many.var_dim(1, 0.0, false).to_vec::<f32>(), [0.0; 3]);
        assert_eq!(many.t().contiguous().var_dim(0, 0.0, false).to_vec::<f32>(), [0.0; 3]);
        assert!(Tensor::from([1.0, f64::INFINITY]).var().item::<f64>().is_nan());
    }

    #[test]
    fn medians_with_ties_and_nan() {
        let nan = f64::NAN;
        assert_eq!(Tensor::from([3i64, 1, 2, 2]).median_dim(0, true).1.to_vec::<i64>(), [2]);
        assert_eq!(Tensor::from([1.0, nan, 2.0, nan]).median_dim(0, false).1.item::<i64>(), 1);
        assert_eq!(Tensor::from([1.0, nan, 2.0, nan]).nanmedian().item::<f64>(), 1.0);
        assert_eq!(Tensor::from([nan, nan]).nanmedian_dim(0, false).1.item::<i64>(), 0);
        assert!(Tensor::from([1.0, nan, 2.0]).median().item::<f64>().is_nan());
        assert!(Tensor::zeros([0], DType::F32).median().item::<f64>().is_nan());
        assert_eq!(Tensor::scalar(7i64).median_dim(-1, true).0.item::<i64>(), 7);
        assert_eq!(Tensor::zeros([0, 3], DType::F32).median_dim(1, false).0.dims(), [0]);
    }

    #[test]
    fn sums_without_nan() {
        let x = Tensor::from([[1.0, f64::NAN], [f64::NAN, f64::NAN]]);
        assert_eq!(x.nansum(1, false).to_vec::<f64>(), [1.0, 0.0]);
        let mean = x.nanmean(1, false).to_vec::<f64>();
        assert!(mean[0] == 1.0 && mean[1].is_nan());
        assert_eq!(Tensor::from([1i64, 2]).nansum([], false).item::<i64>(), 3);
    }
}
