//! Activation functions.

use tensor::Tensor;

use crate::mode::is_grad_enabled;
use crate::ops::piecewise::through_pieces;
use crate::var::Var;

impl Var {
    /// `max(x, 0)`.
    ///
    /// # Gradient
    /// `dx = dy` where `x > 0`, else 0, also at 0. Keeps `y`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([-1.0, 0.0, 2.0])).requires_grad_(true);
    /// x.relu().sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 0.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn relu(&self) -> Var {
        Var::record_output("relu", self.tensor().relu(), [self], |y, dy, _| {
            [Some(through_pieces("relu_backward", y.value(), Tensor::relu_backward, dy))]
        })
    }

    /// `x sigmoid(x)`, also called swish.
    ///
    /// # Gradient
    /// `dx = dy s (1 + x (1 - s))` with `s = sigmoid(x)`. Keeps `x`.
    #[track_caller]
    pub fn silu(&self) -> Var {
        let x = self.keep();
        Var::record_unary("silu", self.tensor().silu(), self, move |dy| {
            if !is_grad_enabled() {
                return Var::new(Tensor::silu_backward(&x.tensor(), &dy.tensor()));
            }
            let s = x.sigmoid();
            dy * (&s * (1.0 + &*x * (1.0 - &s)))
        })
    }

    /// `x Phi(x)` with the distribution function `Phi` of the standard normal, by the error function.
    ///
    /// # Gradient
    /// `dx = dy (Phi(x) + x phi(x))` with the density `phi`. Keeps `x`.
    ///
    /// # Source
    /// Hendrycks and Gimpel, *Gaussian Error Linear Units*, 2016.
    #[track_caller]
    pub fn gelu(&self) -> Var {
        let x = self.keep();
        Var::record_unary("gelu", self.tensor().gelu(), self, move |dy| {
            if !is_grad_enabled() {
                return Var::new(Tensor::gelu_backward(&x.tensor(), &dy.tensor()));
            }
            let density =
                (x.square() * -0.5).exp() * (0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2);
            dy * (normal_cdf(&x) + &*x * density)
        })
    }

    /// `x (1 + tanh(u)) / 2` with `u = sqrt(2/pi) (x + 0.044715 x^3)`, the approximation of [`Var::gelu`] that GPT-2
    /// uses.
    ///
    /// # Gradient
    /// `dx = dy ((1 + t) / 2 + x (1 - t^2) u' / 2)` with `t = tanh(u)`, `u' = sqrt(2/pi) (1 + 0.134145 x^2)`. Keeps
    /// `x`.
    ///
    /// # Source
    /// Hendrycks and Gimpel, *Gaussian Error Linear Units*, 2016.
    #[track_caller]
    pub fn gelu_tanh(&self) -> Var {
        let x = self.keep();
        Var::record_unary("gelu_tanh", self.tensor().gelu_tanh(), self, move |dy| {
            if !is_grad_enabled() {
                return Var::new(Tensor::gelu_tanh_backward(&x.tensor(), &dy.tensor()));
            }
            let t = gelu_argument(&x).tanh();
            let slope = (x.square() * (3.0 * CUBIC) + 1.0) * root_2_over_pi();
            dy * ((&t + 1.0) * 0.5 + &*x * (1.0 - &t * &t) * slope * 0.5)
        })
    }
}

impl Var {
    /// `a sigmoid(b)`, where `a` and `b` are the halves of `x` along `dim`.
    ///
    /// # Gradient
    /// With `s = sigmoid(b)`: `da = dy s`, `db = dy a s (1 - s)`. Keeps `x`.
    ///
    /// # Source
    /// Dauphin et al., *Language Modeling with Gated Convolutional Networks*, 2017.
    #[track_caller]
    pub fn glu(&self, dim: isize) -> Var {
        let x = self.keep();
        Var::record_unary("glu", self.tensor().glu(dim), self, move |dy| {
            let half = x.dim(dim) / 2;
            let (a, s) = (x.narrow(dim, 0, half), x.narrow(dim, half, half).sigmoid());
            let da = dy * &s;
            let db = &da * a * (1.0 - s);
            Var::cat(&[da, db], dim)
        })
    }
}

/// The weight of the cubic term in the tanh approximation of GELU.
const CUBIC: f64 = 0.044715;

fn root_2_over_pi() -> f64 {
    (2.0 / std::f64::consts::PI).sqrt()
}

fn normal_cdf(x: &Var) -> Var {
    ((x * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0) * 0.5
}

fn gelu_argument(x: &Var) -> Var {
    (x + x * x * x * CUBIC) * root_2_over_pi()
}

/// The plain references of the fused functions here.
#[cfg(test)]
mod reference {
    use super::*;

    pub fn silu(x: &Var) -> Var {
        x * x.sigmoid()
    }

    pub fn gelu(x: &Var) -> Var {
        x * normal_cdf(x)
    }

    pub fn gelu_tanh(x: &Var) -> Var {
        x * (gelu_argument(x).tanh() + 1.0) * 0.5
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        unary("relu", NONZERO, Var::relu),
        unary("silu", REAL, Var::silu),
        unary("gelu", REAL, Var::gelu),
        unary("gelu_tanh", REAL, Var::gelu_tanh),
        sample("glu", &[REAL], doubled, |v, p| v[0].glu(p.dim(v[0].ndim())).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("nn.functional.relu", &["relu"], |a| {
            a.flag(1, "inplace", false)?;
            done(a.var(0, "input")?.relu())
        }),
        torch("nn.functional.silu", &["silu"], |a| done(a.var(0, "input")?.silu())),
        torch("nn.functional.gelu", &["gelu", "gelu_tanh"], |a| {
            let x = a.var(0, "input")?;
            match &*a.text(1, "approximate", "none")? {
                "none" => done(x.gelu()),
                "tanh" => done(x.gelu_tanh()),
                _ => skip("an unknown word for `approximate`, which is a choice of methods here"),
            }
        }),
        torch("nn.functional.glu", &["glu"], |a| done(a.var(0, "input")?.glu(a.int_or(1, "dim", -1)?))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{REAL, agrees_with_reference, gradient_at};

    #[test]
    fn relu_has_no_slope_at_zero() {
        assert_eq!(gradient_at(&[0.0, -0.0, 1.0], Var::relu), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn fused_functions_agree_with_their_references() {
        let shapes: &[&[usize]] = &[&[37]];
        agrees_with_reference(&[REAL], shapes, |v| v[0].silu(), |v| reference::silu(&v[0]));
        agrees_with_reference(&[REAL], shapes, |v| v[0].gelu(), |v| reference::gelu(&v[0]));
        agrees_with_reference(&[REAL], shapes, |v| v[0].gelu_tanh(), |v| reference::gelu_tanh(&v[0]));
    }
}
