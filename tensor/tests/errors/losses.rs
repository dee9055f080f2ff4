//! Mistakes with losses and activations.

use tensor::{CrossEntropy, DType, PairLoss, Reduction, Tensor};

#[test]
fn losses() {
    let m = |shape: &[usize]| Tensor::full(shape, 0.5, DType::F32);
    let ids = |v: i64| Tensor::from([v]);
    let options = CrossEntropy::default;
    let (none, mean) = (Reduction::None, Reduction::Mean);
    panics! {
        m(&[2, 3]).mse_loss(&m(&[2, 4]), mean) => "mse_loss: cannot broadcast, 3 != 4";
        m(&[2]).l1_loss(&m(&[2]), Reduction::BatchMean) => "l1_loss: BatchMean is a reduction of kl_div only";
        m(&[2]).smooth_l1_loss(&m(&[2]), mean, -1.0) => "smooth_l1_loss: beta must not be negative, got -1";
        m(&[2]).huber_loss(&m(&[2]), mean, 0.0) => "huber_loss: delta must be positive, got 0";
        m(&[2]).binary_cross_entropy(&m(&[1]), None, mean) => "binary_cross_entropy: the shapes differ", "input [2]", "target [1]";
        (m(&[2]) * 4.0).binary_cross_entropy(&m(&[2]), None, mean) => "binary_cross_entropy: 2 of the inputs are not in [0, 1]";
        m(&[2]).binary_cross_entropy(&m(&[2]), Some(&m(&[3])), mean) => "expand";
        m(&[2]).binary_cross_entropy_with_logits(&m(&[3]), None, None, mean) => "binary_cross_entropy_with_logits: the shapes differ";
        m(&[2]).binary_cross_entropy_with_logits(&m(&[2]), None, Some(&m(&[3])), mean) => "expand";
        m(&[2]).binary_cross_entropy(&m(&[2]), Some(&m(&[2])), Reduction::BatchMean) => "BatchMean is a reduction of kl_div only";
        m(&[2]).kl_div(&m(&[3]), mean, false) => "kl_div: cannot broadcast";
        Tensor::pair_loss_backward(&m(&[3]), &m(&[2]), &m(&[2]), PairLoss::Mse, none, [true; 2]) => "mse_loss: the gradient does not have the shape of the loss";
        m(&[2, 3]).nll_loss(&ids(0), None, -100, mean) => "nll_loss: logits and targets do not fit", "logits [2, 3]", "target [1]";
        m(&[1, 3]).nll_loss(&ids(3), None, -100, mean) => "nll_loss: target 3 of row 0 is no class, must be in 0..3";
        m(&[1, 3]).nll_loss(&ids(0), Some(&m(&[2])), -100, mean) => "nll_loss: needs one weight for each of 3 classes";
        m(&[1, 3]).nll_loss(&m(&[1]), None, -100, mean) => "nll_loss: needs targets of i64, got f32";
        m(&[1, 3]).nll_loss(&ids(0), None, -100, Reduction::BatchMean) => "nll_loss: BatchMean";
        Tensor::nll_loss_backward(&m(&[2]), &[1, 3], &ids(0), None, -100, mean) => "nll_loss_backward: the gradient does not have the shape";
        m(&[1, 3]).cross_entropy(&ids(0), &CrossEntropy { reduction: Reduction::BatchMean, ..options() }) => "cross_entropy: BatchMean";
        m(&[1, 3]).cross_entropy(&ids(0), &CrossEntropy { label_smoothing: 1.5, ..options() }) => "label_smoothing 1.5 is not in 0..=1";
        m(&[1, 3]).cross_entropy_probs(&m(&[3]), &options()) => "cross_entropy: logits and probabilities differ in shape";
        m(&[1, 3]).cross_entropy_probs(&m(&[1, 3]), &CrossEntropy { ignore_index: 1, ..options() }) => "ignore_index 1 has no meaning for probabilities";
        m(&[1, 3]).cross_entropy_probs(&m(&[1, 3]), &CrossEntropy { weight: Some(m(&[2])), ..options() }) => "one weight for each of 3 classes";
    }
}

#[test]
fn activations() {
    let m = |shape: &[usize]| Tensor::full(shape, 0.5, DType::F32);
    panics! {
        m(&[3]).hardtanh(1.0, -1.0) => "hardtanh: min_val 1 is above max_val -1";
        m(&[3]).softshrink(-1.0) => "softshrink: lambd is a distance, got -1";
        m(&[3]).celu(0.0) => "celu: alpha must not be 0";
        m(&[3]).glu(0) => "glu: dimension 0 of odd size 3 has no halves";
        m(&[2]).glu(1) => "glu: dimension 1 is out of range";
        m(&[2, 3]).prelu(&m(&[2])) => "prelu: the weight is neither one number nor one per channel", "input [2, 3]", "weight [2]";
        m(&[2, 3]).prelu(&m(&[1]).to_dtype(DType::F64)) => "prelu: the input is f32, the weight f64";
        Tensor::from([true]).threshold(0.0, 1.0) => "threshold: not defined for bool";
        Tensor::from([true]).relu6() => "clamp: not defined for bool";
        Tensor::elu_backward(&m(&[2]), &m(&[3]), 1.0) => "elu_backward: input and gradient differ in shape or dtype";
        Tensor::leaky_relu_backward(&m(&[2]), &m(&[3]), 1.0) => "leaky_relu_backward: input and gradient differ";
    }
}
