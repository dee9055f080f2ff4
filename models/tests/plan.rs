//! `gpt plan`: what it computes for named models and directories, and what it refuses.

mod binary;

use std::fs;

use binary::{refuses, report, succeeds};

const KEYS: [&str; 15] = [
    "parameters",
    "non_embedding_parameters",
    "weights_bytes",
    "gradients_bytes",
    "optimizer_bytes",
    "activations_bytes",
    "total_bytes",
    "batch",
    "context",
    "tokens",
    "flops",
    "petaflop_s_days",
    "gflops",
    "measured",
    "days",
];

/// The largest model of the GPT-3 paper, which no machine that runs tests can hold.
const GPT_3: &str = r#"{"model_type": "gpt2", "vocab_size": 50257, "n_positions": 2048, "n_embd": 12288, "n_layer": 96,
    "n_head": 96}"#;

#[test]
fn a_model_beyond_all_memory_is_planned() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("gpt3")).unwrap();
    fs::write(dir.path().join("gpt3/config.json"), GPT_3).unwrap();
    let args = ["plan", "--config", "gpt3", "--tokens", "300e9", "--gflops", "1e6"];
    let plan = report(&succeeds(dir.path(), &[&args[..], &["--json"]].concat()), &KEYS);
    // Table D.1: 174,600M parameters, 3.14e23 operations, 3.64e3 petaflop/s-days.
    let number = |key: &str| plan[key].as_f64().unwrap();
    assert_eq!(format!("{:.4e}", number("parameters")), "1.7460e11");
    assert_eq!(format!("{:.2e} {:.2e}", number("flops"), number("petaflop_s_days")), "3.14e23 3.64e3");
    // A petaflop/s was given: as many days as petaflop/s-days.
    assert!((number("days") / number("petaflop_s_days") - 1.0).abs() < 1e-9);
    assert_eq!((&plan["measured"], number("tokens")), (&"as given".into(), 3e11));
    let sum = ["weights_bytes", "gradients_bytes", "optimizer_bytes", "activations_bytes"].map(number);
    assert_eq!(sum.iter().sum::<f64>(), number("total_bytes"));
    let said = succeeds(dir.path(), &args);
    for says in ["698.4 GB", "3638 petaflop/s-days", "1000000.0 Gflop/s", "3638 days, 9.96 years"] {
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn published_models_and_directories_of_llamas_are_planned() {
    let dir = tempfile::tempdir().unwrap();
    // TinyLlama's sizes: 4 of 32 heads have keys of their own.
    let config = r#"{"model_type": "llama", "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632,
        "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4}"#;
    fs::write(dir.path().join("config.json"), config).unwrap();
    for (name, parameters, non_embedding, context) in [
        ("gpt2", 124_439_808, 85_056_000, 1024),
        ("gpt2-small", 124_439_808_u64, 85_056_000_u64, 1024),
        ("gpt3-13b", 12_853_386_240, 12_853_386_240 - (50257 + 2048) * 5120, 2048),
        ("llama3-8b", 8_030_261_248, 8_030_261_248 - 2 * 128_256 * 4096, 8192),
        ("llama3.2-1b", 1_235_814_400, 1_235_814_400 - 128_256 * 2048, 131_072),
        (".", 1_100_048_384, 1_100_048_384 - 2 * 32000 * 2048, 2048),
    ] {
        let args = ["plan", "--config", name, "--tokens", "1e9", "--gflops", "1", "--json"];
        let plan = report(&succeeds(dir.path(), &args), &KEYS);
        let number = |key: &str| plan[key].as_u64().unwrap();
        assert_eq!((number("parameters"), number("context")), (parameters, context), "{name}");
        assert_eq!(number("non_embedding_parameters"), non_embedding, "{name}");
    }
}

#[test]
fn this_machine_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        r#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 16, "n_embd": 8, "n_layer": 2, "n_head": 2}"#;
    fs::write(dir.path().join("config.json"), config).unwrap();
    let args = ["plan", "--config", ".", "--tokens", "1000", "--batch", "3", "--threads", "1", "--json"];
    let plan = report(&succeeds(dir.path(), &args), &KEYS);
    assert_eq!((&plan["batch"], &plan["context"]), (&3.into(), &16.into()));
    let (gflops, days) = (plan["gflops"].as_f64().unwrap(), plan["days"].as_f64().unwrap());
    assert!(
        gflops > 0.0 && plan["measured"].as_str().unwrap().contains("training steps of a GPT with 1 block of width 8")
    );
    let expected = plan["flops"].as_f64().unwrap() / (gflops * 1e9) / 86400.0;
    assert!((days / expected - 1.0).abs() < 1e-9);
}

#[test]
fn what_cannot_be_planned_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    for (name, config) in [("empty", ""), ("heads", r#"{"model_type": "gpt2", "n_head": 5}"#)] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("config.json"), config).unwrap();
    }
    fs::create_dir(dir.path().join("bare")).unwrap();
    for (args, says) in [
        (&["--tokens", "10"][..], "--config"),
        (&["--config", "baby"], "--tokens"),
        (&["--config", "nothing", "--tokens", "10"], "--config nothing: no directory"),
        (&["--config", "file", "--tokens", "10"], "--config file: no directory"),
        (&["--config", "bare", "--tokens", "10"], "config.json"),
        (&["--config", "empty", "--tokens", "10"], "config.json"),
        (&["--config", "heads", "--tokens", "10"], "5 heads do not divide"),
        (&["--config", "baby", "--tokens", "0"], "whole number from 1"),
        (&["--config", "baby", "--tokens", "-5"], "-5"),
        (&["--config", "baby", "--tokens", "1.5"], "whole number from 1"),
        (&["--config", "baby", "--tokens", "1e999"], "whole number from 1"),
        (&["--config", "baby", "--tokens", "10", "--batch", "0"], "at least 1"),
        (&["--config", "baby", "--tokens", "10", "--batch", "18446744073709551615"], "fit no memory"),
        (&["--config", "baby", "--tokens", "10", "--gflops", "0"], "--gflops 0"),
        (&["--config", "baby", "--tokens", "10", "--gflops", "nan"], "nan"),
    ] {
        refuses(dir.path(), &[&["plan"], args].concat(), says);
    }
    assert!(succeeds(dir.path(), &["plan", "--help"]).contains("Example"));
}
