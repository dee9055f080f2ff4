//! How well a model predicts a text: the mean loss over all of its tokens.

use autograd::no_grad;
use tensor::{CrossEntropy, Tensor};

use crate::{Error, LanguageModel, Result};

/// Logits that may be in memory at once; beyond that the head is computed for a part of the positions at a time.
const LOGITS: usize = 1 << 24;
/// Tokens in a batch of windows, where the context is no longer than that.
const BATCH_TOKENS: usize = 4096;

/// What [`perplexity`] found.
///
/// ```
/// let found = models::evaluate::Prediction { loss: 2.0, tokens: 100 };
/// assert_eq!(found.perplexity(), 2f64.exp());
/// assert!((found.bits_per_byte(400) - 100.0 * 2.0 / 2f64.ln() / 400.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The mean of `-ln p` of the predicted tokens, in nats per token.
    pub loss: f64,
    /// The number of predicted tokens: every one but the first, which nothing precedes.
    pub tokens: usize,
}

impl Prediction {
    /// `exp(loss)`: as good as a fair choice among so many tokens.
    pub fn perplexity(&self) -> f64 {
        self.loss.exp()
    }

    /// The information of the whole text divided by the length of what was predicted of it: `loss tokens / (ln 2 bytes)`.
    /// Unlike the loss per token, it compares models with different tokenizers.
    pub fn bits_per_byte(&self, bytes: usize) -> f64 {
        self.loss * self.tokens as f64 / std::f64::consts::LN_2 / bytes as f64
    }
}

/// How a text is cut into windows: what each token of it is predicted from.
///
/// Windows begin at the tokens 0, `stride`, `2 stride` and so on. One that begins at `w` shows the model `context` tokens,
/// `w..w + context`, and predicts what follows each of them; what an earlier window has predicted counts no second time. So the
/// token `i` (from 1: nothing precedes token 0, which is not predicted) is predicted from the tokens `w..i`, where
///
/// ```text
/// w = 0                                          for i <= context
/// w = ceil((i - context) / stride) * stride      for others
/// ```
///
/// These are all `i` tokens before it if `i <= context`, and else at least `context - stride + 1` and at most `context` of them.
///
/// | `stride` | a token beyond the first window sees | the model computes each token |
/// | --- | --- | --- |
/// | `context`, as [`Windows::new`] has it | 1 to `context` tokens: windows do not overlap | once |
/// | `context / 2` | `context / 2 + 1` to `context` tokens | twice |
/// | 1 | `context` tokens | `context` times |
///
/// ```
/// use models::evaluate::Windows;
///
/// assert_eq!(Windows::new(8), Windows { context: 8, stride: 8 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The tokens that a window shows the model: 1 to the model's context. Fewer show how much the model makes of long contexts,
    /// or compare it with one that has a shorter one.
    pub context: usize,
    /// The tokens by which a window begins after the one before, and which it alone predicts: 1 to `context`.
    pub stride: usize,
}

impl Windows {
    /// Windows of `context` tokens that do not overlap.
    pub fn new(context: usize) -> Windows {
        Windows { context, stride: context }
    }

    fn check(self, most: usize) -> Result<()> {
        let Windows { context, stride } = self;
        let problem = if !(1..=most).contains(&context) {
            format!("the context {context} of a window is not in 1..={most}, the context of the model")
        } else if !(1..=context).contains(&stride) {
            format!("the stride {stride} is not in 1..={context}, the context of a window")
        } else {
            return Ok(());
        };
        Err(Error::invalid(problem))
    }
}

/// The loss of `ids`: every token but the first is predicted once, from those that [`Windows`] says; `watch(done, total)` is
/// told after each batch how many have been.
///
/// The model is set to evaluation mode meanwhile.
///
/// # Errors
/// When there are fewer than 2 tokens, one is outside the vocabulary, a window's context is 0 or longer than the model's, the
/// stride is 0 or longer than the window's context, or the loss is not finite.
///
/// # Differs
/// A window predicts the token after each of its `context` tokens, as in training. In the script of Hugging Face's guide
/// a window predicts its own tokens but the first, one less: with non-overlapping windows it leaves one token per window
/// out.
///
/// # Source
/// The stride: Hugging Face's guide "Perplexity of fixed-length models".
///
/// ```
/// use models::evaluate::{Windows, perplexity};
/// use models::{Gpt, GptConfig};
///
/// let gpt = Gpt::new(GptConfig::new(10, 4, 8))?;
/// let ids = [3, 1, 4, 1, 5, 9, 2, 6, 5];
/// let found = perplexity(&gpt, &ids, Windows::new(4), |_, _| ())?;
/// assert_eq!(found.tokens, 8);
/// assert!((found.loss - 10f64.ln()).abs() < 0.2); // nothing learnt yet
/// # Ok::<(), models::Error>(())
/// ```
pub fn perplexity(
    model: &dyn LanguageModel,
    ids: &[i64],
    windows: Windows,
    mut watch: impl FnMut(usize, usize),
) -> Result<Prediction> {
    check_ids(ids, model.vocab())?;
    windows.check(model.context())?;
    let Windows { context, stride } = windows;
    if ids.len() < 2 {
        let tokens = if ids.is_empty() { "no token" } else { "one token" };
        return Err(Error::invalid(format!(
            "{tokens} to evaluate: at least 2 are needed, the first predicts the second"
        )));
    }
    let training = model.is_training();
    model.eval();
    let total = ids.len() - 1;
    let rows = (BATCH_TOKENS / context).max(1);
    let (mut nats, mut done) = (0.0, 0);
    while done < total {
        let batch = next_batch(done, total, context, stride, rows);
        nats += batch.nats(model, ids);
        done += batch.rows * batch.counted;
        watch(done, total);
    }
    model.set_training(training);
    let loss = nats / total as f64;
    if !loss.is_finite() {
        return Err(Error::invalid(format!("the loss is {loss}: the weights give logits that are not finite")));
    }
    Ok(Prediction { loss, tokens: total })
}

/// Refuses ids outside a vocabulary of `vocab` tokens.
pub(crate) fn check_ids(ids: &[i64], vocab: usize) -> Result<()> {
    match ids.iter().find(|&&id| usize::try_from(id).map_or(true, |id| id >= vocab)) {
        Some(id) => Err(Error::invalid(format!("token {id} is outside the model's vocabulary of {vocab} ids"))),
        None => Ok(()),
    }
}

/// Windows of equal length that are computed together.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Batch {
    /// Where the first window begins; the next begin `counted` later each.
    start: usize,
    rows: usize,
    /// The tokens that a window sees.
    length: usize,
    /// How many predictions at its end count, the others having been made before.
    counted: usize,
}

/// The windows that go on after `done` of `total` predictions. The first window counts whole, the last may be short.
fn next_batch(done: usize, total: usize, context: usize, stride: usize, rows: usize) -> Batch {
    if done == 0 {
        // Without an overlap the first window is like the others.
        let rows = if stride == context { (total / context).clamp(1, rows) } else { 1 };
        let length = context.min(total);
        return Batch { start: 0, rows, length, counted: length };
    }
    let start = done + stride - context;
    match (total - done) / stride {
        0 => Batch { start, rows: 1, length: total - start, counted: total - done },
        whole => Batch { start, rows: whole.min(rows), length: context, counted: stride },
    }
}

impl Batch {
    /// The sum of the counted losses.
    fn nats(&self, model: &dyn LanguageModel, ids: &[i64]) -> f64 {
        let Batch { start, rows, length, counted } = *self;
        let windows = |first: usize, length: usize| {
            let rows = (0..rows).flat_map(|row| &ids[first + row * counted..][..length]);
            rows.copied().collect::<Vec<i64>>()
        };
        let x = Tensor::from_vec(windows(start, length), [rows, length]);
        let targets = Tensor::from_vec(windows(start + 1 + length - counted, counted), [rows * counted]);
        no_grad(|| {
            let hidden = model.hidden(&x).narrow(1, length - counted, counted).flatten(0, 1);
            let step = (LOGITS / model.vocab()).max(1);
            let parts = (0..rows * counted).step_by(step).map(|at| {
                let n = step.min(rows * counted - at);
                let logits = model.head(&hidden.narrow(0, at, n));
                let loss = logits.cross_entropy(&targets.narrow(0, at, n), &CrossEntropy::default());
                loss.item::<f64>() * n as f64
            });
            parts.sum()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train;
    use crate::{Gpt, GptConfig, Split, TextDataset};
    use nn::prelude::*;

    fn model() -> Gpt {
        tensor::manual_seed(4);
        let gpt = Gpt::new(GptConfig { layers: 2, heads: 2, dropout: 0.5, ..GptConfig::new(9, 6, 16) }).unwrap();
        for p in gpt.parameters() {
            nn::init::normal_(&p, 0.0, 0.3);
        }
        gpt
    }

    fn ids(n: usize) -> Vec<i64> {
        Tensor::randint_with(0, 9, [n], &mut tensor::Generator::new(3)).to_vec::<i64>()
    }

    /// The definition, one token at a time.
    fn one_by_one(model: &Gpt, ids: &[i64], Windows { context, stride }: Windows) -> f64 {
        model.eval();
        let mut nats = 0.0;
        for target in 1..ids.len() {
            // The windows end at context, context + stride, ..: the first that reaches the target predicts it.
            let beyond = target.saturating_sub(context).div_ceil(stride) * stride;
            let window = &ids[beyond..target];
            let logits = model.forward(&Tensor::from_slice(window, [1, window.len()])).value();
            let last = logits.select(1, window.len() - 1).log_softmax(-1);
            nats -= last.get::<f32>(&[0, ids[target] as usize]) as f64;
        }
        nats / (ids.len() - 1) as f64
    }

    #[test]
    fn every_token_counts_once_and_sees_what_its_window_holds() {
        let gpt = model();
        for n in [2, 3, 6, 7, 8, 12, 13, 14, 30, 31] {
            for windows in
                [1, 4, 6].into_iter().flat_map(|context| (1..=context).map(move |stride| Windows { context, stride }))
            {
                let mut told = Vec::new();
                let ids = ids(n);
                gpt.train();
                let found = perplexity(&gpt, &ids, windows, |done, total| told.push((done, total))).unwrap();
                assert!(gpt.is_training());
                assert_eq!((found.tokens, told.last()), (n - 1, Some(&(n - 1, n - 1))));
                let expected = one_by_one(&gpt, &ids, windows);
                assert!((found.loss - expected).abs() < 1e-5, "{n} tokens, {windows:?}: {} {expected}", found.loss);
            }
        }
    }

    #[test]
    fn without_an_overlap_it_is_the_trainers_validation() {
        let gpt = model();
        let data = TextDataset::from_ids(ids(20_000), 6).unwrap();
        let expected = train::evaluate(&gpt, data.validation(50));
        let mut batches = 0;
        let found = perplexity(&gpt, data.tokens(Split::Validation), Windows::new(6), |_, _| batches += 1).unwrap();
        assert!((found.loss - expected).abs() < 1e-6, "{} {expected}", found.loss);
        // 1999 predictions: 333 windows in one batch and one short window.
        assert_eq!((found.tokens, batches), (1999, 2));
    }

    #[test]
    fn batches_are_as_large_as_their_bound_allows() {
        let mut done = 0;
        let mut batches = Vec::new();
        while done < 100 {
            let batch = next_batch(done, 100, 8, 4, 5);
            done += batch.rows * batch.counted;
            batches.push((batch.start, batch.rows, batch.length, batch.counted));
        }
        let expected = [(0, 1, 8, 8), (4, 5, 8, 4), (24, 5, 8, 4), (44, 5, 8, 4), (64, 5, 8, 4), (84, 3, 8, 4)];
        assert_eq!((done, &batches[..]), (100, &expected[..]));
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused() {
        let gpt = model();
        let refused_in = |ids: &[i64], windows: Windows, says: &str| {
            let message = perplexity(&gpt, ids, windows, |_, _| ()).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        };
        let refused = |ids: &[i64], stride: usize, says: &str| refused_in(ids, Windows { context: 6, stride }, says);
        refused(&[], 6, "no token");
        refused(&[1], 6, "one token");
        refused(&[1, 9], 6, "token 9 is outside the model's vocabulary of 9");
        refused(&[1, -1], 6, "token -1");
        refused(&[1, 2], 0, "stride 0");
        refused(&[1, 2], 7, "1..=6");
        refused_in(&[1, 2], Windows { context: 4, stride: 5 }, "the stride 5 is not in 1..=4, the context of a window");
        refused_in(&[1, 2], Windows::new(7), "the context 7 of a window is not in 1..=6, the context of the model");
        refused_in(&[1, 2], Windows::new(0), "the context 0");
        nn::init::constant_(&gpt.parameters()[0], f64::NAN);
        refused(&[1, 2], 6, "not finite");
    }
}
