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
pub use tensor::{DType, Interpolate, InterpolateMode, Padding, Tensor, manual_seed};

pub use crate::layers::*;
pub use crate::losses::*;
pub use crate::{
    Attention, Buffer, CrossEntropy, Ctc, Forward, Hooked, LoadOptions, Module, ModuleDict, ModuleList, Parameter,
    ParameterList, Reduction, Sequential, StateDict, Training, functional, init, load_file, save_file, sequential,
};
