//! What PyTorch has in `torch.nn.utils` and `torch.optim.swa_utils`: functions of parameters and gradients, layers whose
//! weight is computed, and averages of weights.

mod average;
mod clip;
mod parametrized;
pub mod rnn;
mod spectral_norm;
mod vector;
mod weight_norm;

pub use average::{Average, AveragedModel};
pub use clip::{
    ClipOptions, NonFiniteNorm, clip_coefficient, clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_,
    get_total_norm,
};
pub use parametrized::{Parametrization, Parametrized, Weighted};
pub use spectral_norm::{SpectralNorm, SpectralNormOptions, spectral_norm};
pub use vector::{parameters_to_vector, vector_to_parameters};
pub use weight_norm::{WeightNorm, weight_norm};
