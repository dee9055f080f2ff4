//! Positions as sines and cosines.

use autograd::Var;
use tensor::{DType, Tensor};

use super::{Last, add_rows, angles, rates, sequence_dim};
use crate::layers::printed;
use crate::{Forward, Module};

/// Options of [`SinusoidalPositions`].
#[derive(Debug, Clone, Copy)]
pub struct SinusoidalPositionsOptions {
    /// The ratio of the longest wave to the shortest (default: 10000).
    pub base: f64,
    /// The dimension of the input that counts positions (default: -2, for `[.., t, d]`; 0 for `[t, b, d]`).
    pub seq_dim: isize,
}

impl Default for SinusoidalPositionsOptions {
    fn default() -> SinusoidalPositionsOptions {
        SinusoidalPositionsOptions { base: 10000.0, seq_dim: -2 }
    }
}

/// `y = x + p` with `p[i, 2j] = sin(i / base^(2j / d))` and `p[i, 2j + 1] = cos(i / base^(2j / d))`.
///
/// There is nothing to learn and no longest input. The vector of a position that is `k` further on is a linear function,
/// which depends on `k` only.
///
/// # Shape
/// `[.., t, d] -> [.., t, d]`. When `d` is odd the last pair is a sine alone.
///
/// # Numerics
/// Computed in f64, then rounded to the dtype of the input.
///
/// # Source
/// Vaswani et al., "Attention Is All You Need", 2017, section 3.5.
///
/// ```
/// use nn::prelude::*;
///
/// let positions = SinusoidalPositions::new(2);
/// let y = positions.forward(&Var::new(Tensor::zeros([3, 2], DType::F64)));
/// assert_eq!(y.to_vec::<f64>(), [0.0, 1.0, 1f64.sin(), 1f64.cos(), 2f64.sin(), 2f64.cos()]);
/// assert_eq!(positions.to_string(), "SinusoidalPositions(2, base=10000.0)");
/// ```
#[derive(Debug, Module)]
#[module(repr = SinusoidalPositions::repr)]
pub struct SinusoidalPositions {
    #[module(config)]
    d: usize,
    #[module(config)]
    options: SinusoidalPositionsOptions,
    #[module(config)]
    last: Last<Tensor>,
}

impl SinusoidalPositions {
    /// Positions for inputs of `d` features.
    pub fn new(d: usize) -> SinusoidalPositions {
        SinusoidalPositions::with(d, SinusoidalPositionsOptions::default())
    }

    /// Positions with options.
    ///
    /// # Panics
    /// When the base is not a positive number.
    #[track_caller]
    pub fn with(d: usize, options: SinusoidalPositionsOptions) -> SinusoidalPositions {
        let base = options.base;
        assert!(base > 0.0 && base.is_finite(), "SinusoidalPositions: the base is not a positive number, {base}");
        SinusoidalPositions { d, options, last: Last::new() }
    }

    /// The vectors of `len` positions from `offset` on: `[len, d]`.
    pub fn table(&self, offset: usize, len: usize, dtype: DType) -> Tensor {
        let compute = || {
            let angles = angles(offset, len, &rates(self.options.base, self.d));
            let pairs = Tensor::stack(&[angles.sin(), angles.cos()], -1).reshape([len, 2 * self.d.div_ceil(2)]);
            pairs.narrow(1, 0, self.d).to_dtype(dtype)
        };
        self.last.get((offset, len, dtype), compute)
    }

    /// The forward pass of an input whose first position is `offset`: what is decoded after `offset` others.
    ///
    /// # Panics
    /// When the input has another width or no dimension for positions.
    #[track_caller]
    pub fn forward_at(&self, x: &Var, offset: usize) -> Var {
        let dim = sequence_dim("SinusoidalPositions", x, self.d, self.options.seq_dim);
        add_rows(x, &Var::new(self.table(offset, x.shape()[dim], x.dtype())), dim)
    }

    fn repr(&self) -> String {
        format!("{}, base={}", self.d, printed::float(self.options.base))
    }
}

impl Forward for SinusoidalPositions {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.forward_at(input, 0)
    }
}
