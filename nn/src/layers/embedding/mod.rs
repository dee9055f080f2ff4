//! Tables of learned vectors.

mod bag;
mod table;

pub use bag::*;
pub use table::*;
