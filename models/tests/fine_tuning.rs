//! The options of `gpt train` that decide what is trained: tokenizers, dtypes, models to begin with.

mod binary;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use binary::{gpt, refuses, report, succeeds};
use models::{Tokenizer, checkpoint};
use nn::prelude::*;

/// A run with dropout of a model that is trained in a moment.
const TINY: &str = "train --data text --context 8 --batch 2 --dropout 0.2 --warmup 2 --eval-every 4 --eval-batches 1 \
                    --steps 10 --threads 1 --lr 1e-2";
const SIZES: &str = "--layers 1 --heads 2 --width 16";

fn run(dir: &Path, args: &str) -> String {
    succeeds(dir, &args.split_whitespace().collect::<Vec<_>>())
}

#[track_caller]
fn refused(dir: &Path, args: &str, says: &str) {
    refuses(dir, &args.split_whitespace().collect::<Vec<_>>(), says);
}

/// A directory with a text.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text"), "the cat sat on the mat; the hat was flat.\n".repeat(40)).unwrap();
    dir
}

/// All files of a run that are decided by its options.
fn decided(run: &Path) -> Vec<(String, Vec<u8>)> {
    let newest = fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut files = Vec::new();
    for dir in [run, &run.join("best"), &newest] {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
            let name = entry.file_name().into_string().unwrap();
            // The time that a run took is in the state.
            if entry.path().is_file() && !["state.json", "checksums.json", "run.lock"].contains(&name.as_str()) {
                files.push((format!("{}/{name}", dir.file_name().unwrap().display()), fs::read(entry.path()).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Trains `args` to the end, and once more with a kill on the way and a resume without any of the options.
#[track_caller]
fn resumes_to_the_same_bytes(dir: &Path, args: &str, before_the_resume: impl Fn()) {
    let (whole, killed) = (dir.join("same"), dir.join("parts").join("same"));
    run(dir, &format!("{args} --out same"));
    let args: Vec<&str> = args.split_whitespace().collect();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gpt"));
    command.current_dir(dir).args(&args).args(["--save-every", "1", "--keep", "1", "--out", "parts/same"]);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !killed.join("checkpoints/step-00000003").exists() && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no step in a minute");
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    before_the_resume();
    run(dir, "train --resume --out parts/same");
    let (whole, killed) = (decided(&whole), decided(&killed));
    assert_eq!(names(&whole), names(&killed));
    for ((name, a), (_, b)) in whole.iter().zip(&killed) {
        assert!(a == b, "{name} differs");
    }
}

fn names(files: &[(String, Vec<u8>)]) -> Vec<&String> {
    files.iter().map(|(name, _)| name).collect()
}

fn weights(dir: &Path) -> nn::StateDict {
    checkpoint::load_model(dir).unwrap().state_dict()
}

#[test]
fn bytes_are_tokens_and_a_resume_keeps_them() {
    let dir = place();
    let args = format!("{TINY} {SIZES} --tokenizer byte");
    resumes_to_the_same_bytes(dir.path(), &args, || {});
    let (model, tokenizer) = checkpoint::load(&dir.path().join("same")).unwrap();
    assert_eq!((model.vocab(), tokenizer), (256, Tokenizer::bytes()));
    let resume = |more: &str| format!("train --resume --out same {more}");
    run(dir.path(), &resume("--tokenizer byte"));
    refused(dir.path(), &resume("--tokenizer char"), "--tokenizer char instead of byte");
    refused(dir.path(), &resume("--tokenizer same/tokenizer.json"), "instead of byte");
}

#[test]
fn pieces_of_words_are_learnt_from_the_text_for_training_once() {
    let dir = place();
    let text = fs::read_to_string(dir.path().join("text")).unwrap();
    // The last tenth validates: nothing is learnt from it.
    let text = text[..text.len() - text.len().div_ceil(10) + 1].to_owned() + &"xyxyxyxy".repeat(19);
    fs::write(dir.path().join("text"), &text).unwrap();
    let args = format!("{TINY} {SIZES} --tokenizer bpe:280");
    resumes_to_the_same_bytes(dir.path(), &args, || {});
    let (model, tokenizer) = checkpoint::load(&dir.path().join("same")).unwrap();
    assert_eq!(model.vocab(), tokenizer.vocab_size());
    assert!((270..=280).contains(&tokenizer.vocab_size()));
    assert_eq!(tokenizer.encode("the cat sat").unwrap().len(), 3);
    assert_eq!(tokenizer.encode("xyxy").unwrap().len(), 4);
    refused(dir.path(), "train --resume --out same --tokenizer bpe:290", "--tokenizer bpe:290 instead of bpe:280");
    refused(dir.path(), &format!("{TINY} {SIZES} --tokenizer bpe:256 --out new"), "--tokenizer bpe:256");
    refused(dir.path(), &format!("{TINY} {SIZES} --tokenizer bpe:x --out new"), "bpe:");
}

#[test]
fn a_tokenizer_from_a_file_is_known_by_its_contents() {
    let dir = place();
    fs::write(dir.path().join("t.json"), Tokenizer::chars("a.;\ntheflsonmw c").unwrap().to_json()).unwrap();
    fs::create_dir(dir.path().join("other")).unwrap();
    fs::write(dir.path().join("other/tokenizer.json"), Tokenizer::bytes().to_json()).unwrap();
    run(dir.path(), &format!("{TINY} {SIZES} --tokenizer t.json --out run"));
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert!(read("run/tokenizer.json") == read("t.json"));
    fs::rename(dir.path().join("t.json"), dir.path().join("moved.json")).unwrap();
    run(dir.path(), "train --resume --out run");
    run(dir.path(), "train --resume --out run --tokenizer moved.json");
    refused(dir.path(), "train --resume --out run --tokenizer other", "the file of --tokenizer");
    refused(dir.path(), "train --resume --out run --tokenizer missing.json", "missing.json");
    refused(dir.path(), &format!("{TINY} {SIZES} --tokenizer text --out new"), "text");
    assert!(!dir.path().join("new").exists());
}

#[test]
fn parameters_of_other_dtypes_are_trained_and_resumed() {
    for (name, dtype) in [("f64", DType::F64), ("bf16", DType::BF16)] {
        let dir = place();
        resumes_to_the_same_bytes(dir.path(), &format!("{TINY} {SIZES} --dtype {name}"), || {});
        let trained = weights(&dir.path().join("same"));
        assert!(trained.values().all(|weight| weight.dtype() == dtype), "{name}");
        refused(dir.path(), "train --resume --out same --dtype f32", &format!("--dtype f32 instead of {name}"));
        // The same run in single precision is near.
        run(dir.path(), &format!("{TINY} {SIZES} --out single"));
        let single = weights(&dir.path().join("single"));
        for (name, weight) in &trained {
            let most = if dtype == DType::F64 { 1e-4 } else { 2e-2 };
            assert!(weight.to_dtype(DType::F32).allclose(&single[name], most, most), "{dtype} {name}");
        }
    }
}

#[test]
fn a_model_is_tuned_and_its_directory_is_needed_once() {
    let dir = place();
    run(dir.path(), &format!("{TINY} {SIZES} --out base"));
    let base = weights(&dir.path().join("base"));
    let args = format!("{} --init-from base", TINY.replace("--context 8", "--context 5"));
    resumes_to_the_same_bytes(dir.path(), &args, || {
        fs::rename(dir.path().join("base"), dir.path().join("gone")).unwrap();
    });
    let (model, _) = checkpoint::load(&dir.path().join("same")).unwrap();
    assert_eq!((model.context(), model.config().dropout()), (8, 0.2));
    let tuned = model.state_dict();
    for (name, weight) in &base {
        assert!(!weight.bit_eq(&tuned[name]) && weight.allclose(&tuned[name], 0.0, 0.2), "{name}");
    }
    // Rows that no window reaches stay as they were, but for the decay.
    let place = |dict: &nn::StateDict| dict["positions.weight"].narrow(0, 5, 3);
    assert!(place(&base).allclose(&place(&tuned), 0.01, 0.0));
    let told = run(dir.path(), "train --resume --out same --init-from base --json");
    let keys = ["steps", "train_loss", "val_loss", "tokens_per_s", "seconds", "peak_rss_mb", "parameters"];
    assert_eq!(report(&told, &keys)["parameters"], model.num_parameters());
    let resume = |more: &str| format!("train --resume --out same {more}");
    refused(dir.path(), &resume("--layers 2"), "--layers 2 instead of that of the model");
    refused(dir.path(), &resume("--init-from gone"), "--init-from gone instead of base");
    refused(dir.path(), &resume("--context 8"), "--context 8 instead of 5");
}

#[test]
fn adapters_are_trained_and_the_files_hold_the_merged_model() {
    let dir = place();
    run(dir.path(), &format!("{TINY} {SIZES} --out base"));
    let base = weights(&dir.path().join("base"));
    resumes_to_the_same_bytes(dir.path(), &format!("{TINY} --init-from base --lora 2"), || {
        fs::remove_dir_all(dir.path().join("base")).unwrap();
    });
    let run_dir = dir.path().join("same");
    let tuned = weights(&run_dir);
    assert_eq!(tuned.len(), base.len());
    for (name, weight) in &base {
        let adapted = ["out_proj.weight", "up.weight", "down.weight"].iter().any(|end| name.ends_with(end));
        assert_eq!(weight.bit_eq(&tuned[name]), !adapted, "{name}");
    }
    // Beside the merged model a checkpoint has its parts.
    let parts = run_dir.join("checkpoints/step-00000010");
    let adapters = nn::load_file(parts.join("adapters.safetensors")).unwrap();
    let of = |layer: &str| &adapters[&format!("blocks.0.up.{layer}.weight")];
    let product = of("lora_B").matmul(of("lora_A")) * 2.0;
    assert!((base["blocks.0.up.weight"].clone() + product).allclose(&tuned["blocks.0.up.weight"], 1e-6, 1e-7));
    let below = nn::load_file(parts.join("base.safetensors")).unwrap();
    assert!(base.iter().all(|(name, weight)| weight.bit_eq(&below[name])) && below.len() == base.len());
    assert!(!run_dir.join("base.safetensors").exists() && !run_dir.join("best/adapters.safetensors").exists());
    run(dir.path(), "generate --model same --max-new 5");
    refused(dir.path(), "train --resume --out same --lora 3", "--lora 3 instead of 2");
    refused(dir.path(), &format!("{TINY} {SIZES} --lora 2 --out new"), "--init-from DIR");
    refused(dir.path(), "train --data text --init-from same --lora 17 --out new", "--lora 17 is more than the width");
}

#[test]
fn what_does_not_fit_a_model_to_begin_with_is_refused() {
    let dir = place();
    run(dir.path(), &format!("{TINY} {SIZES} --out base"));
    let begin = |more: &str| format!("train --data text --steps 2 --init-from base --out new {more}");
    for option in ["--layers 1", "--heads 2", "--width 16", "--preset baby"] {
        refused(dir.path(), &begin(option), option.split(' ').next().unwrap());
    }
    refused(dir.path(), &begin("--context 9"), "--context 9 is more than the 8 of base");
    refused(dir.path(), &begin("--tokenizer byte"), "the tokenizer has 256 tokens");
    refused(dir.path(), &begin("--dropout 1"), "dropout");
    refused(dir.path(), "train --data text --init-from missing --out new", "missing");
    fs::write(dir.path().join("text"), "Zebra!\n".repeat(99)).unwrap();
    refused(dir.path(), &begin(""), "'Z'");
    assert!(!dir.path().join("new").exists());
}

#[test]
fn a_model_that_does_not_fit_the_memory_is_refused_before_its_weights_are_read() {
    let dir = place();
    run(dir.path(), &format!("{TINY} {SIZES} --out base"));
    let base = dir.path().join("base");
    fs::remove_file(base.join("model.safetensors")).unwrap();
    refused(dir.path(), &format!("{TINY} --init-from base --out new"), "base: ");
    // A thousand layers of a width of a hundred thousand: more than any machine has.
    let config = fs::read_to_string(base.join("config.json")).unwrap();
    let config = config.replace("\"n_embd\": 16", "\"n_embd\": 100000").replace("\"n_layer\": 1", "\"n_layer\": 1000");
    fs::write(base.join("config.json"), config).unwrap();
    for (more, says) in [
        ("", "training 120"),
        ("--dtype f64", "GB, this machine has"),
        ("--lora 2", "training adapters of rank 2 for 120"),
    ] {
        refused(dir.path(), &format!("{TINY} --init-from base --out new {more}"), says);
    }
    assert!(!dir.path().join("new").exists());
}

#[test]
fn samples_change_nothing() {
    let dir = place();
    run(dir.path(), &format!("{TINY} {SIZES} --tokenizer byte --out silent"));
    let args = format!("{TINY} {SIZES} --tokenizer byte --out writing --sample-every 3");
    let output = gpt(dir.path(), &args.split_whitespace().collect::<Vec<_>>());
    assert!(output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    for step in [3, 6, 9] {
        let (_, sample) = told.split_once(&format!("step {step}  a sample: ")).unwrap();
        assert!(sample.chars().count() > 150, "{sample}");
    }
    assert_eq!(told.matches("a sample").count(), 3);
    let without = |run: &str| decided(&dir.path().join(run)).into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
    let sorted = |mut all: Vec<Vec<u8>>| {
        all.sort();
        all
    };
    assert!(sorted(without("silent")) == sorted(without("writing")));
}

#[test]
fn a_llama_of_hugging_faces_is_tuned() {
    let dir = place();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hf/llama");
    for more in ["", "--lora 2"] {
        let args = format!("{TINY} --tokenizer char --init-from {model} {more}");
        resumes_to_the_same_bytes(dir.path(), &args, || {});
        let (tuned, tokenizer) = checkpoint::load(&dir.path().join("same")).unwrap();
        assert!(tokenizer.vocab_size() < tuned.vocab());
        let (old, new) = (weights(Path::new(model)), tuned.state_dict());
        let kept = old.iter().filter(|(name, weight)| weight.bit_eq(&new[*name])).count();
        assert!(if more.is_empty() { kept == 0 } else { kept > 0 && kept < old.len() }, "{kept}");
        for run in ["same", "parts"] {
            fs::remove_dir_all(dir.path().join(run)).unwrap();
        }
    }
}

#[test]
fn the_tokens_that_end_a_text_are_those_of_the_model_that_is_tuned() {
    let dir = place();
    run(dir.path(), &format!("{TINY} {SIZES} --out base"));
    assert!(checkpoint::end_tokens(&dir.path().join("base")).unwrap().is_empty());
    fs::write(dir.path().join("base/generation_config.json"), r#"{"eos_token_id": [3, 1]}"#).unwrap();
    resumes_to_the_same_bytes(dir.path(), &format!("{TINY} --init-from base"), || {});
    assert_eq!(checkpoint::end_tokens(&dir.path().join("parts/same")).unwrap(), [1, 3]);
}
