//! The gated recurrent unit.

use autograd::Var;
use tensor::DType;

use super::stack::{Options, Stack, Step, Weights, stacked};
use crate::utils::rnn::PackedSequence;

/// Options of [`GRU`].
#[derive(Debug, Clone, Copy)]
pub struct GRUOptions {
    /// Layers above each other (default: 1).
    pub num_layers: usize,
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

impl Default for GRUOptions {
    fn default() -> GRUOptions {
        GRUOptions {
            num_layers: 1,
            bias: true,
            batch_first: false,
            dropout: 0.0,
            bidirectional: false,
            dtype: DType::F32,
        }
    }
}

/// Gated recurrent units, layer upon layer, perhaps in both directions:
///
/// ```text
/// r = σ(W_ir xₜ + b_ir + W_hr hₜ₋₁ + b_hr)
/// z = σ(W_iz xₜ + b_iz + W_hz hₜ₋₁ + b_hz)
/// n = tanh(W_in xₜ + b_in + r (W_hn hₜ₋₁ + b_hn))
/// hₜ = (1 - z) n + z hₜ₋₁
/// ```
///
/// The parameters `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, then those of `_l0_reverse`, of `_l1` and so on
/// start uniform on ±1/√hidden_size; `r`, `z` and `n` stand below each other.
///
/// # Shape
/// As [`RNN`](crate::RNN).
///
/// # Panics
/// In the forward pass, when the input or the state does not fit, or the sequence has no steps.
///
/// # Source
/// Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", 2014,
/// section 2.3, with the reset gate after the product, as PyTorch has it.
///
/// ```
/// use nn::prelude::*;
///
/// let gru = GRU::new(3, 4);
/// let (y, h) = gru.forward(&Var::new(Tensor::ones([7, 2, 3], DType::F32)), None);
/// assert_eq!((y.shape().to_vec(), h.shape().to_vec()), (vec![7, 2, 4], vec![1, 2, 4]));
/// assert_eq!(gru.to_string(), "GRU(3, 4)");
/// ```
#[derive(Debug)]
pub struct GRU {
    stack: Stack<GRUStep>,
}

stacked!(GRU);

#[derive(Debug)]
struct GRUStep;

impl GRU {
    /// One layer in one direction.
    ///
    /// # Panics
    /// As [`with`](GRU::with).
    #[track_caller]
    pub fn new(input_size: usize, hidden_size: usize) -> GRU {
        GRU::with(input_size, hidden_size, GRUOptions::default())
    }

    /// A network with options.
    ///
    /// # Panics
    /// When `input_size`, `hidden_size` or `num_layers` is 0, or the probability of dropout is not in `0..=1`.
    #[track_caller]
    pub fn with(input_size: usize, hidden_size: usize, options: GRUOptions) -> GRU {
        let GRUOptions { num_layers, bias, batch_first, dropout, bidirectional, dtype } = options;
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
        GRU { stack: Stack::new(GRUStep, options) }
    }

    /// The last layer's hidden state at every step, and every layer's after the last one. The state starts as zeros where
    /// none is given.
    #[track_caller]
    pub fn forward(&self, input: &Var, state: Option<&Var>) -> (Var, Var) {
        let (output, mut last) = self.stack.forward(input, state.as_slice());
        (output, last.remove(0))
    }

    /// [`forward`](GRU::forward) for sequences of different lengths.
    #[track_caller]
    pub fn forward_packed(&self, input: &PackedSequence, state: Option<&Var>) -> (PackedSequence, Var) {
        let (output, mut last) = self.stack.forward_packed(input, state.as_slice());
        (output, last.remove(0))
    }
}

/// The new hidden state from both parts of the gates.
pub(super) fn gru_step(input: &Var, hidden: &Var, h: &Var) -> Var {
    let [ir, iz, i_n] = input.chunk(3, -1).try_into().expect("three gates");
    let [hr, hz, hn] = hidden.chunk(3, -1).try_into().expect("three gates");
    let (r, z) = ((ir + hr).sigmoid(), (iz + hz).sigmoid());
    let n = (i_n + r * hn).tanh();
    &n + z * (h - &n)
}

impl Step for GRUStep {
    const NAME: &'static str = "GRU";
    const GATES: usize = 3;
    const STATES: usize = 1;
    const JOINED_BIAS: bool = false;

    fn step(&self, gates: &Var, state: &[Var], weights: &Weights) -> Vec<Var> {
        let bias = weights.biases.as_ref().map(|[_, hh]| &**hh);
        let hidden = state[0].linear(&weights.hh, bias);
        vec![gru_step(gates, &hidden, &state[0])]
    }
}
