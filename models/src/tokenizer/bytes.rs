//! The 256 bytes as tokens, and the letters that stand for bytes in byte-level tokenizers.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Map;

use super::Tokenizer;
use super::json::{Parts, bpe_json, byte_level};

impl Tokenizer {
    /// The tokenizer of bytes: the ids of a text are the bytes of its UTF-8 form, and any text comes back.
    ///
    /// Its `tokenizer.json` is a byte-level BPE model without merges.
    ///
    /// ```
    /// use models::Tokenizer;
    ///
    /// let tokenizer = Tokenizer::bytes();
    /// assert_eq!(tokenizer.encode("\u{e9}!")?, [0xc3, 0xa9, 0x21]);
    /// assert_eq!(tokenizer.decode(&[0xc3, 0xa9, 0x21])?, "\u{e9}!");
    /// # Ok::<(), models::Error>(())
    /// ```
    pub fn bytes() -> Tokenizer {
        let vocab: Map<_, _> = (0..=255).map(|byte| (letter(byte).to_string(), byte.into())).collect();
        let parts = Parts { pre_tokenizer: byte_level(false), decoder: byte_level(false), ..Parts::default() };
        Tokenizer::from_json(&bpe_json(vocab, Vec::new(), parts)).expect("256 tokens make a tokenizer")
    }
}

/// The letter that stands for `byte` in the vocabularies of byte-level tokenizers: the character of that code where it
/// is printable (and no space), else the next free one from U+0100 on.
///
/// # Source
/// GPT-2's `bytes_to_unicode`: every byte needs a visible letter, for the vocabulary to be a text file.
pub(super) fn letter(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&byte| !printable(byte)).count() as u32;
    char::from_u32(0x100 + before).expect("at most 68 beyond U+0100")
}

/// The bytes for which the letters of `token` stand; a token with another character, which was added to the vocabulary,
/// is text.
pub(super) fn token_bytes(token: &str) -> Vec<u8> {
    static BYTES: LazyLock<HashMap<char, u8>> = LazyLock::new(|| (0..=255).map(|byte| (letter(byte), byte)).collect());
    let bytes: Option<Vec<u8>> = token.chars().map(|c| BYTES.get(&c).copied()).collect();
    bytes.unwrap_or_else(|| token.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_letter_of_its_own_and_gpt2s() {
        let letters: std::collections::BTreeSet<char> = (0..=255).map(letter).collect();
        assert_eq!(letters.len(), 256);
        // As the library has them.
        let theirs: std::collections::BTreeSet<char> =
            tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
        assert_eq!(letters, theirs);
        assert_eq!(
            (letter(b' '), letter(b'\n'), letter(0x7f), letter(0xad)),
            ('\u{120}', '\u{10a}', '\u{121}', '\u{143}')
        );
    }

    #[test]
    fn ids_are_bytes() {
        let tokenizer = Tokenizer::bytes();
        assert_eq!(tokenizer.vocab_size(), 256);
        let text = " \u{0}\r\n\t  caf\u{e9}\u{4e16}\u{1f600}\u{fffd}";
        let bytes: Vec<i64> = text.bytes().map(i64::from).collect();
        assert_eq!(tokenizer.encode(text).unwrap(), bytes);
        assert_eq!(tokenizer.decode(&bytes).unwrap(), text);
        assert_eq!(tokenizer.beginning(), [10]);
        assert_eq!(tokenizer.decode(&[0xff, 0x41]).unwrap(), "\u{fffd}A");
    }
}
