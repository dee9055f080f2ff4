//! Normalisations.

use proptest::prelude::*;
use tensor::{DType, Tensor};

use super::{Case, cases, cases_in, sizes};
use crate::{
    BatchNorm1d, BatchNorm2d, BatchNormOptions, Buffer, Forward, GroupNorm, GroupNormOptions, InstanceNorm1d,
    InstanceNorm2d, InstanceNormOptions, LayerNorm, LayerNormOptions, Module, RMSNorm, RMSNormOptions,
};

/// Layer norms over one or two dimensions of two or more elements in all, with each combination of weight and bias.
pub fn layer_norms() -> impl Strategy<Value = Case<LayerNorm>> {
    let shapes = (2usize..5, prop::option::of(sizes()));
    let options = (any::<bool>(), any::<bool>(), prop::sample::select(&[1e-5, 1e-2][..]));
    cases((shapes, options), |&((last, first), (elementwise_affine, bias, eps))| {
        let shape: Vec<usize> = first.into_iter().chain([last]).collect();
        let options = LayerNormOptions { elementwise_affine, bias, eps, ..Default::default() };
        let norm = LayerNorm::with(shape.clone(), options);
        draw_parameters(&norm);
        (norm, shape)
    })
}

/// RMS norms over one or two dimensions, with a weight or without.
pub fn rms_norms() -> impl Strategy<Value = Case<RMSNorm>> {
    let options = (any::<bool>(), prop::sample::select(&[1e-3, 1e-2][..]));
    cases((sizes(), prop::option::of(sizes()), options), |&(last, first, (elementwise_affine, eps))| {
        let shape: Vec<usize> = first.into_iter().chain([last]).collect();
        let options = RMSNormOptions { eps: Some(eps), elementwise_affine, ..Default::default() };
        let norm = RMSNorm::with(shape.clone(), options);
        draw_parameters(&norm);
        (norm, shape)
    })
}

/// A batch norm of one or two spatial dimensions or none, a group norm or an instance norm, in training or evaluation,
/// with any options and random running statistics. The dimension of the batch is part of the input; instance norms come
/// without one, too.
pub fn channel_norms() -> impl Strategy<Value = Case<Box<dyn Forward>>> {
    let shape = (2usize..4, 1usize..3, 1usize..3, [2usize..4, 1usize..4]);
    let options = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    cases_in(Just(vec![]), (0usize..7, shape, options), |&(kind, shape, options)| {
        let ((items, groups, per_group, size), (affine, bias, track_running_stats, training)) = (shape, options);
        // A large eps keeps derivatives small.
        let eps = 0.1;
        let channels = groups * per_group;
        let batch = BatchNormOptions { eps, affine, bias, track_running_stats, ..Default::default() };
        let instance = InstanceNormOptions { eps, affine, bias, track_running_stats, ..Default::default() };
        let (layer, lead, spatial): (Box<dyn Forward>, &[usize], usize) = match kind {
            0 => (Box::new(BatchNorm1d::with(channels, batch)), &[items], 0),
            1 => (Box::new(BatchNorm1d::with(channels, batch)), &[items], 1),
            2 => (Box::new(BatchNorm2d::with(channels, batch)), &[items], 2),
            3 => {
                let options = GroupNormOptions { eps, affine, bias, ..Default::default() };
                (Box::new(GroupNorm::with(groups, channels, options)), &[items], 1)
            }
            4 => (Box::new(InstanceNorm1d::with(channels, instance)), &[items], 1),
            5 => (Box::new(InstanceNorm2d::with(channels, instance)), &[items], 2),
            _ => (Box::new(InstanceNorm2d::with(channels, instance)), &[], 2),
        };
        draw_parameters(&layer);
        draw_statistics(&layer);
        layer.set_training(training);
        (layer, [lead, &[channels], &size[..spatial]].concat())
    })
}

/// Ones and zeros would hide a factor that is missing.
fn draw_parameters(norm: &impl Module) {
    norm.parameters().iter().for_each(|p| crate::init::normal_(p, 0.5, 1.0));
}

/// Means around zero, variances of a half to two.
fn draw_statistics(norm: &impl Module) {
    let draw = |buffer: &Buffer, low: f64, high: f64| {
        buffer.set(Tensor::uniform(low, high, buffer.value().shape(), DType::F32));
    };
    for (name, buffer) in norm.named_buffers() {
        match name.as_str() {
            "running_mean" => draw(&buffer, -1.0, 1.0),
            "running_var" => draw(&buffer, 0.5, 2.0),
            _ => {}
        }
    }
}
