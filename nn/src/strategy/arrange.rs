//! Layers that only arrange.

use std::fmt;
use std::rc::Rc;

use autograd::strategy::{Domain, leaves};
use proptest::prelude::*;
use proptest::sample::select;

use super::Case;
use crate::{
    ChannelShuffle, CircularPad1d, CircularPad2d, ConstantPad1d, ConstantPad2d, Flatten, Forward, PixelShuffle,
    PixelUnshuffle, ReflectionPad1d, ReflectionPad2d, ReplicationPad1d, ReplicationPad2d, Sequential, Unflatten,
    Upsample, UpsampleMode, UpsampleOptions, sequential,
};

/// Resizing, shuffling, padding and reshaping of sequences, images and volumes `[n, c, d..]`, each by random amounts.
///
/// ```
/// use nn::strategy::arrangements;
/// use proptest::prelude::*;
/// proptest!(ProptestConfig::with_cases(16), |(case in arrangements())| {
///     case.check_gradients().unwrap();
/// });
/// ```
pub fn arrangements() -> impl Strategy<Value = Case<Sequential>> {
    let layers = prop_oneof![3 => upsamples(), 1 => shuffles(), 2 => pads()];
    layers.prop_flat_map(|Made { layer, shape }| {
        leaves(Just(shape), Domain::Range(-2.0, 2.0)).prop_map(move |input| Case { module: layer(), input })
    })
}

/// How a layer is made, again for each case since layers are no clones; and the shape of its input.
struct Made {
    layer: Rc<dyn Fn() -> Sequential>,
    shape: Vec<usize>,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", (self.layer)(), self.shape)
    }
}

fn made<F: Forward + 'static>(layer: impl Fn() -> F + 'static, shape: Vec<usize>) -> Made {
    Made { layer: Rc::new(move || sequential![layer()]), shape }
}

fn shapes(dims: usize) -> impl Strategy<Value = Vec<usize>> {
    (0usize..3, 1usize..3, prop::collection::vec(1usize..5, dims)).prop_map(|(n, c, d)| [vec![n, c], d].concat())
}

fn upsamples() -> BoxedStrategy<Made> {
    use UpsampleMode::{Area, Bicubic, Bilinear, Linear, Nearest, NearestExact, Trilinear};
    let modes = vec![
        (Nearest, 1),
        (Nearest, 2),
        (NearestExact, 3),
        (Area, 2),
        (Linear, 1),
        (Bilinear, 2),
        (Bicubic, 2),
        (Trilinear, 3),
    ];
    let by = prop_oneof![
        prop::collection::vec(1usize..7, 3).prop_map(|size| (Some(size), None)),
        prop::collection::vec(1.0..2.5f64, 3).prop_map(|factors| (None, Some(factors))),
    ];
    let options = (select(modes), by, any::<bool>(), any::<bool>());
    options
        .prop_flat_map(|((mode, dims), (size, factors), corners, recompute)| {
            let factors_given = factors.is_some();
            let options = UpsampleOptions {
                size: size.map(|size| size[..dims].to_vec()),
                scale_factor: factors.map(|factors| factors[..dims].to_vec()),
                mode,
                align_corners: corners && matches!(mode, Linear | Bilinear | Bicubic | Trilinear),
                recompute_scale_factor: recompute && factors_given,
            };
            shapes(dims).prop_map(move |shape| {
                let options = options.clone();
                made(move || Upsample::with(options.clone()), shape)
            })
        })
        .boxed()
}

fn shuffles() -> BoxedStrategy<Made> {
    let shuffle = |(kind, r, mut shape): (usize, usize, Vec<usize>)| match kind {
        0 => {
            shape[1] *= r * r;
            made(move || PixelShuffle::new(r), shape)
        }
        1 => {
            shape[2] *= r;
            shape[3] *= r;
            made(move || PixelUnshuffle::new(r), shape)
        }
        2 => {
            shape[1] *= r;
            made(move || ChannelShuffle::new(r), shape)
        }
        3 => made(Flatten::new, shape),
        _ => {
            let width = shape[3] as isize;
            made(move || Unflatten::new(-1, [1, width, 1]), shape)
        }
    };
    (0usize..5, 1usize..3, shapes(2)).prop_map(shuffle).boxed()
}

fn pads() -> BoxedStrategy<Made> {
    // No wider than every size allows: mirroring needs one element more than it adds.
    let widths = prop::collection::vec(0isize..3, 4).prop_map(|w| [w[0], w[1], w[2], w[3]]);
    let shapes = prop::collection::vec(3usize..5, 2)
        .prop_flat_map(|d| (0usize..3, 1usize..3).prop_map(move |(n, c)| [vec![n, c], d.clone()].concat()));
    let pad = |(kind, four, mut shape): (usize, [isize; 4], Vec<usize>)| {
        let two = [four[0], four[1]];
        if kind < 4 {
            shape.truncate(3);
        }
        match kind {
            0 => made(move || ConstantPad1d::new([1 - two[0], two[1]], 0.5), shape),
            1 => made(move || ReflectionPad1d::new(two), shape),
            2 => made(move || ReplicationPad1d::new(two), shape),
            3 => made(move || CircularPad1d::new(two), shape),
            4 => made(move || ConstantPad2d::new([four[0], 1 - four[1], four[2], four[3]], 0.5), shape),
            5 => made(move || ReflectionPad2d::new(four), shape),
            6 => made(move || ReplicationPad2d::new(four), shape),
            _ => made(move || CircularPad2d::new(four), shape),
        }
    };
    (0usize..8, widths, shapes).prop_map(pad).boxed()
}
