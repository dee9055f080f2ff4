//! Recurrent networks.

use proptest::prelude::*;

use super::{Case, cases_in, sizes};
use crate::{GRU, GRUOptions, LSTM, LSTMOptions, Module, Nonlinearity, RNN, RNNOptions};

/// What every recurrent network can be told, and the steps and sequences of its input.
#[derive(Debug, Clone, Copy)]
struct Configuration {
    input: usize,
    hidden: usize,
    num_layers: usize,
    bias: bool,
    batch_first: bool,
    bidirectional: bool,
    steps: usize,
    /// None: one sequence, without a dimension for the batch.
    batch: Option<usize>,
}

impl Configuration {
    fn shape(&self) -> Vec<usize> {
        match self.batch {
            None => vec![self.steps, self.input],
            Some(batch) if self.batch_first => vec![batch, self.steps, self.input],
            Some(batch) => vec![self.steps, batch, self.input],
        }
    }
}

fn configurations() -> impl Strategy<Value = Configuration> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let size = (sizes(), 2usize..4, 1usize..3);
    (size, flags, 1usize..4, prop::option::of(1usize..3)).prop_map(
        |((input, hidden, num_layers), (bias, batch_first, bidirectional), steps, batch)| Configuration {
            input,
            hidden,
            num_layers,
            bias,
            batch_first,
            bidirectional,
            steps,
            batch,
        },
    )
}

/// Networks made of random configurations, with inputs of a few steps.
fn networks<M: Module>(build: impl Fn(&Configuration) -> M) -> impl Strategy<Value = Case<M>> {
    cases_in(Just(vec![]), configurations(), move |configuration| (build(configuration), configuration.shape()))
}

/// RNNs with tanh.
pub fn rnns() -> impl Strategy<Value = Case<RNN>> {
    networks(|&Configuration { input, hidden, num_layers, bias, batch_first, bidirectional, .. }| {
        let nonlinearity = Nonlinearity::Tanh;
        let options = RNNOptions { num_layers, nonlinearity, bias, batch_first, bidirectional, ..Default::default() };
        RNN::with(input, hidden, options)
    })
}

/// LSTMs; those with an odd number of input features project their hidden state.
pub fn lstms() -> impl Strategy<Value = Case<LSTM>> {
    networks(|&Configuration { input, hidden, num_layers, bias, batch_first, bidirectional, .. }| {
        let proj_size = if input % 2 == 1 { hidden - 1 } else { 0 };
        let options = LSTMOptions { num_layers, bias, batch_first, bidirectional, proj_size, ..Default::default() };
        LSTM::with(input, hidden, options)
    })
}

/// GRUs.
pub fn grus() -> impl Strategy<Value = Case<GRU>> {
    networks(|&Configuration { input, hidden, num_layers, bias, batch_first, bidirectional, .. }| {
        let options = GRUOptions { num_layers, bias, batch_first, bidirectional, ..Default::default() };
        GRU::with(input, hidden, options)
    })
}
