//! GPT-2 and Llama as Python's `transformers` saves them: the same logits, loss, gradients and greedy tokens, in every dtype, in
//! one file or several; and written again without changing a bit.
//!
//! `tests/scripts/hf_models.py make` writes the fixtures and names the versions. With `GRADUS_HF_OUT=FOLDER` the test
//! `what_is_written_here_is_read_here` leaves its directories there, for `hf_models.py check-all FOLDER`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use models::checkpoint::{self, SaveOptions};
use models::generate::{Generation, Sampling};
use models::{GptConfig, LanguageModel, LlamaConfig, ModelConfig, Tokenizer};
use nn::prelude::*;
use nn::{RotaryPositions, RotaryPositionsOptions, RotaryScaling};
use tensor::safetensors::Reader;

const NAMES: [&str; 11] = [
    "gpt2",
    "gpt2_bf16",
    "gpt2_f16",
    "gpt2_sharded",
    "llama",
    "llama_tied",
    "llama_bias",
    "llama_bf16",
    "llama_f16",
    "llama_f64",
    "llama_sharded",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hf").join(name)
}

fn load(path: &Path) -> HashMap<String, Tensor> {
    Reader::open(path).unwrap().read_all().unwrap().tensors.into_iter().collect()
}

fn dtype_of(name: &str) -> DType {
    match name {
        "gpt2_bf16" | "llama_bf16" | "llama_sharded" => DType::BF16,
        "gpt2_f16" | "llama_f16" => DType::F16,
        "llama_f64" => DType::F64,
        _ => DType::F32,
    }
}

/// The largest difference in multiples of the largest element.
#[track_caller]
fn assert_close(name: &str, ours: &Tensor, theirs: &Tensor, tolerance: f64) -> f64 {
    assert_eq!(ours.dims(), theirs.dims(), "{name}");
    let [ours, theirs] = [ours, theirs].map(|x| x.to_dtype(DType::F64));
    let scale = theirs.abs().max().item::<f64>().max(1e-6);
    let difference = (&ours - &theirs).abs().max().item::<f64>() / scale;
    assert!(difference <= tolerance, "{name} differs by {difference} of its scale");
    difference
}

fn greedy(model: &dyn LanguageModel, prompt: &Tensor, count: usize) -> Vec<i64> {
    let ids = prompt.to_vec::<i64>();
    Generation::new(model, &ids, Sampling::greedy(), 0).map(|token| token.id).take(count).collect()
}

#[test]
fn logits_loss_gradients_and_greedy_tokens_are_transformers() {
    for name in NAMES {
        let (dir, expected) = (fixture(name), load(&fixture(name).join("expected.safetensors")));
        let stored = checkpoint::load_model(&dir).unwrap();
        assert!(stored.parameters().iter().all(|p| p.dtype() == dtype_of(name)), "{name}");
        // transformers computes norms and rotations in f32 whatever the dtype. Halves are storage: what is expected was computed by the same weights in f32.
        let logits = stored.forward(&expected["ids"]).value();
        let tolerance = if dtype_of(name) == DType::F64 { 2e-6 } else { 5e-6 };
        let of_logits = assert_close(name, &logits, &expected["logits"], tolerance);
        assert_eq!(greedy(&*stored, &expected["prompt"], 8), expected["greedy"].to_vec::<i64>(), "{name}");

        let wide = if dtype_of(name) == DType::F64 { DType::F64 } else { DType::F32 };
        let model = checkpoint::load_model_as(&dir, wide).unwrap();
        let loss = model.loss(&expected["ids"], &expected["targets"]);
        assert_close(name, &loss.value(), &expected["loss"], tolerance);
        loss.backward();
        // A model of the gradients has the names and the orientation of the model itself.
        let gradients = checkpoint::load_model_as(&dir, wide).unwrap();
        for ((of, ours), (_, theirs)) in model.named_parameters().iter().zip(&gradients.named_parameters()) {
            theirs.set_value(ours.grad().unwrap_or_else(|| panic!("{name}: {of} has no gradient")).value());
        }
        let gradients = checkpoint::to_hugging_face(&*gradients);
        assert_eq!(gradients.len(), expected.keys().filter(|key| key.starts_with("grad.")).count(), "{name}");
        let mut worst = 0.0_f64;
        for (of, gradient) in gradients {
            let theirs = &expected[&format!("grad.{of}")];
            worst = worst.max(assert_close(&format!("{name}: gradient of {of}"), &gradient, theirs, 3e-5));
        }
        println!("{name}: logits differ by {of_logits:.1e}, gradients by at most {worst:.1e} of their scale");
    }
}

#[test]
fn what_is_written_here_is_read_here() {
    let temporary = tempfile::tempdir().unwrap();
    let out = std::env::var_os("GRADUS_HF_OUT").map_or(temporary.path().to_path_buf(), PathBuf::from);
    let note = |name: &str, model: &dyn LanguageModel, ids: &Tensor| {
        model.eval();
        let prompt = ids.narrow(0, 0, 1).narrow(1, 0, 4).contiguous();
        let written = greedy(model, &prompt, 6);
        let tensors = [
            ("ids", ids.clone()),
            ("logits", no_grad(|| model.forward(ids)).value()),
            ("prompt", prompt),
            ("greedy", Tensor::from_vec(written, [1, 6])),
        ];
        let tensors = tensors.map(|(name, tensor)| (name.to_string(), tensor));
        tensor::safetensors::save(out.join(format!("{name}.safetensors")), &tensors, &[]).unwrap();
    };
    for name in NAMES {
        let original = load(&fixture(name));
        let model = checkpoint::load_model(&fixture(name)).unwrap();
        let sharded = name.ends_with("sharded");
        let options = SaveOptions { max_shard_bytes: if sharded { 3000 } else { u64::MAX }, ..Default::default() };
        checkpoint::save_with(&out.join(name), &*model, None, &options).unwrap();
        assert_eq!(out.join(name).join("model.safetensors.index.json").exists(), sharded, "{name}");
        let written = load(&out.join(name));
        assert_eq!(written.len(), original.len(), "{name}");
        for (of, tensor) in written {
            assert!(tensor.bit_eq(&original[&of]), "{name}: {of}");
        }
        assert_eq!(checkpoint::load_model(&out.join(name)).unwrap().config(), model.config(), "{name}");
        note(name, &*model, &load(&fixture(name).join("expected.safetensors"))["ids"]);
    }
    // Models that were made here, with a tokenizer.
    manual_seed(2);
    let tokenizer = Tokenizer::chars("\n abcdefghij").unwrap();
    let v = tokenizer.vocab_size();
    let gpt = GptConfig { layers: 2, heads: 2, norm_eps: 1e-6, ..GptConfig::new(v, 12, 16) };
    let llama = LlamaConfig { layers: 2, key_value_heads: 2, attention_bias: true, ..LlamaConfig::new(v, 12, 16, 4) };
    for (name, config) in [("made_gpt2", ModelConfig::from(gpt)), ("made_llama", llama.into())] {
        let model = config.build().unwrap();
        model.parameters().iter().for_each(|p| init::normal_(p, 0.0, 0.4));
        checkpoint::save(&out.join(name), &*model, &tokenizer).unwrap();
        assert_eq!(checkpoint::load(&out.join(name)).unwrap().0.config(), config);
        note(name, &*model, &Tensor::randint(0, v as i64, [2, 10]));
    }
}

#[test]
fn rates_of_the_rotations_are_transformers() {
    let expected = load(&fixture("rotations.safetensors"));
    let original_context = 2048;
    let llama3 =
        RotaryScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };
    for (name, base, scaling) in [
        ("default", 10000.0, RotaryScaling::None),
        ("linear", 10000.0, RotaryScaling::Linear { factor: 4.0 }),
        ("dynamic", 10000.0, RotaryScaling::Dynamic { factor: 2.0, original_context }),
        ("llama3", 500_000.0, llama3),
    ] {
        let rotary = RotaryPositions::with(64, RotaryPositionsOptions { base, scaling, ..Default::default() });
        for (suffix, len) in [("", 2048), (".long", 6000)] {
            let ours = rotary.rates(len);
            let theirs = expected[&format!("{name}{suffix}")].to_dtype(DType::F64).to_vec::<f64>();
            assert_eq!(ours.len(), theirs.len());
            for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                assert!((ours / theirs - 1.0).abs() < 2e-6, "{name}{suffix} {i}: {ours} and {theirs}");
            }
        }
    }
    assert_eq!(expected.len(), 8);
}

#[test]
fn a_shard_that_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture("llama_sharded")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let shard = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("model-00002"));
    std::fs::remove_file(shard.unwrap()).unwrap();
    let message = checkpoint::load_model(dir.path()).err().unwrap().to_string();
    assert!(message.contains("model-00002") && !message.contains('\n'), "{message}");
}
