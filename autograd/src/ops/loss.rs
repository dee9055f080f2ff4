//! Losses.

use tensor::{CrossEntropy, Reduction, Tensor};

use crate::mode::is_grad_enabled;
use crate::reference::reference_vjp;
use crate::var::Var;

impl Var {
    /// `-log softmax(x)[target]` of each row of these logits, weighted and reduced as `options` says, in one pass over
    /// memory.
    ///
    /// # Shape
    /// `[n, c]`, target `[n]` (i64) -> `[]`, or `[n]` without reduction.
    ///
    /// # Gradient
    /// `dx = dy w (softmax(x) - onehot(target))`, zero in ignored rows; with label smoothing `s` the target is
    /// `(1 - s) onehot + s / c`. Keeps `x` and two numbers per row.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{CrossEntropy, Tensor};
    /// let x = Var::new(Tensor::from([[0.0, 0.0]])).requires_grad_(true);
    /// x.cross_entropy(&Tensor::from([1i64]), &CrossEntropy::default()).backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.5, -0.5]);
    /// ```
    #[track_caller]
    pub fn cross_entropy(&self, target: &Tensor, options: &CrossEntropy) -> Var {
        let (value, saved) = self.tensor().cross_entropy(target, options);
        let x = self.keep();
        let (target, options) = (target.clone(), options.clone());
        Var::record("cross_entropy", value, [self], move |dy, need| {
            if is_grad_enabled() {
                return reference_vjp(|v| reference(&v[0], &target, &options), &[&x], dy, need);
            }
            vec![Some(Var::new(Tensor::cross_entropy_backward(&dy.tensor(), &x.tensor(), &target, &saved, &options)))]
        })
    }
}

/// The plain reference.
fn reference(x: &Var, target: &Tensor, options: &CrossEntropy) -> Var {
    let (c, smoothing) = (x.dim(1), options.label_smoothing);
    let ignored = target.eq_scalar(options.ignore_index as f64);
    let target = target.masked_fill(&ignored, 0.0);
    let by_class = match &options.weight {
        Some(weight) => weight.to_dtype(x.dtype()),
        None => Tensor::ones([c], x.dtype()),
    };
    let weights = by_class.index_select(0, &target).masked_fill(&ignored, 0.0);
    let logs = x.log_softmax(1);
    let exact = logs.gather(1, &target.unsqueeze(1)).squeeze(1) * Var::new(weights.clone());
    let smooth = (logs * Var::new(by_class)).sum_dim(1, false).masked_fill(&ignored, 0.0);
    let losses = exact * (smoothing - 1.0) - smooth * (smoothing / c as f64);
    match options.reduction {
        Reduction::None => losses,
        Reduction::Sum => losses.sum(),
        _ => losses.sum() / Var::new(weights.sum()),
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![sample("cross_entropy", &[REAL], logits, |v, p| {
        let (n, c) = (v[0].dim(0), v[0].dim(1));
        let options = CrossEntropy {
            weight: p.coin().then(|| Tensor::arange(1.0, c as f64 + 1.0, 1.0, tensor::DType::F64)),
            label_smoothing: [0.0, 0.1][p.below(2)],
            reduction: [Reduction::Sum, Reduction::None][p.below(2)],
            ..Default::default()
        };
        v[0].cross_entropy(&p.ids(&[n], c), &options).into()
    })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{REAL, agrees_with_reference};

    #[test]
    fn cross_entropy_agrees_with_its_reference() {
        let target = Tensor::from([3i64, 0, -100, 36, 7]);
        let weight = Tensor::arange(0.0, 37.0, 1.0, tensor::DType::F64).sin() + 2.0;
        for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
            for weight in [None, Some(weight.clone())] {
                for label_smoothing in [0.0, 0.2] {
                    let weight = weight.clone();
                    let options = CrossEntropy { weight, label_smoothing, reduction, ..Default::default() };
                    agrees_with_reference(
                        &[REAL],
                        &[&[5, 37]],
                        |v| {
                            let weight = options.weight.as_ref().map(|w| w.to_dtype(v[0].dtype()));
                            v[0].cross_entropy(&target, &CrossEntropy { weight, ..options.clone() })
                        },
                        |v| reference(&v[0], &target, &options),
                    );
                }
            }
        }
    }

    #[test]
    fn rows_that_are_all_ignored() {
        let x = Var::new(Tensor::from([[1.0, 2.0]])).requires_grad_(true);
        assert!(x.cross_entropy(&Tensor::from([-100i64]), &CrossEntropy::default()).item::<f64>().is_nan());
    }
}
