//! Whether a training run fits the memory of this machine.

use super::settings::Settings;
use super::start::FloatType;
use crate::cli::total_memory;
use crate::{Error, GptConfig, LlamaConfig, ModelConfig, Result};

/// Refuses a run that cannot fit the memory of this machine, where the system tells how much there is.
pub(super) fn check(config: &ModelConfig, settings: &Settings, context: usize) -> Result<()> {
    let needs = needs(config, settings, context);
    // No machine has more than 2^63 bytes.
    let has = total_memory().unwrap_or(1 << 63);
    if needs <= u128::from(has) {
        return Ok(());
    }
    let parameters = config.num_parameters().unwrap_or(u64::MAX);
    let adapters = settings.lora.map_or(String::new(), |rank| format!("adapters of rank {rank} for "));
    Err(Error::invalid(format!(
        "training {adapters}{parameters} parameters with a batch of {} takes at least {:.1} GB, this machine has {:.1} GB",
        settings.batch,
        needs as f64 / 1e9,
        has as f64 / 1e9
    )))
}

/// The bytes that a run takes at least.
///
/// A weight that is trained comes with its gradient and AdamW's two means; one in half precision has those of its f32
/// master. With adapters the weights themselves are frozen: there is nothing but them. A token of the batch takes at least
/// ten times its width in each block and its logits.
fn needs(config: &ModelConfig, settings: &Settings, context: usize) -> u128 {
    let (weight, trained, activation) = match settings.dtype {
        FloatType::F32 => (4, 4 * 4, 4),
        FloatType::F64 => (8, 4 * 8, 8),
        FloatType::Bf16 | FloatType::F16 => (2, 2 + 4 * 4, 4),
    };
    let [layers, width, vocab, context, batch] =
        [config.layers(), config.width(), config.vocab(), context, settings.batch].map(|size| size as u128);
    let parameters = u128::from(config.num_parameters().unwrap_or(u64::MAX));
    let parameters = match settings.lora {
        Some(rank) => weight * parameters + trained * adapter_parameters(config, rank),
        None => trained * parameters,
    };
    // `check` has bounded the sizes of the model, so that only the batch and the rank can overflow.
    let tokens = batch.saturating_mul(context);
    tokens.saturating_mul(10 * layers * width + vocab).saturating_mul(activation).saturating_add(parameters)
}

/// The parameters of low-rank adapters on all linear layers: the rank times the sizes of their inputs and outputs.
fn adapter_parameters(config: &ModelConfig, rank: usize) -> u128 {
    let sizes: u128 = match config {
        // Out of the attention, up and down; the projections into the heads are no linear layers.
        ModelConfig::Gpt(GptConfig { layers, width, .. }) => *layers as u128 * *width as u128 * (2 + 5 + 5),
        ModelConfig::Llama(config) => {
            let LlamaConfig { vocab, layers, heads, key_value_heads, head_dim, width, mlp_width, tied, .. } = *config;
            let [v, n, h, g, d, c, m] =
                [vocab, layers, heads, key_value_heads, head_dim, width, mlp_width].map(|size| size as u128);
            let (queries, keys, mlp) = (c + h * d, c + g * d, c + m);
            n * (2 * queries + 2 * keys + 3 * mlp) + if tied { 0 } else { c + v }
        }
    };
    sizes.saturating_mul(rank as u128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nn::lora::{LoraOptions, add_lora};
    use nn::prelude::*;

    fn configs() -> [ModelConfig; 3] {
        let gpt = GptConfig { layers: 2, heads: 2, ..GptConfig::new(11, 8, 16) };
        let llama = LlamaConfig { layers: 3, key_value_heads: 2, mlp_width: 24, ..LlamaConfig::new(11, 8, 16, 4) };
        [gpt.into(), llama.clone().into(), LlamaConfig { tied: !llama.tied, ..llama }.into()]
    }

    #[test]
    fn adapters_are_counted_as_they_are_made() {
        for config in configs() {
            let model = config.build().unwrap();
            add_lora(&*model, &LoraOptions { rank: 3, ..Default::default() });
            let made: usize = model.parameters().iter().filter(|p| p.requires_grad()).map(|p| p.numel()).sum();
            assert_eq!(adapter_parameters(&config, 3), made as u128, "{config:?}");
        }
    }

    #[test]
    fn only_what_is_trained_has_gradients_and_means() {
        for config in configs() {
            let n = u128::from(config.num_parameters().unwrap());
            let token = 10 * config.layers() * config.width() + config.vocab();
            let bytes = |dtype, lora| {
                let activation = if dtype == FloatType::F64 { 8 } else { 4 };
                let settings = Settings { dtype, lora, batch: 3, ..Settings::default() };
                needs(&config, &settings, 8) - (3 * 8 * token * activation) as u128
            };
            assert_eq!(bytes(FloatType::F32, None), 16 * n);
            assert_eq!(bytes(FloatType::F64, None), 32 * n);
            assert_eq!(bytes(FloatType::Bf16, None), 18 * n);
            let adapters = adapter_parameters(&config, 2);
            assert_eq!(bytes(FloatType::F32, Some(2)), 4 * n + 16 * adapters);
            assert_eq!(bytes(FloatType::F64, Some(2)), 8 * n + 32 * adapters);
            assert_eq!(bytes(FloatType::F16, Some(2)), 2 * n + 18 * adapters);
        }
    }

    #[test]
    fn absurd_numbers_are_refused_and_do_not_overflow() {
        for config in configs() {
            for settings in [
                Settings { batch: usize::MAX, ..Settings::default() },
                Settings { lora: Some(usize::MAX), dtype: FloatType::F64, ..Settings::default() },
            ] {
                let message = check(&config, &settings, usize::MAX).unwrap_err().to_string();
                assert!(message.contains("this machine has"), "{message}");
            }
            check(&config, &Settings::default(), 8).unwrap();
        }
    }
}
