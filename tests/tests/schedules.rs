//! Every schedule gives PyTorch's learning rates and momenta for 100 epochs. The numbers are made by
//! `scripts/schedules.py`.

use nn::prelude::*;
use optim::{
    Adam, AdamOptions, Anneal, ChainedScheduler, ConstantLR, CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR,
    CyclicLROptions, CyclicScale, ExponentialLR, Goal, LambdaLR, LinearLR, MultiStepLR, MultiplicativeLR, OneCycleLR,
    OneCycleLROptions, Optimizer, ParamGroup, PolynomialLR, ReduceLROnPlateau, ReduceLROnPlateauOptions, SGD,
    SGDOptions, Scheduler, SequentialLR, StepLR, Threshold, WarmupCosine,
};
use std::collections::BTreeMap;
use std::rc::Rc;
use tests::{Fixture, assert_close};

const EPOCHS: usize = 100;
const RATES: [f64; 2] = [0.5, 0.02];

fn parameter() -> Vec<Parameter> {
    vec![Parameter::new(Tensor::zeros([2], DType::F64))]
}

fn sgd() -> SGD {
    let group = |lr| ParamGroup::new(parameter(), SGDOptions { lr, momentum: 0.9, ..Default::default() });
    SGD::with_groups(RATES.map(group).into())
}

fn adam() -> Adam {
    Adam::with_groups(RATES.map(|lr| ParamGroup::new(parameter(), AdamOptions { lr, ..Default::default() })).into())
}

type Make = fn(&mut dyn Optimizer) -> Box<dyn Scheduler>;

fn boxed(schedule: impl Scheduler + 'static) -> Box<dyn Scheduler> {
    Box::new(schedule)
}

fn schedules() -> BTreeMap<&'static str, Make> {
    let all: [(&str, Make); 35] = [
        ("lambda", |o| boxed(LambdaLR::new(o, |n| 1.0 / (1.0 + 0.1 * n as f64)))),
        ("lambda_groups", |o| {
            let functions: Vec<Box<dyn Fn(u64) -> f64>> =
                vec![Box::new(|n| 0.9f64.powi(n as i32)), Box::new(|n| 1.0 / ((n + 1) as f64).sqrt())];
            boxed(LambdaLR::with_groups(o, functions))
        }),
        ("multiplicative", |o| boxed(MultiplicativeLR::new(o, |n| 1.0 - 1.0 / (n + 2) as f64))),
        ("multiplicative_groups", |o| {
            let functions: Vec<Box<dyn Fn(u64) -> f64>> = vec![Box::new(|_| 0.97), Box::new(|n| 1.0 + 0.01 * n as f64)];
            boxed(MultiplicativeLR::with_groups(o, functions))
        }),
        ("step", |o| boxed(StepLR::new(o, 30, 0.1))),
        ("step_1", |o| boxed(StepLR::new(o, 1, 0.95))),
        ("multi_step", |o| boxed(MultiStepLR::new(o, &[10, 30, 80], 0.1))),
        ("multi_step_twice", |o| boxed(MultiStepLR::new(o, &[50, 0, 20, 20], 0.5))),
        ("constant", |o| boxed(ConstantLR::new(o, 1.0 / 3.0, 5))),
        ("constant_options", |o| boxed(ConstantLR::new(o, 0.7, 40))),
        ("linear", |o| boxed(LinearLR::new(o, 1.0 / 3.0, 1.0, 5))),
        ("linear_options", |o| boxed(LinearLR::new(o, 1.0, 0.05, 60))),
        ("exponential", |o| boxed(ExponentialLR::new(o, 0.93))),
        ("polynomial", |o| boxed(PolynomialLR::new(o, 5, 1.0))),
        ("polynomial_options", |o| boxed(PolynomialLR::new(o, 70, 2.5))),
        ("cosine", |o| boxed(CosineAnnealingLR::new(o, 100, 0.0))),
        ("cosine_to_and_fro", |o| boxed(CosineAnnealingLR::new(o, 15, 0.001))),
        ("restarts", |o| boxed(CosineAnnealingWarmRestarts::new(o, 7, 1, 0.0))),
        ("restarts_longer", |o| boxed(CosineAnnealingWarmRestarts::new(o, 5, 2, 0.003))),
        ("one_cycle", |o| boxed(OneCycleLR::new(o, 0.4, 100))),
        ("one_cycle_adam", |o| boxed(OneCycleLR::new(o, 0.4, 100))),
        ("one_cycle_options", |o| {
            let options = OneCycleLROptions {
                pct_start: 0.4,
                anneal_strategy: Anneal::Linear,
                base_momentum: vec![0.7, 0.8],
                max_momentum: vec![0.97],
                div_factor: 10.0,
                final_div_factor: 100.0,
                ..Default::default()
            };
            boxed(OneCycleLR::with(o, &[0.4, 0.1], 11 * 9, options))
        }),
        ("one_cycle_three_phase", |o| {
            let options = OneCycleLROptions { three_phase: true, cycle_momentum: false, ..Default::default() };
            boxed(OneCycleLR::with(o, &[0.4], 100, options))
        }),
        ("one_cycle_short", |o| {
            let options = OneCycleLROptions { three_phase: true, pct_start: 0.25, ..Default::default() };
            boxed(OneCycleLR::with(o, &[0.4], 99, options))
        }),
        ("cyclic", |o| boxed(CyclicLR::with(o, 0.01, 0.1, CyclicLROptions { step_size_up: 12, ..Default::default() }))),
        ("cyclic_adam", |o| {
            boxed(CyclicLR::with(o, 0.01, 0.1, CyclicLROptions { step_size_up: 12, ..Default::default() }))
        }),
        ("cyclic_triangular2", |o| {
            let options = CyclicLROptions {
                step_size_up: 6,
                step_size_down: Some(14),
                scale: CyclicScale::Triangular2,
                base_momentum: vec![0.6],
                max_momentum: vec![0.95],
                ..Default::default()
            };
            boxed(CyclicLR::with_groups(o, &[0.01, 0.02], &[0.1, 0.3], options))
        }),
        ("cyclic_exp_range", |o| {
            let scale = CyclicScale::ExpRange(0.98);
            let options = CyclicLROptions { step_size_up: 10, scale, cycle_momentum: false, ..Default::default() };
            boxed(CyclicLR::with(o, 0.01, 0.1, options))
        }),
        ("cyclic_of_cycle", |o| {
            let scale = CyclicScale::OfCycle(Rc::new(|cycle| 1.0 / cycle));
            boxed(CyclicLR::with(o, 0.01, 0.1, CyclicLROptions { step_size_up: 10, scale, ..Default::default() }))
        }),
        ("cyclic_of_step", |o| {
            let scale = CyclicScale::OfStep(Rc::new(|step| 0.99f64.powf(step)));
            boxed(CyclicLR::with(o, 0.01, 0.1, CyclicLROptions { step_size_up: 10, scale, ..Default::default() }))
        }),
        ("sequential", |o| {
            let parts = vec![
                boxed(LinearLR::new(o, 0.1, 1.0, 10)),
                boxed(CosineAnnealingLR::new(o, 40, 0.001)),
                boxed(ExponentialLR::new(o, 0.9)),
            ];
            boxed(SequentialLR::new(o, parts, &[10, 60]))
        }),
        ("sequential_kinds", |o| {
            let parts = vec![
                boxed(ConstantLR::new(o, 0.2, 8)),
                boxed(StepLR::new(o, 3, 0.8)),
                boxed(PolynomialLR::new(o, 30, 2.0)),
                boxed(CosineAnnealingWarmRestarts::new(o, 6, 1, 0.0)),
                boxed(MultiStepLR::new(o, &[0, 5], 0.5)),
                boxed(LambdaLR::new(o, |n| 0.5 + 0.01 * n as f64)),
            ];
            boxed(SequentialLR::new(o, parts, &[8, 20, 45, 70, 85]))
        }),
        ("sequential_moving", |o| {
            let cyclic = CyclicLROptions { step_size_up: 10, ..Default::default() };
            let parts = vec![
                boxed(ExponentialLR::new(o, 0.95)),
                boxed(MultiplicativeLR::new(o, |n| 1.0 - 0.002 * n as f64)),
                boxed(CyclicLR::with(o, 0.01, 0.1, cyclic)),
            ];
            boxed(SequentialLR::new(o, parts, &[15, 40]))
        }),
        ("chained", |o| {
            let parts = vec![boxed(ConstantLR::new(o, 0.1, 20)), boxed(ExponentialLR::new(o, 0.97))];
            boxed(ChainedScheduler::new(parts))
        }),
        ("chained_three", |o| {
            let parts = vec![
                boxed(LinearLR::new(o, 0.25, 1.0, 16)),
                boxed(CosineAnnealingLR::new(o, 100, 0.0)),
                boxed(StepLR::new(o, 25, 0.5)),
            ];
            boxed(ChainedScheduler::new(parts))
        }),
    ];
    all.into_iter().collect()
}

fn optimizer_of(name: &str) -> Box<dyn Optimizer> {
    if name.ends_with("_adam") { Box::new(adam()) } else { Box::new(sgd()) }
}

fn momenta(optimizer: &dyn Optimizer) -> Vec<f64> {
    optimizer.momentums().into_iter().map(|momentum| momentum.expect("both optimizers have one")).collect()
}

fn table(rows: Vec<Vec<f64>>) -> Tensor {
    let count = rows.len();
    Tensor::from_vec(rows.concat(), [count, RATES.len()])
}

/// Close to 1e-13 of each number, not of the largest: rates fall by orders of magnitude.
#[track_caller]
fn assert_same(what: &str, actual: &Tensor, expected: &Tensor) {
    assert_eq!(actual.shape(), expected.shape(), "{what}");
    for (i, (a, b)) in actual.to_vec::<f64>().into_iter().zip(expected.to_vec::<f64>()).enumerate() {
        // What is 0 in exact arithmetic is a rounding error of the largest rate.
        assert!((a - b).abs() <= 1e-12 * b.abs() + 1e-17, "{what}, epoch {}, group {}: {a:e}, not {b:e}", i / 2, i % 2);
    }
}

#[test]
fn schedules_follow_pytorch_for_100_epochs() {
    let fixture = Fixture::load("schedules");
    let schedules = schedules();
    let apart = ["plateau", "restarts_fractions", "warmup_cosine"];
    let stored: Vec<String> =
        fixture.cases().into_iter().filter(|name| !apart.iter().any(|apart| name.starts_with(apart))).collect();
    assert_eq!(stored, schedules.keys().copied().collect::<Vec<_>>());
    for (name, make) in schedules {
        let mut optimizer = optimizer_of(name);
        let mut schedule = make(&mut *optimizer);
        let (mut rates, mut momentums) = (Vec::new(), Vec::new());
        for epoch in 0..EPOCHS {
            assert_eq!(optimizer.learning_rates(), schedule.get_last_lr(), "{name}");
            assert_eq!(schedule.last_epoch(), epoch as u64, "{name}");
            rates.push(optimizer.learning_rates());
            momentums.push(momenta(&*optimizer));
            if epoch + 1 < EPOCHS {
                schedule.step(&mut *optimizer);
            }
        }
        assert_same(name, &table(rates), &fixture.get(name, "lr"));
        assert_same(name, &table(momentums), &fixture.get(name, "momentum"));
    }
}

#[test]
fn a_schedule_resumed_at_any_epoch_goes_on_to_the_same_bits() {
    for (name, make) in schedules() {
        let mut optimizer = optimizer_of(name);
        let mut schedule = make(&mut *optimizer);
        for epoch in 0..EPOCHS - 1 {
            if [0, 1, 7, 20, 33, 60, 71, 98].contains(&epoch) {
                // As a process that starts anew: other rates than those of the moment, everything from the two states.
                let mut other = optimizer_of(name);
                let mut resumed = make(&mut *other);
                resumed.step(&mut *other);
                other.load_state_dict(&optimizer.state_dict()).unwrap();
                resumed.load_state_dict(&schedule.state_dict()).unwrap_or_else(|e| panic!("{name}: {e}"));
                assert_eq!(resumed.get_last_lr(), schedule.get_last_lr(), "{name} at {epoch}");
                optimizer = other;
                schedule = resumed;
            }
            schedule.step(&mut *optimizer);
        }
        let (mut plain, mut rest) = (optimizer_of(name), Vec::new());
        let mut uninterrupted = make(&mut *plain);
        (0..EPOCHS - 1).for_each(|_| {
            uninterrupted.step(&mut *plain);
            rest = uninterrupted.get_last_lr().to_vec();
        });
        assert_eq!(schedule.get_last_lr(), rest, "{name}");
        assert_eq!(momenta(&*optimizer), momenta(&*plain), "{name}");
    }
}

fn plateau(name: &str, optimizer: &mut dyn Optimizer) -> ReduceLROnPlateau {
    let default = ReduceLROnPlateauOptions::default();
    let options = match name {
        "plateau" => default,
        "plateau_options" => ReduceLROnPlateauOptions {
            factor: 0.5,
            patience: 3,
            threshold: Threshold::Rel(0.01),
            cooldown: 4,
            min_lr: vec![0.05, 0.001],
            eps: 1e-4,
            ..default
        },
        "plateau_abs" => ReduceLROnPlateauOptions {
            factor: 0.3,
            patience: 2,
            threshold: Threshold::Abs(0.05),
            min_lr: vec![1e-3],
            ..default
        },
        "plateau_max" => ReduceLROnPlateauOptions { mode: Goal::Max, factor: 0.6, patience: 5, cooldown: 1, ..default },
        "plateau_max_abs" => ReduceLROnPlateauOptions {
            mode: Goal::Max,
            factor: 0.6,
            patience: 4,
            threshold: Threshold::Abs(0.1),
            ..default
        },
        unknown => panic!("the fixture has a case {unknown:?} that this test does not know"),
    };
    ReduceLROnPlateau::with(optimizer, options)
}

#[test]
fn plateaus_follow_pytorch_and_resume() {
    let fixture = Fixture::load("schedules");
    let metrics = fixture.get("plateau", "metric").to_vec::<f64>();
    let names: Vec<String> = fixture.cases().into_iter().filter(|name| name.starts_with("plateau")).collect();
    assert_eq!(names.len(), 5);
    for name in names {
        let mut optimizer = sgd();
        let mut schedule = plateau(&name, &mut optimizer);
        let mut rates = vec![optimizer.learning_rates()];
        for (epoch, &metric) in metrics[..EPOCHS - 1].iter().enumerate() {
            if epoch % 17 == 5 {
                let mut resumed = plateau(&name, &mut optimizer);
                resumed.load_state_dict(&schedule.state_dict()).unwrap();
                assert_eq!(resumed, schedule);
                schedule = resumed;
            }
            schedule.step(&mut optimizer, metric);
            assert_eq!(optimizer.learning_rates(), schedule.get_last_lr());
            rates.push(optimizer.learning_rates());
        }
        assert_eq!(schedule.last_epoch(), EPOCHS as u64 - 1);
        assert!(metrics.contains(&schedule.best()));
        assert_same(&name, &table(rates), &fixture.get(&name, "lr"));
    }
}

#[test]
fn restarts_take_fractions_of_an_epoch() {
    let expected = Fixture::load("schedules").get("restarts_fractions", "lr");
    let mut optimizer = sgd();
    let mut schedule = CosineAnnealingWarmRestarts::new(&mut optimizer, 5, 2, 0.003);
    let mut rates = Vec::new();
    for n in 0..EPOCHS {
        schedule.step_to(&mut optimizer, n as f64 * 0.37);
        assert_eq!(schedule.last_epoch(), (n as f64 * 0.37) as u64);
        rates.push(optimizer.learning_rates());
    }
    assert_same("restarts_fractions", &table(rates), &expected);
}

#[test]
fn warm_up_and_cosine_follow_a_lambda_of_pytorch() {
    let expected = Fixture::load("schedules").get("warmup_cosine", "lr").narrow(1, 0, 1);
    let mut optimizer = SGD::with(parameter(), SGDOptions { lr: RATES[0], ..Default::default() });
    let mut schedule = WarmupCosine::new(&mut optimizer, 10, EPOCHS, 0.1 * RATES[0]);
    let mut rates = Vec::new();
    for _ in 0..EPOCHS {
        rates.push(schedule.get_last_lr()[0]);
        schedule.step(&mut optimizer);
    }
    assert_close("warmup_cosine", &Tensor::from_vec(rates, [EPOCHS, 1]), &expected, 1e-15);
}
