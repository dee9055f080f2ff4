//! Softmax and its logarithm.

use tensor::Tensor;

use crate::mode::is_grad_enabled;
use crate::var::Var;

impl Var {
    /// `e^x / sum e^x` along `dim`.
    ///
    /// # Gradient
    /// `dx = y (dy - sum dy y)`. Keeps `y`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([1.0, 1.0])).requires_grad_(true);
    /// x.softmax(-1).select(0, 0).backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.25, -0.25]);
    /// ```
    #[track_caller]
    pub fn softmax(&self, dim: isize) -> Var {
        Var::record_output("softmax", self.tensor().softmax(dim), [self], move |y, dy, _| {
            [Some(match is_grad_enabled() {
                false => Var::new(Tensor::softmax_backward(&y.tensor(), &dy.tensor(), dim)),
                true => y * (dy - (dy * y).sum_dim(dim, true)),
            })]
        })
    }

    /// `x - log sum e^x` along `dim`.
    ///
    /// # Gradient
    /// `dx = dy - e^y sum dy`. Keeps `y`.
    #[track_caller]
    pub fn log_softmax(&self, dim: isize) -> Var {
        Var::record_output("log_softmax", self.tensor().log_softmax(dim), [self], move |y, dy, _| {
            [Some(match is_grad_enabled() {
                false => Var::new(Tensor::log_softmax_backward(&y.tensor(), &dy.tensor(), dim)),
                true => dy - y.exp() * dy.sum_dim(dim, true),
            })]
        })
    }
}

/// The plain references of the fused functions here.
#[cfg(test)]
mod reference {
    use super::*;

    pub fn softmax(x: &Var, dim: isize) -> Var {
        let e = (x - x.amax(dim, true).detach()).exp();
        &e / e.sum_dim(dim, true)
    }

    pub fn log_softmax(x: &Var, dim: isize) -> Var {
        x - x.logsumexp(dim, true)
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("softmax", &[REAL], rows, |v, p| v[0].softmax(p.dim(v[0].ndim())).into()),
        sample("log_softmax", &[REAL], rows, |v, p| v[0].log_softmax(p.dim(v[0].ndim())).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn converted(a: &Args) -> Result<(Var, isize), Skip> {
        let x = a.var(0, "input")?;
        Ok((a.opt_dtype(9, "dtype")?.map_or_else(|| x.clone(), |dtype| x.to_dtype(dtype)), a.int(1, "dim")?))
    }
    vec![
        torch("softmax", &["softmax"], |a| converted(a).and_then(|(x, dim)| done(x.softmax(dim)))),
        torch("softmax:with_dtype", &["softmax"], |a| converted(a).and_then(|(x, dim)| done(x.softmax(dim)))),
        torch("log_softmax:with_dtype", &["log_softmax"], |a| {
            converted(a).and_then(|(x, dim)| done(x.log_softmax(dim)))
        }),
        torch("log_softmax", &["log_softmax"], |a| converted(a).and_then(|(x, dim)| done(x.log_softmax(dim)))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{REAL, agrees_with_reference, gradient_at};

    #[test]
    fn fused_functions_agree_with_their_references() {
        for dim in [0, 1, -1] {
            let shapes: &[&[usize]] = &[&[3, 5, 17]];
            agrees_with_reference(&[REAL], shapes, |v| v[0].softmax(dim), |v| reference::softmax(&v[0], dim));
            agrees_with_reference(&[REAL], shapes, |v| v[0].log_softmax(dim), |v| reference::log_softmax(&v[0], dim));
        }
    }

    #[test]
    fn large_values_and_excluded_ones() {
        let dx = gradient_at(&[1e30, 0.0, f64::NEG_INFINITY], |x| x.softmax(0).select(0, 0));
        assert_eq!(dx, [0.0, 0.0, 0.0]);
    }
}
