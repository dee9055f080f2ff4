//! Attention.

use smallvec::SmallVec;
use tensor::{Attention, DType, Shape, Tensor};

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
    /// With dropout the weights are stored, and the fused pass is not used. Keys and values of fewer heads
    /// (`enable_gqa`) are read again, not copied.
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
        let mask = options.mask.as_ref().map(|mask| Var::new(mask.clone()));
        attend(self, k, v, mask.as_ref(), options)
    }

    /// [`Var::scaled_dot_product_attention`] with a mask of floats that needs a gradient, in place of that in the options.
    ///
    /// # Gradient
    /// `dmask = ds`, summed to the mask's shape; for it alone the gradients of all scores are stored.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Attention, Tensor};
    /// let (q, v) = (Var::new(Tensor::from([[0.0]])), Var::new(Tensor::from([[1.0], [3.0]])));
    /// let mask = Var::new(Tensor::from([0.0, 0.0])).requires_grad_(true);
    /// q.scaled_dot_product_attention_with_mask(&(&v * 0.0), &v, &mask, &Attention::default()).sum().backward();
    /// assert_eq!(mask.grad().unwrap().to_vec::<f64>(), [-0.5, 0.5]);
    /// ```
    #[track_caller]
    pub fn scaled_dot_product_attention_with_mask(&self, k: &Var, v: &Var, mask: &Var, options: &Attention) -> Var {
        attend(self, k, v, Some(mask), options)
    }
}

#[track_caller]
fn attend(q: &Var, k: &Var, v: &Var, mask: Option<&Var>, options: &Attention) -> Var {
    let mut options = Attention { mask: mask.map(Var::value), ..options.clone() };
    if options.dropout_p != 0.0 {
        let p = std::mem::take(&mut options.dropout_p);
        return weights(q, k, mask, &options).dropout(p).matmul(&repeated(v, q, &options));
    }
    let (value, lse) = Tensor::attention(&q.tensor(), &k.tensor(), &v.tensor(), &options);
    let inputs: SmallVec<[&Var; 4]> = [q, k, v].into_iter().chain(mask).collect();
    let (q, k, v) = (q.keep_for(&inputs), k.keep_for(&inputs), v.keep_for(&inputs));
    let mask = mask.map(|mask| mask.keep_for(&inputs));
    Var::record_output("scaled_dot_product_attention", value, &inputs, move |y, dy, need| {
        if is_grad_enabled() {
            let inputs: SmallVec<[&Var; 4]> = [&*q, &*k, &*v].into_iter().chain(mask.as_deref()).collect();
            return reference_vjp(|v| reference(v, &options), &inputs, dy, need);
        }
        let (q, k, v) = (q.tensor(), k.tensor(), v.tensor());
        let wanted = [0, 1, 2, 3].map(|i| (i < 3 || mask.is_some()) && need.is(i));
        let grads = Tensor::attention_backward(&dy.tensor(), &q, &k, &v, &y.tensor(), &lse, &options, wanted);
        let grads = grads.into_iter().map(|grad| grad.map(Var::new));
        grads.take(if mask.is_some() { 4 } else { 3 }).collect()
    })
}

/// The plain reference of `q`, `k`, `v` and, if there is one, the mask; it stores the scores.
fn reference(inputs: &[Var], options: &Attention) -> Var {
    let [q, k, v, mask @ ..] = inputs else { unreachable!("three operands at least") };
    weights(q, k, mask.first(), options).matmul(&repeated(v, q, options))
}

/// Keys or values whose heads are repeated until there is one for each of the queries.
fn repeated(x: &Var, q: &Var, options: &Attention) -> Var {
    if !options.enable_gqa || x.ndim() < 3 || q.ndim() < 3 || x.dim(-3) == q.dim(-3) {
        return x.clone();
    }
    let shape = x.shape();
    let (outer, [h, t, d]) = shape.split_last_chunk::<3>().expect("three dimensions");
    let each = q.dim(-3) / h;
    let grouped: Shape = outer.iter().copied().chain([*h, each, *t, *d]).collect();
    let flat: Shape = outer.iter().copied().chain([h * each, *t, *d]).collect();
    x.unsqueeze(-3).expand(grouped).reshape(flat)
}

/// The weights of the values.
fn weights(q: &Var, k: &Var, mask: Option<&Var>, options: &Attention) -> Var {
    let scale = options.scale.unwrap_or(1.0 / (q.dim(-1) as f64).sqrt());
    let mut scores = q.matmul(&repeated(k, q, options).transpose(-1, -2)) * scale;
    if options.is_causal {
        let allowed = Tensor::ones([q.dim(-2), k.dim(-2)], DType::U8).tril(0).to_dtype(DType::Bool);
        scores = scores.masked_fill(&allowed.logical_not(), f64::NEG_INFINITY);
    }
    scores = match mask {
        Some(mask) if mask.dtype() == DType::Bool => {
            scores.masked_fill(&mask.tensor().logical_not(), f64::NEG_INFINITY)
        }
        Some(mask) => scores + mask.to_dtype(q.dtype()),
        None => return scores.softmax(-1),
    };
    // A query that may look at nothing gives zeros, as in the fused pass; softmax alone would give 0 / 0.
    let seen = scores.ne_scalar(f64::NEG_INFINITY).to_dtype(DType::F32).sum_dim(-1, true);
    let blind = seen.eq_scalar(0.0);
    scores.masked_fill(&blind, 0.0).softmax(-1).masked_fill(&blind, 0.0)
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("scaled_dot_product_attention", &[REAL, REAL, REAL], heads, |v, p| {
            let options = Attention { is_causal: p.coin(), ..Default::default() };
            v[0].scaled_dot_product_attention(&v[1], &v[2], &options).into()
        }),
        sample("scaled_dot_product_attention", &[REAL, REAL, REAL], grouped_heads, |v, p| {
            let options = Attention { is_causal: p.coin(), enable_gqa: true, scale: Some(0.7), ..Default::default() };
            v[0].scaled_dot_product_attention(&v[1], &v[2], &options).into()
        }),
        sample("scaled_dot_product_attention", &[REAL, REAL, REAL], heads, |v, p| {
            tensor::manual_seed(p.below(9) as u64);
            let options = Attention { dropout_p: 0.3, ..Default::default() };
            v[0].scaled_dot_product_attention(&v[1], &v[2], &options).into()
        }),
        sample("scaled_dot_product_attention_with_mask", &[REAL; 4], masked_heads, |v, p| {
            let options = Attention { is_causal: p.coin(), ..Default::default() };
            v[0].scaled_dot_product_attention_with_mask(&v[1], &v[2], &v[3], &options).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    let rows = &["scaled_dot_product_attention", "scaled_dot_product_attention_with_mask"];
    vec![torch("nn.functional.scaled_dot_product_attention", rows, |a| {
        let (q, k, v, mask) = (a.var(0, "query")?, a.var(1, "key")?, a.var(2, "value")?, a.opt_var(3, "attn_mask")?);
        let options = Attention {
            mask: None,
            dropout_p: a.number_or(4, "dropout_p", 0.0)?,
            is_causal: a.flag(5, "is_causal", false)?,
            scale: a.opt_number(6, "scale")?,
            enable_gqa: a.flag(7, "enable_gqa", false)?,
        };
        if options.dropout_p > 0.0 {
            return skip("random numbers of PyTorch's generator");
        }
        done(match mask {
            Some(mask) => q.scaled_dot_product_attention_with_mask(&k, &v, &mask, &options),
            None => q.scaled_dot_product_attention(&k, &v, &options),
        })
    })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Pick, REAL, agrees_with_reference};

    fn agrees(shapes: [&[usize]; 3], options: &Attention) {
        let mask = options.mask.as_ref();
        let with_mask = |v: &[Var]| {
            let mask = mask.map(|mask| match mask.dtype() {
                DType::Bool => Var::new(mask.clone()),
                _ => Var::new(mask.to_dtype(v[0].dtype())),
            });
            [v, mask.as_slice()].concat()
        };
        agrees_with_reference(
            &[REAL; 3],
            &shapes,
            |v| v[0].scaled_dot_product_attention(&v[1], &v[2], options),
            |v| reference(&with_mask(v), options),
        );
    }

    #[test]
    fn attention_agrees_with_its_reference() {
        let (q, k) = (&[2, 3, 37, 8][..], &[2, 3, 21, 8][..]);
        let mut pick = Pick::new(3);
        // Every query is allowed the first key.
        let allowed = Tensor::cat(&[Tensor::full([37, 1], 1.0, DType::Bool), pick.mask(&[37, 20])], 1);
        let added = Tensor::arange(0.0, 37.0 * 21.0, 1.0, DType::F64).sin().reshape([37, 21]);
        let shared = Attention { enable_gqa: true, ..Default::default() };
        agrees([q, k, k], &Attention::default());
        agrees([q, k, k], &Attention { scale: Some(0.3), ..Default::default() });
        agrees([q, q, q], &Attention { is_causal: true, ..Default::default() });
        agrees([q, k, k], &Attention { is_causal: true, ..Default::default() });
        agrees([q, k, k], &Attention { mask: Some(allowed.clone()), ..Default::default() });
        agrees([q, &[1, 1, 21, 8], &[2, 1, 21, 8]], &shared);
        agrees([&[2, 6, 37, 8], k, &[2, 2, 21, 8]], &shared);
        // The first query is allowed nothing.
        let blind = Tensor::cat(&[Tensor::zeros([1, 21], DType::Bool), allowed.narrow(0, 1, 36)], 0);
        agrees([q, k, k], &Attention { mask: Some(blind), ..Default::default() });
        agrees([q, k, k], &Attention { mask: Some(added), ..Default::default() });
    }

    #[test]
    fn a_mask_gets_its_gradient() {
        for mask in [&[37, 21][..], &[3, 1, 21], &[2, 3, 37, 21], &[1]] {
            agrees_with_reference(
                &[REAL; 4],
                &[&[2, 3, 37, 8], &[2, 3, 21, 8], &[2, 3, 21, 8], mask],
                |v| v[0].scaled_dot_product_attention_with_mask(&v[1], &v[2], &v[3], &Attention::default()),
                |v| reference(v, &Attention::default()),
            );
        }
    }

    #[test]
    fn a_query_that_may_look_at_nothing_gives_zeros() {
        let x = Var::new(Tensor::from([[1.0, 2.0], [3.0, 4.0]])).requires_grad_(true);
        let inf = f64::INFINITY;
        let mask = Var::new(Tensor::from([[-inf, -inf], [0.0, -inf]])).requires_grad_(true);
        let y = x.scaled_dot_product_attention_with_mask(&x, &x, &mask, &Attention::default());
        assert_eq!(y.value().to_vec::<f64>(), [0.0, 0.0, 1.0, 2.0]);
        y.sum().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(mask.grad().unwrap().to_vec::<f64>(), [0.0; 4]);
    }

    #[test]
    fn dropped_weights_scale_the_others() {
        let (q, v) = (Var::new(Tensor::zeros([50, 2], DType::F64)), Var::new(Tensor::ones([40, 1], DType::F64)));
        let k = Var::new(Tensor::zeros([40, 2], DType::F64));
        let half = Attention { dropout_p: 0.5, ..Default::default() };
        tensor::manual_seed(1);
        let y = q.scaled_dot_product_attention(&k, &v, &half).value();
        assert!((y.mean().item::<f64>() - 1.0).abs() < 0.1);
        assert!((&y * 20.0).sub(&(&y * 20.0).round()).abs().max().item::<f64>() < 1e-9);
        let all = Attention { dropout_p: 1.0, ..Default::default() };
        assert_eq!(q.scaled_dot_product_attention(&k, &v, &all).value().abs().max().item::<f64>(), 0.0);
    }
}
