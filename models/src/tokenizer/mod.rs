//! Text to tokens and back: tokenizers of every kind, in the format of Hugging Face's `tokenizer.json`.
//!
//! | file | holds |
//! | --- | --- |
//! | `mod.rs` | [`Tokenizer`]: reading, writing, encoding, decoding, special tokens |
//! | `chars.rs`, `bytes.rs` | the tokenizers of characters and of bytes |
//! | `stream.rs` | [`DecodeStream`]: ids in, text out as soon as it is whole |
//! | `train.rs` | [`Tokenizer::train_bpe`]: byte-level BPE learnt from a text |
//! | `gpt2.rs` | [`Tokenizer::gpt2`]: the vocabulary of GPT-2 |
//! | `pair.rs` | [`Tokenizer::from_vocab_and_merges`]: the files of older directories |
//! | `pieces.rs` | where a long text can be cut without changing its tokens |
//! | `json.rs` | the text of a `tokenizer.json` that is made here |
//! | `guard.rs` | what keeps a panic of the library from getting out |

mod bytes;
mod chars;
#[cfg(feature = "gpt2-vocabulary")]
mod gpt2;
mod guard;
mod json;
mod pair;
mod pieces;
mod stream;
mod train;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tokenizers::ModelWrapper;

use crate::{Error, Result};
use chars::Characters;
use guard::guarded;
use pieces::{may_be_cut, pieces};

pub use stream::DecodeStream;

/// Turns texts into token ids and back.
///
/// It holds the tokenizer of any model of the Hugging Face hub, as `tokenizer.json` describes it: byte-level BPE
/// (GPT-2, Llama 3), BPE with byte fallback (Llama 2), Unigram, WordPiece. Without a file there are
/// [`chars`](Tokenizer::chars) and [`bytes`](Tokenizer::bytes). The ids are those of Python's `tokenizers`, whose
/// Rust crate does the work.
///
/// ```
/// use models::Tokenizer;
///
/// let tokenizer = Tokenizer::chars("hello")?;
/// assert_eq!(tokenizer.vocab_size(), 4); // e h l o
/// assert_eq!(tokenizer.encode("hole")?, [1, 3, 2, 0]);
/// assert_eq!(tokenizer.decode(&[1, 3, 2, 0])?, "hole");
/// assert!(tokenizer.encode("hi").unwrap_err().to_string().contains("'i' (U+0069)"));
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Differs
/// From what the file says, so that a text is never cut, filled up or encoded at random: the sections `truncation` and
/// `padding` and the option `dropout` of a BPE model do not act here. They stay in the text that
/// [`to_json`](Tokenizer::to_json) gives.
///
/// A pattern of the file that takes too many steps on a text ends there (`fancy-regex` takes at most a million), and the
/// rest of the text is one word; Python's Oniguruma has another limit.
///
/// A token that is added in the file (such as `<|endoftext|>`) is recognised inside texts too, as in Python.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    /// The text of `tokenizer.json` from which `inner` was made.
    json: Arc<str>,
    /// The faster way of a vocabulary of single characters, which also names the unknown ones.
    characters: Option<Arc<Characters>>,
    /// Whether long texts are encoded in pieces: in parallel, and without a record of every token at once.
    in_pieces: bool,
    /// The largest id and one.
    vocab_size: usize,
    beginning_of_text: Option<i64>,
    end_of_text: Option<i64>,
}

/// The names under which tokenizers know the token that ends a text.
const END_OF_TEXT: [&str; 6] = ["<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[EOS]", "<|eos|>"];
/// The names under which tokenizers know the token that begins a text.
const BEGINNING_OF_TEXT: [&str; 6] = ["<|begin_of_text|>", "<s>", "<bos>", "[BOS]", "<|startoftext|>", "<|bos|>"];

/// A text of letters, digits, signs, white space and bytes of all kinds, on which a tokenizer is tried when it is read.
const TRIAL: &str = "The cat's 12345;\n\n  \t<0x41> ##\u{0}\u{e9}\u{4e16}\u{1f600}\u{301}\u{fffd} ";

impl Tokenizer {
    /// Reads the file `path`, a `tokenizer.json`.
    ///
    /// # Errors
    /// As [`Tokenizer::from_json`], and when the file cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Tokenizer> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?;
        Tokenizer::from_json(&text).map_err(|e| Error::in_file(path, e))
    }

    /// Reads the contents of a `tokenizer.json`.
    ///
    /// # Errors
    /// When it is no JSON, describes no tokenizer or one that contradicts itself, has no tokens, gives two tokens the
    /// same id, or is a WordPiece model with `max_input_chars_per_word` above 1000.
    pub fn from_json(text: &str) -> Result<Tokenizer> {
        let mut inner = guarded("reading the tokenizer", || text.parse::<tokenizers::Tokenizer>())?;
        guarded("reading the tokenizer", || inner.with_truncation(None).map(drop))?;
        inner.with_padding(None);
        match inner.get_model() {
            ModelWrapper::BPE(bpe) if bpe.dropout.is_some() => {
                let mut bpe = bpe.clone();
                bpe.dropout = None;
                inner.with_model(bpe);
            }
            ModelWrapper::WordPiece(_) => check_word_piece(text)?,
            _ => {}
        }

        // What a file contradicts itself in shows when it is used; better now than when a model has been trained.
        guarded("trying the tokenizer", || {
            // Only panics count: a tokenizer may well know no token for one of these characters.
            let ids = inner.encode_fast(TRIAL, true).map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default();
            let _ = (inner.encode_fast("", true), inner.decode(&ids, false), inner.decode(&[], false));
            Ok::<(), Error>(())
        })?;

        let vocab = inner.get_vocab(true);
        let Some(largest) = vocab.values().max() else {
            return Err(Error::invalid("the tokenizer has no tokens"));
        };
        // A Unigram model numbers a list, in which a piece may stand twice; the others map tokens to ids.
        let mut seen = HashSet::with_capacity(vocab.len());
        if let Some(id) = vocab.values().find(|id| !seen.insert(**id)) {
            return Err(Error::invalid(format!("two tokens have the id {id}")));
        }
        let special = |names: &[&str]| {
            let added = inner.get_added_vocabulary();
            let known = names.iter().filter(|name| added.is_special_token(name));
            known.filter_map(|name| inner.token_to_id(name)).map(i64::from).next()
        };
        Ok(Tokenizer {
            json: text.into(),
            characters: Characters::of(&inner).map(Arc::new),
            in_pieces: may_be_cut(&inner),
            vocab_size: usize::try_from(u64::from(*largest) + 1).map_err(|_| Error::invalid("an id is too large"))?,
            beginning_of_text: special(&BEGINNING_OF_TEXT),
            end_of_text: special(&END_OF_TEXT),
            inner: Arc::new(inner),
        })
    }

    /// The contents of `tokenizer.json`: for a tokenizer that was read, the very text that was read.
    pub fn to_json(&self) -> &str {
        &self.json
    }

    /// The ids of `text`, without the special tokens that some models want around it.
    ///
    /// # Errors
    /// When a tokenizer of [`chars`](Tokenizer::chars) does not know a character: they are named.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>> {
        match &self.characters {
            Some(characters) => characters.encode(text),
            None if self.in_pieces => self.encode_in_pieces(text),
            None => self.encode_by_library(text, false),
        }
    }

    /// The ids of `text` with the special tokens that the model wants around it: `<|begin_of_text|>` before it for
    /// Llama 3, say, and none for GPT-2. It is what Python's `encode` does by default.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_with_special_tokens(&self, text: &str) -> Result<Vec<i64>> {
        match &self.characters {
            Some(characters) => characters.encode(text),
            None => self.encode_by_library(text, true),
        }
    }

    /// [`encode`](Tokenizer::encode) of each of `texts`, in parallel.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], for the first text with an error.
    pub fn encode_batch(&self, texts: &[&str]) -> Result<Vec<Vec<i64>>> {
        if self.characters.is_some() {
            return texts.iter().map(|text| self.encode(text)).collect();
        }
        let encodings = guarded("encoding", || self.inner.encode_batch_fast(texts.to_vec(), false))?;
        Ok(encodings.iter().map(|encoding| encoding.get_ids().iter().copied().map(i64::from).collect()).collect())
    }

    fn encode_in_pieces(&self, text: &str) -> Result<Vec<i64>> {
        /// So many pieces at a time: enough for every thread to be busy.
        const AT_A_TIME: usize = 64;
        let mut pieces = pieces(text).peekable();
        let mut ids = Vec::new();
        while pieces.peek().is_some() {
            let group: Vec<&str> = pieces.by_ref().take(AT_A_TIME).collect();
            let encodings = guarded("encoding", || self.inner.encode_batch_fast(group, false))?;
            ids.extend(encodings.iter().flat_map(|encoding| encoding.get_ids()).copied().map(i64::from));
        }
        Ok(ids)
    }

    fn encode_by_library(&self, text: &str, special_tokens: bool) -> Result<Vec<i64>> {
        let encoding = guarded("encoding", || self.inner.encode_fast(text, special_tokens))?;
        Ok(encoding.get_ids().iter().copied().map(i64::from).collect())
    }

    /// The text of `ids`, special tokens included.
    ///
    /// # Errors
    /// When an id is outside the vocabulary.
    ///
    /// # Differs
    /// From Python's `Tokenizer.decode`, which by default leaves special tokens out and ids that it does not know too.
    pub fn decode(&self, ids: &[i64]) -> Result<String> {
        for &id in ids {
            self.known(id)?;
        }
        // All of them were just looked up as 32-bit numbers.
        let ids: Vec<u32> = ids.iter().filter_map(|&id| u32::try_from(id).ok()).collect();
        guarded("decoding", || self.inner.decode(&ids, false))
    }

    /// The token of `id`.
    fn known(&self, id: i64) -> Result<String> {
        let outside = || Error::invalid(format!("token {id} is outside the vocabulary of {} ids", self.vocab_size));
        self.id_to_token(id).ok_or_else(outside)
    }

    /// Decodes ids that come one by one.
    ///
    /// ```
    /// use models::Tokenizer;
    ///
    /// let tokenizer = Tokenizer::bytes();
    /// let mut stream = tokenizer.stream();
    /// assert_eq!(stream.push(0xc3)?, None); // the first byte of two
    /// assert_eq!(stream.push(0xa9)?.as_deref(), Some("\u{e9}"));
    /// assert_eq!(stream.finish()?, None);
    /// # Ok::<(), models::Error>(())
    /// ```
    pub fn stream(&self) -> DecodeStream<'_> {
        DecodeStream::new(self)
    }

    /// One more than the largest id, added tokens included: the rows that an embedding needs.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of `token`, written as in `tokenizer.json`.
    pub fn token_to_id(&self, token: &str) -> Option<i64> {
        self.inner.token_to_id(token).map(i64::from)
    }

    /// The token of `id`, written as in `tokenizer.json` (a space may be `\u{120}` or `\u{2581}`, say).
    pub fn id_to_token(&self, id: i64) -> Option<String> {
        self.inner.id_to_token(u32::try_from(id).ok()?)
    }

    /// The special token that ends a text (`<|endoftext|>`, `<|end_of_text|>`, `</s>`, ...), if there is one.
    pub fn end_of_text(&self) -> Option<i64> {
        self.end_of_text
    }

    /// The special token that begins a text (`<|begin_of_text|>`, `<s>`, ...), if there is one of that name.
    pub fn beginning_of_text(&self) -> Option<i64> {
        self.beginning_of_text
    }

    /// What a text without a prompt begins with: the token that begins a text; else the one that ends the text before,
    /// as in GPT-2; else a line break, as if a line had just ended; else the token with the smallest id.
    pub fn beginning(&self) -> Vec<i64> {
        if let Some(id) = self.beginning_of_text.or(self.end_of_text) {
            return vec![id];
        }
        match self.encode("\n") {
            Ok(ids) if !ids.is_empty() => ids,
            _ => (0..).find(|&id| self.id_to_token(id).is_some()).into_iter().collect(),
        }
    }
}

/// Refuses a WordPiece model that takes words of any length: the time for a word grows with the cube of its length.
fn check_word_piece(text: &str) -> Result<()> {
    const LONGEST: u64 = 1000;
    #[derive(serde::Deserialize)]
    struct File {
        model: Model,
    }
    #[derive(serde::Deserialize)]
    struct Model {
        max_input_chars_per_word: Option<u64>,
    }
    let file: File = serde_json::from_str(text).map_err(Error::invalid)?;
    match file.model.max_input_chars_per_word {
        Some(longest) if longest > LONGEST => {
            Err(Error::invalid(format!("max_input_chars_per_word is {longest}, at most {LONGEST} are read in time")))
        }
        _ => Ok(()),
    }
}

/// Two tokenizers are equal when their `tokenizer.json` is.
impl PartialEq for Tokenizer {
    fn eq(&self, other: &Tokenizer) -> bool {
        self.json == other.json
    }
}

impl Eq for Tokenizer {}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocab_size", &self.vocab_size).finish_non_exhaustive()
    }
}
