//! Optimizers, clipping and the schedule walk PyTorch's trajectory. The numbers are made by `scripts/make_fixtures.py`.

use nn::prelude::*;
use optim::{
    Adam, AdamOptions, AdamW, AdamWOptions, ClipOptions, Optimizer, SGD, SGDOptions, Scheduler, WarmupCosine,
    clip_grad_norm_,
};
use tests::{Fixture, assert_close};

fn optimizer(name: &str, p: Parameter) -> Box<dyn Optimizer> {
    let sgd = |options: SGDOptions| Box::new(SGD::with(vec![p.clone()], SGDOptions { lr: 0.1, ..options }));
    let base = SGDOptions::default();
    match name {
        "sgd" => sgd(base),
        "sgd_momentum" => sgd(SGDOptions { momentum: 0.9, ..base }),
        "sgd_nesterov" => sgd(SGDOptions { momentum: 0.9, nesterov: true, ..base }),
        "sgd_dampening" => sgd(SGDOptions { momentum: 0.9, dampening: 0.3, weight_decay: 0.01, ..base }),
        "sgd_decay_maximize" => sgd(SGDOptions { weight_decay: 0.05, maximize: true, ..base }),
        "adam" => Box::new(Adam::with(vec![p], AdamOptions { lr: 0.01, ..Default::default() })),
        "adam_decay" => {
            let options =
                AdamOptions { lr: 0.01, betas: (0.8, 0.95), eps: 1e-6, weight_decay: 0.1, ..Default::default() };
            Box::new(Adam::with(vec![p], options))
        }
        "adamw" => Box::new(AdamW::with(vec![p], AdamWOptions { lr: 0.01, ..Default::default() })),
        "adamw_options" => {
            let options =
                AdamWOptions { lr: 0.02, betas: (0.9, 0.99), eps: 1e-7, weight_decay: 0.3, ..Default::default() };
            Box::new(AdamW::with(vec![p], options))
        }
        "adamw_maximize" => {
            Box::new(AdamW::with(vec![p], AdamWOptions { lr: 0.01, maximize: true, ..Default::default() }))
        }
        unknown => panic!("the fixture has a case {unknown:?} that this test does not know"),
    }
}

#[test]
fn optimizers_follow_pytorch() {
    let f = Fixture::load("optimizers");
    let cases: Vec<String> =
        f.cases().into_iter().filter(|c| !["clip", "warmup_cosine"].contains(&c.as_str())).collect();
    assert_eq!(cases.len(), 10, "{cases:?}");
    for name in cases {
        let p = Parameter::new(f.get(&name, "start"));
        let mut optimizer = optimizer(&name, p.clone());
        for n in 1..=60 {
            optimizer.zero_grad();
            // sin'(3p + 0.1n) and p: the gradient of the loss that the script minimises.
            let x = p.value();
            p.set_grad(Some(Var::new((&x * 3.0 + 0.1 * n as f64).cos() * 3.0 + &x)));
            drop(x);
            optimizer.step();
            if [1, 2, 5, 10, 60].contains(&n) {
                let what = format!("{name} after {n} steps");
                assert_close(&what, &p.value(), &f.get(&name, &format!("after.{n}")), 1e-12);
            }
        }
    }
}

#[test]
fn clipping_follows_pytorch() {
    let f = Fixture::load("optimizers");
    let parameters: Vec<Parameter> = ["in.0", "in.1"]
        .map(|part| {
            let grad = f.get("clip", part);
            let p = Parameter::new(grad.zeros_like());
            p.set_grad(Some(Var::new(grad)));
            p
        })
        .into();
    let norm = clip_grad_norm_(&parameters, 1.5, ClipOptions::default()).unwrap();
    assert_close("norm", &Tensor::scalar(norm), &f.get("clip", "norm"), 1e-14);
    for (i, p) in parameters.iter().enumerate() {
        assert_close("clipped", &p.grad().unwrap().value(), &f.get("clip", &format!("out.{i}")), 1e-14);
    }
}

#[test]
fn the_schedule_follows_lambda_lr() {
    let expected = Fixture::load("optimizers").get("warmup_cosine", "lr").to_vec::<f64>();
    let p = Parameter::new(Tensor::zeros([1], DType::F32));
    let mut optimizer = SGD::with(vec![p], SGDOptions { lr: 1e-3, ..Default::default() });
    let mut schedule = WarmupCosine::new(&mut optimizer, 10, 100, 1e-4);
    for (n, expected) in expected.iter().enumerate() {
        assert!((schedule.get_last_lr()[0] - expected).abs() < 1e-15, "step {n}");
        assert_eq!(optimizer.learning_rates(), schedule.get_last_lr());
        schedule.step(&mut optimizer);
    }
}
