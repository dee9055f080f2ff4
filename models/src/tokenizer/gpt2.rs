//! The vocabulary of GPT-2, without a download.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::Tokenizer;
use super::bytes::letter;
use super::json::gpt2_json;

/// The tokens that GPT-2 has beside `<|endoftext|>`, which comes last: 256 bytes and 50000 merges.
const TOKENS: u32 = 50256;

impl Tokenizer {
    /// The tokenizer of GPT-2 and GPT-3: 256 bytes, 50000 merges and `<|endoftext|>` (50256).
    ///
    /// Its ids are those of Hugging Face's `gpt2` and of `tiktoken`'s `r50k_base`. It needs the feature
    /// `gpt2-vocabulary`, which is on by default.
    ///
    /// # Source
    /// Radford et al. (2019), "Language Models are Unsupervised Multitask Learners", section 2.2; the vocabulary is
    /// embedded in the crate `tiktoken-rs`.
    ///
    /// ```
    /// use models::Tokenizer;
    ///
    /// let tokenizer = Tokenizer::gpt2();
    /// assert_eq!(tokenizer.encode("Hello world")?, [15496, 995]);
    /// assert_eq!(tokenizer.decode(&[15496, 995])?, "Hello world");
    /// assert_eq!((tokenizer.vocab_size(), tokenizer.end_of_text()), (50257, Some(50256)));
    /// # Ok::<(), models::Error>(())
    /// ```
    pub fn gpt2() -> Tokenizer {
        static GPT2: OnceLock<Tokenizer> = OnceLock::new();
        GPT2.get_or_init(|| Tokenizer::from_json(&json(&tokens())).expect("GPT-2's vocabulary makes a tokenizer"))
            .clone()
    }
}

/// The bytes of each token, by rank.
fn tokens() -> Vec<Vec<u8>> {
    let ranks = tiktoken_rs::r50k_base_singleton();
    (0..TOKENS).map(|rank| ranks.decode_bytes(&[rank]).expect("the ranks are 0..50256")).collect()
}

/// The `tokenizer.json` of a byte-level BPE whose `tokens` stand in the order in which they are made.
fn json(tokens: &[Vec<u8>]) -> String {
    let ranks: HashMap<&[u8], usize> = tokens.iter().map(Vec::as_slice).zip(0..).collect();
    let written = |token: &[u8]| token.iter().copied().map(letter).collect::<String>();
    let mut vocab: Map<String, Value> =
        tokens.iter().zip(0..).map(|(token, id): (_, u32)| (written(token), id.into())).collect();
    let merges = tokens.iter().filter(|token| token.len() > 1).map(|token| {
        let (left, right) = token.split_at(last_merge(token, &ranks));
        Value::from(vec![written(left), written(right)])
    });
    let merges = merges.collect();
    vocab.insert(super::END_OF_TEXT[0].into(), tokens.len().into());
    gpt2_json(vocab, merges, &[(super::END_OF_TEXT[0], tokens.len() as u64)])
}

/// Where the two parts meet of which `token` is made: what is left of its bytes when all tokens that come before it are
/// merged, the earliest first.
fn last_merge(token: &[u8], ranks: &HashMap<&[u8], usize>) -> usize {
    let mut ends: Vec<usize> = (0..=token.len()).collect();
    while ends.len() > 3 {
        let pairs = ends.windows(3).enumerate();
        let ranked = pairs.filter_map(|(at, pair)| Some((*ranks.get(&token[pair[0]..pair[2]])?, at)));
        let (_, at) = ranked.min().expect("a token is made of tokens before it");
        ends.remove(at + 1);
    }
    ends[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids that are told in public: the examples of `tiktoken` and of `transformers`, and GPT-2's own code.
    #[test]
    fn ids_are_gpt2s() {
        let tokenizer = Tokenizer::gpt2();
        assert_eq!(tokenizer.token_to_id("<|endoftext|>"), Some(50256));
        assert_eq!(tokenizer.encode("Hello world<|endoftext|>").unwrap(), [15496, 995, 50256]);
        assert_eq!(tokenizer.encode("hello world").unwrap(), [31373, 995]);
        assert_eq!(tokenizer.encode("\n\n").unwrap(), [628]);
        // The visible bytes come first, then from 188 on the others, the space as the 33rd; the first merges are " t",
        // " a" and "he".
        assert_eq!(tokenizer.encode("!\n \n").unwrap(), [0, 198, 220, 198]);
        assert_eq!(["\u{120}t", "\u{120}a", "he"].map(|token| tokenizer.token_to_id(token).unwrap()), [256, 257, 258]);
    }

    /// The merges that were found give back the ranks that they were found from, whatever the text.
    #[test]
    fn merges_and_ranks_give_the_same_ids() {
        let ranks = tiktoken_rs::r50k_base_singleton();
        let tokenizer = Tokenizer::gpt2();
        let mut rng = tensor::Generator::new(0);
        let mut text = String::from(
            "The cat's  hat;\n\n  we'll\tsee 12345 caf\u{e9} \u{4e16}\u{754c} \u{1f600}\u{200d}\u{1f680} ",
        );
        for _ in 0..4000 {
            let bytes = ranks.decode_bytes(&[rng.below(TOKENS as usize) as u32]).unwrap();
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        let expected: Vec<i64> = ranks.encode_ordinary(&text).into_iter().map(i64::from).collect();
        assert_eq!(tokenizer.encode(&text).unwrap(), expected);
        assert_eq!(tokenizer.decode(&expected).unwrap(), text);
    }

    /// Every token is made by its own merge: it is the one token of its own text.
    #[test]
    fn every_token_is_reached() {
        let tokenizer = Tokenizer::gpt2();
        for (id, token) in tokens().into_iter().enumerate() {
            // Tokens that are half characters, or that GPT-2's pattern would cut, are no words.
            if let Ok(text) = String::from_utf8(token)
                && !text.trim().is_empty()
                && text.trim_start().chars().all(char::is_alphabetic)
                && text.chars().filter(|c| c.is_whitespace()).count() <= usize::from(text.starts_with(' '))
            {
                assert_eq!(tokenizer.encode(&text).unwrap(), [id as i64], "{text:?}");
            }
        }
    }
}
