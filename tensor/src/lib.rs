//! Strided n-dimensional arrays: the value type under everything in Gradus.
//!
//! This crate knows no gradients, and it is the only one with `unsafe` code (all of it in `kernels`, `mapping`, `memory`
//! and `storage`). [`Tensor`] is a value: cheap to clone, copied when a shared one is written, with views that cost
//! nothing.
//!
//! ```
//! use tensor::{DType, Tensor};
//! let x = Tensor::arange(0.0, 6.0, 1.0, DType::F32).reshape([2, 3]);
//! let y = x.matmul(&x.t()) + 1.0;
//! assert_eq!(y.to_vec::<f32>(), [6.0, 15.0, 15.0, 51.0]);
//! ```

mod display;
mod dtype;
mod error;
pub mod io;
mod kernels;
mod layout;
mod mapping;
pub mod memory;
mod ops;
mod quantized;
pub mod random;
pub mod safetensors;
mod shape;
mod storage;
mod tensor;

pub use dtype::{DType, Element};
pub use error::{Error, ErrorKind, Result};
pub use half::{bf16, f16};
pub use kernels::limits;
pub use kernels::optimizer::{ElementStep, Real, Steps};
pub use kernels::parallel::{num_threads, set_num_threads};
pub use ops::division::RoundingMode;
pub use ops::einsum;
pub use ops::indices::{Ellipsis, Index, Indices, NewAxis, slice};
#[cfg(feature = "linalg")]
pub use ops::linalg::{QrMode, Triangle, Triangular, power_by_squaring, solves_for_vector};
pub use ops::matmul::matmul_shape;
pub use ops::nn::attention::Attention;
pub use ops::nn::conv::{Conv, ConvPadding, ConvTranspose};
pub use ops::nn::cross_entropy::{CrossEntropy, Reduction};
pub use ops::nn::pool::{AvgPool, MaxPool};
pub use ops::nn::spatial::PerDim;
pub use ops::nn::{BatchNorm, BatchNormed, Ctc, Interpolate, InterpolateMode, PairLoss, SELU};
pub use ops::pad::Padding;
pub use ops::parts::{Cuts, Sizes};
pub use ops::repeat::Repeats;
pub use ops::scatter::ScatterReduce;
pub use ops::sequence::Indexing;
pub use ops::unique::Unique;
pub use quantized::{Precision, QuantizedMatrix};
pub use random::{DrawKey, Generator, manual_seed};
pub use shape::{Dims, ReshapeTarget, Shape, Whole, broadcast_shapes, resolve_dim};
pub use tensor::Tensor;
