//! Steps write in place. Alone in its file, because the counter of copies belongs to the whole process.

#[path = "every/list.rs"]
mod list;

use list::{EVERY, step};
use nn::prelude::*;
use optim::{ClipOptions, Optimizer, SGD, SGDOptions, clip_grad_norm_};

#[test]
fn a_training_step_copies_nothing() {
    manual_seed(1);
    let model = sequential![Linear::new(8, 16), LayerNorm::new(16), GELU::new(), Linear::new(16, 4)];
    let x = Var::new(Tensor::randn([32, 8], DType::F32));
    let target = Tensor::randint(0, 4, [32]);
    let options = SGDOptions { momentum: 0.9, nesterov: true, ..Default::default() };
    let mut optimizer = SGD::with(model.parameters(), options);
    for _ in 0..3 {
        optimizer.zero_grad();
        CrossEntropyLoss::new().forward(&model.forward(&x), &target).backward();
        let before = tensor::memory::stats().copies_on_write;
        let clipping = ClipOptions::default();
        assert!(clip_grad_norm_(&model.parameters(), 1e-3, clipping).unwrap() > 1e-3);
        optimizer.step();
        assert_eq!(tensor::memory::stats().copies_on_write, before);
    }

    for (name, make) in EVERY {
        let parameters: Vec<Parameter> = (2..5).map(|n| Parameter::new(Tensor::randn([n, 3], DType::F32))).collect();
        let mut optimizer = make(parameters.clone());
        let before = tensor::memory::stats().copies_on_write;
        for _ in 0..3 {
            step(&mut *optimizer, &parameters, 0.4);
        }
        assert_eq!(tensor::memory::stats().copies_on_write, before, "{name}");
    }
}
