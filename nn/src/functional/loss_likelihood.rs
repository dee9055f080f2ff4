//! Negative log-likelihoods of distributions over numbers.

use std::f64::consts::PI;

use autograd::Var;

use super::loss::{check_broadcast, reduced};
use crate::{GaussianNLLLossOptions, PoissonNLLLossOptions};

/// `e^x - t x` for the logarithm `x` of a Poisson rate, or `x - t log(x + eps)` for the rate itself (`log_input` false),
/// then the reduction. With `full`, Stirling's `t log t - t + log(2 π t) / 2` is added where `t > 1`: an approximation of
/// the constant `log t!`.
///
/// # Shape
/// Input and target broadcast.
///
/// # Gradient
/// `dx = dy (e^x - t)` or `dy (1 - t / (x + eps))`, `dt = -dy x` or `-dy log(x + eps)`, with `full` plus
/// `dy (log t + 1 / (2 t))` where `t > 1`.
///
/// # Panics
/// When the shapes do not broadcast, or for the reduction `BatchMean`.
///
/// # Differs
/// With `full` the gradient to a target of 0 is finite; PyTorch has NaN.
///
/// ```
/// use nn::prelude::*;
///
/// let (x, t) = (Var::new(Tensor::from([0f64, 2f64.ln()])), Var::new(Tensor::from([1f64, 2.0])));
/// let loss = functional::poisson_nll_loss(&x, &t, PoissonNLLLossOptions::default());
/// assert!((loss.item::<f64>() - (1.0 + 2.0 - 2.0 * 2f64.ln()) / 2.0).abs() < 1e-12);
/// ```
#[track_caller]
pub fn poisson_nll_loss(input: &Var, target: &Var, options: PoissonNLLLossOptions) -> Var {
    let PoissonNLLLossOptions { log_input, full, eps, reduction } = options;
    check_broadcast("poisson_nll_loss", &input.shape(), &target.shape());
    let mut losses = if log_input { input.exp() - target * input } else { input - target * (input + eps).log() };
    if full {
        let few = target.value().le_scalar(1.0);
        // Filled in before the logarithm, whose slope at 0 would make the zero that is masked a NaN.
        let many = target.masked_fill(&few, 1.0);
        let stirling = &many * many.log() - &many + (&many * (2.0 * PI)).log() * 0.5;
        losses = losses + stirling.masked_fill(&few, 0.0);
    }
    reduced("poisson_nll_loss", losses, reduction)
}

/// `(log v + (x - t)² / v) / 2` for the mean `x` and the variance `v` of a normal distribution, then the reduction. `v` is
/// at least `eps`; with `full`, the constant `log(2 π) / 2` is added.
///
/// # Shape
/// Input and target broadcast; the variance has the shape of the input, or that shape with one dimension of size 1, or
/// that shape without its last dimension.
///
/// # Gradient
/// `dx = dy (x - t) / v`, `dt = -dx`, `dv = dy (1 / v - (x - t)² / v²) / 2`. Where `v` was below `eps` its gradient is that
/// at `eps`, as in PyTorch.
///
/// # Panics
/// When the shapes do not fit, a variance is negative, or for the reduction `BatchMean`.
///
/// # Differs
/// PyTorch also takes a number for the variance; here it is `Tensor::full(shape, ..)`.
///
/// # Source
/// Nix and Weigend, "Estimating the Mean and Variance of the Target Probability Distribution", 1994, equation 2.
///
/// ```
/// use nn::prelude::*;
///
/// let [x, t, v] = [[1f64, 2.0], [1.0, 4.0], [1.0, 4.0]].map(|values| Var::new(Tensor::from(values)));
/// let loss = functional::gaussian_nll_loss(&x, &t, &v, GaussianNLLLossOptions::default());
/// assert!((loss.item::<f64>() - (4f64.ln() + 1.0) / 4.0).abs() < 1e-12);
/// ```
#[track_caller]
pub fn gaussian_nll_loss(input: &Var, target: &Var, var: &Var, options: GaussianNLLLossOptions) -> Var {
    let GaussianNLLLossOptions { full, eps, reduction } = options;
    check_broadcast("gaussian_nll_loss", &input.shape(), &target.shape());
    let (shape, own) = (input.shape(), var.shape());
    let narrow = |sizes: &[usize]| {
        let differing: Vec<usize> = sizes.iter().zip(shape.iter()).filter(|(a, b)| a != b).map(|(a, _)| *a).collect();
        sizes.len() == shape.len() && differing == [1]
    };
    let var = match &*own {
        sizes if sizes == &*shape || narrow(sizes) => var.clone(),
        sizes if !shape.is_empty() && sizes == &shape[..shape.len() - 1] => var.unsqueeze(-1),
        _ => panic!(
            "gaussian_nll_loss: the variance does not fit\n  input {shape}   var {own}   \
             rule [.., d], [.., 1] or [..], one size of 1 at most"
        ),
    };
    let value = var.value();
    assert!(!value.lt_scalar(0.0).any().item::<bool>(), "gaussian_nll_loss: a variance is negative\n  var {value}");
    // The limit is added as a constant, so that the gradient passes.
    let var = &var + Var::new(value.clamp(Some(eps), None) - &value);
    let mut losses = (var.log() + (input - target).square() / &var) * 0.5;
    if full {
        losses = losses + 0.5 * (2.0 * PI).ln();
    }
    reduced("gaussian_nll_loss", losses, reduction)
}
