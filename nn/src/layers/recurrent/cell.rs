//! Single steps of recurrent networks.

use autograd::Var;
use tensor::{DType, Tensor};

use super::Nonlinearity;
use super::gru::gru_step;
use super::lstm::lstm_step;
use crate::{Module, Parameter, init};

/// Options of [`LSTMCell`] and [`GRUCell`].
#[derive(Debug, Clone, Copy)]
pub struct CellOptions {
    /// Whether there are biases (default: true).
    pub bias: bool,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for CellOptions {
    fn default() -> CellOptions {
        CellOptions { bias: true, dtype: DType::F32 }
    }
}

/// Options of [`RNNCell`].
#[derive(Debug, Clone, Copy)]
pub struct RNNCellOptions {
    /// Whether there are biases (default: true).
    pub bias: bool,
    /// The function of the step (default: tanh).
    pub nonlinearity: Nonlinearity,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for RNNCellOptions {
    fn default() -> RNNCellOptions {
        RNNCellOptions { bias: true, nonlinearity: Nonlinearity::Tanh, dtype: DType::F32 }
    }
}

/// One step of an [`RNN`](crate::RNN): `h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`.
///
/// # Shape
/// input `[b, input_size]`, state `[b, hidden_size] -> [b, hidden_size]`, or all without `b`.
///
/// # Panics
/// In the forward pass, when the input or the state does not fit.
///
/// ```
/// use nn::prelude::*;
///
/// let cell = RNNCell::new(3, 4);
/// let mut h = Var::new(Tensor::zeros([2, 4], DType::F32));
/// for _ in 0..5 {
///     h = cell.forward(&Var::new(Tensor::ones([2, 3], DType::F32)), Some(&h));
/// }
/// assert_eq!(cell.to_string(), "RNNCell(3, 4)");
/// ```
#[derive(Debug, Module)]
#[module(repr = RNNCell::repr)]
pub struct RNNCell {
    /// `[hidden_size, input_size]`.
    pub weight_ih: Parameter,
    /// `[hidden_size, hidden_size]`.
    pub weight_hh: Parameter,
    /// `[hidden_size]`.
    pub bias_ih: Option<Parameter>,
    /// `[hidden_size]`.
    pub bias_hh: Option<Parameter>,
    #[module(config)]
    nonlinearity: Nonlinearity,
}

/// One step of an [`LSTM`](crate::LSTM).
///
/// # Shape
/// input `[b, input_size]`, states `[b, hidden_size]` each, and so the new ones; or all without `b`.
///
/// # Panics
/// In the forward pass, when the input or a state does not fit.
///
/// ```
/// use nn::prelude::*;
///
/// let cell = LSTMCell::new(3, 4);
/// let x = Var::new(Tensor::ones([2, 3], DType::F32));
/// let (h, c) = cell.forward(&x, None);
/// let (h, _) = cell.forward(&x, Some((&h, &c)));
/// assert_eq!(h.shape(), [2, 4]);
/// ```
#[derive(Debug, Module)]
#[module(repr = LSTMCell::repr)]
pub struct LSTMCell {
    /// `[4 hidden_size, input_size]`.
    pub weight_ih: Parameter,
    /// `[4 hidden_size, hidden_size]`.
    pub weight_hh: Parameter,
    /// `[4 hidden_size]`.
    pub bias_ih: Option<Parameter>,
    /// `[4 hidden_size]`.
    pub bias_hh: Option<Parameter>,
}

/// One step of a [`GRU`](crate::GRU).
///
/// # Shape
/// input `[b, input_size]`, state `[b, hidden_size] -> [b, hidden_size]`, or all without `b`.
///
/// # Panics
/// In the forward pass, when the input or the state does not fit.
///
/// ```
/// use nn::prelude::*;
///
/// let cell = GRUCell::new(3, 4);
/// let h = cell.forward(&Var::new(Tensor::ones([3], DType::F32)), None);
/// assert_eq!(h.shape(), [4]);
/// ```
#[derive(Debug, Module)]
#[module(repr = GRUCell::repr)]
pub struct GRUCell {
    /// `[3 hidden_size, input_size]`.
    pub weight_ih: Parameter,
    /// `[3 hidden_size, hidden_size]`.
    pub weight_hh: Parameter,
    /// `[3 hidden_size]`.
    pub bias_ih: Option<Parameter>,
    /// `[3 hidden_size]`.
    pub bias_hh: Option<Parameter>,
}

/// The four parameters of a cell.
fn parameters(
    gates: usize,
    input: usize,
    hidden: usize,
    bias: bool,
    dtype: DType,
) -> (Parameter, Parameter, Option<Parameter>, Option<Parameter>) {
    let bound = if hidden > 0 { 1.0 / (hidden as f64).sqrt() } else { 0.0 };
    let draw = |shape: &[usize]| {
        let parameter = init::empty_parameter(shape.to_vec(), dtype);
        init::uniform_(&parameter, -bound, bound);
        parameter
    };
    let rows = gates * hidden;
    let (ih, hh) = (draw(&[rows, input]), draw(&[rows, hidden]));
    (ih, hh, bias.then(|| draw(&[rows])), bias.then(|| draw(&[rows])))
}

/// The shape of the state for this input, which is checked, and the states themselves: zeros where none are given.
#[track_caller]
fn states(name: &str, ih: &Parameter, hh: &Parameter, input: &Var, given: &[&Var], count: usize) -> Vec<Var> {
    let (features, hidden) = (ih.dim(1), hh.dim(1));
    let shape = input.shape();
    assert!(
        (1..=2).contains(&shape.len()) && shape[shape.len() - 1] == features,
        "{name}: the input does not fit\n  input {shape}   rule [b, {features}] or [{features}]"
    );
    let rule = [&shape[..shape.len() - 1], &[hidden]].concat();
    if given.is_empty() {
        return (0..count).map(|_| Var::new(Tensor::zeros(rule.clone(), input.dtype()))).collect();
    }
    for state in given {
        assert!(
            state.shape() == rule[..],
            "{name}: a state does not fit\n  state {}   rule {rule:?}   input {shape}",
            state.shape()
        );
    }
    given.iter().map(|state| (*state).clone()).collect()
}

fn repr(ih: &Parameter, hh: &Parameter, bias: bool) -> String {
    format!("{}, {}{}", ih.dim(1), hh.dim(1), if bias { "" } else { ", bias=False" })
}

impl RNNCell {
    /// A step with biases and tanh.
    pub fn new(input_size: usize, hidden_size: usize) -> RNNCell {
        RNNCell::with(input_size, hidden_size, RNNCellOptions::default())
    }

    /// A step with options.
    pub fn with(input_size: usize, hidden_size: usize, options: RNNCellOptions) -> RNNCell {
        let RNNCellOptions { bias, nonlinearity, dtype } = options;
        let (weight_ih, weight_hh, bias_ih, bias_hh) = parameters(1, input_size, hidden_size, bias, dtype);
        RNNCell { weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity }
    }

    /// The next state; the one before is zeros where none is given.
    #[track_caller]
    pub fn forward(&self, input: &Var, state: Option<&Var>) -> Var {
        let h = states("RNNCell", &self.weight_ih, &self.weight_hh, input, state.as_slice(), 1).remove(0);
        let gates = input.linear(&self.weight_ih, self.bias_ih.as_deref());
        self.nonlinearity.apply(&(gates + h.linear(&self.weight_hh, self.bias_hh.as_deref())))
    }

    fn repr(&self) -> String {
        let text = repr(&self.weight_ih, &self.weight_hh, self.bias_ih.is_some());
        match self.nonlinearity {
            Nonlinearity::Tanh => text,
            Nonlinearity::ReLU => text + ", nonlinearity=relu",
        }
    }
}

impl LSTMCell {
    /// A step with biases.
    pub fn new(input_size: usize, hidden_size: usize) -> LSTMCell {
        LSTMCell::with(input_size, hidden_size, CellOptions::default())
    }

    /// A step with options.
    pub fn with(input_size: usize, hidden_size: usize, options: CellOptions) -> LSTMCell {
        let CellOptions { bias, dtype } = options;
        let (weight_ih, weight_hh, bias_ih, bias_hh) = parameters(4, input_size, hidden_size, bias, dtype);
        LSTMCell { weight_ih, weight_hh, bias_ih, bias_hh }
    }

    /// The next hidden and cell state; those before are zeros where none are given.
    #[track_caller]
    pub fn forward(&self, input: &Var, state: Option<(&Var, &Var)>) -> (Var, Var) {
        let given: Vec<&Var> = state.into_iter().flat_map(|(h, c)| [h, c]).collect();
        let states = states("LSTMCell", &self.weight_ih, &self.weight_hh, input, &given, 2);
        let gates = input.linear(&self.weight_ih, self.bias_ih.as_deref());
        lstm_step(&(gates + states[0].linear(&self.weight_hh, self.bias_hh.as_deref())), &states[1])
    }

    fn repr(&self) -> String {
        repr(&self.weight_ih, &self.weight_hh, self.bias_ih.is_some())
    }
}

impl GRUCell {
    /// A step with biases.
    pub fn new(input_size: usize, hidden_size: usize) -> GRUCell {
        GRUCell::with(input_size, hidden_size, CellOptions::default())
    }

    /// A step with options.
    pub fn with(input_size: usize, hidden_size: usize, options: CellOptions) -> GRUCell {
        let CellOptions { bias, dtype } = options;
        let (weight_ih, weight_hh, bias_ih, bias_hh) = parameters(3, input_size, hidden_size, bias, dtype);
        GRUCell { weight_ih, weight_hh, bias_ih, bias_hh }
    }

    /// The next state; the one before is zeros where none is given.
    #[track_caller]
    pub fn forward(&self, input: &Var, state: Option<&Var>) -> Var {
        let h = states("GRUCell", &self.weight_ih, &self.weight_hh, input, state.as_slice(), 1).remove(0);
        let gates = input.linear(&self.weight_ih, self.bias_ih.as_deref());
        gru_step(&gates, &h.linear(&self.weight_hh, self.bias_hh.as_deref()), &h)
    }

    fn repr(&self) -> String {
        repr(&self.weight_ih, &self.weight_hh, self.bias_ih.is_some())
    }
}
