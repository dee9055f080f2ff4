//! Activations made of straight pieces. Their slopes are constants, so that one pass over memory is the gradient of any
//! order.

use tensor::Tensor;

use crate::mode::is_grad_enabled;
use crate::var::Var;

impl Var {
    /// `x` where `x > 0`, else `negative_slope x`.
    ///
    /// # Gradient
    /// `dx = dy` where `x > 0`, else `negative_slope dy`, also at 0. Keeps `x`.
    #[track_caller]
    pub fn leaky_relu(&self, negative_slope: f64) -> Var {
        let back = move |x: &Tensor, dy: &Tensor| Tensor::leaky_relu_backward(x, dy, negative_slope);
        self.pieces("leaky_relu", self.tensor().leaky_relu(negative_slope), "leaky_relu_backward", back)
    }

    /// `min(max(x, 0), 6)`.
    ///
    /// # Gradient
    /// `dx = dy` where `0 < x < 6`, else 0. Keeps `x`.
    #[track_caller]
    pub fn relu6(&self) -> Var {
        let back = |x: &Tensor, dy: &Tensor| Tensor::hardtanh_backward(x, dy, 0.0, 6.0);
        self.pieces("relu6", self.tensor().relu6(), "relu6_backward", back)
    }

    /// `x` limited to `min_val ..= max_val`.
    ///
    /// # Gradient
    /// `dx = dy` between the bounds, 0 at and beyond them (where [`Var::clamp`] passes it at the bounds). Keeps `x`.
    #[track_caller]
    pub fn hardtanh(&self, min_val: f64, max_val: f64) -> Var {
        let back = move |x: &Tensor, dy: &Tensor| Tensor::hardtanh_backward(x, dy, min_val, max_val);
        self.pieces("hardtanh", self.tensor().hardtanh(min_val, max_val), "hardtanh_backward", back)
    }

    /// `min(max(x + 3, 0), 6) / 6`.
    ///
    /// # Gradient
    /// `dx = dy / 6` where `-3 < x < 3`, else 0. Keeps `x`.
    #[track_caller]
    pub fn hardsigmoid(&self) -> Var {
        self.pieces("hardsigmoid", self.tensor().hardsigmoid(), "hardsigmoid_backward", Tensor::hardsigmoid_backward)
    }

    /// `x hardsigmoid(x)`.
    ///
    /// # Gradient
    /// `dx = dy (x / 3 + 1 / 2)` where `-3 < x < 3`, 0 below and `dy` above. Keeps `x`.
    #[track_caller]
    pub fn hardswish(&self) -> Var {
        let x = self.keep();
        Var::record_unary("hardswish", self.tensor().hardswish(), self, move |dy| {
            if !is_grad_enabled() {
                return Var::new(Tensor::hardswish_backward(&x.tensor(), &dy.tensor()));
            }
            // NaN counts as above, as in the fused pass.
            let (below, above) = (x.le_scalar(-3.0), x.lt_scalar(3.0).logical_not());
            let slope = &*x / 3.0 + 0.5;
            dy * slope.masked_fill(&below, 0.0).masked_fill(&above, 1.0)
        })
    }

    /// `x` brought closer to 0 by `lambd`, and 0 within that distance.
    ///
    /// # Gradient
    /// `dx = dy`, but 0 where `-lambd <= x <= lambd`. Keeps `x`.
    #[track_caller]
    pub fn softshrink(&self, lambd: f64) -> Var {
        let back = move |x: &Tensor, dy: &Tensor| Tensor::softshrink_backward(x, dy, lambd);
        self.pieces("softshrink", self.tensor().softshrink(lambd), "softshrink_backward", back)
    }

    /// `x`, but 0 where `-lambd <= x <= lambd`.
    ///
    /// # Gradient
    /// `dx = dy`, but 0 where `-lambd <= x <= lambd`. Keeps `x`.
    #[track_caller]
    pub fn hardshrink(&self, lambd: f64) -> Var {
        let back = move |x: &Tensor, dy: &Tensor| Tensor::hardshrink_backward(x, dy, lambd);
        self.pieces("hardshrink", self.tensor().hardshrink(lambd), "hardshrink_backward", back)
    }

    /// `x` where `x > threshold`, else `value`.
    ///
    /// # Gradient
    /// `dx = dy` where `x > threshold`, else 0. Keeps `x`.
    #[track_caller]
    pub fn threshold(&self, threshold: f64, value: f64) -> Var {
        let back = move |x: &Tensor, dy: &Tensor| Tensor::threshold_backward(x, dy, threshold);
        self.pieces("threshold", self.tensor().threshold(threshold, value), "threshold_backward", back)
    }

    /// `x` where `x > 0`, else `weight x`, with one weight or one per channel.
    ///
    /// # Shape
    /// `x [n, c, ..]`, weight `[]`, `[1]` or `[c]`.
    ///
    /// # Gradient
    /// Where `x > 0`: `dx = dy`, `dweight = 0`; elsewhere, also at 0: `dx = weight dy`, `dweight = sum x dy`. Keeps `x`
    /// and the weight.
    ///
    /// # Source
    /// He et al., *Delving Deep into Rectifiers*, 2015.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([[-1.0, 3.0]]));
    /// let w = Var::new(Tensor::from([0.5])).requires_grad_(true);
    /// x.prelu(&w).sum().backward();
    /// assert_eq!(w.grad().unwrap().to_vec::<f64>(), [-1.0]);
    /// ```
    #[track_caller]
    pub fn prelu(&self, weight: &Var) -> Var {
        let value = self.tensor().prelu(&weight.tensor());
        let spread = self.tensor().prelu_weight_shape(&weight.shape());
        let (shape, dims) = (self.shape(), weight.shape());
        let (x, w) = (self.keep_for(&[self, weight]), weight.keep_for(&[self]));
        Var::record("prelu", value, [self, weight], move |dy, need| {
            let above = x.gt_scalar(0.0);
            [
                need.of(0, || dy * w.reshape(&spread[..]).expand(&shape).masked_fill(&above, 1.0)),
                need.of(1, || (dy * x.masked_fill(&above, 0.0)).sum_to(&spread[..]).reshape(&dims)),
            ]
        })
    }

    #[track_caller]
    fn pieces<F>(&self, name: &'static str, value: Tensor, back_name: &'static str, back: F) -> Var
    where
        F: Fn(&Tensor, &Tensor) -> Tensor + Clone + 'static,
    {
        let x = self.keep();
        Var::record_unary(name, value, self, move |dy| through_pieces(back_name, x.value(), back.clone(), dy))
    }
}

/// `back(x, dy)`, which is linear in `dy` and does not change with `x` but at kinks: its own gradient is the same again.
#[track_caller]
pub(crate) fn through_pieces<F>(name: &'static str, x: Tensor, back: F, dy: &Var) -> Var
where
    F: Fn(&Tensor, &Tensor) -> Tensor + Clone + 'static,
{
    let value = back(&x, &dy.tensor());
    Var::record_unary(name, value, dy, move |ddx| through_pieces(name, x.clone(), back.clone(), ddx))
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        unary("leaky_relu", NONZERO, |x| x.leaky_relu(0.2)),
        unary("relu6", NONZERO, |x| (x * 4.0).relu6() + x.relu6()),
        unary("hardtanh", Domain::Away(&[-1.0, 0.5]), |x| x.hardtanh(-1.0, 0.5)),
        unary("hardsigmoid", Domain::Away(&[-1.5, 1.5]), |x| (x * 2.0).hardsigmoid()),
        unary("hardswish", Domain::Away(&[-1.5, 1.5]), |x| (x * 2.0).hardswish()),
        unary("softshrink", Domain::Away(&[-0.5, 0.5]), |x| x.softshrink(0.5)),
        unary("hardshrink", Domain::Away(&[-0.5, 0.5]), |x| x.hardshrink(0.5)),
        unary("threshold", Domain::Away(&[0.5]), |x| x.threshold(0.5, -3.0)),
        sample("prelu", &[NONZERO, REAL], channels_and_weight, |v, _| v[0].prelu(&v[1]).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("nn.functional.leaky_relu", &["leaky_relu"], |a| {
            a.flag(2, "inplace", false)?;
            done(a.var(0, "input")?.leaky_relu(a.number_or(1, "negative_slope", 0.01)?))
        }),
        torch("nn.functional.relu6", &["relu6"], |a| done(a.var(0, "input")?.relu6())),
        torch("nn.functional.hardtanh", &["hardtanh"], |a| {
            done(a.var(0, "input")?.hardtanh(a.number_or(1, "min_val", -1.0)?, a.number_or(2, "max_val", 1.0)?))
        }),
        torch("nn.functional.hardsigmoid", &["hardsigmoid"], |a| {
            let x = a.var(0, "input")?;
            if x.dtype() == tensor::DType::F64 && x.numel() > 4 {
                return skip("PyTorch's vector code for the f64 gradient, which rounds 1/6 to single precision");
            }
            done(x.hardsigmoid())
        }),
        torch("nn.functional.hardswish", &["hardswish"], |a| done(a.var(0, "input")?.hardswish())),
        torch("nn.functional.softshrink", &["softshrink"], |a| {
            done(a.var(0, "input")?.softshrink(a.number_or(1, "lambd", 0.5)?))
        }),
        torch("nn.functional.hardshrink", &["hardshrink"], |a| {
            done(a.var(0, "input")?.hardshrink(a.number_or(1, "lambd", 0.5)?))
        }),
        torch("nn.functional.threshold", &["threshold"], |a| {
            done(a.var(0, "input")?.threshold(a.number(1, "threshold")?, a.number(2, "value")?))
        }),
        torch("nn.functional.prelu", &["prelu"], |a| done(a.var(0, "input")?.prelu(&a.var(1, "weight")?))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn slopes_at_kinks() {
        assert_eq!(gradient_at(&[0.0, -1.0, 1.0], |x| x.leaky_relu(0.5)), [0.5, 0.5, 1.0]);
        assert_eq!(gradient_at(&[0.0, 6.0, 3.0], Var::relu6), [0.0, 0.0, 1.0]);
        assert_eq!(gradient_at(&[-1.0, 1.0, 0.0], |x| x.hardtanh(-1.0, 1.0)), [0.0, 0.0, 1.0]);
        assert_eq!(gradient_at(&[-3.0, 3.0, 0.0], Var::hardsigmoid), [0.0, 0.0, 1.0 / 6.0]);
        assert_eq!(gradient_at(&[-3.0, 3.0, 0.0, 4.0], Var::hardswish), [0.0, 1.0, 0.5, 1.0]);
        assert_eq!(gradient_at(&[-0.5, 0.5, 1.0], |x| x.softshrink(0.5)), [0.0, 0.0, 1.0]);
        assert_eq!(gradient_at(&[-0.5, 0.5, -1.0], |x| x.hardshrink(0.5)), [0.0, 0.0, 1.0]);
        assert_eq!(gradient_at(&[0.5, 1.0], |x| x.threshold(0.5, 7.0)), [0.0, 1.0]);
        let w = Var::new(Tensor::from([0.25]));
        assert_eq!(gradient_at(&[0.0, -1.0, 1.0], |x| x.prelu(&w)), [0.25, 0.25, 1.0]);
    }

    #[test]
    fn hardswish_agrees_with_its_reference() {
        use crate::testing::{Domain, agrees_with_reference};
        let domain = [Domain::Range(-5.0, 5.0)];
        agrees_with_reference(&domain, &[&[37]], |v| v[0].hardswish(), |v| &v[0] * v[0].hardsigmoid());
    }
}
