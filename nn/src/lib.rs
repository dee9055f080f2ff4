//! Modules, layers, losses and initial values, with PyTorch's names, keys and defaults.
//!
//! A model is a struct of layers that derives [`Module`]; [`prelude`] is the one import it needs. There is no global
//! registry: a layer owns its parameters, and a [`Parameter`] is a shared handle, so that an optimizer built from
//! [`Module::parameters`] updates the model.
//!
//! Each layer is made by `Layer::new(sizes..)` with PyTorch's defaults, or by
//! `Layer::with(sizes.., LayerOptions { .., ..Default::default() })`.
//!
//! | place | holds |
//! | --- | --- |
//! | [`Module`], [`Forward`], [`Parameter`], [`Buffer`] | what a model is: names, state dicts, modes, the printed tree |
//! | [`Sequential`], [`ModuleList`], [`ModuleDict`], [`Hooked`] | modules of modules, and hooks |
//! | layers and losses | [`Linear`] to [`Transformer`], [`MSELoss`] to [`CTCLoss`], at the root of the crate |
//! | [`functional`] | the same as functions, under the names of `torch.nn.functional` |
//! | [`init`] | initial values |
//! | [`utils`] | clipping, computed weights, packed sequences, averages of weights |
//! | [`lora`] | low-rank adapters |
//! | [`quantize`](mod@quantize) | weights in 8 or 4 bits |
//! | [`gradcheck_parameters`], `strategy` (feature `proptest`) | proof of a layer's gradients |
//!
//! # Differs
//! Some options of PyTorch's layers, losses and functions exist nowhere here: `inplace`, since no operation changes its
//! input; `device`, since there is one; and `size_average` and `reduce` of the losses, which PyTorch gave up for `reduction`.

// The derive macro writes paths that start with `::nn`, here too.
extern crate self as nn;

mod check;
pub mod functional;
pub mod init;
mod layers;
pub mod lora;
mod losses;
mod module;
pub mod prelude;
pub mod quantize;
#[cfg(feature = "proptest")]
pub mod strategy;
pub mod utils;

pub use nn_derive::Module;
pub use tensor::{Attention, CrossEntropy, Ctc, Interpolate, InterpolateMode, Padding, Reduction};

pub use check::{ParameterMismatch, gradcheck_parameters};
pub use layers::*;
pub use losses::*;
pub use module::*;
