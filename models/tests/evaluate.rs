//! `gpt eval` and `gpt logits` on a model that Python's `transformers` saved, whose logits are known.

mod binary;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use binary::{fails, refuses, report, succeeds};
use serde_json::Value;
use tensor::{DType, Tensor, safetensors};

const KEYS: [&str; 4] = ["loss", "perplexity", "bits_per_byte", "tokens"];

/// What `tests/scripts/hf_gpt2.py` wrote: a model of 11 characters with a context of 6, and its `ids` and `logits`.
fn fixture() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hf_gpt2"))
}

fn tensors(path: &Path) -> HashMap<String, Tensor> {
    safetensors::load(path).unwrap().tensors.into_iter().collect()
}

/// A copy of the fixture's model directory as `model` in a new directory, with the files named.
fn copied(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("model")).unwrap();
    for name in files {
        fs::copy(fixture().join(name), dir.path().join("model").join(name)).unwrap();
    }
    dir
}

const ALL: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

fn listed(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

/// The first row of the fixture's ids, and the logits that Python computed for it.
fn row() -> (Vec<i64>, Tensor) {
    let expected = tensors(&fixture().join("expected.safetensors"));
    (expected["ids"].select(0, 0).to_vec::<i64>(), expected["logits"].select(0, 0))
}

#[track_caller]
fn near(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() <= 1e-5 * expected.abs(), "{value} {expected}");
}

#[test]
fn logits_are_those_of_python() {
    let (ids, expected) = row();
    // No tokenizer is needed.
    let dir = copied(&ALL[..2]);
    let ids = listed(&ids);
    let args = ["logits", "--model", "model", "--ids", &ids, "--out", "logits.safetensors", "--threads", "1"];
    assert!(succeeds(dir.path(), &args).contains("logits.safetensors: logits [6, 11]"));
    let written = tensors(&dir.path().join("logits.safetensors"));
    assert_eq!(written.keys().collect::<Vec<_>>(), ["logits"]);
    let logits = &written["logits"];
    assert_eq!((logits.dims(), logits.dtype()), (&[6, 11][..], DType::F32));
    let difference = (logits - &expected).abs().max().item::<f32>();
    assert!(difference <= 2e-5 * expected.abs().max().item::<f32>(), "{difference}");
    // The logits of a shorter text are the first of a longer one; an older file is replaced.
    let args = ["logits", "--model", "model", "--ids", &ids[..3], "--out", "logits.safetensors"];
    succeeds(dir.path(), &args);
    let shorter = &tensors(&dir.path().join("logits.safetensors"))["logits"];
    assert!(shorter.allclose(&expected.narrow(0, 0, 2), 1e-4, 1e-4));
}

#[test]
fn the_loss_follows_from_the_logits_of_python() {
    let (ids, logits) = row();
    let dir = copied(&ALL);
    let log_p = logits.to_dtype(DType::F64).log_softmax(-1);
    let loss = (0..5).map(|i| -log_p.get::<f64>(&[i, ids[i + 1] as usize])).sum::<f64>() / 5.0;
    let alphabet: Vec<char> = "\n '\"\\abc\u{e9}\u{4e16}\u{1f600}".chars().collect();
    let text: String = ids.iter().map(|&id| alphabet[id as usize]).collect();
    let bytes = (text.len() - alphabet[ids[0] as usize].len_utf8()) as f64;
    fs::write(dir.path().join("text"), &text).unwrap();
    let ids = listed(&ids);
    for given in [["--ids", &ids], ["--data", "text"]] {
        let args = [&["eval", "--model", "model", "--json"], &given[..]].concat();
        let found = report(&succeeds(dir.path(), &args), &KEYS);
        near(&found["loss"], loss);
        near(&found["perplexity"], loss.exp());
        near(&found["bits_per_byte"], 5.0 * loss / 2f64.ln() / bytes);
        assert_eq!(found["tokens"], 5);
        let said = succeeds(dir.path(), &args.iter().copied().filter(|arg| *arg != "--json").collect::<Vec<_>>());
        assert!(said.contains(&format!("loss {loss:.4} nats per token")) && said.contains("over 5 tokens"), "{said}");
    }
    fs::remove_file(dir.path().join("model/tokenizer.json")).unwrap();
    let found = report(&succeeds(dir.path(), &["eval", "--model", "model", "--ids", &ids, "--json"]), &KEYS);
    near(&found["loss"], loss);
    assert_eq!(found["bits_per_byte"], Value::Null);
}

#[test]
fn a_text_longer_than_the_context_is_cut_into_windows() {
    let dir = copied(&ALL);
    let text: String = "abc cab\n'bac' \"acb\" \\ bca ".repeat(3);
    fs::write(dir.path().join("text"), &text).unwrap();
    let eval = |more: &[&str]| {
        let args = [&["eval", "--model", "model", "--data", "text", "--json"], more].concat();
        report(&succeeds(dir.path(), &args), &KEYS)
    };
    let whole = eval(&[]);
    assert_eq!(whole["tokens"], text.len() - 1);
    assert_eq!(whole, eval(&["--stride", "6"]));
    assert_eq!(whole, eval(&["--threads", "1"]));
    // The same windows one at a time: 0..=6, 6..=12, ..
    let alphabet = "\n '\"\\abc";
    let ids: Vec<i64> = text.chars().map(|c| alphabet.find(c).unwrap() as i64).collect();
    let mut nats = 0.0;
    for at in (0..ids.len() - 1).step_by(6) {
        let window = &ids[at..ids.len().min(at + 7)];
        if let [seen @ .., _] = window {
            succeeds(dir.path(), &["logits", "--model", "model", "--ids", &listed(seen), "--out", "l"]);
            let log_p = tensors(&dir.path().join("l"))["logits"].to_dtype(DType::F64).log_softmax(-1);
            nats -= (0..seen.len()).map(|i| log_p.get::<f64>(&[i, window[i + 1] as usize])).sum::<f64>();
        }
    }
    near(&whole["loss"], nats / (ids.len() - 1) as f64);
    let overlapping = eval(&["--stride", "1"]);
    assert_eq!(overlapping["tokens"], whole["tokens"]);
    assert_ne!(overlapping["loss"], whole["loss"]);
    // A window of one token: each is predicted from the one before it alone, whose logits are the first of any text.
    assert_eq!(whole, eval(&["--context", "6"]));
    let pairs = eval(&["--context", "1"]);
    let mut nats = 0.0;
    for pair in ids.windows(2) {
        // Equal pairs have equal losses.
        let file = format!("l{}", pair[0]);
        if !dir.path().join(&file).exists() {
            succeeds(dir.path(), &["logits", "--model", "model", "--ids", &listed(&pair[..1]), "--out", &file]);
        }
        let log_p = tensors(&dir.path().join(&file))["logits"].to_dtype(DType::F64).log_softmax(-1);
        nats -= log_p.get::<f64>(&[0, pair[1] as usize]);
    }
    near(&pairs["loss"], nats / (ids.len() - 1) as f64);
    assert_eq!(pairs["tokens"], whole["tokens"]);
    assert_eq!(eval(&["--context", "4"]), eval(&["--context", "4", "--stride", "4"]));
    assert_ne!(eval(&["--context", "4"])["loss"], whole["loss"]);
}

#[test]
fn what_cannot_be_evaluated_is_refused_in_one_line() {
    let dir = copied(&ALL);
    fs::write(dir.path().join("empty"), "").unwrap();
    fs::write(dir.path().join("one"), "a").unwrap();
    fs::write(dir.path().join("other"), "abx").unwrap();
    fs::write(dir.path().join("latin1"), [b'a', 0xe9]).unwrap();
    let eval = |more: &[&'static str]| [&["eval", "--model", "model"], more].concat();
    let logits = |more: &[&'static str]| [&["logits", "--model", "model", "--out", "out"], more].concat();
    for (args, says) in [
        (eval(&[]), "--data"),
        (eval(&["--data", "one", "--ids", "1,2"]), "--ids"),
        (eval(&["--data", "missing"]), "cannot read missing"),
        (eval(&["--data", "empty"]), "empty: the file is empty"),
        (eval(&["--data", "one"]), "one: one token to evaluate: at least 2"),
        (eval(&["--data", "other"]), "'x'"),
        (eval(&["--data", "latin1"]), "latin1: not a UTF-8 text"),
        (eval(&["--ids", "3"]), "at least 2"),
        (eval(&["--ids", ""]), "--ids"),
        (eval(&["--ids", "1,,2"]), "--ids"),
        (eval(&["--ids", "1,b"]), "not the number of a token"),
        (eval(&["--ids", "1,11"]), "token 11 is outside the model's vocabulary of 11"),
        (eval(&["--ids", "-1,2"]), "token -1"),
        (eval(&["--ids", "1,2", "--stride", "7"]), "stride 7"),
        (eval(&["--ids", "1,2", "--stride", "0"]), "at least 1"),
        (eval(&["--ids", "1,2", "--context", "7"]), "context 7 of a window is not in 1..=6"),
        (eval(&["--ids", "1,2", "--context", "4", "--stride", "5"]), "stride 5 is not in 1..=4"),
        (eval(&["--ids", "1,2", "--context", "0"]), "at least 1"),
        (vec!["eval", "--ids", "1,2"], "--model"),
        (vec!["eval", "--model", "nowhere", "--ids", "1,2"], "nowhere"),
        (logits(&[]), "--ids"),
        (logits(&["--ids", ""]), "--ids"),
        (logits(&["--ids", "1,2,11"]), "token 11"),
        (logits(&["--ids", "-3"]), "token -3"),
        (logits(&["--ids", "99999999999999999999"]), "not the number of a token"),
        (logits(&["--ids", "1,2,3,4,5,6,7"]), "7 tokens do not fit the model's context of 6"),
        (vec!["logits", "--model", "model", "--ids", "1"], "--out"),
        (vec!["logits", "--model", "nowhere", "--ids", "1", "--out", "out"], "nowhere"),
    ] {
        refuses(dir.path(), &args, says);
        assert!(!dir.path().join("out").exists());
    }
    fails(dir.path(), &["logits", "--model", "model", "--ids", "1", "--out", "no/such/dir"], 1, "no/such/dir");
}

#[test]
fn each_command_has_help_with_an_example() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["eval", "logits"] {
        assert!(succeeds(dir.path(), &[command, "--help"]).contains("Example"), "{command}");
    }
}
