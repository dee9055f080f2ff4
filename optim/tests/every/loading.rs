//! States that do not fit, and what is in a state.

use nn::StateDict;
use nn::prelude::*;
use optim::*;

use crate::list::{EVERY, step};
use crate::{matrices, same_bits};

/// The names of what is kept for the first parameter after two steps.
fn kept(name: &str) -> Vec<String> {
    let (_, make) = EVERY.iter().find(|(other, _)| *other == name).expect("in the list");
    let parameters = matrices(&[(2, 3)], DType::F64, 1);
    let mut optimizer = make(parameters.clone());
    step(&mut *optimizer, &parameters, 0.0);
    step(&mut *optimizer, &parameters, 0.0);
    optimizer.state_dict().keys().filter_map(|key| key.strip_prefix("state.0.").map(str::to_owned)).collect()
}

#[test]
fn the_names_are_pytorchs() {
    assert_eq!(kept("SGD"), ["step"]);
    assert_eq!(kept("SGD with momentum"), ["step", "momentum_buffer"]);
    assert_eq!(kept("Adam with amsgrad"), ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]);
    assert_eq!(kept("NAdam"), ["step", "mu_product", "exp_avg", "exp_avg_sq"]);
    assert_eq!(kept("RAdam"), ["step", "exp_avg", "exp_avg_sq"]);
    assert_eq!(kept("Adamax"), ["step", "exp_avg", "exp_inf"]);
    assert_eq!(kept("Adagrad"), ["step", "sum"]);
    assert_eq!(kept("Adadelta"), ["step", "square_avg", "acc_delta"]);
    assert_eq!(kept("RMSprop with both"), ["step", "square_avg", "momentum_buffer", "grad_avg"]);
    assert_eq!(kept("Lion"), ["step", "exp_avg"]);
    assert_eq!(kept("Muon"), ["step", "momentum_buffer"]);
    let lbfgs =
        ["func_evals", "n_iter", "d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss"];
    assert_eq!(kept("LBFGS"), lbfgs);
}

/// What `load_state_dict` says to a state with a few changes; the optimizer must stay as it was.
fn problems(optimizer: &mut dyn Optimizer, change: impl FnOnce(&mut StateDict)) -> Vec<String> {
    let before = optimizer.state_dict();
    let mut dict = before.clone();
    change(&mut dict);
    let error = optimizer.load_state_dict(&dict).unwrap_err();
    let after = optimizer.state_dict();
    assert!(after.len() == before.len() && after.iter().all(|(name, value)| value.bit_eq(&before[name])));
    error.problems().to_vec()
}

#[test]
fn a_state_of_muons_that_does_not_fit() {
    let parameters = matrices(&[(2, 3)], DType::F32, 1);
    let mut muon = Muon::new(parameters.clone());
    step(&mut muon, &parameters, 0.0);
    let found = problems(&mut muon, |dict| {
        dict["param_groups.0.adjust_lr_fn"] = Tensor::from_slice(b"none", [4]);
        dict["param_groups.0.ns_coefficients"] = Tensor::from([1f64, 2.0]);
        dict["param_groups.0.ns_steps"] = Tensor::scalar(-1i64);
        dict["param_groups.0.nesterov"] = Tensor::scalar(1i64);
        dict["state.0.momentum_buffer"] = Tensor::zeros([2, 3], DType::F64);
    });
    let expected = [
        "mis-shaped  param_groups.0.nesterov: i64 [], wanted bool []",
        "mis-shaped  param_groups.0.ns_coefficients: f64 [2], wanted f64 [3]",
        "negative    param_groups.0.ns_steps: -1",
        "unknown     param_groups.0.adjust_lr_fn: \"none\", wanted one of \
         [\"original\", \"match_rms_adamw\", \"spectral_unclamped\"]",
        "mis-shaped  state.0.momentum_buffer: f64 [2, 3], wanted f32 [2, 3]",
    ];
    assert_eq!(found, expected);
    assert_eq!(
        problems(&mut muon, |dict| dict["param_groups.0.ns_steps"] = Tensor::scalar(100i64)),
        ["unusable    param_groups.0: ns_steps is 100, must be below 100"]
    );
    let text = problems(&mut muon, |dict| dict["param_groups.0.adjust_lr_fn"] = Tensor::scalar(1f64));
    assert_eq!(text, ["mis-shaped  param_groups.0.adjust_lr_fn: f64 [], wanted u8 [1]"]);
}

#[test]
fn a_state_of_lbfgs_that_does_not_fit() {
    let parameters = matrices(&[(2, 2)], DType::F64, 1);
    let mut lbfgs = LBFGS::with(parameters.clone(), LBFGSOptions { lr: 0.1, max_iter: 4, ..Default::default() });
    step(&mut lbfgs, &parameters, 0.0);
    let found = problems(&mut lbfgs, |dict| {
        dict["param_groups.0.lr"] = Tensor::scalar(-1f64);
        dict["param_groups.0.history_size"] = Tensor::scalar(1i64);
        dict.shift_remove("state.0.d");
        dict["state.0.H_diag"] = Tensor::scalar(1f32);
        dict["state.0.prev_flat_grad"] = Tensor::zeros([3], DType::F64);
        dict.insert("state.0.al".to_owned(), Tensor::scalar(1f64));
    });
    let expected = [
        "unusable    param_groups.0: lr is -1, must not be negative",
        "missing     state.0.d",
        "too long    state.0.old_dirs: 3 rows, wanted at most 1",
        "mis-shaped  state.0.old_stps: f64 [3, 4], wanted f64 [0, 4]",
        "mis-shaped  state.0.ro: f64 [3], wanted f64 [0]",
        "mis-shaped  state.0.H_diag: f32 [], wanted f64 []",
        "mis-shaped  state.0.prev_flat_grad: f64 [3], wanted f64 [4]",
        "unexpected  state.0.al",
    ];
    assert_eq!(found, expected);
    let short = problems(&mut lbfgs, |dict| dict["state.0.ro"] = Tensor::from([1f64]));
    assert_eq!(short, ["mis-shaped  state.0.ro: f64 [1], wanted f64 [3]"]);
}

/// An optimizer that has not made a step, or whose first loss was good enough, has less to save.
#[test]
fn early_states_of_lbfgs() {
    let parameters = matrices(&[(2, 2)], DType::F32, 1);
    let fresh = LBFGS::new(parameters.clone()).state_dict();
    assert!(fresh.keys().all(|key| key.starts_with("param_groups.0.")));
    assert!(fresh["param_groups.0.line_search_fn"].numel() == 0);

    let solved: Vec<Parameter> = vec![Parameter::new(Tensor::full([2, 2], 0.5, DType::F32))];
    let mut optimizer = LBFGS::new(solved.clone());
    step(&mut optimizer, &solved, 0.5);
    let dict = optimizer.state_dict();
    assert_eq!((dict["state.0.func_evals"].item::<i64>(), dict["state.0.n_iter"].item::<i64>()), (1, 0));
    let mut other = LBFGS::new(parameters.clone());
    step(&mut other, &parameters, 0.0);
    other.load_state_dict(&dict).unwrap();
    assert_eq!(other.state_dict().len(), dict.len());
    other.load_state_dict(&fresh).unwrap();
    assert_eq!(other.state_dict().len(), fresh.len());

    // A parameter without a gradient counts as one whose gradient is zero.
    let (used, idle) = (matrices(&[(1, 2)], DType::F64, 2), matrices(&[(3, 1)], DType::F64, 3));
    let before = idle[0].value().copy();
    let mut optimizer = LBFGS::new(vec![used[0].clone(), idle[0].clone()]);
    let first = step(&mut optimizer, &used, 0.5);
    assert!(step(&mut optimizer, &used, 0.5) < first);
    assert!(same_bits(&idle, &[Parameter::new(before)]));
    optimizer.zero_grad();
    assert!(used[0].grad().is_none());
}

#[test]
fn lbfgs_without_a_history() {
    let parameters = matrices(&[(2, 2)], DType::F64, 4);
    let options = LBFGSOptions { lr: 0.2, max_iter: 4, history_size: 0, ..Default::default() };
    let mut optimizer = LBFGS::with(parameters.clone(), options);
    let first = step(&mut optimizer, &parameters, 0.5);
    for _ in 0..10 {
        step(&mut optimizer, &parameters, 0.5);
    }
    assert!(step(&mut optimizer, &parameters, 0.5) < 0.01 * first);
    let dict = optimizer.state_dict();
    assert_eq!(dict["state.0.old_dirs"].dims(), [0, 4]);
    optimizer.load_state_dict(&dict).unwrap();
}
