//! Losses that compare an input with a target element by element. The target is a value like any other: it gets its
//! gradient too.

use tensor::{PairLoss, Reduction, Tensor, broadcast_shapes};

use crate::mode::is_grad_enabled;
use crate::ops::loss::reduced;
use crate::reference::reference_vjp;
use crate::var::Var;

/// Defines the losses: doc, name, parameters.
macro_rules! losses {
    ($($(#[$doc:meta])* $name:ident($($p:ident),*): $loss:expr;)*) => { impl Var {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self, target: &Var, reduction: Reduction $(, $p: f64)*) -> Var {
            self.pair(target, $loss, reduction)
        }
    )*}};
}

losses! {
    /// `(x - t)^2`, reduced; broadcasts.
    ///
    /// # Gradient
    /// `dx = 2 dy (x - t)`, `dt = -dx`. Keeps `x` and `t`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Reduction, Tensor};
    /// let x = Var::new(Tensor::from([1.0, 4.0])).requires_grad_(true);
    /// x.mse_loss(&Var::new(Tensor::from([1.0, 2.0])), Reduction::Mean).backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 2.0]);
    /// ```
    mse_loss(): PairLoss::Mse;
    /// `|x - t|`, reduced; broadcasts.
    ///
    /// # Gradient
    /// `dx = dy sign(x - t)`, which is 0 at 0, and `dt = -dx`. Keeps `x` and `t`.
    l1_loss(): PairLoss::L1;
    /// `(x - t)^2 / (2 beta)` where `|x - t| < beta`, else `|x - t| - beta / 2`, reduced; broadcasts. PyTorch's default is
    /// `beta = 1`.
    ///
    /// # Gradient
    /// `dx = dy (x - t) / beta` where `|x - t| < beta`, else `dy sign(x - t)`, and `dt = -dx`. Keeps `x` and `t`.
    ///
    /// # Source
    /// Girshick, *Fast R-CNN*, 2015.
    smooth_l1_loss(beta): PairLoss::SmoothL1 { beta };
    /// `(x - t)^2 / 2` where `|x - t| < delta`, else `delta (|x - t| - delta / 2)`, reduced; broadcasts. PyTorch's default
    /// is `delta = 1`.
    ///
    /// # Gradient
    /// `dx = dy (x - t)` where `|x - t| < delta`, else `dy delta sign(x - t)`, and `dt = -dx`. Keeps `x` and `t`.
    huber_loss(delta): PairLoss::Huber { delta };
}

impl Var {
    /// `-w (t log x + (1 - t) log(1 - x))` of probabilities `x` and `t`, reduced; the logarithms are limited to -100 from
    /// below. Inputs and targets outside `[0, 1]` are refused.
    ///
    /// # Shape
    /// Input and target agree; the weight broadcasts to them.
    ///
    /// # Gradient
    /// `dx = dy w (x - t) / max(x (1 - x), 1e-12)`, `dt = dy w (log(1 - x) - log x)`. Keeps `x` and `t`.
    #[track_caller]
    pub fn binary_cross_entropy(&self, target: &Var, weight: Option<&Tensor>, reduction: Reduction) -> Var {
        let Some(weight) = weight else { return self.pair(target, PairLoss::BinaryCrossEntropy, reduction) };
        let weight = Var::new(weight.to_dtype(self.dtype()).expand(self.shape()));
        let each = self.pair(target, PairLoss::BinaryCrossEntropy, Reduction::None);
        reduced("binary_cross_entropy", each * weight, reduction)
    }

    /// `-w (p t log s + (1 - t) log(1 - s))` with `s = sigmoid(x)`, reduced, and a weight `p` of the positive class; from
    /// `x` itself, so that nothing overflows.
    ///
    /// # Shape
    /// Input and target agree; the weights broadcast to them.
    ///
    /// # Gradient
    /// Without weights `dx = dy (s - t)` and `dt = -dy x`. Keeps `x` and `t`.
    #[track_caller]
    pub fn binary_cross_entropy_with_logits(
        &self,
        target: &Var,
        weight: Option<&Tensor>,
        pos_weight: Option<&Tensor>,
        reduction: Reduction,
    ) -> Var {
        if weight.is_none() && pos_weight.is_none() {
            return self.pair(target, PairLoss::BinaryCrossEntropyWithLogits, reduction);
        }
        let spread = |w: &Tensor| Var::new(w.to_dtype(self.dtype()).expand(self.shape()));
        let mut each = self.pair(target, PairLoss::BinaryCrossEntropyWithLogits, Reduction::None);
        if let Some(pos_weight) = pos_weight {
            // What the positive class weighs beyond 1.
            each = each - (spread(pos_weight) - 1.0) * target * self.logsigmoid();
        }
        if let Some(weight) = weight {
            each = each * spread(weight);
        }
        reduced("binary_cross_entropy_with_logits", each, reduction)
    }

    /// `t (log t - x)` for log-probabilities `x` and probabilities `t`, or `e^t (t - x)` if the target too is a logarithm
    /// (`log_target`), reduced; broadcasts.
    ///
    /// # Gradient
    /// `dx = -dy t`, `dt = dy (log t + 1 - x)`, or with `log_target` `dx = -dy e^t`, `dt = dy e^t (t - x + 1)`. Keeps `x`
    /// and `t`.
    ///
    /// # Differs
    /// At `t = 0` the gradient `dt` is `-inf`, its limit; PyTorch has NaN.
    #[track_caller]
    pub fn kl_div(&self, target: &Var, reduction: Reduction, log_target: bool) -> Var {
        self.pair(target, if log_target { PairLoss::KlDivLogTarget } else { PairLoss::KlDiv }, reduction)
    }

    /// The loss in one pass, its gradients in one pass each.
    #[track_caller]
    fn pair(&self, target: &Var, loss: PairLoss, reduction: Reduction) -> Var {
        let value = self.tensor().pair_loss(&target.tensor(), loss, reduction);
        let all = [self, target];
        let (x, t) = (self.keep_for(&all), target.keep_for(&all));
        Var::record(loss.name(), value, all, move |dy, need| {
            if is_grad_enabled() {
                let rows = x.shape().first().copied().unwrap_or(1) as f64;
                return match loss {
                    // Their gradients are no gradients of the limited logarithms.
                    PairLoss::BinaryCrossEntropy => {
                        let dy = if reduction == Reduction::Mean { dy / x.numel() as f64 } else { dy.clone() };
                        let spread = ((&*x * -1.0 + 1.0) * &*x).clamp(Some(1e-12), None);
                        let dx = need.of(0, || &dy * (&*x - &*t) / spread);
                        vec![dx, need.of(1, || &dy * (x.neg().log1p() - x.log()))]
                    }
                    // That of the reference is 0 / 0 for a probability of 0.
                    PairLoss::KlDiv => {
                        let shape = broadcast_shapes("kl_div", &x.shape(), &t.shape()).expect("checked before");
                        let parts = match reduction {
                            Reduction::Mean => shape.numel() as f64,
                            Reduction::BatchMean => rows,
                            _ => 1.0,
                        };
                        let dy = (dy / parts).expand(&shape);
                        vec![need.of(0, || dy.neg() * &*t), need.of(1, || &dy * (t.log() + 1.0 - &*x))]
                    }
                    _ => reference_vjp(|v| reference(&v[0], &v[1], loss, reduction, rows), &[&x, &t], dy, need),
                };
            }
            let wanted = [need.is(0), need.is(1)];
            let grads = Tensor::pair_loss_backward(&dy.tensor(), &x.tensor(), &t.tensor(), loss, reduction, wanted);
            grads.into_iter().map(|grad| grad.map(Var::new)).collect()
        })
    }
}

/// The plain reference.
fn reference(x: &Var, t: &Var, loss: PairLoss, reduction: Reduction, rows: f64) -> Var {
    let bent = |end: f64, bend: f64, slope: f64| {
        let d = x - t;
        let inside = d.tensor().abs().lt_scalar(end);
        // The parabola of what lies outside is not computed: it would be divided by a bend of 0.
        let parabola =
            d.masked_fill(&inside.logical_not(), 0.0).square() * (0.5 / if bend == 0.0 { 1.0 } else { bend });
        Var::where_(&inside, &parabola, &((d.abs() - 0.5 * end) * slope))
    };
    let losses = match loss {
        PairLoss::Mse => (x - t).square(),
        PairLoss::L1 => (x - t).abs(),
        PairLoss::SmoothL1 { beta } => bent(beta, beta, 1.0),
        PairLoss::Huber { delta } => bent(delta, 1.0, delta),
        PairLoss::BinaryCrossEntropy => (t - 1.0) * x.neg().log1p() - t * x.log(),
        PairLoss::BinaryCrossEntropyWithLogits => (1.0 - t) * x - x.logsigmoid(),
        PairLoss::KlDiv => t * (t.log() - x),
        PairLoss::KlDivLogTarget => t.exp() * (t - x),
    };
    match reduction {
        Reduction::BatchMean => losses.sum() / rows,
        reduction => reduced(loss.name(), losses, reduction),
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    const SOME: [Reduction; 2] = [Reduction::Sum, Reduction::None];
    const PROBABILITY: Domain = Domain::Range(0.1, 0.9);
    vec![
        sample("mse_loss", &[REAL, REAL], broadcast, |v, p| v[0].mse_loss(&v[1], SOME[p.below(2)]).into()),
        sample("mse_loss", &[REAL, REAL], nonempty, |v, _| v[0].mse_loss(&v[1], Reduction::Mean).into()),
        sample("l1_loss", &[DISTINCT, DISTINCT], broadcast, |v, p| v[0].l1_loss(&v[1], SOME[p.below(2)]).into()),
        sample("smooth_l1_loss", &[POSITIVE, Domain::Range(-2.6, -0.2)], same, |v, p| {
            v[0].smooth_l1_loss(&v[1], SOME[p.below(2)], [0.4, 9.0][p.below(2)]).into()
        }),
        sample("huber_loss", &[POSITIVE, Domain::Range(-2.6, -0.2)], same, |v, p| {
            v[0].huber_loss(&v[1], SOME[p.below(2)], [0.4, 9.0][p.below(2)]).into()
        }),
        sample("binary_cross_entropy", &[PROBABILITY, PROBABILITY], same, |v, p| {
            let weight = p.coin().then(|| p.mask(&v[0].shape()).to_dtype(tensor::DType::F64) + 0.5);
            v[0].binary_cross_entropy(&v[1], weight.as_ref(), SOME[p.below(2)]).into()
        }),
        sample("binary_cross_entropy_with_logits", &[REAL, REAL], same, |v, p| {
            let weight = p.coin().then(|| p.mask(&v[0].shape()).to_dtype(tensor::DType::F64) + 0.5);
            let pos_weight = p.coin().then(|| Tensor::scalar(1.5));
            let reduction = SOME[p.below(2)];
            v[0].binary_cross_entropy_with_logits(&v[1], weight.as_ref(), pos_weight.as_ref(), reduction).into()
        }),
        sample("kl_div", &[REAL, POSITIVE], nonempty, |v, p| {
            let reduction = [Reduction::Mean, Reduction::BatchMean, Reduction::None][p.below(3)];
            v[0].kl_div(&v[1], reduction, p.coin()).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::ops::loss::reduction_of;
    use crate::testing::conformance::*;
    fn operands(a: &Args) -> Result<(Var, Var), Skip> {
        Ok((a.var(0, "input")?, a.var(1, "target")?))
    }
    vec![
        torch("nn.functional.mse_loss", &["mse_loss"], |a| {
            let (x, t) = operands(a)?;
            done(x.mse_loss(&t, reduction_of(a, 4)?))
        }),
        torch("nn.functional.l1_loss", &["l1_loss"], |a| {
            let (x, t) = operands(a)?;
            done(x.l1_loss(&t, reduction_of(a, 4)?))
        }),
        torch("nn.functional.smooth_l1_loss", &["smooth_l1_loss"], |a| {
            let (x, t) = operands(a)?;
            done(x.smooth_l1_loss(&t, reduction_of(a, 4)?, a.number_or(5, "beta", 1.0)?))
        }),
        torch("nn.functional.huber_loss", &["huber_loss"], |a| {
            let (x, t) = operands(a)?;
            done(x.huber_loss(&t, reduction_of(a, 2)?, a.number_or(3, "delta", 1.0)?))
        }),
        torch("nn.functional.binary_cross_entropy", &["binary_cross_entropy"], |a| {
            let (x, t) = operands(a)?;
            done(x.binary_cross_entropy(&t, a.opt_tensor(2, "weight")?.as_ref(), reduction_of(a, 5)?))
        }),
        torch("nn.functional.binary_cross_entropy_with_logits", &["binary_cross_entropy_with_logits"], |a| {
            let (x, t) = operands(a)?;
            let (weight, pos_weight) = (a.opt_tensor(2, "weight")?, a.opt_tensor(6, "pos_weight")?);
            let reduction = reduction_of(a, 5)?;
            done(x.binary_cross_entropy_with_logits(&t, weight.as_ref(), pos_weight.as_ref(), reduction))
        }),
        torch("nn.functional.kl_div", &["kl_div"], |a| {
            let (x, t) = operands(a)?;
            done(x.kl_div(&t, reduction_of(a, 4)?, a.flag(5, "log_target", false)?))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Domain, POSITIVE, REAL, agrees_with_reference, gradient_at};

    #[test]
    fn fused_losses_agree_with_their_references() {
        let probability = Domain::Range(0.05, 0.95);
        let losses = [
            (PairLoss::Mse, REAL, REAL),
            (PairLoss::L1, REAL, REAL),
            (PairLoss::SmoothL1 { beta: 0.7 }, REAL, REAL),
            (PairLoss::SmoothL1 { beta: 0.0 }, REAL, REAL),
            (PairLoss::Huber { delta: 0.7 }, REAL, REAL),
            (PairLoss::BinaryCrossEntropy, probability, probability),
            (PairLoss::BinaryCrossEntropyWithLogits, REAL, REAL),
            (PairLoss::KlDiv, REAL, POSITIVE),
            (PairLoss::KlDivLogTarget, REAL, REAL),
        ];
        for (loss, x, t) in losses {
            for reduction in [Reduction::None, Reduction::Mean, Reduction::Sum] {
                agrees_with_reference(
                    &[x, t],
                    &[&[5, 37], &[5, 37]],
                    |v| v[0].pair(&v[1], loss, reduction),
                    |v| reference(&v[0], &v[1], loss, reduction, 5.0),
                );
            }
        }
    }

    #[test]
    fn slopes_at_kinks() {
        let zeros = |n: usize| Var::new(Tensor::zeros([n], tensor::DType::F64));
        assert_eq!(gradient_at(&[0.0, 2.0], |x| x.l1_loss(&zeros(2), Reduction::None)), [0.0, 1.0]);
        let smooth = |x: &Var| x.smooth_l1_loss(&zeros(3), Reduction::None, 1.0);
        assert_eq!(gradient_at(&[0.0, 1.0, -1.0], smooth), [0.0, 1.0, -1.0]);
        let huber = |x: &Var| x.huber_loss(&zeros(2), Reduction::None, 0.5);
        assert_eq!(gradient_at(&[0.5, -2.0], huber), [0.5, -0.5]);
    }

    #[test]
    fn an_impossible_class_has_the_same_divergence_when_recorded() {
        for (reduction, parts) in [(Reduction::Sum, 1.0), (Reduction::Mean, 6.0), (Reduction::BatchMean, 2.0)] {
            for create_graph in [false, true] {
                let x = Var::new(Tensor::from([[-1.0, -2.0, -3.0], [0.0, 0.0, 0.0]])).requires_grad_(true);
                let t = Var::new(Tensor::from([0.5, 0.0, 0.25])).requires_grad_(true);
                let options = crate::GradOptions { create_graph, ..Default::default() };
                let grads = crate::grad(&[&x.kl_div(&t, reduction, false)], &[&x, &t], options);
                let [dx, dt] = [0, 1].map(|i| grads[i].clone().expect("a gradient").to_vec::<f64>());
                let expected = [-0.5, 0.0, -0.25, -0.5, 0.0, -0.25].map(|d| d / parts);
                assert!(dx.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{dx:?}");
                assert!(dt[1] == f64::NEG_INFINITY && dt[0].is_finite() && dt[2].is_finite(), "{dt:?}");
            }
        }
    }

    #[test]
    fn certain_and_extreme_predictions() {
        let (t, sum) = (Var::new(Tensor::from([0.0, 1.0, 0.0, 1.0])), Reduction::Sum);
        let each =
            |x: &[f64], f: &dyn Fn(&Var) -> Var| f(&Var::new(Tensor::from_slice(x, [4]))).value().to_vec::<f64>();
        let bce = |x: &Var| x.binary_cross_entropy(&t, None, Reduction::None);
        assert_eq!(each(&[0.0, 0.0, 1.0, 1.0], &bce), [0.0, 100.0, 100.0, 0.0]);
        let slopes = gradient_at(&[0.0, 0.0, 1.0, 1.0], |x| x.binary_cross_entropy(&t, None, sum));
        assert_eq!(slopes, [0.0, -1e12, 1e12, 0.0]);
        let logits = |x: &Var| x.binary_cross_entropy_with_logits(&t, None, None, Reduction::None);
        let far = [1e4, 1e4, -1e4, -1e4];
        assert_eq!(each(&far, &logits), [1e4, 0.0, 0.0, 1e4]);
        assert_eq!(
            gradient_at(&far, |x| x.binary_cross_entropy_with_logits(&t, None, None, sum)),
            [1.0, 0.0, 0.0, -1.0]
        );
        let weighted = |x: &Var| {
            let two = Tensor::scalar(2.0);
            x.binary_cross_entropy_with_logits(&t, Some(&two), Some(&two), Reduction::None)
        };
        assert_eq!(each(&far, &weighted), [2e4, 0.0, 0.0, 4e4]);
    }
}
