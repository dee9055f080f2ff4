//! `gpt inspect` as others call it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use models::data::npz;
use serde_json::{Value, json};
use tensor::{DType, Tensor, safetensors};

fn inspect(path: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gpt")).arg("inspect").arg(path).args(args).output().unwrap()
}

#[track_caller]
fn listing(path: &Path) -> (String, Value) {
    let [text, json] = [&[][..], &["--json"]].map(|args| {
        let output = inspect(path, args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    });
    (text, serde_json::from_str(&json).unwrap())
}

#[track_caller]
fn refuses(path: &Path, says: &str) {
    let output = inspect(path, &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(output.stdout.is_empty() && error.trim_end().lines().count() == 1 && error.contains(says), "{error}");
}

fn tensors() -> Vec<(String, Tensor)> {
    vec![
        ("a.weight".into(), Tensor::ones([2, 3], DType::F32)),
        ("b".into(), Tensor::zeros([1024], DType::BF16)),
        ("c".into(), Tensor::scalar(1i64)),
    ]
}

#[test]
fn a_file_is_listed_with_totals_and_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    safetensors::save(&path, &tensors(), &[("format".into(), "pt".into())]).unwrap();
    let (text, json) = listing(&path);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "name      dtype  shape      size",
            "a.weight  f32    [2, 3]     24 B",
            "b         bf16   [1024]  2.0 KiB",
            "c         i64    []          8 B",
            "",
        ]
    );
    assert_eq!(lines[5], "3 tensors, 1031 parameters, 2.0 KiB in 1 safetensors file");
    assert!(text.ends_with("\nmetadata\n  format  pt\n"), "{text}");
    assert_eq!((&json["parameters"], &json["bytes"]), (&json!(1031), &json!(2080)));
    assert_eq!(json["tensors"][0], json!({"name": "a.weight", "dtype": "f32", "shape": [2, 3], "bytes": 24}));
    assert_eq!(json["dtypes"]["bf16"], json!({"tensors": 1, "parameters": 1024, "bytes": 2048}));
    assert_eq!((&json["metadata"]["format"], &json["config"]), (&json!("pt"), &Value::Null));
    // Only the header is read: the rest may even be a hole.
    let header = br#"{"big":{"dtype":"F8_E4M3","shape":[1099511627776],"data_offsets":[0,1099511627776]}}"#;
    fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header].concat()).unwrap();
    refuses(&path, "describes 1099511627776 bytes of data, the file has 0");
    let file = fs::File::options().write(true).open(&path).unwrap();
    if file.set_len((1 << 40) + 8 + header.len() as u64).is_ok() {
        assert!(listing(&path).0.contains("big   F8_E4M3  [1099511627776]  1.0 TiB"));
    }
}

#[test]
fn other_formats_and_directories_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    npz::save(&path, &[("x".into(), Tensor::ones([3], DType::F64))]).unwrap();
    let (text, json) = listing(&path);
    assert!(text.contains("x     f64    [3]    24 B") && json["format"] == "NPZ", "{text}");
    // A sharded directory.
    let model = dir.path().join("model");
    fs::create_dir(&model).unwrap();
    let [one, two] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    safetensors::save(model.join(one), &tensors()[1..], &[]).unwrap();
    safetensors::save(model.join(two), &tensors()[..1], &[]).unwrap();
    let index = |a: &str| json!({"weight_map": {"a.weight": a, "b": one, "c": one}}).to_string();
    fs::write(model.join("model.safetensors.index.json"), index(two)).unwrap();
    fs::write(model.join("config.json"), r#"{"model_type": "gpt2", "n_layer": 2}"#).unwrap();
    fs::write(model.join("tokenizer.json"), r#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#).unwrap();
    let (text, json) = listing(&model);
    for part in ["a.weight  f32", "in 2 safetensors files", "  model_type  gpt2", "  n_layer     2", "  vocabulary  1"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!((&json["files"].as_array().unwrap().len(), &json["tokenizer"]["model"]), (&2, &json!("BPE")));
    fs::write(model.join("model.safetensors.index.json"), index(one)).unwrap();
    refuses(&model, "\"a.weight\" should be in model-00001-of-00002.safetensors and is nowhere");
    fs::write(model.join("model.safetensors.index.json"), index("../x.safetensors")).unwrap();
    refuses(&model, "is in no file of the directory");
    fs::write(model.join("model.safetensors.index.json"), "{}").unwrap();
    refuses(&model, "no \"weight_map\"");
}

#[test]
fn damaged_files_are_one_line() {
    let dir = tempfile::tempdir().unwrap();
    refuses(&dir.path().join("none"), "cannot read");
    refuses(dir.path(), "the directory has none of model.safetensors");
    let good = safetensors::to_bytes(&tensors(), &[]).unwrap();
    let path = dir.path().join("x.safetensors");
    for end in [0, 7, 8, 100, good.len() - 1] {
        fs::write(&path, &good[..end]).unwrap();
        refuses(&path, "x.safetensors: safetensors: ");
    }
    for name in ["x.pth", "x.bin", "x.npz"] {
        fs::write(dir.path().join(name), "nothing").unwrap();
        refuses(&dir.path().join(name), "not a ZIP archive");
    }
    fs::write(dir.path().join("x.txt"), "nothing").unwrap();
    refuses(&dir.path().join("x.txt"), "no checkpoint");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let many: Vec<(String, Tensor)> = (0..20_000).map(|i| (format!("tensor.{i}"), Tensor::scalar(1.0))).collect();
    safetensors::save(&path, &many, &[]).unwrap();
    let mut gpt = Command::new(env!("CARGO_BIN_EXE_gpt"));
    let mut child = gpt.arg("inspect").arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    // Whoever stays sees the whole list.
    assert!(listing(&path).0.lines().count() > 20_000);
}

#[test]
fn what_a_terminal_would_obey_is_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let name = |what: &str| format!("{what}\u{1b}[2J\u{7f}\u{9b}31m\r\n");
    let tensors = [(name("tensor"), Tensor::scalar(1.0f32))];
    safetensors::save(&path, &tensors, &[(name("key"), name("value"))]).unwrap();
    let config = json!({ name("entry"): name("text"), "list": [name("item")], "object": { name("inner"): 1 } });
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let (text, json) = listing(dir.path());
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    for what in ["tensor", "key", "value", "entry", "text", "item", "inner"] {
        assert!(text.contains(&format!("{what}\\")), "{what}: {text}");
    }
    assert_eq!(json["tensors"][0]["name"], json!(name("tensor")));
    // So it is in what refuses.
    let odd = dir.path().join("a\u{1b}[2J.safetensors");
    fs::write(&odd, "damaged").unwrap();
    refuses(&odd, "a\\u{1b}[2J.safetensors");
}

/// Long names stick out of their column instead of widening it for all.
#[test]
fn a_name_or_a_text_of_any_length_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let long = "n".repeat(70_000);
    let mut tensors = tensors();
    tensors.push((long.clone(), Tensor::scalar(2.0f32)));
    safetensors::save(&path, &tensors, &[("tags".into(), long.clone())]).unwrap();
    let (text, json) = listing(&path);
    assert!(text.lines().next().unwrap().len() < 200 && text.contains(&long));
    assert_eq!(json["parameters"], json!(1032));
}
