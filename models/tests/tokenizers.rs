//! Tokenizers of every kind: the ids of Python's `tokenizers`, round trips, decoding as a stream, and files that lie.
//!
//! `tests/scripts/hf_tokenizers.py make` writes the fixture and names the versions.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use models::Tokenizer;
use proptest::prelude::*;
use serde_json::{Value, json};

const KINDS: [&str; 5] = ["byte_level", "llama3", "llama2", "unigram", "wordpiece"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hf_tokenizers").join(name)
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("expected.json")).unwrap()).unwrap()
}

fn kind(name: &str) -> Tokenizer {
    Tokenizer::load(fixture(&format!("{name}.json"))).unwrap()
}

/// All of the fixture, the bytes and a few characters, read once for the property tests.
static ALL: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let chars = Tokenizer::chars("ab\u{fffd}\u{1f600} ").unwrap();
    KINDS.map(kind).into_iter().chain([Tokenizer::bytes(), chars]).collect()
});

fn ids(value: &Value) -> Vec<i64> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn ids_and_texts_are_those_of_python() {
    let expected = expected();
    for name in KINDS {
        let (tokenizer, expected) = (kind(name), &expected["kinds"][name]);
        assert_eq!(tokenizer.vocab_size() as u64, expected["vocab_size"], "{name}");
        let cases = expected["cases"].as_array().unwrap();
        assert!(cases.len() > 15);
        let texts: Vec<&str> = cases.iter().map(|case| case["text"].as_str().unwrap()).collect();
        let batch = tokenizer.encode_batch(&texts).unwrap();
        for ((case, text), in_batch) in cases.iter().zip(texts).zip(batch) {
            let encoded = tokenizer.encode(text).unwrap();
            assert_eq!(encoded, ids(&case["ids"]), "{name}: {text:?}");
            assert_eq!(in_batch, encoded, "{name}: {text:?}");
            assert_eq!(tokenizer.encode_with_special_tokens(text).unwrap(), ids(&case["special"]), "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&encoded).unwrap(), case["decoded"].as_str().unwrap(), "{name}: {text:?}");
        }
    }
}

#[test]
fn special_tokens_are_known_by_their_names() {
    let ends = |name| {
        let tokenizer = kind(name);
        let token = |id: Option<i64>| id.and_then(|id| tokenizer.id_to_token(id)).unwrap_or_default();
        let (begin, end) = (token(tokenizer.beginning_of_text()), token(tokenizer.end_of_text()));
        let beginning = tokenizer.beginning();
        assert_eq!(beginning.len(), 1);
        [begin, end, token(Some(beginning[0]))]
    };
    assert_eq!(ends("byte_level"), ["", "<|endoftext|>", "<|endoftext|>"]);
    assert_eq!(ends("llama3"), ["<|begin_of_text|>", "<|end_of_text|>", "<|begin_of_text|>"]);
    assert_eq!(ends("llama2"), ["<s>", "</s>", "<s>"]);
    assert_eq!(ends("unigram"), ["", "</s>", "</s>"]);
}

#[test]
fn what_is_learnt_is_what_python_learns() {
    let training = &expected()["training"];
    let (text, vocab_size) = (training["text"].as_str().unwrap(), training["vocab_size"].as_u64().unwrap());
    let tokenizer = Tokenizer::train_bpe(text, vocab_size as usize, |_, _| {}).unwrap();
    let json: Value = serde_json::from_str(tokenizer.to_json()).unwrap();
    assert_eq!(json["model"]["vocab"], training["vocab"]);
    assert_eq!(json["model"]["merges"], training["merges"]);
    assert!(training["merges"].as_array().unwrap().len() > 50);
}

#[test]
fn the_file_comes_back_as_it_was() {
    for name in KINDS {
        let text = std::fs::read_to_string(fixture(&format!("{name}.json"))).unwrap();
        assert_eq!(kind(name).to_json(), text);
    }
    // Truncation to 3 tokens and padding to 9 do not act, and stay in the text.
    let cut: Value = serde_json::from_str(kind("llama3").to_json()).unwrap();
    assert_eq!(cut["truncation"]["max_length"], 3);
    assert!(kind("llama3").encode("a b c d e f g h i j").unwrap().len() > 9);
    assert_eq!(kind("llama3").encode("a").unwrap().len(), 1);
}

/// The parts that a stream gives, joined.
fn streamed(tokenizer: &Tokenizer, ids: &[i64]) -> String {
    let mut stream = tokenizer.stream();
    let mut text: String = ids.iter().map(|&id| stream.push(id).unwrap().unwrap_or_default()).collect();
    text.push_str(&stream.finish().unwrap().unwrap_or_default());
    text
}

#[test]
fn a_stream_gives_text_as_soon_as_it_is_whole() {
    let tokenizer = kind("llama2");
    let push = |stream: &mut models::tokenizer::DecodeStream<'_>, token: &str| {
        stream.push(tokenizer.token_to_id(token).unwrap()).unwrap()
    };
    let mut stream = tokenizer.stream();
    assert_eq!(push(&mut stream, "\u{2581}tu").as_deref(), Some("tu"));
    assert_eq!(push(&mut stream, "\u{2581}tu").as_deref(), Some(" tu"));
    assert_eq!(push(&mut stream, "<0xC3>"), None);
    assert_eq!(push(&mut stream, "<0xA9>"), None);
    assert_eq!(push(&mut stream, "a").as_deref(), Some("\u{e9}a"));
    assert_eq!(push(&mut stream, "<0xC3>"), None);
    assert!(stream.push(100_000).is_err());
    assert_eq!(stream.finish().unwrap().as_deref(), Some("\u{fffd}"));

    let tokenizer = Tokenizer::bytes();
    let mut stream = tokenizer.stream();
    let given: Vec<_> = [0xf0, 0x9f, 0x98, 0x80, 0x9f, 0xc3, 0x41].iter().map(|&id| stream.push(id).unwrap()).collect();
    let text = |text: &str| Some(text.to_string());
    assert_eq!(given, [None, None, None, text("\u{1f600}"), text("\u{fffd}"), None, text("\u{fffd}A")]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_back(text in any::<String>(), more in "[ -~\n\t\u{a0}\u{e9}\u{300}\u{4e16}\u{1f600}\u{200d}]{0,40}") {
        let text = text + &more;
        // Byte-level BPE as GPT-2's and as Llama 3's, and the bytes.
        for tokenizer in [&ALL[0], &ALL[1], &ALL[5]] {
            let ids = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_str());
            prop_assert_eq!(streamed(tokenizer, &ids), text.as_str());
        }
        if !text.is_empty() {
            let tokenizer = Tokenizer::chars(&text).unwrap();
            let ids = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(ids.len(), text.chars().count());
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_str());
            prop_assert_eq!(streamed(&tokenizer, &ids), text.as_str());
        }
    }

    #[test]
    fn a_stream_of_any_ids_joins_to_what_decode_gives(picks in prop::collection::vec(any::<prop::sample::Index>(), 0..40)) {
        for tokenizer in &*ALL {
            let ids: Vec<i64> = picks.iter().map(|pick| pick.index(tokenizer.vocab_size()) as i64).collect();
            prop_assert_eq!(streamed(tokenizer, &ids), tokenizer.decode(&ids).unwrap());
        }
    }
}

/// Changes one place of a good file; whatever that makes of it, reading, encoding and decoding end soon, in a value or in
/// an error of one line. Returns the error of reading.
fn changed(kind: &str, pointer: &str, value: Value) -> Option<String> {
    let started = Instant::now();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let mut json: Value =
        serde_json::from_str(&std::fs::read_to_string(fixture(&format!("{kind}.json"))).unwrap()).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match json.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        object => object[key] = value,
    }
    std::fs::write(&path, json.to_string()).unwrap();
    let one_line = |message: String| {
        assert!(!message.contains('\n'), "{message}");
        message
    };
    let refused = match Tokenizer::load(&path) {
        Err(error) => {
            let message = one_line(error.to_string());
            assert!(message.contains("tokenizer.json"), "{message}");
            Some(message)
        }
        Ok(tokenizer) => {
            for text in ["", "the cat", "  \u{1f600}\n\n\u{0}<0x41>", &"a".repeat(3000), &"a ".repeat(3000)] {
                for ids in [tokenizer.encode(text), tokenizer.encode_with_special_tokens(text)] {
                    let decoded = ids.and_then(|ids| {
                        let mut stream = tokenizer.stream();
                        ids.iter().take(50).try_for_each(|&id| stream.push(id).map(drop))?;
                        stream.finish()?;
                        tokenizer.decode(&ids)
                    });
                    decoded.err().map(|error| one_line(error.to_string()));
                }
            }
            tokenizer.beginning();
            None
        }
    };
    assert!(started.elapsed() < Duration::from_secs(60), "{kind} {pointer} took {:?}", started.elapsed());
    refused
}

#[test]
fn files_that_lie_are_refused_in_one_line_and_cost_nothing() {
    let refused = |kind: &str, pointer: &str, value: Value, says: &str| {
        let message = changed(kind, pointer, value.clone()).unwrap_or_else(|| panic!("{pointer} {value} was read"));
        assert!(message.contains(says), "{pointer}: {message}");
    };
    refused("byte_level", "/model", Value::Null, "");
    refused("byte_level", "/model/type", json!("GPT"), "");
    refused("byte_level", "/model/vocab", json!([1]), "");
    refused("byte_level", "/model/vocab", json!({}), "");
    refused("byte_level", "/model/vocab/!", json!(-1), "");
    refused("byte_level", "/model/vocab/!", json!(4_294_967_296_u64), "");
    refused("byte_level", "/model/vocab/!", json!("0"), "");
    refused("byte_level", "/model/vocab/!", json!(2), "two tokens have the id 2");
    refused("byte_level", "/model/merges", json!([["no", "token"]]), "");
    refused("byte_level", "/model/merges", json!(["a b c"]), "");
    refused("byte_level", "/model/merges", json!(7), "");
    refused("byte_level", "/version", json!("2.0"), "");
    refused("byte_level", "/added_tokens", json!([{"id": 0}]), "");
    refused("byte_level", "/added_tokens", json!(7), "");
    refused("byte_level", "/pre_tokenizer", json!({"type": "Unknown"}), "");
    refused("byte_level", "/decoder", json!([]), "");
    refused("llama3", "/pre_tokenizer/pretokenizers/0/pattern/Regex", json!("(unclosed"), "");
    refused("llama3", "/pre_tokenizer", json!({"type": "FixedLength", "length": 0}), "contradicts itself");
    refused("wordpiece", "/model/max_input_chars_per_word", json!(u64::MAX), "at most 1000");
    refused("unigram", "/model/unk_id", json!(100_000), "");
    refused("unigram", "/model/vocab", json!([]), "");
    refused("unigram", "/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}), "");

    let from_json = |text: &str| Tokenizer::from_json(text).unwrap_err().to_string();
    for text in ["", "{", "[]", "{}", "null", "7", &"[".repeat(100_000), &"{\"model\":".repeat(100_000)] {
        let message = from_json(text);
        assert!(!message.contains('\n') && message.len() < 500, "{message}");
    }
    assert!(Tokenizer::load("does/not/exist.json").unwrap_err().to_string().contains("does/not/exist.json"));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("latin1"), [0xff, 0xfe]).unwrap();
    assert!(Tokenizer::load(dir.path().join("latin1")).unwrap_err().to_string().contains("latin1"));
}

#[test]
fn odd_files_end_in_a_value_or_an_error() {
    // The largest id says how many rows an embedding needs; nothing of that size is made here.
    for id in [4_000_000_000_u64, 4_294_967_295] {
        let mut json: Value = serde_json::from_str(kind("byte_level").to_json()).unwrap();
        json["model"]["vocab"]["!"] = id.into();
        let tokenizer = Tokenizer::from_json(&json.to_string()).unwrap();
        assert_eq!(tokenizer.vocab_size() as u64, id + 1);
        assert_eq!(tokenizer.encode("!").unwrap(), [id as i64]);
        assert_eq!(tokenizer.decode(&[id as i64]).unwrap(), "!");
        assert!(tokenizer.decode(&[id as i64 - 1]).is_err());
        changed("byte_level", "/model/vocab/!", id.into());
        let added = json!([{"id": id, "content": "<new>", "single_word": false, "lstrip": false, "rstrip": false,
                            "normalized": false, "special": true}]);
        changed("byte_level", "/added_tokens", added);
    }
    let huge = json!(u64::MAX);
    let truncation = json!({"direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": huge});
    let padding = json!({"strategy": {"Fixed": huge}, "direction": "Right", "pad_to_multiple_of": 0, "pad_id": 0,
                         "pad_type_id": 0, "pad_token": "x"});
    for (kind, pointer, value) in [
        ("llama3", "/truncation", truncation),
        ("llama3", "/padding", padding),
        ("llama3", "/pre_tokenizer/pretokenizers/0/pattern/Regex", json!("(a+)+$(?=b)")),
        ("llama3", "/pre_tokenizer/pretokenizers/0/pattern/Regex", json!("(?:a|aa)+\\1(b)")),
        ("llama3", "/pre_tokenizer/pretokenizers/0/pattern/Regex", json!("")),
        ("llama3", "/pre_tokenizer/pretokenizers/0/pattern/Regex", json!("(?:a{0,1000}){0,1000}")),
        ("llama3", "/pre_tokenizer", json!({"type": "FixedLength", "length": huge})),
        ("llama3", "/pre_tokenizer", json!({"type": "Sequence", "pretokenizers": []})),
        ("llama3", "/normalizer", json!({"type": "Replace", "pattern": {"String": ""}, "content": "xx"})),
        ("llama3", "/normalizer", json!({"type": "Replace", "pattern": {"Regex": "(a*)*b"}, "content": ""})),
        ("llama3", "/normalizer", json!({"type": "Prepend", "prepend": ""})),
        (
            "llama3",
            "/post_processor",
            json!({"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}),
        ),
        (
            "llama3",
            "/post_processor",
            json!({"type": "BertProcessing", "sep": ["x", 4_000_000_000_u64], "cls": ["y", 1]}),
        ),
        ("byte_level", "/model/unk_token", json!("not there")),
        ("byte_level", "/model/continuing_subword_prefix", json!("##")),
        ("byte_level", "/model/end_of_word_suffix", json!("</w>")),
        ("byte_level", "/model/dropout", json!(0.5)),
        ("byte_level", "/model/dropout", json!(7)),
        ("byte_level", "/model/vocab/", json!(420)),
        ("byte_level", "/decoder", json!({"type": "Strip", "content": " ", "start": huge, "stop": huge})),
        (
            "byte_level",
            "/decoder",
            json!({"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": true}),
        ),
        ("byte_level", "/decoder", json!({"type": "Sequence", "decoders": []})),
        ("byte_level", "/decoder", Value::Null),
        ("llama2", "/model/vocab/<0x41>", json!(100_000)),
        ("unigram", "/model/unk_id", Value::Null),
        ("unigram", "/model/vocab/5", json!(["", -1.0])),
        ("unigram", "/model/vocab/5", json!(["x", 1e308])),
        ("unigram", "/model/vocab/5", json!(["x", -1e308])),
        ("unigram", "/model/byte_fallback", json!(true)),
        ("wordpiece", "/model/unk_token", json!("not there")),
        ("wordpiece", "/model/max_input_chars_per_word", json!(0)),
        ("wordpiece", "/model/max_input_chars_per_word", json!(1000)),
        ("wordpiece", "/model/continuing_subword_prefix", json!("")),
    ] {
        changed(kind, pointer, value);
    }
}

/// Encoding is repeatable whatever the file says.
#[test]
fn dropout_does_not_act() {
    let mut json: Value = serde_json::from_str(kind("byte_level").to_json()).unwrap();
    json["model"]["dropout"] = json!(0.5);
    let tokenizer = Tokenizer::from_json(&json.to_string()).unwrap();
    let text = expected()["training"]["text"].as_str().unwrap().to_owned();
    assert_eq!(tokenizer.encode(&text).unwrap(), kind("byte_level").encode(&text).unwrap());
}
