//! What schedules refuse, and how they compose; their numbers are compared with PyTorch's in `tests`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nn::prelude::*;
use optim::{
    ChainedScheduler, ConstantLR, CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR, CyclicLROptions,
    ExponentialLR, LBFGS, LambdaLR, LinearLR, MultiplicativeLR, OneCycleLR, OneCycleLROptions, Optimizer, ParamGroup,
    PolynomialLR, ReduceLROnPlateau, ReduceLROnPlateauOptions, SGD, SGDOptions, Scheduler, SequentialLR, StepLR,
    WarmupCosine,
};
use proptest::prelude::*;

fn parameter() -> Vec<Parameter> {
    vec![Parameter::new(Tensor::zeros([1], DType::F64))]
}

/// An optimizer of two groups.
fn sgd() -> SGD {
    let group = |lr| ParamGroup::new(parameter(), SGDOptions { lr, momentum: 0.9, ..Default::default() });
    SGD::with_groups(vec![group(1.0), group(0.5)])
}

fn message(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("it must panic");
    panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap()
}

type Attempt = Box<dyn Fn(&mut SGD)>;

#[test]
fn numbers_that_make_no_schedule() {
    let refused: Vec<(&str, Attempt)> = vec![
        ("StepLR: step_size is 0, must be at least 1", Box::new(|o| drop(StepLR::new(o, 0, 0.1)))),
        ("ConstantLR: factor is 1.5, must be between 0 and 1", Box::new(|o| drop(ConstantLR::new(o, 1.5, 3)))),
        ("LinearLR: start_factor is 0, must be above", Box::new(|o| drop(LinearLR::new(o, 0.0, 1.0, 3)))),
        ("LinearLR: end_factor is -1, must be between 0 and 1", Box::new(|o| drop(LinearLR::new(o, 0.5, -1.0, 3)))),
        ("CosineAnnealingLR: t_max is 0, must be", Box::new(|o| drop(CosineAnnealingLR::new(o, 0, 0.0)))),
        (
            "CosineAnnealingWarmRestarts: t_0 is 0, must be at least 1",
            Box::new(|o| drop(CosineAnnealingWarmRestarts::new(o, 0, 1, 0.0))),
        ),
        (
            "CosineAnnealingWarmRestarts: t_mult is 0, must be at least 1",
            Box::new(|o| drop(CosineAnnealingWarmRestarts::new(o, 1, 0, 0.0))),
        ),
        (
            "CosineAnnealingWarmRestarts: the epoch is -1, must be finite and not negative",
            Box::new(|o| CosineAnnealingWarmRestarts::new(o, 1, 1, 0.0).step_to(o, -1.0)),
        ),
        ("OneCycleLR: total_steps is 0, must be at least 1", Box::new(|o| drop(OneCycleLR::new(o, 1.0, 0)))),
        (
            "OneCycleLR: pct_start is 2, must be between 0 and 1",
            Box::new(|o| {
                let options = OneCycleLROptions { pct_start: 2.0, ..Default::default() };
                drop(OneCycleLR::with(o, &[1.0], 10, options));
            }),
        ),
        (
            "OneCycleLR: max_lr: there are 3 numbers for 2 groups",
            Box::new(|o| drop(OneCycleLR::with(o, &[1.0; 3], 10, OneCycleLROptions::default()))),
        ),
        (
            "CyclicLR: base_momentum: there are 0 numbers for 2 groups",
            Box::new(|o| {
                let options = CyclicLROptions { base_momentum: Vec::new(), ..Default::default() };
                drop(CyclicLR::with(o, 0.1, 1.0, options));
            }),
        ),
        (
            "CyclicLR: the cycle goes up in 0 steps and down in 5, must go up in at least 1",
            Box::new(|o| {
                let options = CyclicLROptions { step_size_up: 0, step_size_down: Some(5), ..Default::default() };
                drop(CyclicLR::with(o, 0.1, 1.0, options));
            }),
        ),
        (
            "ReduceLROnPlateau: factor is 1, must be below 1",
            Box::new(|o| {
                let options = ReduceLROnPlateauOptions { factor: 1.0, ..Default::default() };
                drop(ReduceLROnPlateau::with(o, options));
            }),
        ),
        (
            "ReduceLROnPlateau: min_lr: there are 3 numbers for 2 groups",
            Box::new(|o| {
                let options = ReduceLROnPlateauOptions { min_lr: vec![0.0; 3], ..Default::default() };
                drop(ReduceLROnPlateau::with(o, options));
            }),
        ),
        (
            "LambdaLR: there are 1 functions for 2 groups",
            Box::new(|o| drop(LambdaLR::with_groups(o, vec![Box::new(|_| 1.0)]))),
        ),
        (
            "MultiplicativeLR: there are 0 functions for 2 groups",
            Box::new(|o| drop(MultiplicativeLR::with_groups(o, Vec::new()))),
        ),
        ("SequentialLR: there is no schedule", Box::new(|o| drop(SequentialLR::new(o, Vec::new(), &[])))),
        (
            "SequentialLR: 2 schedules need 1 milestones, not 0",
            Box::new(|o| drop(SequentialLR::new(o, two(&mut sgd()), &[]))),
        ),
        ("ChainedScheduler: there is no schedule", Box::new(|_| drop(ChainedScheduler::new(Vec::new())))),
    ];
    for (expected, make) in refused {
        let found = message(|| make(&mut sgd()));
        assert!(found.contains(expected), "{found}\n-- instead of --\n{expected}");
    }
    let found = message(|| {
        let three: Vec<Box<dyn Scheduler>> =
            (0..3).map(|_| -> Box<dyn Scheduler> { Box::new(ExponentialLR::new(&mut sgd(), 0.5)) }).collect();
        drop(SequentialLR::new(&mut sgd(), three, &[5, 2]));
    });
    assert!(found.contains("SequentialLR: the milestones [5, 2] are not in order"), "{found}");
}

fn two(optimizer: &mut SGD) -> Vec<Box<dyn Scheduler>> {
    vec![Box::new(ConstantLR::new(optimizer, 0.5, 3)), Box::new(ExponentialLR::new(optimizer, 0.9))]
}

#[test]
fn a_momentum_that_does_not_exist_is_not_moved() {
    for name in ["OneCycleLR", "CyclicLR"] {
        let found = message(|| {
            let mut optimizer = LBFGS::new(parameter());
            match name {
                "OneCycleLR" => drop(OneCycleLR::new(&mut optimizer, 1.0, 5)),
                _ => drop(CyclicLR::new(&mut optimizer, 0.1, 1.0)),
            }
        });
        assert!(found.starts_with(&format!("{name}: the optimizer has neither momentum nor betas")), "{found}");
    }
}

#[test]
fn a_cycle_ends_with_its_steps() {
    let mut optimizer = sgd();
    let mut schedule = OneCycleLR::new(&mut optimizer, 1.0, 4);
    (0..4).for_each(|_| schedule.step(&mut optimizer));
    let found = message(|| schedule.step(&mut optimizer));
    assert_eq!(found, "OneCycleLR: step 5 is beyond the 4 steps of the cycle");
}

#[test]
fn rates_stay_finite_at_the_edges() {
    let mut optimizer = sgd();
    let mut constant = ConstantLR::new(&mut optimizer, 0.0, 3);
    (0..3).for_each(|_| constant.step(&mut optimizer));
    assert_eq!(constant.get_last_lr(), [1.0, 0.5]);
    for pct_start in [0.0, 1.0] {
        let mut optimizer = sgd();
        let options = OneCycleLROptions { pct_start, ..Default::default() };
        let mut cycle = OneCycleLR::with(&mut optimizer, &[1.0], 4, options);
        for _ in 0..4 {
            cycle.step(&mut optimizer);
            assert!(cycle.get_last_lr().iter().all(|lr| lr.is_finite() && *lr > 0.0), "{pct_start}");
        }
    }
    for linear in [true, false] {
        let mut optimizer = sgd();
        let mut none: Box<dyn Scheduler> = match linear {
            true => Box::new(LinearLR::new(&mut optimizer, 0.5, 1.0, 0)),
            false => Box::new(PolynomialLR::new(&mut optimizer, 0, 2.0)),
        };
        none.step(&mut optimizer);
        assert_eq!(none.get_last_lr(), if linear { [0.5, 0.25] } else { [1.0, 0.5] });
    }
}

#[test]
fn a_chain_may_be_part_of_a_sequence() {
    let mut optimizer = sgd();
    let warm: Box<dyn Scheduler> = Box::new(ConstantLR::new(&mut optimizer, 0.1, 2));
    let chain: Box<dyn Scheduler> = Box::new(ChainedScheduler::new(two(&mut optimizer)));
    let mut sequence = SequentialLR::new(&mut optimizer, vec![warm, chain], &[2]);
    let rates: Vec<f64> = (0..6)
        .map(|_| {
            sequence.step(&mut optimizer);
            (sequence.get_last_lr()[0] * 1e6).round() / 1e6
        })
        .collect();
    // At 2 the chain begins: a half for three epochs, times 0.9 with each.
    assert_eq!(rates, [0.1, 0.5, 0.45, 0.405, 0.729, 0.6561]);
}

#[test]
fn a_group_that_comes_later_is_not_scheduled() {
    let mut optimizer = sgd();
    let mut schedule = StepLR::new(&mut optimizer, 1, 0.5);
    let mut plateau = ReduceLROnPlateau::new(&mut optimizer);
    optimizer.add_param_group(ParamGroup::new(parameter(), SGDOptions::default()));
    let found = message(|| schedule.step(&mut optimizer));
    assert_eq!(found, "StepLR: the optimizer has 3 groups, the schedule was made for 2");
    let found = message(|| plateau.step(&mut optimizer, 1.0));
    assert_eq!(found, "ReduceLROnPlateau: the optimizer has 3 groups, the schedule was made for 2");
}

#[test]
fn all_schedules_start_from_the_first_rates() {
    let mut optimizer = sgd();
    let first = LinearLR::new(&mut optimizer, 0.1, 1.0, 5);
    assert_eq!(optimizer.learning_rates(), first.get_last_lr());
    let second = LambdaLR::new(&mut optimizer, |_| 1.0);
    assert_eq!(second.get_last_lr(), [1.0, 0.5]);
}

#[test]
fn states_that_do_not_fit_name_everything_and_change_nothing() {
    let mut optimizer = sgd();
    let mut schedule = SequentialLR::new(&mut sgd(), two(&mut optimizer), &[4]);
    (0..6).for_each(|_| schedule.step(&mut optimizer));
    let good = schedule.state_dict();
    let mut bad = good.clone();
    bad["last_epoch"] = Tensor::scalar(-1i64);
    bad["milestones"] = Tensor::from([-3i64]);
    bad["schedulers.0.factor"] = Tensor::scalar(7f64);
    bad.shift_remove("schedulers.1.gamma");
    bad["schedulers.1.last_lr"] = Tensor::from([1f64]);
    bad.insert("schedulers.2.gamma".to_owned(), Tensor::scalar(1f64));
    bad.insert("extra".to_owned(), Tensor::scalar(1f64));
    let error = schedule.load_state_dict(&bad).unwrap_err();
    assert_eq!(
        error.problems(),
        [
            "negative    milestones: -3",
            "negative    last_epoch: -1",
            "unusable    factor is 7, must be between 0 and 1 (in schedulers.0)",
            "missing     gamma (in schedulers.1)",
            "mis-shaped  last_lr: f64 [1], wanted f64 [2] (in schedulers.1)",
            "unexpected  the state holds more than 2 schedules",
            "unexpected  extra",
        ]
    );
    let after = schedule.state_dict();
    assert!(after.len() == good.len() && after.iter().all(|(name, value)| value.bit_eq(&good[name])));

    let mut plateau = ReduceLROnPlateau::new(&mut optimizer);
    let error = plateau.load_state_dict(&StateDict::new()).unwrap_err().to_string();
    assert!(
        error.starts_with("load_state_dict: the state does not fit ReduceLROnPlateau\n  missing     best"),
        "{error}"
    );

    // Nothing in a state makes a later step panic.
    let mut restarts = CosineAnnealingWarmRestarts::new(&mut optimizer, 3, 2, 0.0);
    let mut state = restarts.state_dict();
    state["T_0"] = Tensor::scalar(0i64);
    assert!(restarts.load_state_dict(&state).unwrap_err().to_string().contains("t_0 is 0"));
    let mut unsorted = ChainedScheduler::new(two(&mut optimizer));
    let state = unsorted.state_dict();
    assert!(unsorted.load_state_dict(&StateDict::new()).is_err());
    unsorted.load_state_dict(&state).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sequence_is_its_parts_one_after_the_other(
        first in 1usize..20, second in 1usize..20, gamma in 0.5f64..1.0, power in 0.5f64..3.0,
    ) {
        let rates = |optimizer: &mut SGD, schedule: &mut dyn Scheduler, steps: usize| {
            let mut rates = vec![optimizer.learning_rates()];
            for _ in 1..steps {
                schedule.step(optimizer);
                rates.push(optimizer.learning_rates());
            }
            rates
        };
        let mut optimizer = sgd();
        let parts: Vec<Box<dyn Scheduler>> =
            vec![Box::new(ExponentialLR::new(&mut optimizer, gamma)), Box::new(PolynomialLR::new(&mut optimizer, 25, power))];
        let mut sequence = SequentialLR::new(&mut optimizer, parts, &[first]);
        let whole = rates(&mut optimizer, &mut sequence, first + second);

        let mut optimizer = sgd();
        let mut part = ExponentialLR::new(&mut optimizer, gamma);
        prop_assert_eq!(&whole[..first], &rates(&mut optimizer, &mut part, first)[..]);
        let mut optimizer = sgd();
        let mut part = PolynomialLR::new(&mut optimizer, 25, power);
        prop_assert_eq!(&whole[first..], &rates(&mut optimizer, &mut part, second)[..]);
    }

    #[test]
    fn a_warm_up_of_any_length_rises(step in 0usize..1000, short in 0usize..10) {
        for warmup in [usize::MAX, usize::MAX - short - 1] {
            let rate = |i: usize| WarmupCosine::new(&mut sgd(), warmup, usize::MAX, 0.0).rate(1.0, i);
            prop_assert!(rate(step) > 0.0 && rate(step) < rate(step + 1) && rate(step + 1) < 1e-15);
        }
    }

    #[test]
    fn chained_factors_multiply(gamma in 0.5f64..1.0, size in 1usize..6, steps in 1usize..40) {
        let mut optimizer = sgd();
        let parts: Vec<Box<dyn Scheduler>> =
            vec![Box::new(ExponentialLR::new(&mut optimizer, gamma)), Box::new(StepLR::new(&mut optimizer, size, 0.5))];
        let mut chain = ChainedScheduler::new(parts);
        (0..steps).for_each(|_| chain.step(&mut optimizer));
        let expected = gamma.powi(steps as i32) * 0.5f64.powi((steps / size) as i32);
        prop_assert!((chain.get_last_lr()[0] - expected).abs() <= 1e-12 * expected);
        prop_assert!((chain.get_last_lr()[1] - 0.5 * expected).abs() <= 1e-12 * expected);
    }
}
