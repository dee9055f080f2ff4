//! Operations of three operands, and of two with a number: blends, multiply-adds, bounds.

use crate::record::is_recorded;
use crate::var::Var;

impl Var {
    /// `a + scale b`: PyTorch's `add` with an `alpha`.
    ///
    /// # Gradient
    /// `da = dy`, `db = scale dy`.
    #[track_caller]
    pub fn add_scaled(&self, other: &Var, scale: f64) -> Var {
        Var::record("add_scaled", self.tensor().add_scaled(&other.tensor(), scale), [self, other], move |dy, need| {
            [need.of(0, || dy.clone()), need.of(1, || dy * scale)]
        })
    }

    /// `a + weight (end - a)` for a number `weight`.
    ///
    /// # Gradient
    /// `da = dy (1 - weight)`, `dend = dy weight`.
    #[track_caller]
    pub fn lerp(&self, end: &Var, weight: f64) -> Var {
        Var::record("lerp", self.tensor().lerp(&end.tensor(), weight), [self, end], move |dy, need| {
            [need.of(0, || dy * (1.0 - weight)), need.of(1, || dy * weight)]
        })
    }

    /// `a + weight (end - a)` with a weight for each element.
    ///
    /// # Gradient
    /// `da = dy (1 - weight)`, `dend = dy weight`, `dweight = dy (end - a)`. Keeps what these need.
    #[track_caller]
    pub fn lerp_tensor(&self, end: &Var, weight: &Var) -> Var {
        let (a, b, w) = (self.keep_for(&[weight]), end.keep_for(&[weight]), weight.keep_for(&[self, end]));
        let value = self.tensor().lerp_tensor(&end.tensor(), &weight.tensor());
        Var::record("lerp_tensor", value, [self, end, weight], move |dy, need| {
            [need.of(0, || dy * (1.0 - &*w)), need.of(1, || dy * &*w), need.of(2, || dy * (&*b - &*a))]
        })
    }

    /// `x + value a b`.
    ///
    /// # Gradient
    /// `dx = dy`, `da = value dy b`, `db = value dy a`. Keeps each factor if the other needs a gradient.
    #[track_caller]
    pub fn addcmul(&self, a: &Var, b: &Var, value: f64) -> Var {
        let (left, right) = (a.keep_for(&[b]), b.keep_for(&[a]));
        let y = self.tensor().addcmul(&a.tensor(), &b.tensor(), value);
        Var::record("addcmul", y, [self, a, b], move |dy, need| {
            [need.of(0, || dy.clone()), need.of(1, || dy * value * &*right), need.of(2, || dy * value * &*left)]
        })
    }

    /// `x + value a / b`.
    ///
    /// # Gradient
    /// `dx = dy`, `da = value dy / b`, `db = -value dy a / b^2`. Keeps `b`, and `a` if `b` needs a gradient.
    #[track_caller]
    pub fn addcdiv(&self, a: &Var, b: &Var, value: f64) -> Var {
        let (left, right) = (a.keep_for(&[b]), b.keep_for(&[a, b]));
        let y = self.tensor().addcdiv(&a.tensor(), &b.tensor(), value);
        Var::record("addcdiv", y, [self, a, b], move |dy, need| {
            [
                need.of(0, || dy.clone()),
                need.of(1, || dy * value / &*right),
                // Not over the square, which overflows sooner.
                need.of(2, || dy * -value * (&*left / &*right / &*right)),
            ]
        })
    }

    /// `x` limited to `min ..= max`, which broadcast; `None` is no limit.
    ///
    /// # Gradient
    /// `dy` to `x` inside and at the limits; outside to the limit that was put in its place, which is `max` where the
    /// limits are crossed. Keeps masks.
    ///
    /// # Differs
    /// At a limit PyTorch 2.15 gives half to each; earlier versions give all to `x`, as here.
    #[track_caller]
    pub fn clamp_tensor(&self, min: Option<&Var>, max: Option<&Var>) -> Var {
        let tensors = (min.map(Var::value), max.map(Var::value));
        let value = self.tensor().clamp_tensor(tensors.0.as_ref(), tensors.1.as_ref());
        let (min, max) = match (min, max) {
            (Some(min), Some(max)) => (min, max),
            (Some(limit), None) | (None, Some(limit)) => {
                let (x, bound) = (self.tensor(), limit.tensor());
                let outside =
                    is_recorded(&[self, limit]).then(|| if min.is_some() { x.lt(&bound) } else { x.gt(&bound) });
                return Var::record("clamp_tensor", value, [self, limit], move |dy, need| {
                    let outside = outside.as_ref().expect("kept for the gradients");
                    let dlimit = || dy.masked_fill(&outside.logical_not(), 0.0);
                    [need.of(0, || dy.masked_fill(outside, 0.0)), need.of(1, dlimit)]
                });
            }
            (None, None) => return Var::record_unary("clamp_tensor", value, self, |dy| dy.clone()),
        };
        let masks = is_recorded(&[self, min, max]).then(|| {
            let (x, min, max) = (self.tensor(), min.tensor(), max.tensor());
            (x.lt(&min), x.gt(&max), max.lt(&min))
        });
        Var::record("clamp_tensor", value, [self, min, max], move |dy, need| {
            let (below, above, crossed) = masks.as_ref().expect("kept for the gradients");
            let only = |mask: tensor::Tensor| dy.masked_fill(&mask.logical_not(), 0.0);
            [
                need.of(0, || dy.masked_fill(&below.logical_or(above), 0.0)),
                need.of(1, || only(below.logical_and(&crossed.logical_not()))),
                need.of(2, || only(above.logical_or(crossed))),
            ]
        })
    }

    /// Elements below `min` become `min`: [`Var::clamp`] without an upper limit.
    ///
    /// # Gradient
    /// As [`Var::clamp`].
    #[track_caller]
    pub fn clamp_min(&self, min: f64) -> Var {
        self.clamp(Some(min), None)
    }

    /// Elements above `max` become `max`: [`Var::clamp`] without a lower limit.
    ///
    /// # Gradient
    /// As [`Var::clamp`].
    #[track_caller]
    pub fn clamp_max(&self, max: f64) -> Var {
        self.clamp(None, Some(max))
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        binary("add_scaled", REAL, REAL, |a, b| a.add_scaled(b, -1.5)),
        binary("lerp", REAL, REAL, |a, b| a.lerp(b, 0.3)),
        sample("lerp_tensor", &[REAL, REAL, REAL], broadcast, |v, _| v[0].lerp_tensor(&v[1], &v[2]).into()),
        sample("addcmul", &[REAL, REAL, REAL], broadcast, |v, _| v[0].addcmul(&v[1], &v[2], 0.7).into()),
        sample("addcdiv", &[REAL, REAL, NONZERO], broadcast, |v, _| v[0].addcdiv(&v[1], &v[2], 0.7).into()),
        sample("clamp_tensor", &[DISTINCT, DISTINCT, DISTINCT], broadcast, |v, p| {
            let bounds = (p.below(3) != 0).then_some(&v[1]);
            v[0].clamp_tensor(bounds, (bounds.is_none() || p.coin()).then_some(&v[2])).into()
        }),
        unary("clamp_min", NONZERO, |x| x.clamp_min(0.0)),
        unary("clamp_max", NONZERO, |x| x.clamp_max(0.0)),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("lerp", &["lerp", "lerp_tensor"], |a| {
            let (start, end) = (a.var(0, "input")?, a.var(1, "end")?);
            done(match a.is_tensor(2, "weight") {
                true => start.lerp_tensor(&end, &a.var(2, "weight")?),
                false => start.lerp(&end, a.number(2, "weight")?),
            })
        }),
        torch("addcmul", &["addcmul"], |a| {
            let (x, b, c) = (a.var(0, "input")?, a.var(1, "tensor1")?, a.var(2, "tensor2")?);
            done(x.addcmul(&b, &c, a.number_or(3, "value", 1.0)?))
        }),
        torch("addcdiv", &["addcdiv"], |a| {
            let (x, b, c) = (a.var(0, "input")?, a.var(1, "tensor1")?, a.var(2, "tensor2")?);
            done(x.addcdiv(&b, &c, a.number_or(3, "value", 1.0)?))
        }),
        torch("clamp", &["clamp_tensor"], |a| {
            let (min, max) = (a.opt_var(1, "min")?, a.opt_var(2, "max")?);
            done(a.var(0, "input")?.clamp_tensor(min.as_ref(), max.as_ref()))
        }),
        torch("clamp_min", &["clamp_tensor"], |a| done(a.var(0, "input")?.clamp_tensor(Some(&a.var(1, "min")?), None))),
        torch("clamp_max", &["clamp_tensor"], |a| done(a.var(0, "input")?.clamp_tensor(None, Some(&a.var(1, "max")?)))),
    ]
}

#[cfg(test)]
mod tests {
    use tensor::Tensor;

    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn limits_met_and_crossed() {
        let limit = |values: &[f64]| Var::new(Tensor::from_slice(values, [values.len()]));
        let (min, max) = (limit(&[0.0, 0.0, 2.0, 0.0]), limit(&[1.0, 1.0, 1.0, 1.0]));
        let x = [0.0, 1.0, 1.5, 3.0];
        assert_eq!(gradient_at(&x, |x| x.clamp_tensor(Some(&min), Some(&max))), [1.0, 1.0, 0.0, 0.0]);
        let gradient = |f: &dyn Fn(&Var) -> Var, at: &Var| gradient_at(&at.value().to_vec::<f64>(), f);
        assert_eq!(gradient(&|min| limit(&x).clamp_tensor(Some(min), Some(&max)), &min), [0.0; 4]);
        assert_eq!(gradient(&|max| limit(&x).clamp_tensor(Some(&min), Some(max)), &max), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(gradient(&|min| limit(&x).clamp_tensor(Some(min), None), &min), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(gradient_at(&[0.0, -1.0, 1.0], |x| x.clamp_min(0.0)), [1.0, 0.0, 1.0]);
        assert_eq!(gradient_at(&[0.0, -1.0, 1.0], |x| x.clamp_max(0.0)), [1.0, 1.0, 0.0]);
    }
}
