//! Training steps on random data.

use std::time::{Duration, Instant};

use nn::prelude::*;
use optim::{Optimizer, clip_coefficient, get_total_norm};
use tensor::Tensor;

use super::median;
use crate::train::adamw;
use crate::{Gpt, GptConfig, LanguageModel, Preset, Result};

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
    /// When the first step had ended.
    pub first_step: Instant,
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
    let mut first_step = started;
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
        let norm = get_total_norm(&model.parameters(), 2.0);
        optimizer.step_scaled(clip_coefficient(1.0, norm));
        last_loss = loss.item::<f64>();
        let ended = Instant::now();
        if times.is_empty() {
            first_step = ended;
        }
        times.push((ended - begun).as_secs_f64());
    }
    let times = &mut times[WARM..];
    let median = median(times);
    Ok(TrainSpeed {
        steps: times.len(),
        median_ms: median * 1e3,
        min_ms: times[0] * 1e3,
        tokens_per_s: (batch * context) as f64 / median,
        last_loss,
        first_step,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_measurement_is_whole() {
        let (before, speed) = (Instant::now(), train(Preset::NanoCpu, Duration::ZERO).unwrap());
        assert!(before < speed.first_step && speed.first_step < Instant::now());
        assert_eq!(speed.steps, LEAST - WARM);
        assert!(speed.min_ms > 0.0 && speed.min_ms <= speed.median_ms);
        // Random tokens: the loss begins at ln 65 = 4.17.
        assert!((3.5..5.0).contains(&speed.last_loss), "{}", speed.last_loss);
        assert!((speed.tokens_per_s * speed.median_ms / 1e3 - 768.0).abs() < 1e-6);
    }
}
