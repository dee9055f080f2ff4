//! The options of `grad` and `backward_with`, and every refusal of theirs.

use autograd::{BackwardOptions, GradOptions, Var, grad};
use tensor::{DType, Tensor};

fn leaf(values: &[f64]) -> Var {
    Var::new(Tensor::from_slice(values, [values.len()])).requires_grad_(true)
}

fn vector(values: &[f64]) -> Var {
    Var::new(Tensor::from_slice(values, [values.len()]))
}

/// The message with which `f` panics.
fn message(f: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("a panic");
    payload.downcast_ref::<String>().cloned().or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string())).unwrap()
}

fn refuses(expected: &str, f: impl FnOnce()) {
    let got = message(f);
    assert!(got.contains(expected), "{got}");
}

fn backward_with(y: &Var, options: BackwardOptions) {
    y.backward_with(options);
}

#[test]
fn an_unused_input_is_refused_unless_it_may_be() {
    let (x, other) = (leaf(&[2.0]), leaf(&[1.0, 1.0]));
    let y = &x * 2.0;
    refuses("grad: the outputs do not depend on input 1; allow_unused gives None for it", || {
        grad(&[&y], &[&x, &other], GradOptions::default());
    });
    let allow = GradOptions { allow_unused: Some(true), ..Default::default() };
    let grads = grad(&[&y], &[&x, &other], allow.clone());
    assert_eq!(grads[0].as_ref().unwrap().item::<f64>(), 2.0);
    assert!(grads[1].is_none());
    // Zeros, whether None would have been allowed or not.
    for allow_unused in [None, Some(true)] {
        let options = GradOptions { materialize_grads: true, allow_unused, ..Default::default() };
        let zeros = grad(&[&y], &[&other], options)[0].clone().unwrap();
        assert_eq!((zeros.to_vec::<f64>(), zeros.dtype()), (vec![0.0, 0.0], DType::F64));
    }
    refuses("materialize_grads gives zeros for unused inputs, so allow_unused cannot be Some(false)", || {
        let options = GradOptions { materialize_grads: true, allow_unused: Some(false), ..Default::default() };
        grad(&[&y], &[&other], options);
    });
    // Without outputs nothing is used.
    assert!(grad(&[], &[&x], allow)[0].is_none());
    refuses("do not depend on input 0", || drop(grad(&[], &[&x], GradOptions::default())));
}

#[test]
fn the_seed_must_fit() {
    let x = leaf(&[1.0, 2.0]);
    let (y, z) = (&x * &x, x.sum());
    refuses("grad: a gradient can be created only for a scalar, output 1 has shape [2]", || {
        grad(&[&z, &y], &[&x], GradOptions::default());
    });
    let seeds = |seeds: Vec<Var>| GradOptions { grad_outputs: Some(seeds), ..Default::default() };
    refuses("grad: the gradient of output 0 has shape [3], the value [2]", || {
        grad(&[&y], &[&x], seeds(vec![vector(&[1.0; 3])]));
    });
    // A scalar is not a vector of one element, as in PyTorch.
    refuses("grad: the gradient of output 0 has shape [1], the value []", || {
        grad(&[&z], &[&x], seeds(vec![vector(&[1.0])]));
    });
    refuses("grad: 1 grad_outputs for 2 outputs", || {
        grad(&[&y, &z], &[&x], seeds(vec![vector(&[1.0; 2])]));
    });
    refuses("backward: the gradient of this value has shape [3], the value [2]", || {
        backward_with(&y, BackwardOptions { gradient: Some(vector(&[1.0; 3])), ..Default::default() });
    });
    refuses("backward: a gradient can be created only for a scalar, this value has shape [2]", || y.backward());
    // Another dtype is converted, and a single element of any shape needs no seed.
    let integers = Var::new(Tensor::from([1i64, 10]));
    let dx = grad(&[&y], &[&x], seeds(vec![integers]))[0].clone().unwrap();
    assert_eq!((dx.to_vec::<f64>(), dx.dtype()), (vec![2.0, 40.0], DType::F64));
    let dx = grad(&[&z.reshape([1, 1])], &[&x], GradOptions::default())[0].clone().unwrap();
    assert_eq!(dx.to_vec::<f64>(), [1.0, 1.0]);
}

#[test]
fn what_needs_no_gradient_has_none() {
    let x = leaf(&[1.0]);
    let constant = vector(&[1.0]);
    refuses("grad: output 0 does not require a gradient", || {
        grad(&[&constant], &[&x], GradOptions::default());
    });
    refuses("backward: this value does not require a gradient", || constant.backward());
    refuses("grad: input 1 does not require a gradient", || {
        grad(&[&(&x * &constant)], &[&x, &constant], GradOptions::default());
    });
    refuses("grad: the list of inputs is empty", || drop(grad(&[&(&x * 2.0)], &[], GradOptions::default())));
    refuses("backward: input 0 does not require a gradient", || {
        backward_with(&(&x * 2.0), BackwardOptions { inputs: Some(vec![constant.clone()]), ..Default::default() });
    });
}

#[test]
fn retain_graph_is_create_graph_unless_given() {
    let x = leaf(&[3.0]);
    let options = |retain_graph: Option<bool>, create_graph: bool| GradOptions {
        retain_graph,
        create_graph,
        ..Default::default()
    };
    let y = &x * &x;
    for (retain, create) in [(Some(true), false), (None, true), (Some(true), true), (None, false)] {
        let dx = grad(&[&y], &[&x], options(retain, create))[0].clone().unwrap();
        assert_eq!((dx.item::<f64>(), dx.requires_grad()), (6.0, create));
    }
    let freed = "an earlier pass freed what `mul`";
    refuses(freed, || drop(grad(&[&y], &[&x], options(None, false))));
    // Recorded, but over a graph that is freed: the gradient is there, its own gradient is not.
    let y = (&x * &x) * &x;
    let dx = grad(&[&y], &[&x], options(Some(false), true))[0].clone().unwrap();
    assert!(dx.requires_grad());
    refuses(freed, || drop(grad(&[&dx], &[&x], options(None, false))));
    refuses(freed, || drop(grad(&[&y], &[&x], options(None, false))));
}

#[test]
fn the_freed_operation_is_named_with_its_line() {
    let x = leaf(&[3.0]);
    let y = x.exp();
    y.backward();
    let text = message(|| y.backward());
    assert!(text.contains("`exp` (") && text.contains("options.rs:"), "{text}");
}

#[test]
fn inputs_of_backward_get_gradients_and_nobody_else() {
    let (a, b) = (leaf(&[2.0]), leaf(&[3.0]));
    let product = &a * &b;
    let y = &product * &a;
    let only = |inputs: &[&Var]| BackwardOptions {
        inputs: Some(inputs.iter().map(|v| (*v).clone()).collect()),
        retain_graph: Some(true),
        ..Default::default()
    };
    y.backward_with(only(&[&a]));
    assert_eq!(a.grad().unwrap().item::<f64>(), 12.0);
    assert!(b.grad().is_none());
    // They add up over passes, for values in between too.
    y.backward_with(only(&[&a, &product]));
    y.backward_with(only(&[&product]));
    assert_eq!(a.grad().unwrap().item::<f64>(), 24.0);
    assert_eq!(product.grad().unwrap().item::<f64>(), 4.0);
    // One that has no part stays without a gradient.
    let other = leaf(&[1.0]);
    y.backward_with(only(&[&other]));
    assert!(other.grad().is_none() && b.grad().is_none());
}

#[test]
fn grad_fills_the_slots_of_retain_grad_and_runs_hooks() {
    let x = leaf(&[2.0]);
    let y = &x * &x;
    y.retain_grad();
    x.register_hook(|dx| Some(dx * 10.0));
    let dx = grad(&[&(&y * 3.0)], &[&x], GradOptions::default())[0].clone().unwrap();
    assert_eq!((dx.item::<f64>(), y.grad().unwrap().item::<f64>()), (120.0, 3.0));
    assert!(x.grad().is_none());
}

#[test]
fn an_input_may_stand_twice() {
    let x = leaf(&[2.0]);
    let grads = grad(&[&x.square()], &[&x, &x], GradOptions::default());
    assert!(grads.iter().all(|dx| dx.as_ref().unwrap().item::<f64>() == 4.0));
}
