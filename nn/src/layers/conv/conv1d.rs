//! Convolution in one spatial dimension.

use autograd::Var;
use tensor::PerDim;

use super::settings::{ConvOptions, Settings};
use crate::utils::Weighted;
use crate::{Forward, Module, Parameter};

/// `y[o, i] = bias[o] + Σ weight[o, c, t] x[c, i stride + t dilation - padding]` over the channels `c` of the group and the
/// places `t` of the kernel: [`Var::conv1d`] with a weight of its own.
///
/// Weight and bias start uniform on ±1/√(in_channels / groups · kernel_size), as in PyTorch.
///
/// # Shape
/// `[n, in_channels, l]` or `[in_channels, l] -> [n, out_channels, (l + 2 padding - dilation (kernel_size - 1) - 1) /
/// stride + 1]` (rounded down) or without `n`.
///
/// # Panics
/// In the forward pass, when the channels do not fit, the kernel is larger than the padded input, or the padding asks a
/// border for more than it has (reflect: less than the size; circular: at most the size).
///
/// ```
/// use nn::prelude::*;
///
/// let layer = Conv1d::new(4, 8, 3);
/// assert_eq!(layer.forward(&Var::new(Tensor::ones([2, 4, 10], DType::F32))).value().dims(), [2, 8, 8]);
/// assert_eq!(layer.weight.shape(), [8, 4, 3]);
/// assert_eq!(layer.to_string(), "Conv1d(4, 8, kernel_size=(3,), stride=(1,))");
/// ```
#[derive(Debug, Module)]
#[module(repr = Conv1d::repr)]
pub struct Conv1d {
    /// `[out_channels, in_channels / groups, kernel_size]`.
    pub weight: Parameter,
    /// `[out_channels]`.
    pub bias: Option<Parameter>,
    #[module(config)]
    settings: Settings,
}

impl Conv1d {
    /// A convolution with bias, stride 1 and no padding.
    ///
    /// # Panics
    /// When the kernel's size is more than one number.
    #[track_caller]
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: impl Into<PerDim>) -> Conv1d {
        Conv1d::with(in_channels, out_channels, kernel_size, ConvOptions::default())
    }

    /// A convolution with options.
    ///
    /// # Panics
    /// When the kernel's size or an option is more than one number, the groups do not divide the channels, or the padding
    /// is `Same` and the stride not 1.
    #[track_caller]
    pub fn with(
        in_channels: usize,
        out_channels: usize,
        kernel_size: impl Into<PerDim>,
        options: ConvOptions,
    ) -> Conv1d {
        let channels = [in_channels, out_channels];
        let (settings, weight, bias) = Settings::new("Conv1d", 1, channels, kernel_size.into(), options);
        Conv1d { weight, bias, settings }
    }

    /// The number of channels of the input.
    pub fn in_channels(&self) -> usize {
        self.settings.in_channels
    }

    /// The number of channels of the output.
    pub fn out_channels(&self) -> usize {
        self.settings.out_channels
    }

    /// The size of the kernel.
    pub fn kernel_size(&self) -> &[usize] {
        &self.settings.kernel_size
    }

    fn repr(&self) -> String {
        self.settings.repr(self.bias.is_some())
    }
}

impl Forward for Conv1d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.forward_with_weight(&self.weight, input)
    }
}

impl Weighted for Conv1d {
    const PARAMETRIZED: &'static str = "ParametrizedConv1d";

    fn weight(&self) -> &Parameter {
        &self.weight
    }

    #[track_caller]
    fn forward_with_weight(&self, weight: &Var, input: &Var) -> Var {
        let (x, options) = self.settings.prepare(input);
        x.conv1d(weight, self.bias.as_deref(), &options)
    }
}
