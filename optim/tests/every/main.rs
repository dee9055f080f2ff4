//! What holds of every optimizer: it minimises, whatever the layout; groups are optimizers of their own; a resumed run and
//! one with more threads have the same bits; mistakes are named.

mod errors;
mod list;
mod loading;
mod scaled;

use autograd::strategy::layouts;
use list::{EVERY, step};
use nn::prelude::*;
use optim::{Descent, Lion, LionOptions, MuonOptions, ParamGroup, RMSpropOptions, Rule};
use proptest::prelude::*;

/// Matrices of these shapes with random elements.
fn matrices(shapes: &[(usize, usize)], dtype: DType, seed: u64) -> Vec<Parameter> {
    manual_seed(seed);
    shapes.iter().map(|&(a, b)| Parameter::new(Tensor::randn([a, b], dtype))).collect()
}

fn through_file(dict: nn::StateDict) -> nn::StateDict {
    let entries: Vec<(String, Tensor)> = dict.into_iter().collect();
    let bytes = tensor::safetensors::to_bytes(&entries, &[]).unwrap();
    tensor::safetensors::from_bytes(&bytes).unwrap().tensors.into_iter().collect()
}

fn same_bits(a: &[Parameter], b: &[Parameter]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.value().bit_eq(&b.value()))
}

fn shapes() -> impl Strategy<Value = Vec<(usize, usize)>> {
    proptest::collection::vec((1usize..5, 1usize..5), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_convex_quadratic_is_minimised(shapes in shapes(), target in -1.0f64..1.0, seed: u64) {
        for (name, make) in EVERY {
            let parameters = matrices(&shapes, DType::F64, seed);
            let mut optimizer = make(parameters.clone());
            let first = step(&mut *optimizer, &parameters, target);
            let losses: Vec<f64> = (0..400).map(|_| step(&mut *optimizer, &parameters, target)).collect();
            // A rule that takes steps of one size, as Lion does, swings around the minimum.
            let last = losses[300..].iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert!(last < 0.02 * first + 0.01, "{name}: from {first} to {last}");
        }
    }

    #[test]
    fn the_layout_changes_nothing(shapes in shapes(), layout in layouts(), of_gradient in layouts(), seed: u64) {
        for (name, make) in EVERY {
            let plain = matrices(&shapes, DType::F32, seed);
            // An expanded layout repeats elements, in the plain copy too.
            plain.iter().for_each(|parameter| parameter.set_value(layout.of(&parameter.value()).copy()));
            let other: Vec<Parameter> =
                plain.iter().map(|parameter| Parameter::new(layout.of(&parameter.value()))).collect();
            let (mut of_plain, mut of_other) = (make(plain.clone()), make(other.clone()));
            for n in 0..3 {
                if name.starts_with("LBFGS") {
                    step(&mut *of_plain, &plain, 0.5);
                    step(&mut *of_other, &other, 0.5);
                } else {
                    for (plain, other) in plain.iter().zip(&other) {
                        let gradient = of_gradient.of(&(plain.value() + n as f64));
                        plain.set_grad(Some(Var::new(gradient.copy())));
                        other.set_grad(Some(Var::new(gradient)));
                    }
                    of_plain.step();
                    of_other.step();
                }
                prop_assert!(same_bits(&plain, &other), "{name}: {layout:?}, {of_gradient:?}");
            }
        }
    }

    #[test]
    fn a_resumed_run_has_the_same_bits(shapes in shapes(), before in 1usize..6, after in 1usize..6, seed: u64) {
        for (name, make) in EVERY {
            let parameters = matrices(&shapes, DType::F32, seed);
            let mut optimizer = make(parameters.clone());
            for _ in 0..before {
                step(&mut *optimizer, &parameters, 0.2);
            }
            let copies: Vec<Parameter> = parameters.iter().map(|p| Parameter::new(p.value().copy())).collect();
            let mut resumed = make(copies.clone());
            // The options come from the state, too.
            resumed.set_learning_rates(&[7.0]);
            resumed.load_state_dict(&through_file(optimizer.state_dict())).unwrap();
            for _ in 0..after {
                step(&mut *optimizer, &parameters, 0.2);
                step(&mut *resumed, &copies, 0.2);
            }
            prop_assert!(same_bits(&parameters, &copies), "{name}");
            let (a, b) = (optimizer.state_dict(), resumed.state_dict());
            prop_assert!(a.len() == b.len() && a.iter().all(|(key, value)| value.bit_eq(&b[key])), "{name}");
        }
    }

    #[test]
    fn groups_are_optimizers_of_their_own(shapes in proptest::collection::vec((1usize..5, 1usize..5), 2..4), seed: u64) {
        fn check<R: Rule>(shapes: &[(usize, usize)], seed: u64, first: R, second: R) {
            let (together, apart) = (matrices(shapes, DType::F64, seed), matrices(shapes, DType::F64, seed));
            let mut one = Descent::with(together[..1].to_vec(), first.clone());
            one.add_param_group(ParamGroup::new(together[1..].to_vec(), second.clone()));
            let mut two = [Descent::with(apart[..1].to_vec(), first), Descent::with(apart[1..].to_vec(), second)];
            for _ in 0..5 {
                step(&mut one, &together, 0.1);
                step(&mut two[0], &apart[..1], 0.1);
                step(&mut two[1], &apart[1..], 0.1);
            }
            assert!(same_bits(&together, &apart), "{}", R::NAME);
        }
        let lion = |lr, weight_decay| LionOptions { lr, weight_decay, ..Default::default() };
        check(&shapes, seed, lion(0.1, 0.0), lion(0.01, 0.5));
        let rmsprop = |momentum, centered| RMSpropOptions { momentum, centered, eps: 1e-3, ..Default::default() };
        check(&shapes, seed, rmsprop(0.0, true), rmsprop(0.5, false));
        check(&shapes, seed, MuonOptions::default(), MuonOptions { nesterov: false, ..Default::default() });
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    // Large enough to be spread over threads.
    let run = |threads: usize, make: list::Make| {
        tensor::set_num_threads(threads);
        let parameters = matrices(&[(200, 300)], DType::F32, 5);
        let mut optimizer = make(parameters.clone());
        for _ in 0..2 {
            step(&mut *optimizer, &parameters, 0.3);
        }
        parameters
    };
    for (name, make) in EVERY {
        let one = run(1, *make);
        assert!(same_bits(&one, &run(3, *make)), "{name}");
    }
    tensor::set_num_threads(0);
}

#[test]
fn the_closure_records_inside_no_grad() {
    let w = Parameter::new(Tensor::from([[1f64]]));
    let mut optimizer = Lion::with(vec![w.clone()], LionOptions { lr: 0.5, ..Default::default() });
    assert_eq!(autograd::no_grad(|| step(&mut optimizer, std::slice::from_ref(&w), 0.0)), 1.0);
    assert_eq!(w.item::<f64>(), 0.5);
}
