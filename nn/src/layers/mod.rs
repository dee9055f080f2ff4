//! The layers, one family per file or folder.

mod activation;
mod arrange;
mod bilinear;
mod conv;
mod distance;
mod dropout;
mod embedding;
mod linear;
mod norm;
mod pool;
mod position;
pub(crate) mod printed;
mod recurrent;
mod transformer;

pub use activation::*;
pub use arrange::*;
pub use bilinear::*;
pub use conv::*;
pub use distance::*;
pub use dropout::*;
pub use embedding::*;
pub use linear::*;
pub use norm::*;
pub use pool::*;
pub use position::*;
pub use recurrent::*;
pub use transformer::*;
