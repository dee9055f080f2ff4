//! Normalisations: with their options, over several steps of training and the evaluation after it.

use nn::functional as F;
use tensor::BatchNorm;

use crate::harness::*;

/// Training on all inputs but the last, on the second without gradients; evaluation of the last.
fn steps<M: Forward>(layer: M) -> Case {
    module(layer, |m, x| {
        let last = x.len() - 1;
        let mut outputs = Vec::new();
        for i in 0..last {
            outputs.push(if i == 1 { no_grad(|| m.forward(x.var(i))) } else { m.forward(x.var(i)) });
        }
        m.eval();
        outputs.push(m.forward(x.var(last)));
        outputs
    })
}

fn layer_options() -> LayerNormOptions {
    LayerNormOptions::default()
}

fn rms(eps: f64) -> RMSNormOptions {
    RMSNormOptions { eps: Some(eps), ..Default::default() }
}

fn group() -> GroupNormOptions {
    GroupNormOptions::default()
}

fn batch() -> BatchNormOptions {
    BatchNormOptions::default()
}

fn instance() -> InstanceNormOptions {
    InstanceNormOptions::default()
}

fn affine() -> InstanceNormOptions {
    InstanceNormOptions { affine: true, ..instance() }
}

fn tracked() -> InstanceNormOptions {
    InstanceNormOptions { track_running_stats: true, ..instance() }
}

/// Everything in training, and batch norm and instance norm in evaluation, with statistics.
fn functions(x: &Inputs) -> (Vec<Var>, Vec<(Tensor, Tensor)>) {
    let (x, weight, bias) = (x.var(0), Some(x.var(1)), Some(x.var(2)));
    let line = |low: f64, high: f64| Tensor::linspace(low, high, 4, DType::F64).to_dtype(x.dtype());
    let (mean, var) = (line(-1.0, 1.0), line(0.5, 2.0));
    let statistics = Some((&mean, &var));
    let training = BatchNorm { training: true, ..Default::default() };
    let options = BatchNorm { momentum: 0.3, eps: 1e-3, ..training };
    let evaluation = BatchNorm { training: false, ..options };
    let (trained, new) = F::batch_norm(x, statistics, weight, bias, &options);
    let (trained_items, new_items) = F::instance_norm(x, statistics, weight, bias, &options);
    let outputs = vec![
        F::layer_norm(x, &[4], weight, bias, 1e-3),
        F::rms_norm(x, &[4], weight, Some(1e-3)),
        F::group_norm(x, 2, weight, bias, 1e-3),
        trained,
        F::batch_norm(x, statistics, weight, bias, &evaluation).0,
        F::batch_norm(x, None, None, None, &training).0,
        trained_items,
        F::instance_norm(x, statistics, weight, bias, &evaluation).0,
        F::instance_norm(x, None, None, None, &training).0,
    ];
    (outputs, [new, new_items].into_iter().flatten().collect())
}

cases! { "norm":
    "layer_norm" => layer(LayerNorm::new(6)),
    "layer_norm_2d" => layer(LayerNorm::with([3, 4], LayerNormOptions { eps: 1e-3, ..layer_options() })),
    "layer_norm_plain" => layer(LayerNorm::with(6, LayerNormOptions { elementwise_affine: false, ..layer_options() })),
    "layer_norm_no_bias" => layer(LayerNorm::with(6, LayerNormOptions { bias: false, ..layer_options() })),
    "rms_norm" => layer(RMSNorm::with(6, rms(1e-6))),
    "rms_norm_2d" => layer(RMSNorm::with([3, 4], rms(1e-3))),
    "rms_norm_plain" => layer(RMSNorm::with(6, RMSNormOptions { elementwise_affine: false, ..Default::default() })),

    "group_norm" => layer(GroupNorm::new(2, 4)),
    "group_norm_image" => layer(GroupNorm::with(3, 6, GroupNormOptions { eps: 1e-3, ..group() })),
    "group_norm_rows" => layer(GroupNorm::new(2, 6)),
    "group_norm_one_group" => layer(GroupNorm::new(1, 3)),
    "group_norm_no_bias" => layer(GroupNorm::with(4, 4, GroupNormOptions { bias: false, ..group() })),
    "group_norm_plain" => layer(GroupNorm::with(2, 4, GroupNormOptions { affine: false, ..group() })),
    "group_norm_other_channels" => layer(GroupNorm::with(2, 4, GroupNormOptions { affine: false, ..group() })),

    "batch_norm1d" => layer(BatchNorm1d::new(2)),
    "batch_norm1d_eval" => layer(BatchNorm1d::new(2)),
    "batch_norm1d_options" => {
        layer(BatchNorm1d::with(2, BatchNormOptions { eps: 1e-3, momentum: Some(0.4), ..batch() }))
    },
    "batch_norm1d_plain" => layer(BatchNorm1d::with(2, BatchNormOptions { affine: false, ..batch() })),
    "batch_norm1d_no_bias" => layer(BatchNorm1d::with(2, BatchNormOptions { bias: false, ..batch() })),
    "batch_norm1d_untracked" => layer(BatchNorm1d::with(2, BatchNormOptions { track_running_stats: false, ..batch() })),
    "batch_norm1d_untracked_eval" => {
        layer(BatchNorm1d::with(2, BatchNormOptions { track_running_stats: false, ..batch() }))
    },
    "batch_norm1d_steps" => steps(BatchNorm1d::new(2)),
    "batch_norm1d_steps_options" => {
        steps(BatchNorm1d::with(2, BatchNormOptions { momentum: Some(0.3), affine: false, ..batch() }))
    },
    "batch_norm1d_steps_cumulative" => steps(BatchNorm1d::with(2, BatchNormOptions { momentum: None, ..batch() })),
    "batch_norm1d_steps_untracked" => {
        steps(BatchNorm1d::with(2, BatchNormOptions { track_running_stats: false, ..batch() }))
    },
    "batch_norm1d_rows" => layer(BatchNorm1d::new(3)),
    "batch_norm1d_rows_eval" => layer(BatchNorm1d::new(3)),
    "batch_norm1d_rows_steps" => steps(BatchNorm1d::new(3)),
    "batch_norm1d_no_rows" => layer(BatchNorm1d::new(3)),
    "batch_norm1d_other_features" => {
        layer(BatchNorm1d::with(3, BatchNormOptions { affine: false, track_running_stats: false, ..batch() }))
    },
    "batch_norm2d" => layer(BatchNorm2d::new(2)),
    "batch_norm2d_eval" => layer(BatchNorm2d::new(2)),
    "batch_norm2d_options" => {
        layer(BatchNorm2d::with(2, BatchNormOptions { eps: 1e-3, momentum: Some(0.4), ..batch() }))
    },
    "batch_norm2d_plain" => layer(BatchNorm2d::with(2, BatchNormOptions { affine: false, ..batch() })),
    "batch_norm2d_no_bias" => layer(BatchNorm2d::with(2, BatchNormOptions { bias: false, ..batch() })),
    "batch_norm2d_untracked" => layer(BatchNorm2d::with(2, BatchNormOptions { track_running_stats: false, ..batch() })),
    "batch_norm2d_untracked_eval" => {
        layer(BatchNorm2d::with(2, BatchNormOptions { track_running_stats: false, ..batch() }))
    },
    "batch_norm2d_steps" => steps(BatchNorm2d::new(2)),
    "batch_norm2d_steps_options" => {
        steps(BatchNorm2d::with(2, BatchNormOptions { momentum: Some(0.3), affine: false, ..batch() }))
    },
    "batch_norm2d_steps_cumulative" => steps(BatchNorm2d::with(2, BatchNormOptions { momentum: None, ..batch() })),
    "batch_norm2d_steps_untracked" => {
        steps(BatchNorm2d::with(2, BatchNormOptions { track_running_stats: false, ..batch() }))
    },

    "instance_norm1d" => layer(InstanceNorm1d::new(2)),
    "instance_norm1d_eval" => layer(InstanceNorm1d::new(2)),
    "instance_norm1d_unbatched" => layer(InstanceNorm1d::new(2)),
    "instance_norm1d_affine" => layer(InstanceNorm1d::with(2, InstanceNormOptions { eps: 1e-3, ..affine() })),
    "instance_norm1d_affine_unbatched" => layer(InstanceNorm1d::with(2, affine())),
    "instance_norm1d_no_bias" => layer(InstanceNorm1d::with(2, InstanceNormOptions { bias: false, ..affine() })),
    "instance_norm1d_tracked" => layer(InstanceNorm1d::with(2, tracked())),
    "instance_norm1d_tracked_unbatched" => layer(InstanceNorm1d::with(2, tracked())),
    "instance_norm1d_steps" => steps(InstanceNorm1d::with(2, InstanceNormOptions { affine: true, ..tracked() })),
    "instance_norm1d_steps_options" => {
        steps(InstanceNorm1d::with(2, InstanceNormOptions { momentum: 0.3, ..tracked() }))
    },
    "instance_norm1d_steps_untracked" => steps(InstanceNorm1d::with(2, affine())),
    "instance_norm1d_other_channels" => layer(InstanceNorm1d::new(2)),
    "instance_norm2d" => layer(InstanceNorm2d::new(2)),
    "instance_norm2d_eval" => layer(InstanceNorm2d::new(2)),
    "instance_norm2d_unbatched" => layer(InstanceNorm2d::new(2)),
    "instance_norm2d_affine" => layer(InstanceNorm2d::with(2, InstanceNormOptions { eps: 1e-3, ..affine() })),
    "instance_norm2d_affine_unbatched" => layer(InstanceNorm2d::with(2, affine())),
    "instance_norm2d_no_bias" => layer(InstanceNorm2d::with(2, InstanceNormOptions { bias: false, ..affine() })),
    "instance_norm2d_tracked" => layer(InstanceNorm2d::with(2, tracked())),
    "instance_norm2d_tracked_unbatched" => layer(InstanceNorm2d::with(2, tracked())),
    "instance_norm2d_steps" => steps(InstanceNorm2d::with(2, InstanceNormOptions { affine: true, ..tracked() })),
    "instance_norm2d_steps_options" => {
        steps(InstanceNorm2d::with(2, InstanceNormOptions { momentum: 0.3, ..tracked() }))
    },
    "instance_norm2d_steps_untracked" => steps(InstanceNorm2d::with(2, affine())),

    "functions" => function(functions),
    "batch_normed_net" => {
        let plain = ConvOptions { padding: 1.into(), bias: false, ..Default::default() };
        steps(sequential![
            Conv2d::with(2, 3, 3, plain),
            BatchNorm2d::new(3),
            ReLU::new(),
            MaxPool2d::new(2),
            Flatten::new(),
            Linear::with(6, 4, LinearOptions { bias: false, ..Default::default() }),
            BatchNorm1d::new(4),
        ])
    },
}
