//! Model directories whose tokenizer is in `vocab.json` and `merges.txt`, as older ones of GPT-2 have it, in every command.

mod binary;

use std::fs;
use std::path::Path;

use binary::{refuses, report, succeeds};
use models::{Gpt, GptConfig, Tokenizer, checkpoint};
use serde_json::{Value, json};

const TEXT: &str = "the cat sat on the mat; the hat was flat.\n";

/// A directory with two of the same model: `new` with a `tokenizer.json`, `old` with the two files.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let [new, old] = ["new", "old"].map(|name| dir.path().join(name));
    tensor::manual_seed(1);
    let tokenizer = Tokenizer::train_bpe(&TEXT.repeat(3), 275, |_, _| {}).unwrap();
    let sizes = GptConfig { heads: 2, ..GptConfig::new(tokenizer.vocab_size(), 8, 16) };
    checkpoint::save(&new, &Gpt::new(sizes).unwrap(), &tokenizer).unwrap();
    fs::create_dir(&old).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(new.join(name), old.join(name)).unwrap();
    }
    let json: Value = serde_json::from_str(tokenizer.to_json()).unwrap();
    fs::write(old.join("vocab.json"), json["model"]["vocab"].to_string()).unwrap();
    let merges = json["model"]["merges"].as_array().unwrap().iter();
    let merges = merges.map(|pair| format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    fs::write(old.join("merges.txt"), format!("#version: 0.2\n{}", merges.collect::<String>())).unwrap();
    fs::write(dir.path().join("text"), TEXT.repeat(20)).unwrap();
    dir
}

fn run(dir: &Path, args: &str) -> String {
    succeeds(dir, &args.split_whitespace().collect::<Vec<_>>())
}

#[test]
fn every_command_reads_the_two_files_as_it_reads_one() {
    let dir = place();
    let dir = dir.path();
    for command in [
        "generate --model DIR --prompt the --max-new 12 --json",
        "eval --model DIR --data text --json",
        "eval --model DIR --ids 1,70,80,90 --json",
    ] {
        let [new, old] = ["new", "old"].map(|name| run(dir, &command.replace("DIR", name)));
        assert_eq!(new, old, "{command}");
        // Bits per byte of tokens need the tokenizer.
        assert!(!old.contains("null") || command.starts_with("generate"), "{old}");
    }
    // A copy keeps the two files, and is read again.
    run(dir, "convert old copy --dtype f64");
    assert!(["vocab.json", "merges.txt"].iter().all(|name| dir.join("copy").join(name).is_file()));
    run(dir, "generate --model copy --prompt the --max-new 3");

    let keys =
        ["path", "format", "files", "tensors", "parameters", "bytes", "dtypes", "metadata", "config", "tokenizer"];
    let listed = report(&run(dir, "inspect old --json"), &keys);
    let merges = fs::read_to_string(dir.join("old/merges.txt")).unwrap().lines().count() - 1;
    let expected = json!({"model": "BPE", "vocabulary": 257 + merges, "merges": merges, "added_tokens": null});
    assert_eq!(listed["tokenizer"], expected);
    assert!(run(dir, "inspect old").contains("\nvocab.json, merges.txt\n"));
}

#[test]
fn training_goes_on_from_the_two_files_and_takes_them_for_a_new_model() {
    const TINY: &str = "train --data text --batch 2 --steps 2 --eval-batches 1 --threads 1";
    let dir = place();
    let dir = dir.path();
    run(dir, &format!("{TINY} --init-from old --out tuned"));
    run(dir, &format!("{TINY} --context 8 --layers 1 --heads 1 --width 8 --tokenizer old --out fresh"));
    run(dir, "train --resume --out fresh --tokenizer old");
    let original = Tokenizer::load(dir.join("new/tokenizer.json")).unwrap();
    for out in ["tuned", "fresh"] {
        let written = Tokenizer::load(dir.join(out).join("tokenizer.json")).unwrap();
        assert_eq!(written.encode(TEXT).unwrap(), original.encode(TEXT).unwrap());
        assert_eq!(written.end_of_text(), original.end_of_text());
    }
}

#[test]
fn what_is_wrong_with_them_is_one_line() {
    let dir = place();
    let dir = dir.path();
    let refused = |says: &str| {
        for command in [
            "generate --model old --prompt a",
            "eval --model old --data text",
            "train --data text --init-from old --out none",
            "train --data text --tokenizer old --out none",
        ] {
            refuses(dir, &command.split_whitespace().collect::<Vec<_>>(), says);
        }
    };
    let merges = dir.join("old/merges.txt");
    let lines = fs::read_to_string(&merges).unwrap();
    fs::write(&merges, format!("{lines}t zebra\n")).unwrap();
    refused(&format!("merges.txt: line {}: \"zebra\" is not in the vocabulary", lines.lines().count() + 1));
    fs::remove_file(&merges).unwrap();
    refused("neither are both vocab.json and merges.txt");
    assert!(!dir.join("none").exists());
}
