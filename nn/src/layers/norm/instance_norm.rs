//! Normalisation of each channel of each item by itself.

use autograd::Var;
use tensor::{BatchNorm, DType};

use super::channels::{affine, check_channels, check_dims, pair, repr, reset, running, set_pair};
use crate::layers::printed;
use crate::{Buffer, Forward, Module, Parameter, Training, functional};

/// Options of [`InstanceNorm1d`] and [`InstanceNorm2d`].
#[derive(Debug, Clone, Copy)]
pub struct InstanceNormOptions {
    /// Added to the variance (default: 1e-5, PyTorch's).
    pub eps: f64,
    /// The part of an input's statistics in the new running ones (default: 0.1).
    pub momentum: f64,
    /// Whether there is a weight, and a bias with it (default: false).
    pub affine: bool,
    /// Whether there is a bias; without `affine` there is none (default: true).
    pub bias: bool,
    /// Whether there are running statistics, by which evaluation normalises (default: false). Without them evaluation
    /// normalises as training does.
    pub track_running_stats: bool,
    /// The dtype of the parameters and the running statistics (default: f32).
    pub dtype: DType,
}

impl Default for InstanceNormOptions {
    fn default() -> InstanceNormOptions {
        InstanceNormOptions {
            eps: 1e-5,
            momentum: 0.1,
            affine: false,
            bias: true,
            track_running_stats: false,
            dtype: DType::F32,
        }
    }
}

/// `y = (x - mean) / √(var + eps) * weight + bias` with the mean and the biased variance of each channel of each item; in
/// evaluation with the running ones, if these are tracked.
///
/// In training the running statistics, if there are any, become `(1 - momentum) running + momentum m`, where `m` is the
/// mean over the batch of the items' means and of their variances, these by Bessel's correction. As in PyTorch,
/// `num_batches_tracked` stays 0.
///
/// # Shape
/// `[n, num_features, l] -> [n, num_features, l]`; without `n` likewise. Without weight and running statistics the number
/// of channels may be another.
///
/// # Panics
/// In the forward pass, when the shape does not fit, or when the statistics are those of one element or of none.
///
/// # Differs
/// PyTorch takes channels without elements. It warns when an input has another number of channels than a layer that does
/// not use the number. There is no momentum of `None`, which means 0 there.
///
/// # Source
/// Ulyanov, Vedaldi, Lempitsky, "Instance Normalization", 2016, equation 3.
///
/// ```
/// use nn::prelude::*;
///
/// let norm = InstanceNorm1d::new(1);
/// let y = norm.forward(&Var::new(Tensor::from([[[1f32, 3.0]], [[30.0, 10.0]]])));
/// assert!(y.value().allclose(&Tensor::from([[[-1f32, 1.0]], [[1.0, -1.0]]]), 1e-4, 0.0));
/// assert!(norm.state_dict().is_empty());
/// ```
#[derive(Debug, Module)]
#[module(repr = InstanceNorm1d::repr)]
pub struct InstanceNorm1d {
    /// `[num_features]`, starts at one.
    pub weight: Option<Parameter>,
    /// `[num_features]`, starts at zero.
    pub bias: Option<Parameter>,
    /// `[num_features]`, starts at zero.
    pub running_mean: Option<Buffer>,
    /// `[num_features]`, starts at one.
    pub running_var: Option<Buffer>,
    /// 0, i64.
    pub num_batches_tracked: Option<Buffer>,
    #[module(config)]
    num_features: usize,
    #[module(config)]
    options: InstanceNormOptions,
    training: Training,
}

impl InstanceNorm1d {
    /// A normalisation of this many channels, without parameters.
    pub fn new(num_features: usize) -> InstanceNorm1d {
        InstanceNorm1d::with(num_features, InstanceNormOptions::default())
    }

    /// A normalisation with options.
    pub fn with(num_features: usize, options: InstanceNormOptions) -> InstanceNorm1d {
        let (weight, bias) = affine(num_features, options.affine, options.bias, options.dtype);
        let [running_mean, running_var, num_batches_tracked] =
            running(num_features, options.track_running_stats, options.dtype);
        let training = Training::new();
        InstanceNorm1d { weight, bias, running_mean, running_var, num_batches_tracked, num_features, options, training }
    }

    /// The number of channels.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// Sets the running statistics back to their start.
    pub fn reset_running_stats(&self) {
        reset([&self.running_mean, &self.running_var, &self.num_batches_tracked]);
    }

    fn repr(&self) -> String {
        let InstanceNormOptions { eps, momentum, track_running_stats, .. } = self.options;
        repr(self.num_features, eps, printed::float(momentum), &self.weight, &self.bias, track_running_stats)
    }
}

impl Forward for InstanceNorm1d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        check_dims("InstanceNorm1d", input, &[2, 3], "[n, c, l] or [c, l]");
        let input_and_dims = (input, 1, "InstanceNorm1d");
        let parameters = (self.weight.as_deref(), self.bias.as_deref());
        let running = (&self.running_mean, &self.running_var);
        normalise(input_and_dims, parameters, running, self.num_features, self.training.get(), &self.options)
    }
}

/// [`InstanceNorm1d`] for images: `y = (x - mean) / √(var + eps) * weight + bias` per channel of an item.
///
/// # Shape
/// `[n, num_features, h, w] -> [n, num_features, h, w]`; without `n` likewise. Without weight and running statistics the
/// number of channels may be another.
///
/// # Panics
/// As [`InstanceNorm1d`].
///
/// # Differs
/// As [`InstanceNorm1d`].
///
/// ```
/// use nn::prelude::*;
///
/// let norm = InstanceNorm2d::with(3, InstanceNormOptions { affine: true, ..Default::default() });
/// let y = norm.forward(&Var::new(Tensor::randn([2, 3, 4, 4], DType::F32)));
/// assert!(y.value().mean_dim([2, 3], false).abs().max().item::<f32>() < 1e-6);
/// assert_eq!(
///     norm.to_string(),
///     "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=False)"
/// );
/// ```
#[derive(Debug, Module)]
#[module(repr = InstanceNorm2d::repr)]
pub struct InstanceNorm2d {
    /// `[num_features]`, starts at one.
    pub weight: Option<Parameter>,
    /// `[num_features]`, starts at zero.
    pub bias: Option<Parameter>,
    /// `[num_features]`, starts at zero.
    pub running_mean: Option<Buffer>,
    /// `[num_features]`, starts at one.
    pub running_var: Option<Buffer>,
    /// 0, i64.
    pub num_batches_tracked: Option<Buffer>,
    #[module(config)]
    num_features: usize,
    #[module(config)]
    options: InstanceNormOptions,
    training: Training,
}

impl InstanceNorm2d {
    /// A normalisation of this many channels, without parameters.
    pub fn new(num_features: usize) -> InstanceNorm2d {
        InstanceNorm2d::with(num_features, InstanceNormOptions::default())
    }

    /// A normalisation with options.
    pub fn with(num_features: usize, options: InstanceNormOptions) -> InstanceNorm2d {
        let (weight, bias) = affine(num_features, options.affine, options.bias, options.dtype);
        let [running_mean, running_var, num_batches_tracked] =
            running(num_features, options.track_running_stats, options.dtype);
        let training = Training::new();
        InstanceNorm2d { weight, bias, running_mean, running_var, num_batches_tracked, num_features, options, training }
    }

    /// The number of channels.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// Sets the running statistics back to their start.
    pub fn reset_running_stats(&self) {
        reset([&self.running_mean, &self.running_var, &self.num_batches_tracked]);
    }

    fn repr(&self) -> String {
        let InstanceNormOptions { eps, momentum, track_running_stats, .. } = self.options;
        repr(self.num_features, eps, printed::float(momentum), &self.weight, &self.bias, track_running_stats)
    }
}

impl Forward for InstanceNorm2d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        check_dims("InstanceNorm2d", input, &[3, 4], "[n, c, h, w] or [c, h, w]");
        let input_and_dims = (input, 2, "InstanceNorm2d");
        let parameters = (self.weight.as_deref(), self.bias.as_deref());
        let running = (&self.running_mean, &self.running_var);
        normalise(input_and_dims, parameters, running, self.num_features, self.training.get(), &self.options)
    }
}

/// The forward pass of both, for an input with so many spatial dimensions and maybe a batch dimension.
#[track_caller]
fn normalise(
    (input, spatial, layer): (&Var, usize, &str),
    (weight, bias): (Option<&Var>, Option<&Var>),
    (mean, var): (&Option<Buffer>, &Option<Buffer>),
    channels: usize,
    training: bool,
    options: &InstanceNormOptions,
) -> Var {
    let running = pair(mean, var);
    let batched = input.ndim() == spatial + 2;
    if weight.is_some() || running.is_some() {
        check_channels(layer, input, usize::from(batched), channels);
    }
    let settings = BatchNorm { training: training || running.is_none(), momentum: options.momentum, eps: options.eps };
    let old = running.as_ref().map(|(mean, var)| (mean, var));
    let x = if batched { input.clone() } else { input.unsqueeze(0) };
    let (output, new) = functional::instance_norm(&x, old, weight, bias, &settings);
    set_pair(mean, var, new);
    if batched { output } else { output.squeeze(0) }
}
