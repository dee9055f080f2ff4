//! Elementwise functions: division, powers, bits, bounds, comparisons.

use tensor::{DType, RoundingMode, Tensor};

#[test]
fn elementwise_functions_refuse() {
    let ints = |v: i64| Tensor::from([v, v]);
    let bools = || Tensor::from([true, false]);
    let floats = || Tensor::from([1.0, 2.0]);
    let wide = || Tensor::zeros([3], DType::F64);
    panics! {
        ints(1).div_mode(&ints(0), RoundingMode::Floor) => "div_mode: an integer is divided by zero";
        ints(1).div_mode_scalar(0.0, RoundingMode::Trunc) => "div_mode: an integer is divided by zero";
        ints(1).div_mode_scalar(0.5, RoundingMode::Trunc) => "div_mode_scalar: scalar 0.5 does not fit dtype i64";
        bools().div_mode(&bools(), RoundingMode::Trunc) => "div_mode: not defined for bool";
        ints(1).remainder(&ints(0)) => "remainder: an integer is divided by zero";
        ints(1).remainder_scalar(0.5) => "remainder_scalar: scalar 0.5 does not fit dtype i64";
        bools().remainder(&Tensor::from([true])) => "remainder: not defined for bool";
        ints(1).fmod(&ints(0)) => "fmod: an integer is divided by zero";
        ints(1).fmod_scalar(0.5) => "fmod_scalar: scalar 0.5 does not fit dtype i64";
        bools().fmod(&Tensor::from([true])) => "fmod: not defined for bool";
        bools().pow(&bools()) => "pow: not defined for bool";
        floats().atan2(&wide()) => "atan2: cannot broadcast, 2 != 3";
        bools().add_scaled(&bools(), 1.0) => "add_scaled: not defined for bool";
        ints(1).add_scaled(&ints(1), 0.5) => "add_scaled: scalar 0.5 does not fit dtype i64";
        ints(1).lerp(&ints(2), 0.5) => "lerp: needs a floating-point tensor, got i64";
        ints(1).lerp_tensor(&ints(2), &ints(3)) => "lerp_tensor: needs a floating-point tensor, got i64";
        floats().lerp_tensor(&floats(), &wide()) => "lerp_tensor: cannot broadcast";
        bools().addcmul(&bools(), &bools(), 1.0) => "addcmul: not defined for bool";
        ints(1).addcmul(&ints(1), &ints(1), 0.5) => "addcmul: scalar 0.5 does not fit dtype i64";
        ints(1).addcdiv(&ints(1), &ints(1), 1.0) => "addcdiv: needs a floating-point tensor, got i64";
        ints(1).round_decimals(1) => "round_decimals: needs a floating-point tensor, got i64";
        floats().bitwise_and(&ints(1)) => "bitwise_and: needs integers or bools, got f64";
        floats().bitwise_or(&ints(1)) => "bitwise_or: needs integers or bools, got f64";
        floats().bitwise_xor(&ints(1)) => "bitwise_xor: needs integers or bools, got f64";
        floats().bitwise_not() => "bitwise_not: needs integers or bools, got f64";
        floats().isclose(&ints(1), 0.0, 0.0, false) => "isclose: the dtypes differ, f64 and i64";
        floats().isclose(&floats(), -1.0, 0.0, false) => "isclose: a tolerance is negative: rtol -1, atol 0";
        floats().masked_fill(&Tensor::from([true, false, true]), 0.0) => "masked_fill: cannot broadcast, 2 != 3";
        floats().masked_fill_tensor(&floats(), &floats().sum()) => "masked_fill_tensor: the mask must be bool";
        floats().masked_fill_tensor(&bools(), &floats()) => "masked_fill_tensor: the value has 1 dimensions";
        wide().masked_fill_tensor(&bools(), &floats().sum()) => "where_: cannot broadcast";
        ints(1).masked_fill(&bools(), 0.5) => "masked_fill: scalar 0.5 does not fit dtype i64";
    }
}
