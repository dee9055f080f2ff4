//! Pooling.

use proptest::prelude::*;
use tensor::{AvgPool, MaxPool, PerDim};

use super::{Case, cases_in, maybe_batches};
use crate::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d, Forward,
    MaxPool1d, MaxPool2d,
};

/// Max or average pooling in one or two dimensions with any options, in batches or not.
pub fn poolings() -> impl Strategy<Value = Case<Box<dyn Forward>>> {
    let pairs = |range: std::ops::Range<usize>| [range.clone(), range];
    let sizes = [pairs(1..4), pairs(1..4), pairs(0..2), pairs(1..3), pairs(0..4)];
    let flags = (any::<bool>(), any::<bool>(), prop::option::of(1i64..4));
    let all = (any::<bool>(), 1usize..3, 1usize..3, sizes, flags);
    cases_in(maybe_batches(), all, |&(max, dims, channels, sizes, (ceil_mode, count_include_pad, divisor_override))| {
        let [kernel, stride, padding, dilation, more] = sizes;
        let of = |numbers: [usize; 2]| PerDim::from(&numbers[..dims]);
        let (stride, padding) = (Some(of(stride)), of([0, 1].map(|d| padding[d].min(kernel[d] / 2))));
        let layer: Box<dyn Forward> = if max {
            let options = MaxPool { stride, padding, dilation: of(dilation), ceil_mode };
            match dims {
                1 => Box::new(MaxPool1d::with(of(kernel), options)),
                _ => Box::new(MaxPool2d::with(of(kernel), options)),
            }
        } else {
            let options = AvgPool { stride, padding, ceil_mode, count_include_pad, divisor_override };
            match dims {
                1 => Box::new(AvgPool1d::with(of(kernel), options)),
                _ => Box::new(AvgPool2d::with(of(kernel), options)),
            }
        };
        let size = |d: usize| dilation[d] * (kernel[d] - 1) + 1 + more[d];
        (layer, [channels].into_iter().chain((0..dims).map(size)).collect())
    })
}

/// Adaptive pooling in one or two dimensions to sizes below and above those of the input, in batches or not.
pub fn adaptive_poolings() -> impl Strategy<Value = Case<Box<dyn Forward>>> {
    let output = [prop::option::of(1usize..5), prop::option::of(1usize..5)];
    let all = (any::<bool>(), 1usize..3, 1usize..3, output, [1usize..6, 1usize..6]);
    cases_in(maybe_batches(), all, |&(max, dims, channels, output, size)| {
        let line = output[0].unwrap_or(1);
        let layer: Box<dyn Forward> = match (max, dims) {
            (true, 1) => Box::new(AdaptiveMaxPool1d::new(line)),
            (false, 1) => Box::new(AdaptiveAvgPool1d::new(line)),
            (true, _) => Box::new(AdaptiveMaxPool2d::new(output)),
            (false, _) => Box::new(AdaptiveAvgPool2d::new(output)),
        };
        (layer, [&[channels], &size[..dims]].concat())
    })
}
