//! Directions and distances of vectors.

use autograd::Var;

use crate::Module;

/// `y = x₁ · x₂ / (max(|x₁|, eps) max(|x₂|, eps))` along a dimension: the cosine of the angle between vectors.
///
/// # Shape
/// Two inputs that broadcast; the result lacks the dimension.
///
/// ```
/// use nn::prelude::*;
///
/// let (a, b) = (Var::new(Tensor::from([[1f64, 0.0]])), Var::new(Tensor::from([[1f64, 1.0]])));
/// let cosine = CosineSimilarity::new().forward(&a, &b).item::<f64>();
/// assert!((cosine - 0.5f64.sqrt()).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, Module)]
pub struct CosineSimilarity {
    #[module(config)]
    dim: isize,
    #[module(config)]
    eps: f64,
}

impl CosineSimilarity {
    /// Along dimension 1 and with an `eps` of 1e-8, PyTorch's defaults.
    pub fn new() -> CosineSimilarity {
        CosineSimilarity::with(1, 1e-8)
    }

    /// Along `dim`, which may be negative, and with lengths of at least `eps`.
    pub fn with(dim: isize, eps: f64) -> CosineSimilarity {
        CosineSimilarity { dim, eps }
    }

    /// The cosines of the angles between two lists of vectors.
    ///
    /// # Panics
    /// When the shapes do not broadcast, or there is no such dimension.
    #[track_caller]
    pub fn forward(&self, x1: &Var, x2: &Var) -> Var {
        x1.cosine_similarity(x2, self.dim, self.eps)
    }
}

impl Default for CosineSimilarity {
    fn default() -> CosineSimilarity {
        CosineSimilarity::new()
    }
}

/// `y = |x₁ - x₂ + eps|ₚ` along the last dimension: the distance between vectors.
///
/// # Shape
/// Two inputs that broadcast; the result lacks the last dimension, or keeps it as 1 with `keepdim`.
///
/// ```
/// use nn::prelude::*;
///
/// let (a, b) = (Var::new(Tensor::from([[3f64, 0.0]])), Var::new(Tensor::from([[0f64, 4.0]])));
/// assert!((PairwiseDistance::new().forward(&a, &b).item::<f64>() - 5.0).abs() < 1e-5);
/// ```
#[derive(Debug, Clone, Copy, Module)]
pub struct PairwiseDistance {
    #[module(config)]
    p: f64,
    #[module(config)]
    eps: f64,
    #[module(config)]
    keepdim: bool,
}

impl PairwiseDistance {
    /// The Euclidean distance with an `eps` of 1e-6, PyTorch's defaults.
    pub fn new() -> PairwiseDistance {
        PairwiseDistance::with(2.0, 1e-6, false)
    }

    /// The distance in the `p`-norm; `eps` is added to the difference, so that equal vectors have a gradient.
    pub fn with(p: f64, eps: f64, keepdim: bool) -> PairwiseDistance {
        PairwiseDistance { p, eps, keepdim }
    }

    /// The distances between two lists of vectors.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn forward(&self, x1: &Var, x2: &Var) -> Var {
        x1.pairwise_distance(x2, self.p, self.eps, self.keepdim)
    }
}

impl Default for PairwiseDistance {
    fn default() -> PairwiseDistance {
        PairwiseDistance::new()
    }
}
