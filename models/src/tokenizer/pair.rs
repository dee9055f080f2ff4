//! The two files of older GPT-2 directories: `vocab.json` and `merges.txt`.

use std::path::Path;

use serde_json::{Map, Value};

use super::bytes::letter;
use super::json::gpt2_json;
use super::{BEGINNING_OF_TEXT, END_OF_TEXT, Tokenizer};
use crate::{Error, Result};

impl Tokenizer {
    /// Reads a byte-level BPE tokenizer as GPT-2's from the two files that older directories of the Hugging Face hub have in
    /// place of `tokenizer.json`: `vocab.json`, an object with the id of each token, and `merges.txt`, in which each line has
    /// two tokens that become one, the first lines first. (A first line `#version: 0.2` is a comment.)
    ///
    /// They do not say which tokens are special. Here these are `<|endoftext|>`, `</s>`, `<s>` and the others that
    /// [`end_of_text`](Tokenizer::end_of_text) and [`beginning_of_text`](Tokenizer::beginning_of_text) know, where the
    /// vocabulary has them. What [`to_json`](Tokenizer::to_json) gives is a `tokenizer.json` of the same tokenizer.
    ///
    /// # Errors
    /// When a file cannot be read or is not as above, an id is no 32-bit number or stands there twice, a line of the merges has
    /// or makes a token outside the vocabulary, or one of the 256 bytes has no token (such as in the files of GPT-1, which is
    /// another tokenizer: its `vocab.json` and `merges.txt` are of characters).
    ///
    /// ```
    /// use models::Tokenizer;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let [vocab, merges] = ["vocab.json", "merges.txt"].map(|name| folder.path().join(name));
    /// # let json: serde_json::Value =
    /// #     serde_json::from_str(Tokenizer::train_bpe("low lower", 259, |_, _| {})?.to_json()).unwrap();
    /// # std::fs::write(&vocab, json["model"]["vocab"].to_string()).unwrap();
    ///
    /// std::fs::write(&merges, "#version: 0.2\nl o\nlo w\n").unwrap();
    /// let tokenizer = Tokenizer::from_vocab_and_merges(&vocab, &merges)?;
    /// assert_eq!(tokenizer.encode("low")?, [258]);
    /// assert_eq!(tokenizer.end_of_text(), Some(0));
    /// # Ok::<(), models::Error>(())
    /// ```
    pub fn from_vocab_and_merges(vocab_path: impl AsRef<Path>, merges_path: impl AsRef<Path>) -> Result<Tokenizer> {
        let (vocab_path, merges_path) = (vocab_path.as_ref(), merges_path.as_ref());
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|e| Error::read(path, e));
        let vocab = vocabulary(&read(vocab_path)?).map_err(|e| Error::in_file(vocab_path, e))?;
        let lines = read(merges_path)?;
        let merges = merges(&lines, &vocab).map_err(|e| Error::in_file(merges_path, e))?;
        // No merge makes one of them: GPT-2's way of finding words cuts between signs and letters.
        let known = END_OF_TEXT.into_iter().chain(BEGINNING_OF_TEXT);
        let special: Vec<(&str, u64)> = known.filter_map(|name| Some((name, vocab.get(name)?.as_u64()?))).collect();
        let merges = merges.into_iter().map(|pair| Value::from(pair.to_vec())).collect();
        Tokenizer::from_json(&gpt2_json(vocab, merges, &special)).map_err(|e| Error::in_file(vocab_path, e))
    }
}

/// The ids of the tokens, in the order of the file.
fn vocabulary(text: &str) -> Result<Map<String, Value>> {
    let vocab: Map<String, Value> = serde_json::from_str(text).map_err(Error::invalid)?;
    if let Some((token, id)) = vocab.iter().find(|(_, id)| id.as_u64().is_none_or(|id| u32::try_from(id).is_err())) {
        return Err(Error::invalid(format!("the id of {token:?} is {id}, which is no 32-bit number")));
    }
    let missing: Vec<u8> =
        (0..=255).filter(|&byte| !vocab.contains_key(letter(byte).encode_utf8(&mut [0; 4]))).collect();
    match missing.first() {
        None => Ok(vocab),
        Some(&first) => Err(Error::invalid(format!(
            "{} of the 256 bytes have no token, the first is 0x{first:02x} ({:?}): this is no byte-level vocabulary as GPT-2's",
            missing.len(),
            letter(first)
        ))),
    }
}

/// The two tokens of each line.
fn merges<'a>(text: &'a str, vocab: &Map<String, Value>) -> Result<Vec<[&'a str; 2]>> {
    let lines = (1..).zip(text.lines()).filter(|&(number, line)| {
        // Tokens have no spaces, but one may begin with a number sign.
        !(line.is_empty() || number == 1 && line.starts_with("#version"))
    });
    let merge = |(number, line): (usize, &'a str)| {
        let wrong = |what: String| Err(Error::invalid(format!("line {number}: {what}")));
        let Some((left, right)) =
            line.split_once(' ').filter(|(l, r)| !l.is_empty() && !r.is_empty() && !r.contains(' '))
        else {
            let line: String = line.chars().take(40).collect();
            return wrong(format!("{line:?} is not two tokens with a space between them"));
        };
        let whole = format!("{left}{right}");
        match [left, right, &whole].into_iter().find(|&token| !vocab.contains_key(token)) {
            Some(token) => wrong(format!("{:?} is not in the vocabulary", token.chars().take(40).collect::<String>())),
            None => Ok([left, right]),
        }
    };
    lines.map(merge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the vocabulary and the merges of `tokenizer` as Python's `save_vocabulary` does, and reads them.
    fn as_two_files(tokenizer: &Tokenizer) -> Tokenizer {
        let dir = tempfile::tempdir().unwrap();
        let (vocab, merges) = texts(tokenizer);
        read(dir.path(), &vocab, &merges).unwrap()
    }

    fn texts(tokenizer: &Tokenizer) -> (String, String) {
        let json: Value = serde_json::from_str(tokenizer.to_json()).unwrap();
        let merges = json["model"]["merges"].as_array().unwrap().iter();
        let merges = merges.map(|pair| format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
        (json["model"]["vocab"].to_string(), format!("#version: 0.2\n{}", merges.collect::<String>()))
    }

    fn read(dir: &Path, vocab: &str, merges: &str) -> Result<Tokenizer> {
        let [v, m] = ["vocab.json", "merges.txt"].map(|name| dir.join(name));
        std::fs::write(&v, vocab).unwrap();
        std::fs::write(&m, merges).unwrap();
        Tokenizer::from_vocab_and_merges(v, m)
    }

    const TEXT: &str =
        "The cat's  hat;\n\n  we'll\tsee 12345 #version caf\u{e9} \u{4e16}\u{1f600}<|endoftext|> low lower";

    #[cfg(feature = "gpt2-vocabulary")]
    #[test]
    fn the_files_of_gpt2_give_gpt2s_ids() {
        let gpt2 = Tokenizer::gpt2();
        let read = as_two_files(&gpt2);
        for text in [TEXT, "", " ", "Hello world", "\u{0}\u{7f}\u{ad}\r\n"] {
            assert_eq!(read.encode(text).unwrap(), gpt2.encode(text).unwrap(), "{text:?}");
        }
        assert_eq!(read.decode(&gpt2.encode(TEXT).unwrap()).unwrap(), TEXT);
        assert_eq!((read.vocab_size(), read.end_of_text(), read.beginning()), (50257, Some(50256), vec![50256]));
        // The very same `tokenizer.json`.
        assert_eq!(read, gpt2);
    }

    #[test]
    fn what_was_learnt_comes_back_from_two_files() {
        let learnt = Tokenizer::train_bpe(&TEXT.repeat(3), 320, |_, _| {}).unwrap();
        let read = as_two_files(&learnt);
        assert_eq!(read.encode(TEXT).unwrap(), learnt.encode(TEXT).unwrap());
        assert_eq!((read.vocab_size(), read.end_of_text()), (learnt.vocab_size(), Some(0)));
    }

    #[test]
    fn line_ends_and_a_missing_version_make_no_difference() {
        let dir = tempfile::tempdir().unwrap();
        let (vocab, merges) = texts(&Tokenizer::train_bpe("low lower lowest ##version", 266, |_, _| {}).unwrap());
        let expected = read(dir.path(), &vocab, &merges).unwrap();
        let bare = merges.strip_prefix("#version: 0.2\n").unwrap();
        for merges in [bare, &merges.replace('\n', "\r\n"), merges.trim_end(), &format!("{merges}\n\n")] {
            assert_eq!(read(dir.path(), &vocab, merges).unwrap(), expected);
        }
    }

    #[test]
    fn special_tokens_are_known_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let mut vocab = vocabulary(&texts(&Tokenizer::bytes()).0).unwrap();
        for (token, id) in [("<pad>", 256), ("<s>", 257), ("</s>", 258)] {
            vocab.insert(token.into(), id.into());
        }
        let vocab = Value::from(vocab).to_string();
        let special = read(dir.path(), &vocab, "").unwrap();
        assert_eq!((special.beginning_of_text(), special.end_of_text()), (Some(257), Some(258)));
        assert_eq!(special.encode("<s>a</s>").unwrap(), [257, special.token_to_id("a").unwrap(), 258]);
        assert_eq!(special.encode("<pad>").unwrap().len(), 5);
        let plain = read(dir.path(), &texts(&Tokenizer::bytes()).0, "").unwrap();
        assert_eq!((plain.beginning_of_text(), plain.end_of_text()), (None, None));
        assert_eq!(plain.encode("<s>").unwrap().len(), 3);
    }

    #[test]
    fn files_that_lie_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (vocab, _) = texts(&Tokenizer::bytes());
        let with = |entry: &str| format!("{},{entry}}}", vocab.strip_suffix('}').unwrap());
        let lacking = vocab.replace("\"A\":", "\"AA\":");
        for (vocab, merges, says) in [
            ("", "", "vocab.json"),
            ("[1]", "", "vocab.json: invalid type"),
            ("{}", "", "vocab.json: 256 of the 256 bytes have no token"),
            (&lacking, "", "vocab.json: 1 of the 256 bytes have no token, the first is 0x41 ('A')"),
            (&with("\"ab\": -1"), "", "the id of \"ab\" is -1"),
            (&with("\"ab\": 4294967296"), "", "the id of \"ab\" is 4294967296"),
            (&with("\"ab\": \"x\""), "", "the id of \"ab\" is \"x\""),
            (&with("\"ab\": 1.5"), "", "the id of \"ab\" is 1.5"),
            (&with("\"ab\": 0"), "", "vocab.json: two tokens have the id 0"),
            (&vocab, "#version: 0.2\na b\n", "merges.txt: line 2: \"ab\" is not in the vocabulary"),
            (&vocab, "xy b\n", "merges.txt: line 1: \"xy\" is not in the vocabulary"),
            (&vocab, "a\n", "line 1: \"a\" is not two tokens"),
            (&vocab, "a b c\n", "line 1: \"a b c\" is not two tokens"),
            (&vocab, "a  b\n", "is not two tokens"),
            (&vocab, " b\n", "is not two tokens"),
            (&vocab, " \n", "is not two tokens"),
            (&vocab, "a \n", "is not two tokens"),
        ] {
            let message = read(dir.path(), vocab, merges).unwrap_err().to_string();
            assert!(message.contains(says) && !message.contains('\n'), "{says}: {message}");
        }
        std::fs::write(dir.path().join("merges.txt"), [b'a', 0xff]).unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("vocab.json"), &vocab).unwrap();
        for (v, m, says) in [("vocab.json", "merges.txt", "merges.txt"), ("none", "merges.txt", "none")] {
            assert!(Tokenizer::from_vocab_and_merges(path(v), path(m)).unwrap_err().to_string().contains(says));
        }
    }
}
