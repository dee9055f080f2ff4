//! The character tokenizer: one token per character of the text it was made from.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// A vocabulary of characters; a character's id is its place in code-point order.
///
/// It is stored as `tokenizer.json` in the format of the Hugging Face `tokenizers` library: a BPE model with the
/// characters as its vocabulary and no merges, and the `Fuse` decoder, which joins tokens without spaces. Python's
/// `Tokenizer.from_file` gives the same ids.
///
/// ```
/// use models::CharTokenizer;
///
/// let tokenizer = CharTokenizer::from_text("hello")?;
/// assert_eq!(tokenizer.vocab_size(), 4); // e h l o
/// assert_eq!(tokenizer.encode("hole")?, [1, 3, 2, 0]);
/// assert_eq!(tokenizer.decode(&[1, 3, 2, 0])?, "hole");
/// assert!(tokenizer.encode("hi").unwrap_err().to_string().contains("'i' (U+0069)"));
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharTokenizer {
    chars: Vec<char>,
    ids: HashMap<char, i64>,
}

impl CharTokenizer {
    /// The tokenizer of the characters of `text`.
    ///
    /// # Errors
    /// When `text` is empty.
    pub fn from_text(text: &str) -> Result<CharTokenizer> {
        let chars: BTreeSet<char> = text.chars().collect();
        if chars.is_empty() {
            return Err(Error::invalid("a text without characters has no vocabulary"));
        }
        Ok(CharTokenizer::from_chars(chars.into_iter().collect()))
    }

    /// The tokenizer in which `chars[i]` has the id `i`.
    fn from_chars(chars: Vec<char>) -> CharTokenizer {
        let ids = chars.iter().zip(0..).map(|(&c, id)| (c, id)).collect();
        CharTokenizer { chars, ids }
    }

    /// The number of characters it knows.
    pub fn vocab_size(&self) -> usize {
        self.chars.len()
    }

    /// The characters in the order of their ids.
    pub fn chars(&self) -> &[char] {
        &self.chars
    }

    /// The id of each character of `text`.
    ///
    /// # Errors
    /// Names the characters that are outside the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>> {
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

    /// The text of `ids`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary.
    pub fn decode(&self, ids: &[i64]) -> Result<String> {
        ids.iter().map(|&id| self.char_of(id)).collect()
    }

    /// The character of `id`.
    ///
    /// # Errors
    /// When `id` is not in the vocabulary.
    pub fn char_of(&self, id: i64) -> Result<char> {
        let found = usize::try_from(id).ok().and_then(|at| self.chars.get(at));
        found
            .copied()
            .ok_or_else(|| Error::invalid(format!("token {id} is outside the vocabulary of {} ids", self.chars.len())))
    }

    /// The contents of `tokenizer.json`.
    pub fn to_json(&self) -> String {
        let vocab: Map<String, Value> =
            self.chars.iter().zip(0..).map(|(c, id): (_, i64)| (c.to_string(), id.into())).collect();
        let json = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": [],
            "normalizer": null,
            "pre_tokenizer": null,
            "post_processor": null,
            "decoder": { "type": "Fuse" },
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": false,
                "vocab": vocab,
                "merges": [],
            },
        });
        format!("{json:#}\n")
    }

    /// Reads the contents of a `tokenizer.json` that describes a character tokenizer.
    ///
    /// # Errors
    /// When it is no JSON, describes another kind of tokenizer, or its ids are not `0..n`, each once.
    pub fn from_json(text: &str) -> Result<CharTokenizer> {
        let json: Value = serde_json::from_str(text).map_err(|e| Error::invalid(format!("no valid JSON: {e}")))?;
        let other = |what: &str| Error::invalid(format!("not a character tokenizer: {what}"));
        // Anything that would change the text or the ids before or after the character lookup is refused.
        for step in ["truncation", "padding", "normalizer", "pre_tokenizer", "post_processor"] {
            if json.get(step).is_some_and(|value| !value.is_null()) {
                return Err(other(&format!("it has a {step}")));
            }
        }
        let empty =
            |value: Option<&Value>| value.is_none_or(|v| v.is_null() || v.as_array().is_some_and(Vec::is_empty));
        if !empty(json.get("added_tokens")) {
            return Err(other("it has added tokens"));
        }
        if json.pointer("/decoder/type").and_then(Value::as_str) != Some("Fuse") {
            return Err(other("its decoder is not Fuse"));
        }
        let model = json.get("model").ok_or_else(|| other("it has no model"))?;
        if model.get("type").and_then(Value::as_str) != Some("BPE") {
            return Err(other("its model is not BPE"));
        }
        if !empty(model.get("merges")) {
            return Err(other("its model has merges"));
        }
        for option in ["unk_token", "continuing_subword_prefix", "end_of_word_suffix", "dropout"] {
            if model.get(option).is_some_and(|value| !value.is_null()) {
                return Err(other(&format!("its model has the option {option}")));
            }
        }
        if model.get("byte_fallback").is_some_and(|value| value != &Value::Bool(false)) {
            return Err(other("its model falls back to bytes"));
        }
        let vocab = model.get("vocab").and_then(Value::as_object).ok_or_else(|| other("its model has no vocab"))?;
        if vocab.is_empty() {
            return Err(other("its vocabulary is empty"));
        }
        let mut chars = vec![None; vocab.len()];
        for (token, id) in vocab {
            let mut letters = token.chars();
            let (Some(c), None) = (letters.next(), letters.next()) else {
                return Err(other(&format!("the token {token:?} is not one character")));
            };
            let slot = id.as_u64().and_then(|id| usize::try_from(id).ok()).and_then(|id| chars.get_mut(id));
            match slot {
                Some(slot @ None) => *slot = Some(c),
                Some(Some(_)) => return Err(other(&format!("the id {id} stands twice"))),
                None => return Err(other(&format!("the id {id} is not in 0..{}", vocab.len()))),
            }
        }
        // As many slots as tokens, each filled at most once and none skipped: all are filled.
        Ok(CharTokenizer::from_chars(chars.into_iter().flatten().collect()))
    }

    /// Reads the file `path`, a `tokenizer.json`.
    ///
    /// # Errors
    /// As [`CharTokenizer::from_json`], and when the file cannot be read.
    pub fn load(path: &Path) -> Result<CharTokenizer> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?;
        CharTokenizer::from_json(&text).map_err(|e| Error::in_file(path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "To be, or\nnot:\t\"to\" \\be\u{0}\u{e9}\u{4e16}\u{1f600}";

    #[test]
    fn ids_follow_code_points_and_come_back() {
        let tokenizer = CharTokenizer::from_text(TEXT).unwrap();
        assert!(tokenizer.chars().windows(2).all(|w| w[0] < w[1]));
        let ids = tokenizer.encode(TEXT).unwrap();
        assert_eq!(ids.len(), TEXT.chars().count());
        assert_eq!(tokenizer.decode(&ids).unwrap(), TEXT);
        assert_eq!(tokenizer.encode("").unwrap(), Vec::<i64>::new());
    }

    #[test]
    fn json_round_trip() {
        let tokenizer = CharTokenizer::from_text(TEXT).unwrap();
        assert_eq!(CharTokenizer::from_json(&tokenizer.to_json()).unwrap(), tokenizer);
    }

    #[test]
    fn unknown_characters_are_named_once() {
        let tokenizer = CharTokenizer::from_text("abc").unwrap();
        let message = tokenizer.encode("aZbZ\n").unwrap_err().to_string();
        assert_eq!(message, "characters outside the vocabulary: '\\n' (U+000A), 'Z' (U+005A)");
        let message = tokenizer.encode("defghijklmn").unwrap_err().to_string();
        assert!(message.ends_with("'k' (U+006B) and 3 more"), "{message}");
        assert!(tokenizer.decode(&[3]).unwrap_err().to_string().contains("token 3"));
        assert!(tokenizer.decode(&[-1]).is_err());
        assert!(CharTokenizer::from_text("").is_err());
    }

    #[test]
    fn every_unusable_json_is_refused_by_name() {
        let good: Value = serde_json::from_str(&CharTokenizer::from_text("ab").unwrap().to_json()).unwrap();
        let refused = |pointer: &str, value: Value, says: &str| {
            let mut json = good.clone();
            *json.pointer_mut(pointer).unwrap() = value;
            let message = CharTokenizer::from_json(&json.to_string()).unwrap_err().to_string();
            assert!(message.contains(says), "{pointer}: {message}");
        };
        refused("/normalizer", json!({"type": "Lowercase"}), "normalizer");
        refused("/pre_tokenizer", json!({"type": "ByteLevel"}), "pre_tokenizer");
        refused("/post_processor", json!({}), "post_processor");
        refused("/added_tokens", json!([{"id": 0}]), "added tokens");
        refused("/added_tokens", json!(7), "added tokens");
        refused("/decoder", Value::Null, "decoder");
        refused("/model", json!([]), "model is not BPE");
        refused("/model/type", json!("WordPiece"), "not BPE");
        refused("/model/merges", json!(["a b"]), "merges");
        refused("/model/unk_token", json!("a"), "unk_token");
        refused("/model/byte_fallback", json!(true), "bytes");
        refused("/model/vocab", json!({}), "empty");
        refused("/model/vocab", json!([1]), "no vocab");
        refused("/model/vocab", json!({"a": 0, "bc": 1}), "\"bc\" is not one character");
        refused("/model/vocab", json!({"": 0}), "not one character");
        refused("/model/vocab", json!({"a": 0, "b": 0}), "twice");
        refused("/model/vocab", json!({"a": 0, "b": 2}), "not in 0..2");
        refused("/model/vocab", json!({"a": -1}), "not in 0..1");
        refused("/model/vocab", json!({"a": "0"}), "not in 0..1");
        assert!(CharTokenizer::from_json("{").unwrap_err().to_string().contains("no valid JSON"));
        assert!(CharTokenizer::from_json("[]").is_err());
        assert!(CharTokenizer::from_json(&"[".repeat(100_000)).is_err());
        assert!(CharTokenizer::load(Path::new("does/not/exist.json")).is_err());
    }
}
