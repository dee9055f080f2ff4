//! Normalisations.

mod batch_norm;
mod channels;
mod group_norm;
mod instance_norm;
mod layer_norm;
mod rms_norm;

pub use batch_norm::*;
pub use group_norm::*;
pub use instance_norm::*;
pub use layer_norm::*;
pub use rms_norm::*;
