//! Panics of operations that have no family of their own here.

use tensor::{AdamStep, DType, Tensor};

#[test]
fn shapes_and_indices() {
    let empty = || Tensor::zeros([2, 0], DType::F32);
    panics! {
        empty().reshape([0isize, -1]) => "reshape: -1 is ambiguous in [0, -1]", "[2, 0]";
        empty().i((.., &Tensor::from([0i64]))) => "an index into dimension 1, which is empty";
        empty().masked_fill_tensor(&Tensor::from([true]), &Tensor::zeros([1], DType::F32))
            => "masked_fill_tensor: the value has 1 dimensions", "a value is 0-d";
    }
}

#[test]
fn optimizer_steps() {
    let options = AdamStep {
        lr: 0.1,
        betas: (0.9, 0.999),
        eps: 1e-8,
        weight_decay: 0.0,
        decoupled: false,
        maximize: false,
        step: 1,
    };
    let step = |gradient: Tensor| {
        let (mut p, mut m, mut v) =
            (Tensor::zeros([2], DType::F32), Tensor::zeros([2], DType::F32), Tensor::zeros([2], DType::F32));
        Tensor::adam_step_(&mut p, &gradient, &mut m, &mut v, &options);
    };
    panics! {
        step(Tensor::zeros([3], DType::F32)) => "adam_step_: the gradient has another shape", "parameter [2]", "gradient [3]";
        step(Tensor::zeros([2], DType::F64)) => "adam_step_: the parameter is f32, the gradient f64";
    }
}
