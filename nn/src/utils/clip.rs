//! Gradient clipping.

use std::error::Error;
use std::fmt;

use tensor::{DType, Tensor};

use crate::Parameter;

/// Options of [`clip_grad_norm_`].
#[derive(Debug, Clone, Copy)]
pub struct ClipOptions {
    /// The exponent of the norm; infinity is the largest absolute value (default: 2).
    pub norm_type: f64,
    /// Refuse a norm that is NaN or infinite and leave the gradients alone (default: false).
    pub error_if_nonfinite: bool,
}

impl Default for ClipOptions {
    fn default() -> ClipOptions {
        ClipOptions { norm_type: 2.0, error_if_nonfinite: false }
    }
}

/// The norm of the gradients is not finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NonFiniteNorm(
    /// The norm: NaN or infinity.
    pub f64,
);

impl fmt::Display for NonFiniteNorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clip_grad_norm_: the total norm of the gradients is {}, so they cannot be clipped", self.0)
    }
}

impl Error for NonFiniteNorm {}

/// The norm of all gradients, taken as if they were one vector: `(Σ |g|^p)^(1/p)`. Parameters without a gradient do not
/// count.
///
/// The norm of order 0 counts the gradients that are not zero everywhere, infinity takes the largest absolute value and
/// minus infinity the smallest norm, as in PyTorch, which takes the norm of the gradients' norms.
///
/// # Numerics
/// In f64: the norm of finite gradients of f32 or less is finite, and zero only when they are.
///
/// # Differs
/// PyTorch stays in the gradients' dtype. There an f32 norm beyond about 1e19 is infinite, so that clipping leaves zeros.
///
/// ```
/// use nn::prelude::*;
/// use nn::utils::get_total_norm;
///
/// let w = Parameter::new(Tensor::from([1f64, 1.0]));
/// (&*w * &Var::new(Tensor::from([3f64, 4.0]))).sum().backward();
/// assert_eq!(get_total_norm(&[w], 2.0), 5.0);
/// ```
pub fn get_total_norm(params: &[Parameter], norm_type: f64) -> f64 {
    let gradients = params.iter().filter_map(|parameter| parameter.grad()).filter(|gradient| gradient.numel() > 0);
    if norm_type == 2.0 {
        return gradients.fold(0.0, |sum, gradient| sum + squares(&gradient.value())).sqrt();
    }
    let norm = |values: &Tensor| values.to_dtype(DType::F64).vector_norm(norm_type, [], false).item::<f64>();
    let norms: Vec<f64> = gradients.map(|gradient| norm(&gradient.value())).collect();
    if norms.is_empty() { 0.0 } else { norm(&Tensor::from_slice(&norms, [norms.len()])) }
}

/// The sum of the squares, also where squares leave the range of f32.
fn squares(gradient: &Tensor) -> f64 {
    let sum = gradient.sum_of_squares();
    if (1e-30..f64::INFINITY).contains(&sum) { sum } else { gradient.to_dtype(DType::F64).sum_of_squares() }
}

/// What gradients of norm `total_norm` are multiplied by so that it becomes `max_norm`: `max_norm / (total_norm + 1e-6)`, at
/// most 1. NaN for a norm that is NaN.
///
/// ```
/// use nn::utils::clip_coefficient;
/// assert!((clip_coefficient(1.0, 4.0) - 0.25).abs() < 1e-6);
/// assert_eq!(clip_coefficient(1.0, 0.5), 1.0);
/// ```
pub fn clip_coefficient(max_norm: f64, total_norm: f64) -> f64 {
    let coefficient = max_norm / (total_norm + 1e-6);
    if coefficient > 1.0 { 1.0 } else { coefficient }
}

/// Scales all gradients by their [`clip_coefficient`]: the second half of [`clip_grad_norm_`], for a norm that is known.
///
/// An optimizer's `step_scaled` does so while it reads the gradients, without this pass over their memory.
pub fn clip_grads_with_norm_(params: &[Parameter], max_norm: f64, total_norm: f64) {
    let scale = clip_coefficient(max_norm, total_norm);
    // Scaling by 1 would change nothing, so it is left out; NaN goes on into the gradients.
    if scale != 1.0 {
        for gradient in params.iter().filter_map(|parameter| parameter.grad()) {
            gradient.update(|value| value.mul_scalar_(scale));
        }
    }
}

/// Scales all gradients by their [`clip_coefficient`], and returns their norm of before: see [`get_total_norm`].
///
/// # Numerics
/// A norm that is not finite passes into the gradients, as in PyTorch, unless
/// [`error_if_nonfinite`](ClipOptions::error_if_nonfinite) is set.
///
/// # Errors
/// A norm that is not finite, when asked to refuse it.
///
/// # Source
/// Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.
///
/// ```
/// use nn::prelude::*;
/// use nn::utils::{ClipOptions, clip_grad_norm_};
///
/// let w = Parameter::new(Tensor::from([1f64, 1.0]));
/// (&*w * &Var::new(Tensor::from([3f64, 4.0]))).sum().backward();
/// let parameters = [w];
/// assert_eq!(clip_grad_norm_(&parameters, 1.0, ClipOptions::default()).unwrap(), 5.0);
/// assert!((parameters[0].grad().unwrap().value().square().sum().item::<f64>() - 1.0).abs() < 1e-6);
/// ```
pub fn clip_grad_norm_(params: &[Parameter], max_norm: f64, options: ClipOptions) -> Result<f64, NonFiniteNorm> {
    let norm = get_total_norm(params, options.norm_type);
    if options.error_if_nonfinite && !norm.is_finite() {
        return Err(NonFiniteNorm(norm));
    }
    clip_grads_with_norm_(params, max_norm, norm);
    Ok(norm)
}

/// Cuts every element of every gradient to `-clip_value..=clip_value`.
///
/// ```
/// use nn::prelude::*;
/// use nn::utils::clip_grad_value_;
///
/// let w = Parameter::new(Tensor::from([1f64, 1.0]));
/// (&*w * &Var::new(Tensor::from([3f64, -0.5]))).sum().backward();
/// let parameters = [w];
/// clip_grad_value_(&parameters, 1.0);
/// assert_eq!(parameters[0].grad().unwrap().to_vec::<f64>(), [1.0, -0.5]);
/// ```
pub fn clip_grad_value_(params: &[Parameter], clip_value: f64) {
    for gradient in params.iter().filter_map(|parameter| parameter.grad()) {
        gradient.update(|value| *value = value.clamp(Some(-clip_value), Some(clip_value)));
    }
}
