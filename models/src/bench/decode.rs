//! Tokens written one after the other.

use std::time::Instant;

use nn::prelude::*;
use tensor::Tensor;

use super::median;
use crate::{Cache, Error, Gpt, GptConfig, LanguageModel, Preset, Result, Storage};

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

/// The bytes that [`decode`] needs at least: the weights as they are stored, the keys and values, and the vectors of the prompt.
pub fn decode_memory(preset: Preset, prompt: usize, new: usize, storage: Storage) -> u128 {
    let config = decoding(preset, prompt, new);
    let [layers, width, context, prompt] =
        [config.layers, config.width, config.context, prompt].map(|size| size as u128);
    let parameters = u128::from(config.num_parameters().unwrap_or(u64::MAX));
    let bits = match storage {
        Storage::F32 => 32,
        Storage::Bf16 | Storage::F16 => 16,
        Storage::Int8 => 8,
        Storage::Int4 => 4,
    };
    parameters * bits / 8 + 8 * layers * width * context + 32 * width * prompt
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
    let model = random(decoding(preset, prompt, new), storage)?;
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

/// A model whose matrices are drawn, and stored, one after the other: as after loading, there are never more floats than those
/// of one of them.
fn random(config: GptConfig, storage: Storage) -> Result<Gpt> {
    let model = nn::init::skip_init(|| Gpt::new(config))?;
    model.eval();
    let stored = storage.of(&model);
    for (name, p) in model.named_parameters() {
        match p.ndim() {
            0 | 1 => nn::init::constant_(&p, if name.ends_with("weight") { 1.0 } else { 0.0 }),
            _ => nn::init::normal_(&p, 0.0, 0.02),
        }
        stored.put(&name, &p)?;
    }
    drop(stored);
    Ok(model)
}

/// The likeliest token after `ids`, which follow those in `cache`: i64 `[1, t] -> [1, 1]`.
fn likeliest(model: &dyn LanguageModel, ids: &Tensor, cache: &mut Cache) -> Tensor {
    let x = model.hidden_cached(ids, cache);
    model.head(&x.select(1, ids.dim(1) - 1)).value().argmax(-1, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_is_timed_with_every_storage() {
        for storage in [Storage::F32, Storage::Bf16, Storage::Int8, Storage::Int4] {
            let speed = decode(Preset::NanoCpu, 3, 5, storage).unwrap();
            assert!(speed.tokens_per_s > 0.0 && speed.prefill_ms > 0.0, "{storage:?}");
        }
        assert!(decode(Preset::NanoCpu, 3, 1, Storage::F32).is_err());
        assert!(decode(Preset::NanoCpu, 0, 5, Storage::F32).is_err());
        assert!(decode(Preset::NanoCpu, 1 << 50, 5, Storage::F32).is_err());
        assert!(decode_memory(Preset::NanoCpu, usize::MAX, usize::MAX, Storage::Int4) > 1 << 64);
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
}
