//! Transposed convolution.

use autograd::Var;
use tensor::{ConvTranspose, DType, PerDim};

use super::settings::{check_groups, groups_and_bias, parameters, per_dim, some_tuple};
use crate::layers::printed;
use crate::utils::Weighted;
use crate::{Forward, Module, Parameter};

/// Options of [`ConvTranspose1d`] and [`ConvTranspose2d`].
#[derive(Debug, Clone)]
pub struct ConvTransposeOptions {
    /// How far apart neighbouring inputs put the kernel in the result (default: 1).
    pub stride: PerDim,
    /// So much is cut off on either side of the result (default: 0).
    pub padding: PerDim,
    /// So much is added at the end of the result, since several sizes convolve to the same one (default: 0).
    pub output_padding: PerDim,
    /// In so many groups the channels are split; inputs reach the outputs of their group only (default: 1).
    pub groups: usize,
    /// Whether there is a bias (default: true).
    pub bias: bool,
    /// How far apart neighbouring elements of the kernel land (default: 1).
    pub dilation: PerDim,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for ConvTransposeOptions {
    fn default() -> ConvTransposeOptions {
        let ConvTranspose { stride, padding, output_padding, groups, dilation } = ConvTranspose::default();
        ConvTransposeOptions { stride, padding, output_padding, groups, bias: true, dilation, dtype: DType::F32 }
    }
}

/// A transposed convolution without its parameters.
#[derive(Debug, Clone)]
struct Settings {
    in_channels: usize,
    out_channels: usize,
    /// One number per spatial dimension, here and below.
    kernel_size: Vec<usize>,
    stride: Vec<usize>,
    padding: Vec<usize>,
    output_padding: Vec<usize>,
    dilation: Vec<usize>,
    groups: usize,
}

impl Settings {
    /// The settings for `dims` spatial dimensions, after checking them, and the parameters.
    #[track_caller]
    fn new(
        layer: &str,
        dims: usize,
        [in_channels, out_channels]: [usize; 2],
        kernel_size: PerDim,
        options: ConvTransposeOptions,
    ) -> (Settings, Parameter, Option<Parameter>) {
        let ConvTransposeOptions { stride, padding, output_padding, groups, bias, dilation, dtype } = options;
        check_groups(layer, in_channels, out_channels, groups);
        let each = |name: &str, numbers: &PerDim| per_dim(layer, name, numbers, dims);
        let settings = Settings {
            in_channels,
            out_channels,
            kernel_size: each("kernel_size", &kernel_size),
            stride: each("stride", &stride),
            padding: each("padding", &padding),
            output_padding: each("output_padding", &output_padding),
            dilation: each("dilation", &dilation),
            groups,
        };
        let shape = [&[in_channels, out_channels / groups], &settings.kernel_size[..]].concat();
        let (weight, bias) = parameters(shape, bias.then_some(out_channels), dtype);
        (settings, weight, bias)
    }

    fn options(&self, output_padding: Vec<usize>) -> ConvTranspose {
        ConvTranspose {
            stride: self.stride.clone().into(),
            padding: self.padding.clone().into(),
            output_padding: output_padding.into(),
            groups: self.groups,
            dilation: self.dilation.clone().into(),
        }
    }

    /// The options with the `output_padding` that gives the result this size.
    #[track_caller]
    fn options_for(&self, layer: &str, input: &Var, output_size: &[usize]) -> ConvTranspose {
        let (shape, dims) = (input.shape(), self.kernel_size.len());
        let Some(lead) = shape.len().checked_sub(dims).filter(|lead| (1..=2).contains(lead)) else {
            panic!("{layer}: the input is {}-d\n  input {:?}   rule [n, c, ..] or [c, ..]", shape.len(), &shape[..]);
        };
        let wanted = match output_size.len().checked_sub(dims) {
            Some(0) => output_size,
            Some(more) if more == lead => &output_size[lead..],
            _ => panic!(
                "{layer}: output_size has neither {dims} nor {} numbers\n  output_size {output_size:?}   input {:?}",
                dims + lead,
                &shape[..]
            ),
        };
        let smallest = |d: usize| {
            let spread = (shape[lead + d] as i64 - 1) * self.stride[d] as i64;
            spread - 2 * self.padding[d] as i64 + self.dilation[d] as i64 * (self.kernel_size[d] as i64 - 1) + 1
        };
        let low: Vec<i64> = (0..dims).map(smallest).collect();
        let high: Vec<i64> = (0..dims).map(|d| low[d] + self.stride[d] as i64 - 1).collect();
        let fits = (0..dims).all(|d| (low[d]..=high[d]).contains(&(wanted[d] as i64)));
        assert!(
            fits,
            "{layer}: no output_padding gives the result this size\n  \
             output_size {wanted:?}   rule {low:?} to {high:?}   input {:?}",
            &shape[..]
        );
        self.options((0..dims).map(|d| (wanted[d] as i64 - low[d]) as usize).collect())
    }

    fn repr(&self, has_bias: bool) -> String {
        format!(
            "{}, {}, kernel_size={}, stride={}{}{}{}{}",
            self.in_channels,
            self.out_channels,
            printed::tuple(&self.kernel_size),
            printed::tuple(&self.stride),
            some_tuple("padding", &self.padding, 0),
            some_tuple("dilation", &self.dilation, 1),
            some_tuple("output_padding", &self.output_padding, 0),
            groups_and_bias(self.groups, has_bias)
        )
    }
}

/// The input gradient of a [`Conv1d`](crate::Conv1d) from `out_channels` to `in_channels`, plus a bias: each input puts
/// the kernel, times its value, into the result. [`Var::conv_transpose1d`] with a weight of its own.
///
/// Weight and bias start uniform on ±1/√(out_channels / groups · kernel_size), as in PyTorch: the fan is that of the
/// convolution.
///
/// # Shape
/// `[n, in_channels, l]` or `[in_channels, l] -> [n, out_channels, (l - 1) stride - 2 padding + dilation (kernel_size - 1)
/// + output_padding + 1]` or without `n`.
///
/// # Panics
/// In the forward pass, when the channels do not fit, the result would be empty, or `output_padding` is not below stride
/// or dilation.
///
/// # Differs
/// There is no `padding_mode`: in PyTorch it must be `zeros`.
///
/// ```
/// use nn::prelude::*;
///
/// let up = ConvTranspose1d::with(4, 2, 3, ConvTransposeOptions { stride: 2.into(), ..Default::default() });
/// let x = Var::new(Tensor::ones([5, 4, 10], DType::F32));
/// assert_eq!(up.forward(&x).value().dims(), [5, 2, 21]);
/// assert_eq!(up.forward_with_output_size(&x, &[22]).value().dims(), [5, 2, 22]);
/// assert_eq!(up.to_string(), "ConvTranspose1d(4, 2, kernel_size=(3,), stride=(2,))");
/// ```
#[derive(Debug, Module)]
#[module(repr = ConvTranspose1d::repr)]
pub struct ConvTranspose1d {
    /// `[in_channels, out_channels / groups, kernel_size]`.
    pub weight: Parameter,
    /// `[out_channels]`.
    pub bias: Option<Parameter>,
    #[module(config)]
    settings: Settings,
}

impl ConvTranspose1d {
    /// A transposed convolution with bias, stride 1 and no padding.
    ///
    /// # Panics
    /// When the kernel's size is more than one number.
    #[track_caller]
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: impl Into<PerDim>) -> ConvTranspose1d {
        ConvTranspose1d::with(in_channels, out_channels, kernel_size, ConvTransposeOptions::default())
    }

    /// A transposed convolution with options.
    ///
    /// # Panics
    /// When the kernel's size or an option is more than one number, or the groups do not divide the channels.
    #[track_caller]
    pub fn with(
        in_channels: usize,
        out_channels: usize,
        kernel_size: impl Into<PerDim>,
        options: ConvTransposeOptions,
    ) -> ConvTranspose1d {
        let channels = [in_channels, out_channels];
        let (settings, weight, bias) = Settings::new("ConvTranspose1d", 1, channels, kernel_size.into(), options);
        ConvTranspose1d { weight, bias, settings }
    }

    /// The result in this size (its length, or its whole shape), which takes the place of `output_padding`; of the shape
    /// only the length counts.
    ///
    /// # Panics
    /// When the size is not among the `stride` sizes that convolve to that of the input.
    #[track_caller]
    pub fn forward_with_output_size(&self, input: &Var, output_size: &[usize]) -> Var {
        let options = self.settings.options_for("ConvTranspose1d", input, output_size);
        input.conv_transpose1d(&self.weight, self.bias.as_deref(), &options)
    }

    fn repr(&self) -> String {
        self.settings.repr(self.bias.is_some())
    }
}

impl Forward for ConvTranspose1d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.forward_with_weight(&self.weight, input)
    }
}

impl Weighted for ConvTranspose1d {
    const PARAMETRIZED: &'static str = "ParametrizedConvTranspose1d";
    const OUTPUTS: isize = 1;

    fn weight(&self) -> &Parameter {
        &self.weight
    }

    #[track_caller]
    fn forward_with_weight(&self, weight: &Var, input: &Var) -> Var {
        let options = self.settings.options(self.settings.output_padding.clone());
        input.conv_transpose1d(weight, self.bias.as_deref(), &options)
    }
}

/// [`ConvTranspose1d`] for images: the input gradient of a [`Conv2d`](crate::Conv2d), plus a bias.
/// [`Var::conv_transpose2d`] with a weight of its own.
///
/// # Shape
/// `[n, in_channels, h, w]` or `[in_channels, h, w] -> [n, out_channels, .., ..]` or without `n`, each size as in
/// [`ConvTranspose1d`].
///
/// # Panics
/// As [`ConvTranspose1d`].
///
/// # Differs
/// As [`ConvTranspose1d`].
///
/// ```
/// use nn::prelude::*;
///
/// let options = ConvTransposeOptions { stride: 2.into(), padding: 1.into(), ..Default::default() };
/// let up = ConvTranspose2d::with(8, 3, 4, options);
/// assert_eq!(up.forward(&Var::new(Tensor::ones([2, 8, 5, 7], DType::F32))).value().dims(), [2, 3, 10, 14]);
/// assert_eq!(up.to_string(), "ConvTranspose2d(8, 3, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1))");
/// ```
#[derive(Debug, Module)]
#[module(repr = ConvTranspose2d::repr)]
pub struct ConvTranspose2d {
    /// `[in_channels, out_channels / groups, kernel_size..]`.
    pub weight: Parameter,
    /// `[out_channels]`.
    pub bias: Option<Parameter>,
    #[module(config)]
    settings: Settings,
}

impl ConvTranspose2d {
    /// A transposed convolution with bias, stride 1 and no padding.
    ///
    /// # Panics
    /// When the kernel's size is more than two numbers.
    #[track_caller]
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: impl Into<PerDim>) -> ConvTranspose2d {
        ConvTranspose2d::with(in_channels, out_channels, kernel_size, ConvTransposeOptions::default())
    }

    /// A transposed convolution with options.
    ///
    /// # Panics
    /// When the kernel's size or an option is more than two numbers, or the groups do not divide the channels.
    #[track_caller]
    pub fn with(
        in_channels: usize,
        out_channels: usize,
        kernel_size: impl Into<PerDim>,
        options: ConvTransposeOptions,
    ) -> ConvTranspose2d {
        let channels = [in_channels, out_channels];
        let (settings, weight, bias) = Settings::new("ConvTranspose2d", 2, channels, kernel_size.into(), options);
        ConvTranspose2d { weight, bias, settings }
    }

    /// The result in this size (height and width, or its whole shape), which takes the place of `output_padding`; of the
    /// shape only height and width count.
    ///
    /// # Panics
    /// When the size is not among the `stride` sizes in each dimension that convolve to that of the input.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let halving = ConvOptions { stride: 2.into(), padding: 1.into(), ..Default::default() };
    /// let doubling = ConvTransposeOptions { stride: 2.into(), padding: 1.into(), ..Default::default() };
    /// let (down, up) = (Conv2d::with(3, 3, 3, halving), ConvTranspose2d::with(3, 3, 3, doubling));
    /// let x = Var::new(Tensor::ones([1, 3, 12, 12], DType::F32));
    /// let y = up.forward_with_output_size(&down.forward(&x), &x.shape());
    /// assert_eq!(y.shape(), x.shape());
    /// ```
    #[track_caller]
    pub fn forward_with_output_size(&self, input: &Var, output_size: &[usize]) -> Var {
        let options = self.settings.options_for("ConvTranspose2d", input, output_size);
        input.conv_transpose2d(&self.weight, self.bias.as_deref(), &options)
    }

    fn repr(&self) -> String {
        self.settings.repr(self.bias.is_some())
    }
}

impl Forward for ConvTranspose2d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.forward_with_weight(&self.weight, input)
    }
}

impl Weighted for ConvTranspose2d {
    const PARAMETRIZED: &'static str = "ParametrizedConvTranspose2d";
    const OUTPUTS: isize = 1;

    fn weight(&self) -> &Parameter {
        &self.weight
    }

    #[track_caller]
    fn forward_with_weight(&self, weight: &Var, input: &Var) -> Var {
        let options = self.settings.options(self.settings.output_padding.clone());
        input.conv_transpose2d(weight, self.bias.as_deref(), &options)
    }
}
