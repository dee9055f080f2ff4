//! The one import that a model needs.
//!
//! ```
//! use nn::prelude::*;
//!
//! #[derive(Module)]
//! struct Net {
//!     hidden: Linear,
//!     out: Linear,
//! }
//!
//! impl Forward for Net {
//!     fn forward(&self, x: &Var) -> Var {
//!         self.out.forward(&self.hidden.forward(x).relu())
//!     }
//! }
//!
//! let net = Net { hidden: Linear::new(4, 8), out: Linear::new(8, 3) };
//! let x = Var::new(Tensor::randn([16, 4], DType::F32));
//! let target = Tensor::randint(0, 3, [16]);
//! CrossEntropyLoss::new().forward(&net.forward(&x), &target).backward();
//! assert!(net.parameters().iter().all(|parameter| parameter.grad().is_some()));
//! ```

pub use autograd::{Var, no_grad};
pub use tensor::{DType, Tensor, manual_seed};

pub use crate::{
    Approximate, AttentionMasks, Buffer, CrossEntropy, CrossEntropyLoss, Dropout, Embedding, EmbeddingOptions, Flatten,
    FlattenOptions, Forward, GELU, Identity, LayerNorm, LayerNormOptions, Linear, LinearOptions, LogSoftmax, MSELoss,
    Module, MultiheadAttention, MultiheadAttentionOptions, Parameter, ReLU, Reduction, Sequential, SiLU, Sigmoid,
    Softmax, StateDict, Tanh, Training, functional, init, sequential,
};
