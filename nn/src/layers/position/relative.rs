//! Positions as learned vectors of distances.

use autograd::Var;
use tensor::{Attention, DType, Tensor};

use crate::layers::printed;
use crate::{Module, Parameter, init};

/// Options of [`RelativePositions`].
#[derive(Debug, Clone, Copy)]
pub struct RelativePositionsOptions {
    /// Whether the values get vectors too, not only the keys (default: true).
    pub values: bool,
    /// The dtype of the tables (default: f32).
    pub dtype: DType,
}

impl Default for RelativePositionsOptions {
    fn default() -> RelativePositionsOptions {
        RelativePositionsOptions { values: true, dtype: DType::F32 }
    }
}

/// Attention with learned vectors of distances: `eᵢⱼ = qᵢ (kⱼ + aᵢⱼ)ᵀ / √d`, `yᵢ = Σⱼ softmax(eᵢ)ⱼ (vⱼ + cᵢⱼ)`, with
/// `aᵢⱼ = key_weight[clip(j - i)]`, `cᵢⱼ = value_weight[clip(j - i)]`, and distances clipped to `-max_distance` to
/// `max_distance`.
///
/// All heads share the tables. No vector is stored for a pair: products with the few rows of a table are spread over the
/// distances, and the weights of equal distances are added up before they meet the table. The scores are stored.
///
/// # Shape
/// query `[.., t, d]`, key `[.., s, d]`, value `[.., s, d] -> [.., t, d]`, where `d` is the size of a head; the tables are
/// `[2 max_distance + 1, d]`, and their first row is that of keys that lie `max_distance` or more before the query. Without
/// vectors for values, these may have any width.
///
/// # Numerics
/// The tables start Xavier-uniform, which the paper leaves open. A query that may look at nothing gives zeros.
///
/// # Source
/// Shaw, Uszkoreit, Vaswani, "Self-Attention with Relative Position Representations", 2018, equations 3, 4 and 5.
///
/// ```
/// use nn::prelude::*;
///
/// let relative = RelativePositions::new(2, 8);
/// let [q, k, v] = [0; 3].map(|_| Var::new(Tensor::randn([2, 4, 5, 8], DType::F32))); // [b, h, t, d]
/// let causal = Attention { is_causal: true, ..Default::default() };
/// assert_eq!(relative.forward(&q, &k, &v, &causal).shape(), [2, 4, 5, 8]);
/// let keys: Vec<String> = relative.state_dict().keys().cloned().collect();
/// assert_eq!(keys, ["key_weight", "value_weight"]);
///
/// // The part of the keys alone, as a mask of plain attention:
/// let bias = relative.bias(&q, 5) / 8f64.sqrt();
/// let y = q.scaled_dot_product_attention_with_mask(&k, &v, &bias, &causal);
/// assert_eq!(y.shape(), [2, 4, 5, 8]);
/// ```
#[derive(Debug, Module)]
#[module(repr = RelativePositions::repr)]
pub struct RelativePositions {
    /// `[2 max_distance + 1, d]`.
    pub key_weight: Parameter,
    /// `[2 max_distance + 1, d]`, unless only keys have vectors.
    pub value_weight: Option<Parameter>,
}

impl RelativePositions {
    /// Vectors of `head_dim` features for distances up to `max_distance`.
    pub fn new(max_distance: usize, head_dim: usize) -> RelativePositions {
        RelativePositions::with(max_distance, head_dim, RelativePositionsOptions::default())
    }

    /// Relative positions with options.
    pub fn with(max_distance: usize, head_dim: usize, options: RelativePositionsOptions) -> RelativePositions {
        let table = || {
            let weight = init::empty_parameter([2 * max_distance + 1, head_dim], options.dtype);
            init::xavier_uniform_(&weight, 1.0);
            weight
        };
        RelativePositions { key_weight: table(), value_weight: options.values.then(table) }
    }

    /// The distance from which on all are the same.
    pub fn max_distance(&self) -> usize {
        self.key_weight.dim(0) / 2
    }

    /// `qᵢ aᵢⱼᵀ` for `s` keys, `[.., t, d] -> [.., t, s]`: what the scores have more, before they are scaled.
    ///
    /// # Panics
    /// When the queries have another width than the table.
    #[track_caller]
    pub fn bias(&self, query: &Var, s: usize) -> Var {
        self.bias_at(query, s, 0)
    }

    /// [`bias`](RelativePositions::bias) where the first query stands at the position `offset` of the keys.
    ///
    /// # Panics
    /// When the queries have another width than the table.
    #[track_caller]
    pub fn bias_at(&self, query: &Var, s: usize, offset: usize) -> Var {
        let (shape, d) = (query.shape(), self.key_weight.dim(1));
        assert!(
            shape.len() >= 2 && shape[shape.len() - 1] == d,
            "RelativePositions: the queries do not fit\n  query {shape}   rule [.., t, {d}]"
        );
        let products = query.matmul(&self.key_weight.t());
        let mut shape = shape.to_vec();
        let (n, t) = (shape.len(), query.dim(-2));
        shape[n - 1] = s;
        products.gather(-1, &self.rows(t, s, offset).expand(shape))
    }

    /// Attention of queries and keys that both begin at position 0. Of the options, the mask, `is_causal`, the scale and
    /// the dropout count.
    ///
    /// # Panics
    /// When the sizes do not fit together, or `enable_gqa` is set.
    #[track_caller]
    pub fn forward(&self, query: &Var, key: &Var, value: &Var, options: &Attention) -> Var {
        self.forward_at(query, key, value, options, 0)
    }

    /// [`forward`](RelativePositions::forward) where the first query stands at the position `offset` of the keys; causal
    /// attention then sees the keys up to `offset + i`.
    ///
    /// # Panics
    /// When the sizes do not fit together, or `enable_gqa` is set.
    #[track_caller]
    pub fn forward_at(&self, query: &Var, key: &Var, value: &Var, options: &Attention, offset: usize) -> Var {
        self.check(query, key, value, options);
        let (t, s) = (query.dim(-2), key.dim(-2));
        let scale = options.scale.unwrap_or(1.0 / (query.dim(-1) as f64).sqrt());
        let mut scores = (query.matmul(&key.transpose(-2, -1)) + self.bias_at(query, s, offset)) * scale;
        if options.is_causal {
            let ahead: Vec<bool> = (0..t).flat_map(|i| (0..s).map(move |j| j.saturating_sub(offset) > i)).collect();
            scores = scores.masked_fill(&Tensor::from_vec(ahead, [t, s]), f64::NEG_INFINITY);
        }
        scores = match &options.mask {
            Some(mask) if mask.dtype() == DType::Bool => scores.masked_fill(&mask.logical_not(), f64::NEG_INFINITY),
            Some(mask) => scores + Var::new(mask.to_dtype(query.dtype())),
            None => scores,
        };
        // Softmax alone would give 0 / 0.
        let blind = scores.ne_scalar(f64::NEG_INFINITY).to_dtype(DType::F32).sum_dim(-1, true).eq_scalar(0.0);
        let mut weights = scores.masked_fill(&blind, 0.0).softmax(-1).masked_fill(&blind, 0.0);
        if options.dropout_p != 0.0 {
            weights = weights.dropout(options.dropout_p);
        }
        let output = weights.matmul(value);
        match &self.value_weight {
            Some(value_weight) => output + self.by_distance(&weights, offset).matmul(value_weight),
            None => output,
        }
    }

    /// The weights of each row of the table: `[.., t, s] -> [.., t, 2 max_distance + 1]`.
    fn by_distance(&self, weights: &Var, offset: usize) -> Var {
        let mut shape = weights.shape().to_vec();
        let rows = self.rows(weights.dim(-2), weights.dim(-1), offset).expand(shape.clone());
        *shape.last_mut().expect("a matrix at least") = self.key_weight.dim(0);
        Var::new(Tensor::zeros(shape, weights.dtype())).scatter_add(-1, &rows, weights)
    }

    /// The row of the table for each query and key: `[t, s]`.
    fn rows(&self, t: usize, s: usize, offset: usize) -> Tensor {
        let most = self.max_distance();
        let row = |i: usize, j: usize| if j >= i { most + (j - i).min(most) } else { most - (i - j).min(most) };
        let queries = (0..t).map(|i| offset.saturating_add(i));
        Tensor::from_vec(queries.flat_map(|i| (0..s).map(move |j| row(i, j) as i64)).collect::<Vec<i64>>(), [t, s])
    }

    #[track_caller]
    fn check(&self, query: &Var, key: &Var, value: &Var, options: &Attention) {
        assert!(
            !options.enable_gqa,
            "RelativePositions: keys and values need as many heads as queries, enable_gqa is set"
        );
        let ([q, k, v], d) = ([query.shape(), key.shape(), value.shape()], self.key_weight.dim(1));
        let fits = [&q, &k, &v].iter().all(|shape| shape.len() >= 2)
            && q[q.len() - 1] == d
            && k[k.len() - 1] == d
            && (self.value_weight.is_none() || v[v.len() - 1] == d)
            && k[k.len() - 2] == v[v.len() - 2];
        let dv = if self.value_weight.is_some() { d.to_string() } else { "dv".to_owned() };
        assert!(
            fits,
            "RelativePositions: the inputs do not fit\n  query {q}   key {k}   value {v}   rule query [.., t, {d}], key [.., s, {d}], value [.., s, {dv}]"
        );
    }

    fn repr(&self) -> String {
        let values = printed::flag(self.value_weight.is_some());
        format!("max_distance={}, head_dim={}, values={values}", self.max_distance(), self.key_weight.dim(1))
    }
}
