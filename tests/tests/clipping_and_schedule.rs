//! Clipping and the schedule agree with PyTorch. The numbers are made by `scripts/make_fixtures.py`.

use nn::prelude::*;
use optim::{ClipOptions, Optimizer, SGD, SGDOptions, Scheduler, WarmupCosine, clip_grad_norm_};
use tests::{Fixture, assert_close};

#[test]
fn clipping_follows_pytorch() {
    let f = Fixture::load("clipping_and_schedule");
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
