//! Attention, and the transformer made of it.

mod attention;
mod block;
mod cache;
mod decoder;
mod encoder;
mod heads;
mod whole;

pub use attention::*;
pub use block::{Activation, TransformerLayerOptions};
pub use cache::*;
pub use decoder::*;
pub use encoder::*;
pub use whole::*;
