//! Attention, and the transformer made of it.

mod attention;

pub use attention::*;
