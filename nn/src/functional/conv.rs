//! Convolutions.

use autograd::Var;
use tensor::{Conv, ConvTranspose};

/// [`Var::conv1d`].
#[track_caller]
pub fn conv1d(input: &Var, weight: &Var, bias: Option<&Var>, options: &Conv) -> Var {
    input.conv1d(weight, bias, options)
}

/// [`Var::conv2d`].
#[track_caller]
pub fn conv2d(input: &Var, weight: &Var, bias: Option<&Var>, options: &Conv) -> Var {
    input.conv2d(weight, bias, options)
}

/// [`Var::conv_transpose1d`].
#[track_caller]
pub fn conv_transpose1d(input: &Var, weight: &Var, bias: Option<&Var>, options: &ConvTranspose) -> Var {
    input.conv_transpose1d(weight, bias, options)
}

/// [`Var::conv_transpose2d`].
#[track_caller]
pub fn conv_transpose2d(input: &Var, weight: &Var, bias: Option<&Var>, options: &ConvTranspose) -> Var {
    input.conv_transpose2d(weight, bias, options)
}
