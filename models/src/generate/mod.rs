//! Text from a model, one token after the other.
//!
//! | for | there is |
//! | --- | --- |
//! | one text as it grows | [`TextGeneration`], an iterator over pieces of text; [`Generation`], one over tokens |
//! | several texts at once | [`complete`]; for tokens [`generate`], and [`Batch`] step by step |
//! | the likeliest text rather than likely tokens | [`beam_search`] |
//!
//! The model computes each position once: keys and values of earlier ones are kept in a [`Cache`](crate::Cache). When the
//! context is full, the last half of it is kept and encoded anew, so that a text may be of any length.

mod batch;
mod beam;
mod decoder;
mod sampling;
mod text;

pub use batch::*;
pub use beam::*;
pub use sampling::*;
pub use text::*;

use crate::LanguageModel;

/// An endless iterator over the tokens that follow a prompt; `take(n)` of them.
///
/// The same seed gives the same tokens. It ends only when the logits are not finite, which a damaged or diverged model
/// causes. Of a prompt longer than the context the model sees the end.
///
/// ```
/// use models::generate::{Generation, Sampling};
/// use models::{Gpt, GptConfig};
///
/// let gpt = Gpt::new(GptConfig::new(10, 4, 8))?;
/// let text = |seed| Generation::new(&gpt, &[1, 2], Sampling::default(), seed).map(|token| token.id).take(20);
/// assert!(text(7).eq(text(7)));
/// assert!(text(7).all(|id| (0..10).contains(&id)));
/// # Ok::<(), models::Error>(())
/// ```
pub struct Generation<'a> {
    batch: Batch<'a>,
}

impl<'a> Generation<'a> {
    /// Sets the model to evaluation mode and begins after `prompt`.
    ///
    /// # Panics
    /// When `prompt` is empty; the first token panics when the prompt has an id outside the vocabulary.
    #[track_caller]
    pub fn new(model: &'a dyn LanguageModel, prompt: &[i64], sampling: Sampling, seed: u64) -> Generation<'a> {
        let options = GenerateOptions { sampling, seed, max_new: usize::MAX, end: Vec::new() };
        Generation { batch: Batch::new(model, &[prompt.to_vec()], options) }
    }
}

impl Iterator for Generation<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.batch.step().first().map(|&(_, token)| token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Gpt, GptConfig};
    use nn::prelude::*;

    pub(super) fn tiny() -> Gpt {
        tensor::manual_seed(4);
        let gpt = Gpt::new(GptConfig { layers: 2, heads: 2, dropout: 0.5, ..GptConfig::new(9, 6, 16) }).unwrap();
        // Larger weights than those of a new model, so that the choices differ.
        for p in gpt.parameters() {
            nn::init::normal_(&p, 0.0, 0.5);
        }
        gpt
    }

    fn ids(generation: Generation, n: usize) -> Vec<i64> {
        generation.map(|token| token.id).take(n).collect()
    }

    #[test]
    fn greedy_takes_the_likeliest_and_half_of_a_full_context_is_dropped() {
        let gpt = tiny();
        let tokens: Vec<Token> = Generation::new(&gpt, &[1, 2, 3], Sampling::greedy(), 0).take(20).collect();
        let mut seen = vec![1_i64, 2, 3];
        for token in &tokens {
            let logits = no_grad(|| gpt.forward(&Tensor::from_slice(&seen, [1, seen.len()]))).value();
            let logits = logits.select(0, 0).select(0, seen.len() - 1);
            assert_eq!(token.id, logits.argmax(0, false).item::<i64>());
            assert!((token.logprob - logits.log_softmax(0).max().item::<f64>()).abs() < 1e-5);
            // Six tokens were seen, the context: the next one is predicted from the last three.
            if seen.len() == 6 {
                seen.drain(..4);
            }
            seen.push(token.id);
        }
    }

    #[test]
    fn a_context_of_one_token_is_enough() {
        let gpt = Gpt::new(GptConfig::new(5, 1, 8)).unwrap();
        assert_eq!(ids(Generation::new(&gpt, &[1, 2], Sampling::default(), 0), 6).len(), 6);
    }

    #[test]
    fn a_prompt_longer_than_the_context_is_cropped() {
        let gpt = tiny();
        let long: Vec<i64> = (0..40).map(|i| i % 9).collect();
        let a = ids(Generation::new(&gpt, &long, Sampling::greedy(), 0), 10);
        assert_eq!(a, ids(Generation::new(&gpt, &long[34..], Sampling::greedy(), 0), 10));
    }

    #[test]
    fn the_seed_decides() {
        let gpt = tiny();
        let sampling = Sampling { temperature: 2.0, ..Sampling::default() };
        let text = |seed| ids(Generation::new(&gpt, &[0], sampling, seed), 50);
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn a_diverged_model_ends_the_text() {
        let gpt = tiny();
        nn::init::constant_(&gpt.parameters()[0], f64::NAN);
        assert_eq!(Generation::new(&gpt, &[0], Sampling::default(), 0).next(), None);
    }

    #[test]
    #[should_panic(expected = "at least one token to begin with")]
    fn an_empty_prompt_is_refused() {
        Generation::new(&tiny(), &[], Sampling::default(), 0);
    }
}
