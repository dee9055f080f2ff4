//! Llama: a decoder-only transformer with rotary positions, RMS norms, gated MLPs and keys shared between heads.
//!
//! Dims: `b` batch, `t` time (tokens), `c` channels (the width), `h` heads of the queries, `g` heads of the keys and values,
//! `d` the width of a head, `v` vocabulary.

mod config;

use nn::KeyValueCache;
use nn::prelude::*;

use crate::language_model::activations;
use crate::{Cache, LanguageModel, ModelConfig, Result};

pub use config::LlamaConfig;

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

    pub(super) fn small() -> LlamaConfig {
        LlamaConfig { layers: 2, key_value_heads: 2, head_dim: 6, mlp_width: 24, ..LlamaConfig::new(17, 12, 32, 4) }
    }

    fn ids(rows: usize, t: usize) -> Tensor {
        Tensor::randint_with(0, 17, [rows, t], &mut tensor::Generator::new(5))
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
    #[should_panic(expected = "llama: 13 tokens do not fit the context of 12")]
    fn a_text_longer_than_the_context_is_refused() {
        Llama::new(small()).unwrap().forward(&ids(1, 13));
    }
}
