//! Panics of operations that have no family of their own here.

use tensor::{DType, ElementStep, Real, Tensor};

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

/// `b ← b + g`, `p ← p - b`.
#[derive(Clone, Copy)]
struct Sum;

impl ElementStep<1> for Sum {
    fn call<T: Real>(self, p: T, g: T, [b]: [T; 1]) -> (T, [T; 1]) {
        (p - (b + g), [b + g])
    }
}

#[test]
fn optimizer_steps() {
    let step = |p: DType, g: Tensor, mut b: Tensor| {
        Tensor::step_("Sum", &mut Tensor::zeros([2], p), &g, [&mut b], Sum);
    };
    let (zeros, dtype) = (|n: usize, dtype| Tensor::zeros([n], dtype), DType::F32);
    panics! {
        step(dtype, zeros(3, dtype), zeros(2, dtype))
            => "Sum: the gradient has another shape", "parameter [2]", "gradient [3]";
        step(dtype, zeros(2, dtype), zeros(1, dtype))
            => "Sum: the kept tensor has another shape", "parameter [2]", "kept tensor [1]";
        step(dtype, zeros(2, DType::F64), zeros(2, dtype)) => "Sum: the parameter is f32, the gradient f64";
        step(dtype, zeros(2, dtype), zeros(2, DType::F64)) => "Sum: the parameter is f32, the kept tensor f64";
        step(DType::BF16, zeros(2, DType::BF16), zeros(2, DType::BF16))
            => "Sum: an update is lost in the rounding of bf16; keep the parameter in f32";
        step(DType::F16, zeros(2, DType::F16), zeros(2, DType::F16)) => "Sum", "f16";
        step(DType::I64, zeros(2, DType::I64), zeros(2, DType::I64)) => "Sum", "i64";
    }
}
