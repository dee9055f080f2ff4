//! Operations of two operands, which broadcast and promote, and the operators.

use std::ops::{Add, Div, Mul, Neg, Sub};

use tensor::Tensor;

use crate::step::Scalar;
use crate::var::Var;

impl Var {
    /// `a + b`.
    ///
    /// # Gradient
    /// `da = dy`, `db = dy`.
    #[track_caller]
    pub fn add(&self, other: &Var) -> Var {
        Var::record("add", &*self.tensor() + &*other.tensor(), [self, other], |dy, need| {
            [need.of(0, || dy.clone()), need.of(1, || dy.clone())]
        })
    }

    /// `a - b`.
    ///
    /// # Gradient
    /// `da = dy`, `db = -dy`.
    #[track_caller]
    pub fn sub(&self, other: &Var) -> Var {
        Var::record("sub", &*self.tensor() - &*other.tensor(), [self, other], |dy, need| {
            [need.of(0, || dy.clone()), need.of(1, || dy.neg())]
        })
    }

    /// `a b`, element by element.
    ///
    /// # Gradient
    /// `da = dy b`, `db = dy a`. Keeps each operand if the other needs a gradient.
    #[track_caller]
    pub fn mul(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[other]), other.keep_for(&[self]));
        Var::record("mul", &*self.tensor() * &*other.tensor(), [self, other], move |dy, need| {
            [need.of(0, || dy * &*b), need.of(1, || dy * &*a)]
        })
    }

    /// `a / b`, element by element.
    ///
    /// # Gradient
    /// `da = dy / b`, `db = -dy a / b^2`. Keeps `b`, and `a` if `b` needs a gradient.
    #[track_caller]
    pub fn div(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[other]), other.keep_for(&[self, other]));
        Var::record("div", &*self.tensor() / &*other.tensor(), [self, other], move |dy, need| {
            [need.of(0, || dy / &*b), need.of(1, || dy.neg() * (&*a / &*b / &*b))]
        })
    }

    /// `a^b`, element by element.
    ///
    /// # Gradient
    /// `da = dy b a^(b-1)`, zero where `b = 0`; `db = dy y log(a)`, zero where `a = 0` and `b >= 0`. Keeps `a` and `b`, and
    /// `y` if `b` needs a gradient.
    #[track_caller]
    pub fn pow(&self, exponent: &Var) -> Var {
        let (a, b) = (self.keep_for(&[self, exponent]), exponent.keep_for(&[self, exponent]));
        let value = self.tensor().pow(&exponent.tensor());
        let base = |a: &Var, b: &Var, dy: &Var| {
            let da = dy * (b * a.pow(&(b - 1.0)));
            da.masked_fill(&b.tensor().eq_scalar(0.0), 0.0)
        };
        if !exponent.requires_grad() {
            return Var::record("pow", value, [self, exponent], move |dy, need| {
                [need.of(0, || base(&a, &b, dy)), None]
            });
        }
        Var::record_output("pow", value, [self, exponent], move |y, dy, need| {
            [
                need.of(0, || base(&a, &b, dy)),
                need.of(1, || {
                    let zero = a.tensor().eq_scalar(0.0).logical_and(&b.tensor().ge_scalar(0.0));
                    // 0 log 0: the infinite logarithm must not reach the product, nor its own gradient. In the dtype of the
                    // result, which may be finer than that of the base.
                    let log = a.to_dtype(y.dtype()).masked_fill(&a.tensor().eq_scalar(0.0), 1.0).log();
                    let log = log.masked_fill(&a.tensor().eq_scalar(0.0), f64::NEG_INFINITY);
                    (dy * (y * log)).masked_fill(&zero, 0.0)
                }),
            ]
        })
    }

    /// The larger of `a` and `b`, element by element.
    ///
    /// # Gradient
    /// `dy` to the larger, half to each where they are equal; all to both where one is NaN. Keeps `a` and `b`.
    #[track_caller]
    pub fn maximum(&self, other: &Var) -> Var {
        outdone("maximum", self.tensor().maximum(&other.tensor()), [self, other], Tensor::lt)
    }

    /// The smaller of `a` and `b`, element by element.
    ///
    /// # Gradient
    /// `dy` to the smaller, half to each where they are equal; all to both where one is NaN. Keeps `a` and `b`.
    #[track_caller]
    pub fn minimum(&self, other: &Var) -> Var {
        outdone("minimum", self.tensor().minimum(&other.tensor()), [self, other], Tensor::gt)
    }

    /// `x + scalar`, in the dtype of `x`.
    ///
    /// # Gradient
    /// `dx = dy`.
    #[track_caller]
    pub fn add_scalar(&self, scalar: f64) -> Var {
        Var::record_scalar("add", self.tensor().add_scalar(scalar), self, Scalar::Right(scalar), |dy| dy.clone())
    }

    /// `x - scalar`, in the dtype of `x`.
    ///
    /// # Gradient
    /// `dx = dy`.
    #[track_caller]
    pub fn sub_scalar(&self, scalar: f64) -> Var {
        Var::record_scalar("sub", self.tensor().sub_scalar(scalar), self, Scalar::Right(scalar), |dy| dy.clone())
    }

    /// `scalar - x`, in the dtype of `x`.
    ///
    /// # Gradient
    /// `dx = -dy`.
    #[track_caller]
    pub fn rsub_scalar(&self, scalar: f64) -> Var {
        Var::record_scalar("sub", self.tensor().rsub_scalar(scalar), self, Scalar::Left(scalar), |dy| dy.neg())
    }

    /// `x scalar`, in the dtype of `x`.
    ///
    /// # Gradient
    /// `dx = dy scalar`.
    #[track_caller]
    pub fn mul_scalar(&self, scalar: f64) -> Var {
        Var::record_scalar("mul", self.tensor().mul_scalar(scalar), self, Scalar::Right(scalar), move |dy| {
            dy.mul_scalar(scalar)
        })
    }

    /// `x / scalar`, in the dtype of `x`.
    ///
    /// # Gradient
    /// `dx = dy / scalar`.
    #[track_caller]
    pub fn div_scalar(&self, scalar: f64) -> Var {
        Var::record_scalar("div", self.tensor().div_scalar(scalar), self, Scalar::Right(scalar), move |dy| {
            dy.div_scalar(scalar)
        })
    }

    /// `scalar / x`, in the dtype of `x`.
    ///
    /// # Gradient
    /// `dx = -dy scalar / x^2`. Keeps `x`.
    #[track_caller]
    pub fn rdiv_scalar(&self, scalar: f64) -> Var {
        let x = self.keep();
        Var::record_scalar("div", self.tensor().rdiv_scalar(scalar), self, Scalar::Left(scalar), move |dy| {
            dy * (x.rdiv_scalar(-scalar) / &*x)
        })
    }
}

/// An operation that gives one of two operands, `loses` saying when an operand is not it.
#[track_caller]
fn outdone(name: &'static str, value: Tensor, operands: [&Var; 2], loses: fn(&Tensor, &Tensor) -> Tensor) -> Var {
    let [a, b] = operands.map(|operand| operand.keep_for(&operands));
    Var::record(name, value, operands, move |dy, need| {
        let (a, b) = (a.tensor(), b.tensor());
        let half = Var::where_(&a.eq(&b), &(dy * 0.5), dy);
        [need.of(0, || half.masked_fill(&loses(&a, &b), 0.0)), need.of(1, || half.masked_fill(&loses(&b, &a), 0.0))]
    })
}

impl Neg for &Var {
    type Output = Var;
    #[track_caller]
    fn neg(self) -> Var {
        Var::neg(self)
    }
}

impl Neg for Var {
    type Output = Var;
    #[track_caller]
    fn neg(self) -> Var {
        Var::neg(&self)
    }
}

/// An operator between handles, borrowed or not, and with numbers on either side. A number has no dtype of its own: it
/// takes the operand's, and needs no gradient.
macro_rules! operator {
    ($Trait:ident, $method:ident, $right:ident, $left:ident) => {
        impl $Trait<&Var> for &Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: &Var) -> Var {
                Var::$method(self, other)
            }
        }
        impl $Trait<Var> for &Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: Var) -> Var {
                Var::$method(self, &other)
            }
        }
        impl $Trait<&Var> for Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: &Var) -> Var {
                Var::$method(&self, other)
            }
        }
        impl $Trait<Var> for Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: Var) -> Var {
                Var::$method(&self, &other)
            }
        }
        impl $Trait<f64> for &Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, scalar: f64) -> Var {
                self.$right(scalar)
            }
        }
        impl $Trait<f64> for Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, scalar: f64) -> Var {
                self.$right(scalar)
            }
        }
        impl $Trait<&Var> for f64 {
            type Output = Var;
            #[track_caller]
            fn $method(self, var: &Var) -> Var {
                var.$left(self)
            }
        }
        impl $Trait<Var> for f64 {
            type Output = Var;
            #[track_caller]
            fn $method(self, var: Var) -> Var {
                var.$left(self)
            }
        }
    };
}
operator!(Add, add, add_scalar, add_scalar);
operator!(Sub, sub, sub_scalar, rsub_scalar);
operator!(Mul, mul, mul_scalar, mul_scalar);
operator!(Div, div, div_scalar, rdiv_scalar);

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        binary("add", REAL, REAL, Var::add),
        binary("sub", REAL, REAL, Var::sub),
        binary("mul", REAL, REAL, Var::mul),
        binary("div", REAL, NONZERO, Var::div),
        binary("pow", POSITIVE, REAL, Var::pow),
        binary("maximum", DISTINCT, DISTINCT, Var::maximum),
        binary("minimum", DISTINCT, DISTINCT, Var::minimum),
        unary("add_scalar", REAL, |x| 2.0 + (x + 2.0)),
        unary("sub_scalar", REAL, |x| x - 2.0),
        unary("rsub_scalar", REAL, |x| 2.0 - x),
        unary("mul_scalar", REAL, |x| 2.0 * (x * 3.0)),
        unary("div_scalar", REAL, |x| x / 2.0),
        unary("rdiv_scalar", NONZERO, |x| 2.0 / x),
        unary("-x", REAL, |x| -(-x)),
        unary("x * x", REAL, |x| x * x),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    macro_rules! alike {
        ($($name:literal $method:ident)*) => {
            vec![$(torch($name, &[stringify!($method)], |a| {
                done(a.var(0, "input")?.$method(&a.var(1, "other")?))
            })),*]
        };
    }
    let mut all = alike! {
        "mul" mul "div:no_rounding_mode" div "pow" pow "maximum" maximum "minimum" minimum
        "max:binary" maximum "min:binary" minimum
    };
    all.push(torch("add", &["add", "add_scaled"], |a| {
        let (x, y) = (a.var(0, "input")?, a.var(1, "other")?);
        done(a.opt_number(2, "alpha")?.map_or_else(|| &x + &y, |alpha| x.add_scaled(&y, alpha)))
    }));
    all.push(torch("sub", &["sub", "add_scaled"], |a| {
        let (x, y) = (a.var(0, "input")?, a.var(1, "other")?);
        done(a.opt_number(2, "alpha")?.map_or_else(|| &x - &y, |alpha| x.add_scaled(&y, -alpha)))
    }));
    all.push(torch("rsub", &["sub", "add_scaled"], |a| {
        let (x, y) = (a.var(0, "input")?, a.var(1, "other")?);
        done(a.opt_number(2, "alpha")?.map_or_else(|| &y - &x, |alpha| y.add_scaled(&x, -alpha)))
    }));
    all.push(torch("__rpow__", &["pow"], |a| done(a.var(1, "other")?.pow(&a.var(0, "input")?))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn ties_are_halved() {
        let x = Var::new(Tensor::from([1.0, 2.0, 3.0])).requires_grad_(true);
        let y = Var::new(Tensor::from([1.0, 3.0, 2.0])).requires_grad_(true);
        x.maximum(&y).sum().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.5, 0.0, 1.0]);
        assert_eq!(y.grad().unwrap().to_vec::<f64>(), [0.5, 1.0, 0.0]);
        x.zero_grad();
        y.zero_grad();
        x.minimum(&y).sum().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.5, 1.0, 0.0]);
        assert_eq!(y.grad().unwrap().to_vec::<f64>(), [0.5, 0.0, 1.0]);
    }

    #[test]
    fn pow_at_zero() {
        let exponent = Var::new(Tensor::from([0.0, 2.0]));
        assert_eq!(gradient_at(&[0.0, 0.0], |x| x.pow(&exponent)), [0.0, 0.0]);
        let base = Var::new(Tensor::from([0.0, 0.0, 1.0]));
        assert_eq!(gradient_at(&[0.0, 2.0, 3.0], |x| base.pow(x)), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn operands_promote_and_gradients_come_back() {
        let a = Var::new(Tensor::from([[1.0f32], [2.0]])).requires_grad_(true);
        let b = Var::new(Tensor::from([3.0, 4.0])).requires_grad_(true);
        (&a * &b).sum().backward();
        let (da, db) = (a.grad().unwrap(), b.grad().unwrap());
        assert_eq!((da.dtype(), da.shape().to_vec()), (tensor::DType::F32, vec![2, 1]));
        assert_eq!(da.to_vec::<f32>(), [7.0, 7.0]);
        assert_eq!(db.to_vec::<f64>(), [3.0, 3.0]);
    }

    #[test]
    fn the_logarithm_of_a_base_is_as_fine_as_the_result() {
        let base = Var::new(Tensor::from([3i64]));
        assert_eq!(gradient_at(&[1.5], |b| base.pow(b)), [3f64.powf(1.5) * 3f64.ln()]);
    }

    #[test]
    fn a_number_takes_the_dtype_of_the_other_operand() {
        let a = Var::new(Tensor::from([1.0f32]));
        assert_eq!((&a * 2.0 + 1.0).dtype(), tensor::DType::F32);
    }
}
