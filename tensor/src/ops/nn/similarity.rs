//! Directions and distances of vectors.

use crate::Tensor;
use crate::ops::arithmetic::broadcast;

impl Tensor {
    /// `x / max(|x|, eps)` along `dim`, with the norm of order `p`. PyTorch's defaults are 2, dimension 1 and 1e-12.
    ///
    /// # Panics
    /// If the dimension does not exist, or for integers and bools.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([3.0, 4.0]).normalize(2.0, 0, 1e-12).to_vec::<f64>(), [0.6, 0.8]);
    /// ```
    #[track_caller]
    pub fn normalize(&self, p: f64, dim: isize, eps: f64) -> Tensor {
        self.through_compute(|x| x / x.vector_norm(p, dim, true).clamp(Some(eps), None))
    }

    /// The cosine of the angle between two vectors along `dim`: `a . b / (max(|a|, eps) max(|b|, eps))`. PyTorch's defaults
    /// are dimension 1 and 1e-8.
    ///
    /// # Shape
    /// The operands broadcast; `dim` is one of the common shape, and falls away.
    ///
    /// # Panics
    /// If the shapes do not broadcast or the dimension does not exist.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (a, b) = (Tensor::from([1.0, 0.0]), Tensor::from([2.0, 2.0]));
    /// assert!((a.cosine_similarity(&b, 0, 1e-8).item::<f64>() - 0.5f64.sqrt()).abs() < 1e-12);
    /// ```
    #[track_caller]
    pub fn cosine_similarity(&self, other: &Tensor, dim: isize, eps: f64) -> Tensor {
        let dtype = self.dtype().promote(other.dtype()).to_float();
        let wide = |x: &Tensor| x.to_dtype(dtype.compute());
        let (a, b) = broadcast("cosine_similarity", &wide(self), &wide(other));
        (a.normalize(2.0, dim, eps) * b.normalize(2.0, dim, eps)).sum_dim(dim, false).to_dtype(dtype)
    }

    /// The norm of order `p` of `a - b + eps` along the last dimension. PyTorch's defaults are 2 and 1e-6.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn pairwise_distance(&self, other: &Tensor, p: f64, eps: f64, keepdim: bool) -> Tensor {
        let difference = self - other;
        (difference.to_dtype(difference.dtype().to_float()) + eps).vector_norm(p, -1, keepdim)
    }
}
