//! Other sizes, other places, and borders.

use UpsampleMode::{Area, Bicubic, Bilinear, Linear, Nearest, NearestExact, Trilinear};
use nn::functional as F;

use crate::harness::{
    Case, ChannelShuffle, CircularPad1d, CircularPad2d, ConstantPad1d, ConstantPad2d, DType, Inputs, Interpolate,
    InterpolateMode, Padding, PixelShuffle, PixelUnshuffle, ReflectionPad1d, ReflectionPad2d, ReplicationPad1d,
    ReplicationPad2d, Tensor, Upsample, UpsampleMode, UpsampleOptions, Var, ZeroPad1d, ZeroPad2d, cases, check,
    function, layer,
};

fn by(mode: UpsampleMode, factors: &[f64]) -> UpsampleOptions {
    UpsampleOptions { scale_factor: Some(factors.to_vec()), mode, ..Default::default() }
}

fn factor(mode: UpsampleMode, factors: &[f64]) -> Case {
    layer(Upsample::with(by(mode, factors)))
}

fn size(mode: UpsampleMode, size: &[usize]) -> Case {
    layer(Upsample::with(UpsampleOptions { size: Some(size.to_vec()), mode, ..Default::default() }))
}

fn corners(options: UpsampleOptions) -> Case {
    layer(Upsample::with(UpsampleOptions { align_corners: true, ..options }))
}

fn functions(x: &Inputs) -> (Vec<Var>, Tensor) {
    let (line, image) = (x.var(0), x.var(1));
    let linear = Interpolate { scale_factor: Some(vec![2.0]), mode: InterpolateMode::Linear, ..Default::default() };
    let floats = vec![
        F::pad(line, &[1, -1, 0, 2], Padding::Constant(2.0)),
        F::pad(line, &[1, 0], Padding::Reflect),
        F::interpolate(line, &linear),
        F::pixel_shuffle(image, 2),
        F::pixel_unshuffle(image, 2),
        F::channel_shuffle(image, 2),
    ];
    (floats, F::one_hot(x.tensor(2), 4))
}

cases! { "arrange":
    "upsample_nearest_1d" => factor(Nearest, &[1.7]),
    "upsample_nearest_2d" => size(Nearest, &[5, 3]),
    "upsample_nearest_3d" => factor(Nearest, &[2.0, 1.5, 2.5]),
    "upsample_nearest-exact_1d" => factor(NearestExact, &[1.7]),
    "upsample_nearest-exact_2d" => size(NearestExact, &[5, 3]),
    "upsample_nearest-exact_3d" => factor(NearestExact, &[2.0, 1.5, 2.5]),
    "upsample_area_1d" => factor(Area, &[1.7]),
    "upsample_area_2d" => size(Area, &[5, 3]),
    "upsample_area_3d" => factor(Area, &[2.0, 1.5, 2.5]),
    "upsample_linear" => size(Linear, &[7]),
    "upsample_linear_factor" => factor(Linear, &[1.7]),
    "upsample_linear_smaller" => factor(Linear, &[0.6]),
    "upsample_linear_corners" => corners(UpsampleOptions { size: Some(vec![7]), mode: Linear, ..Default::default() }),
    "upsample_linear_factor_corners" => corners(by(Linear, &[1.7])),
    "upsample_linear_smaller_corners" => corners(by(Linear, &[0.6])),
    "upsample_linear_recompute" => {
        layer(Upsample::with(UpsampleOptions { recompute_scale_factor: true, ..by(Linear, &[1.7]) }))
    },
    "upsample_bilinear" => size(Bilinear, &[7]),
    "upsample_bilinear_factor" => factor(Bilinear, &[1.7]),
    "upsample_bilinear_smaller" => factor(Bilinear, &[0.6]),
    "upsample_bilinear_corners" => {
        corners(UpsampleOptions { size: Some(vec![7]), mode: Bilinear, ..Default::default() })
    },
    "upsample_bilinear_factor_corners" => corners(by(Bilinear, &[1.7])),
    "upsample_bilinear_smaller_corners" => corners(by(Bilinear, &[0.6])),
    "upsample_bilinear_recompute" => {
        layer(Upsample::with(UpsampleOptions { recompute_scale_factor: true, ..by(Bilinear, &[1.7]) }))
    },
    "upsample_bicubic" => size(Bicubic, &[7]),
    "upsample_bicubic_factor" => factor(Bicubic, &[1.7]),
    "upsample_bicubic_smaller" => factor(Bicubic, &[0.6]),
    "upsample_bicubic_corners" => corners(UpsampleOptions { size: Some(vec![7]), mode: Bicubic, ..Default::default() }),
    "upsample_bicubic_factor_corners" => corners(by(Bicubic, &[1.7])),
    "upsample_bicubic_smaller_corners" => corners(by(Bicubic, &[0.6])),
    "upsample_bicubic_recompute" => {
        layer(Upsample::with(UpsampleOptions { recompute_scale_factor: true, ..by(Bicubic, &[1.7]) }))
    },
    "upsample_trilinear" => size(Trilinear, &[7]),
    "upsample_trilinear_factor" => factor(Trilinear, &[1.7]),
    "upsample_trilinear_smaller" => factor(Trilinear, &[0.6]),
    "upsample_trilinear_corners" => {
        corners(UpsampleOptions { size: Some(vec![7]), mode: Trilinear, ..Default::default() })
    },
    "upsample_trilinear_factor_corners" => corners(by(Trilinear, &[1.7])),
    "upsample_trilinear_smaller_corners" => corners(by(Trilinear, &[0.6])),
    "upsample_trilinear_recompute" => {
        layer(Upsample::with(UpsampleOptions { recompute_scale_factor: true, ..by(Trilinear, &[1.7]) }))
    },
    "upsample_bilinear_factors" => factor(Bilinear, &[2.0, 1.5]),
    "upsample_bicubic_to_one" => corners(UpsampleOptions { size: Some(vec![1]), mode: Bicubic, ..Default::default() }),
    "upsample_nearest_factor" => layer(Upsample::new(2.0)),
    "pixel_shuffle" => layer(PixelShuffle::new(2)),
    "pixel_unshuffle" => layer(PixelUnshuffle::new(3)),
    "channel_shuffle" => layer(ChannelShuffle::new(2)),
    "zero_pad_1d" => layer(ZeroPad1d::new(2)),
    "zero_pad_1d_sides" => layer(ZeroPad1d::new([0, 1])),
    "constant_pad_1d" => layer(ConstantPad1d::new([1, 2], 3.5)),
    "reflection_pad_1d" => layer(ReflectionPad1d::new(1)),
    "reflection_pad_1d_sides" => layer(ReflectionPad1d::new([1, 2])),
    "replication_pad_1d" => layer(ReplicationPad1d::new(1)),
    "replication_pad_1d_sides" => layer(ReplicationPad1d::new([1, 2])),
    "circular_pad_1d" => layer(CircularPad1d::new(1)),
    "circular_pad_1d_sides" => layer(CircularPad1d::new([1, 2])),
    "zero_pad_2d" => layer(ZeroPad2d::new(2)),
    "zero_pad_2d_sides" => layer(ZeroPad2d::new([0, 1, -1, 0])),
    "constant_pad_2d" => layer(ConstantPad2d::new([1, 2, 0, 1], 3.5)),
    "reflection_pad_2d" => layer(ReflectionPad2d::new(1)),
    "reflection_pad_2d_sides" => layer(ReflectionPad2d::new([1, 2, 0, 1])),
    "replication_pad_2d" => layer(ReplicationPad2d::new(1)),
    "replication_pad_2d_sides" => layer(ReplicationPad2d::new([1, 2, 0, 1])),
    "circular_pad_2d" => layer(CircularPad2d::new(1)),
    "circular_pad_2d_sides" => layer(CircularPad2d::new([1, 2, 0, 1])),
    "functions" => function(functions),
}
