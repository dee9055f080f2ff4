//! Multi-head attention.
//!
//! Dimensions: `b` batch, `t` queries, `s` keys, `e` embedding, `h` heads, `d` = e / h.

use std::ops::Range;

use autograd::Var;
use tensor::{Attention, DType, Tensor};

use super::cache::KeyValueCache;
use super::heads::Heads;
use crate::{Forward, Linear, LinearOptions, Module, Parameter, Training, init};

/// Options of [`MultiheadAttention`].
#[derive(Debug, Clone, Copy)]
pub struct MultiheadAttentionOptions {
    /// The probability that an attention weight is dropped in training (default: 0).
    pub dropout: f64,
    /// Whether the projections have biases (default: true).
    pub bias: bool,
    /// The size of the keys (default: that of the embedding).
    pub kdim: Option<usize>,
    /// The size of the values (default: that of the embedding).
    pub vdim: Option<usize>,
    /// Whether a learned key and a learned value stand behind those of the input (default: false).
    pub add_bias_kv: bool,
    /// Whether a key and a value of zeros stand behind those of the input (default: false).
    pub add_zero_attn: bool,
    /// Whether the batch is the first dimension of every input, `[b, t, e]`, and not the second (default: false).
    pub batch_first: bool,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for MultiheadAttentionOptions {
    fn default() -> MultiheadAttentionOptions {
        MultiheadAttentionOptions {
            dropout: 0.0,
            bias: true,
            kdim: None,
            vdim: None,
            add_bias_kv: false,
            add_zero_attn: false,
            batch_first: false,
            dtype: DType::F32,
        }
    }
}

/// What attention must not look at. In a bool mask `true` is *blocked*; a floating mask is added to the scores.
#[derive(Debug, Clone, Default)]
pub struct AttentionMasks {
    /// `[t, s]`, or `[b h, t, s]` for masks of their own.
    pub attn_mask: Option<Tensor>,
    /// `[b, s]`: keys that are padding; `[s]` without a batch.
    pub key_padding_mask: Option<Tensor>,
    /// Whether query `i` looks at keys `0..=i` only.
    pub is_causal: bool,
}

impl AttentionMasks {
    /// Everything looks at everything.
    pub fn none() -> AttentionMasks {
        AttentionMasks::default()
    }

    /// Nothing looks ahead.
    pub fn causal() -> AttentionMasks {
        AttentionMasks { is_causal: true, ..AttentionMasks::default() }
    }
}

/// `concat(head₁, .., headₕ) Wₒᵀ` with `headᵢ = softmax(qᵢ kᵢᵀ / √d) vᵢ`, where `qᵢ`, `kᵢ`, `vᵢ` are projections of
/// query, key and value.
///
/// [`forward`](MultiheadAttention::forward) never stores the scores. When query, key and value are one `Var`
/// (self-attention) their projections are one matrix product, and the heads are views of its result. Only dropout of
/// the weights, in training, takes the plain path of
/// [`forward_with_weights`](MultiheadAttention::forward_with_weights).
///
/// The projections into the heads start Xavier-uniform, `out_proj.weight` as in [`Linear`], and the biases zero.
///
/// # Shape
/// query `[t, b, e]`, key `[s, b, kdim]`, value `[s, b, vdim] -> [t, b, e]`; with `batch_first` the batch comes first;
/// `[t, e]` without a batch.
///
/// # Differs
/// The weights are returned on request only (`need_weights` is false here). `is_causal` is no hint: it masks by itself.
/// Keys that `add_bias_kv` and `add_zero_attn` add are never masked. A query that may look at nothing has zeros for its
/// heads; in PyTorch that is so only where the weights are not asked for, otherwise it is NaN.
///
/// # Source
/// Vaswani et al., "Attention Is All You Need", 2017, section 3.2.
///
/// ```
/// use nn::prelude::*;
///
/// let options = MultiheadAttentionOptions { batch_first: true, ..Default::default() };
/// let attention = MultiheadAttention::with(8, 2, options);
/// let x = Var::new(Tensor::randn([3, 5, 8], DType::F32));
/// let y = attention.forward(&x, &x, &x, &AttentionMasks::causal());
/// assert_eq!(y.value().dims(), [3, 5, 8]);
/// let keys: Vec<String> = attention.state_dict().keys().cloned().collect();
/// assert_eq!(keys, ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]);
/// ```
#[derive(Debug, Module)]
pub struct MultiheadAttention {
    /// `[3 e, e]`, the projections of query, key and value below each other; `None` when keys or values have a size of
    /// their own.
    pub in_proj_weight: Option<Parameter>,
    /// `[e, e]`, only when there is no `in_proj_weight`.
    pub q_proj_weight: Option<Parameter>,
    /// `[e, kdim]`, only when there is no `in_proj_weight`.
    pub k_proj_weight: Option<Parameter>,
    /// `[e, vdim]`, only when there is no `in_proj_weight`.
    pub v_proj_weight: Option<Parameter>,
    /// `[3 e]`.
    pub in_proj_bias: Option<Parameter>,
    /// `[1, 1, e]`, the learned key; only with `add_bias_kv`.
    pub bias_k: Option<Parameter>,
    /// `[1, 1, e]`, the learned value; only with `add_bias_kv`.
    pub bias_v: Option<Parameter>,
    /// The projection of the joined heads.
    pub out_proj: Linear,
    #[module(config)]
    num_heads: usize,
    #[module(config)]
    add_zero_attn: bool,
    #[module(config)]
    batch_first: bool,
    #[module(config)]
    dropout: f64,
    training: Training,
}

impl MultiheadAttention {
    /// Attention of `num_heads` heads in a model of width `embed_dim`.
    #[track_caller]
    pub fn new(embed_dim: usize, num_heads: usize) -> MultiheadAttention {
        MultiheadAttention::with(embed_dim, num_heads, MultiheadAttentionOptions::default())
    }

    /// Attention with options.
    ///
    /// # Panics
    /// When the heads do not divide the width, or the probability of dropout is not in `0..=1`.
    #[track_caller]
    pub fn with(embed_dim: usize, num_heads: usize, options: MultiheadAttentionOptions) -> MultiheadAttention {
        assert!(
            (0.0..=1.0).contains(&options.dropout),
            "MultiheadAttention: the probability of dropout is not between 0 and 1, p = {}",
            options.dropout
        );
        assert!(
            num_heads > 0 && embed_dim.is_multiple_of(num_heads),
            "MultiheadAttention: the heads do not divide the width\n  embed_dim {embed_dim}   num_heads {num_heads}"
        );
        let MultiheadAttentionOptions { dropout, bias, kdim, vdim, add_bias_kv, add_zero_attn, batch_first, dtype } =
            options;
        let (e, kdim, vdim) = (embed_dim, kdim.unwrap_or(embed_dim), vdim.unwrap_or(embed_dim));
        let projection = |present: bool, rows: usize, columns: usize| {
            present.then(|| {
                let weight = init::empty_parameter([rows, columns], dtype);
                init::xavier_uniform_(&weight, 1.0);
                weight
            })
        };
        let joined = kdim == e && vdim == e;
        let learned = || {
            add_bias_kv.then(|| {
                let row = init::empty_parameter([1, 1, e], dtype);
                init::xavier_normal_(&row, 1.0);
                row
            })
        };
        let out_proj = Linear::with(e, e, LinearOptions { bias, dtype });
        if let Some(bias) = &out_proj.bias {
            init::zeros_(bias);
        }
        MultiheadAttention {
            in_proj_weight: projection(joined, 3 * e, e),
            q_proj_weight: projection(!joined, e, e),
            k_proj_weight: projection(!joined, e, kdim),
            v_proj_weight: projection(!joined, e, vdim),
            in_proj_bias: bias.then(|| init::empty_parameter([3 * e], dtype)),
            bias_k: learned(),
            bias_v: learned(),
            out_proj,
            num_heads,
            add_zero_attn,
            batch_first,
            dropout,
            training: Training::new(),
        }
    }

    /// The width of the model.
    pub fn embed_dim(&self) -> usize {
        self.out_proj.in_features()
    }

    /// The number of heads.
    pub fn num_heads(&self) -> usize {
        self.num_heads
    }

    /// The output for these queries, keys and values.
    ///
    /// # Panics
    /// When the sizes of the inputs or the masks do not fit together, or a mask is neither bool nor floating.
    #[track_caller]
    pub fn forward(&self, query: &Var, key: &Var, value: &Var, masks: &AttentionMasks) -> Var {
        if self.training.get() && self.dropout > 0.0 {
            return self.forward_with_weights(query, key, value, masks, true).0;
        }
        let heads = self.project(query, key, value);
        let (mask, is_causal) = heads.allowed(masks);
        let fused = Attention { mask, is_causal, ..Attention::default() };
        let joined = heads.q.scaled_dot_product_attention(&heads.k, &heads.v, &fused);
        self.join(&joined, query)
    }

    /// Causal self-attention of the next positions `x`, of which `cache` holds those before: what
    /// [`forward`](MultiheadAttention::forward) gives for them as the last ones of the whole sequence. With a `mask` (bool,
    /// true where a query may look, broadcast to `[b, h, t, s]`) they look at what it allows instead.
    ///
    /// For inference, without dropout and without gradients: see [`KeyValueCache`].
    ///
    /// # Shape
    /// `[t, b, e] -> [t, b, e]`, or with `batch_first` `[b, t, e]`; `[t, e]` without a batch.
    ///
    /// # Panics
    /// When the sizes do not fit, the cache is full, the inputs need gradients, or there are keys that `add_bias_kv` or
    /// `add_zero_attn` adds.
    #[track_caller]
    pub fn forward_cached(&self, x: &Var, cache: &mut KeyValueCache, mask: Option<&Tensor>) -> Var {
        let heads = self.project(x, x, x);
        assert!(heads.added == 0, "MultiheadAttention: keys that are added would enter the cache with every step");
        self.join(&cache.attend(&heads.q, &heads.k, &heads.v, mask), x)
    }

    /// The output together with the weights that made it: `[b, t, s]` averaged over the heads, or `[b, h, t, s]`
    /// (without `b` when the inputs have no batch).
    ///
    /// The plain computation, which stores the scores. In training the weights are those after dropout, as in PyTorch.
    ///
    /// # Panics
    /// When the sizes of the inputs or the masks do not fit together, or a mask is neither bool nor floating.
    #[track_caller]
    pub fn forward_with_weights(
        &self,
        query: &Var,
        key: &Var,
        value: &Var,
        masks: &AttentionMasks,
        average_attn_weights: bool,
    ) -> (Var, Var) {
        let heads = self.project(query, key, value);
        let scale = 1.0 / (heads.q.dim(-1) as f64).sqrt();
        let mut scores = (&heads.q * scale).matmul(&heads.k.transpose(-2, -1));
        let (allowed, is_causal) = heads.allowed(masks);
        if let Some(allowed) = allowed {
            scores = match allowed.dtype() {
                DType::Bool => scores.masked_fill(&allowed.logical_not(), f64::NEG_INFINITY),
                _ => scores + Var::from(allowed),
            };
        }
        if is_causal {
            let (t, s) = (scores.dim(-2), scores.dim(-1));
            scores = scores.masked_fill(&Tensor::ones([t, s], DType::Bool).triu(1), f64::NEG_INFINITY);
        }
        let mut weights = if masks.attn_mask.is_some() || masks.key_padding_mask.is_some() {
            // A query that may look at nothing gives zeros, as in the fused pass; softmax alone would give 0 / 0.
            let seen = scores.ne_scalar(f64::NEG_INFINITY).to_dtype(DType::F32).sum_dim(-1, true);
            let blind = seen.eq_scalar(0.0);
            scores.masked_fill(&blind, 0.0).softmax(-1).masked_fill(&blind, 0.0)
        } else {
            scores.softmax(-1)
        };
        if self.training.get() && self.dropout > 0.0 {
            weights = weights.dropout(self.dropout);
        }
        let output = self.join(&weights.matmul(&heads.v), query);
        let weights = if average_attn_weights { weights.mean_dim(1, false) } else { weights };
        let weights = if query.ndim() == 2 { weights.squeeze(0) } else { weights };
        (output, weights)
    }

    /// Projects into heads. What follows the matrix products is views.
    #[track_caller]
    fn project(&self, query: &Var, key: &Var, value: &Var) -> Heads {
        self.check(query, key, value);
        let (self_attention, keys_are_values) = (query.ptr_eq(key) && key.ptr_eq(value), key.ptr_eq(value));
        let parts = if self.in_proj_weight.is_some() && self_attention {
            self.in_heads(query, 0..3)
        } else if self.in_proj_weight.is_some() && keys_are_values {
            [self.in_heads(query, 0..1), self.in_heads(key, 1..3)].concat()
        } else {
            [self.in_heads(query, 0..1), self.in_heads(key, 1..2), self.in_heads(value, 2..3)].concat()
        };
        let [q, k, v] = parts.try_into().expect("a query, a key and a value");
        self.with_added(Heads { q, k, v, added: 0 })
    }

    /// The learned key and value and those of zeros stand last.
    fn with_added(&self, mut heads: Heads) -> Heads {
        let [b, h, d] = [heads.k.dim(0), heads.k.dim(1), heads.k.dim(3)];
        if let (Some(bias_k), Some(bias_v)) = (&self.bias_k, &self.bias_v) {
            let row = |bias: &Parameter| bias.reshape([1, h, 1, d]).expand([b, h, 1, d]);
            heads.k = Var::cat(&[&heads.k, &row(bias_k)], 2);
            heads.v = Var::cat(&[&heads.v, &row(bias_v)], 2);
            heads.added += 1;
        }
        if self.add_zero_attn {
            let zeros = Var::new(Tensor::zeros([b, h, 1, d], heads.k.dtype()));
            heads.k = Var::cat(&[&heads.k, &zeros], 2);
            heads.v = Var::cat(&[&heads.v, &zeros], 2);
            heads.added += 1;
        }
        heads
    }

    /// The projections `parts` (0 query, 1 key, 2 value) of one input by one matrix product: `[b, h, t, d]` each.
    fn in_heads(&self, input: &Var, parts: Range<usize>) -> Vec<Var> {
        let (e, h) = (self.embed_dim(), self.num_heads);
        let rows = parts.start * e..parts.end * e;
        let bias = self.in_proj_bias.as_ref().map(|all| match parts.len() {
            3 => Var::clone(all),
            _ => all.narrow(0, rows.start, rows.len()),
        });
        let batched = if input.ndim() == 2 { input.unsqueeze(self.batch_dim()) } else { input.clone() };
        let [outer, inner] = [batched.dim(0), batched.dim(1)];
        let projected = match &self.in_proj_weight {
            Some(weight) => weight.linear_of_rows(rows, &batched, bias.as_ref()),
            None => {
                let separate = [&self.q_proj_weight, &self.k_proj_weight, &self.v_proj_weight][parts.start];
                let weight = separate.as_ref().expect("without in_proj_weight there are three");
                weight.linear(&batched, bias.as_ref())
            }
        };
        let projected = projected.reshape([outer, inner, parts.len(), h, e / h]);
        let order = if self.batch_first { [0, 2, 1, 3] } else { [1, 2, 0, 3] };
        projected.unbind(2).iter().map(|part| part.permute(&order)).collect()
    }

    /// Joins the heads `[b, h, t, d]` into the layout of the query and projects out.
    fn join(&self, heads: &Var, query: &Var) -> Var {
        let order = if self.batch_first { [0, 2, 1, 3] } else { [2, 0, 1, 3] };
        let ordered = heads.permute(&order);
        let joined = ordered.reshape([ordered.dim(0), ordered.dim(1), self.embed_dim()]);
        let output = self.out_proj.forward(&joined);
        if query.ndim() == 2 { output.squeeze(self.batch_dim()) } else { output }
    }

    fn batch_dim(&self) -> isize {
        if self.batch_first { 0 } else { 1 }
    }

    #[track_caller]
    fn check(&self, query: &Var, key: &Var, value: &Var) {
        let [q, k, v] = [query.shape(), key.shape(), value.shape()];
        let size = |weight: &Option<Parameter>| weight.as_ref().map_or(self.embed_dim(), |weight| weight.dim(1));
        let (e, kdim, vdim) = (self.embed_dim(), size(&self.k_proj_weight), size(&self.v_proj_weight));
        let ndim = q.len();
        let ranks = (ndim == 2 || ndim == 3) && k.len() == ndim && v.len() == ndim;
        let widths = ranks && q[ndim - 1] == e && k[ndim - 1] == kdim && v[ndim - 1] == vdim;
        let lengths = ranks && k[..ndim - 1] == v[..ndim - 1];
        let batch = self.batch_dim() as usize;
        let batches = ranks && (ndim == 2 || q[batch] == k[batch]);
        if !(widths && lengths && batches) {
            let rule = match (ndim, self.batch_first) {
                (2, _) => format!("query [t, {e}], key [s, {kdim}], value [s, {vdim}]"),
                (_, true) => format!("query [b, t, {e}], key [b, s, {kdim}], value [b, s, {vdim}]"),
                (_, false) => format!("query [t, b, {e}], key [s, b, {kdim}], value [s, b, {vdim}]"),
            };
            panic!("MultiheadAttention: the inputs do not fit\n  query {q}   key {k}   value {v}   rule {rule}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::no_grad;

    #[test]
    fn positions_one_by_one_are_the_whole_at_once() {
        for batch_first in [false, true] {
            let options = MultiheadAttentionOptions { batch_first, dtype: DType::F64, ..Default::default() };
            let module = MultiheadAttention::with(6, 2, options);
            let x = Var::new(Tensor::randn([7, 7, 6], DType::F64));
            let whole = module.forward(&x, &x, &x, &AttentionMasks::causal()).value();
            let dim = if batch_first { 1 } else { 0 };
            for chunks in [&[7][..], &[1; 7], &[3, 1, 1, 2], &[1, 4, 2]] {
                let (mut cache, mut from) = (KeyValueCache::new(9), 0);
                for &t in chunks {
                    let part = no_grad(|| module.forward_cached(&x.narrow(dim, from, t), &mut cache, None));
                    assert!(part.value().allclose(&whole.narrow(dim, from, t), 1e-12, 1e-12), "{chunks:?} at {from}");
                    from += t;
                }
            }
        }
    }

    #[test]
    fn a_cache_is_written_in_place_and_its_rows_can_be_chosen() {
        let draw = |b: usize, t: usize| Var::new(Tensor::randn([b, 2, t, 4], DType::F32));
        let mut cache = KeyValueCache::new(5);
        let (q, k, v) = (draw(2, 4), draw(2, 4), draw(2, 4));
        cache.attend(&q, &k, &v, None);
        let copies = tensor::memory::stats().copies_on_write;
        let (q1, k1, v1) = (draw(2, 1), draw(2, 1), draw(2, 1));
        let mut other = cache.clone();
        other.select(&Tensor::from([1_i64, 0, 1]));
        let plain = cache.attend(&q1, &k1, &v1, None).value();
        assert_eq!(tensor::memory::stats().copies_on_write, copies);
        let chosen = |x: &Var| x.index_select(0, &Tensor::from([1_i64, 0, 1]));
        let moved = other.attend(&chosen(&q1), &chosen(&k1), &chosen(&v1), None);
        assert!(moved.value().bit_eq(&plain.index_select(0, &Tensor::from([1_i64, 0, 1]))));
        cache.clear();
        assert!(cache.is_empty() && cache.capacity() == 5);
        cache.attend(&draw(3, 1), &draw(3, 1), &draw(3, 1), None);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    #[should_panic(expected = "there is room for 5 positions, 4 are seen and 2 more do not fit")]
    fn a_full_cache_is_refused() {
        let draw = |t: usize| Var::new(Tensor::randn([1, 2, t, 4], DType::F32));
        let mut cache = KeyValueCache::new(5);
        cache.attend(&draw(4), &draw(4), &draw(4), None);
        cache.attend(&draw(2), &draw(2), &draw(2), None);
    }

    #[test]
    #[should_panic(expected = "compute them under no_grad")]
    fn gradients_do_not_get_lost_in_a_cache() {
        let module = MultiheadAttention::new(4, 2);
        module.forward_cached(&Var::new(Tensor::ones([1, 1, 4], DType::F32)), &mut KeyValueCache::new(2), None);
    }

    #[test]
    fn the_heads_of_self_attention_are_views_of_one_product() {
        for batch_first in [false, true] {
            let options = MultiheadAttentionOptions { batch_first, ..Default::default() };
            let module = MultiheadAttention::with(6, 2, options);
            let x = Var::new(Tensor::randn([3, 4, 6], DType::F32));
            let Heads { q, k, v, .. } = module.project(&x, &x, &x);
            assert!(q.value().shares_storage_with(&k.value()) && q.value().shares_storage_with(&v.value()));
            let (b, t) = if batch_first { (3, 4) } else { (4, 3) };
            assert_eq!(q.shape(), [b, 2, t, 3]);
        }
    }
}
