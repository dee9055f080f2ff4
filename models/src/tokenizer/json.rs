//! The text of a `tokenizer.json` that is made here.

use serde_json::{Map, Value, json};

/// What stands around the model in a `tokenizer.json`.
#[derive(Default)]
pub(super) struct Parts {
    pub added_tokens: Vec<Value>,
    pub pre_tokenizer: Value,
    pub decoder: Value,
}

/// The `tokenizer.json` of a BPE model.
pub(super) fn bpe_json(vocab: Map<String, Value>, merges: Vec<Value>, parts: Parts) -> String {
    let json = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": parts.added_tokens,
        "normalizer": null,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": null,
        "decoder": parts.decoder,
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
            "merges": merges,
        },
    });
    format!("{json:#}\n")
}

/// The pre-tokenizer and decoder between bytes and letters; `words` says whether the text is first cut as GPT-2 does.
pub(super) fn byte_level(words: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": words })
}

/// The entry of a special token among the added tokens.
fn special_token(content: &str, id: u64) -> Value {
    json!({
        "id": id,
        "content": content,
        "single_word": false,
        "lstrip": false,
        "rstrip": false,
        "normalized": false,
        "special": true,
    })
}

/// The `tokenizer.json` of a byte-level BPE tokenizer as GPT-2's, with these special tokens and their ids.
pub(super) fn gpt2_json(vocab: Map<String, Value>, merges: Vec<Value>, special: &[(&str, u64)]) -> String {
    let parts = Parts {
        added_tokens: special.iter().map(|&(token, id)| special_token(token, id)).collect(),
        pre_tokenizer: byte_level(true),
        decoder: byte_level(true),
    };
    bpe_json(vocab, merges, parts)
}
