//! The gated linear unit.

use autograd::Var;

use crate::{Forward, Module};

/// `y = a sigmoid(b)`, where `a` and `b` are the first and the second half of the input along a dimension.
///
/// # Shape
/// `[.., 2 n, ..] -> [.., n, ..]`.
///
/// # Panics
/// When the size of the dimension is odd.
///
/// # Source
/// Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2017, equation 1.
///
/// ```
/// use nn::prelude::*;
///
/// let y = GLU::new().forward(&Var::new(Tensor::from([[4f32, 0.0], [2.0, 0.0]])));
/// assert_eq!(y.value().to_vec::<f32>(), [2.0, 1.0]);
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = GLU::repr)]
pub struct GLU {
    #[module(config)]
    dim: isize,
}

impl GLU {
    /// The activation along the last dimension, PyTorch's default.
    pub fn new() -> GLU {
        GLU::with(-1)
    }

    /// The activation along `dim`, which may be negative.
    pub fn with(dim: isize) -> GLU {
        GLU { dim }
    }

    fn repr(&self) -> String {
        format!("dim={}", self.dim)
    }
}

impl Default for GLU {
    fn default() -> GLU {
        GLU::new()
    }
}

impl Forward for GLU {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.glu(self.dim)
    }
}
