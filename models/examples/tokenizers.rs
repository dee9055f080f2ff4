//! Writes a tiny model with each kind of tokenizer that is made here, and the ids of some texts, for comparison with
//! Python.
//!
//!     cargo run --release -p models --example tokenizers -- OUT
//!     python tests/scripts/hf_tokenizers.py check OUT

use std::error::Error;
use std::path::Path;

use models::{Gpt, GptConfig, Tokenizer, checkpoint};
use serde_json::{Value, json};

const TEXT: &str =
    "The cat's  hat;\n\n  we'll\tsee 12345 caf\u{e9} \u{4e16}\u{754c} \u{1f600}\u{200d}\u{1f680}\r\n\u{a0} end ";

fn main() -> Result<(), Box<dyn Error>> {
    let Some(out) = std::env::args().nth(1) else {
        println!("usage: tokenizers OUT_DIR");
        return Ok(());
    };
    let training = format!("{TEXT}\n{}", TEXT.to_uppercase()).repeat(3);
    let mut kinds = vec![
        ("chars", Tokenizer::chars(TEXT)?),
        ("bytes", Tokenizer::bytes()),
        ("bpe", Tokenizer::train_bpe(&training, 300, |_, _| {})?),
    ];
    #[cfg(feature = "gpt2-vocabulary")]
    kinds.push(("gpt2", Tokenizer::gpt2()));
    for (kind, tokenizer) in kinds.drain(..) {
        let model = Gpt::new(GptConfig::new(tokenizer.vocab_size(), 4, 4))?;
        let dir = Path::new(&out).join(kind);
        checkpoint::save(&dir, &model, &tokenizer)?;
        // Texts of known characters, for every kind.
        let texts = ["", TEXT, "  \n ", "hat", &TEXT.repeat(3)];
        let cases = texts.map(|text| -> models::Result<Value> {
            let ids = tokenizer.encode(text)?;
            let special = tokenizer.encode_with_special_tokens(text)?;
            Ok(json!({ "text": text, "decoded": tokenizer.decode(&ids)?, "ids": ids, "special": special }))
        });
        let cases = cases.into_iter().collect::<models::Result<Vec<Value>>>()?;
        let report = json!({
            "cases": cases,
            "end_of_text": tokenizer.end_of_text(),
            "beginning_of_text": tokenizer.beginning_of_text(),
        });
        std::fs::write(dir.join("ids.json"), report.to_string())?;
        println!("{kind}: {} tokens", tokenizer.vocab_size());
    }
    Ok(())
}
