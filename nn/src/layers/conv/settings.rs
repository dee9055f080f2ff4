//! What convolutions of one and two spatial dimensions share: options, initial values, padding, and how they print.

use autograd::Var;
use tensor::{Conv, ConvPadding, DType, Padding, PerDim, Shape};

use crate::layers::printed;
use crate::{Parameter, init};

/// What stands around the input of a convolution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The elements mirrored at the border, which is not repeated.
    Reflect,
    /// The element at the border.
    Replicate,
    /// The elements from the other end.
    Circular,
}

impl PaddingMode {
    /// PyTorch's name, and the way to pad unless convolution itself pads with zeros.
    fn padding(self) -> (&'static str, Option<Padding>) {
        match self {
            PaddingMode::Zeros => ("zeros", None),
            PaddingMode::Reflect => ("reflect", Some(Padding::Reflect)),
            PaddingMode::Replicate => ("replicate", Some(Padding::Replicate)),
            PaddingMode::Circular => ("circular", Some(Padding::Circular)),
        }
    }
}

/// Options of [`Conv1d`](crate::Conv1d) and [`Conv2d`](crate::Conv2d).
///
/// ```
/// use nn::prelude::*;
///
/// let halving = ConvOptions { stride: 2.into(), padding: 1.into(), ..Default::default() };
/// let same = ConvOptions { padding: ConvPadding::Same, padding_mode: PaddingMode::Reflect, ..Default::default() };
/// let net = sequential![Conv2d::with(3, 8, 3, halving), Conv2d::with(8, 8, [3, 5], same)];
/// assert_eq!(net.forward(&Var::new(Tensor::ones([1, 3, 8, 8], DType::F32))).value().dims(), [1, 8, 4, 4]);
/// ```
#[derive(Debug, Clone)]
pub struct ConvOptions {
    /// How far the kernel moves from one output to the next (default: 1).
    pub stride: PerDim,
    /// How much is put around the input: so much on either side, or [`ConvPadding::Same`] or [`ConvPadding::Valid`]
    /// (default: 0).
    pub padding: ConvPadding,
    /// How far apart the elements of the input lie that neighbouring elements of the kernel meet (default: 1).
    pub dilation: PerDim,
    /// In so many groups the channels are split; outputs see the inputs of their group only (default: 1).
    pub groups: usize,
    /// Whether there is a bias (default: true).
    pub bias: bool,
    /// What is put around the input (default: zeros).
    pub padding_mode: PaddingMode,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for ConvOptions {
    fn default() -> ConvOptions {
        let Conv { stride, padding, dilation, groups } = Conv::default();
        let padding_mode = PaddingMode::Zeros;
        ConvOptions { stride, padding, dilation, groups, bias: true, padding_mode, dtype: DType::F32 }
    }
}

/// A convolution without its parameters.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    /// One number per spatial dimension, here and below.
    pub(super) kernel_size: Vec<usize>,
    stride: Vec<usize>,
    padding: ConvPadding,
    dilation: Vec<usize>,
    groups: usize,
    mode: PaddingMode,
}

impl Settings {
    /// The settings of a convolution over `dims` spatial dimensions, after checking them, and its parameters.
    #[track_caller]
    pub(super) fn new(
        layer: &str,
        dims: usize,
        [in_channels, out_channels]: [usize; 2],
        kernel_size: PerDim,
        options: ConvOptions,
    ) -> (Settings, Parameter, Option<Parameter>) {
        let ConvOptions { stride, padding, dilation, groups, bias, padding_mode: mode, dtype } = options;
        check_groups(layer, in_channels, out_channels, groups);
        let each = |name: &str, numbers: &PerDim| per_dim(layer, name, numbers, dims);
        let (kernel_size, stride) = (each("kernel_size", &kernel_size), each("stride", &stride));
        let padding = match padding {
            ConvPadding::Zeros(numbers) => ConvPadding::Zeros(each("padding", &numbers).into()),
            ConvPadding::Same if stride.iter().any(|&n| n != 1) => {
                panic!("{layer}: padding `same` needs stride 1\n  stride {stride:?}")
            }
            other => other,
        };
        let dilation = each("dilation", &dilation);
        let shape = [&[out_channels, in_channels / groups], &kernel_size[..]].concat();
        let (weight, bias) = parameters(shape, bias.then_some(out_channels), dtype);
        (Settings { in_channels, out_channels, kernel_size, stride, padding, dilation, groups, mode }, weight, bias)
    }

    /// The input with what stands around it, and the options of the convolution that is left to do.
    #[track_caller]
    pub(super) fn prepare(&self, input: &Var) -> (Var, Conv) {
        let (x, padding) = match self.mode.padding().1 {
            None => (input.clone(), self.padding.clone()),
            Some(mode) => {
                // The last dimension first.
                let around: Vec<isize> = (0..self.kernel_size.len()).rev().flat_map(|d| self.around(d)).collect();
                (input.pad(&around, mode), 0.into())
            }
        };
        let (stride, dilation) = (self.stride.clone().into(), self.dilation.clone().into());
        (x, Conv { stride, padding, dilation, groups: self.groups })
    }

    /// How much is put before and after dimension `d`.
    fn around(&self, d: usize) -> [isize; 2] {
        let (before, after) = match &self.padding {
            ConvPadding::Zeros(numbers) => (numbers.numbers()[d], numbers.numbers()[d]),
            ConvPadding::Valid => (0, 0),
            ConvPadding::Same => {
                let total = self.dilation[d] * self.kernel_size[d].saturating_sub(1);
                (total / 2, total - total / 2)
            }
        };
        [before as isize, after as isize]
    }

    pub(super) fn repr(&self, has_bias: bool) -> String {
        let padding = match &self.padding {
            ConvPadding::Zeros(numbers) => some_tuple("padding", numbers.numbers(), 0),
            ConvPadding::Same => ", padding=same".into(),
            ConvPadding::Valid => ", padding=valid".into(),
        };
        let mode = match self.mode {
            PaddingMode::Zeros => String::new(),
            mode => format!(", padding_mode={}", mode.padding().0),
        };
        let dilation = some_tuple("dilation", &self.dilation, 1);
        let (kernel, stride) = (printed::tuple(&self.kernel_size), printed::tuple(&self.stride));
        format!(
            "{}, {}, kernel_size={kernel}, stride={stride}{padding}{dilation}{}{mode}",
            self.in_channels,
            self.out_channels,
            groups_and_bias(self.groups, has_bias)
        )
    }
}

/// `, padding=(1, 1)`, unless all the numbers are the default.
pub(super) fn some_tuple(name: &str, numbers: &[usize], default: usize) -> String {
    if numbers.iter().all(|&n| n == default) { String::new() } else { format!(", {name}={}", printed::tuple(numbers)) }
}

/// `, groups=2, bias=False`, as far as they are not the default.
pub(super) fn groups_and_bias(groups: usize, has_bias: bool) -> String {
    let groups = if groups == 1 { String::new() } else { format!(", groups={groups}") };
    let bias = if has_bias { "" } else { ", bias=False" };
    groups + bias
}

/// A number for each of `dims` spatial dimensions.
#[track_caller]
pub(super) fn per_dim(layer: &str, name: &str, numbers: &PerDim, dims: usize) -> Vec<usize> {
    match numbers.numbers() {
        &[n] => vec![n; dims],
        given if given.len() == dims => given.to_vec(),
        given => panic!("{layer}: {name} does not have one number, or {dims}\n  {name} {given:?}"),
    }
}

#[track_caller]
pub(super) fn check_groups(layer: &str, in_channels: usize, out_channels: usize, groups: usize) {
    let divide = |channels: usize| groups > 0 && channels.is_multiple_of(groups);
    assert!(
        divide(in_channels) && divide(out_channels),
        "{layer}: the groups do not divide the channels\n  \
         groups {groups}   in_channels {in_channels}   out_channels {out_channels}"
    );
}

/// A weight and a bias, uniform on ±1/√fan_in: Kaiming uniform with the negative slope √5 is just this bound. The fan is
/// size 1 times the kernel, in transposed convolutions too, as in PyTorch.
pub(super) fn parameters(shape: Vec<usize>, bias: Option<usize>, dtype: DType) -> (Parameter, Option<Parameter>) {
    let fan_in: usize = shape[1..].iter().product();
    let bound = if fan_in > 0 { 1.0 / (fan_in as f64).sqrt() } else { 0.0 };
    let drawn = |shape: Shape| {
        let parameter = init::empty_parameter(shape, dtype);
        init::uniform_(&parameter, -bound, bound);
        parameter
    };
    (drawn(shape.into()), bias.map(|channels| drawn([channels].into())))
}
