//! What an element type does not allow.

use tensor::{DType, Padding, Tensor};

#[test]
fn dtypes_refuse() {
    let ints = || Tensor::from([1i64, 2]);
    let small = || Tensor::from([1i32, 2]);
    let bytes = || Tensor::from([1u8, 2]);
    let bools = || Tensor::from([true, false]);
    let floats = || Tensor::from([1.0, 2.0]);
    let ids = || Tensor::from([0i64]);
    panics! {
        ints().add_(&floats()) => "add_: the result is f64, which a tensor of i64 cannot hold", "to_dtype";
        small().sub_(&floats()) => "sub_: the result is f64, which a tensor of i32 cannot hold";
        bytes().mul_(&Tensor::ones([2], DType::F16)) => "mul_: the result is f16";
        bools().add_(&ints()) => "add_: the result is i64, which a tensor of bool cannot hold";
        ints().add_(&Tensor::from([1i64, 2, 3])) => "add_", "[3]", "[2]";
        bools().sub_(&bools()) => "sub_: not defined for bool; use logical_xor";
        ints().add_scaled_(&floats(), 1.0) => "add_scaled_: the result is f64";
        ints().add_scaled_(&ints(), 0.5) => "add_scaled: scalar 0.5 does not fit dtype i64";
        bools().add_scaled_(&bools(), 1.0) => "add_scaled: not defined for bool";
        bools().mul_scalar_(1.0) => "mul_scalar_: not defined for bool";
        ints().mul_scalar_(0.5) => "mul_scalar_: scalar 0.5 does not fit dtype i64";
        Tensor::full([2], 0.5, DType::I32) => "full: scalar 0.5 does not fit dtype i32: it is a fraction";
        Tensor::full([2], 300.0, DType::U8) => "full: scalar 300 does not fit dtype u8: it is out of range";
        Tensor::full([2], f64::INFINITY, DType::I64) => "full: scalar inf does not fit dtype i64: it is out of range";
        Tensor::full([2], f64::NAN, DType::I64) => "full: scalar NaN does not fit dtype i64";
        small().full_like(3e9) => "full: scalar 3000000000 does not fit dtype i32: it is out of range";
        ints().fill_(0.5) => "fill_: scalar 0.5 does not fit dtype i64";
        small().masked_fill(&bools(), 0.5) => "masked_fill: scalar 0.5 does not fit dtype i32";
        bytes().masked_fill(&bools(), 256.0) => "masked_fill: scalar 256 does not fit dtype u8";
        ints().index_fill(0, &ids(), 0.5) => "index_fill: scalar 0.5 does not fit dtype i64";
        ints().pad(&[1, 1], Padding::Constant(0.5)) => "pad: scalar 0.5 does not fit dtype i64";
        ints().powf(-1.0) => "powf: integers have no integer powers of -1";
        bools().powf(-2.0) => "powf: integers have no integer powers of -2";
        small() + 0.5 => "add_scalar: scalar 0.5 does not fit dtype i32";
        bools() + 1.0 => "add_scalar: not defined for bool";
        bools().abs() => "abs: not defined for bool";
        bools().relu() => "relu: not defined for bool";
        bools().floor() => "floor: not defined for bool";
        bools().ceil() => "ceil: not defined for bool";
        bools().round() => "round: not defined for bool";
        bools().trunc() => "trunc: not defined for bool";
        bools().clamp(Some(0.0), None) => "clamp: not defined for bool";
        small().mean() => "mean_dim: needs a floating-point tensor, got i32";
        bools().mean() => "mean_dim: needs a floating-point tensor, got bool";
        small().var() => "var_dim: needs a floating-point tensor, got i32";
        small().to_vec::<i64>() => "the element type asked for is not the tensor's dtype";
        Tensor::randn([2], DType::I32) => "randn: needs a floating-point tensor, got i32";
    }
}
