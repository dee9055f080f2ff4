//! `gpt convert` as others call it: formats, dtypes, files, and what is refused.
//!
//! `tests/scripts/pytorch_model.py` writes `pytorch_model.bin`, the weights of `hf_gpt2`.

mod binary;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use binary::{gpt, refuses, report, succeeds};
use models::checkpoint;
use models::data::npz;
use nn::prelude::*;
use serde_json::Value;
use tensor::safetensors;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The tensors of a checkpoint by name.
#[track_caller]
fn read(path: &Path) -> BTreeMap<String, Tensor> {
    safetensors::load(path).unwrap().tensors.into_iter().collect()
}

#[track_caller]
fn assert_same(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    a.iter().for_each(|(name, a)| assert!(a.bit_eq(&b[name]), "{name}"));
}

/// Every file of a directory with its contents.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect()
}

fn names(dir: &Path) -> Vec<String> {
    contents(dir).keys().map(|path| path.file_name().unwrap().to_str().unwrap().to_string()).collect()
}

/// A directory with the model of `hf_gpt2` in `model`.
fn with_model() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    fs::create_dir(&model).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(fixture("hf_gpt2").join(name), model.join(name)).unwrap();
    }
    dir
}

#[test]
fn bf16_and_back_gives_the_rounded_values() {
    let dir = with_model();
    let (model, at) = (dir.path().join("model"), |name: &str| dir.path().join(name));
    let before = contents(&model);
    let said = succeeds(dir.path(), &["convert", "model", "deep/halves", "--dtype", "bf16"]);
    assert_eq!(said, "deep/halves: 28 tensors, 3792 bytes, in 3 files\n");
    succeeds(dir.path(), &["convert", "deep/halves", "wide", "--dtype", "f32"]);
    assert_eq!(contents(&model), before);
    assert_eq!(names(&at("deep")), ["halves"]);
    assert_eq!(names(&at("wide")), ["config.json", "model.safetensors", "tokenizer.json"]);

    let exact = read(&model);
    let halves = exact.iter().map(|(name, tensor)| (name.clone(), tensor.to_dtype(DType::BF16))).collect();
    assert_same(&read(&at("deep/halves")), &halves);
    let rounded = halves.iter().map(|(name, tensor)| (name.clone(), tensor.to_dtype(DType::F32))).collect();
    assert_same(&read(&at("wide")), &rounded);
    let metadata = safetensors::load(at("wide")).unwrap().metadata;
    assert_eq!(metadata, [("format".to_string(), "pt".to_string())]);

    let keys =
        ["path", "format", "files", "tensors", "parameters", "bytes", "dtypes", "metadata", "config", "tokenizer"];
    let listed = report(&succeeds(dir.path(), &["inspect", "deep/halves", "--json"]), &keys);
    assert_eq!(listed["dtypes"], serde_json::json!({"bf16": {"tensors": 28, "parameters": 1896, "bytes": 3792}}));

    let config = |name: &str| -> Value { serde_json::from_slice(&fs::read(at(name)).unwrap()).unwrap() };
    let mut expected = config("model/config.json");
    expected["dtype"] = "bfloat16".into();
    assert_eq!(config("deep/halves/config.json"), expected);
    assert_eq!(config("wide/config.json"), config("model/config.json"));
    assert_eq!(fs::read(at("wide/tokenizer.json")).unwrap(), before[&model.join("tokenizer.json")]);
}

#[test]
fn the_dtype_stands_where_the_config_has_it() {
    let dir = with_model();
    let config = dir.path().join("model/config.json");
    for (i, (before, after)) in [
        (r#"{"torch_dtype": "float32", "x": 1e-05}"#, r#"{"torch_dtype": "float16", "x": 1e-05}"#),
        (r#"{"dtype": null}"#, r#"{"dtype": "float16"}"#),
        (r#"{"dtype": "float32", "torch_dtype": "float32"}"#, r#"{"dtype": "float16", "torch_dtype": "float16"}"#),
        ("{}", r#"{"dtype": "float16"}"#),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(&config, before).unwrap();
        let out = format!("out-{i}");
        succeeds(dir.path(), &["convert", "model", &out, "--dtype", "f16"]);
        let written: Value =
            serde_json::from_slice(&fs::read(dir.path().join(out).join("config.json")).unwrap()).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(after).unwrap());
    }
    // Without a dtype every byte stays.
    fs::write(&config, "{ }").unwrap();
    fs::write(dir.path().join("model/generation_config.json"), "{}").unwrap();
    succeeds(dir.path(), &["convert", "model", "same"]);
    assert_eq!(fs::read(dir.path().join("same/config.json")).unwrap(), b"{ }");
    assert!(names(&dir.path().join("same")).contains(&"generation_config.json".to_string()));
    for (wrong, says) in [("[]", "config.json: it should be a JSON object"), ("{", "config.json: EOF")] {
        fs::write(&config, wrong).unwrap();
        refuses(dir.path(), &["convert", "model", "none", "--dtype", "f16"], says);
    }
    assert!(names(dir.path()).iter().all(|name| name != "none" && !name.starts_with('.')));
}

#[test]
fn a_model_is_the_same_in_one_file_or_in_many() {
    let dir = with_model();
    let (model, at) = (dir.path().join("model"), |name: &str| dir.path().join(name));
    fs::create_dir(at("shards")).unwrap();
    succeeds(dir.path(), &["convert", "model", "shards", "--max-shard-size", "2KB"]);
    let files = names(&at("shards"));
    let count = files.iter().filter(|name| name.starts_with("model-")).count();
    assert!(count >= 4, "{files:?}");
    assert!(files.contains(&format!("model-00001-of-{count:05}.safetensors")), "{files:?}");
    for file in files.iter().filter(|name| name.starts_with("model-")) {
        let tensors = read(&at("shards").join(file));
        let bytes: usize = tensors.values().map(|tensor| tensor.numel() * 4).sum();
        assert!(bytes <= 2000 || tensors.len() == 1, "{file}: {bytes}");
    }
    assert_same(&read(&at("shards")), &read(&model));
    let index = fs::read(at("shards").join("model.safetensors.index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["metadata"], serde_json::json!({"total_parameters": 1896, "total_size": 7584}));
    // From the directory and from its index to one file again.
    succeeds(dir.path(), &["convert", "shards", "whole"]);
    succeeds(dir.path(), &["convert", "shards/model.safetensors.index.json", "one/x.safetensors"]);
    for path in ["whole/model.safetensors", "one/x.safetensors"] {
        assert_eq!(fs::read(at(path)).unwrap(), fs::read(model.join("model.safetensors")).unwrap(), "{path}");
    }
    assert_eq!(names(&at("whole")), names(&model));
}

#[test]
fn greedy_texts_stay_the_same() {
    let dir = with_model();
    let text = |model: &str| {
        let args = ["generate", "--model", model, "--prompt", "abc a", "--max-new", "40", "--greedy"];
        succeeds(dir.path(), &args)
    };
    let expected = text("model");
    assert!(expected.len() > 40, "{expected:?}");
    // Through every format; f64 holds what f32 does.
    let steps = [("model", "a.safetensors"), ("a.safetensors", "b.npz"), ("b.npz", "c"), ("c", "d")];
    for (from, to) in steps {
        let dtype = if to == "c" { "f64" } else { "f32" };
        succeeds(dir.path(), &["convert", from, to, "--dtype", dtype]);
    }
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(dir.path().join("model").join(name), dir.path().join("d").join(name)).unwrap();
    }
    assert_eq!(text("d"), expected);
    succeeds(dir.path(), &["convert", "model", "shards", "--max-shard-size", "1KiB", "--dtype", "f32"]);
    assert_eq!(text("shards"), expected);
    // PyTorch's file is read as it is, and converted.
    fs::remove_file(dir.path().join("model/model.safetensors")).unwrap();
    fs::copy(fixture("pytorch_model.bin"), dir.path().join("model/pytorch_model.bin")).unwrap();
    assert_eq!(text("model"), expected);
    succeeds(dir.path(), &["convert", "model", "from-pytorch"]);
    assert_eq!(text("from-pytorch"), expected);
}

#[test]
fn pytorch_files_become_safetensors() {
    let dir = tempfile::tempdir().unwrap();
    let source = fixture("pytorch_model.bin");
    succeeds(dir.path(), &["convert", source.to_str().unwrap(), "x.safetensors"]);
    let (mut tensors, expected) = (read(&dir.path().join("x.safetensors")), read(&fixture("hf_gpt2")));
    let head = tensors.remove("lm_head.weight").unwrap();
    assert!(head.bit_eq(&tensors["transformer.wte.weight"]));
    assert_same(&tensors, &expected);
    // A directory of such files, with the index that belongs to them, is a model too.
    let model = dir.path().join("model");
    fs::create_dir(&model).unwrap();
    fs::copy(fixture("hf_gpt2/config.json"), model.join("config.json")).unwrap();
    fs::copy(&source, model.join("pytorch_model-00001-of-00001.bin")).unwrap();
    let map: serde_json::Map<String, Value> =
        expected.keys().map(|name| (name.clone(), "pytorch_model-00001-of-00001.bin".into())).collect();
    let index = serde_json::json!({ "weight_map": map }).to_string();
    fs::write(model.join("pytorch_model.bin.index.json"), index).unwrap();
    let (a, b) = (checkpoint::load_model(&model).unwrap(), checkpoint::load_model(&fixture("hf_gpt2")).unwrap());
    for ((name, a), (_, b)) in a.state_dict().iter().zip(&b.state_dict()) {
        assert!(a.bit_eq(b), "{name}");
    }
    // The safetensors beside it win.
    fs::copy(fixture("hf_gpt2/model.safetensors"), model.join("model.safetensors")).unwrap();
    fs::write(model.join("pytorch_model.bin.index.json"), "damaged").unwrap();
    checkpoint::load_model(&model).unwrap();
    // A dtype that does not exist here is named.
    let header = br#"{"x":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[0]].concat();
    fs::write(model.join("model.safetensors"), bytes).unwrap();
    let error = checkpoint::load_model(&model).err().unwrap().to_string();
    assert!(error.contains("model.safetensors: \"x\" is F8_E4M3, a dtype that is not supported here"), "{error}");
    fs::remove_file(model.join("model.safetensors")).unwrap();
    let error = checkpoint::load_model(&model).err().unwrap().to_string();
    assert!(error.contains("pytorch_model.bin.index.json"), "{error}");
}

#[test]
fn integers_stay_and_npz_is_read_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let tensors = vec![
        ("f".to_string(), Tensor::from([0.1f64, -3.0])),
        ("i".to_string(), Tensor::from([[i64::MAX, 1]])),
        ("mask".to_string(), Tensor::scalar(true)),
    ];
    npz::save_compressed(at("a.npz"), &tensors).unwrap();
    succeeds(dir.path(), &["convert", "a.npz", "b.safetensors", "--dtype", "f32"]);
    let mut expected: BTreeMap<String, Tensor> = tensors.iter().cloned().collect();
    expected.insert("f".into(), tensors[0].1.to_dtype(DType::F32));
    assert_same(&read(&at("b.safetensors")), &expected);
    succeeds(dir.path(), &["convert", "b.safetensors", "c.npz"]);
    assert_same(&npz::load(at("c.npz")).unwrap().into_iter().collect(), &expected);
    // An existing file is replaced; f16 and back through NPZ.
    succeeds(dir.path(), &["convert", "a.npz", "c.npz", "--dtype", "f16"]);
    assert_eq!(npz::load(at("c.npz")).unwrap()[0].1.dtype(), DType::F16);
    let before = fs::read(at("c.npz")).unwrap();
    let says = "NPZ files have no bf16, which \"f\" would be; convert to f32 (--dtype f32)";
    refuses(dir.path(), &["convert", "b.safetensors", "c.npz", "--dtype", "bf16"], says);
    succeeds(dir.path(), &["convert", "b.safetensors", "d.safetensors", "--dtype", "bf16"]);
    refuses(dir.path(), &["convert", "d.safetensors", "c.npz"], says);
    assert_eq!(fs::read(at("c.npz")).unwrap(), before);
}

#[test]
fn numbers_that_become_infinite_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let tensors = [
        ("a".to_string(), Tensor::from([1.0f32, f32::INFINITY, f32::NAN])),
        ("b".to_string(), Tensor::from([65504.0f32, 65519.0, 65520.0, -1e9, f32::NEG_INFINITY])),
        ("c".to_string(), Tensor::from([1e300f64, 2.0])),
    ];
    let metadata = [("format".to_string(), "np".to_string()), ("step".to_string(), "7".to_string())];
    safetensors::save(dir.path().join("x.safetensors"), &tensors, &metadata).unwrap();
    let warning = |dtype: &str| {
        let output = gpt(dir.path(), &["convert", "x.safetensors", "y.safetensors", "--dtype", dtype]);
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let says = "numbers are too large for f16 and became infinite, first in \"b\"\n";
    assert_eq!(warning("f16"), format!("warning: 3 {says}"));
    assert_eq!(warning("f32"), "warning: 1 number is too large for f32 and became infinite, first in \"c\"\n");
    assert_eq!(warning("f64"), "");
    // Metadata is kept.
    assert_eq!(safetensors::load(dir.path().join("y.safetensors")).unwrap().metadata, metadata);
}

#[test]
fn what_cannot_be_written_is_refused_in_one_line() {
    let dir = with_model();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("model/notes.txt"), "mine").unwrap();
    let before = contents(&at("model"));
    for (source, target, says) in [
        ("model", "x.pth", "x.pth: .pth files are not written; end the name in .safetensors or .npz"),
        ("model", "x.pt", ".pt files are not written"),
        ("model", "x.bin", ".bin files are not written"),
        ("model", "x.npy", ".npy files are not written"),
        ("none", "x", "cannot read none"),
        ("model", "model", "model: this is what is read"),
        ("model", "model/../model/", "this is what is read"),
        ("model", "model/model.safetensors", "this is what is read"),
        ("model/model.safetensors", "model/../model/model.safetensors", "this is what is read"),
        ("model/model.safetensors", "model", "the directory is not empty"),
        ("model", "model/notes.txt", "there is a file; name a directory"),
        ("model/config.json", "x", "no checkpoint"),
        ("model/notes.txt", "x", "no checkpoint"),
    ] {
        refuses(dir.path(), &["convert", source, target], says);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(at("model/model.safetensors"), at("link.safetensors")).unwrap();
        refuses(dir.path(), &["convert", "model", "link.safetensors"], "this is what is read");
        fs::remove_file(at("link.safetensors")).unwrap();
    }
    refuses(dir.path(), &["convert", "model", "x.npz", "--max-shard-size", "1MB"], "one file has no shards");
    refuses(dir.path(), &["convert", "model", "x", "--max-shard-size", "1 mile"], "the units are KB");
    refuses(dir.path(), &["convert", "model", "x", "--dtype", "int8"], "int8");
    refuses(dir.path(), &["convert", "model"], "DST");
    fs::create_dir(at("d.safetensors")).unwrap();
    refuses(dir.path(), &["convert", "model", "d.safetensors"], "there is a directory of this name");
    // A dtype that does not exist here, and a file that is cut off.
    let header = br#"{"x":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[0, 0]].concat();
    fs::write(at("f8.safetensors"), &bytes).unwrap();
    refuses(dir.path(), &["convert", "f8.safetensors", "x"], "\"x\" is F8_E4M3, a dtype that is not supported here");
    fs::write(at("f8.safetensors"), &bytes[..bytes.len() - 1]).unwrap();
    refuses(dir.path(), &["convert", "f8.safetensors", "x"], "f8.safetensors: safetensors: ");
    let bin = fs::read(fixture("pytorch_model.bin")).unwrap();
    fs::write(at("cut.bin"), &bin[..bin.len() / 2]).unwrap();
    refuses(dir.path(), &["convert", "cut.bin", "x"], "cut.bin: no PyTorch checkpoint");

    assert_eq!(contents(&at("model")), before);
    assert_eq!(names(dir.path()), ["cut.bin", "d.safetensors", "f8.safetensors", "model"]);
}

#[test]
fn the_help_shows_how() {
    let help = succeeds(Path::new("."), &["convert", "--help"]);
    assert!(help.contains("gpt convert runs/mine runs/mine-bf16 --dtype bf16"), "{help}");
}
