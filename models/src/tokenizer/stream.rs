//! Ids in, text out as soon as it is whole.

use tokenizers::DecoderWrapper;

use super::Tokenizer;
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
    /// The ids whose text was given last. They are decoded again before the pending ones, which then are not at the
    /// beginning of a text, where decoders drop a space.
    given: Vec<i64>,
    /// The text of `given` when a text begins with them.
    given_text: String,
    /// The ids whose text was not given yet.
    pending: Vec<i64>,
}

impl<'a> DecodeStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> DecodeStream<'a> {
        DecodeStream { tokenizer, given: Vec::new(), given_text: String::new(), pending: Vec::new() }
    }

    /// Decodes the ids that follow `before`, whose text is there already: what they give is what the text of all of them is
    /// longer by.
    ///
    /// # Errors
    /// When an id of `before` is outside the vocabulary.
    pub(crate) fn after(tokenizer: &'a Tokenizer, before: &[i64]) -> Result<DecodeStream<'a>> {
        let given_text = tokenizer.decode(before)?;
        Ok(DecodeStream { tokenizer, given_text, given: before.to_vec(), pending: Vec::new() })
    }

    /// Takes the next id; gives the text that is whole now, if there is any that was not given yet.
    ///
    /// # Errors
    /// When `id` is outside the vocabulary; it is then as if it had not come.
    pub fn push(&mut self, id: i64) -> Result<Option<String>> {
        self.tokenizer.known(id)?;
        self.pending.push(id);
        if self.tokenizer.is_byte_fallback(id) {
            return Ok(None);
        }
        self.give(true)
    }

    /// Gives the rest of the text, if there is any.
    ///
    /// # Errors
    /// When the tokenizer cannot decode its own tokens.
    pub fn finish(mut self) -> Result<Option<String>> {
        self.give(false)
    }

    /// The text of the pending ids; unless `more` ids may come, even when its last character may not be whole.
    fn give(&mut self, more: bool) -> Result<Option<String>> {
        let ids = [self.given.as_slice(), &self.pending].concat();
        let text = self.tokenizer.decode(&ids)?;
        if text.len() <= self.given_text.len() || (more && text.ends_with('\u{fffd}')) {
            return Ok(None);
        }
        // A run of bytes that goes on from what was given may put the cut within a character.
        let new = match text.get(self.given_text.len()..) {
            Some(new) => new.to_owned(),
            None => self.tokenizer.decode(&self.pending)?,
        };
        self.given = std::mem::take(&mut self.pending);
        self.given_text = self.tokenizer.decode(&self.given)?;
        Ok(Some(new))
    }
}

impl Tokenizer {
    /// Whether the decoder reads the token `id` as a byte of a run of bytes.
    fn is_byte_fallback(&self, id: i64) -> bool {
        let falls_back = |decoder: &DecoderWrapper| match decoder {
            DecoderWrapper::ByteFallback(_) => true,
            DecoderWrapper::Sequence(all) => {
                all.get_decoders().iter().any(|decoder| matches!(decoder, DecoderWrapper::ByteFallback(_)))
            }
            _ => false,
        };
        self.inner.get_decoder().is_some_and(falls_back)
            && self.id_to_token(id).is_some_and(|token| {
                token.len() == 6
                    && token.starts_with("<0x")
                    && token.ends_with('>')
                    && u8::from_str_radix(&token[3..5], 16).is_ok()
            })
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
