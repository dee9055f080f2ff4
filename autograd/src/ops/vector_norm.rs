//! Norms of vectors.

use tensor::{DType, Dims, Tensor};

use crate::ops::reduce::Over;
use crate::var::Var;

impl Var {
    /// The Euclidean norm of all elements, 0-d.
    ///
    /// # Gradient
    /// As [`Var::vector_norm`].
    #[track_caller]
    pub fn norm(&self) -> Var {
        self.vector_norm(2.0, [], false)
    }

    /// The norm `(sum |x|^ord)^(1/ord)` over `dims`; an empty list means all.
    ///
    /// # Gradient
    /// `dx = dy sign(x) (|x| / y)^(ord-1)`, zero where `x` or `y` is 0. An infinite `ord` shares `dy` evenly among the
    /// elements of that size; one of 0 has none. Keeps `x` and, unless `ord` is 1, `y`; nothing for an `ord` of 0.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([3.0, -4.0])).requires_grad_(true);
    /// x.vector_norm(2.0, 0, false).backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.6, -0.8]);
    /// ```
    #[track_caller]
    pub fn vector_norm(&self, ord: f64, dims: impl Into<Dims>, keepdim: bool) -> Var {
        let over = Over::new("vector_norm", self, &dims.into(), keepdim);
        let value = self.tensor().vector_norm(ord, &over.dims, keepdim);
        let x = self.keep();
        if ord == 0.0 {
            let shape = self.shape();
            let nothing = move |dy: &Var| Var::new(Tensor::zeros((), dy.dtype()).expand(&shape));
            return Var::record_unary("vector_norm", value, self, nothing);
        }
        if ord == 1.0 {
            return Var::record_unary("vector_norm", value, self, move |dy| over.stretch(dy) * x.sign());
        }
        Var::record_output("vector_norm", value, [self], move |y, dy, _| {
            let (y, dy) = (over.stretch(y), over.stretch(dy));
            if ord.is_infinite() {
                let nan = x.tensor().isnan().logical_and(&y.tensor().isnan());
                let chosen = x.tensor().abs().eq(&y.tensor()).logical_or(&nan);
                let ties = chosen.sum_dim(&over.dims, true).to_dtype(x.dtype().promote(DType::F32));
                let signs = x.tensor().sign().masked_fill(&chosen.logical_not(), 0.0);
                return [Some((dy / Var::new(ties)) * Var::new(signs))];
            }
            let mut zero = y.tensor().eq_scalar(0.0);
            let y = y.masked_fill(&zero, 1.0);
            if ord == 2.0 {
                return [Some((dy * (&*x / y)).masked_fill(&zero, 0.0))];
            }
            zero = zero.logical_or(&x.tensor().eq_scalar(0.0));
            // Zeros are kept away from the power, whose slope may be infinite there.
            let ratio = (x.abs() / y).masked_fill(&zero, 1.0);
            [Some((dy * (ratio.powf(ord - 1.0) * x.sign())).masked_fill(&zero, 0.0))]
        })
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        unary("norm", NONZERO, |x| x.abs().norm()),
        sample("vector_norm", &[NONZERO], nonempty, |v, p| {
            let ord = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, -1.0, -2.5][p.below(8)];
            v[0].vector_norm(ord, p.dims(v[0].ndim()), p.coin()).into()
        }),
        sample("vector_norm", &[DISTINCT], nonempty, |v, p| {
            let ord = if p.coin() { f64::INFINITY } else { f64::NEG_INFINITY };
            (&v[0] - 3.0).vector_norm(ord, p.dims(v[0].ndim()), p.coin()).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    let norm = |a: &Args| {
        // The Frobenius norm is the 2-norm of all elements.
        let frobenius = matches!(a.raw(1, "p"), Some(Arg::Str(p)) if p == "fro");
        let (x, ord) = (a.var(0, "input")?, if frobenius { 2.0 } else { a.number_or(1, "ord", 2.0)? });
        done(x.vector_norm(ord, a.dims(2, "dim")?, a.flag(3, "keepdim", false)?))
    };
    vec![
        torch("norm", &["vector_norm"], norm),
        torch("norm:fro", &["vector_norm"], norm),
        torch("norm:inf", &["vector_norm"], norm),
        torch("linalg.vector_norm", &["vector_norm"], norm),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn zeros_and_ties() {
        for ord in [0.5, 1.0, 1.5, 2.0, 3.0, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert_eq!(gradient_at(&[0.0, 0.0], |x| x.vector_norm(ord, 0, false)), [0.0, 0.0], "{ord}");
        }
        for ord in [0.5, 1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
            let dx = gradient_at(&[0.0, -2.0], |x| x.vector_norm(ord, [], true));
            assert!(dx[0] == 0.0 && (dx[1] + 1.0).abs() < 1e-15, "{ord}: {dx:?}");
        }
        assert_eq!(gradient_at(&[3.0, -3.0, 1.0], |x| x.vector_norm(f64::INFINITY, 0, false)), [0.5, -0.5, 0.0]);
        assert_eq!(gradient_at(&[f64::INFINITY, 1.0], |x| x.vector_norm(-1.0, 0, false)), [0.0, 1.0]);
        assert_eq!(gradient_at(&[1e200, 0.0], Var::norm), [1.0, 0.0]);
    }
}
