//! Random zeros: of elements, of channels, and in the form that keeps mean and variance.

use autograd::Var;
use tensor::{DType, SELU, Tensor};

/// [`Var::dropout`] in training, else the input; PyTorch's defaults are 0.5 and training.
///
/// # Panics
/// When `p` is not in `0..=1`.
#[track_caller]
pub fn dropout(input: &Var, p: f64, training: bool) -> Var {
    check("dropout", p);
    if training && p > 0.0 { input.dropout(p) } else { input.clone() }
}

/// In training `y = x m / (1 - p)` where `m` is 0 with probability `p`, else 1, drawn for each channel of each item.
///
/// # Shape
/// `[n, c, l]`, or `[c, l]` without a batch.
///
/// # Panics
/// When `p` is not in `0..=1`, or the input has other than two or three dimensions.
///
/// # Source
/// Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015, section 3.2.
///
/// ```
/// use nn::prelude::*;
///
/// let y = functional::dropout1d(&Var::new(Tensor::ones([4, 2], DType::F32)), 0.5, true).to_vec::<f32>();
/// assert!(y.chunks(2).all(|channel| channel == [0.0; 2] || channel == [2.0; 2]));
/// ```
#[track_caller]
pub fn dropout1d(input: &Var, p: f64, training: bool) -> Var {
    check("dropout1d", p);
    let dims = input.shape();
    let channels = match dims.len() {
        2 => vec![dims[0], 1],
        3 => vec![dims[0], dims[1], 1],
        _ => panic!(
            "dropout1d: neither a batch of sequences nor one\n  input {:?}   rule [n, c, l] or [c, l]",
            &dims[..]
        ),
    };
    scaled(input, channels, p, training)
}

/// In training `y = x m / (1 - p)` where `m` is 0 with probability `p`, else 1, drawn for each channel of each item.
///
/// # Shape
/// `[n, c, ..]`. As in PyTorch three dimensions are `[n, c, l]`, not an image without a batch.
///
/// # Panics
/// When `p` is not in `0..=1`, or the input has fewer than two dimensions.
///
/// # Source
/// Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015, section 3.2.
///
/// ```
/// use nn::prelude::*;
///
/// let y = functional::dropout2d(&Var::new(Tensor::ones([1, 4, 1, 2], DType::F32)), 0.5, true).to_vec::<f32>();
/// assert!(y.chunks(2).all(|channel| channel == [0.0; 2] || channel == [2.0; 2]));
/// ```
#[track_caller]
pub fn dropout2d(input: &Var, p: f64, training: bool) -> Var {
    check("dropout2d", p);
    scaled(input, channels("dropout2d", input), p, training)
}

/// In training `y = a (x m - α (1 - m)) + a α p`, where `m` is 0 with probability `p`, else 1, `α ≈ 1.7581` is how far
/// below zero [SELU](Var::selu) goes, and `a = ((1 - p) (1 + p α²))^(-1/2)`: the mean stays 0 and the variance 1.
///
/// # Gradient
/// `dx = dy m a`.
///
/// # Panics
/// When `p` is not in `0..=1`.
///
/// # Source
/// Klambauer et al., "Self-Normalizing Neural Networks", 2017, section "New Dropout Technique".
///
/// ```
/// use nn::prelude::*;
///
/// manual_seed(0);
/// let x = Var::new(Tensor::randn([10_000], DType::F64));
/// let y = functional::alpha_dropout(&x, 0.3, true).value();
/// assert!(y.mean().item::<f64>().abs() < 0.05 && (y.var().item::<f64>() - 1.0).abs() < 0.05);
/// ```
#[track_caller]
pub fn alpha_dropout(input: &Var, p: f64, training: bool) -> Var {
    check("alpha_dropout", p);
    kept_normal(input, input.shape().to_vec(), p, training)
}

/// [`alpha_dropout`] of whole channels.
///
/// # Shape
/// `[n, c, ..]`.
///
/// # Panics
/// When `p` is not in `0..=1`, or the input has fewer than two dimensions.
///
/// ```
/// use nn::prelude::*;
///
/// let y = functional::feature_alpha_dropout(&Var::new(Tensor::ones([2, 3, 4], DType::F64)), 0.5, true).value();
/// assert!(y.to_vec::<f64>().chunks(4).all(|channel| channel.iter().all(|y| *y == channel[0])));
/// ```
#[track_caller]
pub fn feature_alpha_dropout(input: &Var, p: f64, training: bool) -> Var {
    check("feature_alpha_dropout", p);
    kept_normal(input, channels("feature_alpha_dropout", input), p, training)
}

#[track_caller]
fn check(op: &str, p: f64) {
    assert!((0.0..=1.0).contains(&p), "{op}: the probability is not between 0 and 1, p = {p}");
}

/// The shape of a mask with one element for each channel of each item.
#[track_caller]
fn channels(op: &str, input: &Var) -> Vec<usize> {
    let dims = input.shape();
    assert!(dims.len() >= 2, "{op}: there are no channels\n  input {:?}   rule [n, c, ..]", &dims[..]);
    dims.iter().enumerate().map(|(d, &size)| if d < 2 { size } else { 1 }).collect()
}

/// Zeros with probability `p`, else ones.
fn mask(input: &Var, shape: Vec<usize>, p: f64) -> Var {
    Var::new(Tensor::full(shape, 1.0 - p, DType::F64).bernoulli_each().to_dtype(input.dtype()))
}

fn scaled(input: &Var, shape: Vec<usize>, p: f64, training: bool) -> Var {
    if !training || p == 0.0 {
        return input.clone();
    }
    let scale = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
    input * (mask(input, shape, p) * scale)
}

fn kept_normal(input: &Var, shape: Vec<usize>, p: f64, training: bool) -> Var {
    if !training || p == 0.0 {
        return input.clone();
    }
    let kept = mask(input, shape, p);
    if p == 1.0 {
        return input * kept;
    }
    let alpha = SELU.0 * SELU.1;
    let a = ((1.0 - p) * (1.0 + p * alpha * alpha)).powf(-0.5);
    input * (&kept * a) + (kept - (1.0 - p)) * (alpha * a)
}
