//! The memory that `plan` computes is what training takes. The account is the whole process's, so this file holds one test.

use models::train::adamw;
use models::{GptConfig, LlamaConfig, ModelConfig, plan};
use nn::prelude::*;
use optim::Optimizer;
use tensor::memory;

/// The most bytes that tensors took up to the end of some steps of training.
fn peak_of_training(config: &ModelConfig, batch: usize) -> usize {
    let (vocab, context) = (config.vocab(), config.context());
    let model = config.build().unwrap();
    let mut optimizer = adamw(&*model, 1e-3, (0.9, 0.95), 0.1);
    for _ in 0..3 {
        let ids = Tensor::randint(0, vocab as i64, [batch, context + 1]);
        let loss = model.loss(&ids.narrow(1, 0, context), &ids.narrow(1, 1, context));
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
    }
    memory::stats().peak_live_bytes
}

#[test]
fn the_peak_of_training_is_planned() {
    manual_seed(1);
    let gpt = |layers, heads, width, vocab| -> ModelConfig {
        GptConfig { layers, heads, ..GptConfig::new(vocab, 64, width) }.into()
    };
    let llama = |layers, key_value_heads, width, vocab| -> ModelConfig {
        LlamaConfig { layers, key_value_heads, ..LlamaConfig::new(vocab, 64, width, 4) }.into()
    };
    // The peak never falls, so each model needs more than the one before. Where the vocabulary is large, the logits are most
    // of it.
    let mut before = 0;
    for (config, batch) in [
        (gpt(2, 4, 64, 64), 6),
        (llama(2, 2, 64, 64), 6),
        (gpt(1, 2, 32, 1024), 16),
        (llama(1, 1, 32, 1024), 20),
        (llama(3, 4, 96, 64), 10),
    ] {
        let planned = plan::plan(&config, 1.0, batch).unwrap().total_bytes();
        let peak = peak_of_training(&config, batch);
        assert!(peak > before, "{config:?} needs less than the model before it, which hides its peak");
        assert!((peak as f64 / planned as f64 - 1.0).abs() < 0.15, "{config:?}: {peak} of {planned}");
        before = peak;
    }
}
