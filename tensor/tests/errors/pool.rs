//! The mistakes that pooling explains.

use tensor::{AvgPool, DType, MaxPool, Tensor};

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32)
}

#[test]
fn windows_of_a_given_size() {
    let (max, avg) = (MaxPool::default, AvgPool::default);
    let x = || zeros(&[2, 3, 5]);
    panics! {
        zeros(&[5]).max_pool1d(2, &max()) => "max_pool1d: the input is 1-d", "[n, c, l] or [c, l]";
        zeros(&[5, 5]).max_pool2d(2, &max()) => "max_pool2d: the input is 2-d";
        zeros(&[2, 0, 5]).max_pool1d(2, &max()) => "max_pool1d: a dimension is empty, only the batch may be";
        zeros(&[2, 3, 0]).avg_pool1d(2, &avg()) => "avg_pool1d: a dimension is empty";
        x().max_pool1d(6, &max()) => "max_pool1d: a window of 6 does not fit the size 5 with padding 0";
        x().max_pool1d_with_indices(usize::MAX, &max()) => "max_pool1d: a window of";
        x().max_pool2d_with_indices([2, 6], &max()) => "max_pool2d: a window of 6 does not fit the size 5";
        x().max_pool1d(0, &max()) => "max_pool1d: kernel must be greater than zero";
        x().max_pool1d([2, 2], &max()) => "max_pool1d: kernel [2, 2] does not have one number, or 1";
        x().max_pool1d(2, &MaxPool { stride: Some(0.into()), ..max() }) => "max_pool1d: stride must be greater than zero";
        x().max_pool1d(2, &MaxPool { dilation: 0.into(), ..max() }) => "max_pool1d: dilation must be greater than zero";
        x().max_pool1d(3, &MaxPool { padding: 2.into(), ..max() }) => "padding 2 is more than half of the window of 3";
        x().avg_pool2d(3, &AvgPool { padding: [0, 2].into(), ..avg() }) => "avg_pool2d: padding 2 is more than half";
        x().avg_pool1d(2, &AvgPool { divisor_override: Some(0), ..avg() }) => "avg_pool1d: divisor_override must not be 0";
        Tensor::zeros([3, 5], DType::Bool).max_pool1d(2, &max()) => "max_pool1d: not defined for bool";
        Tensor::zeros([3, 5], DType::Bool).avg_pool1d(2, &avg()) => "avg_pool1d: not defined for bool";
        Tensor::avg_pool1d_backward(&x(), &[2, 3, 5], 2, &avg()) =>
            "avg_pool1d_backward: the gradient does not have the shape [2, 3, 2] of the pooling's result";
        Tensor::avg_pool2d_backward(&x(), &[2, 3, 5], 2, &avg()) =>
            "avg_pool2d_backward: the gradient does not have the shape [2, 1, 2]";
        Tensor::avg_pool1d_backward(&Tensor::zeros([3, 2], DType::I64), &[3, 5], 2, &avg()) =>
            "avg_pool1d_backward: needs a floating-point tensor, got i64";
    }
}

#[test]
fn indices() {
    let (dy, ids) = (|| zeros(&[3, 2]), |i: i64| Tensor::full([3, 2], i as f64, DType::I64));
    panics! {
        Tensor::max_pool_backward(&dy(), &dy(), &[3, 5], 1) => "max_pool_backward: indices must be i64, got f32";
        Tensor::max_pool_backward(&dy(), &ids(5), &[3, 5], 1) => "max_pool_backward: index 5 is out of range -1..5";
        Tensor::max_pool_backward(&dy(), &ids(0), &[4, 5], 1) => "no max pooling over 1 dimensions has these shapes";
        zeros(&[3, 5]).max_pool_gather(&ids(-2), 1) => "max_pool_gather: index -2 is out of range -1..5";
        zeros(&[3, 5]).max_pool_gather(&ids(0), 3) => "max_pool_gather: no max pooling over 3 dimensions";
        Tensor::zeros([3, 5], DType::Bool).max_pool_gather(&ids(0), 1) => "max_pool_gather: not defined for bool";
    }
}

#[test]
fn adaptive_windows() {
    panics! {
        zeros(&[5]).adaptive_avg_pool1d(2) => "adaptive_avg_pool1d: the input is 1-d";
        zeros(&[2, 0]).adaptive_avg_pool1d(2) => "adaptive_avg_pool1d: a spatial dimension is empty";
        zeros(&[2, 3, 5]).adaptive_avg_pool2d([1, 2, 3]) => "adaptive_avg_pool2d: output size [1, 2, 3] does not have one";
        Tensor::zeros([2, 3], DType::I64).adaptive_avg_pool1d(2) => "adaptive_avg_pool1d: needs a floating-point tensor";
        zeros(&[5, 5]).adaptive_max_pool2d(2) => "adaptive_max_pool2d: the input is 2-d";
        zeros(&[1, 0, 5]).adaptive_max_pool1d(2) => "adaptive_max_pool1d: a dimension is empty, only the batch may be";
        zeros(&[1, 0, 5]).adaptive_max_pool1d_with_indices(2) => "adaptive_max_pool1d: a dimension is empty";
        zeros(&[1, 5, 0]).adaptive_max_pool2d_with_indices(2) => "adaptive_max_pool2d: a dimension is empty";
        Tensor::zeros([2, 3], DType::I64).adaptive_max_pool1d(2) => "adaptive_max_pool1d: needs a floating-point tensor";
        Tensor::adaptive_avg_pool1d_backward(&zeros(&[3, 2]), &[2, 5]) =>
            "adaptive_avg_pool1d_backward: the gradient does not have the shape [2, 2]";
        Tensor::adaptive_avg_pool2d_backward(&zeros(&[2]), &[2, 5, 5]) => "adaptive_avg_pool2d_backward: the input is 1-d";
    }
}
