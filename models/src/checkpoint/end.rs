//! Which tokens end a text, as a model directory says.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{CONFIG, load_tokenizer};
use crate::{Error, Result};

/// The file with what Python's `generate` does by default, where there is one.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// The tokens that end a text written by the model of the directory `dir`: `eos_token_id` (a number or a list) of
/// `generation_config.json` and `config.json`, or else the tokenizer's own token of that kind.
///
/// # Errors
/// When a file is there but is no JSON object, or the token is no whole number.
pub fn end_tokens(dir: &Path) -> Result<Vec<i64>> {
    let mut tokens = BTreeSet::new();
    for name in [GENERATION_CONFIG, CONFIG] {
        let path = dir.join(name);
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let json: Value = serde_json::from_str(&text).map_err(|e| Error::in_file(&path, e))?;
        let ids = match &json["eos_token_id"] {
            Value::Null => &[][..],
            Value::Array(ids) => ids,
            id => std::slice::from_ref(id),
        };
        for id in ids {
            let is_none = || Error::in_file(&path, format!("eos_token_id {id} is no token"));
            tokens.insert(id.as_i64().filter(|id| *id >= 0).ok_or_else(is_none)?);
        }
    }
    if tokens.is_empty()
        && let Ok(Some(tokenizer)) = load_tokenizer(dir)
    {
        tokens.extend(tokenizer.end_of_text());
    }
    Ok(tokens.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_and_lists_count_and_the_tokenizer_is_the_last_resort() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        assert_eq!(end_tokens(dir.path()).unwrap(), Vec::<i64>::new());
        write(CONFIG, r#"{"eos_token_id": 7}"#);
        assert_eq!(end_tokens(dir.path()).unwrap(), [7]);
        write(GENERATION_CONFIG, r#"{"eos_token_id": [9, 3, 7]}"#);
        assert_eq!(end_tokens(dir.path()).unwrap(), [3, 7, 9]);
        for bad in [r#"{"eos_token_id": "end"}"#, r#"{"eos_token_id": [1, -2]}"#, "{"] {
            write(GENERATION_CONFIG, bad);
            assert!(end_tokens(dir.path()).unwrap_err().to_string().contains(GENERATION_CONFIG), "{bad}");
        }
    }
}
