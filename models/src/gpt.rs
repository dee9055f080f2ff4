//! GPT-2: a decoder-only transformer.
//!
//! Dims: `b` batch, `t` time (tokens), `c` channels (the width), `v` vocabulary.

use nn::prelude::*;
use tensor::{DType, Tensor};

use crate::language_model::activations;
use crate::{Cache, Error, LanguageModel, ModelConfig, Result};

/// The sizes of a [`Gpt`].
///
/// | field | `config.json` of Hugging Face | symbol in the GPT-3 paper |
/// | --- | --- | --- |
/// | `vocab` | `vocab_size` | |
/// | `context` | `n_positions` | n_ctx |
/// | `layers` | `n_layer` | n_layers |
/// | `heads` | `n_head` | n_heads |
/// | `width` | `n_embd` | d_model |
/// | `dropout` | `embd_pdrop`, `attn_pdrop`, `resid_pdrop` | |
/// | `norm_eps` | `layer_norm_epsilon` | |
///
/// ```
/// // GPT-2 small has 124.4 million parameters.
/// let gpt2 = models::GptConfig { layers: 12, heads: 12, ..models::GptConfig::new(50257, 1024, 768) };
/// assert_eq!(gpt2.num_parameters(), Some(124_439_808));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GptConfig {
    /// Number of tokens in the vocabulary.
    pub vocab: usize,
    /// Number of tokens that the model sees at once.
    pub context: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Number of attention heads in a block; divides the width.
    pub heads: usize,
    /// Numbers per token between the blocks.
    pub width: usize,
    /// Probability that a number is dropped in training: after the embeddings, in the attention and before each
    /// residual sum.
    pub dropout: f64,
    /// Added to the variance in every layer norm.
    pub norm_eps: f64,
}

impl GptConfig {
    /// A model of one block and one head without dropout; set the other fields with `..`.
    pub fn new(vocab: usize, context: usize, width: usize) -> GptConfig {
        GptConfig { vocab, context, layers: 1, heads: 1, width, dropout: 0.0, norm_eps: 1e-5 }
    }

    /// Checks that such a model can exist.
    ///
    /// # Errors
    /// When a size is 0, the heads do not divide the width, the dropout is not in `0..1`, the epsilon of the layer
    /// norms is not positive, or no memory holds the parameters.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("vocabulary", self.vocab),
            ("context", self.context),
            ("number of layers", self.layers),
            ("number of heads", self.heads),
            ("width", self.width),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::invalid(format!("the {name} must be at least 1")));
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(Error::invalid(format!("{} heads do not divide the width {}", self.heads, self.width)));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::invalid(format!("the dropout {} is not in 0..1", self.dropout)));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite()) {
            return Err(Error::invalid(format!("the layer norm epsilon {} is not positive", self.norm_eps)));
        }
        match self.num_parameters() {
            // 2^48 numbers are a petabyte in f32.
            Some(count) if count < 1 << 48 => Ok(()),
            _ => Err(Error::invalid("a model of these sizes has more parameters than any memory holds")),
        }
    }

    /// The number of parameters, computed without making any: `v c + t c + n (12 c^2 + 13 c) + 2 c`.
    ///
    /// `None` when it does not fit a `u64`.
    pub fn num_parameters(&self) -> Option<u64> {
        let [v, t, n, c] = [self.vocab, self.context, self.layers, self.width].map(|size| size as u128);
        // Sums of two products of 64-bit sizes fit 128 bits; only the cube can overflow them.
        let embeddings = v.checked_add(t)?.checked_mul(c)?;
        let block = c.checked_mul(c)?.checked_mul(12)?.checked_add(13 * c)?;
        let total = block.checked_mul(n)?.checked_add(embeddings)?.checked_add(2 * c)?;
        u64::try_from(total).ok()
    }
}

/// One pre-norm block: `x + attention(norm(x))`, then `x + down(gelu(up(norm(x))))`.
///
/// # Shape
/// `[b, t, c] -> [b, t, c]`.
#[derive(Module)]
pub struct Block {
    norm_1: LayerNorm,
    attention: MultiheadAttention,
    norm_2: LayerNorm,
    up: Linear,
    down: Linear,
    dropout: Dropout,
}

impl Block {
    fn new(config: &GptConfig) -> Block {
        let (c, eps) = (config.width, config.norm_eps);
        let norm = || LayerNorm::with(c, LayerNormOptions { eps, ..Default::default() });
        let options = MultiheadAttentionOptions { dropout: config.dropout, batch_first: true, ..Default::default() };
        Block {
            norm_1: norm(),
            attention: MultiheadAttention::with(c, config.heads, options),
            norm_2: norm(),
            up: Linear::new(c, 4 * c),
            down: Linear::new(4 * c, c),
            dropout: Dropout::new(config.dropout),
        }
    }
}

impl Block {
    /// The block around its attention, which is one over the whole input or one with a cache.
    fn around(&self, x: &Var, attend: impl FnOnce(&Var) -> Var) -> Var {
        let h = attend(&self.norm_1.forward(x));
        let x = x + self.dropout.forward(&h);
        let h = self.norm_2.forward(&x);
        let h = self.down.forward(&self.up.forward(&h).gelu_tanh());
        x + self.dropout.forward(&h)
    }

    /// The next positions, of which `cache` holds those before.
    fn forward_cached(&self, x: &Var, cache: &mut KeyValueCache, mask: Option<&Tensor>) -> Var {
        self.around(x, |h| self.attention.forward_cached(h, cache, mask))
    }
}

impl Forward for Block {
    fn forward(&self, x: &Var) -> Var {
        self.around(x, |h| self.attention.forward(h, h, h, &AttentionMasks::causal()))
    }
}

/// GPT-2: token and position embeddings, pre-norm blocks, a last layer norm, and the token embedding again as the head.
///
/// ```
/// use models::{Gpt, GptConfig, LanguageModel};
/// use nn::prelude::*;
///
/// let gpt = Gpt::new(GptConfig { layers: 2, heads: 2, ..GptConfig::new(10, 8, 16) })?;
/// let ids = Tensor::from([[1_i64, 2, 3], [4, 5, 6]]);
/// assert_eq!(gpt.forward(&ids).value().dims(), [2, 3, 10]); // a logit for each token of the vocabulary
///
/// let targets = Tensor::from([[2_i64, 3, 4], [5, 6, 7]]);
/// gpt.loss(&ids, &targets).backward();
/// assert!(gpt.parameters().iter().all(|p| p.grad().is_some()));
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Source
/// Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
#[derive(Module)]
pub struct Gpt {
    #[module(config)]
    config: GptConfig,
    tokens: Embedding,
    positions: Embedding,
    dropout: Dropout,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Gpt {
    /// A model with new weights.
    ///
    /// Matrices are drawn from a normal distribution with standard deviation 0.02, those that end in a residual sum
    /// from one with `0.02 / sqrt(2 layers)`, so that the sums do not grow with depth; biases are 0, layer norms the
    /// identity.
    ///
    /// # Errors
    /// When `config` describes no model, see [`GptConfig::check`].
    pub fn new(config: GptConfig) -> Result<Gpt> {
        config.check()?;
        let GptConfig { vocab, context, width, layers, norm_eps: eps, .. } = config;
        let gpt = Gpt {
            tokens: Embedding::new(vocab, width),
            positions: Embedding::new(context, width),
            dropout: Dropout::new(config.dropout),
            blocks: (0..layers).map(|_| Block::new(&config)).collect(),
            norm: LayerNorm::with(width, LayerNormOptions { eps, ..Default::default() }),
            config,
        };
        let residual_std = 0.02 / (2.0 * layers as f64).sqrt();
        for (name, p) in gpt.named_parameters() {
            match name.as_str() {
                name if name.ends_with("bias") => nn::init::zeros_(&p),
                name if name.ends_with("out_proj.weight") || name.ends_with("down.weight") => {
                    nn::init::normal_(&p, 0.0, residual_std)
                }
                _ if p.ndim() == 2 => nn::init::normal_(&p, 0.0, 0.02),
                _ => nn::init::ones_(&p),
            }
        }
        Ok(gpt)
    }

    /// The sizes of the model.
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    /// The first block's input: the tokens' vectors and those of their positions.
    fn embed(&self, ids: &Tensor, positions: &Tensor) -> Var {
        let x = activations(self.tokens.forward(ids)) + activations(self.positions.forward(positions));
        self.dropout.forward(&x)
    }
}

impl LanguageModel for Gpt {
    fn config(&self) -> ModelConfig {
        self.config.clone().into()
    }

    #[track_caller]
    fn hidden(&self, ids: &Tensor) -> Var {
        let (t, context) = (ids.dim(1), self.config.context);
        assert!(t <= context, "gpt: {t} tokens do not fit the context of {context}\n  ids {:?}", ids.dims());
        let mut x = self.embed(ids, &Tensor::arange(0.0, t as f64, 1.0, DType::I64));
        for block in &self.blocks {
            x = block.forward(&x);
        }
        self.norm.forward(&x)
    }

    #[track_caller]
    fn hidden_cached(&self, ids: &Tensor, cache: &mut Cache) -> Var {
        let (positions, mask) = (cache.positions(ids.dim(1)), cache.mask(ids.dim(1)));
        let mut x = self.embed(ids, &positions);
        for (block, layer) in self.blocks.iter().zip(cache.layers_mut()) {
            x = block.forward_cached(&x, layer, mask.as_ref());
        }
        self.norm.forward(&x)
    }

    /// The head is the token embedding: `logits = x @ wte^T`.
    #[track_caller]
    fn head(&self, x: &Var) -> Var {
        self.tokens.attend(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> GptConfig {
        GptConfig { layers: 3, heads: 4, ..GptConfig::new(17, 12, 32) }
    }

    fn ids(rows: usize, t: usize) -> Tensor {
        Tensor::randint_with(0, 17, [rows, t], &mut tensor::Generator::new(5))
    }

    #[test]
    fn the_formula_counts_the_parameters() {
        for config in [small(), GptConfig::new(3, 1, 1), GptConfig { layers: 2, ..GptConfig::new(65, 64, 20) }] {
            assert_eq!(Gpt::new(config.clone()).unwrap().num_parameters() as u64, config.num_parameters().unwrap());
        }
        // The published sizes of GPT-2: 124.4, 354.8, 774.0 and 1557.6 million.
        let sizes =
            [(12, 768, 124_439_808), (24, 1024, 354_823_168), (36, 1280, 774_030_080), (48, 1600, 1_557_611_200)];
        for (layers, width, count) in sizes {
            assert_eq!(GptConfig { layers, ..GptConfig::new(50257, 1024, width) }.num_parameters(), Some(count));
        }
        let most = usize::MAX;
        assert_eq!(GptConfig { layers: most, ..GptConfig::new(most, most, most) }.num_parameters(), None);
    }

    #[test]
    fn first_weights_are_gpt2s() {
        manual_seed(1);
        let config = GptConfig { layers: 2, heads: 2, ..GptConfig::new(300, 100, 128) };
        for (name, p) in Gpt::new(config).unwrap().named_parameters() {
            let value = p.value();
            let (mean, std) = (value.mean().item::<f32>(), value.var().sqrt().item::<f32>());
            let (expected_mean, expected_std) = match name.as_str() {
                n if n.ends_with("bias") => (0.0, 0.0),
                n if n.contains("norm") => (1.0, 0.0),
                n if n.ends_with("out_proj.weight") || n.ends_with("down.weight") => (0.0, 0.01),
                _ => (0.0, 0.02),
            };
            assert!((mean - expected_mean).abs() < 1e-3, "{name}: mean {mean}");
            assert!((std - expected_std).abs() < 0.05 * expected_std + 1e-9, "{name}: std {std}");
        }
    }

    #[test]
    fn a_new_model_guesses() {
        manual_seed(2);
        let gpt = Gpt::new(small()).unwrap();
        // Random targets: with the tied head a new model leans a little towards the token it sees.
        let targets = Tensor::randint(0, 17, [4, 12]);
        let loss = gpt.loss(&ids(4, 12), &targets).item::<f32>();
        assert!((loss - 17f32.ln()).abs() < 0.1, "{loss}");
    }

    #[test]
    fn nothing_looks_ahead() {
        manual_seed(3);
        let gpt = Gpt::new(small()).unwrap();
        let x = ids(1, 8);
        let mut changed = x.to_vec::<i64>();
        changed[5] = (changed[5] + 1) % 17;
        let changed = Tensor::from_vec(changed, [1, 8]);
        let (a, b) = (gpt.forward(&x).value(), gpt.forward(&changed).value());
        assert!(a.narrow(1, 0, 5).bit_eq(&b.narrow(1, 0, 5)));
        assert!(!a.narrow(1, 5, 3).allclose(&b.narrow(1, 5, 3), 1e-3, 1e-3));
    }

    #[test]
    fn every_parameter_learns_with_and_without_dropout() {
        for dropout in [0.0, 0.2] {
            let gpt = Gpt::new(GptConfig { dropout, ..small() }).unwrap();
            gpt.loss(&ids(2, 12), &ids(2, 12)).backward();
            for (name, p) in gpt.named_parameters() {
                let gradient = p.grad().unwrap_or_else(|| panic!("{name} has no gradient")).value();
                assert!(gradient.abs().max().item::<f32>() > 0.0, "{name}");
            }
        }
    }

    #[test]
    fn dropout_is_for_training_only() {
        let gpt = Gpt::new(GptConfig { dropout: 0.5, ..small() }).unwrap();
        let logits = || gpt.forward(&ids(2, 6)).value();
        assert!(!logits().bit_eq(&logits()));
        gpt.eval();
        assert!(logits().bit_eq(&logits()));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let refused = |config: GptConfig, says: &str| {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
            assert!(Gpt::new(config).is_err());
        };
        refused(GptConfig { heads: 3, ..small() }, "3 heads do not divide the width 32");
        refused(GptConfig { heads: 0, ..small() }, "heads");
        refused(GptConfig { layers: 0, ..small() }, "layers");
        refused(GptConfig { width: 0, ..small() }, "width");
        refused(GptConfig { vocab: 0, ..small() }, "vocabulary");
        refused(GptConfig { context: 0, ..small() }, "context");
        refused(GptConfig { dropout: 1.0, ..small() }, "dropout");
        refused(GptConfig { dropout: f64::NAN, ..small() }, "dropout");
        refused(GptConfig { norm_eps: 0.0, ..small() }, "epsilon");
        refused(GptConfig { width: 1 << 40, ..small() }, "memory");
    }

    #[test]
    #[should_panic(expected = "gpt: 13 tokens do not fit the context of 12")]
    fn a_text_longer_than_the_context_is_refused() {
        Gpt::new(small()).unwrap().forward(&ids(1, 13));
    }
}
