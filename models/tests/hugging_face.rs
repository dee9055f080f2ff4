//! GPT-2 as Python's `transformers` saved it: the same logits, the same loss, the same gradients, the same ids.
//!
//! `tests/scripts/hf_gpt2.py make` writes the fixture and names the versions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use models::{ModelConfig, Tokenizer, checkpoint};
use nn::prelude::*;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hf_gpt2")
}

fn load(name: &str) -> HashMap<String, Tensor> {
    tensor::safetensors::load(fixture().join(name)).unwrap().tensors.into_iter().collect()
}

#[track_caller]
fn assert_close(name: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.dims(), theirs.dims(), "{name}");
    let scale = theirs.abs().max().item::<f32>().max(1e-6);
    let difference = (ours - theirs).abs().max().item::<f32>();
    assert!(difference <= 2e-5 * scale, "{name} differs by {difference} of {scale}");
}

#[test]
fn logits_loss_and_every_gradient_are_transformers() {
    let expected = load("expected.safetensors");
    let (model, tokenizer) = checkpoint::load(&fixture()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 11);
    let ModelConfig::Gpt(config) = model.config() else { panic!("a GPT-2") };
    assert_eq!((config.layers, config.heads, config.dropout), (2, 2, 0.0));
    assert_close("logits", &model.forward(&expected["ids"]).value(), &expected["logits"]);

    let loss = model.loss(&expected["ids"], &expected["targets"]);
    assert_close("loss", &loss.value(), &expected["loss"]);
    loss.backward();
    // A model of the gradients has the names and the orientation of the model itself.
    let gradients = checkpoint::load_model(&fixture()).unwrap();
    let (ours, theirs) = (model.named_parameters(), gradients.named_parameters());
    for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        theirs.set_value(ours.grad().unwrap_or_else(|| panic!("{name} has no gradient")).value());
    }
    let gradients = checkpoint::to_hugging_face(&*gradients);
    assert_eq!(gradients.len(), 28);
    for (name, gradient) in gradients {
        assert_close(&name, &gradient, &expected[&format!("grad.{name}")]);
    }
}

#[test]
fn the_tokenizer_of_python_reads_as_ours() {
    let tokenizer = Tokenizer::load(fixture().join("tokenizer.json")).unwrap();
    let text = "\n '\"\\abc\u{e9}\u{4e16}\u{1f600}";
    let again = Tokenizer::from_json(tokenizer.to_json()).unwrap();
    for tokenizer in [tokenizer, again] {
        assert_eq!(tokenizer.encode(text).unwrap(), (0..11).collect::<Vec<i64>>());
        assert_eq!(tokenizer.decode(&(0..11).collect::<Vec<i64>>()).unwrap(), text);
    }
}

#[test]
fn reading_and_writing_changes_no_bit_of_the_weights() {
    let (model, _) = checkpoint::load(&fixture()).unwrap();
    let original = load("model.safetensors");
    let written = checkpoint::to_hugging_face(&*model);
    assert_eq!(written.len(), original.len());
    for (name, tensor) in written {
        assert!(tensor.bit_eq(&original[&name]), "{name}");
    }
}
