//! Saving and resuming optimizers and schedules; clipping; the warm-up cosine.

use nn::prelude::*;
use optim::{
    AdamW, AdamWOptions, ClipOptions, NonFiniteNorm, Optimizer, ParamGroup, SGD, SGDOptions, Scheduler, WarmupCosine,
    clip_grad_norm_,
};
use proptest::prelude::*;

fn model() -> Sequential {
    sequential![Linear::new(3, 5), Tanh::new(), Linear::new(5, 2)]
}

fn groups(model: &Sequential) -> AdamW {
    let (matrices, rest) = model.parameters().into_iter().partition(|parameter| parameter.ndim() == 2);
    AdamW::with_groups(vec![
        ParamGroup::new(
            matrices,
            AdamWOptions { lr: 1e-2, weight_decay: 0.1, betas: (0.9, 0.99), ..Default::default() },
        ),
        ParamGroup::new(rest, AdamWOptions { lr: 2e-2, weight_decay: 0.0, ..Default::default() }),
    ])
}

fn train(model: &Sequential, optimizer: &mut dyn Optimizer, schedule: &mut WarmupCosine, steps: usize) {
    let x = Tensor::linspace(-1.0, 1.0, 12, DType::F32).reshape([4, 3]);
    for _ in 0..steps {
        optimizer.zero_grad();
        CrossEntropyLoss::new()
            .forward(&model.forward(&Var::new(x.clone())), &Tensor::from([0i64, 1, 1, 0]))
            .backward();
        optimizer.step();
        schedule.step(optimizer);
    }
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    manual_seed(3);
    let (first, second) = (model(), model());
    let mut optimizer = groups(&first);
    let mut schedule = WarmupCosine::new(&mut optimizer, 3, 20, 1e-3);
    train(&first, &mut optimizer, &mut schedule, 7);

    // Through the bytes of a file.
    let through_file = |dict: nn::StateDict| -> nn::StateDict {
        let entries: Vec<(String, Tensor)> = dict.into_iter().collect();
        let bytes = tensor::safetensors::to_bytes(&entries, &[]).unwrap();
        tensor::safetensors::from_bytes(&bytes).unwrap().tensors.into_iter().collect()
    };
    let saved = [first.state_dict(), optimizer.state_dict(), schedule.state_dict()].map(through_file);
    train(&first, &mut optimizer, &mut schedule, 13);

    second.load_state_dict(&saved[0]).unwrap();
    let mut resumed = AdamW::with_groups(vec![
        ParamGroup::new(groups(&second).param_groups()[0].params.clone(), AdamWOptions::default()),
        ParamGroup::new(groups(&second).param_groups()[1].params.clone(), AdamWOptions::default()),
    ]);
    let mut resumed_schedule = WarmupCosine::new(&mut resumed, 1, 2, 0.0);
    resumed.load_state_dict(&saved[1]).unwrap();
    resumed_schedule.load_state_dict(&saved[2]).unwrap();
    train(&second, &mut resumed, &mut resumed_schedule, 13);

    assert!(first.state_dict().iter().all(|(name, value)| value.bit_eq(&second.state_dict()[name])));
    assert_eq!(schedule, resumed_schedule);
    let (a, b) = (optimizer.state_dict(), resumed.state_dict());
    assert!(a.len() == b.len() && a.iter().all(|(name, value)| value.bit_eq(&b[name])));
    assert_eq!(resumed.learning_rates(), [1e-3, 1e-3]);
}

#[test]
fn the_names_are_pytorchs() {
    let model = model();
    let mut optimizer = groups(&model);
    let mut schedule = WarmupCosine::new(&mut optimizer, 0, 10, 0.0);
    train(&model, &mut optimizer, &mut schedule, 1);
    let dict = optimizer.state_dict();
    let mut expected: Vec<String> = Vec::new();
    for number in 0..4 {
        expected.extend(["step", "exp_avg", "exp_avg_sq"].map(|name| format!("state.{number}.{name}")));
    }
    for group in 0..2 {
        let names = ["lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "params"];
        expected.extend(names.map(|name| format!("param_groups.{group}.{name}")));
    }
    assert_eq!(dict.keys().cloned().collect::<Vec<_>>(), expected);
    assert_eq!(dict["param_groups.1.params"].to_vec::<i64>(), [2, 3]);
    assert_eq!(dict["state.1.exp_avg"].dims(), [2, 5]);

    let mut sgd = SGD::with(model.parameters(), SGDOptions { momentum: 0.5, ..Default::default() });
    sgd.step();
    assert!(sgd.state_dict().contains_key("state.0.momentum_buffer"));
}

#[test]
fn a_load_reports_everything_at_once_and_changes_nothing() {
    let model = model();
    let mut optimizer = groups(&model);
    let mut schedule = WarmupCosine::new(&mut optimizer, 0, 10, 0.0);
    train(&model, &mut optimizer, &mut schedule, 2);
    let before = optimizer.state_dict();
    let mut dict = before.clone();
    dict.shift_remove("param_groups.0.eps");
    dict.shift_remove("state.2.exp_avg");
    dict["state.1.exp_avg"] = Tensor::zeros([2, 2], DType::F32);
    dict["param_groups.1.lr"] = Tensor::scalar(-1f64);
    dict["state.0.step"] = Tensor::scalar(-3i64);
    dict["param_groups.1.params"] = Tensor::from([3i64, 2]);
    dict.insert("state.9.step".to_owned(), Tensor::scalar(1i64));
    let error = optimizer.load_state_dict(&dict).unwrap_err();
    let expected = [
        "missing     param_groups.0.eps",
        "mis-ordered param_groups.1.params: the parameters of the groups are numbered differently",
        "unusable    param_groups.1: lr is -1, must not be negative",
        "negative    state.0.step: -3",
        "mis-shaped  state.1.exp_avg: f32 [2, 2], wanted f32 [2, 5]",
        "missing     state.2.exp_avg",
        "unexpected  state.9.step",
    ];
    assert_eq!(error.problems(), expected);
    assert!(error.to_string().starts_with("load_state_dict: the state does not fit AdamW\n  missing"));
    let after = optimizer.state_dict();
    assert!(after.len() == before.len() && after.iter().all(|(name, value)| value.bit_eq(&before[name])));

    let mut wrong = schedule.state_dict();
    wrong["base_lrs"] = Tensor::from([1f64]);
    assert_eq!(
        schedule.load_state_dict(&wrong).unwrap_err().to_string(),
        "load_state_dict: the state does not fit WarmupCosine\n  mis-shaped  base_lrs: f64 [1], wanted f64 [2]"
    );
}

#[test]
fn a_fresh_state_forgets_the_old_one() {
    let model = model();
    let mut optimizer = groups(&model);
    let fresh = optimizer.state_dict();
    let mut schedule = WarmupCosine::new(&mut optimizer, 0, 10, 0.0);
    train(&model, &mut optimizer, &mut schedule, 2);
    optimizer.load_state_dict(&fresh).unwrap();
    assert_eq!(optimizer.state_dict().len(), fresh.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn warmup_cosine_rises_then_falls(warmup in 0usize..20, rest in 2usize..50, lr in 0.1f64..1.0, low in 0.0f64..0.1) {
        let steps = warmup + rest;
        let mut optimizer = SGD::with(model().parameters(), SGDOptions { lr, ..Default::default() });
        let mut schedule = WarmupCosine::new(&mut optimizer, warmup, steps, low);
        let mut rates = Vec::new();
        for _ in 0..steps + 3 {
            prop_assert_eq!(optimizer.learning_rates(), schedule.get_last_lr());
            rates.push(optimizer.learning_rates()[0]);
            schedule.step(&mut optimizer);
        }
        for (i, pair) in rates[..steps].windows(2).enumerate() {
            prop_assert!(if i < warmup { pair[0] < pair[1] } else { pair[0] > pair[1] }, "{i} {pair:?}");
        }
        prop_assert!((rates[warmup] - lr).abs() < 1e-12);
        prop_assert!(rates[steps - 1..].iter().all(|&rate| rate == low));
        prop_assert!((0..warmup).all(|i| (rates[i] - lr * (i + 1) as f64 / (warmup + 1) as f64).abs() < 1e-12));
        // Halfway down the cosine is halfway between the rates.
        if rest % 2 == 1 {
            prop_assert!((rates[warmup + rest / 2] - (lr + low) / 2.0).abs() < 1e-12);
        }
    }

    #[test]
    fn clipping_bounds_the_norm(
        shapes in proptest::collection::vec(proptest::collection::vec(1usize..5, 0..3), 1..4),
        max_norm in 0.1f64..20.0, norm_type in prop_oneof![Just(2.0), Just(1.0), Just(3.0), Just(f64::INFINITY)],
        seed: u64,
    ) {
        manual_seed(seed);
        let parameters: Vec<Parameter> =
            shapes.iter().map(|shape| Parameter::new(Tensor::randn(shape.clone(), DType::F64))).collect();
        let mut all = Vec::new();
        for parameter in &parameters {
            let gradient = Tensor::randn(parameter.shape(), DType::F64);
            all.extend(gradient.to_vec::<f64>());
            parameter.set_grad(Some(Var::new(gradient)));
        }
        let norm = |values: &[f64]| match norm_type {
            f64::INFINITY => values.iter().fold(0.0, |a: f64, x| a.max(x.abs())),
            p => values.iter().map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p),
        };
        let gradients = || parameters.iter().flat_map(|p| p.grad().unwrap().to_vec::<f64>()).collect::<Vec<_>>();
        let options = ClipOptions { norm_type, ..Default::default() };
        let total = clip_grad_norm_(&parameters, max_norm, options).unwrap();
        prop_assert!((total - norm(&all)).abs() <= 1e-12 * total);
        if total > max_norm {
            prop_assert!((norm(&gradients()) - max_norm).abs() < 1e-5 * max_norm);
            prop_assert!(gradients().iter().zip(&all).all(|(a, b)| (a - b * max_norm / (total + 1e-6)).abs() < 1e-12));
        } else if total < 0.999 * max_norm {
            prop_assert_eq!(gradients(), all);
        }
    }
}

#[test]
#[should_panic(expected = "AdamW: the parameter is f64, the kept tensor f32")]
fn a_model_is_not_converted_under_its_optimizer() {
    let layer = Linear::new(2, 1);
    let mut optimizer = AdamW::new(layer.parameters());
    for dtype in [DType::F32, DType::F64] {
        layer.to_dtype(dtype);
        optimizer.zero_grad();
        layer.forward(&Var::new(Tensor::ones([1, 2], dtype))).sum().backward();
        optimizer.step();
    }
}

#[test]
fn a_norm_that_is_not_finite() {
    for (bad, norm_type) in [(f64::NAN, 2.0), (f64::INFINITY, 2.0), (f64::NAN, f64::INFINITY)] {
        let w = Parameter::new(Tensor::from([1f64, 1.0]));
        w.set_grad(Some(Var::new(Tensor::from([bad, 1.0]))));
        let refuse = ClipOptions { norm_type, error_if_nonfinite: true };
        let NonFiniteNorm(norm) = clip_grad_norm_(std::slice::from_ref(&w), 1.0, refuse).unwrap_err();
        assert!(!norm.is_finite());
        assert_eq!(w.grad().unwrap().to_vec::<f64>()[1], 1.0);
        let pass = ClipOptions { norm_type, ..Default::default() };
        assert!(!clip_grad_norm_(std::slice::from_ref(&w), 1.0, pass).unwrap().is_finite());
        assert_ne!(w.grad().unwrap().to_vec::<f64>()[1], 1.0);
    }
}

#[test]
fn the_norm_of_finite_f32_gradients_is_finite() {
    for size in [1e30, 1e-30, 1e-22] {
        let w = Parameter::new(Tensor::zeros([2], DType::F32));
        w.set_grad(Some(Var::new(Tensor::from([3.0 * size as f32, -4.0 * size as f32]))));
        let norm = clip_grad_norm_(std::slice::from_ref(&w), 1.0, ClipOptions::default()).unwrap();
        assert!((norm - 5.0 * size).abs() < 1e-6 * norm, "{norm}");
        let clipped = w.grad().unwrap().value();
        let scale = if size > 1.0 { 0.2 } else { size };
        let expected = Tensor::from([3.0 * scale as f32, -4.0 * scale as f32]);
        assert!(clipped.allclose(&expected, 1e-6, 0.0), "{clipped}");
    }
}

#[test]
fn without_gradients_the_norm_is_zero() {
    let norm = clip_grad_norm_(&model().parameters(), 1.0, ClipOptions::default()).unwrap();
    assert!(norm == 0.0 && norm.is_sign_positive());
}
