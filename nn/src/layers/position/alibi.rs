//! Positions as a penalty that grows with the distance (ALiBi).

use tensor::{DType, Tensor};

use crate::Module;

/// `-mₕ |i - j|`, added to the score of query `i` and key `j` in head `h`: what is far away counts less.
///
/// With causal attention, which the paper is about, the distance is how far the key lies back. The slopes `mₕ` are a
/// geometric sequence from `2^(-8 / n)` on with that same ratio, for a number `n` of heads that is a power of two; other
/// numbers take the sequence of the next lower power, and for the rest every other slope of the double of it.
///
/// # Shape
/// [`bias`](ALiBi::bias) gives `[h, t, s]`, which broadcasts over the batch as the mask of
/// [`Var::scaled_dot_product_attention`](autograd::Var::scaled_dot_product_attention);
/// [`attn_mask`](ALiBi::attn_mask) gives `[b h, t, s]` for
/// [`MultiheadAttention`](crate::MultiheadAttention).
///
/// # Source
/// Press, Smith, Lewis, "Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation", 2022,
/// section 3; the slopes of other numbers of heads are those of the authors' program.
///
/// ```
/// use nn::prelude::*;
///
/// let alibi = ALiBi::new(2);
/// assert_eq!(alibi.slopes(DType::F64).to_vec::<f64>(), [0.0625, 0.00390625]);
/// let attention = MultiheadAttention::with(8, 2, MultiheadAttentionOptions { batch_first: true, ..Default::default() });
/// let x = Var::new(Tensor::randn([3, 5, 8], DType::F32));
/// let masks = AttentionMasks {
///     attn_mask: Some(alibi.attn_mask(3, 5, 5, DType::F32)),
///     is_causal: true,
///     ..Default::default()
/// };
/// assert_eq!(attention.forward(&x, &x, &x, &masks).shape(), [3, 5, 8]);
/// ```
#[derive(Debug, Module)]
#[module(repr = ALiBi::repr)]
pub struct ALiBi {
    #[module(config)]
    num_heads: usize,
}

impl ALiBi {
    /// Biases for `num_heads` heads.
    ///
    /// # Panics
    /// When there is no head.
    #[track_caller]
    pub fn new(num_heads: usize) -> ALiBi {
        assert!(num_heads > 0, "ALiBi: there is no head");
        ALiBi { num_heads }
    }

    /// The slope of each head: `[h]`.
    pub fn slopes(&self, dtype: DType) -> Tensor {
        let power = 1 << self.num_heads.ilog2();
        let slope = |n: usize, i: usize| (-8.0 * i as f64 / n as f64).exp2();
        let slopes = (1..=power).map(|i| slope(power, i));
        let slopes = slopes.chain((1..).step_by(2).map(|i| slope(2 * power, i))).take(self.num_heads);
        Tensor::from_vec(slopes.collect::<Vec<f64>>(), [self.num_heads]).to_dtype(dtype)
    }

    /// The biases of `t` queries and `s` keys, both from position 0 on: `[h, t, s]`.
    pub fn bias(&self, t: usize, s: usize, dtype: DType) -> Tensor {
        self.bias_at(0, t, s, dtype)
    }

    /// [`bias`](ALiBi::bias) where the first query stands at the position `offset` of the keys: with a cache of `offset`
    /// keys, those of the queries come after them.
    pub fn bias_at(&self, offset: usize, t: usize, s: usize, dtype: DType) -> Tensor {
        let positions = |from: usize, len: usize| (0..len).map(move |i| from as f64 + i as f64);
        let distances: Vec<f64> =
            positions(offset, t).flat_map(|i| positions(0, s).map(move |j| -(i - j).abs())).collect();
        let slopes = self.slopes(DType::F64).reshape([self.num_heads, 1, 1]);
        (slopes * Tensor::from_vec(distances, [t, s])).to_dtype(dtype)
    }

    /// The biases once for each of `b` items of a batch, as `attn_mask` of
    /// [`AttentionMasks`](crate::AttentionMasks): `[b h, t, s]`.
    pub fn attn_mask(&self, b: usize, t: usize, s: usize, dtype: DType) -> Tensor {
        self.bias(t, s, dtype).repeat([b, 1, 1])
    }

    fn repr(&self) -> String {
        self.num_heads.to_string()
    }
}
