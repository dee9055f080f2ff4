//! The losses as functions. Every other function of `torch.nn.functional` is the method of [`Var`] with its name:
//! `F.relu(x)` is `x.relu()`, and so are `softmax`, `gelu`, `dropout`, `linear`, `layer_norm` and
//! `scaled_dot_product_attention`.

mod conv;
mod norm;
mod pool;

pub use conv::*;
pub use norm::*;
pub use pool::*;

use autograd::Var;
use tensor::{CrossEntropy, Reduction, Tensor};

/// `-w[y] log softmax(x)[y]` for class indices `y`, or `-Σ w p log softmax(x)` for class probabilities `p` (a target of
/// a floating dtype), then the reduction.
///
/// With label smoothing ε the target is `(1 - ε) p + ε / c`. The mean divides by the sum of the weights of the targets
/// that are not ignored (indices), or by the number of targets (probabilities).
///
/// # Shape
/// logits `[c]`, `[n, c]` or `[n, c, d..]`; indices `[]`, `[n]` or `[n, d..]`; probabilities have the shape of the
/// logits. A loss without reduction has the shape of the indices.
///
/// # Gradient
/// `w[y] (softmax(x) - p)`, scaled like the loss; nothing flows to the target.
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

/// `(x - target)²`, then the reduction.
///
/// # Gradient
/// `2 (x - target)`, scaled like the loss, and its negative to the target.
///
/// # Panics
/// When the shapes differ.
///
/// # Differs
/// PyTorch warns about shapes that differ and broadcasts them.
///
/// ```
/// use nn::prelude::*;
///
/// let (x, y) = (Var::new(Tensor::from([1f32, 2.0])), Var::new(Tensor::from([1f32, 4.0])));
/// assert_eq!(functional::mse_loss(&x, &y, Reduction::Sum).item::<f32>(), 4.0);
/// ```
#[track_caller]
pub fn mse_loss(input: &Var, target: &Var, reduction: Reduction) -> Var {
    assert!(
        input.shape() == target.shape(),
        "mse_loss: the shapes differ\n  input {}   target {}",
        input.shape(),
        target.shape()
    );
    input.mse_loss(target, reduction)
}
