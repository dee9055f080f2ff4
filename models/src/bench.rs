//! Measurements: a training step, tokens written one after the other, and the cost of small operations.

use std::time::{Duration, Instant};

use nn::prelude::*;
use optim::{ClipOptions, Optimizer, clip_grad_norm_};
use tensor::{DType, Tensor};

use crate::train::adamw;
use crate::{Cache, Error, Gpt, GptConfig, LanguageModel, Preset, Result, Storage};

/// Steps that are not counted: they fill the memory pool.
const WARM: usize = 3;
/// The smallest number of steps, the warm ones included.
const LEAST: usize = 11;

/// What [`train`] measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainSpeed {
    /// The number of steps measured.
    pub steps: usize,
    /// The median time of a step in milliseconds.
    pub median_ms: f64,
    /// The shortest time of a step in milliseconds.
    pub min_ms: f64,
    /// Tokens per second at the median.
    pub tokens_per_s: f64,
    /// The loss of the last step.
    pub last_loss: f64,
}

/// Training steps of a new `preset` model on random data for `time`, and at least 11 of them.
///
/// A step is: draw a batch, forward, cross-entropy, zero_grad, backward, clip to 1, AdamW (lr 1e-3, betas 0.9 and 0.95,
/// weight decay 0.1 on matrices), read the loss.
///
/// # Errors
/// None for the presets.
pub fn train(preset: Preset, time: Duration) -> Result<TrainSpeed> {
    let sizes = preset.sizes();
    let (batch, context, vocab) = (sizes.batch, sizes.context, preset.bench_vocab());
    let (layers, heads) = (sizes.layers, sizes.heads);
    let model = Gpt::new(GptConfig { layers, heads, ..GptConfig::new(vocab, context, sizes.width) })?;
    let mut optimizer = adamw(&model, 1e-3, (0.9, 0.95), 0.1);
    let data = Tensor::randint(0, vocab as i64, [200_000]);
    let (mut times, mut last_loss) = (Vec::new(), f64::NAN);
    let started = Instant::now();
    while started.elapsed() < time || times.len() < LEAST {
        let begun = Instant::now();
        let at = Tensor::randint(0, (data.numel() - context - 1) as i64, [batch]).to_vec::<i64>();
        let windows = |shift: usize| -> Tensor {
            let rows: Vec<Tensor> = at.iter().map(|&at| data.narrow(0, at as usize + shift, context)).collect();
            Tensor::stack(&rows, 0)
        };
        let (x, y) = (windows(0), windows(1));
        let loss = model.loss(&x, &y);
        optimizer.zero_grad();
        loss.backward();
        clip_grad_norm_(&model.parameters(), 1.0, ClipOptions::default()).map_err(Error::invalid)?;
        optimizer.step();
        last_loss = loss.item::<f64>();
        times.push(begun.elapsed().as_secs_f64());
    }
    let times = &mut times[WARM..];
    let median = median(times);
    Ok(TrainSpeed {
        steps: times.len(),
        median_ms: median * 1e3,
        min_ms: times[0] * 1e3,
        tokens_per_s: (batch * context) as f64 / median,
        last_loss,
    })
}

/// What [`decode`] measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecodeSpeed {
    /// Tokens per second after the prompt, the median of the repetitions.
    pub tokens_per_s: f64,
    /// The time from the prompt to the first token in milliseconds, the median of the repetitions.
    pub prefill_ms: f64,
}

/// How often [`decode`] writes its text; the first time is not counted.
const REPETITIONS: usize = 4;

/// The sizes of the model that [`decode`] measures: `preset` with a context of `prompt + new`.
fn decoding(preset: Preset, prompt: usize, new: usize) -> GptConfig {
    let sizes = preset.sizes();
    let config = GptConfig::new(preset.bench_vocab(), prompt.saturating_add(new), sizes.width);
    GptConfig { layers: sizes.layers, heads: sizes.heads, ..config }
}

/// The bytes that [`decode`] needs at least: the weights (in f32, in which they are drawn), the keys and values, and the
/// vectors of the prompt.
pub fn decode_memory(preset: Preset, prompt: usize, new: usize) -> u128 {
    let config = decoding(preset, prompt, new);
    let [layers, width, context, prompt] =
        [config.layers, config.width, config.context, prompt].map(|size| size as u128);
    let parameters = u128::from(config.num_parameters().unwrap_or(u64::MAX));
    4 * parameters + 8 * layers * width * context + 32 * width * prompt
}

/// Writes `new` tokens after `prompt` random ones, always the likeliest, with a new `preset` model whose context is
/// `prompt + new`.
///
/// The keys and values of what was written are kept, each token is computed alone, and the head for the last position
/// only. Four repetitions with an empty cache, of which the first is not counted; the time of the prompt and the first
/// token is measured apart.
///
/// # Errors
/// When `prompt` is 0, `new` less than 2, or the model larger than any memory.
pub fn decode(preset: Preset, prompt: usize, new: usize, storage: Storage) -> Result<DecodeSpeed> {
    if prompt == 0 || new < 2 {
        return Err(Error::invalid("at least 1 token as the prompt and 2 new ones are needed to measure a speed"));
    }
    let model = Gpt::new(decoding(preset, prompt, new))?;
    model.eval();
    storage.apply(&model)?;
    let ids = Tensor::randint(0, model.vocab() as i64, [1, prompt]);
    let (mut rates, mut prefills) = (Vec::new(), Vec::new());
    no_grad(|| {
        for _ in 0..REPETITIONS {
            let begun = Instant::now();
            let mut cache = Cache::new(&LanguageModel::config(&model));
            let mut next = likeliest(&model, &ids, &mut cache);
            prefills.push(begun.elapsed().as_secs_f64() * 1e3);
            let begun = Instant::now();
            for _ in 1..new {
                next = likeliest(&model, &next, &mut cache);
            }
            rates.push((new - 1) as f64 / begun.elapsed().as_secs_f64());
        }
    });
    Ok(DecodeSpeed { tokens_per_s: median(&mut rates[1..]), prefill_ms: median(&mut prefills[1..]) })
}

/// The likeliest token after `ids`, which follow those in `cache`: i64 `[1, t] -> [1, 1]`.
fn likeliest(model: &dyn LanguageModel, ids: &Tensor, cache: &mut Cache) -> Tensor {
    let x = model.hidden_cached(ids, cache);
    model.head(&x.select(1, ids.dim(1) - 1)).value().argmax(-1, true)
}

/// What [`ops`] measured, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpsSpeed {
    /// Adding two 2 x 2 matrices that require gradients.
    pub add_2x2_ns: f64,
    /// One node of a chain of 1000, recorded and differentiated.
    pub chain_node_ns: f64,
}

/// The cost of operations that are too small for arithmetic to matter.
pub fn ops() -> OpsSpeed {
    let leaf = || Var::new(Tensor::rand([2, 2], DType::F32)).requires_grad_(true);
    let (x, y) = (leaf(), leaf());
    let adds = || {
        for _ in 0..1000 {
            std::hint::black_box(&x + &y);
        }
    };
    let chain = || {
        let mut z = x.clone();
        for _ in 0..500 {
            z = (&z + &y) * &y;
        }
        z.sum().backward();
        x.zero_grad();
        y.zero_grad();
    };
    OpsSpeed { add_2x2_ns: nanoseconds(adds, 1000), chain_node_ns: nanoseconds(chain, 1000) }
}

/// The median time of 30 calls after a first, divided by `n`.
fn nanoseconds(mut f: impl FnMut(), n: usize) -> f64 {
    f();
    let mut times: Vec<f64> = (0..30)
        .map(|_| {
            let begun = Instant::now();
            f();
            begun.elapsed().as_secs_f64() / n as f64 * 1e9
        })
        .collect();
    median(&mut times)
}

/// The middle of `times`, or the mean of the two in the middle; sorts them.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    let n = times.len();
    (times[(n - 1) / 2] + times[n / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_pythons() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_short_measurement_is_whole() {
        let speed = train(Preset::NanoCpu, Duration::ZERO).unwrap();
        assert_eq!(speed.steps, LEAST - WARM);
        assert!(speed.min_ms > 0.0 && speed.min_ms <= speed.median_ms);
        // Random tokens: the loss begins at ln 65 = 4.17.
        assert!((3.5..5.0).contains(&speed.last_loss), "{}", speed.last_loss);
        assert!((speed.tokens_per_s * speed.median_ms / 1e3 - 768.0).abs() < 1e-6);
    }

    #[test]
    fn decoding_is_timed_with_every_storage() {
        for storage in [Storage::F32, Storage::Bf16, Storage::Int8, Storage::Int4] {
            let speed = decode(Preset::NanoCpu, 3, 5, storage).unwrap();
            assert!(speed.tokens_per_s > 0.0 && speed.prefill_ms > 0.0, "{storage:?}");
        }
        assert!(decode(Preset::NanoCpu, 3, 1, Storage::F32).is_err());
        assert!(decode(Preset::NanoCpu, 0, 5, Storage::F32).is_err());
        assert!(decode(Preset::NanoCpu, 1 << 50, 5, Storage::F32).is_err());
        assert!(decode_memory(Preset::NanoCpu, usize::MAX, usize::MAX) > 1 << 64);
    }

    #[test]
    fn the_tokens_with_a_cache_are_those_without() {
        let model = Gpt::new(decoding(Preset::NanoCpu, 3, 4)).unwrap();
        model.eval();
        let mut ids = Tensor::from([[7_i64, 11, 13]]);
        let mut cache = Cache::new(&LanguageModel::config(&model));
        let mut next = no_grad(|| likeliest(&model, &ids, &mut cache));
        for _ in 0..4 {
            let whole = model.forward(&ids).value().select(1, ids.dim(1) - 1).argmax(-1, true);
            assert!(next.bit_eq(&whole));
            ids = Tensor::cat(&[ids, next.clone()], 1);
            next = no_grad(|| likeliest(&model, &next, &mut cache));
        }
    }

    #[test]
    fn small_operations_take_some_time() {
        let speed = ops();
        assert!(speed.add_2x2_ns > 0.0 && speed.chain_node_ns > 0.0);
    }
}
