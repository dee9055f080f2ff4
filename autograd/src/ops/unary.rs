//! Functions of one element.

use tensor::{DType, Tensor};

use crate::step::Scalar;
use crate::var::Var;

impl Var {
    /// `-x`.
    ///
    /// # Gradient
    /// `dx = -dy`.
    #[track_caller]
    pub fn neg(&self) -> Var {
        Var::record_unary("neg", self.tensor().neg(), self, |dy| dy.neg())
    }

    /// `|x|`.
    ///
    /// # Gradient
    /// `dx = dy sign(x)`, which is 0 at 0. Keeps `x`.
    #[track_caller]
    pub fn abs(&self) -> Var {
        let x = self.keep();
        Var::record_unary("abs", self.tensor().abs(), self, move |dy| dy * x.sign())
    }

    /// -1, 0 or 1, the sign of `x`.
    ///
    /// # Gradient
    /// Zero.
    #[track_caller]
    pub fn sign(&self) -> Var {
        Var::record_unary("sign", self.tensor().sign(), self, zero)
    }

    /// `e^x`.
    ///
    /// # Gradient
    /// `dx = dy y`. Keeps `y`.
    #[track_caller]
    pub fn exp(&self) -> Var {
        Var::record_output("exp", self.tensor().exp(), [self], |y, dy, _| [Some(dy * y)])
    }

    /// The natural logarithm.
    ///
    /// # Gradient
    /// `dx = dy / x`. Keeps `x`.
    #[track_caller]
    pub fn log(&self) -> Var {
        let x = self.keep();
        Var::record_unary("log", self.tensor().log(), self, move |dy| dy / &*x)
    }

    /// `log(1 + x)`, exact near zero.
    ///
    /// # Gradient
    /// `dx = dy / (1 + x)`. Keeps `x`.
    #[track_caller]
    pub fn log1p(&self) -> Var {
        let x = self.keep();
        Var::record_unary("log1p", self.tensor().log1p(), self, move |dy| dy / (&*x + 1.0))
    }

    /// `e^x - 1`, exact near zero.
    ///
    /// # Gradient
    /// `dx = dy (y + 1)`. Keeps `y`.
    #[track_caller]
    pub fn expm1(&self) -> Var {
        Var::record_output("expm1", self.tensor().expm1(), [self], |y, dy, _| [Some(dy * (y + 1.0))])
    }

    /// The square root.
    ///
    /// # Gradient
    /// `dx = dy / (2 y)`, infinite at 0. Keeps `y`.
    #[track_caller]
    pub fn sqrt(&self) -> Var {
        Var::record_output("sqrt", self.tensor().sqrt(), [self], |y, dy, _| [Some(dy / (y * 2.0))])
    }

    /// `1 / sqrt(x)`.
    ///
    /// # Gradient
    /// `dx = -dy y^3 / 2`. Keeps `y`.
    #[track_caller]
    pub fn rsqrt(&self) -> Var {
        Var::record_output("rsqrt", self.tensor().rsqrt(), [self], |y, dy, _| [Some(dy * (y * y * y * -0.5))])
    }

    /// `x^2`.
    ///
    /// # Gradient
    /// `dx = 2 x dy`. Keeps `x`.
    #[track_caller]
    pub fn square(&self) -> Var {
        let x = self.keep();
        Var::record_unary("square", self.tensor().square(), self, move |dy| dy * &*x * 2.0)
    }

    /// `1 / x`.
    ///
    /// # Gradient
    /// `dx = -dy y^2`. Keeps `y`.
    #[track_caller]
    pub fn reciprocal(&self) -> Var {
        Var::record_output("reciprocal", self.tensor().reciprocal(), [self], |y, dy, _| [Some(dy.neg() * (y * y))])
    }

    /// The sine.
    ///
    /// # Gradient
    /// `dx = dy cos(x)`. Keeps `x`.
    #[track_caller]
    pub fn sin(&self) -> Var {
        let x = self.keep();
        Var::record_unary("sin", self.tensor().sin(), self, move |dy| dy * x.cos())
    }

    /// The cosine.
    ///
    /// # Gradient
    /// `dx = -dy sin(x)`. Keeps `x`.
    #[track_caller]
    pub fn cos(&self) -> Var {
        let x = self.keep();
        Var::record_unary("cos", self.tensor().cos(), self, move |dy| dy.neg() * x.sin())
    }

    /// The hyperbolic tangent.
    ///
    /// # Gradient
    /// `dx = dy (1 - y^2)`. Keeps `y`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([0.0])).requires_grad_(true);
    /// x.tanh().backward();
    /// assert_eq!(x.grad().unwrap().item::<f64>(), 1.0);
    /// ```
    #[track_caller]
    pub fn tanh(&self) -> Var {
        Var::record_output("tanh", self.tensor().tanh(), [self], |y, dy, _| [Some(dy * (1.0 - y * y))])
    }

    /// `1 / (1 + e^-x)`.
    ///
    /// # Gradient
    /// `dx = dy y (1 - y)`. Keeps `y`.
    #[track_caller]
    pub fn sigmoid(&self) -> Var {
        Var::record_output("sigmoid", self.tensor().sigmoid(), [self], |y, dy, _| [Some(dy * (y * (1.0 - y)))])
    }

    /// The error function.
    ///
    /// # Gradient
    /// `dx = dy 2/sqrt(pi) e^(-x^2)`. Keeps `x`.
    #[track_caller]
    pub fn erf(&self) -> Var {
        let x = self.keep();
        let slope = std::f64::consts::FRAC_2_SQRT_PI;
        Var::record_unary("erf", self.tensor().erf(), self, move |dy| dy * (x.square().neg().exp() * slope))
    }

    /// The largest integer that is not above `x`.
    ///
    /// # Gradient
    /// Zero.
    #[track_caller]
    pub fn floor(&self) -> Var {
        Var::record_unary("floor", self.tensor().floor(), self, zero)
    }

    /// The smallest integer that is not below `x`.
    ///
    /// # Gradient
    /// Zero.
    #[track_caller]
    pub fn ceil(&self) -> Var {
        Var::record_unary("ceil", self.tensor().ceil(), self, zero)
    }

    /// The nearest integer, halves to the even one.
    ///
    /// # Gradient
    /// Zero.
    #[track_caller]
    pub fn round(&self) -> Var {
        Var::record_unary("round", self.tensor().round(), self, zero)
    }

    /// The integer part.
    ///
    /// # Gradient
    /// Zero.
    #[track_caller]
    pub fn trunc(&self) -> Var {
        Var::record_unary("trunc", self.tensor().trunc(), self, zero)
    }

    /// `x^p` for a number `p`.
    ///
    /// # Gradient
    /// `dx = dy p x^(p-1)`, zero for `p = 0`. Keeps `x`.
    #[track_caller]
    pub fn powf(&self, p: f64) -> Var {
        let x = self.keep();
        Var::record_scalar("powf", self.tensor().powf(p), self, Scalar::Right(p), move |dy| match p {
            0.0 => zero(dy),
            1.0 => dy.clone(),
            2.0 => dy * &*x * 2.0,
            _ => dy * (x.powf(p - 1.0) * p),
        })
    }

    /// `x` limited to `min ..= max`; `None` is no limit.
    ///
    /// # Gradient
    /// `dx = dy` inside and at the limits, 0 outside, and also where `x` or a limit is NaN. Keeps `x`.
    ///
    /// # Differs
    /// PyTorch 2.15 gives 0 at the limits too; earlier versions pass `dy` on, as here.
    #[track_caller]
    pub fn clamp(&self, min: Option<f64>, max: Option<f64>) -> Var {
        let x = self.keep();
        Var::record_unary("clamp", self.tensor().clamp(min, max), self, move |dy| {
            let inside = [min.map(|min| x.tensor().ge_scalar(min)), max.map(|max| x.tensor().le_scalar(max))];
            let inside = inside.into_iter().flatten().reduce(|a, b| a.logical_and(&b));
            inside.map_or_else(|| dy.clone(), |inside| dy.masked_fill(&inside.logical_not(), 0.0))
        })
    }

    /// The elements converted to `dtype`; this same value when it has it already.
    ///
    /// # Gradient
    /// `dx = dy` in the dtype of `x`. Conversion to an integer dtype gives a constant.
    #[track_caller]
    pub fn to_dtype(&self, dtype: DType) -> Var {
        if self.dtype() == dtype {
            return self.clone();
        }
        // The engine converts the gradient, as after any promotion.
        Var::record_unary("to_dtype", self.tensor().to_dtype(dtype), self, |dy| dy.clone())
    }

    /// The same elements in row-major order without gaps; this same value when it is so already.
    ///
    /// # Gradient
    /// `dx = dy`.
    #[track_caller]
    pub fn contiguous(&self) -> Var {
        if self.tensor().is_contiguous() {
            return self.clone();
        }
        Var::record_unary("contiguous", self.tensor().contiguous(), self, |dy| dy.clone())
    }
}

/// A gradient of zeros, which takes no memory until somebody writes.
pub(crate) fn zero(dy: &Var) -> Var {
    Var::new(Tensor::zeros((), dy.dtype()).expand(dy.shape()))
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        unary("neg", REAL, Var::neg),
        unary("abs", NONZERO, Var::abs),
        unary("sign", NONZERO, Var::sign),
        unary("exp", REAL, Var::exp),
        unary("log", POSITIVE, Var::log),
        unary("log1p", POSITIVE, Var::log1p),
        unary("expm1", REAL, Var::expm1),
        unary("sqrt", POSITIVE, Var::sqrt),
        unary("rsqrt", POSITIVE, Var::rsqrt),
        unary("square", REAL, Var::square),
        unary("reciprocal", NONZERO, Var::reciprocal),
        unary("sin", REAL, Var::sin),
        unary("cos", REAL, Var::cos),
        unary("tanh", REAL, Var::tanh),
        unary("sigmoid", REAL, Var::sigmoid),
        unary("erf", REAL, Var::erf),
        unary("floor", Domain::Away(&[-2.0, -1.0, 0.0, 1.0, 2.0]), Var::floor),
        unary("ceil", Domain::Away(&[-2.0, -1.0, 0.0, 1.0, 2.0]), Var::ceil),
        unary("round", Domain::Away(&[-1.5, -0.5, 0.5, 1.5]), Var::round),
        unary("trunc", Domain::Away(&[-2.0, -1.0, 1.0, 2.0]), Var::trunc),
        sample("powf", &[POSITIVE], same, |v, pick| v[0].powf([-1.5, 0.0, 0.5, 1.0, 2.0, 3.0][pick.below(6)]).into()),
        unary("clamp", Domain::Away(&[-0.5, 1.0]), |x| x.clamp(Some(-0.5), Some(1.0))),
        unary("to_dtype", REAL, |x| x.to_dtype(DType::F32).to_dtype(DType::F64)).loose(),
        unary("contiguous", REAL, Var::contiguous),
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
    alike! {
        neg abs sign exp log log1p expm1 sqrt rsqrt square reciprocal sin cos tanh sigmoid erf floor ceil round trunc
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn values_at_kinks() {
        assert_eq!(gradient_at(&[0.0, -2.0], Var::abs), [0.0, -1.0]);
        assert_eq!(gradient_at(&[0.0, 1.5], Var::sign), [0.0, 0.0]);
        assert_eq!(gradient_at(&[1.0, 1.5], Var::floor), [0.0, 0.0]);
        assert_eq!(gradient_at(&[-1.0, 0.0, 2.0, 3.0], |x| x.clamp(Some(-1.0), Some(2.0))), [1.0, 1.0, 1.0, 0.0]);
        assert_eq!(gradient_at(&[f64::NAN, 1.0], |x| x.clamp(Some(0.0), None)), [0.0, 1.0]);
        assert_eq!(gradient_at(&[0.5], |x| x.clamp(Some(f64::NAN), Some(1.0))), [0.0]);
        assert_eq!(gradient_at(&[0.5], |x| x.clamp(None, Some(f64::NAN))), [0.0]);
        assert_eq!(gradient_at(&[f64::NAN], |x| x.clamp(None, None)), [1.0]);
        assert_eq!(gradient_at(&[0.0], |x| x.powf(0.0)), [0.0]);
        assert_eq!(gradient_at(&[0.0], |x| x.powf(2.0)), [0.0]);
        assert_eq!(gradient_at(&[0.0], Var::sqrt), [f64::INFINITY]);
    }

    #[test]
    fn integers_are_constants() {
        let x = Var::new(Tensor::from([1.5])).requires_grad_(true);
        assert!(!x.to_dtype(DType::I64).requires_grad());
    }

    #[test]
    fn a_gradient_returns_to_the_dtype_of_its_input() {
        let x = Var::new(Tensor::from([1.5f32])).requires_grad_(true);
        (x.to_dtype(DType::F64) * 2.0).backward();
        assert_eq!(x.grad().unwrap().dtype(), DType::F32);
    }
}
