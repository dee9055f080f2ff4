//! Attention.

use tensor::{Attention, Tensor};

use crate::mode::is_grad_enabled;
use crate::reference::reference_vjp;
use crate::var::Var;

impl Var {
    /// `softmax(q k^T scale + mask) v`, of these queries `q`, without ever storing the scores.
    ///
    /// # Shape
    /// `q [.., t, d]`, `k [.., s, d]`, `v [.., s, d]` -> `[.., t, d]`.
    ///
    /// # Gradient
    /// With `p` the softmax, `dp = dy v^T` and `ds = p (dp - sum dp p)`: `dv = p^T dy`, `dq = scale ds k` and
    /// `dk = scale ds^T q`. Keeps `q`, `k`, `v`, the result, and one number per query; the scores are computed again, in
    /// tiles, and of the gradients those that are needed.
    ///
    /// # Numerics
    /// A query to which the mask allows nothing gives zeros and gets no gradient, as in PyTorch.
    ///
    /// # Differs
    /// The mask is a plain tensor: no gradient flows into it.
    ///
    /// # Source
    /// Dao et al., *FlashAttention*, 2022.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Attention, Tensor};
    /// let q = Var::new(Tensor::from([[[1.0, 0.0], [0.0, 1.0]]]));
    /// let causal = Attention { is_causal: true, ..Default::default() };
    /// let y = q.scaled_dot_product_attention(&q, &q, &causal);
    /// // The first query sees only the first value.
    /// assert_eq!(y.value().get::<f64>(&[0, 0, 0]), 1.0);
    /// ```
    #[track_caller]
    pub fn scaled_dot_product_attention(&self, k: &Var, v: &Var, options: &Attention) -> Var {
        let (value, lse) = Tensor::attention(&self.tensor(), &k.tensor(), &v.tensor(), options);
        let all = [self, k, v];
        let (q, k, v) = (self.keep_for(&all), k.keep_for(&all), v.keep_for(&all));
        let options = options.clone();
        Var::record_output("scaled_dot_product_attention", value, all, move |y, dy, need| {
            if is_grad_enabled() {
                return reference_vjp(|v| reference(&v[0], &v[1], &v[2], &options), &[&q, &k, &v], dy, need);
            }
            let (q, k, v) = (q.tensor(), k.tensor(), v.tensor());
            let wanted = [0, 1, 2].map(|i| need.is(i));
            let grads = Tensor::attention_backward(&dy.tensor(), &q, &k, &v, &y.tensor(), &lse, &options, wanted);
            grads.into_iter().map(|grad| grad.map(Var::new)).collect()
        })
    }
}

/// The plain reference, which stores the scores.
fn reference(q: &Var, k: &Var, v: &Var, options: &Attention) -> Var {
    let scale = options.scale.unwrap_or(1.0 / (q.dim(-1) as f64).sqrt());
    let mut scores = q.matmul(&k.transpose(-1, -2)) * scale;
    if options.is_causal {
        let allowed = Tensor::ones([q.dim(-2), k.dim(-2)], tensor::DType::U8).tril(0).to_dtype(tensor::DType::Bool);
        scores = scores.masked_fill(&allowed.logical_not(), f64::NEG_INFINITY);
    }
    scores = match &options.mask {
        Some(mask) if mask.dtype() == tensor::DType::Bool => scores.masked_fill(&mask.logical_not(), f64::NEG_INFINITY),
        Some(mask) => scores + Var::new(mask.to_dtype(q.dtype())),
        None => return scores.softmax(-1).matmul(v),
    };
    // A query that may look at nothing gives zeros, as in the fused pass; softmax alone would give 0 / 0.
    let seen = scores.ne_scalar(f64::NEG_INFINITY).to_dtype(tensor::DType::F32).sum_dim(-1, true);
    let blind = seen.eq_scalar(0.0);
    scores.masked_fill(&blind, 0.0).softmax(-1).masked_fill(&blind, 0.0).matmul(v)
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![sample("scaled_dot_product_attention", &[REAL, REAL, REAL], heads, |v, p| {
        let options = Attention { is_causal: p.coin(), ..Default::default() };
        v[0].scaled_dot_product_attention(&v[1], &v[2], &options).into()
    })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Pick, REAL, agrees_with_reference};

    fn agrees(shapes: [&[usize]; 3], options: &Attention) {
        agrees_with_reference(
            &[REAL; 3],
            &shapes,
            |v| v[0].scaled_dot_product_attention(&v[1], &v[2], options),
            |v| reference(&v[0], &v[1], &v[2], options),
        );
    }

    #[test]
    fn attention_agrees_with_its_reference() {
        let (q, k) = (&[2, 3, 37, 8][..], &[2, 3, 21, 8][..]);
        let mut pick = Pick::new(3);
        // Every query is allowed the first key.
        let allowed = Tensor::cat(&[Tensor::full([37, 1], 1.0, tensor::DType::Bool), pick.mask(&[37, 20])], 1);
        let added = Tensor::arange(0.0, 37.0 * 21.0, 1.0, tensor::DType::F64).sin().reshape([37, 21]);
        agrees([q, k, k], &Attention::default());
        agrees([q, k, k], &Attention { scale: Some(0.3), ..Default::default() });
        agrees([q, q, q], &Attention { is_causal: true, ..Default::default() });
        agrees([q, k, k], &Attention { is_causal: true, ..Default::default() });
        agrees([q, k, k], &Attention { mask: Some(allowed.clone()), ..Default::default() });
        // The first query is allowed nothing.
        let blind = Tensor::cat(&[Tensor::zeros([1, 21], tensor::DType::Bool), allowed.narrow(0, 1, 36)], 0);
        agrees([q, k, k], &Attention { mask: Some(blind), ..Default::default() });
        agrees([q, k, k], &Attention { mask: Some(added), ..Default::default() });
    }
}
