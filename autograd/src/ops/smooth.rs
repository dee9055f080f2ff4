//! Smooth activations of exponentials and their like.

use tensor::Tensor;

use crate::mode::is_grad_enabled;
use crate::var::Var;

impl Var {
    /// `x` where `x > 0`, else `alpha (e^x - 1)`.
    ///
    /// # Gradient
    /// `dx = dy` where `x > 0`, else `dy alpha e^x`, also at 0. Keeps `x`.
    ///
    /// # Source
    /// Clevert, Unterthiner and Hochreiter, *Exponential Linear Units*, 2016.
    #[track_caller]
    pub fn elu(&self, alpha: f64) -> Var {
        let fused = move |x: &Tensor, dy: &Tensor| Tensor::elu_backward(x, dy, alpha);
        self.smooth("elu", self.tensor().elu(alpha), fused, move |x| exponential_slope(x, 1.0, alpha, 1.0))
    }

    /// `x` where `x > 0`, else `alpha (e^(x / alpha) - 1)`.
    ///
    /// # Gradient
    /// `dx = dy` where `x > 0`, else `dy e^(x / alpha)`. Keeps `x`.
    ///
    /// # Source
    /// Barron, *Continuously Differentiable Exponential Linear Units*, 2017.
    #[track_caller]
    pub fn celu(&self, alpha: f64) -> Var {
        let fused = move |x: &Tensor, dy: &Tensor| Tensor::celu_backward(x, dy, alpha);
        self.smooth("celu", self.tensor().celu(alpha), fused, move |x| exponential_slope(x, 1.0, 1.0, 1.0 / alpha))
    }

    /// `s x` where `x > 0`, else `s a (e^x - 1)`, with the constants `s = 1.0507` and `a = 1.6733` that normalise.
    ///
    /// # Gradient
    /// `dx = dy s` where `x > 0`, else `dy s a e^x`, also at 0. Keeps `x`.
    ///
    /// # Source
    /// Klambauer et al., *Self-Normalizing Neural Networks*, 2017.
    #[track_caller]
    pub fn selu(&self) -> Var {
        let (s, a) = tensor::SELU;
        let slope = move |x: &Var| exponential_slope(x, s, s * a, 1.0);
        self.smooth("selu", self.tensor().selu(), Tensor::selu_backward, slope)
    }

    /// `log(1 + e^(beta x)) / beta`, and `x` where `beta x > threshold`. PyTorch's defaults are 1 and 20.
    ///
    /// # Gradient
    /// `dx = dy sigmoid(beta x)`, and `dy` above the threshold. Keeps `x`.
    #[track_caller]
    pub fn softplus(&self, beta: f64, threshold: f64) -> Var {
        let fused = move |x: &Tensor, dy: &Tensor| Tensor::softplus_backward(x, dy, beta, threshold);
        self.smooth("softplus", self.tensor().softplus(beta, threshold), fused, move |x| {
            let z = x * beta;
            z.sigmoid().masked_fill(&z.gt_scalar(threshold), 1.0)
        })
    }

    /// `log(sigmoid(x))`, without overflow.
    ///
    /// # Gradient
    /// `dx = dy sigmoid(-x)`. Keeps `x`.
    #[track_caller]
    pub fn logsigmoid(&self) -> Var {
        let slope = |x: &Var| x.neg().sigmoid();
        self.smooth("logsigmoid", self.tensor().logsigmoid(), Tensor::logsigmoid_backward, slope)
    }

    /// `x tanh(log(1 + e^x))`.
    ///
    /// # Gradient
    /// `dx = dy (t + x sigmoid(x) (1 - t^2))` with `t = tanh(log(1 + e^x))`. Keeps `x`.
    ///
    /// # Source
    /// Misra, *Mish*, 2020.
    #[track_caller]
    pub fn mish(&self) -> Var {
        self.smooth("mish", self.tensor().mish(), Tensor::mish_backward, |x| {
            let t = x.softplus(1.0, f64::INFINITY).tanh();
            &t + x * x.sigmoid() * (1.0 - &t * &t)
        })
    }

    /// `x / (1 + |x|)`.
    ///
    /// # Gradient
    /// `dx = dy / (1 + |x|)^2`. Keeps `x`.
    #[track_caller]
    pub fn softsign(&self) -> Var {
        let slope = |x: &Var| (x.abs() + 1.0).reciprocal().square();
        self.smooth("softsign", self.tensor().softsign(), Tensor::softsign_backward, slope)
    }

    /// `x - tanh(x)`.
    ///
    /// # Gradient
    /// `dx = dy tanh(x)^2`. Keeps `x`.
    #[track_caller]
    pub fn tanhshrink(&self) -> Var {
        let slope = |x: &Var| x.tanh().square();
        self.smooth("tanhshrink", self.tensor().tanhshrink(), Tensor::tanhshrink_backward, slope)
    }

    /// An activation with a fused gradient, and the formula of its slope for differentiating again.
    #[track_caller]
    fn smooth(
        &self,
        name: &'static str,
        value: Tensor,
        fused: impl Fn(&Tensor, &Tensor) -> Tensor + 'static,
        slope: impl Fn(&Var) -> Var + 'static,
    ) -> Var {
        let x = self.keep();
        Var::record_unary(name, value, self, move |dy| match is_grad_enabled() {
            true => dy * slope(&x),
            false => Var::new(fused(&x.tensor(), &dy.tensor())),
        })
    }
}

/// `above` where `x > 0`, else `below e^(inner x)`; without a slope of its own at 0, as in PyTorch.
fn exponential_slope(x: &Var, above: f64, below: f64, inner: f64) -> Var {
    let negative = x.masked_fill(&x.ge_scalar(0.0), 0.0);
    ((negative * inner).exp() * below).masked_fill(&x.le_scalar(0.0).logical_not(), above)
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        unary("elu", NONZERO, |x| x.elu(1.5)),
        unary("celu", NONZERO, |x| x.celu(0.7)),
        unary("selu", NONZERO, Var::selu),
        unary("softplus", Domain::Away(&[1.0]), |x| x.softplus(2.0, 2.0)),
        unary("logsigmoid", REAL, Var::logsigmoid),
        unary("mish", REAL, Var::mish),
        unary("softsign", NONZERO, Var::softsign),
        unary("tanhshrink", REAL, Var::tanhshrink),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("nn.functional.elu", &["elu"], |a| done(a.var(0, "input")?.elu(a.number_or(1, "alpha", 1.0)?))),
        torch("nn.functional.celu", &["celu"], |a| done(a.var(0, "input")?.celu(a.number_or(1, "alpha", 1.0)?))),
        torch("nn.functional.selu", &["selu"], |a| done(a.var(0, "input")?.selu())),
        torch("nn.functional.softplus", &["softplus"], |a| {
            done(a.var(0, "input")?.softplus(a.number_or(1, "beta", 1.0)?, a.number_or(2, "threshold", 20.0)?))
        }),
        torch("nn.functional.logsigmoid", &["logsigmoid"], |a| done(a.var(0, "input")?.logsigmoid())),
        torch("nn.functional.mish", &["mish"], |a| done(a.var(0, "input")?.mish())),
        torch("nn.functional.softsign", &["softsign"], |a| done(a.var(0, "input")?.softsign())),
        torch("nn.functional.tanhshrink", &["tanhshrink"], |a| done(a.var(0, "input")?.tanhshrink())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Domain, agrees_with_reference, gradient_at};

    #[test]
    fn slopes_at_zero() {
        assert_eq!(gradient_at(&[0.0, 1.0], |x| x.elu(0.5)), [0.5, 1.0]);
        assert_eq!(gradient_at(&[0.0], |x| x.celu(2.0)), [1.0]);
        assert_eq!(gradient_at(&[0.0], Var::softsign), [1.0]);
    }

    #[test]
    fn far_out() {
        let inf = f64::INFINITY;
        let far = [1e4, -1e4, inf, -inf];
        assert_eq!(gradient_at(&far, |x| x.softplus(1.0, 20.0)), [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(gradient_at(&far, |x| x.softplus(1.0, inf)), [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(gradient_at(&far, Var::logsigmoid), [0.0, 1.0, 0.0, 1.0]);
        assert_eq!(gradient_at(&far, |x| x.elu(1.0)), [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(gradient_at(&far[..2], Var::mish), [1.0, 0.0]);
        for x in [Tensor::from(far), Tensor::from(far).to_dtype(tensor::DType::F32)] {
            let values = |y: Tensor| y.to_dtype(tensor::DType::F64).to_vec::<f64>();
            assert_eq!(values(x.softplus(1.0, 20.0)), [1e4, 0.0, inf, 0.0]);
            assert_eq!(values(x.logsigmoid()), [0.0, -1e4, 0.0, -inf]);
            assert_eq!(values(x.elu(1.0)), [1e4, -1.0, inf, -1.0]);
            assert_eq!(values(x.mish().narrow(0, 0, 3)), [1e4, 0.0, inf]);
            assert_eq!(values(x.sigmoid()), [1.0, 0.0, 1.0, 0.0]);
        }
    }

    #[test]
    fn fused_functions_agree_with_their_references() {
        let (domain, shape): (_, &[&[usize]]) = ([Domain::Range(-3.0, 3.0)], &[&[37]]);
        let softplus = |x: &Var| (x.exp() + 1.0).log();
        agrees_with_reference(&domain, shape, |v| v[0].softplus(1.0, 20.0), |v| softplus(&v[0]));
        agrees_with_reference(&domain, shape, |v| v[0].logsigmoid(), |v| v[0].sigmoid().log());
        agrees_with_reference(&domain, shape, |v| v[0].mish(), |v| &v[0] * softplus(&v[0]).tanh());
        agrees_with_reference(&domain, shape, |v| v[0].softsign(), |v| &v[0] / (v[0].abs() + 1.0));
        agrees_with_reference(&domain, shape, |v| v[0].tanhshrink(), |v| &v[0] - v[0].tanh());
        let elu = |x: &Var, a: f64| Var::where_(&x.gt_scalar(0.0), x, &(x.expm1() * a));
        agrees_with_reference(&domain, shape, |v| v[0].elu(0.3), |v| elu(&v[0], 0.3));
        let celu = |x: &Var, a: f64| Var::where_(&x.gt_scalar(0.0), x, &((x / a).expm1() * a));
        agrees_with_reference(&domain, shape, |v| v[0].celu(0.3), |v| celu(&v[0], 0.3));
        let (s, a) = tensor::SELU;
        agrees_with_reference(&domain, shape, |v| v[0].selu(), |v| elu(&v[0], a) * s);
    }
}
