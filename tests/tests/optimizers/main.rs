//! Optimizers walk PyTorch's trajectories, and go on from each other's states. The numbers are made by
//! `scripts/optimizers.py`.

mod cases;
mod problem;
mod states;

use nn::prelude::*;
use problem::Case;
use tests::{Fixture, difference};

/// How far off each element of a case may be in f64, relative to itself.
fn tolerance(case: &Case) -> f64 {
    if case.optimizer == "LBFGS" { 1e-6 } else { 1e-12 }
}

#[test]
fn parameters_follow_pytorch() {
    let f = Fixture::load("optimizers");
    let cases = problem::cases(&f);
    assert_eq!(cases.len(), 102);
    for case in cases {
        let parameters = case.parameters(&f.get(&case.name, "start"), DType::F64);
        let mut optimizer = cases::optimizer(&case.name, parameters.clone());
        let after = f.get(&case.name, "after");
        for n in 1..=60 {
            case.step(&mut *optimizer, &parameters, n);
            if let Some(row) = problem::STEPS.iter().position(|&step| step == n) {
                let what = format!("{} after {n} steps", case.name);
                let (found, expected) = (problem::flat(&parameters), after.select(0, row));
                for (a, b) in found.to_vec::<f64>().into_iter().zip(expected.to_vec::<f64>()) {
                    // What is left where two numbers cancel is a rounding error of theirs.
                    let allowed = tolerance(&case) * b.abs() + 1e-15;
                    assert!((a - b).abs() <= allowed, "{what}: {a:e}, not {b:e}\n{found}\n{expected}");
                }
            }
        }
    }
}

#[test]
fn single_precision_stays_near() {
    let f = Fixture::load("optimizers");
    for case in problem::cases(&f) {
        let parameters = case.parameters(&f.get(&case.name, "start"), DType::F32);
        let mut optimizer = cases::optimizer(&case.name, parameters.clone());
        for n in 1..=10 {
            case.step(&mut *optimizer, &parameters, n);
        }
        let expected = f.get(&case.name, "after").select(0, 3);
        let off = difference(&problem::flat(&parameters).to_dtype(DType::F64), &expected);
        let allowed = if case.optimizer == "LBFGS" { 2e-2 } else { 2e-5 };
        assert!(off <= allowed, "{}: {off:e}", case.name);
    }
}

/// The options of every case, and with them the defaults, are those that torch reports.
#[test]
fn options_and_defaults_are_pytorchs() {
    let f = Fixture::load("optimizers");
    for case in problem::cases(&f) {
        let parameters = case.parameters(&f.get(&case.name, "start"), DType::F64);
        let dict = cases::optimizer(&case.name, parameters).state_dict();
        let mut first = 0;
        for (position, (options, &count)) in case.groups.iter().zip(&case.split).enumerate() {
            let prefix = format!("param_groups.{position}.");
            let ours: Vec<&str> = dict.keys().filter_map(|key| key.strip_prefix(&prefix)).collect();
            let theirs: Vec<&str> = options.keys().map(String::as_str).chain(["params"]).collect();
            assert_eq!(ours, theirs, "{}", case.name);
            for (name, value) in options {
                let ours = &dict[&format!("{prefix}{name}")];
                let same = match value {
                    serde_json::Value::Bool(flag) => ours.item::<bool>() == *flag,
                    serde_json::Value::String(text) => ours.to_vec::<u8>() == text.as_bytes(),
                    serde_json::Value::Null => ours.numel() == 0,
                    serde_json::Value::Array(numbers) => {
                        numbers.iter().map(|n| n.as_f64().unwrap()).eq(ours.to_vec::<f64>())
                    }
                    // JSON's numbers may be off in the last digit.
                    number => {
                        let (ours, theirs) = (ours.to_dtype(DType::F64).item::<f64>(), number.as_f64().unwrap());
                        (ours - theirs).abs() <= 1e-15 * theirs.abs()
                    }
                };
                assert!(same, "{}: {name} of group {position} is {value} in torch, {ours} here", case.name);
            }
            let numbers: Vec<i64> = (first..first + count as i64).collect();
            assert_eq!(dict[&format!("{prefix}params")].to_vec::<i64>(), numbers, "{}", case.name);
            first += count as i64;
        }
        let groups = case.groups.len();
        assert!(!dict.contains_key(&format!("param_groups.{groups}.lr")), "{}", case.name);
    }
}
