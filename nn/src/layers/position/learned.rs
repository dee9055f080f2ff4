//! Positions as learned vectors.

use autograd::Var;
use tensor::DType;

use super::{add_rows, sequence_dim};
use crate::{Forward, Module, Parameter, init};

/// Options of [`LearnedPositions`].
#[derive(Debug, Clone, Copy)]
pub struct LearnedPositionsOptions {
    /// The standard deviation of the initial values (default: 1, as in [`Embedding`](crate::Embedding)).
    pub std: f64,
    /// The dimension of the input that counts positions (default: -2, for `[.., t, d]`; 0 for `[t, b, d]`).
    pub seq_dim: isize,
    /// The dtype of the table (default: f32).
    pub dtype: DType,
}

impl Default for LearnedPositionsOptions {
    fn default() -> LearnedPositionsOptions {
        LearnedPositionsOptions { std: 1.0, seq_dim: -2, dtype: DType::F32 }
    }
}

/// `yᵢ = xᵢ + weight[offset + i]`: each position has a vector of its own, which is learned.
///
/// # Shape
/// `[.., t, d] -> [.., t, d]` with `offset + t <= max_len`; `weight` is `[max_len, d]`.
///
/// # Source
/// Gehring et al., "Convolutional Sequence to Sequence Learning", 2017, section 3.1; Vaswani et al., "Attention Is All You
/// Need", 2017, section 3.5.
///
/// ```
/// use nn::prelude::*;
///
/// let positions = LearnedPositions::new(10, 4);
/// let x = Var::new(Tensor::zeros([2, 3, 4], DType::F32));
/// assert!(positions.forward(&x).value().select(0, 1).bit_eq(&positions.weight.value().narrow(0, 0, 3)));
/// assert_eq!(positions.to_string(), "LearnedPositions(10, 4)");
/// ```
#[derive(Debug, Module)]
#[module(repr = LearnedPositions::repr)]
pub struct LearnedPositions {
    /// `[max_len, d]`.
    pub weight: Parameter,
    #[module(config)]
    seq_dim: isize,
}

impl LearnedPositions {
    /// Vectors of `d` features for `max_len` positions.
    pub fn new(max_len: usize, d: usize) -> LearnedPositions {
        LearnedPositions::with(max_len, d, LearnedPositionsOptions::default())
    }

    /// Learned positions with options.
    pub fn with(max_len: usize, d: usize, options: LearnedPositionsOptions) -> LearnedPositions {
        let weight = init::empty_parameter([max_len, d], options.dtype);
        init::normal_(&weight, 0.0, options.std);
        LearnedPositions { weight, seq_dim: options.seq_dim }
    }

    /// The forward pass of an input whose first position is `offset`: what is decoded after `offset` others.
    ///
    /// # Panics
    /// When the input has another width or no dimension for positions, or reaches beyond the last one.
    #[track_caller]
    pub fn forward_at(&self, x: &Var, offset: usize) -> Var {
        let (max_len, d) = (self.weight.dim(0), self.weight.dim(1));
        let dim = sequence_dim("LearnedPositions", x, d, self.seq_dim);
        let t = x.shape()[dim];
        assert!(
            offset.checked_add(t).is_some_and(|end| end <= max_len),
            "LearnedPositions: the input reaches beyond the last position\n  input {}   offset {offset}   rule offset + {t} <= {max_len}",
            x.shape()
        );
        add_rows(x, &self.weight.narrow(0, offset, t), dim)
    }

    fn repr(&self) -> String {
        format!("{}, {}", self.weight.dim(0), self.weight.dim(1))
    }
}

impl Forward for LearnedPositions {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.forward_at(input, 0)
    }
}
