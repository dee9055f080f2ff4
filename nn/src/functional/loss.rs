//! The losses that are methods of [`Var`], as functions.

use autograd::Var;
use tensor::{CrossEntropy, Ctc, Reduction, Tensor, broadcast_shapes};

/// `-w[y] log softmax(x)[y]` for class indices `y`, or `-Σ w p log softmax(x)` for class probabilities `p` (a target of
/// a floating dtype), then the reduction; see [`Var::cross_entropy`].
///
/// With label smoothing ε the target is `(1 - ε) p + ε / c`. The mean divides by the sum of the weights of the targets
/// that are not ignored (indices), or by the number of targets (probabilities).
///
/// # Shape
/// logits `[c]`, `[n, c]` or `[n, c, d..]`; indices `[]`, `[n]` or `[n, d..]`; probabilities have the shape of the
/// logits. A loss without reduction has the shape of the indices.
///
/// # Gradient
/// `w[y] (softmax(x) - p)`, scaled like the loss; nothing flows to the target, for which there is
/// [`cross_entropy_probs`].
///
/// # Numerics
/// From the logits by a stable log-softmax. When all targets are ignored the mean is NaN, as in PyTorch.
///
/// # Panics
/// When the shapes do not fit, or an index is neither a class nor `ignore_index`.
///
/// ```
/// use nn::prelude::*;
///
/// let logits = Var::new(Tensor::from([[1f64, 2.0, 0.5]]));
/// let by_index = functional::cross_entropy(&logits, &Tensor::from([1i64]), &Default::default());
/// let by_probability = functional::cross_entropy(&logits, &Tensor::from([[0f64, 1.0, 0.0]]), &Default::default());
/// assert!((by_index.item::<f64>() - by_probability.item::<f64>()).abs() < 1e-12);
/// ```
#[track_caller]
pub fn cross_entropy(logits: &Var, target: &Tensor, options: &CrossEntropy) -> Var {
    logits.cross_entropy(target, options)
}

/// [`cross_entropy`] for class probabilities that get a gradient too: [`Var::cross_entropy_probs`].
#[track_caller]
pub fn cross_entropy_probs(logits: &Var, target: &Var, options: &CrossEntropy) -> Var {
    logits.cross_entropy_probs(target, options)
}

/// `-w[y] x[y]` of log-probabilities: [`Var::nll_loss`].
#[track_caller]
pub fn nll_loss(input: &Var, target: &Tensor, weight: Option<&Tensor>, ignore_index: i64, reduction: Reduction) -> Var {
    input.nll_loss(target, weight, ignore_index, reduction)
}

/// `(x - t)²`: [`Var::mse_loss`].
#[track_caller]
pub fn mse_loss(input: &Var, target: &Var, reduction: Reduction) -> Var {
    input.mse_loss(target, reduction)
}

/// `|x - t|`: [`Var::l1_loss`].
#[track_caller]
pub fn l1_loss(input: &Var, target: &Var, reduction: Reduction) -> Var {
    input.l1_loss(target, reduction)
}

/// A parabola that goes on as a line of slope 1 at distance `beta`: [`Var::smooth_l1_loss`].
#[track_caller]
pub fn smooth_l1_loss(input: &Var, target: &Var, reduction: Reduction, beta: f64) -> Var {
    input.smooth_l1_loss(target, reduction, beta)
}

/// A parabola that goes on as a line at distance `delta`: [`Var::huber_loss`].
#[track_caller]
pub fn huber_loss(input: &Var, target: &Var, reduction: Reduction, delta: f64) -> Var {
    input.huber_loss(target, reduction, delta)
}

/// `-w (t log x + (1 - t) log(1 - x))` of probabilities: [`Var::binary_cross_entropy`].
#[track_caller]
pub fn binary_cross_entropy(input: &Var, target: &Var, weight: Option<&Tensor>, reduction: Reduction) -> Var {
    input.binary_cross_entropy(target, weight, reduction)
}

/// [`binary_cross_entropy`] of `sigmoid(x)`, from `x` itself: [`Var::binary_cross_entropy_with_logits`].
#[track_caller]
pub fn binary_cross_entropy_with_logits(
    input: &Var,
    target: &Var,
    weight: Option<&Tensor>,
    pos_weight: Option<&Tensor>,
    reduction: Reduction,
) -> Var {
    input.binary_cross_entropy_with_logits(target, weight, pos_weight, reduction)
}

/// `t (log t - x)` of log-probabilities `x`: [`Var::kl_div`].
#[track_caller]
pub fn kl_div(input: &Var, target: &Var, reduction: Reduction, log_target: bool) -> Var {
    input.kl_div(target, reduction, log_target)
}

/// `-log` of the probability of sequences of labels over all their alignments: [`Var::ctc_loss`].
#[track_caller]
pub fn ctc_loss(
    log_probs: &Var,
    targets: &Tensor,
    input_lengths: &Tensor,
    target_lengths: &Tensor,
    options: &Ctc,
) -> Var {
    log_probs.ctc_loss(targets, input_lengths, target_lengths, options)
}

/// Losses reduced.
#[track_caller]
pub(super) fn reduced(op: &str, losses: Var, reduction: Reduction) -> Var {
    match reduction {
        Reduction::None => losses,
        Reduction::Sum => losses.sum(),
        Reduction::Mean => losses.mean(),
        Reduction::BatchMean => panic!("{op}: BatchMean is a reduction of kl_div only"),
    }
}

/// Panics in the name of `op` when these shapes do not broadcast.
#[track_caller]
pub(super) fn check_broadcast(op: &str, a: &[usize], b: &[usize]) {
    broadcast_shapes(op, a, b).unwrap_or_else(|error| panic!("{error}"));
}
