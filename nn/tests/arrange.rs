//! Layers that only arrange: gradients, that items of a batch do not mix, and what is refused.

mod common;

use common::refuses;
use nn::prelude::*;
use nn::strategy::{arrangements, check_batch_independence};
use proptest::prelude::*;

fn zeros(shape: &[usize]) -> Var {
    Var::new(Tensor::zeros(shape, DType::F32))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_and_rows(case in arrangements()) {
        case.check_gradients().unwrap();
        check_batch_independence(|x| case.module.forward(x), &case.input).unwrap();
    }

    #[test]
    fn every_mode_keeps_a_constant(case in arrangements(), value in -3.0..3.0f64) {
        // Weights add up to one; only a border of another number differs.
        prop_assume!(!case.module.to_string().contains("ConstantPad"));
        let constant = Var::new(Tensor::full(case.input.shape(), value, DType::F64));
        let y = case.module.forward(&constant).value();
        prop_assert!(y.allclose(&Tensor::full(y.shape(), value, DType::F64), 1e-12, 1e-12));
    }
}

#[test]
fn a_cubic_reproduces_a_straight_line_away_from_the_borders() {
    let x = Var::new(Tensor::arange(0.0, 12.0, 1.0, DType::F64).reshape([1, 1, 1, 12]).expand([1, 1, 2, 12]));
    let options = UpsampleOptions {
        size: Some(vec![2, 34]),
        mode: UpsampleMode::Bicubic,
        align_corners: true,
        ..Default::default()
    };
    let y = Upsample::with(options).forward(&x).value().narrow(3, 4, 26).select(2, 0).to_vec::<f64>();
    assert!(y.iter().enumerate().all(|(i, y)| (y - (i + 4) as f64 / 3.0).abs() < 0.06), "{y:?}");
}

#[test]
fn one_infinity_does_not_spread_by_area() {
    let x = Var::new(Tensor::from([f64::INFINITY, 1.0, 2.0, 3.0, 4.0]).reshape([1, 1, 5]));
    let options = UpsampleOptions { size: Some(vec![3]), mode: UpsampleMode::Area, ..Default::default() };
    assert_eq!(Upsample::with(options).forward(&x).to_vec::<f64>(), [f64::INFINITY, 2.0, 3.5]);
}

#[test]
fn refusals() {
    let mode = |mode| UpsampleOptions { size: Some(vec![2]), mode, ..Default::default() };
    refuses! {
        Upsample::with(UpsampleOptions::default()) => "Upsample: needs a size or a scale_factor, and not both\n  size None   scale_factor None";
        Upsample::with(UpsampleOptions { scale_factor: Some(vec![2.0]), ..mode(UpsampleMode::Nearest) }) => "size Some([2])   scale_factor Some([2.0])";
        Upsample::with(UpsampleOptions { recompute_scale_factor: true, ..mode(UpsampleMode::Nearest) }) => "Upsample: recompute_scale_factor is for a scale_factor, the size is Some([2])";
        Upsample::with(UpsampleOptions { align_corners: true, ..mode(UpsampleMode::Area) }) => "Upsample: align_corners is for the linear and the cubic modes, the mode is Area";
        Upsample::with(mode(UpsampleMode::Bilinear)).forward(&zeros(&[1, 1, 3])) => "Upsample: the mode is for other dimensions\n  input [1, 1, 3]   mode Bilinear   rule [n, c, ..] with 2 more";
        Upsample::with(mode(UpsampleMode::Nearest)).forward(&zeros(&[1, 3])) => "interpolate: there are not one to three dimensions to resize";
        Upsample::with(UpsampleOptions { size: Some(vec![2, 2]), ..Default::default() }).forward(&zeros(&[1, 1, 3])) => "interpolate: there is not one size or factor for each dimension";
        Upsample::new(0.1).forward(&zeros(&[1, 1, 3])) => "interpolate: a size is 0";
        PixelShuffle::new(2).forward(&zeros(&[1, 6, 2, 2])) => "pixel_shuffle: 6 channels do not make squares of 2 by 2 pixels";
        PixelShuffle::new(0).forward(&zeros(&[1, 6, 2, 2])) => "pixel_shuffle: 6 channels do not make squares of 0 by 0 pixels";
        PixelUnshuffle::new(2).forward(&zeros(&[1, 1, 3, 2])) => "pixel_unshuffle: 3 by 2 pixels do not make squares of 2 by 2";
        PixelUnshuffle::new(0).forward(&zeros(&[1, 1, 3, 2])) => "pixel_unshuffle";
        ChannelShuffle::new(2).forward(&zeros(&[1, 3, 2])) => "channel_shuffle: there are no 2 groups of channels";
        ZeroPad1d::new(-2).forward(&zeros(&[1, 3])) => "pad [-2, -2] cuts away more than the 3 elements";
        ZeroPad2d::new(1).forward(&zeros(&[3])) => "pad [1, 1, 1, 1] does not fit 1 dimensions";
        ConstantPad1d::new(-2, 1.0).forward(&zeros(&[1, 3])) => "cuts away more";
        ConstantPad2d::new(1, 1.0).forward(&zeros(&[3])) => "does not fit 1 dimensions";
        ReflectionPad1d::new(3).forward(&zeros(&[1, 3])) => "Reflect padding [3, 3] is too wide for dimension -1 of size 3";
        ReflectionPad1d::new(1).forward(&zeros(&[3])) => "ReflectionPad1d: the input has the wrong number of dimensions\n  input [3]   rule 2 or 3";
        ReflectionPad2d::new([0, 0, 3, 0]).forward(&zeros(&[1, 3, 4])) => "Reflect padding [3, 0] is too wide for dimension -2 of size 3";
        ReflectionPad2d::new(1).forward(&zeros(&[3, 3])) => "ReflectionPad2d: the input has the wrong number of dimensions\n  input [3, 3]   rule 3 or 4";
        ReplicationPad1d::new(1).forward(&zeros(&[1, 0])) => "Replicate padding [1, 1] is too wide for dimension -1 of size 0";
        ReplicationPad1d::new(1).forward(&zeros(&[1, 1, 1, 3])) => "ReplicationPad1d: the input has the wrong number of dimensions";
        ReplicationPad2d::new(1).forward(&zeros(&[1, 0, 2])) => "Replicate padding [1, 1] is too wide for dimension -2 of size 0";
        ReplicationPad2d::new(1).forward(&zeros(&[2, 2])) => "ReplicationPad2d: the input has the wrong number of dimensions";
        CircularPad1d::new(4).forward(&zeros(&[1, 3])) => "Circular padding [4, 4] is too wide for dimension -1 of size 3";
        CircularPad1d::new(1).forward(&zeros(&[3])) => "CircularPad1d: the input has the wrong number of dimensions";
        CircularPad2d::new([4, 0, 0, 0]).forward(&zeros(&[1, 3, 3])) => "Circular padding [4, 0] is too wide for dimension -1 of size 3";
        CircularPad2d::new(1).forward(&zeros(&[3, 3])) => "CircularPad2d: the input has the wrong number of dimensions";
    }
}
