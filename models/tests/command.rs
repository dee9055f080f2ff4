//! The `gpt` command as others call it: files, exit codes, stdout and stderr.

mod binary;

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use binary::{gpt, refuses, report, succeeds};
use models::checkpoint;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A directory with a text and a model that was trained on it for a moment.
fn trained() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text"), "the cat sat on the mat; the caf\u{e9} was shut.\n".repeat(40)).unwrap();
    succeeds(dir.path(), &[&["train", "--data", "text", "--out", "model"], TINY].concat());
    dir
}

const TINY: &[&str] = &[
    "--layers",
    "1",
    "--heads",
    "2",
    "--width",
    "16",
    "--context",
    "8",
    "--batch",
    "4",
    "--steps",
    "30",
    "--warmup",
    "5",
];

#[test]
fn a_trained_model_is_saved_reported_and_writes() {
    let dir = trained();
    let args = ["train", "--data", "text", "--out", "again", "--json", "--eval-every", "10", "--threads", "2"];
    let output = gpt(dir.path(), &[&args, TINY].concat());
    assert!(output.status.success());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let keys = ["steps", "train_loss", "val_loss", "tokens_per_s", "seconds", "peak_rss_mb", "parameters"];
    let report = report(&out, &keys);
    assert_eq!(report["steps"], 30);
    assert!(report["val_loss"].as_f64().unwrap() < 3.5 && report["tokens_per_s"].as_f64().unwrap() > 0.0);
    assert!(out.contains("a sample") && out.contains("generate --model again"), "{out}");
    // stderr is no terminal here: plain lines without control characters.
    assert!(err.contains("step 30/30") && err.contains("validation loss") && !err.contains('\u{1b}'), "{err}");

    let at = |name: &str| dir.path().join("again").join(name);
    let csv = fs::read_to_string(at("loss.csv")).unwrap();
    assert_eq!(csv.lines().count(), 31);
    assert!(fs::read_to_string(at("loss.svg")).unwrap().starts_with("<svg"));
    let (model, tokenizer) = checkpoint::load(&dir.path().join("again")).unwrap();
    assert_eq!(model.config().num_parameters(), report["parameters"].as_u64());
    assert!(tokenizer.token_to_id("\u{e9}").is_some());
    // The same options give the same bytes.
    let same = |name: &str| fs::read(at(name)).unwrap() == fs::read(dir.path().join("model").join(name)).unwrap();
    assert!(same("model.safetensors") && same("config.json") && same("tokenizer.json"));

    let args = ["generate", "--model", "model", "--prompt", "the caf\u{e9}", "--max-new", "20", "--seed", "5"];
    let written = succeeds(dir.path(), &args);
    assert!(written.starts_with("the caf\u{e9}") && written.ends_with('\n'), "{written}");
    assert_eq!(written.chars().count(), 8 + 20 + 1);
    assert_eq!(succeeds(dir.path(), &args), written);
    let greedy = ["generate", "--model", "model", "--temperature", "0", "--top-k", "3", "--max-new", "7"];
    assert_eq!(succeeds(dir.path(), &greedy).chars().count(), 7 + 1);
}

#[test]
fn a_text_or_an_option_that_cannot_be_used_is_refused_and_changes_nothing() {
    let dir = trained();
    let before = fs::read(dir.path().join("model/model.safetensors")).unwrap();
    fs::write(dir.path().join("empty"), "").unwrap();
    fs::write(dir.path().join("short"), "abc").unwrap();
    fs::write(dir.path().join("latin1"), [b'a', 0xe9, b'b']).unwrap();
    let train = |args: &[&'static str]| -> Vec<&'static str> { [&["train", "--out", "model"], args].concat() };
    for (args, says) in [
        (train(&["--data", "missing"]), "missing"),
        (train(&["--data", "empty"]), "empty: the file is empty"),
        (train(&["--data", "short"]), "too short"),
        (train(&["--data", "latin1"]), "latin1: not a UTF-8 text"),
        (train(&["--data", "model"]), "cannot read model"),
        (train(&["--data", "text", "--context", "100000"]), "context of 100000"),
        (train(&["--data", "text", "--heads", "3"]), "3 heads do not divide the width 128"),
        (train(&["--data", "text", "--preset", "huge"]), "huge"),
        (train(&["--data", "text", "--steps", "0"]), "at least 1"),
        (train(&["--data", "text", "--batch", "-3"]), "-3"),
        (train(&["--data", "text", "--width", "0"]), "at least 1"),
        (train(&["--data", "text", "--lr", "fast"]), "fast"),
        (train(&["--data", "text", "--lr", "0"]), "learning rate 0"),
        (train(&["--data", "text", "--min-lr", "1"]), "minimal learning rate 1"),
        (train(&["--data", "text", "--dropout", "1"]), "dropout 1"),
        (train(&["--data", "text", "--width", "4000000000"]), "memory"),
        (train(&["--data", "text", "--width", "400000"]), "GB"),
        (train(&["--data", "text", "--batch", "18446744073709551615"]), "GB"),
        (train(&["--data", "text", "--unknown"]), "--unknown"),
        (vec!["train", "--data", "text", "--out", "text"], "--out text"),
    ] {
        refuses(dir.path(), &args, says);
    }
    assert_eq!(fs::read(dir.path().join("model/model.safetensors")).unwrap(), before);
    let mut files: Vec<_> = fs::read_dir(dir.path().join("model")).unwrap().map(|e| e.unwrap().file_name()).collect();
    files.sort();
    let expected = [
        "best",
        "checkpoints",
        "config.json",
        "loss.csv",
        "loss.svg",
        "model.safetensors",
        "run.lock",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(files, expected);
    refuses(dir.path(), &["train", "--data", "missing", "--out", "fresh"], "missing");
    assert!(!dir.path().join("fresh").exists());
}

/// A run that diverges fails only after its first evaluation; what an older run left must still be there.
#[test]
fn a_run_that_diverges_leaves_the_older_model_and_its_curve() {
    let dir = trained();
    let model = dir.path().join("model");
    let contents =
        || ["model.safetensors", "config.json", "loss.csv", "loss.svg"].map(|f| fs::read(model.join(f)).unwrap());
    let before = contents();
    let args = ["train", "--data", "text", "--out", "model", "--lr", "1e30", "--clip", "0", "--eval-every", "1"];
    let output = gpt(dir.path(), &[&args, TINY].concat());
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("diverged"), "{}", text(&output.stderr));
    assert!(contents() == before);
}

#[test]
fn a_model_or_a_prompt_that_cannot_be_used_is_refused() {
    let dir = trained();
    let prompt = |prompt: &'static str| vec!["generate", "--model", "model", "--prompt", prompt];
    refuses(dir.path(), &prompt("the dog"), "characters outside the vocabulary: 'd' (U+0064), 'g' (U+0067)");
    refuses(dir.path(), &["generate", "--model", "nowhere"], "nowhere");
    refuses(dir.path(), &["generate", "--model", "model", "--temperature", "nan"], "nan");
    let weights = dir.path().join("model/model.safetensors");
    let good = fs::read(&weights).unwrap();
    fs::write(&weights, &good[..good.len() / 2]).unwrap();
    refuses(dir.path(), &["generate", "--model", "model"], "model.safetensors");
    fs::write(&weights, &good).unwrap();
    let config = dir.path().join("model/config.json");
    let other = fs::read_to_string(&config).unwrap().replace("\"n_embd\": 16", "\"n_embd\": 18");
    fs::write(&config, other).unwrap();
    refuses(dir.path(), &["generate", "--model", "model"], "wte.weight is");
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_panic() {
    let dir = trained();
    let mut child = Command::new(env!("CARGO_BIN_EXE_gpt"))
        .current_dir(dir.path())
        .args(["generate", "--model", "model", "--max-new", "5000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    // The pipe is closed now, long before 5000 characters are written.
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    for args in [&["--help"][..], &["--version"], &["bench", "ops", "--json"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gpt")).args(args).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let dir = trained();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for args in [
        "--help",
        "--version",
        "train --help",
        "inspect model",
        "inspect model --json",
        "plan --config gpt2 --tokens 1e9 --gflops 1",
        "plan --config gpt2 --tokens 1e9 --gflops 1 --json",
        "generate --model model --max-new 5",
        "generate --model model --max-new 5 --stream --json",
        "generate --model model --max-new 5 --json",
        "generate --model model --max-new 5 --beams 2",
        "eval --model model --ids 1,2,3",
        "eval --model model --ids 1,2,3 --json",
        "logits --model model --ids 1,2,3 --out logits.safetensors",
        "convert model/model.safetensors copy.safetensors",
        "bench ops --json",
        "train --resume --out model",
        "train --data text --layers 1 --width 16 --heads 2 --context 8 --steps 1 --out other",
    ] {
        let mut gpt = Command::new(env!("CARGO_BIN_EXE_gpt"));
        let output = gpt.current_dir(dir.path()).args(args.split(' ')).stdout(full()).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args}: {said}");
        assert!(said.starts_with("error: cannot write stdout: ") && said.lines().count() == 1, "{args}: {said}");
    }
}

#[test]
fn benchmarks_report_what_the_yardstick_reports() {
    let dir = tempfile::tempdir().unwrap();
    let out = succeeds(dir.path(), &["bench", "train", "nano-cpu", "--seconds", "0", "--threads", "1", "--json"]);
    let keys = [
        "engine",
        "what",
        "preset",
        "threads",
        "steps",
        "median_ms",
        "min_ms",
        "tokens_per_s",
        "peak_rss_mb",
        "last_loss",
        "first_step_ms",
    ];
    let speed = report(&out, &keys);
    assert!(speed["first_step_ms"].as_f64().unwrap() >= speed["min_ms"].as_f64().unwrap());
    assert_eq!((&speed["what"], &speed["preset"], &speed["threads"]), (&"train".into(), &"nano-cpu".into(), &1.into()));
    assert_eq!(speed["steps"], 8);
    let out = succeeds(dir.path(), &["bench", "ops", "--json"]);
    let speed = report(&out, &["engine", "what", "threads", "add_2x2_ns", "chain_node_ns"]);
    assert!(speed["chain_node_ns"].as_f64().unwrap() > 0.0);
    assert!(succeeds(dir.path(), &["bench", "ops"]).contains("ns per node"));
}

#[test]
fn every_command_has_help_with_an_example() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["train", "--help"], &["generate", "--help"], &["bench", "train", "--help"]] {
        assert!(succeeds(dir.path(), args).contains("Example"), "{args:?}");
    }
    assert!(succeeds(dir.path(), &["--version"]).starts_with("gpt "));
}
