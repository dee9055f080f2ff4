//! Convolutions and transposed convolutions.

mod conv1d;
mod conv2d;
mod conv_transpose;
mod settings;

pub use conv_transpose::*;
pub use conv1d::Conv1d;
pub use conv2d::Conv2d;
pub use settings::{ConvOptions, PaddingMode};
pub use tensor::ConvPadding;
