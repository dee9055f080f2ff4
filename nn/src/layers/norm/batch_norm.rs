//! Normalisation by the statistics of a batch.

use autograd::Var;
use tensor::{BatchNorm, DType, Tensor};

use super::channels::{affine, check_dims, pair, repr, reset, running, set_pair};
use crate::layers::printed;
use crate::{Buffer, Forward, Module, Parameter, Training, functional};

/// Options of [`BatchNorm1d`] and [`BatchNorm2d`].
#[derive(Debug, Clone, Copy)]
pub struct BatchNormOptions {
    /// Added to the variance (default: 1e-5, PyTorch's).
    pub eps: f64,
    /// The part of a batch's statistics in the new running ones (default: 0.1); `None` makes the running statistics the
    /// mean of those of all batches.
    pub momentum: Option<f64>,
    /// Whether there is a weight, and a bias with it (default: true).
    pub affine: bool,
    /// Whether there is a bias; without `affine` there is none (default: true).
    pub bias: bool,
    /// Whether there are running statistics, by which evaluation normalises (default: true). Without them evaluation
    /// normalises by the batch, as training does.
    pub track_running_stats: bool,
    /// The dtype of the parameters and the running statistics (default: f32).
    pub dtype: DType,
}

impl Default for BatchNormOptions {
    fn default() -> BatchNormOptions {
        BatchNormOptions {
            eps: 1e-5,
            momentum: Some(0.1),
            affine: true,
            bias: true,
            track_running_stats: true,
            dtype: DType::F32,
        }
    }
}

/// `y = (x - mean) / √(var + eps) * weight + bias` per feature: in training with the mean and the biased variance of the
/// batch, in evaluation with the running ones.
///
/// A forward pass in training, with gradients or without, changes the running statistics: `running = (1 - momentum)
/// running + momentum batch`, the variance by Bessel's correction, and counts the batch. The weight starts at one, the
/// bias and the running mean at zero, the running variance at one.
///
/// # Shape
/// `[n, num_features]` or `[n, num_features, l]`, the same `->`.
///
/// # Panics
/// In the forward pass, when the shape does not fit, when training (or without running statistics) with one value per
/// feature, or when `eps` is negative, or zero in training.
///
/// # Source
/// Ioffe, Szegedy, "Batch Normalization", 2015, algorithms 1 and 2.
///
/// ```
/// use nn::prelude::*;
///
/// let norm = BatchNorm1d::new(1);
/// let x = Var::new(Tensor::from([[1f32], [3.0]]));
/// assert!(norm.forward(&x).value().allclose(&Tensor::from([[-1f32], [1.0]]), 1e-4, 0.0));
/// assert!((norm.running_mean.as_ref().unwrap().value().item::<f32>() - 0.2).abs() < 1e-6);
/// let keys: Vec<String> = norm.state_dict().into_keys().collect();
/// assert_eq!(keys, ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]);
///
/// norm.eval(); // (1 - 0.2) / √1.1, (3 - 0.2) / √1.1
/// assert!(norm.forward(&x).value().allclose(&Tensor::from([[0.762_77f32], [2.669_7]]), 1e-4, 0.0));
/// ```
#[derive(Debug, Module)]
#[module(repr = BatchNorm1d::repr)]
pub struct BatchNorm1d {
    /// `[num_features]`, starts at one.
    pub weight: Option<Parameter>,
    /// `[num_features]`, starts at zero.
    pub bias: Option<Parameter>,
    /// `[num_features]`, starts at zero.
    pub running_mean: Option<Buffer>,
    /// `[num_features]`, starts at one.
    pub running_var: Option<Buffer>,
    /// How many batches training has seen, i64.
    pub num_batches_tracked: Option<Buffer>,
    #[module(config)]
    num_features: usize,
    #[module(config)]
    options: BatchNormOptions,
    training: Training,
}

impl BatchNorm1d {
    /// A normalisation of this many features.
    pub fn new(num_features: usize) -> BatchNorm1d {
        BatchNorm1d::with(num_features, BatchNormOptions::default())
    }

    /// A normalisation with options.
    pub fn with(num_features: usize, options: BatchNormOptions) -> BatchNorm1d {
        let (weight, bias) = affine(num_features, options.affine, options.bias, options.dtype);
        let [running_mean, running_var, num_batches_tracked] =
            running(num_features, options.track_running_stats, options.dtype);
        let training = Training::new();
        BatchNorm1d { weight, bias, running_mean, running_var, num_batches_tracked, num_features, options, training }
    }

    /// The number of features.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// Sets the running statistics and the count of batches back to their start.
    pub fn reset_running_stats(&self) {
        reset([&self.running_mean, &self.running_var, &self.num_batches_tracked]);
    }

    fn repr(&self) -> String {
        let BatchNormOptions { eps, momentum, track_running_stats, .. } = self.options;
        let momentum = momentum.map_or("None".into(), printed::float);
        repr(self.num_features, eps, momentum, &self.weight, &self.bias, track_running_stats)
    }
}

impl Forward for BatchNorm1d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        check_dims("BatchNorm1d", input, &[2, 3], "[n, c] or [n, c, l]");
        let parameters = (self.weight.as_deref(), self.bias.as_deref());
        let buffers = [&self.running_mean, &self.running_var, &self.num_batches_tracked];
        normalise(input, parameters, buffers, self.training.get(), &self.options)
    }
}

/// [`BatchNorm1d`] for images: `y = (x - mean) / √(var + eps) * weight + bias` per channel.
///
/// # Shape
/// `[n, num_features, h, w] -> [n, num_features, h, w]`.
///
/// # Panics
/// As [`BatchNorm1d`].
///
/// ```
/// use nn::prelude::*;
///
/// let block = sequential![Conv2d::new(3, 8, 3), BatchNorm2d::new(8), ReLU::new()];
/// let y = block.forward(&Var::new(Tensor::randn([2, 3, 6, 6], DType::F32)));
/// assert_eq!(y.value().dims(), [2, 8, 4, 4]);
/// assert_eq!(block.state_dict()["1.num_batches_tracked"].item::<i64>(), 1);
/// assert_eq!(
///     BatchNorm2d::new(8).to_string(),
///     "BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"
/// );
/// ```
#[derive(Debug, Module)]
#[module(repr = BatchNorm2d::repr)]
pub struct BatchNorm2d {
    /// `[num_features]`, starts at one.
    pub weight: Option<Parameter>,
    /// `[num_features]`, starts at zero.
    pub bias: Option<Parameter>,
    /// `[num_features]`, starts at zero.
    pub running_mean: Option<Buffer>,
    /// `[num_features]`, starts at one.
    pub running_var: Option<Buffer>,
    /// How many batches training has seen, i64.
    pub num_batches_tracked: Option<Buffer>,
    #[module(config)]
    num_features: usize,
    #[module(config)]
    options: BatchNormOptions,
    training: Training,
}

impl BatchNorm2d {
    /// A normalisation of this many channels.
    pub fn new(num_features: usize) -> BatchNorm2d {
        BatchNorm2d::with(num_features, BatchNormOptions::default())
    }

    /// A normalisation with options.
    pub fn with(num_features: usize, options: BatchNormOptions) -> BatchNorm2d {
        let (weight, bias) = affine(num_features, options.affine, options.bias, options.dtype);
        let [running_mean, running_var, num_batches_tracked] =
            running(num_features, options.track_running_stats, options.dtype);
        let training = Training::new();
        BatchNorm2d { weight, bias, running_mean, running_var, num_batches_tracked, num_features, options, training }
    }

    /// The number of channels.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// Sets the running statistics and the count of batches back to their start.
    pub fn reset_running_stats(&self) {
        reset([&self.running_mean, &self.running_var, &self.num_batches_tracked]);
    }

    fn repr(&self) -> String {
        let BatchNormOptions { eps, momentum, track_running_stats, .. } = self.options;
        let momentum = momentum.map_or("None".into(), printed::float);
        repr(self.num_features, eps, momentum, &self.weight, &self.bias, track_running_stats)
    }
}

impl Forward for BatchNorm2d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        check_dims("BatchNorm2d", input, &[4], "[n, c, h, w]");
        let parameters = (self.weight.as_deref(), self.bias.as_deref());
        let buffers = [&self.running_mean, &self.running_var, &self.num_batches_tracked];
        normalise(input, parameters, buffers, self.training.get(), &self.options)
    }
}

/// The forward pass of both: normalises, and in training changes the running mean, the running variance and the count.
#[track_caller]
fn normalise(
    input: &Var,
    (weight, bias): (Option<&Var>, Option<&Var>),
    [mean, var, batches]: [&Option<Buffer>; 3],
    training: bool,
    options: &BatchNormOptions,
) -> Var {
    let running = pair(mean, var);
    let seen = batches.as_ref().map_or(0, |batches| batches.value().item::<i64>()) + i64::from(training);
    let momentum = options.momentum.unwrap_or_else(|| 1.0 / seen.max(1) as f64);
    let settings = BatchNorm { training: training || running.is_none(), momentum, eps: options.eps };
    let old = running.as_ref().map(|(mean, var)| (mean, var));
    let (output, new) = functional::batch_norm(input, old, weight, bias, &settings);
    if let (true, Some(batches)) = (training, batches) {
        batches.set(Tensor::scalar(seen));
    }
    set_pair(mean, var, new);
    output
}
