//! What training a model takes: parameters, memory, arithmetic, time; computed without making the model.
//!
//! Dims: `b` batch, `t` time (tokens), `c` channels (the width), `h` heads, `n` layers, `v` vocabulary.

use std::time::{Duration, Instant};

use nn::prelude::*;
use optim::{Optimizer, clip_coefficient, get_total_norm};
use tensor::Tensor;

use crate::train::adamw;
use crate::{Error, Gpt, GptConfig, LanguageModel, LlamaConfig, ModelConfig, Result};

/// The arithmetic of a computer that does 10^15 operations a second for a day: 8.64e19.
pub const PETAFLOP_S_DAY: f64 = 1e15 * 86400.0;

/// What training a model takes; see [`plan`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// All parameters; a tied head counts once.
    pub parameters: u64,
    /// The parameters without the tables of tokens and positions and without a head of its own.
    pub non_embedding_parameters: u64,
    /// Bytes of the weights: 4 per parameter.
    pub weights_bytes: u64,
    /// Bytes of the gradients: 4 per parameter.
    pub gradients_bytes: u64,
    /// Bytes of AdamW's two means: 8 per parameter.
    pub optimizer_bytes: u64,
    /// Bytes of what a step keeps for its backward pass, and of what it needs besides while that is at its largest.
    pub activations_bytes: u64,
    /// The operations of the whole training.
    pub flops: f64,
}

impl Plan {
    /// The most memory that tensors take in a step.
    pub fn total_bytes(&self) -> u64 {
        let parts = [self.weights_bytes, self.gradients_bytes, self.optimizer_bytes, self.activations_bytes];
        parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }

    /// The operations of the whole training in [petaflop/s-days](PETAFLOP_S_DAY).
    pub fn petaflop_s_days(&self) -> f64 {
        self.flops / PETAFLOP_S_DAY
    }

    /// The days that it takes at `rate` operations per second.
    pub fn days(&self, rate: f64) -> f64 {
        self.flops / rate / 86400.0
    }
}

/// What it takes to train a model of these sizes on `tokens` tokens, in f32 with AdamW and without dropout, `batch`
/// windows of the whole context at a time.
///
/// **Arithmetic**: `6 N tokens`, two operations (multiply and add) per parameter and token in the forward pass and twice
/// as many in the backward pass. `N` is all parameters, embeddings included, and attention's products of queries with
/// keys and of weights with values are left out, as in the source.
///
/// **Memory**: 16 bytes per parameter (the weight, its gradient, two means), and the activations. For a
/// [`Gpt`] a token keeps `n (16 c + h + 4) + 2 c + 2` floats up to the last norm:
/// in each block the inputs of the two norms `2 c` and their statistics 4, of the projections `2 c`, of the attention
/// `3 c` and its normaliser `h`, its output `c`, and the MLP before and after GELU `8 c`; the scores of the attention
/// are not stored. The head keeps `v + 4`, and for the largest moment of the backward pass come the gradient of the
/// logits `v` or that of the MLP `4 c`, whichever is more. For a [`Llama`](crate::Llama), counted in the same way, it is
/// `n (4 c + 2 (h + g) d + h + 4 m + 2) + 2 c + 1`, with `g` heads of the keys, of width `d`, and `m` numbers in the MLP. Measured steps need that to within 15% where it is more than a
/// few megabytes, below which buffers of fixed sizes count.
///
/// ```
/// use models::{GptConfig, plan::plan};
///
/// // The largest model of the GPT-3 paper: 174,600M parameters, 300 billion tokens.
/// let config = GptConfig { layers: 96, heads: 96, ..GptConfig::new(50257, 2048, 12288) };
/// let plan = plan(&config.into(), 300e9, 1)?;
/// assert_eq!(format!("{:.4e} {:.2e}", plan.parameters as f64, plan.flops), "1.7460e11 3.14e23");
/// assert_eq!(format!("{:.2e}", plan.petaflop_s_days()), "3.64e3");
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// When no such model can exist, the batch or the tokens are less than 1, or the activations fit no memory.
///
/// # Source
/// Brown et al. 2020, "Language Models are Few-Shot Learners", appendix D.
pub fn plan(config: &ModelConfig, tokens: f64, batch: usize) -> Result<Plan> {
    config.check()?;
    if !(tokens >= 1.0 && tokens.is_finite()) {
        return Err(Error::invalid(format!("{tokens} tokens: at least 1 is needed")));
    }
    if batch == 0 {
        return Err(Error::invalid("the batch must be at least 1"));
    }
    let parameters = config.num_parameters().ok_or_else(|| Error::invalid("too many parameters to count"))?;
    let positions = batch as u128 * config.context() as u128;
    let activations = positions.checked_mul(4 * floats_per_token(config)).and_then(|bytes| u64::try_from(bytes).ok());
    let Some(activations_bytes) = activations else {
        return Err(Error::invalid(format!("the activations of a batch of {batch} fit no memory")));
    };
    Ok(Plan {
        parameters,
        non_embedding_parameters: parameters - embeddings(config),
        weights_bytes: 4 * parameters,
        gradients_bytes: 4 * parameters,
        optimizer_bytes: 8 * parameters,
        activations_bytes,
        flops: 6.0 * parameters as f64 * tokens,
    })
}

/// The parameters of the tables of tokens and positions and of a head of its own.
fn embeddings(config: &ModelConfig) -> u64 {
    match config {
        ModelConfig::Gpt(GptConfig { vocab, context, width, .. }) => (vocab + context) as u64 * *width as u64,
        ModelConfig::Llama(LlamaConfig { vocab, width, tied, .. }) => {
            let tables = if *tied { 1 } else { 2 };
            tables * *vocab as u64 * *width as u64
        }
    }
}

/// The floats that a token of a batch takes in training; see [`plan`].
fn floats_per_token(config: &ModelConfig) -> u128 {
    match config {
        ModelConfig::Gpt(GptConfig { vocab, layers, heads, width, .. }) => {
            let [v, n, h, c] = [*vocab, *layers, *heads, *width].map(|size| size as u128);
            n * (16 * c + h + 4) + 2 * c + 2 + v + 4 + v.max(4 * c)
        }
        ModelConfig::Llama(config) => {
            let LlamaConfig { vocab, layers, heads, key_value_heads, head_dim, width, mlp_width, .. } = *config;
            let [v, n, h, c, m] = [vocab, layers, heads, width, mlp_width].map(|size| size as u128);
            let attention = 2 * (heads + key_value_heads) as u128 * head_dim as u128 + h;
            n * (4 * c + 2 + attention + 4 * m) + 2 * c + 1 + v + 4 + v.max(2 * m)
        }
    }
}

/// How fast this machine trains; see [`measure`].
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Operations per second, counted as [`plan`] counts them.
    pub flop_per_s: f64,
    /// What was measured, for people to read.
    pub what: String,
}

/// The widest model that [`measure`] trains: wider ones have products of the same speed.
const WIDEST: usize = 1024;
/// Tokens in a step of [`measure`].
const TOKENS: usize = 512;
/// How long [`measure`] goes on after its first step.
const TIME: Duration = Duration::from_millis(1500);

/// Trains a small model for a second or two on random tokens: one block of a GPT with the width of `config` and the size
/// of its heads, up to a width of 1024.
///
/// # Errors
/// When no model of the sizes in `config` can exist.
pub fn measure(config: &ModelConfig) -> Result<Rate> {
    config.check()?;
    let (width, heads) = match config {
        ModelConfig::Gpt(config) => (config.width, config.heads),
        ModelConfig::Llama(config) => (config.width, config.heads),
    };
    let head = (width / heads).min(WIDEST);
    let heads = (width.min(WIDEST) / head).max(1);
    let (width, context) = (heads * head, config.context().min(TOKENS));
    let (vocab, batch) = (64, TOKENS / context);
    let model = Gpt::new(GptConfig { heads, ..GptConfig::new(vocab, context, width) })?;
    // A row of the table of positions is only added: no product.
    let per_token = 6 * (model.num_parameters() - context * width);
    let mut optimizer = adamw(&model, 1e-3, (0.9, 0.95), 0.1);
    let parameters = model.parameters();
    let (mut started, mut steps) = (Instant::now(), 0);
    // The first step, which takes its memory from the system, does not count.
    while steps < 2 || started.elapsed() < TIME {
        if steps == 1 {
            started = Instant::now();
        }
        let ids = Tensor::randint(0, vocab as i64, [batch, context + 1]);
        let loss = model.loss(&ids.narrow(1, 0, context), &ids.narrow(1, 1, context));
        optimizer.zero_grad();
        loss.backward();
        let norm = get_total_norm(&parameters, 2.0);
        optimizer.step_scaled(clip_coefficient(1.0, norm));
        steps += 1;
    }
    let steps = steps - 1;
    let seconds = started.elapsed().as_secs_f64();
    let flop_per_s = (steps * batch * context * per_token) as f64 / seconds;
    let what = format!(
        "{steps} training steps of a GPT with 1 block of width {width}, {batch} x {context} tokens each, in {seconds:.1} s"
    );
    Ok(Rate { flop_per_s, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpt(layers: usize, heads: usize, context: usize, width: usize, vocab: usize) -> ModelConfig {
        GptConfig { layers, heads, ..GptConfig::new(vocab, context, width) }.into()
    }

    /// Table D.1 of the paper: parameters in millions, operations and petaflop/s-days of 300 billion tokens.
    #[test]
    fn the_arithmetic_is_the_gpt_3_papers() {
        for (layers, heads, width, millions, flops, days) in [
            (12, 12, 768, 125.0, 2.25e20, 2.60),
            (24, 16, 1024, 356.0, 6.41e20, 7.42),
            (24, 16, 1536, 760.0, 1.37e21, 1.58e1),
            (24, 16, 2048, 1320.0, 2.38e21, 2.75e1),
            (32, 32, 2560, 2650.0, 4.77e21, 5.52e1),
            (32, 32, 4096, 6660.0, 1.20e22, 1.39e2),
            (40, 40, 5120, 12850.0, 2.31e22, 2.68e2),
            (96, 96, 12288, 174_600.0, 3.14e23, 3.64e3),
        ] {
            let plan = plan(&gpt(layers, heads, 2048, width, 50257), 300e9, 1).unwrap();
            let near = |a: f64, b: f64| (a - b).abs() <= 0.006 * b;
            assert!(near(plan.parameters as f64 / 1e6, millions), "{} {millions}", plan.parameters);
            assert!(near(plan.flops, flops), "{:e} {flops:e}", plan.flops);
            assert!(near(plan.petaflop_s_days(), days), "{} {days}", plan.petaflop_s_days());
            assert!((plan.days(1e15) / plan.petaflop_s_days() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn parameters_and_their_bytes() {
        let plan = plan(&gpt(2, 2, 16, 8, 11), 1.0, 3).unwrap();
        let model = Gpt::new(GptConfig { layers: 2, heads: 2, ..GptConfig::new(11, 16, 8) }).unwrap();
        let inner = model.parameters().iter().map(|p| p.numel()).sum::<usize>() - (11 + 16) * 8;
        assert_eq!((plan.parameters, plan.non_embedding_parameters), (model.num_parameters() as u64, inner as u64));
        assert_eq!(plan.weights_bytes + plan.gradients_bytes + plan.optimizer_bytes, 16 * plan.parameters);
        // 2 blocks of 16 c + h + 4, then 2 c + 2, the head v + 4, and 4 c.
        let floats = 2 * (16 * 8 + 2 + 4) + 2 * 8 + 2 + 11 + 4 + 4 * 8;
        assert_eq!(plan.activations_bytes, 4 * 3 * 16 * floats);
        assert_eq!(plan.total_bytes(), 16 * plan.parameters + plan.activations_bytes);
    }

    #[test]
    fn a_measured_rate_is_positive_and_says_what_it_is() {
        let rate = measure(&gpt(200, 2, 6, 8, 1 << 30)).unwrap();
        assert!(rate.flop_per_s > 0.0 && rate.what.contains("1 block of width 8, 85 x 6 tokens"), "{rate:?}");
    }

    #[test]
    fn impossible_plans_are_refused() {
        let refused = |config: ModelConfig, tokens: f64, batch: usize, says: &str| {
            let message = plan(&config, tokens, batch).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        };
        refused(gpt(2, 3, 16, 8, 11), 1.0, 1, "3 heads");
        refused(gpt(2, 2, 16, 8, 11), 0.0, 1, "at least 1");
        refused(gpt(2, 2, 16, 8, 11), f64::NAN, 1, "at least 1");
        refused(gpt(2, 2, 16, 8, 11), 1.0, 0, "batch");
        refused(gpt(2, 2, 16, 8, 11), 1.0, usize::MAX, "fit no memory");
        assert!(measure(&gpt(2, 3, 16, 8, 11)).is_err());
    }
}
