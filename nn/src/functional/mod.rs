//! The functions of `torch.nn.functional`. One that is a method of [`Var`](autograd::Var) is that method under PyTorch's
//! name, `F.relu(x)` is `functional::relu(&x)` and `x.relu()`; the others are defined here.

mod conv;
mod loss;
mod loss_likelihood;
mod loss_margin;
mod norm;
mod pool;

pub use conv::*;
pub use loss::*;
pub use loss_likelihood::*;
pub use loss_margin::*;
pub use norm::*;
pub use pool::*;
