//! Byte-level BPE learnt from a text.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, ModelWrapper};

use super::guard::guarded;
use super::json::gpt2_json;
use super::pieces::pieces;
use super::{END_OF_TEXT, Tokenizer};
use crate::{Error, Result};

/// The tokens that a byte-level vocabulary begins with: `<|endoftext|>` and the bytes.
const FIRST: usize = 257;
/// A pair of tokens becomes a token when it stands in the text at least so often, as in Python's
/// `ByteLevelBPETokenizer`: what stands there once is no regularity.
const LEAST: u64 = 2;

impl Tokenizer {
    /// Learns a byte-level BPE tokenizer as GPT-2's from `text`.
    ///
    /// The text is cut into words as GPT-2 does it; beginning with bytes, the commonest pair of neighbouring tokens
    /// within words becomes a new token until there are `vocab_size` tokens, or no pair stands there twice (then there
    /// are fewer). Any text can be encoded and comes back. The token 0 is `<|endoftext|>`, the next 256 are the bytes.
    ///
    /// The same text gives the same tokenizer, with any number of threads: of pairs that are equally common the one
    /// with the smaller ids comes first. `progress` is told how many bytes of how many have been read; after that,
    /// the merges are counted without a word.
    ///
    /// # Errors
    /// When `text` is empty or has 2 GiB or more (the counts of pairs are 32-bit numbers), or `vocab_size` is below
    /// 257.
    ///
    /// # Source
    /// Sennrich, Haddow and Birch (2016), "Neural Machine Translation of Rare Words with Subword Units"; on bytes:
    /// Radford et al. (2019), "Language Models are Unsupervised Multitask Learners", section 2.2. The ids are those
    /// of Python's `BpeTrainer` with `min_frequency=2`.
    ///
    /// ```
    /// use models::Tokenizer;
    ///
    /// let tokenizer = Tokenizer::train_bpe("low lower lowest", 260, |_done, _total| {})?;
    /// assert_eq!(tokenizer.vocab_size(), 260); // lo, low, and one more for " low"
    /// assert_eq!(tokenizer.encode(" low")?, [259]);
    /// assert_eq!(tokenizer.end_of_text(), Some(0));
    /// # Ok::<(), models::Error>(())
    /// ```
    pub fn train_bpe(
        text: &str,
        vocab_size: usize,
        mut progress: impl FnMut(usize, usize) + Send,
    ) -> Result<Tokenizer> {
        if vocab_size < FIRST {
            return Err(Error::invalid(format!(
                "a vocabulary of {vocab_size} tokens is too small: the 256 bytes and {} are {FIRST}",
                END_OF_TEXT[0]
            )));
        }
        if text.is_empty() {
            return Err(Error::invalid("a text without characters has no vocabulary"));
        }
        if text.len() > i32::MAX as usize {
            return Err(Error::invalid("a tokenizer can learn from less than 2 GiB of text; give it a part"));
        }
        // The trainer reserves memory for the tokens that are asked for; there are no more than the text has bytes.
        let vocab_size = vocab_size.min(FIRST + text.len());
        let trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(LEAST)
            .show_progress(false)
            .special_tokens(vec![AddedToken::from(END_OF_TEXT[0], true)])
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let mut learner = tokenizers::Tokenizer::new(BPE::default());
        learner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        let read = AtomicUsize::new(0);
        let parts = pieces(text).inspect(|piece| {
            progress(read.fetch_add(piece.len(), Ordering::Relaxed) + piece.len(), text.len());
        });
        let mut trainer = TrainerWrapper::from(trainer);
        guarded("training a tokenizer", || learner.train(&mut trainer, parts).map(drop))?;

        let ModelWrapper::BPE(model) = learner.get_model() else {
            return Err(Error::invalid("training a tokenizer gave another kind of model"));
        };
        let mut model = serde_json::to_value(model).map_err(Error::invalid)?;
        let vocab: Map<String, Value> = serde_json::from_value(model["vocab"].take()).map_err(Error::invalid)?;
        let merges: Vec<Value> = serde_json::from_value(model["merges"].take()).map_err(Error::invalid)?;
        Tokenizer::from_json(&gpt2_json(vocab, merges, &[(END_OF_TEXT[0], 0)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::Generator;

    fn train(text: &str, vocab_size: usize) -> Result<Tokenizer> {
        Tokenizer::train_bpe(text, vocab_size, |_, _| {})
    }

    #[test]
    fn the_commonest_pairs_become_tokens() {
        let tokenizer = train("aab aab aab xaa", 300).unwrap();
        // Of the pairs within words, `aa` stands there 4 times, `aab` and ` aab` 3 and 2 times; no other pair does.
        let token = |id| tokenizer.id_to_token(id).unwrap();
        assert_eq!((token(0), token(1), token(256)), ("<|endoftext|>".into(), "!".into(), "\u{143}".into()));
        assert_eq!([token(257), token(258), token(259)], ["aa", "aab", "\u{120}aab"]);
        assert_eq!(tokenizer.vocab_size(), 260);
        assert_eq!(tokenizer.encode("aab aab<|endoftext|>").unwrap(), [258, 259, 0]);
        assert_eq!(tokenizer.beginning(), [0]);
    }

    /// Random words of two letters are full of pairs that are equally common.
    #[test]
    fn the_same_text_gives_the_same_tokenizer_with_any_number_of_threads() {
        let mut rng = Generator::new(0);
        let mut text = String::new();
        for _ in 0..4000 {
            text.push(' ');
            text.extend((0..1 + rng.below(60)).map(|_| if rng.below(3) == 0 { 'a' } else { 'b' }));
        }
        assert!(pieces(&text).count() > 1);
        let first = train(&text, 900).unwrap();
        for threads in [1, 3, 1] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| train(&text, 900)).unwrap() == first);
        }
        assert_eq!(first.vocab_size(), 900);
    }

    #[test]
    fn progress_reaches_the_end() {
        let mut seen = Vec::new();
        Tokenizer::train_bpe("some words", 257, |done, total| seen.push((done, total))).unwrap();
        assert_eq!(seen, [(10, 10)]);
    }

    #[test]
    fn what_cannot_be_learnt_is_refused() {
        assert!(train("text", 256).unwrap_err().to_string().contains("256 tokens is too small"));
        assert!(train("", 300).unwrap_err().to_string().contains("without characters"));
        // Nothing of the size that is asked for is reserved.
        assert_eq!(train("ab", usize::MAX).unwrap().vocab_size(), 257);
    }
}
