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
#[should_panic(
    expected = "trunc_normal_: hardly any of the distribution lies in the interval\n  mean 0   std 1   low 50   high 51"
)]
fn trunc_normal_needs_an_interval_that_is_reached() {
    init::trunc_normal_(&parameter(&[2]), 0.0, 1.0, 50.0, 51.0);
}

#[test]
#[should_panic(expected = "orthogonal_: the parameter has fewer than two dimensions\n  shape [3]   rule [m, n, ..]")]
fn orthogonal_needs_two_dimensions() {
    init::orthogonal_(&parameter(&[3]), 1.0);
}

#[test]
#[should_panic(expected = "orthogonal_: the parameter has fewer than two dimensions\n  shape []   rule [m, n, ..]")]
fn orthogonal_refuses_numbers() {
    init::orthogonal_(&parameter(&[]), 1.0);
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

/// PyTorch's loops, written out.
fn dirac(shape: &[usize], groups: usize) -> Vec<f64> {
    let (outputs, inputs, kernel) = (shape[0], shape[1], &shape[2..]);
    let per_group = outputs / groups;
    let mut value = Tensor::zeros(shape, F64);
    for group in 0..groups {
        for i in 0..per_group.min(inputs) {
            let kernel = kernel.iter().map(|k| k / 2);
            let at: Vec<usize> = [group * per_group + i, i].into_iter().chain(kernel).collect();
            value.assign_(|v| at.iter().fold(v.clone(), |v, &place| v.select(0, place)), &Tensor::scalar(1f64));
        }
    }
    value.to_vec()
}

#[test]
fn dirac_is_the_identity_of_convolution() {
    for (shape, groups) in [
        (&[3, 3, 3][..], 1),
        (&[4, 2, 4], 2),
        (&[6, 2, 3, 5], 3),
        (&[2, 5, 2, 2], 1),
        (&[4, 1, 3, 2, 3], 2),
        (&[5, 2, 3], 1),
    ] {
        let p = parameter(shape);
        init::ones_(&p);
        init::dirac_(&p, groups);
        assert_eq!(p.to_vec::<f64>(), dirac(shape, groups), "{shape:?} in {groups} groups");
    }
    let empty = parameter(&[2, 2, 0]);
    init::dirac_(&empty, 1);
    assert_eq!(empty.numel(), 0);
    let p = parameter(&[4, 2, 3, 3]);
    init::dirac_(&p, 2);
    let x = Var::new(Tensor::randn([2, 4, 5, 6], F64));
    let y = x.conv2d(&p, None, &tensor::Conv { padding: 1.into(), groups: 2, ..Default::default() });
    assert!(y.value().bit_eq(&x.value()));
}

#[test]
#[should_panic(
    expected = "dirac_: the parameter is no kernel\n  shape [2, 2]   rule [out, in, k..] with one to three k"
)]
fn dirac_needs_a_kernel() {
    init::dirac_(&parameter(&[2, 2]), 1);
}

#[test]
#[should_panic(expected = "dirac_: the groups do not divide the outputs\n  shape [3, 2, 1]   groups 2")]
fn dirac_needs_groups_that_divide() {
    init::dirac_(&parameter(&[3, 2, 1]), 2);
}

#[test]
fn sparse_has_so_many_zeros_in_each_column_at_any_place() {
    let p = parameter(&[200, 60]);
    init::sparse_(&p, 0.301, 0.5);
    let zero = p.value().eq_scalar(0.0).to_dtype(F64);
    // 60.2, rounded up.
    assert_eq!(zero.sum_dim(0, false).to_vec::<f64>(), [61.0; 60]);
    // Each row has a zero in about 30 of 100 columns: three standard deviations of the binomial distribution are 11.
    let rows = zero.sum_dim(1, false).to_vec::<f64>();
    assert!(rows.iter().all(|&n| (3.0..36.0).contains(&n)), "{rows:?}");
    let rest: Vec<f64> = p.to_vec::<f64>().into_iter().filter(|&x| x != 0.0).collect();
    assert_normal(&Parameter::new(Tensor::from_vec(rest.clone(), [rest.len()])), 0.5);
    for (sparsity, nonzero) in [(0.0, 6), (1.0, 0), (0.1, 4)] {
        let p = parameter(&[3, 2]);
        init::sparse_(&p, sparsity, 1.0);
        assert_eq!(p.value().count_nonzero([]).item::<i64>(), nonzero, "{sparsity}");
    }
}

#[test]
#[should_panic(expected = "sparse_: the parameter is no matrix\n  shape [2]   rule [m, n]")]
fn sparse_needs_a_matrix() {
    init::sparse_(&parameter(&[2]), 0.5, 0.01);
}

#[test]
#[should_panic(expected = "sparse_: the sparsity is not between 0 and 1, sparsity = 1.5")]
fn sparse_needs_a_fraction() {
    init::sparse_(&parameter(&[2, 2]), 1.5, 0.01);
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

#[test]
fn nothing_to_fill_is_fine() {
    let fills: [fn(&Var); 9] = [
        |p| init::uniform_(p, -1.0, 1.0),
        |p| init::trunc_normal_(p, 0.0, 1.0, -2.0, 2.0),
        |p| init::xavier_uniform_(p, 1.0),
        |p| init::xavier_normal_(p, 1.0),
        |p| init::kaiming_uniform_(p, KaimingOptions::default()),
        |p| init::kaiming_normal_(p, KaimingOptions::default()),
        |p| init::orthogonal_(p, 1.0),
        |p| init::sparse_(p, 0.5, 1.0),
        init::eye_,
    ];
    for shape in [[0, 3], [3, 0], [0, 0]] {
        for fill in fills {
            let p = parameter(&shape);
            fill(&p);
            assert_eq!(p.shape(), shape);
        }
    }
}

#[test]
fn a_model_without_initial_values_draws_nothing_and_takes_values_later() {
    manual_seed(7);
    let next = || Tensor::randn([3], DType::F32);
    let expected = next();
    manual_seed(7);
    let layers = init::skip_init(|| {
        let layers =
            (Linear::new(1 << 28, 1 << 28), Embedding::new(1 << 40, 1 << 10), MultiheadAttention::new(1 << 20, 4));
        init::ones_(&layers.0.weight);
        layers
    });
    assert!(next().bit_eq(&expected), "something was drawn");
    assert_eq!(layers.0.weight.shape(), [1 << 28, 1 << 28]);
    assert_eq!(layers.0.weight.value().narrow(0, 5, 1).narrow(1, 0, 1).item::<f32>(), 0.0);
    let small = init::skip_init(|| Linear::new(3, 2));
    small.weight.set_value(Tensor::ones([2, 3], DType::F32));
    assert_eq!(small.forward(&Var::new(Tensor::ones([3], DType::F32))).to_vec::<f32>(), [3.0, 3.0]);
    // A panic in between does not leave the mode on.
    let panicked = std::panic::catch_unwind(|| init::skip_init(|| panic!("stopped")));
    assert!(panicked.is_err());
    assert!(Linear::new(20, 20).weight.value().abs().max().item::<f32>() > 0.0);
}
