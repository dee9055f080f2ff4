//! Sizes beyond any memory, and dtypes that are named as the caller knows them.

use tensor::{AvgPool, DType, Interpolate, InterpolateMode, Padding, Tensor};

#[test]
fn sizes_beyond_any_memory_are_errors() {
    let x = || Tensor::zeros([1, 1, 4], DType::F32);
    let to = |size: Option<usize>, factor: Option<f64>| Interpolate {
        size: size.map(|n| vec![n]),
        scale_factor: factor.map(|f| vec![f]),
        ..Default::default()
    };
    panics! {
        x().interpolate(&to(Some(1 << 62), None)) => "too many elements";
        x().interpolate(&to(None, Some(f64::INFINITY))) => "too many elements";
        x().adaptive_avg_pool1d(1 << 62) => "too many elements";
        x().adaptive_max_pool1d(1 << 62) => "too many elements";
        x().pad(&[isize::MAX, 1], Padding::Constant(0.0)) => "too many elements";
        x().pad(&[isize::MAX, isize::MAX], Padding::Replicate) => "too many elements";
        x().pad(&[isize::MIN, isize::MIN], Padding::Constant(0.0)) => "pad: pad", "cuts away more than the 4 elements";
        x().pixel_shuffle(1 << 32) => "pixel_shuffle: 1 channels do not make squares of 4294967296 by 4294967296 pixels";
        Tensor::zeros([0, 2, 2], DType::F32).pixel_shuffle(1 << 32) => "pixel_shuffle: 0 channels do not make squares";
        Tensor::from([i64::MAX]).one_hot(None) => "one_hot: index 9223372036854775807 is out of range";
    }
}

#[test]
fn a_mean_over_a_window_of_any_size() {
    let windows = AvgPool { padding: [1 << 39, 1 << 39].into(), ..Default::default() };
    let y = Tensor::ones([1, 4, 4], DType::F64).avg_pool2d([1 << 40, 1 << 40], &windows);
    assert!(y.item::<f64>() < 1e-17);
}

#[test]
fn the_dtype_is_that_of_the_tensor() {
    let i = || Tensor::from([1i32, 2]);
    let image = || Tensor::ones([1, 1, 2], DType::I32);
    let linear = Interpolate { size: Some(vec![3]), mode: InterpolateMode::Linear, ..Default::default() };
    panics! {
        i().lerp(&i(), 0.5) => "lerp: needs a floating-point tensor, got i32";
        i().lerp_tensor(&i(), &i()) => "lerp_tensor: needs a floating-point tensor, got i32";
        i().addcdiv(&i(), &i(), 1.0) => "addcdiv: needs a floating-point tensor, got i32";
        i().round_decimals(2) => "round_decimals: needs a floating-point tensor, got i32";
        i().prelu(&i()) => "prelu: needs a floating-point tensor, got i32";
        i().rms_norm(1, None, None) => "rms_norm: needs a floating-point tensor, got i32";
        Tensor::gelu_backward(&i(), &i()) => "gelu_backward: needs a floating-point tensor, got i32";
        Tensor::avg_pool1d_backward(&image(), &[1, 1, 4], 2, &AvgPool::default()) => "avg_pool1d_backward: needs a floating-point tensor, got i32";
        image().interpolate(&linear) => "interpolate: needs a floating-point tensor, got i32";
        Tensor::interpolate_backward(&Tensor::ones([1, 1, 3], DType::I32), &[1, 1, 2], &linear) => "interpolate_backward: needs a floating-point tensor, got i32";
    }
}
