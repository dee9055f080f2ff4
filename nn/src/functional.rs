//! The losses as functions. Every other function of `torch.nn.functional` is the method of [`Var`] with its name:
//! `F.relu(x)` is `x.relu()`, and so are `softmax`, `gelu`, `dropout`, `linear`, `layer_norm` and
//! `scaled_dot_product_attention`.

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
    let shape = logits.shape();
    let probabilities = target.dtype().is_floating_point();
    let fits = match (&shape[..], probabilities) {
        ([], _) => false,
        (_, true) => target.dims() == &shape[..],
        ([_], false) => target.ndim() == 0,
        ([n, _, rest @ ..], false) => target.dims().split_first() == Some((n, rest)),
    };
    assert!(
        fits,
        "cross_entropy: the target does not fit\n  logits {shape}   target {} {}   \
         rule [n, c, d..] and indices [n, d..] or probabilities [n, c, d..]",
        target.dtype(),
        target.shape()
    );
    let class_dim = if shape.len() == 1 { 0 } else { 1 };
    let classes = shape[class_dim];
    let rows =
        |var: &Var| if shape.len() > 2 { var.movedim(1, -1) } else { var.clone() }.reshape([-1, classes as isize]);

    if probabilities {
        let smooth = options.label_smoothing;
        let target = rows(&Var::new(target.to_dtype(logits.dtype()))) * (1.0 - smooth) + smooth / classes as f64;
        let weighted = match &options.weight {
            Some(weight) => target * Var::new(weight.to_dtype(logits.dtype())),
            None => target,
        };
        let losses = -(weighted * rows(logits).log_softmax(1)).sum_dim(1, false);
        return match options.reduction {
            Reduction::Mean => losses.mean(),
            Reduction::Sum => losses.sum(),
            Reduction::None => losses.reshape(without(&shape, class_dim)),
        };
    }
    let loss = rows(logits).cross_entropy(&target.reshape([-1]), options);
    if options.reduction == Reduction::None { loss.reshape(target.dims().to_vec()) } else { loss }
}

fn without(shape: &[usize], dim: usize) -> Vec<usize> {
    [&shape[..dim], &shape[dim + 1..]].concat()
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
    let losses = (input - target).square();
    match reduction {
        Reduction::Mean => losses.mean(),
        Reduction::Sum => losses.sum(),
        Reduction::None => losses,
    }
}
