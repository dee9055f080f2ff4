//! Directions and distances of vectors.

use tensor::{DType, Shape, broadcast_shapes};

use crate::var::Var;

impl Var {
    /// `x / max(|x|, eps)` along `dim`, with the norm of order `p`. PyTorch's defaults are 2, dimension 1 and 1e-12.
    ///
    /// # Gradient
    /// With `n` the norm and `y` the result, for `p = 2`: `dx = (dy - y sum dy y) / n`; `dx = dy / eps` where `n < eps`. Keeps
    /// `x` and the norms.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([3.0, 4.0]));
    /// assert_eq!(x.normalize(2.0, 0, 1e-12).value().to_vec::<f64>(), [0.6, 0.8]);
    /// ```
    #[track_caller]
    pub fn normalize(&self, p: f64, dim: isize, eps: f64) -> Var {
        in_single(self, |x| x / x.vector_norm(p, dim, true).clamp(Some(eps), None))
    }

    /// The cosine of the angle between two vectors along `dim`: `a . b / (max(|a|, eps) max(|b|, eps))`. PyTorch's defaults
    /// are dimension 1 and 1e-8.
    ///
    /// # Shape
    /// The operands broadcast; `dim` is one of the common shape, and falls away.
    ///
    /// # Gradient
    /// With `u = a / |a|`, `v = b / |b|` and `y` the cosine: `da = dy (v - y u) / |a|`, `db = dy (u - y v) / |b|`. A vector
    /// shorter than `eps` has PyTorch's gradient, in which its length is limited but not the slope of it. Keeps both operands
    /// and their norms.
    #[track_caller]
    pub fn cosine_similarity(&self, other: &Var, dim: isize, eps: f64) -> Var {
        let shape = common(self, other, "cosine_similarity");
        let unit = |x: &Var| {
            in_single(x, |x| {
                let x = x.expand(&shape);
                let norm = x.vector_norm(2.0, dim, true);
                let limited = Var::new(norm.tensor().clamp(Some(eps), None) - &*norm.tensor());
                x / (norm + limited)
            })
        };
        (unit(self) * unit(other)).sum_dim(dim, false)
    }

    /// The norm of order `p` of `a - b + eps` along the last dimension. PyTorch's defaults are 2 and 1e-6.
    ///
    /// # Gradient
    /// As [`Var::vector_norm`], and the negative of it for `b`.
    #[track_caller]
    pub fn pairwise_distance(&self, other: &Var, p: f64, eps: f64, keepdim: bool) -> Var {
        let difference = self - other;
        let float = difference.dtype().to_float();
        (difference.to_dtype(float) + eps).vector_norm(p, -1, keepdim)
    }
}

/// `f(x)`, for half precision in single and rounded at the end.
fn in_single(x: &Var, f: impl Fn(&Var) -> Var) -> Var {
    match x.dtype() {
        DType::F16 | DType::BF16 => f(&x.to_dtype(DType::F32)).to_dtype(x.dtype()),
        _ => f(x),
    }
}

#[track_caller]
fn common(a: &Var, b: &Var, op: &str) -> Shape {
    broadcast_shapes(op, &a.shape(), &b.shape()).unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("normalize", &[NONZERO], rows, |v, p| {
            v[0].normalize([1.0, 2.0, 3.0][p.below(3)], p.dim(v[0].ndim()), 1e-2).into()
        }),
        sample("cosine_similarity", &[NONZERO, NONZERO], rows, |v, p| {
            v[0].cosine_similarity(&v[1], p.dim(v[0].ndim()), 1e-8).into()
        }),
        sample("pairwise_distance", &[POSITIVE, Domain::Range(-2.5, -0.3)], rows, |v, p| {
            v[0].pairwise_distance(&v[1], [1.0, 2.0, 3.0][p.below(3)], 1e-6, p.coin()).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("nn.functional.normalize", &["normalize"], |a| {
            let x = a.var(0, "input")?;
            done(x.normalize(a.number_or(1, "p", 2.0)?, a.int_or(2, "dim", 1)?, a.number_or(3, "eps", 1e-12)?))
        }),
        torch("nn.functional.pairwise_distance", &["pairwise_distance"], |a| {
            let (x, y) = (a.var(0, "x1")?, a.var(1, "x2")?);
            let (p, eps) = (a.number_or(2, "p", 2.0)?, a.number_or(3, "eps", 1e-6)?);
            done(x.pairwise_distance(&y, p, eps, a.flag(4, "keepdim", false)?))
        }),
        torch("nn.functional.cosine_similarity", &["cosine_similarity"], |a| {
            let (x, y) = (a.var(0, "x1")?, a.var(1, "x2")?);
            done(x.cosine_similarity(&y, a.int_or(2, "dim", 1)?, a.number_or(3, "eps", 1e-8)?))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;
    use tensor::Tensor;

    #[test]
    fn short_vectors_have_pytorchs_gradients() {
        let zeros = gradient_at(&[0.0, 0.0], |x| x.normalize(2.0, 0, 1e-3));
        assert_eq!(zeros, [1e3, 1e3]);
        let b = Var::new(Tensor::from([3.0, 4.0]));
        let slopes = gradient_at(&[0.0, 0.0], |x| x.cosine_similarity(&b, 0, 1e-2));
        assert!((slopes[0] - 60.0).abs() < 1e-9 && (slopes[1] - 80.0).abs() < 1e-9);
        // The length is limited, its slope is not: b / (|b| eps) - (a . b / |b|) / eps^2 * a / |a|.
        let slopes = gradient_at(&[5e-3, 0.0], |x| x.cosine_similarity(&b, 0, 1e-2));
        assert!((slopes[0] - 30.0).abs() < 1e-9 && (slopes[1] - 80.0).abs() < 1e-9);
    }

    #[test]
    fn the_tensor_methods_agree() {
        let (a, b) = (Tensor::from([[1.0, -2.0], [0.5, 3.0]]), Tensor::from([[2.0, 1.0]]));
        let (x, y) = (Var::new(a.clone()), Var::new(b.clone()));
        assert!(a.normalize(3.0, 1, 1e-12).allclose(&x.normalize(3.0, 1, 1e-12).value(), 1e-12, 0.0));
        let (cosine, expected) = (a.cosine_similarity(&b, 1, 1e-8), x.cosine_similarity(&y, 1, 1e-8).value());
        assert!(cosine.allclose(&expected, 1e-12, 0.0));
        let (distance, expected) = (a.pairwise_distance(&b, 2.0, 1e-6, true), x.pairwise_distance(&y, 2.0, 1e-6, true));
        assert!(distance.allclose(&expected.value(), 1e-12, 0.0));
    }
}
