//! Several texts at once.

use std::collections::HashSet;

use tensor::Generator;

use super::decoder::Decoder;
use super::{Sampling, Token};
use crate::LanguageModel;

/// How texts are written.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// How tokens are chosen (default: drawn from the model's own distribution).
    pub sampling: Sampling,
    /// The same seed gives the same tokens; the text `i` of a batch draws with the seed `seed + i` (default 1337).
    pub seed: u64,
    /// The number of tokens after which a text ends (default 500).
    pub max_new: usize,
    /// Tokens that end a text, and are no part of it (default: none).
    pub end: Vec<i64>,
}

impl Default for GenerateOptions {
    fn default() -> GenerateOptions {
        GenerateOptions { sampling: Sampling::default(), seed: 1337, max_new: 500, end: Vec::new() }
    }
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It has as many tokens as were asked for.
    Length,
    /// The model wrote one of the tokens that end a text.
    EndOfText,
    /// It came to a string at which it stops.
    Stop,
    /// The logits were not finite: the weights are damaged or diverged.
    NotFinite,
}

/// What follows a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation {
    /// The tokens, without the one that ended the text.
    pub tokens: Vec<Token>,
    /// Why there are no more.
    pub finish: Finish,
}

/// Texts that grow together, by a token in each step; prompts may differ in length.
///
/// A text that has ended leaves the batch and costs nothing any more. What is written after a prompt does not depend on
/// the others of the batch, except that sums of another shape are rounded in another order.
///
/// # Memory
/// Prompts of one length need no padding. Of different lengths, all are padded on the left to the longest, of `n` tokens (at
/// most the context), and a mask says which positions are padding. For the first step it is bool `[b, 1, n, n]`: it takes
/// `b n^2` bytes and as much time to make, and attention reads it in every layer and looks at all `n^2` scores of a head, where
/// without a mask it leaves out the half that lies in the future. A padded position costs as much as a token. Later steps take
/// `b s` bytes for the `s` positions seen so far; a full context is encoded anew, as the prompts were. Where that matters,
/// write prompts of similar length together, and long ones alone.
///
/// ```
/// use models::generate::{Batch, GenerateOptions};
/// use models::{Gpt, GptConfig};
///
/// let gpt = Gpt::new(GptConfig::new(10, 8, 8))?;
/// let options = GenerateOptions { max_new: 3, ..Default::default() };
/// let mut batch = Batch::new(&gpt, &[vec![1, 2, 3], vec![4]], options);
/// let step = batch.step();
/// assert_eq!(step.iter().map(|(text, _)| *text).collect::<Vec<_>>(), [0, 1]);
/// # Ok::<(), models::Error>(())
/// ```
pub struct Batch<'a> {
    decoder: Decoder<'a>,
    options: GenerateOptions,
    /// The texts that still grow, in the order of the decoder's rows.
    growing: Vec<Growing>,
    finished: Vec<Option<Finish>>,
    /// Tokens written after each prompt so far.
    written: usize,
}

/// A text that grows.
struct Growing {
    /// Its place in the batch.
    index: usize,
    rng: Generator,
    /// The tokens that occurred, where that matters.
    seen: HashSet<i64>,
}

impl<'a> Batch<'a> {
    /// Sets the model to evaluation mode and begins after `prompts`.
    ///
    /// # Panics
    /// When a prompt is empty; the first step panics when a prompt has an id outside the vocabulary.
    #[track_caller]
    pub fn new(model: &'a dyn LanguageModel, prompts: &[Vec<i64>], options: GenerateOptions) -> Batch<'a> {
        let remembers = options.sampling.repetition_penalty != 1.0;
        let growing = prompts.iter().enumerate().map(|(index, prompt)| Growing {
            index,
            rng: Generator::new(options.seed.wrapping_add(index as u64)),
            seen: if remembers { prompt.iter().copied().collect() } else { HashSet::new() },
        });
        Batch {
            growing: growing.collect(),
            finished: vec![None; prompts.len()],
            decoder: Decoder::new(model, prompts.to_vec()),
            options,
            written: 0,
        }
    }

    /// The next token of every text that has not ended, with its place in the batch; nothing when all have.
    pub fn step(&mut self) -> Vec<(usize, Token)> {
        if self.written == self.options.max_new {
            self.growing.iter().for_each(|text| self.finished[text.index] = Some(Finish::Length));
            self.growing.clear();
        }
        if self.growing.is_empty() {
            return Vec::new();
        }
        let logits = self.decoder.logits();
        let (mut staying, mut tokens) = (Vec::new(), Vec::new());
        for (row, text) in self.growing.iter_mut().enumerate() {
            let token = self.options.sampling.choose(&logits.select(0, row), &text.seen, &mut text.rng);
            match token {
                None => self.finished[text.index] = Some(Finish::NotFinite),
                Some(token) if self.options.end.contains(&token.id) => {
                    self.finished[text.index] = Some(Finish::EndOfText)
                }
                Some(token) => {
                    if self.options.sampling.repetition_penalty != 1.0 {
                        text.seen.insert(token.id);
                    }
                    staying.push(row);
                    tokens.push((text.index, token));
                }
            }
        }
        self.keep(&staying);
        self.decoder.push(&tokens.iter().map(|(_, token)| token.id).collect::<Vec<_>>());
        self.written += 1;
        tokens
    }

    /// Ends a text, as one does whose reader has seen enough.
    pub fn stop(&mut self, index: usize, finish: Finish) {
        let staying: Vec<usize> = (0..self.growing.len()).filter(|&row| self.growing[row].index != index).collect();
        if staying.len() < self.growing.len() {
            self.finished[index] = Some(finish);
            self.keep(&staying);
        }
    }

    /// Why a text has ended; `None` while it grows.
    pub fn finish(&self, index: usize) -> Option<Finish> {
        self.finished[index]
    }

    /// Gives a text that has ended another reason for it.
    pub(super) fn end_as(&mut self, index: usize, finish: Finish) {
        self.finished[index] = Some(finish);
    }

    /// Goes on with the rows `staying` alone.
    fn keep(&mut self, staying: &[usize]) {
        if staying.len() < self.growing.len() {
            let mut row = 0;
            self.growing.retain(|_| {
                row += 1;
                staying.contains(&(row - 1))
            });
            if !staying.is_empty() {
                self.decoder.select(staying);
            }
        }
    }
}

/// What follows each of `prompts`. Prompts of different lengths take memory and time that grow with the square of the longest,
/// see [`Batch`].
///
/// # Panics
/// When a prompt is empty or has an id outside the vocabulary.
///
/// ```
/// use models::generate::{Finish, GenerateOptions, Sampling, generate};
/// use models::{Gpt, GptConfig};
///
/// let gpt = Gpt::new(GptConfig::new(10, 8, 8))?;
/// let options = GenerateOptions { sampling: Sampling::greedy(), max_new: 3, ..Default::default() };
/// let texts = generate(&gpt, &[vec![1, 2, 3], vec![4]], options);
/// assert_eq!((texts[1].tokens.len(), texts[1].finish), (3, Finish::Length));
/// # Ok::<(), models::Error>(())
/// ```
#[track_caller]
pub fn generate(model: &dyn LanguageModel, prompts: &[Vec<i64>], options: GenerateOptions) -> Vec<Continuation> {
    let mut batch = Batch::new(model, prompts, options);
    let mut tokens = vec![Vec::new(); prompts.len()];
    loop {
        let step = batch.step();
        if step.is_empty() && batch.growing.is_empty() {
            break;
        }
        step.into_iter().for_each(|(index, token)| tokens[index].push(token));
    }
    let finish = |index| batch.finish(index).expect("every text has ended");
    tokens.into_iter().enumerate().map(|(index, tokens)| Continuation { tokens, finish: finish(index) }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny;
    use super::*;

    fn ids(continuation: &Continuation) -> Vec<i64> {
        continuation.tokens.iter().map(|token| token.id).collect()
    }

    #[test]
    fn prompts_of_different_lengths_are_written_on_as_if_alone() {
        let gpt = tiny();
        let prompts = [vec![1, 2, 3, 4], vec![5], vec![6, 7, 0, 1, 2, 3, 4, 5], vec![8, 0]];
        for sampling in
            [Sampling::greedy(), Sampling::default(), Sampling { repetition_penalty: 1.7, ..Sampling::default() }]
        {
            let options = GenerateOptions { sampling, max_new: 3, ..Default::default() };
            let together = generate(&gpt, &prompts, options.clone());
            for (i, prompt) in prompts.iter().enumerate() {
                let seed = options.seed + i as u64;
                let alone =
                    &generate(&gpt, std::slice::from_ref(prompt), GenerateOptions { seed, ..options.clone() })[0];
                assert_eq!(ids(&together[i]), ids(alone), "{prompt:?}");
                let close = |(a, b): (&Token, &Token)| (a.logprob - b.logprob).abs() < 1e-4;
                assert!(together[i].tokens.iter().zip(&alone.tokens).all(close));
            }
        }
    }

    #[test]
    fn a_text_ends_with_its_token_and_the_others_go_on() {
        let gpt = tiny();
        let prompts = [vec![1, 2], vec![5, 6]];
        let options = GenerateOptions { sampling: Sampling::greedy(), max_new: 12, ..Default::default() };
        let free = generate(&gpt, &prompts, options.clone());
        assert!(free.iter().all(|text| text.tokens.len() == 12 && text.finish == Finish::Length));
        let end = free[0].tokens[0].id;
        let ended = generate(&gpt, &prompts, GenerateOptions { end: vec![end], ..options });
        assert_eq!((ended[0].tokens.len(), ended[0].finish), (0, Finish::EndOfText));
        let expected: Vec<i64> = ids(&free[1]).into_iter().take_while(|id| *id != end).collect();
        assert_eq!(ids(&ended[1]), expected);
    }

    #[test]
    fn a_text_can_be_stopped() {
        let gpt = tiny();
        let mut batch = Batch::new(&gpt, &[vec![1], vec![2]], GenerateOptions::default());
        assert_eq!(batch.step().len(), 2);
        batch.stop(0, Finish::Length);
        let step = batch.step();
        assert!(step.len() == 1 && step[0].0 == 1);
        assert_eq!((batch.finish(0), batch.finish(1)), (Some(Finish::Length), None));
        batch.stop(1, Finish::EndOfText);
        assert!(batch.step().is_empty());
    }

    #[test]
    fn nothing_is_written_where_nothing_is_asked_for() {
        let gpt = tiny();
        let none = generate(&gpt, &[vec![1]], GenerateOptions { max_new: 0, ..Default::default() });
        assert_eq!(none, [Continuation { tokens: Vec::new(), finish: Finish::Length }]);
        assert!(generate(&gpt, &[], GenerateOptions::default()).is_empty());
    }
}
