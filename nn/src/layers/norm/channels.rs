//! What the normalisations by channels share: a weight and a bias per channel, and running statistics.

use autograd::Var;
use tensor::{DType, Tensor};

use crate::layers::printed;
use crate::{Buffer, Parameter};

/// Weights of one and biases of zero, as far as there are any.
pub(super) fn affine(
    channels: usize,
    affine: bool,
    bias: bool,
    dtype: DType,
) -> (Option<Parameter>, Option<Parameter>) {
    let weight = affine.then(|| Parameter::new(Tensor::ones([channels], dtype)));
    let bias = (affine && bias).then(|| Parameter::new(Tensor::zeros([channels], dtype)));
    (weight, bias)
}

/// Means of zero, variances of one, and the number of batches that went into them.
pub(super) fn running(channels: usize, tracked: bool, dtype: DType) -> [Option<Buffer>; 3] {
    let start = [Tensor::zeros([channels], dtype), Tensor::ones([channels], dtype), Tensor::scalar(0i64)];
    start.map(|value| tracked.then(|| Buffer::new(value)))
}

/// Sets the buffers back to those of [`running`].
pub(super) fn reset(buffers: [&Option<Buffer>; 3]) {
    for (buffer, start) in buffers.into_iter().zip([0.0, 1.0, 0.0]) {
        if let Some(buffer) = buffer {
            buffer.set(buffer.value().full_like(start));
        }
    }
}

/// The values of a pair of buffers that are there together.
pub(super) fn pair(mean: &Option<Buffer>, var: &Option<Buffer>) -> Option<(Tensor, Tensor)> {
    Some((mean.as_ref()?.value(), var.as_ref()?.value()))
}

/// Sets a pair of buffers, where there is something to set.
pub(super) fn set_pair(mean: &Option<Buffer>, var: &Option<Buffer>, new: Option<(Tensor, Tensor)>) {
    if let (Some(mean), Some(var), Some(new)) = (mean, var, new) {
        mean.set(new.0);
        var.set(new.1);
    }
}

/// Refuses an input of another number of dimensions than these.
#[track_caller]
pub(super) fn check_dims(layer: &str, input: &Var, allowed: &[usize], rule: &str) {
    let shape = input.shape();
    assert!(
        allowed.contains(&shape.len()),
        "{layer}: the input is {}-d\n  input {:?}   rule {rule}",
        shape.len(),
        &shape[..]
    );
}

/// Refuses an input that has another number of channels in dimension `dim`.
#[track_caller]
pub(super) fn check_channels(layer: &str, input: &Var, dim: usize, channels: usize) {
    let shape = input.shape();
    assert!(
        shape[dim] == channels,
        "{layer}: the input has {} channels, the layer {channels}\n  input {:?}",
        shape[dim],
        &shape[..]
    );
}

/// What the layers with running statistics print.
pub(super) fn repr(
    features: usize,
    eps: f64,
    momentum: String,
    weight: &Option<Parameter>,
    bias: &Option<Parameter>,
    tracked: bool,
) -> String {
    let (affine, bias) = (printed::flag(weight.is_some()), printed::flag(bias.is_some()));
    let (eps, tracked) = (printed::float(eps), printed::flag(tracked));
    format!("{features}, eps={eps}, momentum={momentum}, affine={affine}, bias={bias}, track_running_stats={tracked}")
}
