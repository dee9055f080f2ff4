//! One token per character of the text that the tokenizer was made from.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;
use tokenizers::ModelWrapper;

use super::Tokenizer;
use super::json::{Parts, bpe_json};
use crate::{Error, Result};

impl Tokenizer {
    /// The tokenizer of the characters of `text`; a character's id is its place in code-point order.
    ///
    /// Its `tokenizer.json` is a BPE model with the characters as its vocabulary and no merges, and the `Fuse` decoder,
    /// which joins tokens without spaces.
    ///
    /// # Errors
    /// When `text` is empty.
    pub fn chars(text: &str) -> Result<Tokenizer> {
        let chars: BTreeSet<char> = text.chars().collect();
        if chars.is_empty() {
            return Err(Error::invalid("a text without characters has no vocabulary"));
        }
        let vocab = chars.into_iter().zip(0..).map(|(c, id): (_, i64)| (c.to_string(), id.into())).collect();
        Tokenizer::from_json(&bpe_json(
            vocab,
            Vec::new(),
            Parts { decoder: json!({ "type": "Fuse" }), ..Parts::default() },
        ))
    }
}

/// The ids of characters, for a tokenizer that does nothing but look them up.
///
/// The library would drop a character that it does not know, and takes a hundred times the memory.
pub(super) struct Characters {
    ids: HashMap<char, i64>,
}

impl Characters {
    /// The characters of `tokenizer`, when looking them up is all that it does.
    pub(super) fn of(tokenizer: &tokenizers::Tokenizer) -> Option<Characters> {
        let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
        let plain = tokenizer.get_normalizer().is_none()
            && tokenizer.get_pre_tokenizer().is_none()
            && tokenizer.get_post_processor().is_none()
            && tokenizer.get_added_vocabulary().is_empty()
            && model.unk_token.is_none()
            && model.continuing_subword_prefix.is_none()
            && model.end_of_word_suffix.is_none()
            && !model.byte_fallback;
        if !plain {
            return None;
        }
        // What merges make would be a token of more than one character.
        let ids: Option<HashMap<char, i64>> =
            model.get_vocab().into_iter().map(|(token, id)| Some((single(&token)?, i64::from(id)))).collect();
        Some(Characters { ids: ids? })
    }

    /// The id of each character of `text`.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<i64>> {
        let ids: Option<Vec<i64>> = text.chars().map(|c| self.ids.get(&c).copied()).collect();
        ids.ok_or_else(|| self.unknown(text))
    }

    /// The error that names the characters of `text` outside the vocabulary.
    fn unknown(&self, text: &str) -> Error {
        const NAMED: usize = 8;
        let unknown: BTreeSet<char> = text.chars().filter(|c| !self.ids.contains_key(c)).collect();
        let named: Vec<String> = unknown.iter().take(NAMED).map(|c| format!("{c:?} (U+{:04X})", *c as u32)).collect();
        let more = unknown.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Error::invalid(format!("characters outside the vocabulary: {}{more}", named.join(", ")))
    }
}

/// The character of a token that is one character.
fn single(token: &str) -> Option<char> {
    let mut chars = token.chars();
    chars.next().filter(|_| chars.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "To be, or\nnot:\t\"to\" \\be\u{0}\u{e9}\u{4e16}\u{1f600}";

    #[test]
    fn ids_follow_code_points_and_come_back() {
        let tokenizer = Tokenizer::chars(TEXT).unwrap();
        let chars: BTreeSet<char> = TEXT.chars().collect();
        let sorted: String = chars.iter().collect();
        assert_eq!(tokenizer.encode(&sorted).unwrap(), (0..chars.len() as i64).collect::<Vec<_>>());
        let ids = tokenizer.encode(TEXT).unwrap();
        assert_eq!(ids.len(), TEXT.chars().count());
        assert_eq!(tokenizer.decode(&ids).unwrap(), TEXT);
        assert_eq!(tokenizer.encode("").unwrap(), Vec::<i64>::new());
        assert_eq!(tokenizer.encode_batch(&["T", ""]).unwrap(), [tokenizer.encode("T").unwrap(), vec![]]);
    }

    #[test]
    fn looking_up_is_what_the_library_does() {
        let tokenizer = Tokenizer::chars(TEXT).unwrap();
        assert!(tokenizer.characters.is_some());
        assert_eq!(tokenizer.encode(TEXT).unwrap(), tokenizer.encode_by_library(TEXT, true).unwrap());
    }

    #[test]
    fn unknown_characters_are_named_once() {
        let tokenizer = Tokenizer::chars("abc").unwrap();
        let message = tokenizer.encode("aZbZ\n").unwrap_err().to_string();
        assert_eq!(message, "characters outside the vocabulary: '\\n' (U+000A), 'Z' (U+005A)");
        let message = tokenizer.encode("defghijklmn").unwrap_err().to_string();
        assert!(message.ends_with("'k' (U+006B) and 3 more"), "{message}");
        assert!(tokenizer.decode(&[3]).unwrap_err().to_string().contains("token 3 is outside the vocabulary of 3 ids"));
        assert!(tokenizer.decode(&[-1]).is_err());
        assert!(tokenizer.decode(&[i64::MAX]).is_err());
        assert!(Tokenizer::chars("").is_err());
    }

    #[test]
    fn a_text_begins_with_a_line_break_where_there_is_one() {
        let beginning = |text: &str| Tokenizer::chars(text).unwrap().beginning();
        assert_eq!(beginning("b\ta\n"), [1]);
        assert_eq!(beginning("ba"), [0]);
    }
}
