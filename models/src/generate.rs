//! Text from a model, one token after the other.

use autograd::no_grad;
use tensor::{DType, Generator, Tensor};

use crate::LanguageModel;

/// How the next token is chosen from its logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it: below 1 prefers likely tokens, above 1 evens them out; 0 takes the likeliest
    /// (default 1).
    pub temperature: f64,
    /// Choose among this many likeliest tokens only (default: all).
    pub top_k: Option<usize>,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { temperature: 1.0, top_k: None }
    }
}

impl Sampling {
    /// The likeliest token, always.
    pub fn greedy() -> Sampling {
        Sampling { temperature: 0.0, top_k: None }
    }

    /// Chooses a token from `softmax(logits / temperature)`, restricted to the `top_k` likeliest.
    ///
    /// # Shape
    /// `[v] -> a number in 0..v`.
    ///
    /// # Numerics
    /// The largest logit is subtracted before the division, so that no temperature overflows.
    ///
    /// ```
    /// use models::generate::Sampling;
    /// use tensor::{Generator, Tensor};
    ///
    /// let logits = Tensor::from([0.5_f32, 3.0, -1.0, 2.0]);
    /// let mut rng = Generator::new(1);
    /// assert_eq!(Sampling::greedy().choose(&logits, &mut rng), 1);
    /// let sampling = Sampling { temperature: 5.0, top_k: Some(2) };
    /// assert!([1, 3].contains(&sampling.choose(&logits, &mut rng)));
    /// ```
    pub fn choose(&self, logits: &Tensor, rng: &mut Generator) -> i64 {
        if self.temperature == 0.0 {
            return logits.argmax(0, false).item::<i64>();
        }
        // In f64 no temperature above 0 is rounded to 0.
        let logits = logits.to_dtype(DType::F64);
        let k = self.top_k.unwrap_or(usize::MAX).clamp(1, logits.numel());
        let (likeliest, ids) = logits.topk(k, 0, true);
        let probabilities = ((&likeliest - likeliest.amax(0, true)) / self.temperature).softmax(0);
        let choice = probabilities.multinomial_with(1, false, rng).item::<i64>();
        ids.get::<i64>(&[choice as usize])
    }
}

/// An endless iterator over the tokens that follow a prompt; `take(n)` of them.
///
/// The model sees the last `context` tokens. The same seed gives the same tokens. It ends only when the logits are not
/// finite, which a damaged or diverged model causes.
///
/// ```
/// use models::generate::{Generation, Sampling};
/// use models::{Gpt, GptConfig};
///
/// let gpt = Gpt::new(GptConfig::new(10, 4, 8))?;
/// let text = |seed| Generation::new(&gpt, &[1, 2], Sampling::default(), seed).take(20).collect::<Vec<i64>>();
/// assert_eq!(text(7), text(7));
/// assert!(text(7).iter().all(|id| (0..10).contains(id)));
/// # Ok::<(), models::Error>(())
/// ```
pub struct Generation<'a> {
    model: &'a dyn LanguageModel,
    ids: Vec<i64>,
    sampling: Sampling,
    rng: Generator,
}

impl<'a> Generation<'a> {
    /// Sets the model to evaluation mode and begins after `prompt`.
    ///
    /// # Panics
    /// When `prompt` is empty; the first token panics when the prompt has an id outside the vocabulary.
    #[track_caller]
    pub fn new(model: &'a dyn LanguageModel, prompt: &[i64], sampling: Sampling, seed: u64) -> Generation<'a> {
        assert!(!prompt.is_empty(), "generate: the model needs at least one token to begin with");
        model.eval();
        Generation { model, ids: prompt.to_vec(), sampling, rng: Generator::new(seed) }
    }
}

impl Iterator for Generation<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        let seen = &self.ids[self.ids.len().saturating_sub(self.model.context())..];
        let logits = no_grad(|| {
            let x = self.model.hidden(&Tensor::from_slice(seen, [1, seen.len()]));
            // Only the last position decides the next token: the head, the largest matrix, is for it alone.
            self.model.head(&x.select(1, seen.len() - 1)).value()
        });
        let logits = logits.flatten(0, -1);
        if !logits.isfinite().all().item::<bool>() {
            return None;
        }
        let id = self.sampling.choose(&logits, &mut self.rng);
        // Tokens that can no longer be seen are forgotten.
        if self.ids.len() >= 2 * self.model.context() {
            self.ids.drain(..self.ids.len() - self.model.context());
        }
        self.ids.push(id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Gpt, GptConfig};
    use nn::prelude::*;

    fn tiny() -> Gpt {
        tensor::manual_seed(4);
        let gpt = Gpt::new(GptConfig { layers: 2, heads: 2, dropout: 0.5, ..GptConfig::new(9, 6, 16) }).unwrap();
        // Larger weights than those of a new model, so that the choices differ.
        for p in gpt.parameters() {
            nn::init::normal_(&p, 0.0, 0.5);
        }
        gpt
    }

    #[test]
    fn greedy_takes_the_likeliest_of_the_last_context() {
        let gpt = tiny();
        let ids: Vec<i64> = Generation::new(&gpt, &[1, 2, 3], Sampling::greedy(), 0).take(20).collect();
        let mut seen = vec![1_i64, 2, 3];
        for &id in &ids {
            let window = &seen[seen.len().saturating_sub(6)..];
            let logits = gpt.forward(&Tensor::from_slice(window, [1, window.len()])).value();
            let best = logits.select(1, window.len() - 1).argmax(-1, false).item::<i64>();
            assert_eq!(id, best);
            seen.push(id);
        }
    }

    #[test]
    fn a_prompt_longer_than_the_context_is_cropped() {
        let gpt = tiny();
        let long: Vec<i64> = (0..40).map(|i| i % 9).collect();
        let a: Vec<i64> = Generation::new(&gpt, &long, Sampling::greedy(), 0).take(10).collect();
        let b: Vec<i64> = Generation::new(&gpt, &long[34..], Sampling::greedy(), 0).take(10).collect();
        assert_eq!(a, b);
    }

    #[test]
    fn the_seed_decides() {
        let gpt = tiny();
        let sampling = Sampling { temperature: 2.0, top_k: None };
        let text = |seed| Generation::new(&gpt, &[0], sampling, seed).take(50).collect::<Vec<i64>>();
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn tokens_come_as_often_as_they_are_likely() {
        let logits = Tensor::from([0.0_f32, 2.0_f32.ln(), 5.0_f32.ln(), f32::NEG_INFINITY]);
        let mut rng = Generator::new(11);
        let mut count = |sampling: Sampling| {
            let mut count = [0_usize; 4];
            (0..4000).for_each(|_| count[sampling.choose(&logits, &mut rng) as usize] += 1);
            count.map(|n| n as f64 / 4000.0)
        };
        let close = |a: f64, b: f64| (a - b).abs() < 0.03;
        let all = count(Sampling::default());
        assert!(close(all[0], 1.0 / 8.0) && close(all[1], 2.0 / 8.0) && close(all[2], 5.0 / 8.0), "{all:?}");
        let two = count(Sampling { temperature: 1.0, top_k: Some(2) });
        assert!(two[0] == 0.0 && close(two[1], 2.0 / 7.0) && two[3] == 0.0, "{two:?}");
        let sharp = count(Sampling { temperature: 0.5, top_k: Some(100) });
        assert!(close(sharp[0], 1.0 / 30.0) && close(sharp[2], 25.0 / 30.0), "{sharp:?}");
        for temperature in [1e-300, 1e-310] {
            assert_eq!(count(Sampling { temperature, top_k: None })[2], 1.0);
        }
        assert_eq!(count(Sampling { temperature: 0.0, top_k: Some(3) })[2], 1.0);
    }

    #[test]
    fn a_diverged_model_ends_the_text() {
        let gpt = tiny();
        nn::init::constant_(&gpt.parameters()[0], f64::NAN);
        assert_eq!(Generation::new(&gpt, &[0], Sampling::default(), 0).next(), None);
    }
}
