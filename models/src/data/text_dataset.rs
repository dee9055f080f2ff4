//! A text as training data: windows of tokens, each with the same window one token later as its targets.

use tensor::{Generator, Tensor};

use super::Dataset;
use crate::{Error, Result, Tokenizer};

/// Which part of the text to draw from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The first 90%.
    Train,
    /// The last 10%.
    Validation,
}

/// A text in tokens: the first 90% for training, the rest for validation.
///
/// ```
/// use models::{Split, TextDataset};
///
/// let data = TextDataset::from_ids((0..100).collect(), 8)?;
/// let mut rng = tensor::Generator::new(1);
/// let (x, y) = data.random_batch(Split::Train, 4, &mut rng);
/// assert_eq!((x.dims(), y.dims()), (&[4, 8][..], &[4, 8][..]));
/// assert_eq!(y.get::<i64>(&[2, 0]), x.get::<i64>(&[2, 1])); // the target is the next token
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TextDataset {
    train: Vec<i64>,
    validation: Vec<i64>,
    context: usize,
}

impl TextDataset {
    /// The tokens of `text` for a model that sees `context` of them.
    ///
    /// # Errors
    /// When `text` has characters that `tokenizer` does not know, or is too short (see [`TextDataset::from_ids`]).
    pub fn new(text: &str, tokenizer: &Tokenizer, context: usize) -> Result<TextDataset> {
        TextDataset::from_ids(tokenizer.encode(text)?, context)
    }

    /// The tokens `ids` for a model that sees `context` of them.
    ///
    /// # Errors
    /// When `context` is 0, or the text is too short: training needs a window of `context + 1` tokens within the first
    /// 90%, validation needs two tokens in the rest.
    pub fn from_ids(ids: Vec<i64>, context: usize) -> Result<TextDataset> {
        if context == 0 {
            return Err(Error::invalid("the context must be at least 1 token"));
        }
        // 9/10 in integers: no length is rounded differently on another machine.
        let cut = ids.len() - ids.len().div_ceil(10);
        if cut <= context || ids.len() - cut < 2 {
            return Err(Error::invalid(format!(
                "the text is too short: {} tokens, of which {cut} are for training and {} for validation; \
                 a context of {context} needs at least {} and 2",
                ids.len(),
                ids.len() - cut,
                context.saturating_add(1)
            )));
        }
        let mut train = ids;
        let validation = train.split_off(cut);
        Ok(TextDataset { train, validation, context })
    }

    /// Texts in tokens of their own for training and for validation.
    ///
    /// # Errors
    /// When `context` is 0, or a text is too short: training needs a window of `context + 1` tokens, validation two
    /// tokens.
    pub fn from_parts(train: Vec<i64>, validation: Vec<i64>, context: usize) -> Result<TextDataset> {
        if context == 0 {
            return Err(Error::invalid("the context must be at least 1 token"));
        }
        let needs = context.saturating_add(1);
        for (name, tokens, needs) in [("training", &train, needs), ("validation", &validation, 2)] {
            if tokens.len() < needs {
                let has = tokens.len();
                return Err(Error::invalid(format!("the text for {name} is too short: {has} tokens, needs {needs}")));
            }
        }
        Ok(TextDataset { train, validation, context })
    }

    /// The tokens of one part.
    pub fn tokens(&self, split: Split) -> &[i64] {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
        }
    }

    /// The number of tokens in a window.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The windows that start at every place of one part, for a [`DataLoader`](super::DataLoader).
    ///
    /// # Shape
    /// A sample is two i64 tensors `[context]`: tokens and, one place later, targets.
    ///
    /// ```
    /// use models::data::{DataLoader, DataLoaderOptions};
    /// use models::{Split, TextDataset};
    ///
    /// let data = TextDataset::from_ids((0..100).collect(), 8)?;
    /// let options = DataLoaderOptions { batch_size: 4, shuffle: true, ..Default::default() };
    /// for (x, y) in &DataLoader::with(data.windows(Split::Train), options) {
    ///     assert!(x.add_scalar(1.0).bit_eq(&y));
    /// }
    /// # Ok::<(), models::Error>(())
    /// ```
    pub fn windows(&self, split: Split) -> TextWindows {
        let tokens = self.tokens(split);
        TextWindows { tokens: Tensor::from_slice(tokens, [tokens.len()]), context: self.context }
    }

    /// `batch` windows that start at random places of one part, and their targets.
    ///
    /// # Shape
    /// Two i64 tensors `[batch, context]`.
    ///
    /// # Panics
    /// When the part has no window of `context + 1` tokens; see [`TextDataset::validation_sample`].
    pub fn random_batch(&self, split: Split, batch: usize, rng: &mut Generator) -> (Tensor, Tensor) {
        let (tokens, t) = (self.tokens(split), self.context);
        assert!(tokens.len() > t, "random_batch: {split:?} has {} tokens, a window needs {}", tokens.len(), t + 1);
        let starts = Tensor::randint_with(0, (tokens.len() - t) as i64, [batch], rng).to_vec::<i64>();
        let windows = |shift: usize| {
            let ids = starts.iter().flat_map(|&at| &tokens[at as usize + shift..][..t]).copied().collect();
            Tensor::from_vec::<i64>(ids, [batch, t])
        };
        (windows(0), windows(1))
    }

    /// The whole validation part in order, in windows that do not overlap, `batch` at a time: every target once.
    ///
    /// The last window may be shorter than the context; it comes alone.
    ///
    /// # Shape
    /// Pairs of i64 tensors `[at most batch, context]`, the last `[1, at most context]`.
    pub fn validation(&self, batch: usize) -> impl Iterator<Item = (Tensor, Tensor)> + '_ {
        let (tokens, t) = (&self.validation[..], self.context);
        let targets = tokens.len() - 1;
        let whole = targets / t;
        let step = batch.max(1);
        let pair = move |at: usize, rows: usize, length: usize| {
            let windows = |from: usize| Tensor::from_slice(&tokens[from..from + rows * length], [rows, length]);
            (windows(at), windows(at + 1))
        };
        let full = (0..whole).step_by(step).map(move |first| pair(first * t, step.min(whole - first), t));
        let rest = (targets % t > 0).then(|| pair(whole * t, 1, targets % t));
        full.chain(rest)
    }

    /// An estimate of [`TextDataset::validation`]: `batches` random batches, or all of it where that is no more.
    pub fn validation_sample(&self, batch: usize, batches: usize, rng: &mut Generator) -> Vec<(Tensor, Tensor)> {
        let windows = (self.validation.len() - 1).div_ceil(self.context);
        if windows <= batch.saturating_mul(batches) {
            return self.validation(batch).collect();
        }
        (0..batches).map(|_| self.random_batch(Split::Validation, batch, rng)).collect()
    }
}

/// The windows of a text at all its places as a data set; see [`TextDataset::windows`].
#[derive(Debug, Clone)]
pub struct TextWindows {
    tokens: Tensor,
    context: usize,
}

impl Dataset for TextWindows {
    type Sample = (Tensor, Tensor);

    fn len(&self) -> usize {
        self.tokens.numel().saturating_sub(self.context)
    }

    fn get(&self, index: usize, _: &mut Generator) -> (Tensor, Tensor) {
        (self.tokens.narrow(0, index, self.context), self.tokens.narrow(0, index + 1, self.context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: i64, context: usize) -> TextDataset {
        TextDataset::from_ids((0..n).collect(), context).unwrap()
    }

    #[test]
    fn parts_of_their_own_are_checked() {
        let parts = |train, validation, context| TextDataset::from_parts(vec![0; train], vec![0; validation], context);
        assert_eq!(parts(5, 2, 4).unwrap().tokens(Split::Validation).len(), 2);
        for (train, validation, context, says) in [
            (4, 2, 4, "for training is too short: 4 tokens, needs 5"),
            (5, 1, 4, "for validation"),
            (5, 2, 0, "context"),
        ] {
            let message = parts(train, validation, context).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
        assert!(parts(5, 2, usize::MAX).is_err());
    }

    #[test]
    fn nine_tenths_are_for_training() {
        // nanoGPT's split of tiny Shakespeare: int(0.9 * 1115394) = 1003854.
        let data = numbers(1_115_394, 64);
        assert_eq!(data.tokens(Split::Train).len(), 1_003_854);
        assert_eq!(data.tokens(Split::Validation).len(), 111_540);
        assert_eq!(data.tokens(Split::Validation)[0], 1_003_854);
        assert_eq!(data.context(), 64);
    }

    #[test]
    fn the_validation_part_is_visited_once_in_order() {
        for (n, context, batch) in [(200, 6, 2), (200, 19, 3), (200, 20, 1), (210, 4, 100), (100, 50, 4), (71, 7, 1)] {
            let data = numbers(n, context);
            let (mut inputs, mut targets) = (Vec::new(), Vec::new());
            for (x, y) in data.validation(batch) {
                assert_eq!(x.dims(), y.dims());
                assert!(x.dim(0) <= batch && x.dim(1) <= context);
                inputs.extend(x.to_vec::<i64>());
                targets.extend(y.to_vec::<i64>());
            }
            let tokens = data.tokens(Split::Validation);
            assert_eq!(inputs, tokens[..tokens.len() - 1]);
            assert_eq!(targets, tokens[1..]);
        }
    }

    #[test]
    fn random_batches_are_windows_and_repeat_with_the_seed() {
        let data = numbers(300, 16);
        let draw = |seed| data.random_batch(Split::Train, 8, &mut Generator::new(seed));
        let (x, y) = draw(3);
        assert_eq!(x.dims(), [8, 16]);
        let (a, b) = (x.to_vec::<i64>(), y.to_vec::<i64>());
        assert!(a.iter().zip(&b).all(|(a, b)| b - a == 1));
        assert!(b.iter().all(|&id| id < 270));
        assert_eq!(draw(3).0.to_vec::<i64>(), a);
        assert_ne!(draw(4).0.to_vec::<i64>(), a);
    }

    #[test]
    fn the_last_window_of_a_part_can_be_drawn() {
        let data = TextDataset::from_ids((0..20).collect(), 17).unwrap();
        let (_, y) = data.random_batch(Split::Train, 1, &mut Generator::new(0));
        assert_eq!(y.to_vec::<i64>().last(), Some(&17));
    }

    #[test]
    fn there_is_a_window_at_every_place() {
        let data = numbers(20, 4);
        let windows = data.windows(Split::Train);
        assert_eq!(windows.len(), 18 - 4);
        let (x, y) = windows.get(13, &mut Generator::new(0));
        assert_eq!((x.to_vec::<i64>(), y.to_vec::<i64>()), (vec![13, 14, 15, 16], vec![14, 15, 16, 17]));
        assert!(data.windows(Split::Validation).is_empty());
    }

    #[test]
    fn a_small_validation_part_is_taken_whole() {
        let data = numbers(100, 40);
        let sample = data.validation_sample(4, 20, &mut Generator::new(0));
        assert_eq!(sample.iter().map(|(_, y)| y.numel()).sum::<usize>(), 9);
        let data = numbers(10_000, 4);
        let sample = data.validation_sample(4, 5, &mut Generator::new(0));
        assert_eq!(sample.iter().map(|(_, y)| y.numel()).sum::<usize>(), 4 * 5 * 4);
    }

    #[test]
    fn a_text_that_is_too_short_is_an_error() {
        for (n, context) in [(0, 4), (1, 4), (5, 4), (10, 4), (71, 64), (20, 18), (1000, usize::MAX)] {
            let message = TextDataset::from_ids((0..n).collect(), context).unwrap_err().to_string();
            assert!(message.contains("too short") && message.contains(&context.to_string()), "{message}");
        }
        assert!(TextDataset::from_ids((0..100).collect(), 0).unwrap_err().to_string().contains("context"));
        let tokenizer = Tokenizer::chars("ab").unwrap();
        assert!(TextDataset::new("abc", &tokenizer, 1).unwrap_err().to_string().contains("'c'"));
    }
}
