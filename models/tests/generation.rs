//! Generation as Python's `transformers` does it: the same probabilities, greedy texts and beams.
//!
//! `tests/scripts/hf_generation.py` writes the fixture and names the versions.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use models::generate::{BeamOptions, GenerateOptions, Sampling, beam_search, generate};
use models::{Cache, LanguageModel, checkpoint};
use nn::prelude::*;
use serde_json::Value;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hf_generation")
}

fn expected(part: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fixture().join("expected.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all[part].as_array().unwrap().clone()
}

fn model() -> Box<dyn LanguageModel> {
    checkpoint::load_model(&fixture()).unwrap()
}

fn ids(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn the_same_tokens_are_left_with_the_same_probabilities() {
    let cases = expected("processed");
    assert!(cases.len() >= 10);
    for case in cases {
        let logits = floats(&case["logits"]);
        let logits = Tensor::from_vec(logits.clone(), [logits.len()]);
        let option = |name: &str| case["options"].get(name).and_then(Value::as_f64);
        let sampling = Sampling {
            temperature: option("temperature").unwrap_or(1.0),
            top_k: option("top_k").map(|k| k as usize),
            top_p: option("top_p").unwrap_or(1.0),
            min_p: option("min_p").unwrap_or(0.0),
            repetition_penalty: option("repetition_penalty").unwrap_or(1.0),
        };
        let seen: HashSet<i64> = ids(&case["seen"]).into_iter().collect();
        let ours = sampling.probabilities(&logits, &seen).unwrap().to_vec::<f64>();
        for (id, (a, b)) in ours.iter().zip(floats(&case["probabilities"])).enumerate() {
            assert!((a - b).abs() < 1e-12, "{}: token {id} has {a}, expected {b}", case["options"]);
        }
    }
}

#[test]
fn greedy_texts_are_the_same_alone_and_in_a_batch() {
    for case in expected("greedy") {
        let prompts: Vec<Vec<i64>> = case["prompts"].as_array().unwrap().iter().map(ids).collect();
        let repetition_penalty = case["repetition_penalty"].as_f64().unwrap();
        let sampling = Sampling { repetition_penalty, ..Sampling::greedy() };
        let texts = generate(&*model(), &prompts, GenerateOptions { sampling, max_new: 12, ..Default::default() });
        for (text, expected) in texts.iter().zip(case["ids"].as_array().unwrap()) {
            assert_eq!(text.tokens.iter().map(|token| token.id).collect::<Vec<_>>(), ids(expected), "{prompts:?}");
        }
    }
}

#[test]
fn beams_and_their_scores_are_the_same() {
    for case in expected("beams") {
        let given = &case["options"];
        let end = match &given["eos_token_id"] {
            Value::Null => Vec::new(),
            tokens => ids(tokens),
        };
        let options = BeamOptions {
            beams: given["num_beams"].as_u64().unwrap() as usize,
            max_new: 10,
            length_penalty: given["length_penalty"].as_f64().unwrap_or(1.0),
            early_stopping: given["early_stopping"].as_bool().unwrap_or(false),
            repetition_penalty: given["repetition_penalty"].as_f64().unwrap_or(1.0),
            end,
        };
        let found = beam_search(&*model(), &ids(&case["prompt"]), &options);
        let expected = case["found"].as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (ours, theirs) in found.iter().zip(expected) {
            assert_eq!(ours.ids, ids(&theirs["ids"]), "{given}");
            assert!((ours.score - theirs["score"].as_f64().unwrap()).abs() < 1e-4, "{given}: {ours:?}");
        }
    }
}

/// Whatever the parts in which a text is given: each token's logits are those of the whole text at once.
#[test]
fn cached_logits_are_those_computed_anew() {
    let model = model();
    model.eval();
    let text = Tensor::randint_with(0, 19, [2, 24], &mut tensor::Generator::new(3));
    let whole = no_grad(|| model.forward(&text)).value();
    let scale = whole.abs().max().item::<f64>();
    for parts in [vec![1; 24], vec![24], vec![10, 1, 1, 12], vec![3, 7, 13, 1]] {
        let (mut cache, mut from) = (Cache::new(&model.config()), 0);
        for t in parts {
            let x = no_grad(|| model.hidden_cached(&text.narrow(1, from, t), &mut cache));
            let difference = (model.head(&x).value() - whole.narrow(1, from, t)).abs().max().item::<f64>();
            assert!(difference <= 1e-5 * scale, "{t} tokens from {from} on differ by {difference} of {scale}");
            from += t;
        }
        assert_eq!(cache.len(), 24);
    }
}
