//! The recurrent network of one nonlinearity.

use autograd::Var;
use tensor::DType;

use super::stack::{Options, Stack, Step, Weights, stacked};
use crate::utils::rnn::PackedSequence;

/// The function of an [`RNN`]'s step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Nonlinearity {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// `max(x, 0)`.
    ReLU,
}

impl Nonlinearity {
    pub(super) fn apply(self, x: &Var) -> Var {
        match self {
            Nonlinearity::Tanh => x.tanh(),
            Nonlinearity::ReLU => x.relu(),
        }
    }
}

/// Options of [`RNN`].
#[derive(Debug, Clone, Copy)]
pub struct RNNOptions {
    /// Layers above each other (default: 1).
    pub num_layers: usize,
    /// The function of a step (default: tanh).
    pub nonlinearity: Nonlinearity,
    /// Whether there are biases (default: true).
    pub bias: bool,
    /// Whether the batch is the first dimension of input and output, and not the second (default: false).
    pub batch_first: bool,
    /// The probability of dropout between the layers, in training (default: 0).
    pub dropout: f64,
    /// Whether a second network reads the sequence backwards (default: false).
    pub bidirectional: bool,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for RNNOptions {
    fn default() -> RNNOptions {
        RNNOptions {
            num_layers: 1,
            nonlinearity: Nonlinearity::Tanh,
            bias: true,
            batch_first: false,
            dropout: 0.0,
            bidirectional: false,
            dtype: DType::F32,
        }
    }
}

/// `hₜ = tanh(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)`, layer upon layer, perhaps in both directions.
///
/// The parameters `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, then those of `_l0_reverse`, of `_l1` and so on
/// start uniform on ±1/√hidden_size.
///
/// # Shape
/// `[t, b, input_size]` (`[b, t, ..]` with `batch_first`; `[t, ..]` without a batch) `-> [t, b, directions hidden_size]`;
/// the states are `[num_layers directions, b, hidden_size]` (without `b` where the input has none). With two directions,
/// the features of the forward one come first.
///
/// # Panics
/// In the forward pass, when the input or the state does not fit, or the sequence has no steps.
///
/// # Source
/// Elman, "Finding Structure in Time", 1990.
///
/// ```
/// use nn::prelude::*;
///
/// let rnn = RNN::with(3, 4, RNNOptions { bidirectional: true, ..Default::default() });
/// let (y, h) = rnn.forward(&Var::new(Tensor::ones([7, 2, 3], DType::F32)), None);
/// assert_eq!((y.shape().to_vec(), h.shape().to_vec()), (vec![7, 2, 8], vec![2, 2, 4]));
/// assert_eq!(rnn.to_string(), "RNN(3, 4, bidirectional=True)");
/// ```
#[derive(Debug)]
pub struct RNN {
    stack: Stack<RNNStep>,
}

stacked!(RNN);

#[derive(Debug)]
struct RNNStep(Nonlinearity);

impl RNN {
    /// One layer in one direction with tanh.
    ///
    /// # Panics
    /// As [`with`](RNN::with).
    #[track_caller]
    pub fn new(input_size: usize, hidden_size: usize) -> RNN {
        RNN::with(input_size, hidden_size, RNNOptions::default())
    }

    /// A network with options.
    ///
    /// # Panics
    /// When `input_size`, `hidden_size` or `num_layers` is 0, or the probability of dropout is not in `0..=1`.
    #[track_caller]
    pub fn with(input_size: usize, hidden_size: usize, options: RNNOptions) -> RNN {
        let RNNOptions { num_layers, nonlinearity, bias, batch_first, dropout, bidirectional, dtype } = options;
        let options = Options {
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size: 0,
            dtype,
        };
        RNN { stack: Stack::new(RNNStep(nonlinearity), options) }
    }

    /// The last layer's hidden state at every step, and every layer's after the last one. The state starts as zeros where
    /// none is given.
    #[track_caller]
    pub fn forward(&self, input: &Var, state: Option<&Var>) -> (Var, Var) {
        let (output, mut last) = self.stack.forward(input, state.as_slice());
        (output, last.remove(0))
    }

    /// [`forward`](RNN::forward) for sequences of different lengths.
    #[track_caller]
    pub fn forward_packed(&self, input: &PackedSequence, state: Option<&Var>) -> (PackedSequence, Var) {
        let (output, mut last) = self.stack.forward_packed(input, state.as_slice());
        (output, last.remove(0))
    }
}

impl Step for RNNStep {
    const NAME: &'static str = "RNN";
    const GATES: usize = 1;
    const STATES: usize = 1;
    const JOINED_BIAS: bool = true;

    fn step(&self, gates: &Var, state: &[Var], weights: &Weights) -> Vec<Var> {
        vec![self.0.apply(&(gates + state[0].linear(&weights.hh, None)))]
    }
}
