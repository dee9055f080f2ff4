//! The tokenizer of a model directory: one file, or the two of older ones.

use std::path::Path;

use super::TOKENIZER;
use crate::{Error, Result, Tokenizer};

/// The files with the vocabulary in older directories of GPT-2, which have no [`TOKENIZER`]: the ids of the tokens, and the pairs
/// that become one.
pub const VOCAB_AND_MERGES: [&str; 2] = ["vocab.json", "merges.txt"];

/// The tokenizer of the directory `dir`: that of `tokenizer.json`, or where there is none, of `vocab.json` and `merges.txt`,
/// which are taken for GPT-2's kind, see [`Tokenizer::from_vocab_and_merges`]. None if the directory has neither, or one of the
/// two alone.
///
/// # Errors
/// When what is there cannot be read: as [`Tokenizer::load`] and [`Tokenizer::from_vocab_and_merges`].
///
/// ```
/// use models::{Tokenizer, checkpoint};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let dir = folder.path();
/// assert!(checkpoint::load_tokenizer(dir)?.is_none());
/// std::fs::write(dir.join("tokenizer.json"), Tokenizer::bytes().to_json()).unwrap();
/// assert_eq!(checkpoint::load_tokenizer(dir)?, Some(Tokenizer::bytes()));
/// # Ok::<(), models::Error>(())
/// ```
pub fn load_tokenizer(dir: &Path) -> Result<Option<Tokenizer>> {
    let path = dir.join(TOKENIZER);
    if path.exists() {
        return Tokenizer::load(path).map(Some);
    }
    let [vocab, merges] = VOCAB_AND_MERGES.map(|name| dir.join(name));
    if vocab.exists() && merges.exists() {
        return Tokenizer::from_vocab_and_merges(vocab, merges).map(Some);
    }
    Ok(None)
}

/// [`load_tokenizer`] where one is needed.
pub(crate) fn need_tokenizer(dir: &Path) -> Result<Tokenizer> {
    let [vocab, merges] = VOCAB_AND_MERGES;
    let none =
        || Error::read(&dir.join(TOKENIZER), format!("it is not there, and neither are both {vocab} and {merges}"));
    load_tokenizer(dir)?.ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::tests::refused;
    use crate::checkpoint::{SaveOptions, end_tokens, load, save_with};
    use crate::{Gpt, GptConfig};
    use serde_json::Value;

    /// Writes the vocabulary of `tokenizer` into the two files of older directories.
    fn write_pair(dir: &Path, tokenizer: &Tokenizer) {
        let json: Value = serde_json::from_str(tokenizer.to_json()).unwrap();
        let merges = json["model"]["merges"].as_array().unwrap().iter();
        let merges: String =
            merges.map(|m| format!("{} {}\n", m[0].as_str().unwrap(), m[1].as_str().unwrap())).collect();
        std::fs::write(dir.join(VOCAB_AND_MERGES[0]), json["model"]["vocab"].to_string()).unwrap();
        std::fs::write(dir.join(VOCAB_AND_MERGES[1]), merges).unwrap();
    }

    #[test]
    fn an_older_directory_has_its_tokenizer_in_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let learnt = Tokenizer::train_bpe("low lower lowest", 262, |_, _| {}).unwrap();
        let model = Gpt::new(GptConfig::new(learnt.vocab_size(), 4, 8)).unwrap();
        save_with(dir, &model, None, &SaveOptions::default()).unwrap();
        assert!(load_tokenizer(dir).unwrap().is_none());
        let message = refused(dir);
        assert!([TOKENIZER, "vocab.json", "merges.txt"].iter().all(|name| message.contains(name)), "{message}");

        write_pair(dir, &learnt);
        let (_, read) = load(dir).unwrap();
        assert_eq!(read.encode(" lower<|endoftext|>").unwrap(), learnt.encode(" lower<|endoftext|>").unwrap());
        assert_eq!(end_tokens(dir).unwrap(), [0]);
        // tokenizer.json comes first, and what is wrong with it is said.
        std::fs::write(dir.join(TOKENIZER), Tokenizer::bytes().to_json()).unwrap();
        assert_eq!(load_tokenizer(dir).unwrap(), Some(Tokenizer::bytes()));
        std::fs::write(dir.join(TOKENIZER), "{").unwrap();
        assert!(refused(dir).contains(TOKENIZER));
        std::fs::remove_file(dir.join(TOKENIZER)).unwrap();
        // Files that lie.
        for (name, text) in [("merges.txt", "l o\nx\n"), ("vocab.json", "{\"a\": -1}"), ("vocab.json", "")] {
            let before = std::fs::read(dir.join(name)).unwrap();
            std::fs::write(dir.join(name), text).unwrap();
            assert!(refused(dir).contains(name));
            std::fs::write(dir.join(name), before).unwrap();
        }
        assert!(load(dir).is_ok());
        std::fs::remove_file(dir.join("merges.txt")).unwrap();
        assert!(load_tokenizer(dir).unwrap().is_none());
    }
}
