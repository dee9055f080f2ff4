//! What the element types refuse.

use tensor::{DType, Tensor};

#[test]
fn in_place_results_must_fit() {
    let ints = || Tensor::from([1i64, 2]);
    panics! {
        ints().add_(&Tensor::from([0.5])) => "add_: the result is f64, which a tensor of i64 cannot hold", "to_dtype";
        ints().mul_(&Tensor::from([0.5f32])) => "mul_: the result is f32";
        ints().sub_(&Tensor::from([0.5f32])) => "sub_: the result is f32";
        ints().add_scaled_(&ints(), 2.0) => "add_scaled_: needs a floating-point tensor, got i64";
        ints().to_dtype(DType::I32).add_(&Tensor::from([0.5])) => "which a tensor of i32 cannot hold";
        Tensor::from([true]).add_(&ints().narrow(0, 0, 1)) => "add_: the result is i64, which a tensor of bool cannot hold";
        Tensor::from([true]).sub_(&Tensor::from([true])) => "sub_: not defined for bool";
        ints().mul_scalar_(0.5) => "mul_scalar_: scalar 0.5 does not fit dtype i64";
        ints().fill_(0.5) => "fill_: scalar 0.5 does not fit dtype i64";
        ints().add_(&Tensor::from([1i64, 2, 3])) => "add_", "[3]", "[2]";
    }
}

#[test]
fn optimizers_refuse_halves() {
    for dtype in [DType::F16, DType::BF16] {
        let (mut p, g) = (Tensor::ones([2], dtype), Tensor::ones([2], dtype));
        let options = tensor::SgdStep {
            lr: 0.1,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.0,
            nesterov: false,
            maximize: false,
            first: true,
        };
        let step = std::panic::AssertUnwindSafe(|| Tensor::sgd_step_(&mut p, &g, None, &options));
        let message = crate::provoke::panic_of(step);
        assert!(message.contains("sgd_step_: an update is lost in the rounding of"), "{message}");
    }
}
