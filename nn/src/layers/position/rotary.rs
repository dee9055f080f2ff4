//! Positions as rotations of queries and keys (RoPE).

use autograd::Var;
use tensor::Tensor;

use super::{Last, RotaryScaling, angles, sequence_dim};
use crate::layers::printed;
use crate::{Forward, Module};

/// Options of [`RotaryPositions`].
#[derive(Debug, Clone, Copy)]
pub struct RotaryPositionsOptions {
    /// The ratio of the fastest rotation to the slowest (default: 10000).
    pub base: f64,
    /// How many of the features are rotated, from the first on; the others pass (default: all of them).
    pub rotary_dim: Option<usize>,
    /// Whether features `2j` and `2j + 1` are a pair, as in the paper and in GPT-J (default: true), or `j` and
    /// `j + rotary_dim / 2`, as in Llama and GPT-NeoX.
    pub interleaved: bool,
    /// How the rotations are slowed down for long texts (default: not at all).
    pub scaling: RotaryScaling,
}

impl Default for RotaryPositionsOptions {
    fn default() -> RotaryPositionsOptions {
        RotaryPositionsOptions { base: 10000.0, rotary_dim: None, interleaved: true, scaling: RotaryScaling::None }
    }
}

/// `(a, b) -> (a cos θ - b sin θ, a sin θ + b cos θ)` for each pair `j` of `r` features at position `i`, with
/// `θ = i base^(-2j / r)`, or what [`RotaryScaling`] makes of that.
///
/// Applied to the queries and the keys of each head, not to the values: a query at `i` and a key at `j` then have a
/// product that depends on `i - j` only.
///
/// # Shape
/// `[.., t, d] -> [.., t, d]`, where `d` is the size of a head: `[b, h, t, d]` for
/// [`Var::scaled_dot_product_attention`].
///
/// # Gradient
/// The rotation by `-θ`.
///
/// # Numerics
/// Angles, sines and cosines are computed in f64, then rounded to the dtype of the input.
///
/// # Differs
/// The base of [`RotaryScaling::Dynamic`] follows from the positions of each call alone. Hugging Face's keeps that of the
/// longest text seen until a text shorter than the original context comes.
///
/// # Source
/// Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021, section 3.2.2, equation 15, and
/// section 3.4.2, equation 34. Scaling: Chen et al., "Extending Context Window of Large Language Models via Positional
/// Interpolation", 2023 (linear); Peng et al., "YaRN", 2023, section 3.1 (NTK-aware); Grattafiori et al., "The Llama 3 Herd of
/// Models", 2024, section 3.2, whose model file has the formula.
///
/// ```
/// use nn::prelude::*;
///
/// let rotary = RotaryPositions::new(8);
/// let [q, k, v] = [0; 3].map(|_| Var::new(Tensor::randn([2, 4, 5, 8], DType::F32))); // [b, h, t, d]
/// let causal = Attention { is_causal: true, ..Default::default() };
/// let y = rotary.forward(&q).scaled_dot_product_attention(&rotary.forward(&k), &v, &causal);
/// assert_eq!(y.shape(), [2, 4, 5, 8]);
///
/// // With a cache of earlier keys, the sixth position alone:
/// let next = rotary.forward_at(&Var::new(Tensor::ones([2, 4, 1, 8], DType::F32)), 5);
/// assert_eq!(next.shape(), [2, 4, 1, 8]);
/// ```
#[derive(Debug, Module)]
#[module(repr = RotaryPositions::repr)]
pub struct RotaryPositions {
    #[module(config)]
    head_dim: usize,
    #[module(config)]
    rotary_dim: usize,
    #[module(config)]
    options: RotaryPositionsOptions,
    #[module(config)]
    last: Last<[Tensor; 2]>,
}

impl RotaryPositions {
    /// Rotations for heads of `head_dim` features.
    #[track_caller]
    pub fn new(head_dim: usize) -> RotaryPositions {
        RotaryPositions::with(head_dim, RotaryPositionsOptions::default())
    }

    /// Rotations with options.
    ///
    /// # Panics
    /// When the features to rotate are not in pairs or more than there are, the base is not a positive number, or the scaling
    /// has a [`problem`](RotaryScaling::problem).
    #[track_caller]
    pub fn with(head_dim: usize, options: RotaryPositionsOptions) -> RotaryPositions {
        let (base, rotary_dim) = (options.base, options.rotary_dim.unwrap_or(head_dim));
        assert!(base > 0.0 && base.is_finite(), "RotaryPositions: the base is not a positive number, {base}");
        if let Some(problem) = options.scaling.problem() {
            panic!("RotaryPositions: {problem}");
        }
        assert!(
            rotary_dim.is_multiple_of(2) && rotary_dim <= head_dim,
            "RotaryPositions: the features that rotate are no pairs of the head's\n  rotary_dim {rotary_dim}   head_dim {head_dim}"
        );
        RotaryPositions { head_dim, rotary_dim, options, last: Last::new() }
    }

    /// The angle by which each pair turns from a position to the next, in a text of `len` positions: Hugging Face's `inv_freq`.
    /// Only [`RotaryScaling::Dynamic`] looks at the length.
    pub fn rates(&self, len: usize) -> Vec<f64> {
        self.options.scaling.rates(self.options.base, self.rotary_dim, len)
    }

    /// The forward pass of an input whose first position is `offset`: what is decoded after `offset` others.
    ///
    /// # Panics
    /// When the input has another width or no dimension for positions.
    #[track_caller]
    pub fn forward_at(&self, x: &Var, offset: usize) -> Var {
        let dim = sequence_dim("RotaryPositions", x, self.head_dim, -2);
        let (t, r) = (x.shape()[dim], self.rotary_dim);
        let [cos, sin] = self.last.get((offset, t, x.dtype()), || {
            let angles = angles(offset, t, &self.rates(offset + t));
            [angles.cos().to_dtype(x.dtype()), angles.sin().to_dtype(x.dtype())]
        });
        let (cos, sin) = (Var::new(cos), Var::new(sin));
        let rotated = x.narrow(-1, 0, r);
        let interleaved = self.options.interleaved;
        let (a, b) = if interleaved {
            (rotated.slice(-1, 0, r, 2), rotated.slice(-1, r.min(1), r, 2))
        } else {
            (rotated.narrow(-1, 0, r / 2), rotated.narrow(-1, r / 2, r / 2))
        };
        let pairs = [&a * &cos - &b * &sin, &a * &sin + &b * &cos];
        let rotated = if interleaved { Var::stack(&pairs, -1).reshape(rotated.shape()) } else { Var::cat(&pairs, -1) };
        if r == self.head_dim { rotated } else { Var::cat(&[rotated, x.narrow(-1, r, self.head_dim - r)], -1) }
    }

    fn repr(&self) -> String {
        let RotaryPositions { head_dim, rotary_dim, options, .. } = self;
        let (base, interleaved) = (printed::float(options.base), printed::flag(options.interleaved));
        let scaling = options.scaling.repr();
        format!("{head_dim}, base={base}, rotary_dim={rotary_dim}, interleaved={interleaved}{scaling}")
    }
}

impl Forward for RotaryPositions {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.forward_at(input, 0)
    }
}
