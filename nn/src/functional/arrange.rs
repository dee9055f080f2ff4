//! Padding, resizing, and moving elements between channels and pixels.

use autograd::Var;
use tensor::{Interpolate, Padding, Tensor};

/// [`Var::pad`].
#[track_caller]
pub fn pad(input: &Var, pad: &[isize], mode: Padding) -> Var {
    input.pad(pad, mode)
}

/// [`Var::interpolate`].
#[track_caller]
pub fn interpolate(input: &Var, options: &Interpolate) -> Var {
    input.interpolate(options)
}

/// [`Var::pixel_shuffle`].
#[track_caller]
pub fn pixel_shuffle(input: &Var, upscale_factor: usize) -> Var {
    input.pixel_shuffle(upscale_factor)
}

/// [`Var::pixel_unshuffle`].
#[track_caller]
pub fn pixel_unshuffle(input: &Var, downscale_factor: usize) -> Var {
    input.pixel_unshuffle(downscale_factor)
}

/// [`Var::channel_shuffle`].
#[track_caller]
pub fn channel_shuffle(input: &Var, groups: usize) -> Var {
    input.channel_shuffle(groups)
}

/// [`Tensor::one_hot`].
#[track_caller]
pub fn one_hot(ids: &Tensor, classes: impl Into<Option<usize>>) -> Tensor {
    ids.one_hot(classes)
}
