//! The negative log-likelihood of classes.

use crate::error::OrPanic;
use crate::ops::nn::cross_entropy::{Reduction, class_dim, classes_of};
use crate::{DType, Error, Tensor};

/// The targets as a gather reads them.
struct Targets {
    /// The classes, 0 where ignored, with a dimension for the classes.
    ids: Tensor,
    /// The weight of each target, 0 where ignored.
    weights: Tensor,
    ignored: Tensor,
}

impl Targets {
    #[track_caller]
    fn new(x: &Tensor, target: &Tensor, weight: Option<&Tensor>, ignore_index: i64) -> Targets {
        let classes = classes_of("nll_loss", x, target, weight, ignore_index).or_panic();
        let ids: Vec<i64> = classes.iter().map(|class| class.unwrap_or(0) as i64).collect();
        let by_class: Option<Vec<f64>> = weight.map(|w| w.to_dtype(DType::F64).to_vec());
        let weight_of = |class: usize| by_class.as_ref().map_or(1.0, |w| w[class]);
        let weights: Vec<f64> = classes.iter().map(|class| class.map_or(0.0, weight_of)).collect();
        let ignored: Vec<bool> = classes.iter().map(Option::is_none).collect();
        Targets {
            ids: Tensor::from_vec(ids, target.shape()).unsqueeze(class_dim(x)),
            weights: Tensor::from_vec(weights, target.shape()),
            ignored: Tensor::from_vec(ignored, target.shape()),
        }
    }
}

impl Tensor {
    /// `-w[t] x[t]` of log-probabilities `x`, for the target class `t` of each distribution.
    ///
    /// # Shape
    /// `x [c]`, `[n, c]` or `[n, c, d..]`, target `[]`, `[n]` or `[n, d..]` of i64, weight `[c]` -> a scalar, or the shape
    /// of the target without reduction.
    ///
    /// # Numerics
    /// Targets equal to `ignore_index` (PyTorch's default is -100) give 0, whatever `x` holds. The mean divides by the sum
    /// of the weights of the others, so it is NaN when there are none.
    ///
    /// # Panics
    /// If shapes or dtypes do not fit, or a target is neither a class nor `ignore_index`.
    ///
    /// ```
    /// use tensor::{Reduction, Tensor};
    /// let x = Tensor::from([[-1.0, -2.0], [-3.0, -4.0]]);
    /// assert_eq!(x.nll_loss(&Tensor::from([0i64, 1]), None, -100, Reduction::Sum).item::<f64>(), 5.0);
    /// ```
    #[track_caller]
    pub fn nll_loss(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        ignore_index: i64,
        reduction: Reduction,
    ) -> Tensor {
        let Targets { ids, weights, ignored } = Targets::new(self, target, weight, ignore_index);
        let dim = class_dim(self);
        if self.dim(dim) == 0 {
            // Without classes there are no targets but ignored ones.
            let none = Tensor::zeros(target.shape(), self.dtype());
            return reduce(none, &weights, reduction);
        }
        self.through_compute(|x| {
            let picked = x.gather(dim, &ids).squeeze(dim).neg();
            let losses = (picked * weights.to_dtype(x.dtype())).masked_fill(&ignored, 0.0);
            reduce(losses, &weights, reduction)
        })
    }

    /// The gradient of [`nll_loss`](Tensor::nll_loss) for an input of shape `dims`: `-w[t] dloss` at the targets, zeros
    /// elsewhere.
    ///
    /// # Panics
    /// As the forward pass, and if `dloss` does not have the loss's shape.
    #[track_caller]
    pub fn nll_loss_backward(
        dloss: &Tensor,
        dims: &[usize],
        target: &Tensor,
        weight: Option<&Tensor>,
        ignore_index: i64,
        reduction: Reduction,
    ) -> Tensor {
        let expected: &[usize] = if reduction == Reduction::None { target.dims() } else { &[] };
        if dloss.dims() != expected {
            let shapes: [(&str, &[usize]); 2] = [("dloss", dloss.dims()), ("loss", expected)];
            let what = "the gradient does not have the shape of the loss";
            panic!("{}", Error::shape("nll_loss_backward", what, &shapes, "equal shapes"));
        }
        dloss.through_compute(|dloss| {
            let zeros = Tensor::zeros(dims, dloss.dtype());
            let Targets { ids, weights, ignored } = Targets::new(&zeros, target, weight, ignore_index);
            let dim = class_dim(&zeros);
            if zeros.numel() == 0 {
                return zeros;
            }
            let each = if reduction == Reduction::Mean {
                dloss / weights.sum().to_dtype(dloss.dtype())
            } else {
                dloss.clone()
            };
            let each = (each.neg() * weights.to_dtype(dloss.dtype())).masked_fill(&ignored, 0.0);
            zeros.scatter_add(dim, &ids, &each.unsqueeze(dim))
        })
    }
}

#[track_caller]
fn reduce(losses: Tensor, weights: &Tensor, reduction: Reduction) -> Tensor {
    match reduction {
        Reduction::Mean => losses.sum() / weights.sum().to_dtype(losses.dtype()),
        reduction => losses.reduced("nll_loss", reduction),
    }
}
