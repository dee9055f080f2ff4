//! Recurrent networks: RNN, LSTM and GRU over whole sequences, padded or packed, and their cells.

mod cell;
mod gru;
mod lstm;
mod rnn;
mod stack;

pub use cell::{CellOptions, GRUCell, LSTMCell, RNNCell, RNNCellOptions};
pub use gru::{GRU, GRUOptions};
pub use lstm::{LSTM, LSTMOptions};
pub use rnn::{Nonlinearity, RNN, RNNOptions};
