//! Functions of one element beyond the everyday ones: other bases, error functions, logits, decimals.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10};

use crate::ops::unary::zero;
use crate::var::Var;

impl Var {
    /// `2^x`.
    ///
    /// # Gradient
    /// `dx = dy y ln 2`. Keeps `y`.
    #[track_caller]
    pub fn exp2(&self) -> Var {
        Var::record_output("exp2", self.tensor().exp2(), [self], |y, dy, _| [Some(dy * (y * LN_2))])
    }

    /// The logarithm to base 2.
    ///
    /// # Gradient
    /// `dx = dy / (x ln 2)`. Keeps `x`.
    #[track_caller]
    pub fn log2(&self) -> Var {
        let x = self.keep();
        Var::record_unary("log2", self.tensor().log2(), self, move |dy| dy / (&*x * LN_2))
    }

    /// The logarithm to base 10.
    ///
    /// # Gradient
    /// `dx = dy / (x ln 10)`. Keeps `x`.
    #[track_caller]
    pub fn log10(&self) -> Var {
        let x = self.keep();
        Var::record_unary("log10", self.tensor().log10(), self, move |dy| dy / (&*x * LN_10))
    }

    /// `base^x` for a number `base`.
    ///
    /// # Gradient
    /// `dx = dy y ln(base)`; for a base of 0, zero where `x >= 0`. Keeps `y`, and `x` if the base is 0.
    #[track_caller]
    pub fn rpow_scalar(&self, base: f64) -> Var {
        let value = self.tensor().rpow_scalar(base);
        if base == 0.0 {
            let x = self.keep();
            return Var::record_output("rpow_scalar", value, [self], move |y, dy, _| {
                [Some((dy * (y * f64::NEG_INFINITY)).masked_fill(&x.tensor().ge_scalar(0.0), 0.0))]
            });
        }
        Var::record_output("rpow_scalar", value, [self], move |y, dy, _| [Some(dy * (y * base.ln()))])
    }

    /// `1 - erf(x)`.
    ///
    /// # Gradient
    /// `dx = -dy 2/sqrt(pi) e^(-x^2)`. Keeps `x`.
    #[track_caller]
    pub fn erfc(&self) -> Var {
        let x = self.keep();
        Var::record_unary("erfc", self.tensor().erfc(), self, move |dy| dy * (x.square().neg().exp() * -FRAC_2_SQRT_PI))
    }

    /// The number whose error function is `x`.
    ///
    /// # Gradient
    /// `dx = dy sqrt(pi)/2 e^(y^2)`, infinite at -1 and 1. Keeps `y`.
    #[track_caller]
    pub fn erfinv(&self) -> Var {
        Var::record_output("erfinv", self.tensor().erfinv(), [self], |y, dy, _| {
            [Some(dy * (y.square().exp() * (1.0 / FRAC_2_SQRT_PI)))]
        })
    }

    /// `log(x / (1 - x))`; with `eps`, of `x` brought into `eps ..= 1 - eps`.
    ///
    /// # Gradient
    /// `dx = dy / (x (1 - x))`; outside the range it is 0 with `eps`, and NaN outside `0 ..= 1` without. Keeps `x`.
    #[track_caller]
    pub fn logit(&self, eps: Option<f64>) -> Var {
        let x = self.keep();
        Var::record_unary("logit", self.tensor().logit(eps), self, move |dy| {
            let (low, high, outside) = eps.map_or((0.0, 1.0, f64::NAN), |eps| (eps, 1.0 - eps, 0.0));
            let beyond = x.tensor().lt_scalar(low).logical_or(&x.tensor().gt_scalar(high));
            let safe = x.masked_fill(&beyond, 0.5);
            (dy / (&safe * (1.0 - &safe))).masked_fill(&beyond, outside)
        })
    }

    /// The fraction `x - trunc(x)`, which has the sign of `x`.
    ///
    /// # Gradient
    /// `dx = dy`.
    #[track_caller]
    pub fn frac(&self) -> Var {
        Var::record_unary("frac", self.tensor().frac(), self, |dy| dy.clone())
    }

    /// The nearest number with so many decimals, halves to the even digit.
    ///
    /// # Gradient
    /// Zero.
    #[track_caller]
    pub fn round_decimals(&self, decimals: i32) -> Var {
        Var::record_unary("round_decimals", self.tensor().round_decimals(decimals), self, zero)
    }

    /// `nan` in the place of NaN, `posinf` and `neginf` in that of the infinities (`None`: the dtype's greatest and least
    /// finite number).
    ///
    /// # Gradient
    /// `dx = dy`, zero where something was replaced. Keeps `x`.
    #[track_caller]
    pub fn nan_to_num(&self, nan: f64, posinf: Option<f64>, neginf: Option<f64>) -> Var {
        let x = self.keep();
        Var::record_unary("nan_to_num", self.tensor().nan_to_num(nan, posinf, neginf), self, move |dy| {
            dy.masked_fill(&x.tensor().isfinite().logical_not(), 0.0)
        })
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        unary("exp2", REAL, Var::exp2),
        unary("log2", POSITIVE, Var::log2),
        unary("log10", POSITIVE, Var::log10),
        unary("rpow_scalar", REAL, |x| x.rpow_scalar(2.5)),
        unary("erfc", REAL, Var::erfc),
        unary("erfinv", Domain::Range(-0.9, 0.9), Var::erfinv),
        unary("logit", Domain::Range(0.1, 0.9), |x| x.logit(None)),
        unary("logit", Domain::Away(&[0.0, 0.2, 0.8, 1.0]), |x| x.logit(Some(0.2))),
        unary("frac", Domain::Away(&[-2.0, -1.0, 0.0, 1.0, 2.0]), Var::frac),
        unary("round_decimals", Domain::Away(&[-1.5, -0.5, 0.5, 1.5]), |x| (x * 10.0).round_decimals(-1)),
        unary("nan_to_num", REAL, |x| x.nan_to_num(1.0, None, None)),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    macro_rules! alike {
        ($($name:ident)*) => {
            vec![$(torch(stringify!($name), &[stringify!($name)], |a| done(a.var(0, "input")?.$name()))),*]
        };
    }
    let mut all = alike! { exp2 log2 log10 erfc erfinv frac };
    all.push(torch("logit", &["logit"], |a| done(a.var(0, "input")?.logit(a.opt_number(1, "eps")?))));
    all.push(torch("nan_to_num", &["nan_to_num"], |a| {
        let (nan, posinf, neginf) =
            (a.number_or(1, "nan", 0.0)?, a.opt_number(2, "posinf")?, a.opt_number(3, "neginf")?);
        done(a.var(0, "input")?.nan_to_num(nan, posinf, neginf))
    }));
    for name in ["round:decimals_0", "round:decimals_3", "round:decimals_neg_3"] {
        all.push(torch(name, &["round_decimals"], |a| {
            done(a.var(0, "input")?.round_decimals(a.int(1, "decimals")? as i32))
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn values_at_edges() {
        assert_eq!(gradient_at(&[f64::NAN, f64::INFINITY, 2.0], |x| x.nan_to_num(0.0, None, None)), [0.0, 0.0, 1.0]);
        assert_eq!(gradient_at(&[0.1, 0.25, 0.9], |x| x.logit(Some(0.25))), [0.0, 16.0 / 3.0, 0.0]);
        assert!(gradient_at(&[-0.1, 1.1], |x| x.logit(None)).iter().all(|dx| dx.is_nan()));
        assert_eq!(gradient_at(&[1.0], Var::erfinv), [f64::INFINITY]);
        assert_eq!(gradient_at(&[0.0, 2.0], |x| x.rpow_scalar(0.0)), [0.0, 0.0]);
        assert_eq!(gradient_at(&[1.0, 1.5], Var::frac), [1.0, 1.0]);
    }
}
