//! Division with a rounded quotient, and remainders.

use tensor::{RoundingMode, Tensor};

use crate::ops::unary::zero;
use crate::record::is_recorded;
use crate::var::Var;

impl Var {
    /// `a / b` rounded to an integer.
    ///
    /// # Gradient
    /// Zero.
    #[track_caller]
    pub fn div_mode(&self, other: &Var, mode: RoundingMode) -> Var {
        Var::record("div_mode", self.tensor().div_mode(&other.tensor(), mode), [self, other], |dy, need| {
            [need.of(0, || zero(dy)), need.of(1, || zero(dy))]
        })
    }

    /// `x / divisor` rounded to an integer.
    ///
    /// # Gradient
    /// Zero.
    #[track_caller]
    pub fn div_mode_scalar(&self, divisor: f64, mode: RoundingMode) -> Var {
        Var::record_unary("div_mode_scalar", self.tensor().div_mode_scalar(divisor, mode), self, zero)
    }

    /// `a / b` rounded down: [`Var::div_mode`] with [`RoundingMode::Floor`].
    ///
    /// # Gradient
    /// Zero.
    #[track_caller]
    pub fn floor_divide(&self, other: &Var) -> Var {
        self.div_mode(other, RoundingMode::Floor)
    }

    /// `a - b floor(a / b)`, which has the sign of `b`.
    ///
    /// # Gradient
    /// `da = dy`, `db = -dy floor(a / b)`. Keeps the quotient if `b` needs a gradient.
    #[track_caller]
    pub fn remainder(&self, other: &Var) -> Var {
        rest("remainder", self.tensor().remainder(&other.tensor()), [self, other], RoundingMode::Floor)
    }

    /// `x - divisor floor(x / divisor)`, which has the sign of the divisor.
    ///
    /// # Gradient
    /// `dx = dy`.
    #[track_caller]
    pub fn remainder_scalar(&self, divisor: f64) -> Var {
        Var::record_unary("remainder_scalar", self.tensor().remainder_scalar(divisor), self, |dy| dy.clone())
    }

    /// `a - b trunc(a / b)`, which has the sign of `a`.
    ///
    /// # Gradient
    /// `da = dy`, `db = -dy trunc(a / b)`. Keeps the quotient if `b` needs a gradient.
    #[track_caller]
    pub fn fmod(&self, other: &Var) -> Var {
        rest("fmod", self.tensor().fmod(&other.tensor()), [self, other], RoundingMode::Trunc)
    }

    /// `x - divisor trunc(x / divisor)`, which has the sign of `x`.
    ///
    /// # Gradient
    /// `dx = dy`.
    #[track_caller]
    pub fn fmod_scalar(&self, divisor: f64) -> Var {
        Var::record_unary("fmod_scalar", self.tensor().fmod_scalar(divisor), self, |dy| dy.clone())
    }
}

/// What a division whose quotient is rounded leaves.
#[track_caller]
fn rest(name: &'static str, value: Tensor, [a, b]: [&Var; 2], mode: RoundingMode) -> Var {
    let quotient = is_recorded(&[b]).then(|| a.tensor().div_mode(&b.tensor(), mode));
    Var::record(name, value, [a, b], move |dy, need| {
        let quotient = || Var::new(quotient.clone().expect("kept for the gradient of the divisor"));
        [need.of(0, || dy.clone()), need.of(1, || dy.neg() * quotient())]
    })
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    // Quotients between 2.09 and 2.7, away from the jumps.
    const DIVIDEND: Domain = Domain::Range(2.3, 2.7);
    const DIVISOR: Domain = Domain::Range(1.0, 1.1);
    const NEGATIVE: Domain = Domain::Range(-1.1, -1.0);
    vec![
        binary("div_mode", DIVIDEND, NEGATIVE, |a, b| a.div_mode(b, RoundingMode::Trunc)),
        binary("floor_divide", DIVIDEND, NEGATIVE, Var::floor_divide),
        unary("div_mode_scalar", DIVIDEND, |x| x.div_mode_scalar(-1.1, RoundingMode::Floor)),
        binary("remainder", DIVIDEND, DIVISOR, Var::remainder),
        binary("remainder", DIVIDEND, NEGATIVE, Var::remainder),
        unary("remainder_scalar", DIVIDEND, |x| x.remainder_scalar(-1.1)),
        binary("fmod", DIVIDEND, DIVISOR, Var::fmod),
        binary("fmod", DIVIDEND, NEGATIVE, Var::fmod),
        unary("fmod_scalar", DIVIDEND, |x| x.fmod_scalar(-1.1)),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    let divide = |a: &Args| {
        let mode = match a.text(2, "rounding_mode", "")?.as_str() {
            "trunc" => RoundingMode::Trunc,
            "floor" => RoundingMode::Floor,
            other => return skip(format!("the rounding mode {other}")),
        };
        done(a.var(0, "input")?.div_mode(&a.var(1, "other")?, mode))
    };
    vec![
        torch("div:trunc_rounding", &["div_mode"], divide),
        torch("div:floor_rounding", &["div_mode"], divide),
        torch("floor_divide", &["floor_divide"], |a| done(a.var(0, "input")?.floor_divide(&a.var(1, "other")?))),
        torch("remainder", &["remainder"], |a| done(a.var(0, "input")?.remainder(&a.var(1, "other")?))),
        torch("fmod", &["fmod"], |a| done(a.var(0, "input")?.fmod(&a.var(1, "other")?))),
    ]
}
