//! The fused functions of neural networks: each one pass over memory where composed operations need several.

mod activation;
mod adaptive_pool;
pub(crate) mod attention;
mod batch_norm;
pub(crate) mod conv;
pub(crate) mod cross_entropy;
mod ctc_loss;
mod dropout;
mod group_norm;
mod interpolate;
mod layer_norm;
mod nll_loss;
mod optimizer;
mod pair_loss;
mod piecewise;
pub(crate) mod pool;
mod rms_norm;
mod similarity;
mod smooth;
mod softmax;
pub(crate) mod spatial;

pub use batch_norm::{BatchNorm, BatchNormed};
pub use ctc_loss::Ctc;
pub use interpolate::{Interpolate, InterpolateMode};
pub use pair_loss::PairLoss;
pub use smooth::SELU;
