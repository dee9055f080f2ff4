//! Operations of two operands beyond arithmetic: lengths, logarithms, signs, and extrema that pass over NaN.

use tensor::Tensor;

use crate::ops::unary::zero;
use crate::record::is_recorded;
use crate::var::Var;

impl Var {
    /// `sqrt(a^2 + b^2)`, without overflow.
    ///
    /// # Gradient
    /// `da = dy a / y`, `db = dy b / y`, NaN at the origin. Keeps `y` and each operand that needs a gradient.
    #[track_caller]
    pub fn hypot(&self, other: &Var) -> Var {
        let (a, b) = (self.keep(), other.keep());
        Var::record_output("hypot", self.tensor().hypot(&other.tensor()), [self, other], move |y, dy, need| {
            [need.of(0, || dy * (&*a / y)), need.of(1, || dy * (&*b / y))]
        })
    }

    /// `log(e^a + e^b)`, without overflow.
    ///
    /// # Gradient
    /// `da = dy sigmoid(a - b)`, `db = dy sigmoid(b - a)`. Keeps both operands.
    #[track_caller]
    pub fn logaddexp(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[self, other]), other.keep_for(&[self, other]));
        Var::record("logaddexp", self.tensor().logaddexp(&other.tensor()), [self, other], move |dy, need| {
            [need.of(0, || dy * (&*a - &*b).sigmoid()), need.of(1, || dy * (&*b - &*a).sigmoid())]
        })
    }

    /// `a log(b)`, 0 where `a` is 0 unless `b` is NaN.
    ///
    /// # Gradient
    /// `da = dy log(b)`, zero where `a = 0` and `b <= 0`; `db = dy a / b`. Keeps `b`, and `a` if either needs a gradient.
    #[track_caller]
    pub fn xlogy(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[self, other]), other.keep_for(&[self, other]));
        Var::record("xlogy", self.tensor().xlogy(&other.tensor()), [self, other], move |dy, need| {
            [
                need.of(0, || {
                    let nothing = a.tensor().eq_scalar(0.0).logical_and(&b.tensor().le_scalar(0.0));
                    dy.xlogy(&b).masked_fill(&nothing, 0.0)
                }),
                need.of(1, || dy * &*a / &*b),
            ]
        })
    }

    /// The size of `a` with the sign of `b`, that of zeros included.
    ///
    /// # Gradient
    /// `da = dy` where the sign stayed, `-dy` where it changed, zero at 0; `db = 0`. Keeps the signs.
    #[track_caller]
    pub fn copysign(&self, other: &Var) -> Var {
        let value = self.tensor().copysign(&other.tensor());
        let signs = is_recorded(&[self]).then(|| {
            let a = self.tensor().sign();
            a.mul(&a.ones_like().copysign(&other.tensor()))
        });
        Var::record("copysign", value, [self, other], move |dy, need| {
            let signs = || Var::new(signs.clone().expect("kept for the gradient of the size"));
            [need.of(0, || dy * signs()), need.of(1, || zero(dy))]
        })
    }

    /// The larger of `a` and `b`; where one of them is NaN, the other.
    ///
    /// # Gradient
    /// `dy` to the one chosen, half to each where they are equal; of two NaNs to `a`. Keeps two masks.
    #[track_caller]
    pub fn fmax(&self, other: &Var) -> Var {
        chosen("fmax", self.tensor().fmax(&other.tensor()), [self, other], Tensor::gt)
    }

    /// The smaller of `a` and `b`; where one of them is NaN, the other.
    ///
    /// # Gradient
    /// As [`Var::fmax`].
    #[track_caller]
    pub fn fmin(&self, other: &Var) -> Var {
        chosen("fmin", self.tensor().fmin(&other.tensor()), [self, other], Tensor::lt)
    }
}

/// An operation that took the left operand where `wins` says so or the right one is NaN, and the right one elsewhere.
#[track_caller]
fn chosen(name: &'static str, value: Tensor, [a, b]: [&Var; 2], wins: fn(&Tensor, &Tensor) -> Tensor) -> Var {
    let masks = is_recorded(&[a, b]).then(|| {
        let (a, b) = (a.tensor(), b.tensor());
        let tie = a.eq(&b);
        (wins(&a, &b).logical_or(&b.isnan()).logical_or(&tie), tie)
    });
    Var::record(name, value, [a, b], move |dy, need| {
        let (left, tie) = masks.as_ref().expect("kept for the gradients");
        let shared = Var::where_(tie, &(dy * 0.5), dy);
        [
            need.of(0, || shared.masked_fill(&left.logical_not(), 0.0)),
            need.of(1, || shared.masked_fill(&left.logical_and(&tie.logical_not()), 0.0)),
        ]
    })
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        binary("hypot", NONZERO, NONZERO, Var::hypot),
        binary("logaddexp", REAL, REAL, Var::logaddexp),
        binary("xlogy", NONZERO, POSITIVE, Var::xlogy),
        binary("copysign", NONZERO, NONZERO, Var::copysign),
        binary("fmax", DISTINCT, DISTINCT, Var::fmax),
        binary("fmin", DISTINCT, DISTINCT, Var::fmin),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    macro_rules! alike {
        ($($name:ident)*) => {
            vec![$(torch(stringify!($name), &[stringify!($name)], |a| {
                done(a.var(0, "input")?.$name(&a.var(1, "other")?))
            })),*]
        };
    }
    alike! { hypot logaddexp xlogy copysign fmax fmin }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    fn constant(values: &[f64]) -> Var {
        Var::new(Tensor::from_slice(values, [values.len()]))
    }

    #[test]
    fn values_at_ties_and_edges() {
        let b = constant(&[1.0, 1.0, f64::NAN]);
        assert_eq!(gradient_at(&[1.0, 0.0, 1.0], |a| a.fmax(&b)), [0.5, 0.0, 1.0]);
        assert_eq!(gradient_at(&[1.0, 0.0, 1.0], |a| a.fmin(&b)), [0.5, 1.0, 1.0]);
        assert_eq!(gradient_at(&[1.0, 0.0, 1.0], |b| constant(&[1.0, 1.0, f64::NAN]).fmax(b)), [0.5, 0.0, 1.0]);
        assert_eq!(gradient_at(&[f64::NAN], |a| a.fmax(&constant(&[f64::NAN]))), [1.0]);
        assert_eq!(gradient_at(&[f64::NAN], |b| constant(&[f64::NAN]).fmax(b)), [0.0]);
        assert_eq!(gradient_at(&[0.0, 2.0, -2.0], |a| a.copysign(&constant(&[-1.0, -1.0, -0.0]))), [0.0, -1.0, 1.0]);
        assert_eq!(gradient_at(&[0.0, 0.0], |a| a.xlogy(&constant(&[0.0, 1.0]))), [0.0, 0.0]);
        assert_eq!(gradient_at(&[f64::INFINITY], |a| a.logaddexp(&constant(&[1.0]))), [1.0]);
        assert_eq!(gradient_at(&[f64::NEG_INFINITY], |a| a.logaddexp(&constant(&[1.0]))), [0.0]);
    }
}
