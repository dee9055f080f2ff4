//! Llama: a decoder-only transformer with rotary positions, RMS norms, gated MLPs and keys shared between heads.
//!
//! Dims: `b` batch, `t` time (tokens), `c` channels (the width), `h` heads of the queries, `g` heads of the keys and values,
//! `d` the width of a head, `v` vocabulary.

use nn::KeyValueCache;
use nn::prelude::*;

use crate::language_model::activations;
use crate::{Cache, Error, LanguageModel, ModelConfig, Result};

/// The sizes of a [`Llama`].
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

/// Causal self-attention whose queries and keys are rotated by their positions, with keys and values of fewer heads, each of
/// which several heads of the queries read.
///
/// # Shape
/// `[b, t, c] -> [b, t, c]`.
#[derive(Module)]
pub struct SelfAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    #[module(config)]
    head_dim: usize,
    #[module(config)]
    dropout: f64,
    training: Training,
}

impl SelfAttention {
    fn new(config: &LlamaConfig) -> SelfAttention {
        let LlamaConfig { heads, key_value_heads, head_dim, width, attention_bias: bias, .. } = *config;
        let linear = |from, to| Linear::with(from, to, LinearOptions { bias, ..Default::default() });
        SelfAttention {
            q_proj: linear(width, heads * head_dim),
            k_proj: linear(width, key_value_heads * head_dim),
            v_proj: linear(width, key_value_heads * head_dim),
            o_proj: linear(heads * head_dim, width),
            head_dim,
            dropout: config.dropout,
            training: Training::new(),
        }
    }

    /// `[b, t, c] -> [b, t, c]`; `attend` joins queries `[b, h, t, d]` with keys and values `[b, g, t, d]`.
    fn around(&self, x: &Var, rotate: impl Fn(&Var) -> Var, attend: impl FnOnce(&Var, &Var, &Var) -> Var) -> Var {
        let heads = |projection: &Linear| {
            let y = projection.forward(x);
            y.reshape([y.dim(0), y.dim(1), y.dim(2) / self.head_dim, self.head_dim]).transpose(1, 2)
        };
        let (q, k, v) = (rotate(&heads(&self.q_proj)), rotate(&heads(&self.k_proj)), heads(&self.v_proj));
        self.o_proj.forward(&attend(&q, &k, &v).transpose(1, 2).flatten(2, 3))
    }

    fn forward(&self, x: &Var, rotary: &RotaryPositions) -> Var {
        let dropout_p = if self.training.get() { self.dropout } else { 0.0 };
        let causal = Attention { is_causal: true, enable_gqa: true, dropout_p, ..Default::default() };
        self.around(x, |x| rotary.forward(x), |q, k, v| q.scaled_dot_product_attention(k, v, &causal))
    }

    /// The next positions, of which `cache` holds those before. Products of rotated queries and keys depend on distances
    /// only, so padding on the left, which moves a whole row, changes nothing.
    fn forward_cached(
        &self,
        x: &Var,
        rotary: &RotaryPositions,
        cache: &mut KeyValueCache,
        mask: Option<&Tensor>,
    ) -> Var {
        let seen = cache.len();
        self.around(x, |x| rotary.forward_at(x, seen), |q, k, v| cache.attend(q, k, v, mask))
    }
}

/// The gated MLP ("SwiGLU"): `down(silu(gate(x)) * up(x))`.
///
/// # Shape
/// `[b, t, c] -> [b, t, c]`.
#[derive(Module)]
pub struct GatedMlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl GatedMlp {
    fn new(config: &LlamaConfig) -> GatedMlp {
        let (c, m, bias) = (config.width, config.mlp_width, config.mlp_bias);
        let linear = |from, to| Linear::with(from, to, LinearOptions { bias, ..Default::default() });
        GatedMlp { gate_proj: linear(c, m), up_proj: linear(c, m), down_proj: linear(m, c) }
    }
}

impl Forward for GatedMlp {
    fn forward(&self, x: &Var) -> Var {
        self.down_proj.forward(&(self.gate_proj.forward(x).silu() * self.up_proj.forward(x)))
    }
}

/// One pre-norm block: `x + attention(norm(x))`, then `x + mlp(norm(x))`.
///
/// # Shape
/// `[b, t, c] -> [b, t, c]`.
#[derive(Module)]
pub struct DecoderLayer {
    self_attn: SelfAttention,
    mlp: GatedMlp,
    input_layernorm: RMSNorm,
    post_attention_layernorm: RMSNorm,
}

impl DecoderLayer {
    fn new(config: &LlamaConfig) -> DecoderLayer {
        DecoderLayer {
            self_attn: SelfAttention::new(config),
            mlp: GatedMlp::new(config),
            input_layernorm: rms_norm(config),
            post_attention_layernorm: rms_norm(config),
        }
    }

    /// The block around its attention, which is one over the whole input or one with a cache.
    fn around(&self, x: &Var, attend: impl FnOnce(&Var) -> Var) -> Var {
        let x = x + attend(&self.input_layernorm.forward(x));
        &x + self.mlp.forward(&self.post_attention_layernorm.forward(&x))
    }
}

fn rms_norm(config: &LlamaConfig) -> RMSNorm {
    RMSNorm::with(config.width, RMSNormOptions { eps: Some(config.norm_eps), ..Default::default() })
}

/// Llama: a token embedding, pre-norm blocks with rotary positions, a last RMS norm, and a head.
///
/// Fields have the names of Hugging Face's `LlamaForCausalLM`, whose state dict puts `model.` before all but the head's.
///
/// ```
/// use models::{LanguageModel, Llama, LlamaConfig};
/// use nn::prelude::*;
///
/// // Four heads of queries read two heads of keys.
/// let llama = Llama::new(LlamaConfig { layers: 2, key_value_heads: 2, ..LlamaConfig::new(10, 8, 16, 4) })?;
/// let ids = Tensor::from([[1_i64, 2, 3], [4, 5, 6]]);
/// assert_eq!(llama.forward(&ids).value().dims(), [2, 3, 10]); // a logit for each token of the vocabulary
///
/// let targets = Tensor::from([[2_i64, 3, 4], [5, 6, 7]]);
/// llama.loss(&ids, &targets).backward();
/// assert!(llama.parameters().iter().all(|p| p.grad().is_some()));
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Source
/// Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models", section 2.2; grouped heads: Ainslie et al.
/// 2023, "GQA"; scaled rotations: Grattafiori et al. 2024, "The Llama 3 Herd of Models", section 3.2.
#[derive(Module)]
pub struct Llama {
    #[module(config)]
    config: LlamaConfig,
    embed_tokens: Embedding,
    layers: Vec<DecoderLayer>,
    norm: RMSNorm,
    rotary: RotaryPositions,
    /// None where the token embedding is the head.
    lm_head: Option<Linear>,
}

impl Llama {
    /// A model with new weights, Hugging Face's: matrices are drawn from a normal distribution with standard deviation 0.02,
    /// norms are 1, biases 0.
    ///
    /// # Errors
    /// When `config` describes no model, see [`LlamaConfig::check`].
    pub fn new(config: LlamaConfig) -> Result<Llama> {
        config.check()?;
        let LlamaConfig { vocab, width, layers, rope_theta: base, rope_scaling: scaling, .. } = config;
        let rotary = RotaryPositionsOptions { base, scaling, interleaved: false, rotary_dim: None };
        let headless = LinearOptions { bias: false, ..Default::default() };
        let llama = Llama {
            embed_tokens: Embedding::new(vocab, width),
            layers: (0..layers).map(|_| DecoderLayer::new(&config)).collect(),
            norm: rms_norm(&config),
            rotary: RotaryPositions::with(config.head_dim, rotary),
            lm_head: (!config.tied).then(|| Linear::with(width, vocab, headless)),
            config,
        };
        for (name, p) in llama.named_parameters() {
            match p.ndim() {
                2 => nn::init::normal_(&p, 0.0, 0.02),
                _ if name.ends_with("bias") => nn::init::zeros_(&p),
                _ => nn::init::ones_(&p),
            }
        }
        Ok(llama)
    }

    /// The sizes of the model.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    fn embed(&self, ids: &Tensor) -> Var {
        activations(self.embed_tokens.forward(ids))
    }
}

impl LanguageModel for Llama {
    fn config(&self) -> ModelConfig {
        self.config.clone().into()
    }

    #[track_caller]
    fn hidden(&self, ids: &Tensor) -> Var {
        let (t, context) = (ids.dim(1), self.config.context);
        assert!(t <= context, "llama: {t} tokens do not fit the context of {context}\n  ids {:?}", ids.dims());
        let mut x = self.embed(ids);
        for layer in &self.layers {
            x = layer.around(&x, |h| layer.self_attn.forward(h, &self.rotary));
        }
        self.norm.forward(&x)
    }

    #[track_caller]
    fn hidden_cached(&self, ids: &Tensor, cache: &mut Cache) -> Var {
        let mask = cache.mask(ids.dim(1));
        let mut x = self.embed(ids);
        for (layer, seen) in self.layers.iter().zip(cache.layers_mut()) {
            x = layer.around(&x, |h| layer.self_attn.forward_cached(h, &self.rotary, seen, mask.as_ref()));
        }
        self.norm.forward(&x)
    }

    #[track_caller]
    fn head(&self, x: &Var) -> Var {
        match &self.lm_head {
            Some(head) => head.forward(x),
            None => self.embed_tokens.attend(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> LlamaConfig {
        LlamaConfig { layers: 2, key_value_heads: 2, head_dim: 6, mlp_width: 24, ..LlamaConfig::new(17, 12, 32, 4) }
    }

    fn ids(rows: usize, t: usize) -> Tensor {
        Tensor::randint_with(0, 17, [rows, t], &mut tensor::Generator::new(5))
    }

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
    fn first_weights_are_hugging_faces() {
        manual_seed(1);
        let config =
            LlamaConfig { layers: 2, attention_bias: true, mlp_bias: true, ..LlamaConfig::new(300, 9, 128, 4) };
        for (name, p) in Llama::new(config).unwrap().named_parameters() {
            let (mean, std) = (p.value().mean().item::<f32>(), p.value().var().sqrt().item::<f32>());
            let (expected_mean, expected_std) = match name.as_str() {
                n if n.ends_with("bias") => (0.0, 0.0),
                n if n.contains("norm") => (1.0, 0.0),
                _ => (0.0, 0.02),
            };
            assert!((mean - expected_mean).abs() < 1e-3, "{name}: mean {mean}");
            assert!((std - expected_std).abs() < 0.05 * expected_std + 1e-9, "{name}: std {std}");
        }
    }

    #[test]
    fn nothing_looks_ahead() {
        manual_seed(3);
        let llama = Llama::new(small()).unwrap();
        let x = ids(1, 8);
        let mut changed = x.to_vec::<i64>();
        changed[5] = (changed[5] + 1) % 17;
        let changed = Tensor::from_vec(changed, [1, 8]);
        let (a, b) = (llama.forward(&x).value(), llama.forward(&changed).value());
        assert!(a.narrow(1, 0, 5).bit_eq(&b.narrow(1, 0, 5)));
        assert!(!a.narrow(1, 5, 3).allclose(&b.narrow(1, 5, 3), 1e-3, 1e-3));
    }

    #[test]
    fn every_parameter_learns_with_and_without_dropout() {
        for (dropout, tied) in [(0.0, false), (0.2, true)] {
            let llama = Llama::new(LlamaConfig { dropout, tied, attention_bias: true, mlp_bias: true, ..small() });
            let llama = llama.unwrap();
            llama.loss(&ids(2, 12), &ids(2, 12)).backward();
            for (name, p) in llama.named_parameters() {
                let gradient = p.grad().unwrap_or_else(|| panic!("{name} has no gradient")).value();
                // A constant added to every score changes no softmax: the bias of the keys alone has almost no gradient,
                // and none but for the rotation.
                assert!(gradient.abs().max().item::<f32>() > 0.0, "{name}");
            }
        }
    }

    #[test]
    fn dropout_is_for_training_only() {
        let llama = Llama::new(LlamaConfig { dropout: 0.5, ..small() }).unwrap();
        let logits = || llama.forward(&ids(2, 6)).value();
        assert!(!logits().bit_eq(&logits()));
        llama.eval();
        assert!(logits().bit_eq(&logits()));
    }

    /// A model whose logits differ from each other.
    fn lively(config: LlamaConfig) -> Llama {
        manual_seed(4);
        let llama = Llama::new(config).unwrap();
        llama.parameters().iter().for_each(|p| nn::init::normal_(p, 0.0, 0.5));
        llama.to_dtype(DType::F64);
        llama.eval();
        llama
    }

    #[test]
    fn with_a_cache_the_next_positions_are_those_of_the_whole() {
        let scaling =
            |factor| RotaryScaling::Llama3 { factor, low_freq_factor: 0.1, high_freq_factor: 2.0, original_context: 6 };
        for config in [small(), LlamaConfig { rope_scaling: scaling(4.0), tied: true, ..small() }] {
            let llama = lively(config);
            let ids = ids(3, 12);
            let whole = no_grad(|| llama.forward(&ids)).value();
            let mut cache = Cache::new(&LanguageModel::config(&llama));
            let mut from = 0;
            for t in [1, 4, 1, 6] {
                let x = no_grad(|| llama.head(&llama.hidden_cached(&ids.narrow(1, from, t), &mut cache))).value();
                assert!(x.allclose(&whole.narrow(1, from, t), 1e-9, 1e-9), "positions {from} to {}", from as usize + t);
                from += t as isize;
            }
        }
    }

    #[test]
    fn rows_with_padding_are_as_if_alone() {
        let llama = lively(small());
        let texts = [ids(1, 6), ids(1, 6).narrow(1, 2, 3).contiguous()];
        let padded = Tensor::cat(&[Tensor::zeros([1, 3], DType::I64), texts[1].clone()], 1);
        let batch = Tensor::cat(&[texts[0].clone(), padded], 0);
        let mut cache = Cache::new(&LanguageModel::config(&llama)).with_padding(vec![0, 3]);
        let first = no_grad(|| llama.hidden_cached(&batch.narrow(1, 0, 5), &mut cache)).value();
        let last = no_grad(|| llama.hidden_cached(&batch.narrow(1, 5, 1), &mut cache)).value();
        let both = Tensor::cat(&[first, last], 1);
        for (row, text) in texts.iter().enumerate() {
            let t = text.dim(1);
            let alone = no_grad(|| llama.hidden(text)).value();
            let in_batch = both.narrow(0, row as isize, 1).narrow(1, 6 - t as isize, t);
            assert!(in_batch.allclose(&alone, 1e-9, 1e-9), "row {row}");
        }
    }

    #[test]
    fn keys_of_one_head_for_all_are_as_keys_repeated() {
        let shared = lively(LlamaConfig { key_value_heads: 2, ..small() });
        let whole = lively(LlamaConfig { key_value_heads: 4, ..small() });
        let state = shared.state_dict();
        for (name, p) in whole.named_parameters() {
            let value = &state[&name];
            let of_keys = name.contains("k_proj") || name.contains("v_proj");
            p.set_value(if of_keys {
                value.reshape([2, 6, 32]).repeat_interleave(2, 0).reshape([24, 32])
            } else {
                value.clone()
            });
        }
        let [a, b] = [&shared, &whole].map(|llama| llama.forward(&ids(2, 7)).value());
        assert!(a.allclose(&b, 1e-10, 1e-10));
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

    #[test]
    #[should_panic(expected = "llama: 13 tokens do not fit the context of 12")]
    fn a_text_longer_than_the_context_is_refused() {
        Llama::new(small()).unwrap().forward(&ids(1, 13));
    }
}
