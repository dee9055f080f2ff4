//! The fused functions of neural networks: each one pass over memory where composed operations need several.

mod activation;
pub(crate) mod attention;
pub(crate) mod cross_entropy;
mod dropout;
mod layer_norm;
mod nll_loss;
mod optimizer;
mod pair_loss;
mod piecewise;
mod smooth;
mod softmax;

pub use optimizer::{AdamStep, SgdStep};
pub use pair_loss::PairLoss;
pub use smooth::SELU;
