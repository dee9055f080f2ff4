//! Mistakes with normalisations.

use tensor::{BatchNorm, DType, Tensor};

#[test]
fn norms() {
    let m = |shape: &[usize]| Tensor::full(shape, 0.5, DType::F32);
    let options = BatchNorm::default;
    let training = BatchNorm { training: true, ..options() };
    panics! {
        m(&[2, 3]).layer_norm(3, None, None, 1e-5) => "layer_norm: cannot normalise over 3 dimensions", "input [2, 3]";
        m(&[2, 3]).layer_norm(1, Some(&m(&[2])), None, 1e-5) => "layer_norm: the weight does not have the shape of the last 1 dimensions";
        m(&[2, 3]).layer_norm(1, None, Some(&m(&[3]).to_dtype(DType::F64)), 1e-5) => "layer_norm: the input is f32, the bias f64";
        m(&[2, 3]).rms_norm(0, None, None) => "rms_norm: cannot normalise over 0 dimensions";
        m(&[2, 3]).rms_norm(1, Some(&m(&[2])), None) => "rms_norm: the weight does not have the shape";
        m(&[2, 3]).to_dtype(DType::I64).rms_norm(1, None, None) => "rms_norm: needs a floating-point tensor, got i64";
        Tensor::rms_norm_backward(&m(&[2]), &m(&[2, 3]), &m(&[2]), 1, None, [true; 2]) => "rms_norm_backward: the gradient or what was saved does not fit";
        m(&[2]).group_norm(1, None, None, 1e-5) => "group_norm: there are no channels", "input [2]";
        m(&[2, 3]).group_norm(2, None, None, 1e-5) => "group_norm: 3 channels do not make 2 groups";
        m(&[2, 3, 0]).group_norm(1, None, None, 1e-5) => "group_norm: channels have no elements";
        m(&[1, 3]).group_norm(3, None, None, 1e-5) => "group_norm: a group is a single element";
        m(&[2, 4]).group_norm(2, Some(&m(&[2])), None, 1e-5) => "group_norm: the weight does not have one number for each of 4 channels";
        m(&[2, 4]).to_dtype(DType::I64).group_norm(2, None, None, 1e-5) => "group_norm: needs a floating-point tensor, got i64";
        Tensor::group_norm_backward(&m(&[2]), &m(&[2, 4]), &m(&[2, 2]), &m(&[2, 2]), 2, None, [true; 3]) => "group_norm_backward: the gradient or what was saved does not fit";
        m(&[2, 4]).batch_norm(None, None, None, &options()) => "batch_norm: running statistics are needed when not training";
        m(&[1, 4]).batch_norm(None, None, None, &training) => "batch_norm: training needs more than one element per channel", "input [1, 4]";
        m(&[2, 4]).batch_norm(Some((&m(&[4]), &m(&[3]))), None, None, &training) => "batch_norm: the running variance does not have one number for each of 4 channels";
        m(&[2, 4]).batch_norm(None, Some(&m(&[4]).to_dtype(DType::F64)), None, &training) => "batch_norm: the input is f32, the weight f64";
        Tensor::batch_norm_backward(&m(&[2]), &m(&[2, 4]), &m(&[4]), &m(&[4]), None, true, [true; 3]) => "batch_norm_backward: the gradient does not fit the input";
    }
}
