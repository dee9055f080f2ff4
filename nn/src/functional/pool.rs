//! Pooling.

use autograd::Var;
use tensor::{AvgPool, MaxPool, PerDim, Tensor};

use crate::AdaptiveSize;

/// [`Var::max_pool1d`].
#[track_caller]
pub fn max_pool1d(input: &Var, kernel_size: impl Into<PerDim>, options: &MaxPool) -> Var {
    input.max_pool1d(kernel_size, options)
}

/// [`Var::max_pool2d`].
#[track_caller]
pub fn max_pool2d(input: &Var, kernel_size: impl Into<PerDim>, options: &MaxPool) -> Var {
    input.max_pool2d(kernel_size, options)
}

/// [`Var::max_pool1d_with_indices`].
#[track_caller]
pub fn max_pool1d_with_indices(input: &Var, kernel_size: impl Into<PerDim>, options: &MaxPool) -> (Var, Tensor) {
    input.max_pool1d_with_indices(kernel_size, options)
}

/// [`Var::max_pool2d_with_indices`].
#[track_caller]
pub fn max_pool2d_with_indices(input: &Var, kernel_size: impl Into<PerDim>, options: &MaxPool) -> (Var, Tensor) {
    input.max_pool2d_with_indices(kernel_size, options)
}

/// [`Var::avg_pool1d`].
#[track_caller]
pub fn avg_pool1d(input: &Var, kernel_size: impl Into<PerDim>, options: &AvgPool) -> Var {
    input.avg_pool1d(kernel_size, options)
}

/// [`Var::avg_pool2d`].
#[track_caller]
pub fn avg_pool2d(input: &Var, kernel_size: impl Into<PerDim>, options: &AvgPool) -> Var {
    input.avg_pool2d(kernel_size, options)
}

/// [`Var::adaptive_avg_pool1d`].
#[track_caller]
pub fn adaptive_avg_pool1d(input: &Var, output_size: usize) -> Var {
    input.adaptive_avg_pool1d(output_size)
}

/// [`Var::adaptive_avg_pool2d`], of which a dimension may keep its size.
///
/// # Panics
/// As [`Var::adaptive_avg_pool2d`].
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[[1f64, 2.0], [3.0, 4.0]]]));
/// assert_eq!(functional::adaptive_avg_pool2d(&x, [None, Some(1)]).to_vec::<f64>(), [1.5, 3.5]);
/// ```
#[track_caller]
pub fn adaptive_avg_pool2d(input: &Var, output_size: impl Into<AdaptiveSize>) -> Var {
    input.adaptive_avg_pool2d(output_size.into().of(input))
}

/// [`Var::adaptive_max_pool1d`].
#[track_caller]
pub fn adaptive_max_pool1d(input: &Var, output_size: usize) -> Var {
    input.adaptive_max_pool1d(output_size)
}

/// [`Var::adaptive_max_pool2d`], of which a dimension may keep its size.
///
/// # Panics
/// As [`Var::adaptive_max_pool2d`].
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[[1f64, 2.0], [3.0, 4.0]]]));
/// assert_eq!(functional::adaptive_max_pool2d(&x, [Some(1), None]).to_vec::<f64>(), [3.0, 4.0]);
/// ```
#[track_caller]
pub fn adaptive_max_pool2d(input: &Var, output_size: impl Into<AdaptiveSize>) -> Var {
    input.adaptive_max_pool2d(output_size.into().of(input))
}

/// [`Var::adaptive_max_pool1d_with_indices`].
#[track_caller]
pub fn adaptive_max_pool1d_with_indices(input: &Var, output_size: usize) -> (Var, Tensor) {
    input.adaptive_max_pool1d_with_indices(output_size)
}

/// [`Var::adaptive_max_pool2d_with_indices`], of which a dimension may keep its size.
///
/// # Panics
/// As [`Var::adaptive_max_pool2d_with_indices`].
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[[1f64, 2.0], [3.0, 4.0]]]));
/// let (_, indices) = functional::adaptive_max_pool2d_with_indices(&x, [Some(1), None]);
/// assert_eq!(indices.to_vec::<i64>(), [2, 3]);
/// ```
#[track_caller]
pub fn adaptive_max_pool2d_with_indices(input: &Var, output_size: impl Into<AdaptiveSize>) -> (Var, Tensor) {
    input.adaptive_max_pool2d_with_indices(output_size.into().of(input))
}
