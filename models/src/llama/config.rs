//! The sizes of a Llama, what they must obey, and how many parameters they make.

use nn::prelude::*;

use crate::{Error, Result};

/// The sizes of a [`Llama`](super::Llama).
///
/// | field | `config.json` of Hugging Face |
/// | --- | --- |
/// | `vocab` | `vocab_size` |
/// | `context` | `max_position_embeddings` |
/// | `layers` | `num_hidden_layers` |
/// | `heads` | `num_attention_heads` |
/// | `key_value_heads` | `num_key_value_heads` |
/// | `head_dim` | `head_dim` |
/// | `width` | `hidden_size` |
/// | `mlp_width` | `intermediate_size` |
/// | `dropout` | `attention_dropout` |
/// | `norm_eps` | `rms_norm_eps` |
/// | `rope_theta`, `rope_scaling` | `rope_parameters`, or `rope_theta` and `rope_scaling` |
/// | `attention_bias`, `mlp_bias` | the same |
/// | `tied` | `tie_word_embeddings` |
///
/// ```
/// // Llama 3 8B has 8.03 billion parameters.
/// let llama3 = models::LlamaConfig {
///     layers: 32,
///     key_value_heads: 8,
///     mlp_width: 14336,
///     ..models::LlamaConfig::new(128_256, 8192, 4096, 32)
/// };
/// assert_eq!(llama3.num_parameters(), Some(8_030_261_248));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Number of tokens in the vocabulary.
    pub vocab: usize,
    /// Number of tokens that the model sees at once.
    pub context: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Number of heads of the queries in a block.
    pub heads: usize,
    /// Number of heads of the keys and of the values; divides `heads`, and each serves `heads / key_value_heads` of these.
    pub key_value_heads: usize,
    /// Numbers per head; even, because they are rotated in pairs.
    pub head_dim: usize,
    /// Numbers per token between the blocks.
    pub width: usize,
    /// Numbers per token inside the MLP.
    pub mlp_width: usize,
    /// Probability that an attention weight is dropped in training; the family has no other dropout.
    pub dropout: f64,
    /// Added to the mean square in every RMS norm.
    pub norm_eps: f64,
    /// The ratio of the fastest rotation to the slowest.
    pub rope_theta: f64,
    /// How the rotations are slowed down for long texts.
    ///
    /// [`RotaryScaling::Dynamic`] begins to act beyond the context with which it was configured, and no text is longer than the
    /// context here: such a model computes as one without scaling.
    pub rope_scaling: RotaryScaling,
    /// Whether the four projections of the attention have biases.
    pub attention_bias: bool,
    /// Whether the three projections of the MLP have biases.
    pub mlp_bias: bool,
    /// Whether the head is the token embedding.
    pub tied: bool,
}

impl LlamaConfig {
    /// A model of one block in the shape of the first LLaMA: as many heads of keys as of queries, heads that share the width
    /// out, an MLP of about 8/3 of it (up to a multiple of 256), an untied head, no biases; set the other fields with `..`.
    ///
    /// ```
    /// let config = models::LlamaConfig { layers: 32, ..models::LlamaConfig::new(32000, 2048, 4096, 32) };
    /// assert_eq!((config.mlp_width, config.num_parameters()), (11008, Some(6_738_415_616)));
    /// ```
    pub fn new(vocab: usize, context: usize, width: usize, heads: usize) -> LlamaConfig {
        LlamaConfig {
            vocab,
            context,
            layers: 1,
            heads,
            key_value_heads: heads,
            head_dim: width.checked_div(heads).unwrap_or(0),
            width,
            // No width that memory could hold is changed by the saturation.
            mlp_width: (width.saturating_mul(8) / 3).div_ceil(256).saturating_mul(256),
            dropout: 0.0,
            norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: RotaryScaling::None,
            attention_bias: false,
            mlp_bias: false,
            tied: false,
        }
    }

    /// Checks that such a model can exist.
    ///
    /// # Errors
    /// When a size is 0, the heads do not divide the width or the heads of the keys those of the queries, a head is not made of
    /// pairs, the dropout is not in `0..1`, the epsilon or a number of the rotations is not positive, dynamic scaling has another
    /// original context than the context, or no memory holds the parameters.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("vocabulary", self.vocab),
            ("context", self.context),
            ("number of layers", self.layers),
            ("number of heads", self.heads),
            ("number of key-value heads", self.key_value_heads),
            ("width of a head", self.head_dim),
            ("width", self.width),
            ("width of the MLP", self.mlp_width),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::invalid(format!("the {name} must be at least 1")));
        }
        // So also in transformers, where the heads have a width of their own.
        if !self.width.is_multiple_of(self.heads) {
            return Err(Error::invalid(format!("{} heads do not divide the width {}", self.heads, self.width)));
        }
        if !self.heads.is_multiple_of(self.key_value_heads) {
            let (of_keys, heads) = (self.key_value_heads, self.heads);
            return Err(Error::invalid(format!("{of_keys} key-value heads do not divide the {heads} heads")));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(Error::invalid(format!("a head of {} numbers is not made of pairs to rotate", self.head_dim)));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::invalid(format!("the dropout {} is not in 0..1", self.dropout)));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite()) {
            return Err(Error::invalid(format!("the RMS norm epsilon {} is not positive", self.norm_eps)));
        }
        if !(self.rope_theta > 0.0 && self.rope_theta.is_finite()) {
            return Err(Error::invalid(format!("the base of the rotations, {}, is not positive", self.rope_theta)));
        }
        if let Some(problem) = self.rope_scaling.problem() {
            return Err(Error::invalid(problem));
        }
        if let RotaryScaling::Dynamic { original_context, .. } = self.rope_scaling
            && original_context != self.context
        {
            let what =
                format!("dynamic rotary scaling begins at {original_context}, not at the context {}", self.context);
            return Err(Error::invalid(what));
        }
        match self.num_parameters() {
            // 2^48 numbers are a petabyte in f32.
            Some(count) if count < 1 << 48 => Ok(()),
            _ => Err(Error::invalid("a model of these sizes has more parameters than any memory holds")),
        }
    }

    /// The number of parameters, computed without making any: with the MLP's width `m`, `v c` for the embedding and again for
    /// a head of its own, `n (2 c h d + 2 c g d + 3 c m + 2 c)` in the blocks, `c` in the last norm, and the biases.
    ///
    /// `None` when it does not fit a `u64`.
    pub fn num_parameters(&self) -> Option<u64> {
        // Sums of a few products of 32-bit sizes fit 128 bits.
        let size = |n: usize| u32::try_from(n).ok().map(u128::from);
        let [v, n, h, g, d, c, m] =
            [self.vocab, self.layers, self.heads, self.key_value_heads, self.head_dim, self.width, self.mlp_width]
                .map(size);
        let (v, n, h, g, d, c, m) = (v?, n?, h?, g?, d?, c?, m?);
        let [attention_bias, mlp_bias] = [self.attention_bias, self.mlp_bias].map(u128::from);
        let attention = c * d * (2 * h + 2 * g) + attention_bias * (d * (h + 2 * g) + c);
        let mlp = 3 * c * m + mlp_bias * (2 * m + c);
        let embeddings = if self.tied { v * c } else { 2 * v * c };
        let blocks = n.checked_mul(attention.checked_add(mlp)?.checked_add(2 * c)?)?;
        u64::try_from(blocks.checked_add(embeddings + c)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::small;
    use super::*;
    use crate::Llama;

    #[test]
    fn the_formula_counts_the_parameters() {
        let biased = LlamaConfig { attention_bias: true, mlp_bias: true, tied: true, ..small() };
        for config in [small(), biased, LlamaConfig::new(3, 1, 2, 1), LlamaConfig { mlp_bias: true, ..small() }] {
            assert_eq!(Llama::new(config.clone()).unwrap().num_parameters() as u64, config.num_parameters().unwrap());
        }
        let most = usize::MAX;
        assert_eq!(LlamaConfig { layers: most, ..LlamaConfig::new(most, most, most, most) }.num_parameters(), None);
        let large = u32::MAX as usize;
        let config = LlamaConfig { layers: large, head_dim: large, ..LlamaConfig::new(large, large, large, large) };
        assert_eq!(config.num_parameters(), None);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let refused = |config: LlamaConfig, says: &str| {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
            assert!(Llama::new(config).is_err());
        };
        refused(LlamaConfig { heads: 3, ..small() }, "3 heads do not divide the width 32");
        refused(LlamaConfig { key_value_heads: 3, ..small() }, "3 key-value heads do not divide the 4 heads");
        refused(LlamaConfig { heads: 0, ..small() }, "heads");
        refused(LlamaConfig { key_value_heads: 0, ..small() }, "key-value heads");
        refused(LlamaConfig { head_dim: 0, ..small() }, "width of a head");
        refused(LlamaConfig { head_dim: 7, ..small() }, "a head of 7 numbers is not made of pairs");
        refused(LlamaConfig { layers: 0, ..small() }, "layers");
        refused(LlamaConfig { width: 0, ..small() }, "width");
        refused(LlamaConfig { mlp_width: 0, ..small() }, "width of the MLP");
        refused(LlamaConfig { vocab: 0, ..small() }, "vocabulary");
        refused(LlamaConfig { context: 0, ..small() }, "context");
        refused(LlamaConfig { dropout: 1.0, ..small() }, "dropout");
        refused(LlamaConfig { norm_eps: f64::NAN, ..small() }, "epsilon");
        refused(LlamaConfig { rope_theta: -1.0, ..small() }, "base of the rotations");
        refused(LlamaConfig { rope_scaling: RotaryScaling::Linear { factor: 0.0 }, ..small() }, "factor");
        let dynamic = RotaryScaling::Dynamic { factor: 2.0, original_context: 6 };
        refused(LlamaConfig { rope_scaling: dynamic, ..small() }, "begins at 6, not at the context 12");
        refused(LlamaConfig { width: 1 << 40, ..small() }, "memory");
        refused(LlamaConfig::new(0, 0, 0, 0), "vocabulary");
    }
}
