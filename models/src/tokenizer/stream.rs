//! Ids in, text out as soon as it is whole.

use tokenizers::DecoderWrapper;

use super::Tokenizer;
use super::bytes::token_bytes;
use crate::Result;

/// Decodes ids that come one by one: a model's answer while it is written.
///
/// All that [`push`](DecodeStream::push) and [`finish`](DecodeStream::finish) give, joined, is
/// [`decode`](Tokenizer::decode) of all ids. A text is held back while a later token may change it: a character whose
/// bytes are spread over tokens, or a run of the byte tokens `<0x..>` of Llama 2, which is decoded as a whole.
///
/// # Differs
/// A decoder that looks at more than its neighbours (one that strips several characters at the beginning, or replaces a
/// pattern in the joined text) may give another text for the parts than for the whole.
pub struct DecodeStream<'a> {
    tokenizer: &'a Tokenizer,
    held: Held,
}

/// What is held back, by the kind of the decoder.
enum Held {
    /// Byte-level: the bytes of a character that is not whole.
    Bytes(Vec<u8>),
    /// Any other decoder.
    Ids {
        /// The ids whose text was given last. They are decoded again before the pending ones, which then are not at
        /// the beginning of a text, where decoders drop a space.
        given: Vec<i64>,
        /// The text of `given` when a text begins with them.
        given_text: String,
        /// The ids whose text was not given yet.
        pending: Vec<i64>,
    },
}

impl<'a> DecodeStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> DecodeStream<'a> {
        let held = match tokenizer.inner.get_decoder() {
            Some(DecoderWrapper::ByteLevel(_)) => Held::Bytes(Vec::new()),
            _ => Held::Ids { given: Vec::new(), given_text: String::new(), pending: Vec::new() },
        };
        DecodeStream { tokenizer, held }
    }

    /// Decodes the ids that follow `before`, whose text is there already: what they give is what the text of all of them is
    /// longer by.
    ///
    /// # Errors
    /// When an id of `before` is outside the vocabulary.
    pub(crate) fn after(tokenizer: &'a Tokenizer, before: &[i64]) -> Result<DecodeStream<'a>> {
        let mut stream = DecodeStream::new(tokenizer);
        match &mut stream.held {
            Held::Bytes(bytes) => {
                for &id in before {
                    bytes.extend(token_bytes(&tokenizer.known(id)?));
                }
                take_whole(bytes);
            }
            Held::Ids { given, given_text, .. } => {
                *given_text = tokenizer.decode(before)?;
                *given = before.to_vec();
            }
        }
        Ok(stream)
    }

    /// Takes the next id; gives the text that is whole now, if there is any that was not given yet.
    ///
    /// # Errors
    /// When `id` is outside the vocabulary; it is then as if it had not come.
    pub fn push(&mut self, id: i64) -> Result<Option<String>> {
        let token = self.tokenizer.known(id)?;
        match &mut self.held {
            Held::Bytes(bytes) => {
                bytes.extend(token_bytes(&token));
                let text = take_whole(bytes);
                Ok(Some(text).filter(|text| !text.is_empty()))
            }
            Held::Ids { pending, .. } => {
                pending.push(id);
                if self.tokenizer.falls_back_to_bytes(&token) { Ok(None) } else { self.give(true) }
            }
        }
    }

    /// Gives the rest of the text, if there is any.
    ///
    /// # Errors
    /// When the tokenizer cannot decode its own tokens.
    pub fn finish(mut self) -> Result<Option<String>> {
        match &self.held {
            Held::Bytes(bytes) => Ok((!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())),
            Held::Ids { .. } => self.give(false),
        }
    }

    /// The text of the pending ids; where `more` ids may come, not while its last character may be half of one.
    fn give(&mut self, more: bool) -> Result<Option<String>> {
        let Held::Ids { given, given_text, pending } = &mut self.held else { return Ok(None) };
        let text = self.tokenizer.decode(&[given.as_slice(), pending].concat())?;
        let new = match text.strip_prefix(given_text.as_str()) {
            Some(new) => new.to_owned(),
            // A run of bytes that goes on from what was given changes it; what was given stays.
            None => self.tokenizer.decode(pending)?,
        };
        if new.is_empty() || (more && new.ends_with(char::REPLACEMENT_CHARACTER)) {
            return Ok(None);
        }
        *given = std::mem::take(pending);
        *given_text = self.tokenizer.decode(given)?;
        Ok(Some(new))
    }
}

/// Takes what is whole out of `bytes`, with a replacement character for what is no UTF-8, and leaves the beginning of
/// a character: the parts of a text, joined, are `from_utf8_lossy` of the whole.
fn take_whole(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut done = 0;
    loop {
        match std::str::from_utf8(&bytes[done..]) {
            Ok(rest) => {
                text.push_str(rest);
                done = bytes.len();
                break;
            }
            Err(error) => {
                let whole = done + error.valid_up_to();
                text.push_str(&String::from_utf8_lossy(&bytes[done..whole]));
                done = whole;
                let Some(wrong) = error.error_len() else { break };
                text.push(char::REPLACEMENT_CHARACTER);
                done += wrong;
            }
        }
    }
    bytes.drain(..done);
    text
}

impl Tokenizer {
    /// Whether the decoder reads `token` as a byte of a run of bytes.
    fn falls_back_to_bytes(&self, token: &str) -> bool {
        let falls_back = |decoder: &DecoderWrapper| match decoder {
            DecoderWrapper::ByteFallback(_) => true,
            DecoderWrapper::Sequence(all) => {
                all.get_decoders().iter().any(|decoder| matches!(decoder, DecoderWrapper::ByteFallback(_)))
            }
            _ => false,
        };
        let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
        byte.is_some_and(|byte| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok())
            && self.inner.get_decoder().is_some_and(falls_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tokenizer that marks the beginning of a word and, as Llama 2's, drops the space with which a decoded text begins.
    fn words() -> Tokenizer {
        let json = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": null, "post_processor": null,
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": {"\u2581": 0, "a": 1, "b": 2, "\u2581a": 3, "\u2581b": 4},
                "merges": [["\u2581", "a"], ["\u2581", "b"]]}}"#;
        Tokenizer::from_json(json).unwrap()
    }

    #[test]
    fn the_space_between_a_prompt_and_what_follows_stays() {
        let tokenizer = words();
        let (before, after) = ([3, 2], [4, 1, 3]);
        assert_eq!(tokenizer.decode(&after).unwrap(), "ba a");
        let mut stream = DecodeStream::after(&tokenizer, &before).unwrap();
        let mut text = tokenizer.decode(&before).unwrap();
        after.iter().for_each(|&id| text.extend(stream.push(id).unwrap()));
        text.extend(stream.finish().unwrap());
        assert_eq!(text, tokenizer.decode(&[3, 2, 4, 1, 3]).unwrap());
        assert_eq!(text, "ab ba a");
        assert!(DecodeStream::after(&tokenizer, &[9]).is_err());
    }
}
