//! Convolution in two spatial dimensions.

use autograd::Var;
use tensor::PerDim;

use super::settings::{ConvOptions, Settings};
use crate::utils::Weighted;
use crate::{Forward, Module, Parameter};

/// `y[o, i] = bias[o] + Σ weight[o, c, t] x[c, i stride + t dilation - padding]` over the channels `c` of the group and the
/// places `t` of the kernel, `i` and `t` being pairs: [`Var::conv2d`] with a weight of its own.
///
/// Weight and bias start uniform on ±1/√(in_channels / groups · kernel_size²), as in PyTorch.
///
/// # Shape
/// `[n, in_channels, h, w]` or `[in_channels, h, w] -> [n, out_channels, .., ..]` or without `n`, each size as in
/// [`Conv1d`](crate::Conv1d).
///
/// # Panics
/// In the forward pass, when the channels do not fit, the kernel is larger than the padded input, or the padding asks a
/// border for more than it has (reflect: less than the size; circular: at most the size).
///
/// ```
/// use nn::prelude::*;
///
/// let layer = Conv2d::new(3, 8, 3);
/// assert_eq!(layer.forward(&Var::new(Tensor::ones([2, 3, 10, 12], DType::F32))).value().dims(), [2, 8, 8, 10]);
///
/// let depthwise = ConvOptions { groups: 4, padding: ConvPadding::Same, bias: false, ..Default::default() };
/// let layer = Conv2d::with(4, 8, [3, 5], depthwise);
/// assert_eq!(layer.weight.shape(), [8, 1, 3, 5]);
/// assert_eq!(
///     layer.to_string(),
///     "Conv2d(4, 8, kernel_size=(3, 5), stride=(1, 1), padding=same, groups=4, bias=False)"
/// );
/// ```
#[derive(Debug, Module)]
#[module(repr = Conv2d::repr)]
pub struct Conv2d {
    /// `[out_channels, in_channels / groups, kernel_size..]`.
    pub weight: Parameter,
    /// `[out_channels]`.
    pub bias: Option<Parameter>,
    #[module(config)]
    settings: Settings,
}

impl Conv2d {
    /// A convolution with bias, stride 1 and no padding.
    ///
    /// # Panics
    /// When the kernel's size is more than two numbers.
    #[track_caller]
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: impl Into<PerDim>) -> Conv2d {
        Conv2d::with(in_channels, out_channels, kernel_size, ConvOptions::default())
    }

    /// A convolution with options.
    ///
    /// # Panics
    /// When the kernel's size or an option is more than two numbers, the groups do not divide the channels, or the padding
    /// is `Same` and the stride not 1.
    #[track_caller]
    pub fn with(
        in_channels: usize,
        out_channels: usize,
        kernel_size: impl Into<PerDim>,
        options: ConvOptions,
    ) -> Conv2d {
        let channels = [in_channels, out_channels];
        let (settings, weight, bias) = Settings::new("Conv2d", 2, channels, kernel_size.into(), options);
        Conv2d { weight, bias, settings }
    }

    /// The number of channels of the input.
    pub fn in_channels(&self) -> usize {
        self.settings.in_channels
    }

    /// The number of channels of the output.
    pub fn out_channels(&self) -> usize {
        self.settings.out_channels
    }

    /// Height and width of the kernel.
    pub fn kernel_size(&self) -> &[usize] {
        &self.settings.kernel_size
    }

    fn repr(&self) -> String {
        self.settings.repr(self.bias.is_some())
    }
}

impl Forward for Conv2d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.forward_with_weight(&self.weight, input)
    }
}

impl Weighted for Conv2d {
    const PARAMETRIZED: &'static str = "ParametrizedConv2d";

    fn weight(&self) -> &Parameter {
        &self.weight
    }

    #[track_caller]
    fn forward_with_weight(&self, weight: &Var, input: &Var) -> Var {
        let (x, options) = self.settings.prepare(input);
        x.conv2d(weight, self.bias.as_deref(), &options)
    }
}
