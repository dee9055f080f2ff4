//! Steps write in place. Alone in its file, because the counter of copies belongs to the whole process.

use nn::prelude::*;
use optim::{Adam, AdamW, ClipOptions, Optimizer, SGD, SGDOptions, clip_grad_norm_};

#[test]
fn a_training_step_copies_nothing() {
    manual_seed(1);
    let model = sequential![Linear::new(8, 16), LayerNorm::new(16), GELU::new(), Linear::new(16, 4)];
    let x = Var::new(Tensor::randn([32, 8], DType::F32));
    let target = Tensor::randint(0, 4, [32]);
    let optimizers: [Box<dyn Optimizer>; 3] = [
        Box::new(SGD::with(model.parameters(), SGDOptions { momentum: 0.9, nesterov: true, ..Default::default() })),
        Box::new(Adam::new(model.parameters())),
        Box::new(AdamW::new(model.parameters())),
    ];
    for mut optimizer in optimizers {
        for _ in 0..3 {
            optimizer.zero_grad();
            CrossEntropyLoss::new().forward(&model.forward(&x), &target).backward();
            let before = tensor::memory::stats().copies_on_write;
            let clipping = ClipOptions::default();
            assert!(clip_grad_norm_(&model.parameters(), 1e-3, clipping).unwrap() > 1e-3);
            optimizer.step();
            assert_eq!(tensor::memory::stats().copies_on_write, before);
        }
    }
}
