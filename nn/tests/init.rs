//! Initial distributions: bounds, moments, exact ones.

use nn::init::{FanMode, KaimingOptions, Nonlinearity};
use nn::prelude::*;

const F64: DType = DType::F64;

fn parameter(shape: &[usize]) -> Parameter {
    manual_seed(11);
    Parameter::new(Tensor::zeros(shape, F64))
}

/// Mean, standard deviation and largest absolute value.
fn moments(parameter: &Parameter) -> (f64, f64, f64) {
    let value = parameter.value();
    (value.mean().item(), value.var().item::<f64>().sqrt(), value.abs().max().item())
}

#[track_caller]
fn assert_uniform(parameter: &Parameter, bound: f64) {
    let (mean, std, largest) = moments(parameter);
    assert!(largest <= bound && largest > 0.99 * bound, "largest {largest}, bound {bound}");
    assert!(mean.abs() < 0.02 * bound && (std / bound * 3f64.sqrt() - 1.0).abs() < 0.02, "mean {mean}, std {std}");
}

#[track_caller]
fn assert_normal(parameter: &Parameter, expected: f64) {
    let (mean, std, largest) = moments(parameter);
    assert!(
        mean.abs() < 0.03 * expected && (std / expected - 1.0).abs() < 0.03,
        "mean {mean}, std {std} for {expected}"
    );
    assert!(largest > 3.0 * expected, "largest {largest}");
}

#[test]
fn uniform_and_normal() {
    let p = parameter(&[100, 100]);
    init::uniform_(&p, -2.0, 2.0);
    assert_uniform(&p, 2.0);
    init::normal_(&p, 0.0, 0.3);
    assert_normal(&p, 0.3);
    init::normal_(&p, 5.0, 0.3);
    assert!((p.value().mean().item::<f64>() - 5.0).abs() < 0.01);
    assert!(p.requires_grad() && p.is_leaf());
}

#[test]
fn trunc_normal_stays_inside() {
    let p = parameter(&[100, 100]);
    init::trunc_normal_(&p, 0.0, 1.0, -2.0, 2.0);
    let (mean, std, largest) = moments(&p);
    // The standard deviation of a normal distribution cut at two of its own.
    assert!(largest <= 2.0 && largest > 1.98 && mean.abs() < 0.03 && (std - 0.8796).abs() < 0.02, "{mean} {std}");
    init::trunc_normal_(&p, 0.0, 0.02, 0.01, 0.03);
    let values = p.to_vec::<f64>();
    assert!(values.iter().all(|x| (0.01..=0.03).contains(x)));
}

#[test]
#[should_panic(expected = "trunc_normal_: the interval is empty\n  low 1   high 0")]
fn trunc_normal_needs_an_interval() {
    init::trunc_normal_(&parameter(&[2]), 0.0, 1.0, 1.0, 0.0);
}

#[test]
fn constants() {
    let p = parameter(&[2, 3]);
    init::ones_(&p);
    assert_eq!(p.to_vec::<f64>(), [1.0; 6]);
    init::constant_(&p, 0.5);
    assert_eq!(p.to_vec::<f64>(), [0.5; 6]);
    init::zeros_(&p);
    assert_eq!(p.to_vec::<f64>(), [0.0; 6]);
    init::eye_(&p);
    assert_eq!(p.to_vec::<f64>(), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn xavier_and_kaiming_use_the_fans() {
    // Fan in 100 * 2, fan out 60 * 2.
    let p = parameter(&[60, 100, 2]);
    init::xavier_uniform_(&p, 2.0);
    assert_uniform(&p, 2.0 * (6.0f64 / 320.0).sqrt());
    init::xavier_normal_(&p, 1.0);
    assert_normal(&p, (2.0f64 / 320.0).sqrt());
    init::kaiming_uniform_(&p, KaimingOptions::default());
    assert_uniform(&p, (6.0f64 / 200.0).sqrt());
    init::kaiming_normal_(&p, KaimingOptions { mode: FanMode::FanOut, nonlinearity: Nonlinearity::Tanh });
    assert_normal(&p, 5.0 / 3.0 / 120f64.sqrt());
    // How PyTorch starts Linear: the slope √5 makes the bound 1 / √fan_in.
    let slope = Nonlinearity::LeakyReLU(5f64.sqrt());
    init::kaiming_uniform_(&p, KaimingOptions { nonlinearity: slope, ..Default::default() });
    assert_uniform(&p, 1.0 / 200f64.sqrt());
}

#[test]
fn gains_are_pytorchs() {
    let gains = [
        (Nonlinearity::Linear, 1.0),
        (Nonlinearity::Sigmoid, 1.0),
        (Nonlinearity::Tanh, 5.0 / 3.0),
        (Nonlinearity::ReLU, 2f64.sqrt()),
        (Nonlinearity::LeakyReLU(0.01), (2.0 / 1.0001f64).sqrt()),
        (Nonlinearity::SELU, 0.75),
    ];
    for (nonlinearity, gain) in gains {
        assert_eq!(init::calculate_gain(nonlinearity), gain, "{nonlinearity:?}");
    }
}

#[test]
fn orthogonal_rows_or_columns() {
    for shape in [[5, 5], [3, 8], [8, 3]] {
        let p = parameter(&shape);
        init::orthogonal_(&p, 2.0);
        let value = p.value();
        let gram = if shape[0] <= shape[1] { value.matmul(&value.t()) } else { value.t().matmul(&value) };
        assert!(gram.allclose(&(Tensor::eye(shape[0].min(shape[1]), F64) * 4.0), 0.0, 1e-12), "{shape:?} {gram}");
    }
    let p = parameter(&[3, 2, 4]);
    init::orthogonal_(&p, 1.0);
    let rows = p.value().reshape([3, 8]);
    assert!(rows.matmul(&rows.t()).allclose(&Tensor::eye(3, F64), 0.0, 1e-12));
}

#[test]
#[should_panic(expected = "init: fan in and fan out need two dimensions\n  shape [3]   rule [out, in, ..]")]
fn fans_need_two_dimensions() {
    init::xavier_uniform_(&parameter(&[3]), 1.0);
}

#[test]
#[should_panic(expected = "eye_: the parameter is no matrix\n  shape [3]   rule [m, n]")]
fn eye_needs_a_matrix() {
    init::eye_(&parameter(&[3]));
}

#[test]
fn a_leaf_keeps_its_dtype() {
    let p = Parameter::new(Tensor::zeros([3, 3], DType::F32));
    for fill in [|p: &Var| init::orthogonal_(p, 1.0), |p: &Var| init::trunc_normal_(p, 0.0, 1.0, -2.0, 2.0), init::eye_]
    {
        fill(&p);
        assert_eq!(p.dtype(), DType::F32);
    }
}
