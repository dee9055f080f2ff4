//! Trigonometric and hyperbolic functions and their inverses.

use crate::var::Var;

impl Var {
    /// The tangent.
    ///
    /// # Gradient
    /// `dx = dy (1 + y^2)`. Keeps `y`.
    #[track_caller]
    pub fn tan(&self) -> Var {
        Var::record_output("tan", self.tensor().tan(), [self], |y, dy, _| [Some(dy * (y * y + 1.0))])
    }

    /// The angle in `-pi/2 ..= pi/2` whose sine is `x`.
    ///
    /// # Gradient
    /// `dx = dy / sqrt(1 - x^2)`, infinite at -1 and 1. Keeps `x`.
    #[track_caller]
    pub fn asin(&self) -> Var {
        let x = self.keep();
        Var::record_unary("asin", self.tensor().asin(), self, move |dy| dy * (1.0 - x.square()).rsqrt())
    }

    /// The angle in `0 ..= pi` whose cosine is `x`.
    ///
    /// # Gradient
    /// `dx = -dy / sqrt(1 - x^2)`, infinite at -1 and 1. Keeps `x`.
    #[track_caller]
    pub fn acos(&self) -> Var {
        let x = self.keep();
        Var::record_unary("acos", self.tensor().acos(), self, move |dy| dy.neg() * (1.0 - x.square()).rsqrt())
    }

    /// The angle in `-pi/2 ..= pi/2` whose tangent is `x`.
    ///
    /// # Gradient
    /// `dx = dy / (1 + x^2)`. Keeps `x`.
    #[track_caller]
    pub fn atan(&self) -> Var {
        let x = self.keep();
        Var::record_unary("atan", self.tensor().atan(), self, move |dy| dy / (x.square() + 1.0))
    }

    /// The angle in `-pi ..= pi` of the point whose height is `self` and whose distance along the axis is `other`.
    ///
    /// # Gradient
    /// With `r^2 = self^2 + other^2`: `dself = dy other / r^2`, `dother = -dy self / r^2`, zero at the origin. Keeps both operands.
    #[track_caller]
    pub fn atan2(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[self, other]), other.keep_for(&[self, other]));
        Var::record("atan2", self.tensor().atan2(&other.tensor()), [self, other], move |dy, need| {
            // In the dtype of the result: small integers have no room for their squares.
            let (a, b) = (a.to_dtype(dy.dtype()), b.to_dtype(dy.dtype()));
            let square = a.square() + b.square();
            let origin = square.tensor().eq_scalar(0.0);
            let scale = dy / square.masked_fill(&origin, 1.0);
            [need.of(0, || &scale * &b), need.of(1, || scale.neg() * &a)]
        })
    }

    /// The hyperbolic sine.
    ///
    /// # Gradient
    /// `dx = dy cosh(x)`. Keeps `x`.
    #[track_caller]
    pub fn sinh(&self) -> Var {
        let x = self.keep();
        Var::record_unary("sinh", self.tensor().sinh(), self, move |dy| dy * x.cosh())
    }

    /// The hyperbolic cosine.
    ///
    /// # Gradient
    /// `dx = dy sinh(x)`. Keeps `x`.
    #[track_caller]
    pub fn cosh(&self) -> Var {
        let x = self.keep();
        Var::record_unary("cosh", self.tensor().cosh(), self, move |dy| dy * x.sinh())
    }

    /// The number whose hyperbolic sine is `x`.
    ///
    /// # Gradient
    /// `dx = dy / sqrt(x^2 + 1)`. Keeps `x`.
    #[track_caller]
    pub fn asinh(&self) -> Var {
        let x = self.keep();
        Var::record_unary("asinh", self.tensor().asinh(), self, move |dy| dy * (x.square() + 1.0).rsqrt())
    }

    /// The non-negative number whose hyperbolic cosine is `x`.
    ///
    /// # Gradient
    /// `dx = dy / sqrt(x^2 - 1)`, infinite at 1. Keeps `x`.
    #[track_caller]
    pub fn acosh(&self) -> Var {
        let x = self.keep();
        Var::record_unary("acosh", self.tensor().acosh(), self, move |dy| dy * (x.square() - 1.0).rsqrt())
    }

    /// The number whose hyperbolic tangent is `x`.
    ///
    /// # Gradient
    /// `dx = dy / (1 - x^2)`, infinite at -1 and 1. Keeps `x`.
    #[track_caller]
    pub fn atanh(&self) -> Var {
        let x = self.keep();
        Var::record_unary("atanh", self.tensor().atanh(), self, move |dy| dy / (1.0 - x.square()))
    }

    /// `sin(pi x) / (pi x)`, 1 at 0.
    ///
    /// # Gradient
    /// `dx = dy (cos(pi x) - y) / x`, zero at 0. Keeps `x`.
    #[track_caller]
    pub fn sinc(&self) -> Var {
        let x = self.keep();
        Var::record_unary("sinc", self.tensor().sinc(), self, move |dy| {
            let zero = x.tensor().eq_scalar(0.0);
            let safe = x.masked_fill(&zero, 1.0);
            let slope = ((&safe * std::f64::consts::PI).cos() - safe.sinc()) / &safe;
            (dy * slope).masked_fill(&zero, 0.0)
        })
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    const INSIDE: Domain = Domain::Range(-0.9, 0.9);
    vec![
        unary("tan", Domain::Range(-1.2, 1.2), Var::tan),
        unary("asin", INSIDE, Var::asin),
        unary("acos", INSIDE, Var::acos),
        unary("atan", REAL, Var::atan),
        binary("atan2", REAL, NONZERO, Var::atan2),
        unary("sinh", REAL, Var::sinh),
        unary("cosh", REAL, Var::cosh),
        unary("asinh", REAL, Var::asinh),
        unary("acosh", Domain::Range(1.1, 3.0), Var::acosh),
        unary("atanh", INSIDE, Var::atanh),
        unary("sinc", NONZERO, Var::sinc),
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
    let mut all = alike! { tan asin acos atan sinh cosh asinh acosh atanh sinc };
    all.push(torch("atan2", &["atan2"], |a| done(a.var(0, "input")?.atan2(&a.var(1, "other")?))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn values_at_singular_points() {
        assert_eq!(gradient_at(&[0.0], Var::sinc), [0.0]);
        assert_eq!(gradient_at(&[1.0, -1.0], Var::asin), [f64::INFINITY; 2]);
        assert_eq!(gradient_at(&[1.0], Var::acosh), [f64::INFINITY]);
        assert_eq!(gradient_at(&[0.0], |x| x.atan2(x)), [0.0]);
    }

    #[test]
    fn small_integers_do_not_overflow_in_the_gradient() {
        let height = Var::new(tensor::Tensor::from([200u8]));
        assert!((gradient_at(&[1.0], |x| height.atan2(x))[0] + 200.0 / 40001.0).abs() < 1e-15);
    }
}
