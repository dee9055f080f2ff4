//! Pooling, batched and not, with indices where there are any.

use nn::functional as F;
use tensor::PerDim;

use crate::harness::*;

fn max() -> MaxPool {
    MaxPool::default()
}

fn avg() -> AvgPool {
    AvgPool::default()
}

fn one() -> Option<PerDim> {
    Some(1.into())
}

fn two() -> Option<PerDim> {
    Some(2.into())
}

fn three() -> Option<PerDim> {
    Some(3.into())
}

fn functions(x: &Inputs) -> (Vec<Var>, Vec<(Var, Tensor)>) {
    let (line, image) = (x.var(0), x.var(1));
    let values = vec![
        F::max_pool1d(line, 3, &MaxPool { stride: two(), ..max() }),
        F::max_pool2d(image, [2, 3], &max()),
        F::avg_pool1d(line, 3, &AvgPool { padding: 1.into(), ..avg() }),
        F::avg_pool2d(image, [2, 3], &avg()),
        F::adaptive_avg_pool1d(line, 3),
        F::adaptive_avg_pool2d(image, [None, Some(3)]),
        F::adaptive_max_pool1d(line, 3),
        F::adaptive_max_pool2d(image, [Some(2), None]),
    ];
    let with_indices = vec![
        F::max_pool1d_with_indices(line, 2, &max()),
        F::max_pool2d_with_indices(image, 2, &MaxPool { padding: 1.into(), ..max() }),
        F::adaptive_max_pool1d_with_indices(line, 3),
        F::adaptive_max_pool2d_with_indices(image, 2),
    ];
    (values, with_indices)
}

cases! { "pool":
    "max_pool1d" => layer(MaxPool1d::new(2)),
    "max_pool1d_unbatched" => layer(MaxPool1d::with(3, MaxPool { stride: one(), ..max() })),
    "max_pool1d_options" => {
        layer(MaxPool1d::with(3, MaxPool { stride: two(), padding: 1.into(), dilation: 2.into(), ..max() }))
    },
    "max_pool1d_ceil" => layer(MaxPool1d::with(2, MaxPool { stride: two(), ceil_mode: true, ..max() })),
    "max_pool1d_ceil_padding" => {
        layer(MaxPool1d::with(3, MaxPool { stride: three(), padding: 1.into(), ceil_mode: true, ..max() }))
    },
    "max_pool1d_indices" => {
        let pool = MaxPool1d::with(3, MaxPool { stride: one(), padding: 1.into(), ..max() });
        module(pool, |m, x| m.forward_with_indices(x.var(0)))
    },
    "max_pool1d_indices_unbatched" => module(MaxPool1d::new(2), |m, x| m.forward_with_indices(x.var(0))),
    "max_pool1d_ties" => layer(MaxPool1d::with(2, MaxPool { stride: one(), ..max() })),
    "max_pool2d" => layer(MaxPool2d::new(2)),
    "max_pool2d_unbatched" => layer(MaxPool2d::with(3, MaxPool { stride: one(), ..max() })),
    "max_pool2d_options" => {
        layer(MaxPool2d::with(3, MaxPool { stride: two(), padding: 1.into(), dilation: 2.into(), ..max() }))
    },
    "max_pool2d_ceil" => layer(MaxPool2d::with(2, MaxPool { stride: two(), ceil_mode: true, ..max() })),
    "max_pool2d_ceil_padding" => {
        layer(MaxPool2d::with(3, MaxPool { stride: three(), padding: 1.into(), ceil_mode: true, ..max() }))
    },
    "max_pool2d_indices" => {
        let pool = MaxPool2d::with(3, MaxPool { stride: one(), padding: 1.into(), ..max() });
        module(pool, |m, x| m.forward_with_indices(x.var(0)))
    },
    "max_pool2d_indices_unbatched" => module(MaxPool2d::new(2), |m, x| m.forward_with_indices(x.var(0))),
    "max_pool2d_ties" => layer(MaxPool2d::with(2, MaxPool { stride: one(), ..max() })),
    "max_pool2d_pairs" => {
        let (stride, padding, dilation) = (Some([2, 1].into()), [1, 0].into(), [1, 2].into());
        layer(MaxPool2d::with([3, 2], MaxPool { stride, padding, dilation, ..max() }))
    },
    "max_pool2d_pair_of_indices" => module(MaxPool2d::new([3, 2]), |m, x| m.forward_with_indices(x.var(0))),
    "avg_pool1d" => layer(AvgPool1d::new(2)),
    "avg_pool1d_unbatched" => layer(AvgPool1d::with(3, AvgPool { stride: one(), ..avg() })),
    "avg_pool1d_padding" => layer(AvgPool1d::with(3, AvgPool { stride: two(), padding: 1.into(), ..avg() })),
    "avg_pool1d_exclude_pad" => {
        layer(AvgPool1d::with(3, AvgPool { stride: two(), padding: 1.into(), count_include_pad: false, ..avg() }))
    },
    "avg_pool1d_ceil" => layer(AvgPool1d::with(2, AvgPool { ceil_mode: true, ..avg() })),
    "avg_pool1d_ceil_padding" => {
        layer(AvgPool1d::with(3, AvgPool { stride: three(), padding: 1.into(), ceil_mode: true, ..avg() }))
    },
    "avg_pool1d_ceil_exclude_pad" => {
        let options = AvgPool {
            stride: three(),
            padding: 1.into(),
            ceil_mode: true,
            count_include_pad: false,
            ..avg()
        };
        layer(AvgPool1d::with(3, options))
    },
    "avg_pool2d" => layer(AvgPool2d::new(2)),
    "avg_pool2d_unbatched" => layer(AvgPool2d::with(3, AvgPool { stride: one(), ..avg() })),
    "avg_pool2d_padding" => layer(AvgPool2d::with(3, AvgPool { stride: two(), padding: 1.into(), ..avg() })),
    "avg_pool2d_exclude_pad" => {
        layer(AvgPool2d::with(3, AvgPool { stride: two(), padding: 1.into(), count_include_pad: false, ..avg() }))
    },
    "avg_pool2d_ceil" => layer(AvgPool2d::with(2, AvgPool { ceil_mode: true, ..avg() })),
    "avg_pool2d_ceil_padding" => {
        layer(AvgPool2d::with(3, AvgPool { stride: three(), padding: 1.into(), ceil_mode: true, ..avg() }))
    },
    "avg_pool2d_ceil_exclude_pad" => {
        let options = AvgPool {
            stride: three(),
            padding: 1.into(),
            ceil_mode: true,
            count_include_pad: false,
            ..avg()
        };
        layer(AvgPool2d::with(3, options))
    },
    "avg_pool1d_tuple" => layer(AvgPool1d::new([2])),
    "avg_pool2d_pairs" => {
        let (stride, padding) = (Some([2, 1].into()), [1, 0].into());
        layer(AvgPool2d::with([3, 2], AvgPool { stride, padding, ..avg() }))
    },
    "avg_pool2d_divisor" => {
        layer(AvgPool2d::with(2, AvgPool { padding: 1.into(), divisor_override: Some(3), ..avg() }))
    },
    "adaptive_avg_pool1d" => layer(AdaptiveAvgPool1d::new(3)),
    "adaptive_avg_pool1d_unbatched" => layer(AdaptiveAvgPool1d::new(2)),
    "adaptive_avg_pool1d_one" => layer(AdaptiveAvgPool1d::new(1)),
    "adaptive_avg_pool1d_wider" => layer(AdaptiveAvgPool1d::new(9)),
    "adaptive_max_pool1d" => layer(AdaptiveMaxPool1d::new(3)),
    "adaptive_max_pool1d_unbatched" => layer(AdaptiveMaxPool1d::new(2)),
    "adaptive_max_pool1d_indices" => module(AdaptiveMaxPool1d::new(4), |m, x| m.forward_with_indices(x.var(0))),
    "adaptive_max_pool1d_indices_unbatched" => {
        module(AdaptiveMaxPool1d::new(4), |m, x| m.forward_with_indices(x.var(0)))
    },
    "adaptive_avg_pool2d" => layer(AdaptiveAvgPool2d::new(3)),
    "adaptive_avg_pool2d_unbatched" => layer(AdaptiveAvgPool2d::new(2)),
    "adaptive_avg_pool2d_one" => layer(AdaptiveAvgPool2d::new(1)),
    "adaptive_avg_pool2d_wider" => layer(AdaptiveAvgPool2d::new(9)),
    "adaptive_max_pool2d" => layer(AdaptiveMaxPool2d::new(3)),
    "adaptive_max_pool2d_unbatched" => layer(AdaptiveMaxPool2d::new(2)),
    "adaptive_max_pool2d_indices" => module(AdaptiveMaxPool2d::new(4), |m, x| m.forward_with_indices(x.var(0))),
    "adaptive_max_pool2d_indices_unbatched" => {
        module(AdaptiveMaxPool2d::new(4), |m, x| m.forward_with_indices(x.var(0)))
    },
    "adaptive_avg_pool2d_pair" => layer(AdaptiveAvgPool2d::new([2, 3])),
    "adaptive_max_pool2d_pair" => module(AdaptiveMaxPool2d::new([2, 3]), |m, x| m.forward_with_indices(x.var(0))),
    "adaptive_avg_pool2d_height_kept" => layer(AdaptiveAvgPool2d::new([None, Some(3)])),
    "adaptive_max_pool2d_height_kept" => {
        module(AdaptiveMaxPool2d::new([None, Some(3)]), |m, x| m.forward_with_indices(x.var(0)))
    },
    "adaptive_avg_pool2d_width_kept" => layer(AdaptiveAvgPool2d::new([Some(2), None])),
    "adaptive_max_pool2d_width_kept" => {
        module(AdaptiveMaxPool2d::new([Some(2), None]), |m, x| m.forward_with_indices(x.var(0)))
    },
    "adaptive_avg_pool2d_kept" => layer(AdaptiveAvgPool2d::new([None, None])),
    "adaptive_max_pool2d_kept" => {
        module(AdaptiveMaxPool2d::new([None, None]), |m, x| m.forward_with_indices(x.var(0)))
    },
    "functions" => function(functions),
}
