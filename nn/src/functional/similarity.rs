//! Lengths, directions and distances of vectors, and attention, which compares them.

use autograd::Var;
use tensor::Attention;

/// [`Var::normalize`]; PyTorch's defaults are `p` 2, `dim` 1 and `eps` 1e-12.
#[track_caller]
pub fn normalize(input: &Var, p: f64, dim: isize, eps: f64) -> Var {
    input.normalize(p, dim, eps)
}

/// [`Var::cosine_similarity`]; PyTorch's defaults are `dim` 1 and `eps` 1e-8.
#[track_caller]
pub fn cosine_similarity(x1: &Var, x2: &Var, dim: isize, eps: f64) -> Var {
    x1.cosine_similarity(x2, dim, eps)
}

/// [`Var::pairwise_distance`]; PyTorch's defaults are `p` 2, `eps` 1e-6 and `keepdim` false.
#[track_caller]
pub fn pairwise_distance(x1: &Var, x2: &Var, p: f64, eps: f64, keepdim: bool) -> Var {
    x1.pairwise_distance(x2, p, eps, keepdim)
}

/// [`Var::scaled_dot_product_attention`].
#[track_caller]
pub fn scaled_dot_product_attention(query: &Var, key: &Var, value: &Var, options: &Attention) -> Var {
    query.scaled_dot_product_attention(key, value, options)
}
