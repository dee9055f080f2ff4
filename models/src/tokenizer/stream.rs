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
        let new = text.get(self.given_text.len()..).map(str::to_owned);
        self.given = std::mem::take(&mut self.pending);
        self.given_text = self.tokenizer.decode(&self.given)?;
        Ok(new)
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
