//! States go from PyTorch to Rust and back: `scripts/optimizer_state.py` converts them, and its `check` is the way back.

use std::path::Path;

use nn::StateDict;
use nn::prelude::*;
use tensor::safetensors;
use tests::{Fixture, assert_close, difference};

use crate::problem::{self, Case};
use crate::{cases, tolerance};

/// The cases whose state is in a fixture, with it.
fn with_states(states: &Fixture, about: &Fixture) -> Vec<(Case, StateDict)> {
    let of = |case: Case| (states.parts(&case.name, "").into_iter().collect::<StateDict>(), case);
    let all = problem::cases(about).into_iter().map(of);
    let all: Vec<(Case, StateDict)> =
        all.filter(|(dict, _)| !dict.is_empty()).map(|(dict, case)| (case, dict)).collect();
    assert_eq!(all.len(), 21);
    all
}

#[test]
fn training_goes_on_from_a_state_of_pytorchs() {
    let f = Fixture::load("optimizers");
    for (case, dict) in with_states(&Fixture::load("optimizer_states"), &f) {
        let after = f.get(&case.name, "after");
        let parameters = case.parameters(&after.select(0, 2), DType::F64);
        let mut optimizer = cases::optimizer(&case.name, parameters.clone());
        optimizer.load_state_dict(&dict).unwrap();
        // What was loaded is what is saved.
        let saved = optimizer.state_dict();
        assert_eq!(saved.len(), dict.len(), "{}", case.name);
        for (name, value) in &saved {
            assert!(value.bit_eq(&dict[name]), "{}: {name}\n{value}\n{}", case.name, dict[name]);
        }
        for n in 6..=10 {
            case.step(&mut *optimizer, &parameters, n);
        }
        assert_close(&case.name, &problem::flat(&parameters), &after.select(0, 3), tolerance(&case));
    }
}

/// The committed file is what Rust saves after five steps; `optimizer_state.py check` proves that torch goes on from it.
/// With `GRADUS_WRITE_STATES` set, this test writes the file.
#[test]
fn the_states_that_torch_goes_on_from_are_these() {
    let f = Fixture::load("optimizers");
    let mut all = Vec::new();
    for (case, theirs) in with_states(&Fixture::load("optimizer_states"), &f) {
        let parameters = case.parameters(&f.get(&case.name, "start"), DType::F64);
        let mut optimizer = cases::optimizer(&case.name, parameters.clone());
        (1..=5).for_each(|n| case.step(&mut *optimizer, &parameters, n));
        all.push((format!("{}/parameters", case.name), problem::flat(&parameters)));
        let saved = optimizer.state_dict();
        for (name, value) in &saved {
            // SGD and Muon count steps, and torch does not.
            let counted = ["SGD", "Muon"].contains(&case.optimizer.as_str()) && name.ends_with(".step");
            let off = theirs.get(name).map_or(f64::INFINITY, |theirs| difference(value, theirs));
            assert!(counted || off <= tolerance(&case), "{}: {name} differs by {off:e}", case.name);
        }
        all.extend(saved.into_iter().map(|(name, value)| (format!("{}/{name}", case.name), value)));
    }
    if std::env::var_os("GRADUS_WRITE_STATES").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/optimizer_states_saved.safetensors");
        std::fs::write(path, safetensors::to_bytes(&all, &[]).unwrap()).unwrap();
    }
    let committed = Fixture::load("optimizer_states_saved");
    for (name, value) in all {
        let (case, part) = name.split_once('/').expect("a case and a name");
        assert_close(&name, &value, &committed.get(case, part), 1e-6);
    }
}
