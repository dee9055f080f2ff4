//! Losses: a prediction and a target in, a number out. Each is the function of [`functional`](crate::functional) with its
//! options, which documents formula, shapes and gradients.

mod class;
mod ctc;
mod likelihood;
mod margin;
mod regression;

pub use class::*;
pub use ctc::*;
pub use likelihood::*;
pub use margin::*;
pub use regression::*;

/// `new` and `Default` of the losses whose options all have defaults.
macro_rules! with_defaults {
    ($($loss:ident($options:ty)),* $(,)?) => {$(
        impl $loss {
            /// The loss with PyTorch's defaults.
            pub fn new() -> $loss {
                $loss::with(<$options>::default())
            }
        }

        impl Default for $loss {
            fn default() -> $loss {
                $loss::new()
            }
        }
    )*};
}
use with_defaults;
