//! The functions of `torch.nn.functional`, under its names. Many are a method of [`Var`](autograd::Var) as well:
//! `F.relu(x)` is `functional::relu(&x)` and `x.relu()`.
//!
//! Options that PyTorch takes one by one are structs here.
//!
//! # Differs
//! `mse_loss`, `l1_loss` and `huber_loss` take no `weight`: it is a factor of the losses with [`Reduction::None`](crate::Reduction).
//! The softmax functions take no `dtype`: `to_dtype` before them does the same. `interpolate` has no `antialias`.
//! There is no `multi_head_attention_forward`: it is the forward pass of [`MultiheadAttention`](crate::MultiheadAttention).
//!
//! ```
//! use nn::functional as F;
//! use nn::prelude::*;
//!
//! let (x, w) = (Var::new(Tensor::ones([2, 3], DType::F32)), Var::new(Tensor::ones([4, 3], DType::F32)));
//! let y = F::dropout(&F::relu(&F::linear(&x, &w, None)), 0.1, false);
//! assert_eq!(y.value().dims(), [2, 4]);
//! ```

mod activation;
mod arrange;
mod conv;
mod dropout;
mod embedding;
mod linear;
mod loss;
mod loss_likelihood;
mod loss_margin;
mod norm;
mod pool;
mod similarity;

pub use activation::*;
pub use arrange::*;
pub use conv::*;
pub use dropout::*;
pub use embedding::*;
pub use linear::*;
pub use loss::*;
pub use loss_likelihood::*;
pub use loss_margin::*;
pub use norm::*;
pub use pool::*;
pub use similarity::*;

pub(crate) use embedding::padding_row;
