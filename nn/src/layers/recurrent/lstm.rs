//! The long short-term memory.

use autograd::Var;
use tensor::DType;

use super::stack::{Options, Stack, Step, Weights, stacked};
use crate::utils::rnn::PackedSequence;

/// Options of [`LSTM`].
#[derive(Debug, Clone, Copy)]
pub struct LSTMOptions {
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
    /// The features that the hidden state is projected to; 0 projects nothing (default: 0).
    pub proj_size: usize,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for LSTMOptions {
    fn default() -> LSTMOptions {
        LSTMOptions {
            num_layers: 1,
            bias: true,
            batch_first: false,
            dropout: 0.0,
            bidirectional: false,
            proj_size: 0,
            dtype: DType::F32,
        }
    }
}

/// Long short-term memory, layer upon layer, perhaps in both directions:
///
/// ```text
/// i, f, g, o = W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh
/// cₜ = σ(f) cₜ₋₁ + σ(i) tanh(g)
/// hₜ = σ(o) tanh(cₜ)                    (with proj_size: hₜ = W_hr σ(o) tanh(cₜ))
/// ```
///
/// The parameters `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, `weight_hr_l0`, then those of `_l0_reverse`, of
/// `_l1` and so on start uniform on ±1/√hidden_size; the four gates stand below each other in the order above.
///
/// # Shape
/// `[t, b, input_size]` (`[b, t, ..]` with `batch_first`; `[t, ..]` without a batch) `-> [t, b, directions h]` with `h` =
/// `proj_size` or `hidden_size`; the states are `[num_layers directions, b, h]` and `[num_layers directions, b,
/// hidden_size]` (without `b` where the input has none). With two directions, the features of the forward one come first.
///
/// # Panics
/// In the forward pass, when the input or a state does not fit, or the sequence has no steps.
///
/// # Source
/// Hochreiter, Schmidhuber, "Long Short-Term Memory", 1997, with the forget gate of Gers, Schmidhuber, Cummins, "Learning to
/// Forget", 2000; the projection is that of Sak, Senior, Beaufays, 2014, equations 1 to 7.
///
/// ```
/// use nn::prelude::*;
///
/// let lstm = LSTM::with(3, 4, LSTMOptions { num_layers: 2, batch_first: true, ..Default::default() });
/// let x = Var::new(Tensor::ones([2, 7, 3], DType::F32));
/// let (y, (h, c)) = lstm.forward(&x, None);
/// assert_eq!((y.shape().to_vec(), h.shape().to_vec()), (vec![2, 7, 4], vec![2, 2, 4]));
/// let (more, _) = lstm.forward(&x, Some((&h, &c))); // goes on where it stopped
/// assert_eq!(more.shape(), [2, 7, 4]);
/// assert_eq!(lstm.to_string(), "LSTM(3, 4, num_layers=2, batch_first=True)");
/// ```
#[derive(Debug)]
pub struct LSTM {
    stack: Stack<LSTMStep>,
}

stacked!(LSTM);

#[derive(Debug)]
struct LSTMStep;

impl LSTM {
    /// One layer in one direction.
    ///
    /// # Panics
    /// As [`with`](LSTM::with).
    #[track_caller]
    pub fn new(input_size: usize, hidden_size: usize) -> LSTM {
        LSTM::with(input_size, hidden_size, LSTMOptions::default())
    }

    /// A network with options.
    ///
    /// # Panics
    /// When `input_size`, `hidden_size` or `num_layers` is 0, the probability of dropout is not in `0..=1`, or
    /// `proj_size` is not below `hidden_size`.
    #[track_caller]
    pub fn with(input_size: usize, hidden_size: usize, options: LSTMOptions) -> LSTM {
        let LSTMOptions { num_layers, bias, batch_first, dropout, bidirectional, proj_size, dtype } = options;
        let options = Options {
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            dtype,
        };
        LSTM { stack: Stack::new(LSTMStep, options) }
    }

    /// The last layer's hidden state at every step, and every layer's hidden and cell state after the last one. The states
    /// start as zeros where none are given.
    #[track_caller]
    pub fn forward(&self, input: &Var, state: Option<(&Var, &Var)>) -> (Var, (Var, Var)) {
        let (output, last) = self.stack.forward(input, &both(state));
        (output, pair(last))
    }

    /// [`forward`](LSTM::forward) for sequences of different lengths.
    #[track_caller]
    pub fn forward_packed(&self, input: &PackedSequence, state: Option<(&Var, &Var)>) -> (PackedSequence, (Var, Var)) {
        let (output, last) = self.stack.forward_packed(input, &both(state));
        (output, pair(last))
    }
}

fn both<'a>(state: Option<(&'a Var, &'a Var)>) -> Vec<&'a Var> {
    state.into_iter().flat_map(|(h, c)| [h, c]).collect()
}

fn pair(states: Vec<Var>) -> (Var, Var) {
    let [h, c] = states.try_into().expect("a hidden and a cell state");
    (h, c)
}

/// The new hidden state (before a projection) and cell state.
pub(super) fn lstm_step(gates: &Var, c: &Var) -> (Var, Var) {
    let [i, f, g, o] = gates.chunk(4, -1).try_into().expect("four gates");
    let c = f.sigmoid() * c + i.sigmoid() * g.tanh();
    (o.sigmoid() * c.tanh(), c)
}

impl Step for LSTMStep {
    const NAME: &'static str = "LSTM";
    const GATES: usize = 4;
    const STATES: usize = 2;
    const JOINED_BIAS: bool = true;

    fn step(&self, gates: &Var, state: &[Var], weights: &Weights) -> Vec<Var> {
        let (h, c) = lstm_step(&(gates + state[0].linear(&weights.hh, None)), &state[1]);
        let h = match &weights.hr {
            Some(hr) => h.linear(hr, None),
            None => h,
        };
        vec![h, c]
    }
}
