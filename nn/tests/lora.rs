//! Low-rank adapters: where they go, what they learn, how they are saved, and how they are merged.

mod common;

use std::rc::Rc;

use common::refuses;
use nn::lora::{LoraOptions, add_lora, load_lora_state_dict, lora_state_dict, merge_lora, remove_lora};
use nn::prelude::*;
use nn::strategy::sizes;
use nn::utils::weight_norm;
use proptest::prelude::*;

const F64: DType = DType::F64;

fn linear(inputs: usize, outputs: usize) -> Linear {
    Linear::with(inputs, outputs, LinearOptions { dtype: F64, ..Default::default() })
}

fn rank(rank: usize) -> LoraOptions {
    LoraOptions { rank, ..Default::default() }
}

fn targets(names: &[&str]) -> LoraOptions {
    LoraOptions { rank: 2, targets: names.iter().map(|name| name.to_string()).collect(), ..Default::default() }
}

fn randn(shape: &[usize]) -> Var {
    Var::new(Tensor::randn(shape, F64)).requires_grad_(true)
}

/// Gives every `B` random numbers, as training would.
fn train_somehow(model: &dyn Module) {
    for (name, parameter) in model.named_parameters() {
        if name.ends_with("lora_B.weight") {
            init::normal_(&parameter, 0.0, 1.0);
        }
    }
}

fn same(a: &StateDict, b: &StateDict) -> bool {
    a.keys().eq(b.keys()) && a.iter().all(|(name, value)| value.bit_eq(&b[name]))
}

/// A model with a head that is tied to the embedding, and one layer that stands in two places.
#[derive(Module)]
struct Tagger {
    embedding: Embedding,
    blocks: Vec<Rc<Linear>>,
    attention: MultiheadAttention,
    out: Hooked<Linear>,
    head: Linear,
}

impl Tagger {
    fn new() -> Tagger {
        let embedding = Embedding::new(5, 4);
        let shared = Rc::new(Linear::new(4, 4));
        let tagger = Tagger {
            head: Linear::from_parameters(embedding.weight.clone(), None),
            embedding,
            blocks: vec![shared.clone(), Rc::new(Linear::new(4, 4)), shared],
            attention: MultiheadAttention::new(4, 2),
            out: Linear::new(4, 4).into(),
        };
        tagger.to_dtype(F64);
        tagger
    }

    fn forward(&self, ids: &Tensor) -> Var {
        let mut x = self.embedding.forward(ids);
        for block in &self.blocks {
            x = block.forward(&x).tanh();
        }
        let x = self.attention.forward(&x, &x, &x, &AttentionMasks::none());
        self.head.forward(&self.out.forward(&x))
    }
}

fn ids() -> Tensor {
    Tensor::from([[0_i64, 1, 2], [4, 3, 1]])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_adapter_is_its_formula_has_right_gradients_and_merges(
        (i, o, r) in (sizes(), sizes(), sizes()), alpha in -4.0..4.0f64, bias: bool, batch in 0usize..4, seed: u64,
    ) {
        manual_seed(seed);
        let layer = Linear::with(i, o, LinearOptions { dtype: F64, bias });
        let x = randn(&[batch, i]);
        let plain = layer.forward(&x).value();
        let (keys, printed) = (layer.state_dict().into_keys().collect::<Vec<_>>(), layer.to_string());
        add_lora(&layer, &LoraOptions { rank: r, alpha, ..Default::default() });
        prop_assert!(layer.forward(&x).value().allclose(&plain, 0.0, 0.0), "B starts at zero");
        train_somehow(&layer);

        let dict = lora_state_dict(&layer);
        let (a, b) = (&dict["lora_A.weight"], &dict["lora_B.weight"]);
        prop_assert_eq!((a.dims(), b.dims()), (&[r, i][..], &[o, r][..]));
        let y = layer.forward(&x).value();
        let low_rank = x.value().matmul(&b.matmul(a).t()).mul_scalar(alpha / r as f64);
        prop_assert!(y.allclose(&(&plain + &low_rank), 1e-9, 1e-9));
        autograd::gradcheck(|v| layer.forward(&v[0]), std::slice::from_ref(&x), Default::default()).unwrap();
        nn::gradcheck_parameters(&layer, || layer.forward(&x), Default::default()).unwrap();

        layer.forward(&x).sum().backward();
        for (name, parameter) in layer.named_parameters() {
            prop_assert_eq!(parameter.grad().is_some(), name.contains("lora"), "{}", name);
        }
        merge_lora(&layer);
        prop_assert!(layer.forward(&x).value().allclose(&y, 1e-9, 1e-9));
        prop_assert_eq!(layer.state_dict().into_keys().collect::<Vec<_>>(), keys);
        prop_assert_eq!(layer.to_string(), printed);
    }
}

#[test]
fn the_initial_values_are_pytorchs() {
    manual_seed(1);
    let layer = Linear::new(50, 40);
    add_lora(&layer, &rank(30));
    let dict = lora_state_dict(&layer);
    let (a, bound) = (dict["lora_A.weight"].to_vec::<f32>(), 1.0 / 50f32.sqrt());
    assert!(a.iter().all(|x| x.abs() <= bound));
    let std = dict["lora_A.weight"].std().item::<f32>();
    assert!((std - bound / 3f32.sqrt()).abs() < 0.05 * bound, "{std}");
    assert!(dict["lora_B.weight"].bit_eq(&Tensor::zeros([40, 30], DType::F32)));
}

#[test]
fn an_adapter_has_the_dtype_of_its_weight_and_is_converted_with_it() {
    let layer = linear(3, 2);
    add_lora(&layer, &rank(2));
    assert!(lora_state_dict(&layer).values().all(|value| value.dtype() == F64));
    layer.to_dtype(DType::F32);
    assert!(lora_state_dict(&layer).values().all(|value| value.dtype() == DType::F32));
    remove_lora(&layer);
    layer.to_dtype(F64);
    add_lora(&layer, &rank(2));
    layer.forward(&randn(&[3])).sum().backward();
}

#[test]
fn targets_are_ends_of_paths_and_layers_behind_pointers_count_once() {
    let all = ["blocks.0", "blocks.1", "attention.out_proj", "out", "head"];
    assert_eq!(add_lora(&Tagger::new(), &rank(2)), all);
    assert_eq!(add_lora(&Tagger::new(), &targets(&["out", "attention.out_proj"])), ["attention.out_proj", "out"]);
    assert_eq!(add_lora(&Tagger::new(), &targets(&["0"])), ["blocks.0"]);

    let model = Tagger::new();
    add_lora(&model, &rank(2));
    let keys: Vec<String> = lora_state_dict(&model).into_keys().collect();
    // The layer that stands in two places is saved under both names.
    let expected = ["blocks.0", "blocks.1", "blocks.2", "attention.out_proj", "out", "head"];
    let expected: Vec<String> =
        expected.iter().flat_map(|path| ["A", "B"].map(|matrix| format!("{path}.lora_{matrix}.weight"))).collect();
    assert_eq!(keys, expected);
    assert!(
        model.to_string().contains(
            "  (head): Linear(
    in_features=4, out_features=5, bias=False, lora_alpha=8.0, lora_dropout=0.0
    (lora_A): Linear(in_features=4, out_features=2, bias=False)
    (lora_B): Linear(in_features=2, out_features=5, bias=False)
  )"
        ),
        "{model}"
    );
    assert_eq!(model.out.named_children().len(), 2);
}

#[test]
fn layers_may_have_different_ranks() {
    let model = sequential![linear(3, 4), linear(4, 2)];
    add_lora(&model, &targets(&["0"]));
    add_lora(&model, &LoraOptions { rank: 1, targets: vec!["1".to_owned()], ..Default::default() });
    let trainable = model.parameters().into_iter().filter(|p| p.requires_grad()).map(|p| p.numel()).sum::<usize>();
    assert_eq!(trainable, 2 * (3 + 4) + (4 + 2));
}

#[test]
fn fine_tuning_lowers_the_loss_and_leaves_the_base_as_it_was() {
    manual_seed(3);
    let model = Tagger::new();
    let base = model.state_dict();
    add_lora(&model, &LoraOptions { rank: 2, alpha: 2.0, ..Default::default() });
    let trained: Vec<Parameter> = model.parameters().into_iter().filter(|p| p.requires_grad()).collect();
    let target = Tensor::from([[1_i64, 2, 3], [0, 4, 2]]);
    let loss = || CrossEntropyLoss::new().forward(&model.forward(&ids()).reshape([6, 5]), &target.reshape([6]));
    let before = loss().item::<f64>();
    for _ in 0..200 {
        model.zero_grad();
        loss().backward();
        for parameter in &trained {
            let step = parameter.grad().unwrap().value().mul_scalar(0.1);
            parameter.set_value(parameter.value() - step);
        }
    }
    let after = loss().item::<f64>();
    assert!(after < 0.85 * before, "{before} -> {after}");
    let now = model.state_dict();
    assert!(base.iter().all(|(name, value)| value.bit_eq(&now[name])));
    assert_eq!(remove_lora(&model).len(), 5);
    assert!(same(&model.state_dict(), &base));
}

#[test]
fn an_adapter_goes_through_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.safetensors");
    let tuned = Tagger::new();
    let base = tuned.state_dict();
    add_lora(&tuned, &rank(2));
    train_somehow(&tuned);
    save_file(&lora_state_dict(&tuned), &path).unwrap();
    let expected = tuned.forward(&ids()).value();

    let fresh = Tagger::new();
    fresh.load_state_dict(&base).unwrap();
    add_lora(&fresh, &rank(2));
    assert!(!fresh.forward(&ids()).value().allclose(&expected, 1e-6, 1e-6));
    load_lora_state_dict(&fresh, &load_file(&path).unwrap()).unwrap();
    assert!(fresh.forward(&ids()).value().bit_eq(&expected));

    // With the names of Python's peft, of which a shared layer needs only one.
    let prefixed = lora_state_dict(&tuned).into_iter().filter(|(name, _)| !name.starts_with("blocks.2"));
    let prefixed: StateDict = prefixed.map(|(name, value)| (format!("base_model.model.{name}"), value)).collect();
    train_somehow(&fresh);
    load_lora_state_dict(&fresh, &prefixed).unwrap();
    assert!(same(&lora_state_dict(&fresh), &lora_state_dict(&tuned)));
}

#[test]
fn loading_names_every_problem_and_changes_nothing() {
    let model = sequential![linear(3, 4), linear(4, 2)];
    add_lora(&model, &rank(2));
    let before = lora_state_dict(&model);
    let mut dict = before.clone();
    let value = dict.shift_remove("0.lora_A.weight").unwrap();
    dict.insert("0.lora_a.weight".to_owned(), value);
    dict.insert("1.lora_B.weight".to_owned(), Tensor::ones([2, 3], F64));
    dict.insert("0.weight".to_owned(), Tensor::ones([4, 3], F64));
    dict.insert("base_model.model.2.lora_A.weight".to_owned(), Tensor::ones([1, 1], F64));
    let error = load_lora_state_dict(&model, &dict).unwrap_err().to_string();
    for problem in [
        "1 missing, 3 unexpected, 1 mis-shaped",
        "missing     0.lora_A.weight; closest is 0.lora_a.weight",
        "unexpected  0.weight",
        "unexpected  base_model.model.2.lora_A.weight",
        "1.lora_B.weight: [2, 3] in the state dict, [2, 2] in the module",
    ] {
        assert!(error.contains(problem), "{problem}: {error}");
    }
    assert!(same(&lora_state_dict(&model), &before));

    let mut twice = before.clone();
    twice.insert("base_model.model.0.lora_A.weight".to_owned(), Tensor::ones([2, 3], F64));
    let error = load_lora_state_dict(&model, &twice).unwrap_err().to_string();
    assert!(error.contains("0.lora_A.weight and base_model.model.0.lora_A.weight are one parameter"), "{error}");
    assert!(same(&lora_state_dict(&model), &before));

    remove_lora(&model);
    assert_eq!(load_lora_state_dict(&model, &before).unwrap_err().unexpected.len(), 4);
    assert!(load_lora_state_dict(&model, &StateDict::new()).is_ok());
}

#[test]
fn a_whole_model_merges_and_can_be_adapted_again() {
    let model = Tagger::new();
    let plain: Vec<String> = model.state_dict().into_keys().collect();
    let printed = model.to_string();
    for r in [2, 3] {
        add_lora(&model, &LoraOptions { rank: r, ..targets(&["0", "1", "out_proj", "out"]) });
        assert_eq!(model.forward(&ids()).shape(), [2, 3, 5]);
        train_somehow(&model);
        let expected = model.forward(&ids()).value();
        assert_eq!(merge_lora(&model).len(), 4);
        // The layer that stands in two places is merged once.
        assert!(model.forward(&ids()).value().allclose(&expected, 1e-9, 1e-9));
        assert_eq!(model.state_dict().into_keys().collect::<Vec<_>>(), plain);
        assert_eq!(model.to_string(), printed);
        assert!(model.parameters().iter().all(|p| !p.requires_grad()));
        assert!(merge_lora(&model).is_empty());
    }
}

#[test]
fn a_tied_head_is_adapted_alone_and_not_merged() {
    let model = Tagger::new();
    add_lora(&model, &targets(&["head"]));
    train_somehow(&model);
    model.forward(&ids()).sum().backward();
    assert!(model.embedding.weight.grad().is_none());
    assert!(model.head.weight.ptr_eq(&model.embedding.weight));
    let before = model.state_dict();
    refuses! {
        merge_lora(&model) => "merge_lora: a tied weight would change in all its places\n  the weight of head is also embedding.weight";
    }
    assert!(same(&model.state_dict(), &before));
    // Alone it is not tied.
    let x = randn(&[4]);
    let expected = model.head.forward(&x).value();
    merge_lora(&model.head);
    assert!(model.head.forward(&x).value().allclose(&expected, 1e-9, 1e-9));
}

#[test]
fn dropout_is_for_training_and_for_the_adapter_only() {
    manual_seed(4);
    let layer = linear(200, 1);
    let options = LoraOptions { rank: 1, alpha: 1.0, dropout: 0.25, ..Default::default() };
    let model = sequential![layer, Dropout::new(0.0)];
    let x = Var::new(Tensor::ones([500, 200], F64));
    let plain = model.forward(&x).value();
    model.eval();
    add_lora(&model, &options);
    let dict = lora_state_dict(&model);
    for (name, value) in &dict {
        init::ones_(&model.get_parameter(name).unwrap());
        assert_eq!(value.ndim(), 2);
    }
    // The model was in evaluation mode, and so is the adapter.
    assert!(model.forward(&x).value().allclose(&(&plain + 200.0), 1e-9, 1e-9));
    model.train();
    let added = &model.forward(&x).value() - &plain;
    // Each number is a sum of 200 that are 0 or 4/3: a multiple of 4/3 of mean 200 and variance 200 p / (1 - p).
    assert!(added.to_vec::<f64>().iter().all(|y| (y * 0.75 - (y * 0.75).round()).abs() < 1e-9));
    let (mean, var) = (added.mean().item::<f64>(), added.var().item::<f64>());
    assert!((mean - 200.0).abs() < 2.0 && (var / (200.0 / 3.0) - 1.0).abs() < 0.35, "{mean} {var}");
    model.eval();
    assert!(model.forward(&x).value().allclose(&(&plain + 200.0), 1e-9, 1e-9));

    // A linear layer by itself has no mode before.
    let layer = linear(2, 1);
    layer.eval();
    add_lora(&layer, &options);
    assert!(layer.is_training());
    layer.eval();
    assert!(!layer.is_training());
}

#[test]
fn an_adapted_layer_keeps_its_adapter_under_a_computed_weight() {
    let layer = linear(3, 2);
    add_lora(&layer, &rank(2));
    train_somehow(&layer);
    let x = randn(&[5, 3]);
    let expected = layer.forward(&x).value();
    let normalised = weight_norm(layer, Some(0));
    assert!(normalised.forward(&x).value().allclose(&expected, 1e-9, 1e-9));
    assert_eq!(normalised.state_dict().keys().filter(|name| name.contains("lora")).count(), 2);
}

#[test]
fn a_layer_without_adapter_is_as_small_as_it_was_but_for_a_pointer() {
    let parameters = size_of::<Parameter>() + size_of::<Option<Parameter>>();
    assert_eq!(size_of::<Linear>(), parameters + size_of::<usize>());
    let layer = linear(3, 2);
    assert_eq!(layer.forward(&randn(&[3])).op_name(), Some("linear"));
    assert!(layer.is_training() && remove_lora(&layer).is_empty() && lora_state_dict(&layer).is_empty());
}

#[test]
fn refusals() {
    let model = sequential![linear(3, 4), linear(4, 2)];
    let bias = || Some(Parameter::new(Tensor::zeros([3], F64)));
    refuses! {
        add_lora(&model, &rank(0)) => "add_lora: the rank is zero";
        add_lora(&model, &LoraOptions { dropout: 1.5, ..rank(1) }) => "add_lora: the probability of dropout is not between 0 and 1, p = 1.5";
        add_lora(&model, &targets(&["1", "2", "up", ""])) => "add_lora: there is no linear layer of this name: 2, up, \n  linear layers 0, 1";
        add_lora(&ReLU::new(), &rank(1)) => "add_lora: the model has no linear layer";
        Linear::from_parameters(Parameter::new(Tensor::zeros([2], F64)), None) => "Linear: the parameters are no layer's\n  weight [2]   rule weight [out, in], bias [out]";
        Linear::from_parameters(Parameter::new(Tensor::zeros([2, 3], F64)), bias()) => "weight [2, 3]   bias [3]   rule";
    }
    assert!(model.parameters().iter().all(|p| p.requires_grad()));
    add_lora(&model, &targets(&["1"]));
    refuses! {
        add_lora(&model, &rank(1)) => "add_lora: there are adapters already: 1\n  rule: merge_lora or remove_lora comes first";
    }
    assert_eq!(lora_state_dict(&model).len(), 2);
}
