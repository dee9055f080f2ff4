//! Clipping of gradients and averages of weights agree with PyTorch's. The numbers are made by `scripts/nn_utils.py`.

use nn::prelude::*;
use nn::utils::{Average, AveragedModel, ClipOptions, clip_grad_norm_, clip_grad_value_, get_total_norm};
use tests::{Fixture, assert_close};

fn parameters(fixture: &Fixture, count: usize) -> Vec<Parameter> {
    let gradients = fixture.parts("clip", "grad.").into_iter().take(count);
    let parameter = |(_, gradient): (String, Tensor)| {
        let p = Parameter::new(gradient.zeros_like());
        p.set_grad(Some(Var::new(gradient)));
        p
    };
    gradients.map(parameter).collect()
}

#[track_caller]
fn assert_gradients(what: &str, parameters: &[Parameter], expected: Vec<(String, Tensor)>) {
    assert_eq!(parameters.len(), expected.len());
    for (parameter, (_, expected)) in parameters.iter().zip(expected) {
        assert_close(what, &parameter.grad().unwrap().value(), &expected, 1e-14);
    }
}

#[test]
fn norms_of_every_order_clip_as_in_pytorch() {
    let fixture = Fixture::load("nn_utils");
    let orders = [2.0, 1.0, 3.5, f64::INFINITY, 0.5, 0.0, -2.0, f64::NEG_INFINITY];
    let names = ["2", "1", "3.5", "inf", "0.5", "0", "-2", "-inf"];
    for (name, norm_type) in names.into_iter().zip(orders) {
        let case = format!("norm_{name}");
        let expected = fixture.parts(&case, "out.");
        let parameters = parameters(&fixture, expected.len());
        let total = fixture.get(&case, "norm");
        assert_close(&case, &Tensor::scalar(get_total_norm(&parameters, norm_type)), &total, 1e-13);
        let options = ClipOptions { norm_type, ..Default::default() };
        let norm = clip_grad_norm_(&parameters, 1.5, options).unwrap();
        assert_close(&case, &Tensor::scalar(norm), &total, 1e-13);
        assert_gradients(&case, &parameters, expected);
    }
}

#[test]
fn values_clip_as_in_pytorch() {
    let fixture = Fixture::load("nn_utils");
    let parameters = parameters(&fixture, 3);
    clip_grad_value_(&parameters, 1.2);
    assert_gradients("value", &parameters, fixture.parts("value", "out."));
}

#[test]
fn averages_of_weights_follow_pytorch() {
    let fixture = Fixture::load("nn_utils");
    let weights = fixture.get("average", "weight");
    let cases = [
        ("ema", Average::Exponential(0.9), false),
        ("ema_slow", Average::Exponential(0.3), false),
        ("ema_buffers", Average::Exponential(0.9), true),
        ("ema_slow_buffers", Average::Exponential(0.3), true),
        ("equal", Average::Equal, false),
    ];
    for (name, average, use_buffers) in cases {
        let model = BatchNorm1d::new(3);
        model.to_dtype(DType::F64);
        let mut averaged = AveragedModel::new(&model, average).use_buffers(use_buffers);
        for step in 0..weights.dim(0) {
            let weight = weights.select(0, step as isize);
            let mut state = model.state_dict();
            state["running_mean"] = &weight * 2.0;
            state["num_batches_tracked"] = Tensor::scalar(step as i64 + 1);
            state["weight"] = weight;
            model.load_state_dict(&state).unwrap();
            averaged.update(&model);
            for part in ["weight", "running_mean"] {
                let expected = fixture.get(name, part).select(0, step as isize);
                assert_close(name, &averaged.state_dict()[&format!("module.{part}")], &expected, 1e-14);
            }
        }
        if !use_buffers {
            let expected = fixture.parts(name, "state.");
            let state = averaged.state_dict();
            assert_eq!(state.len(), expected.len());
            for (key, expected) in expected {
                assert_close(name, &state[&key], &expected, 1e-14);
            }
        }
    }
}
