//! Activations as functions.

use autograd::Var;
use tensor::Tensor;

use crate::Approximate;

/// [`Var::relu`].
pub fn relu(input: &Var) -> Var {
    input.relu()
}

/// [`Var::relu6`].
pub fn relu6(input: &Var) -> Var {
    input.relu6()
}

/// [`Var::leaky_relu`]; PyTorch's default slope is 0.01.
pub fn leaky_relu(input: &Var, negative_slope: f64) -> Var {
    input.leaky_relu(negative_slope)
}

/// [`Var::prelu`].
#[track_caller]
pub fn prelu(input: &Var, weight: &Var) -> Var {
    input.prelu(weight)
}

/// [`Var::elu`]; PyTorch's default `alpha` is 1.
pub fn elu(input: &Var, alpha: f64) -> Var {
    input.elu(alpha)
}

/// [`Var::celu`]; PyTorch's default `alpha` is 1.
#[track_caller]
pub fn celu(input: &Var, alpha: f64) -> Var {
    input.celu(alpha)
}

/// [`Var::selu`].
pub fn selu(input: &Var) -> Var {
    input.selu()
}

/// [`Var::gelu`], or [`Var::gelu_tanh`].
pub fn gelu(input: &Var, approximate: Approximate) -> Var {
    match approximate {
        Approximate::None => input.gelu(),
        Approximate::Tanh => input.gelu_tanh(),
    }
}

/// [`Var::silu`].
pub fn silu(input: &Var) -> Var {
    input.silu()
}

/// [`Var::mish`].
pub fn mish(input: &Var) -> Var {
    input.mish()
}

/// [`Var::softplus`]; PyTorch's defaults are `beta` 1 and `threshold` 20.
pub fn softplus(input: &Var, beta: f64, threshold: f64) -> Var {
    input.softplus(beta, threshold)
}

/// [`Var::softsign`].
pub fn softsign(input: &Var) -> Var {
    input.softsign()
}

/// [`Var::hardtanh`]; PyTorch's default bounds are -1 and 1.
#[track_caller]
pub fn hardtanh(input: &Var, min_val: f64, max_val: f64) -> Var {
    input.hardtanh(min_val, max_val)
}

/// [`Var::hardswish`].
pub fn hardswish(input: &Var) -> Var {
    input.hardswish()
}

/// [`Var::hardsigmoid`].
pub fn hardsigmoid(input: &Var) -> Var {
    input.hardsigmoid()
}

/// [`Var::sigmoid`].
pub fn sigmoid(input: &Var) -> Var {
    input.sigmoid()
}

/// [`Var::logsigmoid`].
pub fn logsigmoid(input: &Var) -> Var {
    input.logsigmoid()
}

/// [`Var::tanh`].
pub fn tanh(input: &Var) -> Var {
    input.tanh()
}

/// [`Var::tanhshrink`].
pub fn tanhshrink(input: &Var) -> Var {
    input.tanhshrink()
}

/// [`Var::softshrink`]; PyTorch's default `lambd` is 0.5.
#[track_caller]
pub fn softshrink(input: &Var, lambd: f64) -> Var {
    input.softshrink(lambd)
}

/// [`Var::hardshrink`]; PyTorch's default `lambd` is 0.5.
pub fn hardshrink(input: &Var, lambd: f64) -> Var {
    input.hardshrink(lambd)
}

/// [`Var::threshold`].
pub fn threshold(input: &Var, threshold: f64, value: f64) -> Var {
    input.threshold(threshold, value)
}

/// [`Var::glu`]; PyTorch's default dimension is -1.
#[track_caller]
pub fn glu(input: &Var, dim: isize) -> Var {
    input.glu(dim)
}

/// [`Var::softmax`].
#[track_caller]
pub fn softmax(input: &Var, dim: isize) -> Var {
    input.softmax(dim)
}

/// [`Var::log_softmax`].
#[track_caller]
pub fn log_softmax(input: &Var, dim: isize) -> Var {
    input.log_softmax(dim)
}

/// `exp(-x) / sum(exp(-x))` along `dim`: [`Var::softmax`] of `-x`.
///
/// ```
/// use nn::prelude::*;
///
/// let y = functional::softmin(&Var::new(Tensor::from([1f64, 1.0])), 0);
/// assert_eq!(y.to_vec::<f64>(), [0.5, 0.5]);
/// ```
#[track_caller]
pub fn softmin(input: &Var, dim: isize) -> Var {
    input.neg().softmax(dim)
}

/// `softmax((x + g) / tau)` along `dim` with `g` from the Gumbel distribution: a smooth sample of the class that the logits
/// `x` give the probabilities of. PyTorch's defaults are `tau` 1 and a soft sample.
///
/// A `hard` sample is one-hot: 1 at the largest element.
///
/// # Gradient
/// That of the softmax, for a hard sample as well.
///
/// # Panics
/// When there is no dimension `dim`.
///
/// # Source
/// Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017, equation 2.
///
/// ```
/// use nn::prelude::*;
///
/// let logits = Var::new(Tensor::from([[0f64, 1.0, 2.0]]));
/// let sample = functional::gumbel_softmax(&logits, 1.0, true, -1).to_vec::<f64>();
/// assert_eq!(sample.iter().filter(|&&y| y == 1.0).count(), 1);
/// ```
#[track_caller]
pub fn gumbel_softmax(logits: &Var, tau: f64, hard: bool, dim: isize) -> Var {
    // Zero has no logarithm; 1 - u is never zero.
    let uniform = Tensor::uniform(0.0, 1.0, logits.shape(), logits.dtype());
    let gumbel = uniform.neg().add_scalar(1.0).log().neg().log().neg();
    let soft = ((logits + Var::new(gumbel)) / tau).softmax(dim);
    if !hard {
        return soft;
    }
    let largest = soft.argmax(dim, true);
    let one_hot = soft.value().zeros_like().scatter_value(dim, &largest, 1.0);
    // One-hot in value, soft in gradient.
    Var::new(one_hot) + (&soft - soft.detach())
}
