//! The gradient check of parameters, what the report says about a model, and a model's drawing.

use std::cell::Cell;

use autograd::{GradcheckOptions, GradientState, gradient_report};
use nn::gradcheck_parameters;
use nn::prelude::*;

const FAST: GradcheckOptions = GradcheckOptions {
    eps: 1e-6,
    atol: 1e-5,
    rtol: 1e-3,
    nondet_tol: 0.0,
    check_undefined_grad: true,
    fast_mode: true,
};

fn network(sizes: [usize; 3]) -> Sequential {
    let options = || LinearOptions { dtype: DType::F64, ..Default::default() };
    sequential![Linear::with(sizes[0], sizes[1], options()), Tanh::new(), Linear::with(sizes[1], sizes[2], options())]
}

/// The network, with what `wrong` makes of the gradient of its second bias: a zero is added whose gradient is none.
fn spoiled(model: &Sequential, x: &Var, wrong: impl Fn(&Var) -> Var + 'static) -> Var {
    let bias = model.parameters()[3].clone();
    let zero = Var::record_unary("wrong", bias.value().mul_scalar(0.0), &bias, move |dy| wrong(dy) - dy);
    model.forward(x) + zero
}

#[test]
fn right_gradients_pass_in_both_modes_and_the_values_come_back() {
    manual_seed(3);
    let (model, x) = (network([3, 4, 2]), Var::new(Tensor::randn([5, 3], DType::F64)));
    let before = model.state_dict();
    for options in [GradcheckOptions::default(), FAST] {
        gradcheck_parameters(&model, || model.forward(&x), options).unwrap();
    }
    assert!(model.state_dict().iter().all(|(name, value)| value.bit_eq(&before[name])));
    assert!(model.parameters().iter().all(|p| p.grad().is_none()));
}

#[test]
fn a_wrong_element_is_named_in_both_modes() {
    manual_seed(3);
    let (model, x) = (network([3, 4, 5]), Var::new(Tensor::randn([5, 3], DType::F64)));
    let factors = Tensor::from([1.0, 1.0, 1.0, 2.0, 1.0]);
    for options in [GradcheckOptions::default(), FAST] {
        let factors = Var::new(factors.clone());
        let f = || {
            let factors = factors.clone();
            spoiled(&model, &x, move |dy| dy * &factors)
        };
        let error = gradcheck_parameters(&model, f, options).unwrap_err();
        assert_eq!((error.name.as_str(), error.position), ("2.bias", 3), "{error}");
        assert!(error.to_string().contains("by element 3 of 2.bias is"), "{error}");
    }
}

#[test]
fn the_fast_mode_takes_two_evaluations() {
    manual_seed(3);
    let (model, x) = (network([20, 30, 10]), Var::new(Tensor::randn([5, 20], DType::F64)));
    let calls = Cell::new(0);
    let f = || {
        calls.set(calls.get() + 1);
        model.forward(&x)
    };
    gradcheck_parameters(&model, f, FAST).unwrap();
    assert_eq!(calls.get(), 1 + 2);
}

#[test]
fn frozen_parameters_are_left_out() {
    manual_seed(3);
    let (model, x) = (network([3, 4, 2]), Var::new(Tensor::randn([5, 3], DType::F64)));
    model.parameters()[0].requires_grad_(false);
    for options in [GradcheckOptions::default(), FAST] {
        gradcheck_parameters(&model, || model.forward(&x), options).unwrap();
    }
}

#[test]
#[should_panic(expected = "central differences need f64, weight has less")]
fn parameters_are_f64() {
    let layer = Linear::new(2, 2);
    let x = Var::new(Tensor::ones([1, 2], DType::F32));
    let _ = gradcheck_parameters(&layer, || layer.forward(&x), Default::default());
}

#[test]
fn a_model_with_a_forgotten_layer_is_reported_and_drawn() {
    let (used, forgotten) = (Linear::new(2, 3), Linear::new(3, 3));
    let x = Var::new(Tensor::ones([4, 2], DType::F32));
    let loss = used.forward(&x).square().mean();
    loss.backward();
    let named = [("used", &used), ("forgotten", &forgotten)].into_iter().flat_map(|(layer, linear)| {
        let named = linear.named_parameters();
        named.into_iter().map(move |(name, parameter)| (format!("{layer}.{name}"), parameter))
    });
    let named: Vec<(String, Parameter)> = named.collect();
    let report = gradient_report(named.clone());
    let problems: Vec<&str> = report.problems().map(|entry| entry.name.as_str()).collect();
    assert_eq!(problems, ["forgotten.weight", "forgotten.bias"]);
    assert_eq!(report.get("used.weight").unwrap().state, GradientState::Healthy);
    let text = loss.to_dot(named);
    assert!(text.contains("xlabel=\"used.weight\"") && !text.contains("forgotten"), "{text}");
}
