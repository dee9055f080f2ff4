//! Modules, layers, losses and initial values, with PyTorch's names, keys and defaults.
//!
//! A model is a struct of layers that derives [`Module`]; [`prelude`] is the one import it needs. There is no global
//! registry: a layer owns its parameters, and a [`Parameter`] is a shared handle, so that an optimizer built from
//! [`Module::parameters`] updates the model.
//!
//! Each layer is made by `Layer::new(sizes..)` with PyTorch's defaults, or by
//! `Layer::with(sizes.., LayerOptions { .., ..Default::default() })`.

// The derive macro writes paths that start with `::nn`, here too.
extern crate self as nn;

mod activation;
mod attention;
mod check;
mod dropout;
mod embedding;
mod field;
pub mod functional;
pub mod init;
mod layer_norm;
mod linear;
mod loss;
mod module;
mod parameter;
pub mod prelude;
mod sequential;
mod state;
#[cfg(feature = "proptest")]
pub mod strategy;

pub use nn_derive::Module;
pub use tensor::{CrossEntropy, Reduction};

pub use activation::{Approximate, GELU, LogSoftmax, ReLU, SiLU, Sigmoid, Softmax, Tanh};
pub use attention::{AttentionMasks, MultiheadAttention, MultiheadAttentionOptions};
pub use check::{ParameterMismatch, gradcheck_parameters};
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingOptions};
pub use field::{Field, Member};
pub use layer_norm::{LayerNorm, LayerNormOptions};
pub use linear::{Linear, LinearOptions};
pub use loss::{CrossEntropyLoss, MSELoss};
pub use module::{AsModule, Forward, Module};
pub use parameter::{Buffer, Parameter, Training};
pub use sequential::{Flatten, FlattenOptions, Identity, Sequential};
pub use state::{LoadError, LoadOptions, LoadReport, StateDict};
