//! Anomaly mode: which operation, which input, which line.

use autograd::{
    AnomalyOptions, GradOptions, Var, checkpoint, detect_anomaly, detect_anomaly_with, grad, is_anomaly_enabled,
    no_grad,
};
use tensor::Tensor;

fn leaf(values: &[f64]) -> Var {
    Var::new(Tensor::from_slice(values, [values.len()])).requires_grad_(true)
}

fn message(f: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("a panic");
    assert!(!is_anomaly_enabled());
    payload.downcast_ref::<String>().expect("a message").clone()
}

#[test]
fn the_operation_its_line_and_its_input_are_named() {
    let (x, w) = (leaf(&[1.0, 0.0, 4.0]), leaf(&[1.0, 2.0, 3.0]));
    let line = line!() + 1;
    let root = x.sqrt();
    let y = (&w * (root * &x)).sum();
    let text = message(|| detect_anomaly(|| y.backward()));
    let expected = format!("anomaly: the gradient of input 0 of `sqrt` (autograd/tests/anomaly.rs:{line}:18)");
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.contains("is NaN at [1] (1 of 3 elements)"), "{text}");
    assert!(text.contains("the gradient of its result has none"), "{text}");
}

#[test]
fn the_second_of_two_inputs_is_named() {
    let (a, b) = (leaf(&[0.0]), leaf(&[0.0]));
    // 0 / 0: the gradient of the first is 1 / 0, infinite but a number; that of the second is not.
    let text = message(|| detect_anomaly(|| (&a / &b).backward()));
    assert!(text.contains("of input 1 of `div`"), "{text}");
}

#[test]
fn a_seed_that_is_nan_is_told_apart() {
    let x = leaf(&[1.0]);
    let options = GradOptions { grad_outputs: Some(vec![leaf(&[f64::NAN])]), ..Default::default() };
    let text = message(|| detect_anomaly(|| drop(grad(&[&x.exp()], &[&x], options))));
    assert!(text.contains("of `exp`") && text.contains("it came with the seed or a hook"), "{text}");
}

#[test]
fn outside_nothing_is_searched_and_what_nobody_needs_is_not_either() {
    let x = leaf(&[0.0]);
    (x.sqrt() * &x).backward();
    assert!(x.grad().unwrap().item::<f64>().is_nan());
    // The divisor is a constant, so its gradient, which would be NaN, is not computed.
    x.zero_grad();
    detect_anomaly(|| (&x / Var::new(Tensor::from([0.0]))).backward());
    assert_eq!(x.grad().unwrap().item::<f64>(), f64::INFINITY);
}

#[test]
fn a_recorded_pass_and_a_checkpointed_one_are_searched_too() {
    let x = leaf(&[0.0]);
    let create = GradOptions { create_graph: true, ..Default::default() };
    let text = message(|| detect_anomaly(|| drop(grad(&[&(x.sqrt() * &x)], &[&x], create))));
    assert!(text.contains("of `sqrt`"), "{text}");
    let y = checkpoint(|v| v[0].sqrt() * &v[0], &[&x]);
    let text = message(|| detect_anomaly(|| y.backward()));
    assert!(text.contains("of `sqrt` (autograd/tests/anomaly.rs:"), "{text}");
}

#[test]
fn a_second_derivative_names_the_line_of_the_forward_pass() {
    let x = leaf(&[0.0]);
    let line = line!() + 1;
    let y = x.powf(1.5);
    let create = GradOptions { create_graph: true, ..Default::default() };
    let dx = grad(&[&y], &[&x], create)[0].clone().unwrap();
    // 1.5 x^0.5 has an infinite derivative at 0; times the 0 of the seed that is NaN.
    let zero = GradOptions { grad_outputs: Some(vec![leaf(&[0.0])]), ..Default::default() };
    let text = message(|| detect_anomaly(|| drop(grad(&[&dx], &[&x], zero))));
    assert!(text.contains(&format!("autograd/tests/anomaly.rs:{line}:")), "{text}");
    assert!(format!("{dx:?}").contains("anomaly.rs"), "{dx:?}");
    // A function that runs again in a recorded pass has its own lines.
    let line = line!() + 1;
    let y = checkpoint(|v| v[0].powf(1.5), &[&x]);
    let create = GradOptions { create_graph: true, ..Default::default() };
    let dx = grad(&[&y], &[&x], create)[0].clone().unwrap();
    let zero = GradOptions { grad_outputs: Some(vec![leaf(&[0.0])]), ..Default::default() };
    let text = message(|| detect_anomaly(|| drop(grad(&[&dx], &[&x], zero))));
    assert!(text.contains(&format!("autograd/tests/anomaly.rs:{line}:")), "{text}");
}

#[test]
fn the_first_result_that_is_nan_is_found() {
    let options = AnomalyOptions { check_forward: true, ..Default::default() };
    let x = leaf(&[2.0, -2.0]);
    let line = line!() + 1;
    let text = message(|| detect_anomaly_with(options, || drop(x.log().exp())));
    assert!(text.starts_with(&format!("anomaly: the result of `log` (autograd/tests/anomaly.rs:{line}:")), "{text}");
    assert!(text.contains("is NaN at [1] (1 of 2 elements)\n  its inputs have none"), "{text}");
    // Recorded or not.
    let text = message(|| detect_anomaly_with(options, || no_grad(|| drop(x.log()))));
    assert!(text.contains("`log`"), "{text}");
    let text = message(|| detect_anomaly_with(options, || drop(&x + &leaf(&[1.0, f64::NAN]))));
    assert!(text.contains("input 1 has NaN already"), "{text}");
    // An operation with several results has a line too.
    let line = line!() + 1;
    let text = message(|| detect_anomaly_with(options, || drop(leaf(&[1.0, f64::NAN]).unbind(0))));
    assert!(text.starts_with(&format!("anomaly: the result of `unbind` (autograd/tests/anomaly.rs:{line}:")), "{text}");
    // Operations of a backward pass are left to the check of gradients.
    let y = x.abs().sqrt() * leaf(&[1.0, 1.0]);
    detect_anomaly_with(options, || y.sum().backward());
    // Without the option the results are not searched.
    detect_anomaly(|| x.log());
}
