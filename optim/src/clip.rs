//! Gradient clipping.

use std::error::Error;
use std::fmt;

use nn::Parameter;

/// Options of [`clip_grad_norm_`].
#[derive(Debug, Clone, Copy)]
pub struct ClipOptions {
    /// The exponent of the norm, above 0; infinity is the largest absolute value (default: 2).
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

/// Scales all gradients by `max_norm / (norm + 1e-6)` when that is below 1, and returns their norm of before, taken
/// over all parameters as if they were one vector. Parameters without a gradient do not count.
///
/// # Numerics
/// The norm is summed in f64. A norm that is not finite passes into the gradients, as in PyTorch, unless
/// [`error_if_nonfinite`](ClipOptions::error_if_nonfinite) is set.
///
/// # Errors
/// A norm that is not finite, when asked to refuse it.
///
/// # Panics
/// When `norm_type` is not above 0.
///
/// # Differs
/// PyTorch also takes a `norm_type` of 0 or below.
///
/// # Source
/// Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.
///
/// ```
/// use nn::prelude::*;
/// use optim::{ClipOptions, clip_grad_norm_};
///
/// let w = Parameter::new(Tensor::from([1f64, 1.0]));
/// (&*w * &Var::new(Tensor::from([3f64, 4.0]))).sum().backward();
/// let parameters = [w];
/// assert_eq!(clip_grad_norm_(&parameters, 1.0, ClipOptions::default()).unwrap(), 5.0);
/// assert!((parameters[0].grad().unwrap().value().square().sum().item::<f64>() - 1.0).abs() < 1e-6);
/// ```
#[track_caller]
pub fn clip_grad_norm_(params: &[Parameter], max_norm: f64, options: ClipOptions) -> Result<f64, NonFiniteNorm> {
    let gradients: Vec<_> = params.iter().filter_map(|parameter| parameter.grad()).collect();
    let p = options.norm_type;
    assert!(p > 0.0, "clip_grad_norm_: the exponent of the norm is not above 0\n  norm_type {p}");
    let norm = if p == 2.0 {
        gradients.iter().map(|gradient| gradient.value().sum_of_squares()).sum::<f64>().sqrt()
    } else if p == f64::INFINITY {
        let largest = gradients.iter().filter(|gradient| gradient.numel() > 0);
        // `f64::max` would lose a NaN.
        let largest = largest.map(|gradient| gradient.value().abs().max().item::<f64>());
        largest.fold(0.0, |a: f64, b| if a.is_nan() || a > b { a } else { b })
    } else {
        let powers = gradients
            .iter()
            .map(|gradient| gradient.value().to_dtype(tensor::DType::F64).abs().powf(p).sum().item::<f64>());
        powers.sum::<f64>().powf(1.0 / p)
    };
    if options.error_if_nonfinite && !norm.is_finite() {
        return Err(NonFiniteNorm(norm));
    }
    let scale = max_norm / (norm + 1e-6);
    // Scaling by 1 would change nothing, so it is left out; NaN goes on into the gradients.
    if scale < 1.0 || scale.is_nan() {
        for gradient in &gradients {
            gradient.update(|value| value.mul_scalar_(scale));
        }
    }
    Ok(norm)
}
