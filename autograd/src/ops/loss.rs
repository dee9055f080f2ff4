//! Losses of classes: cross-entropy and the negative log-likelihood.

use tensor::{CrossEntropy, DType, Reduction, Shape, Tensor};

use crate::mode::is_grad_enabled;
use crate::reference::reference_vjp;
use crate::var::Var;

impl Var {
    /// `-log softmax(x)[target]` of each row of these logits, weighted and reduced as `options` says, in one pass over
    /// memory.
    ///
    /// # Shape
    /// `[c]`, `[n, c]` or `[n, c, d..]`, target `[]`, `[n]` or `[n, d..]` (i64) -> `[]`, or the shape of the target without
    /// reduction. A target of floats is probabilities, as in [`Var::cross_entropy_probs`].
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
        if target.dtype().is_floating_point() {
            return self.cross_entropy_probs(&Var::new(target.clone()), options);
        }
        let (value, saved) = self.tensor().cross_entropy(target, options);
        let x = self.keep();
        let (kept, how) = (target.clone(), options.clone());
        let loss = Var::record("cross_entropy", value, [self], move |dy, need| {
            if is_grad_enabled() {
                return reference_vjp(|v| reference(&v[0], &kept, &how), &[&x], dy, need);
            }
            vec![Some(Var::new(Tensor::cross_entropy_backward(&dy.tensor(), &x.tensor(), &kept, &saved, &how)))]
        });
        loss.reads("target", target).reads_if("weight", options.weight.as_ref())
    }

    /// `-sum w q log softmax(x)` over the classes for target probabilities, smoothed to `q` and weighted and reduced as
    /// `options` says.
    ///
    /// # Shape
    /// Logits and target `[c]`, `[n, c]` or `[n, c, d..]` -> `[]`, or the shape without the classes.
    ///
    /// # Gradient
    /// `dx = dy (softmax(x) sum(w q) - w q)`, `dtarget = -dy (1 - s) w log softmax(x)`. Keeps the logarithm of the softmax
    /// and the target.
    #[track_caller]
    pub fn cross_entropy_probs(&self, target: &Var, options: &CrossEntropy) -> Var {
        if matches!(self.dtype(), DType::F16 | DType::BF16) {
            // Computed in single precision and rounded once.
            return self.to_dtype(DType::F32).cross_entropy_probs(target, options).to_dtype(self.dtype());
        }
        let (factor, shift, dim) = options.smoothing(&self.tensor(), &target.tensor());
        let smooth = options.label_smoothing;
        let target = if smooth == 0.0 { target.clone() } else { target * (1.0 - smooth) + shift };
        let weighted = if options.weight.is_some() { target * Var::new(factor) } else { target };
        let losses = (self.log_softmax(dim) * weighted).sum_dim(dim, false).neg();
        match options.reduction {
            Reduction::Mean => losses.sum() / losses.numel() as f64,
            reduction => reduced("cross_entropy", losses, reduction),
        }
    }

    /// `-w[t] x[t]` of log-probabilities `x` for target classes `t`, reduced.
    ///
    /// # Shape
    /// `[c]`, `[n, c]` or `[n, c, d..]`, target `[]`, `[n]` or `[n, d..]` (i64), weight `[c]` -> `[]`, or the shape of the
    /// target without reduction.
    ///
    /// # Gradient
    /// `dx = -w[t] dy` at the targets, divided by the sum of the weights for the mean; zeros elsewhere. Keeps the target.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Reduction, Tensor};
    /// let x = Var::new(Tensor::from([[-1.0, -2.0]])).requires_grad_(true);
    /// x.nll_loss(&Tensor::from([1i64]), None, -100, Reduction::Mean).backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, -1.0]);
    /// ```
    #[track_caller]
    pub fn nll_loss(&self, target: &Tensor, weight: Option<&Tensor>, ignore_index: i64, reduction: Reduction) -> Var {
        Likelihood { target: target.clone(), weight: weight.cloned(), ignore_index, reduction }
            .forward(self)
            .reads("target", target)
            .reads_if("weight", weight)
    }
}

/// The arguments of the negative log-likelihood. It is linear, so that it and its gradient are each other's gradients.
#[derive(Clone)]
struct Likelihood {
    target: Tensor,
    weight: Option<Tensor>,
    ignore_index: i64,
    reduction: Reduction,
}

impl Likelihood {
    #[track_caller]
    fn forward(self, x: &Var) -> Var {
        let value = x.tensor().nll_loss(&self.target, self.weight.as_ref(), self.ignore_index, self.reduction);
        let shape = x.shape();
        Var::record_unary("nll_loss", value, x, move |dy| self.clone().backward(dy, &shape))
    }

    fn backward(self, dy: &Var, shape: &Shape) -> Var {
        let Likelihood { target, weight, ignore_index, reduction } = &self;
        let dx = Tensor::nll_loss_backward(&dy.tensor(), shape, target, weight.as_ref(), *ignore_index, *reduction);
        Var::record_unary("nll_loss_backward", dx, dy, move |ddx| self.clone().forward(ddx))
    }
}

/// Losses reduced.
#[track_caller]
pub(crate) fn reduced(op: &str, losses: Var, reduction: Reduction) -> Var {
    match reduction {
        Reduction::None => losses,
        Reduction::Sum => losses.sum(),
        Reduction::Mean => losses.mean(),
        Reduction::BatchMean => panic!("{op}: BatchMean is a reduction of kl_div only"),
    }
}

/// The plain reference of cross-entropy with classes.
fn reference(x: &Var, target: &Tensor, options: &CrossEntropy) -> Var {
    let dim = if x.ndim() == 1 { 0 } else { 1 };
    let (c, smoothing) = (x.dim(dim), options.label_smoothing);
    let ignored = target.eq_scalar(options.ignore_index as f64);
    let target = target.masked_fill(&ignored, 0.0);
    let by_class = match &options.weight {
        Some(weight) => weight.to_dtype(x.dtype()),
        None => Tensor::ones([c], x.dtype()),
    };
    let weights = by_class.index_select(0, &target.reshape([target.numel()])).reshape(target.shape());
    let weights = weights.masked_fill(&ignored, 0.0);
    let logs = x.log_softmax(dim);
    let exact = logs.gather(dim, &target.unsqueeze(dim)).squeeze(dim) * Var::new(weights.clone());
    let spread: Vec<usize> = (0..x.ndim() as isize).map(|d| if d == dim { c } else { 1 }).collect();
    let smooth = (logs * Var::new(by_class.reshape(spread))).sum_dim(dim, false);
    let losses = (exact * (smoothing - 1.0) - smooth * (smoothing / c as f64)).masked_fill(&ignored, 0.0);
    match options.reduction {
        Reduction::Mean => losses.sum() / Var::new(weights.sum()),
        reduction => reduced("cross_entropy", losses, reduction),
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("cross_entropy", &[REAL], class_logits, |v, p| {
            let (target, c) = (class_targets(&v[0], p), v[0].dim(class_dim(&v[0])));
            let options = CrossEntropy { ignore_index: p.below(5) as i64 - 1, ..some_options(c, p) };
            v[0].cross_entropy(&target, &options).into()
        }),
        sample("cross_entropy_probs", &[REAL, POSITIVE], class_logits, |v, p| {
            let c = v[0].dim(class_dim(&v[0]));
            v[0].cross_entropy_probs(&v[1], &some_options(c, p)).into()
        }),
        sample("nll_loss", &[REAL], class_logits, |v, p| {
            let target = class_targets(&v[0], p);
            let options = some_options(v[0].dim(class_dim(&v[0])), p);
            v[0].nll_loss(&target, options.weight.as_ref(), p.below(5) as i64 - 1, options.reduction).into()
        }),
    ]
}

#[cfg(test)]
fn class_dim(x: &Var) -> isize {
    if x.ndim() == 1 { 0 } else { 1 }
}

/// Targets for logits.
#[cfg(test)]
fn class_targets(x: &Var, pick: &mut crate::testing::Pick) -> Tensor {
    let (mut shape, dim) = (x.shape().to_vec(), class_dim(x));
    let classes = shape.remove(dim as usize);
    pick.ids(&shape, classes)
}

/// Options that do not give NaN when all is ignored.
#[cfg(test)]
fn some_options(classes: usize, pick: &mut crate::testing::Pick) -> CrossEntropy {
    CrossEntropy {
        weight: pick.coin().then(|| Tensor::arange(1.0, classes as f64 + 1.0, 1.0, DType::F64)),
        label_smoothing: [0.0, 0.1][pick.below(2)],
        reduction: [Reduction::Sum, Reduction::None][pick.below(2)],
        ..Default::default()
    }
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("nn.functional.cross_entropy", &["cross_entropy", "cross_entropy_probs"], |a| {
            let (x, target) = (a.var(0, "input")?, a.var(1, "target")?);
            let options = CrossEntropy {
                weight: a.opt_tensor(2, "weight")?,
                ignore_index: a.int_or(4, "ignore_index", -100)? as i64,
                reduction: reduction_of(a, 6)?,
                label_smoothing: a.number_or(7, "label_smoothing", 0.0)?,
            };
            done(match target.dtype().is_floating_point() {
                true => x.cross_entropy_probs(&target, &options),
                false => x.cross_entropy(&target.value(), &options),
            })
        }),
        torch("nn.functional.nll_loss", &["nll_loss"], |a| {
            let (x, target, weight) = (a.var(0, "input")?, a.tensor(1, "target")?, a.opt_tensor(2, "weight")?);
            let ignore_index = a.int_or(4, "ignore_index", -100)? as i64;
            done(x.nll_loss(&target, weight.as_ref(), ignore_index, reduction_of(a, 6)?))
        }),
    ]
}

/// The reduction that PyTorch's call names.
#[cfg(test)]
pub(crate) fn reduction_of(
    a: &crate::testing::conformance::Args,
    i: usize,
) -> Result<Reduction, crate::testing::conformance::Skip> {
    match &*a.text(i, "reduction", "mean")? {
        "none" => Ok(Reduction::None),
        "mean" => Ok(Reduction::Mean),
        "sum" => Ok(Reduction::Sum),
        "batchmean" => Ok(Reduction::BatchMean),
        other => crate::testing::conformance::skip(format!("the reduction {other}, which is no value of an enum here")),
    }
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
    fn cross_entropy_of_images_agrees_with_its_reference() {
        let mut pick = crate::testing::Pick::new(1);
        let target = pick.ids(&[2, 3, 2], 5);
        for reduction in [Reduction::Mean, Reduction::None] {
            let options = CrossEntropy { label_smoothing: 0.1, ignore_index: 2, reduction, ..Default::default() };
            agrees_with_reference(
                &[REAL],
                &[&[2, 5, 3, 2]],
                |v| v[0].cross_entropy(&target, &options),
                |v| reference(&v[0], &target, &options),
            );
        }
    }

    #[test]
    fn extreme_logits() {
        let (options, inf) = (CrossEntropy::default(), f64::INFINITY);
        let x = Var::new(Tensor::from([[1e4, -1e4, -inf], [-1e4, -1e4, -inf]])).requires_grad_(true);
        let loss = x.cross_entropy(&Tensor::from([1i64, 0]), &CrossEntropy { reduction: Reduction::None, ..options });
        let expected = Tensor::from([2e4, 2f64.ln()]);
        assert!(loss.value().allclose(&expected, 1e-12, 0.0));
        loss.sum().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [1.0, -1.0, 0.0, -0.5, 0.5, 0.0]);
        let log = x.value().log_softmax(1).nll_loss(&Tensor::from([1i64, 0]), None, -100, Reduction::None);
        assert!(log.allclose(&expected, 1e-12, 0.0));
        let ignored = x.nll_loss(&Tensor::from([2i64, 2]), None, 2, Reduction::Sum);
        assert_eq!(ignored.item::<f64>(), 0.0);
    }

    #[test]
    fn rows_that_are_all_ignored() {
        let x = Var::new(Tensor::from([[1.0, 2.0]])).requires_grad_(true);
        assert!(x.cross_entropy(&Tensor::from([-100i64]), &CrossEntropy::default()).item::<f64>().is_nan());
    }
}
