//! Normalisations.

use autograd::Var;
use tensor::{BatchNorm, Tensor};

/// `(x - mean) / √(var + eps) * weight + bias` over the last dimensions, which have the shape `normalized_shape`, with the
/// biased variance; [`Var::layer_norm`] with its rule of shapes.
///
/// # Panics
/// When the last dimensions are not `normalized_shape`, and as [`Var::layer_norm`].
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[1f64, 3.0]]));
/// assert_eq!(functional::layer_norm(&x, &[2], None, None, 0.0).to_vec::<f64>(), [-1.0, 1.0]);
/// ```
#[track_caller]
pub fn layer_norm(input: &Var, normalized_shape: &[usize], weight: Option<&Var>, bias: Option<&Var>, eps: f64) -> Var {
    check_last("layer_norm", input, normalized_shape);
    input.layer_norm(normalized_shape.len(), weight, bias, eps)
}

/// `x / √(mean(x²) + eps) * weight` over the last dimensions, which have the shape `normalized_shape`;
/// [`Var::rms_norm`] with its rule of shapes. Without `eps` it is the machine epsilon of the input's dtype.
///
/// # Panics
/// When the last dimensions are not `normalized_shape`, and as [`Var::rms_norm`].
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[3f64, -3.0]]));
/// assert_eq!(functional::rms_norm(&x, &[2], None, Some(0.0)).to_vec::<f64>(), [1.0, -1.0]);
/// ```
#[track_caller]
pub fn rms_norm(input: &Var, normalized_shape: &[usize], weight: Option<&Var>, eps: Option<f64>) -> Var {
    check_last("rms_norm", input, normalized_shape);
    input.rms_norm(normalized_shape.len(), weight, eps)
}

#[track_caller]
fn check_last(op: &str, input: &Var, normalized_shape: &[usize]) {
    assert!(
        input.shape().ends_with(normalized_shape),
        "{op}: the last dimensions are not the normalised ones\n  input {:?}   rule [.., {normalized_shape:?}]",
        &input.shape()[..],
    );
}

/// [`Var::group_norm`].
#[track_caller]
pub fn group_norm(input: &Var, num_groups: usize, weight: Option<&Var>, bias: Option<&Var>, eps: f64) -> Var {
    input.group_norm(num_groups, weight, bias, eps)
}

/// `(x - mean) / √(var + eps) * weight + bias` per channel, and the new running mean and variance where there are running
/// ones and `training`; [`Var::batch_norm`] with PyTorch's rule for `eps`.
///
/// # Panics
/// When `eps` is negative, or zero in training, and as [`Var::batch_norm`].
///
/// # Differs
/// PyTorch changes the running statistics in place.
///
/// ```
/// use nn::prelude::*;
/// use tensor::BatchNorm;
///
/// let (x, training) = (Var::new(Tensor::from([[1f64], [3.0]])), BatchNorm { training: true, ..Default::default() });
/// let running = (Tensor::from([0f64]), Tensor::from([1f64]));
/// let (y, new) = functional::batch_norm(&x, Some((&running.0, &running.1)), None, None, &training);
/// assert!((y.to_vec::<f64>()[1] - 1.0).abs() < 1e-5);
/// assert_eq!(new.unwrap().0.to_vec::<f64>(), [0.2]);
/// ```
#[track_caller]
pub fn batch_norm(
    input: &Var,
    running: Option<(&Tensor, &Tensor)>,
    weight: Option<&Var>,
    bias: Option<&Var>,
    options: &BatchNorm,
) -> (Var, Option<(Tensor, Tensor)>) {
    let BatchNorm { training, eps, .. } = *options;
    assert!(!training || eps > 0.0, "batch_norm: eps must be positive in training\n  eps {eps}");
    assert!(eps >= 0.0, "batch_norm: eps must not be negative\n  eps {eps}");
    input.batch_norm(running, weight, bias, options)
}

/// [`Var::instance_norm`], which returns the new running statistics beside the result; `training` in the options is
/// PyTorch's `use_input_stats`.
#[track_caller]
pub fn instance_norm(
    input: &Var,
    running: Option<(&Tensor, &Tensor)>,
    weight: Option<&Var>,
    bias: Option<&Var>,
    options: &BatchNorm,
) -> (Var, Option<(Tensor, Tensor)>) {
    input.instance_norm(running, weight, bias, options)
}
