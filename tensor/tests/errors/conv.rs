//! The mistakes that convolutions explain.

use tensor::{Conv, ConvPadding, ConvTranspose, DType, PerDim, Tensor};

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32)
}

#[test]
fn convolutions() {
    let conv = |options: Conv| zeros(&[1, 4, 5, 5]).conv2d(&zeros(&[6, 2, 3, 3]), None, &options);
    let two = || Conv { groups: 2, ..Default::default() };
    panics! {
        zeros(&[5]).conv1d(&zeros(&[3, 2, 3]), None, &Conv::default()) => "conv1d: the input is 1-d", "[n, c, l] or [c, l]";
        zeros(&[1, 2, 5, 5]).conv1d(&zeros(&[3, 2, 3]), None, &Conv::default()) => "conv1d: the input is 4-d";
        zeros(&[2, 5]).conv2d(&zeros(&[3, 2, 3, 3]), None, &Conv::default()) => "conv2d: the input is 2-d", "[n, c, h, w]";
        zeros(&[2, 5]).conv1d(&zeros(&[3, 2]), None, &Conv::default()) => "conv1d: the weight is 2-d", "[o, c / groups, k]";
        zeros(&[3, 5, 5]).conv2d(&zeros(&[3, 2, 3, 3]), None, &Conv::default()) =>
            "conv2d: the input has 3 channels, the weight takes 2 in 1 groups", "[3, 5, 5]", "[3, 2, 3, 3]";
        zeros(&[2, 5]).conv1d(&zeros(&[3, 2, 6]), None, &Conv::default()) =>
            "conv1d: the kernel with dilation extends over 6 of the padded size 5";
        zeros(&[2, 5]).conv1d(&zeros(&[3, 2, 0]), None, &Conv::default()) => "conv1d: the kernel is empty";
        zeros(&[2, 5]).conv1d(&zeros(&[0, 2, 3]), None, &Conv::default()) => "0 output channels are not a positive multiple";
        zeros(&[1, 2, 0]).conv1d(&zeros(&[3, 2, 1]), None, &Conv { padding: 1.into(), ..Default::default() }) =>
            "conv1d: a spatial dimension is empty";
        zeros(&[1, 4, 5, 5]).conv2d(&zeros(&[5, 2, 3, 3]), None, &two()) =>
            "conv2d: 5 output channels are not a positive multiple of 2 groups";
        conv(Conv { groups: 0, ..two() }) => "conv2d: groups must be greater than zero";
        conv(Conv { stride: 0.into(), ..two() }) => "conv2d: stride must be greater than zero, got [0]";
        conv(Conv { dilation: [1, 0].into(), ..two() }) => "conv2d: dilation must be greater than zero, got [1, 0]";
        conv(Conv { stride: [1, 1, 1].into(), ..two() }) => "conv2d: stride [1, 1, 1] does not have one number, or 2";
        conv(Conv { padding: PerDim::from(vec![]).into(), ..two() }) => "conv2d: padding [] does not have one number";
        conv(Conv { padding: ConvPadding::Same, stride: 2.into(), ..two() }) => "conv2d: padding `same` needs stride 1";
        zeros(&[2, 5]).conv1d(&zeros(&[3, 2, 3]), Some(&zeros(&[2])), &Conv::default()) =>
            "conv1d: the bias does not have one number for each of 3 output channels";
        zeros(&[2, 5]).conv1d(&Tensor::zeros([3, 2, 3], DType::F64), None, &Conv::default()) =>
            "conv1d: the input is f32, the weight f64";
        zeros(&[2, 5]).conv1d(&zeros(&[3, 2, 3]), Some(&Tensor::zeros([3], DType::I64)), &Conv::default()) =>
            "conv1d: the input is f32, the bias i64";
        Tensor::zeros([2, 5], DType::Bool).conv1d(&Tensor::zeros([3, 2, 3], DType::Bool), None, &Conv::default()) =>
            "conv1d: not defined for bool";
    }
}

#[test]
fn gradients() {
    let plain = Conv::default();
    let dy = || zeros(&[1, 3, 4]);
    panics! {
        Tensor::conv1d_input(&[1, 2, 5], &zeros(&[3, 2, 3]), &dy(), &plain) =>
            "conv1d_input: the gradient does not have the shape [1, 3, 3] of the convolution's result", "[1, 3, 4]";
        Tensor::conv2d_input(&[2, 5], &zeros(&[3, 2, 3, 3]), &dy(), &plain) => "conv2d_input: the input is 2-d";
        Tensor::conv1d_weight(&zeros(&[1, 2, 5]), &[3, 2, 3], &dy(), &plain) =>
            "conv1d_weight: the gradient does not have the shape [1, 3, 3] of the convolution's result";
        Tensor::conv2d_weight(&zeros(&[1, 2, 5, 5]), &[3, 2, 3], &dy(), &plain) => "conv2d_weight: the weight is 3-d";
        Tensor::conv1d_weight(&zeros(&[1, 2, 6]), &[3, 2, 3], &Tensor::zeros([1, 3, 4], DType::F64), &plain) =>
            "conv1d_weight: the input is f32, the dy f64";
        Tensor::conv1d_input(&[1, 2, 6], &Tensor::zeros([3, 2, 3], DType::F64), &dy(), &plain) =>
            "conv1d_input: the dy is f32, the weight f64";
    }
}

#[test]
fn transposed_convolutions() {
    let up = |options: ConvTranspose| zeros(&[1, 2, 5]).conv_transpose1d(&zeros(&[2, 3, 3]), None, &options);
    let plain = ConvTranspose::default;
    panics! {
        zeros(&[1, 2, 5]).conv_transpose1d(&zeros(&[3, 3, 3]), None, &plain()) =>
            "conv_transpose1d: the input has 2 channels, the weight takes 3", "[c, o / groups, k]";
        zeros(&[2, 5]).conv_transpose2d(&zeros(&[2, 3, 3, 3]), None, &plain()) => "conv_transpose2d: the input is 2-d";
        zeros(&[2, 5]).conv_transpose1d(&zeros(&[2, 3]), None, &plain()) => "conv_transpose1d: the weight is 2-d";
        zeros(&[2, 5]).conv_transpose1d(&zeros(&[2, 0, 3]), None, &plain()) => "0 output channels in each of 1 groups";
        up(ConvTranspose { groups: 0, ..plain() }) => "3 output channels in each of 0 groups";
        up(ConvTranspose { groups: 3, ..plain() }) => "2 output channels are not a positive multiple of 3 groups";
        up(ConvTranspose { padding: 6.into(), ..plain() }) => "conv_transpose1d: the result would have size -5";
        up(ConvTranspose { stride: 2.into(), output_padding: 2.into(), ..plain() }) =>
            "conv_transpose1d: output_padding [0, 2] is not below stride [1, 2] or dilation [1, 1]";
        up(ConvTranspose { stride: 0.into(), ..plain() }) => "conv_transpose1d: stride must be greater than zero";
        zeros(&[2, 5]).conv_transpose1d(&zeros(&[2, 3, 3]), Some(&zeros(&[2])), &plain()) =>
            "conv_transpose1d: the bias does not have one number for each of 3 output channels";
    }
}
