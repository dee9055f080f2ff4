//! Layers that only arrange: other shapes, other sizes, other places, and borders.

mod flatten;
mod pad;
mod shuffle;
mod upsample;

pub use flatten::*;
pub use pad::*;
pub use shuffle::*;
pub use upsample::*;
