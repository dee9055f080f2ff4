//! Convolutions, transposed convolutions, and networks of them.

use autograd::Var;
use proptest::prelude::*;
use tensor::{AvgPool, MaxPool, PerDim};

use super::{Case, cases_in, maybe_batches};
use crate::{
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm2d, BatchNormOptions, Conv1d, Conv2d, ConvOptions, ConvPadding,
    ConvTranspose1d, ConvTranspose2d, ConvTransposeOptions, Flatten, Forward, GroupNorm, GroupNormOptions, Linear,
    MaxPool2d, PaddingMode, Sequential, SiLU, Tanh,
};

/// Small numbers for two dimensions.
fn pairs(range: std::ops::Range<usize>) -> impl Strategy<Value = [usize; 2]> + Clone {
    [range.clone(), range]
}

/// A random configuration: groups, and channels of one group on either side; kernel, stride and dilation; by how much the
/// input exceeds the smallest one; whether there is a bias.
type Sizes = ([usize; 3], [[usize; 2]; 4], bool);

fn configurations() -> impl Strategy<Value = Sizes> + Clone {
    let channels = [1usize..3, 1usize..3, 1usize..3];
    (channels, [pairs(1..4), pairs(1..4), pairs(1..3), pairs(0..3)], any::<bool>())
}

/// [`Conv1d`] or [`Conv2d`] with any options, in batches or not.
pub fn convolutions() -> impl Strategy<Value = Case<Box<dyn Forward>>> {
    let modes = vec![PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Replicate, PaddingMode::Circular];
    let padding = (0usize..4, pairs(0..3), prop::sample::select(modes));
    let all = (1usize..3, configurations(), padding);
    cases_in(maybe_batches(), all, |&(dims, (channels, sizes, bias), (kind, around, padding_mode))| {
        let ([groups, inputs, outputs], [kernel, stride, dilation, more]) = (channels, sizes);
        let (padding, stride) = match kind {
            0 => (ConvPadding::Same, [1, 1]),
            1 => (ConvPadding::Valid, stride),
            _ => (around[..dims].into(), stride),
        };
        // The kernel fits without padding, and a border has what padding asks it for.
        let size = |d: usize| (dilation[d] * (kernel[d] - 1) + 1).max(around[d] + 1) + more[d];
        let of = |numbers: [usize; 2]| PerDim::from(&numbers[..dims]);
        let options = ConvOptions {
            stride: of(stride),
            padding,
            dilation: of(dilation),
            groups,
            bias,
            padding_mode,
            ..Default::default()
        };
        let (inputs, outputs) = (groups * inputs, groups * outputs);
        let layer: Box<dyn Forward> = match dims {
            1 => Box::new(Conv1d::with(inputs, outputs, of(kernel), options)),
            _ => Box::new(Conv2d::with(inputs, outputs, of(kernel), options)),
        };
        (layer, [inputs].into_iter().chain((0..dims).map(size)).collect())
    })
}

/// [`ConvTranspose1d`] or [`ConvTranspose2d`] with any options, in batches or not.
pub fn transposed_convolutions() -> impl Strategy<Value = Case<Box<dyn Forward>>> {
    let all = (1usize..3, configurations(), pairs(0..2), pairs(0..2));
    cases_in(maybe_batches(), all, |&(dims, (channels, sizes, bias), cut, added)| {
        let ([groups, inputs, outputs], [kernel, stride, dilation, more]) = (channels, sizes);
        let of = |numbers: [usize; 2]| PerDim::from(&numbers[..dims]);
        let options = ConvTransposeOptions {
            stride: of(stride),
            // Something is left.
            padding: of([0, 1].map(|d| cut[d].min(dilation[d] * (kernel[d] - 1) / 2))),
            output_padding: of([0, 1].map(|d| added[d].min(stride[d].max(dilation[d]) - 1))),
            groups,
            bias,
            dilation: of(dilation),
            ..Default::default()
        };
        let (inputs, outputs) = (groups * inputs, groups * outputs);
        let layer: Box<dyn Forward> = match dims {
            1 => Box::new(ConvTranspose1d::with(inputs, outputs, of(kernel), options)),
            _ => Box::new(ConvTranspose2d::with(inputs, outputs, of(kernel), options)),
        };
        (layer, [inputs].into_iter().chain((0..dims).map(|d| 1 + more[d])).collect())
    })
}

/// Classifiers of small images: one or two blocks of a convolution, perhaps a batch norm or a group norm, a smooth
/// activation and perhaps pooling, then global pooling and a linear layer. A batch of two or three images.
pub fn convolutional_networks() -> impl Strategy<Value = Case<Sequential>> {
    let block = (1usize..4, 0usize..3, any::<bool>(), 0usize..3);
    let all = (2usize..4, 1usize..3, prop::collection::vec(block, 1..3));
    let networks = cases_in(Just(vec![]), all, |(images, channels, blocks)| {
        let mut layers = Sequential::new();
        let mut inputs = *channels;
        for &(outputs, norm, activation, pool) in blocks {
            let options = ConvOptions { padding: 1.into(), bias: norm == 0, ..Default::default() };
            layers = layers.push(Conv2d::with(inputs, outputs, 3, options));
            inputs = outputs;
            // A large eps keeps derivatives small.
            layers = match norm {
                0 => layers,
                1 => layers.push(BatchNorm2d::with(outputs, BatchNormOptions { eps: 0.1, ..Default::default() })),
                _ => layers.push(GroupNorm::with(1, outputs, GroupNormOptions { eps: 0.1, ..Default::default() })),
            };
            layers = if activation { layers.push(Tanh::new()) } else { layers.push(SiLU::new()) };
            let next = Some(1.into());
            layers = match pool {
                0 => layers,
                1 => layers.push(MaxPool2d::with(2, MaxPool { stride: next, ..Default::default() })),
                _ => layers.push(AvgPool2d::with(2, AvgPool { stride: next, ..Default::default() })),
            };
        }
        layers = layers.push(AdaptiveAvgPool2d::new(1)).push(Flatten::new()).push(Linear::new(inputs, 2));
        (layers, vec![*images, *channels, 4, 3])
    });
    networks.prop_filter("elements tie for a maximum", |case| maxima_are_clear(&case.module, &case.input))
}

/// Whether the elements that max pooling compares are further apart than central differences see: derivatives jump where
/// two tie.
fn maxima_are_clear(network: &Sequential, input: &Var) -> bool {
    let mut x = input.detach();
    network.iter().all(|layer| {
        let mut elements = x.to_vec::<f64>();
        elements.sort_by(f64::total_cmp);
        x = layer.forward(&x);
        layer.as_module().downcast_ref::<MaxPool2d>().is_none()
            || elements.windows(2).all(|pair| pair[1] - pair[0] > 1e-5)
    })
}
