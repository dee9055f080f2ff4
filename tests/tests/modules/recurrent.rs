//! Recurrent networks: every option, states given and not, packed lengths, and cells.

use nn::utils::rnn::{PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence};

use crate::harness::*;

/// What the three layers have in common, so that one list of cases serves them all.
trait Recurrent: Module {
    /// The output and the last states.
    fn run(&self, x: &Var, states: &[&Var]) -> (Var, Vec<Var>);
    fn run_packed(&self, x: &PackedSequence, states: &[&Var]) -> (PackedSequence, Vec<Var>);
}

macro_rules! one_state {
    ($layer:ty) => {
        impl Recurrent for $layer {
            fn run(&self, x: &Var, states: &[&Var]) -> (Var, Vec<Var>) {
                let (y, h) = self.forward(x, states.first().copied());
                (y, vec![h])
            }

            fn run_packed(&self, x: &PackedSequence, states: &[&Var]) -> (PackedSequence, Vec<Var>) {
                let (y, h) = self.forward_packed(x, states.first().copied());
                (y, vec![h])
            }
        }
    };
}
one_state!(RNN);
one_state!(GRU);

impl Recurrent for LSTM {
    fn run(&self, x: &Var, states: &[&Var]) -> (Var, Vec<Var>) {
        let (y, (h, c)) = self.forward(x, states.first().map(|h| (*h, states[1])));
        (y, vec![h, c])
    }

    fn run_packed(&self, x: &PackedSequence, states: &[&Var]) -> (PackedSequence, Vec<Var>) {
        let (y, (h, c)) = self.forward_packed(x, states.first().map(|h| (*h, states[1])));
        (y, vec![h, c])
    }
}

/// Padded input, with as many states as the case has.
fn padded<M: Recurrent>(layer: M) -> Case {
    module(layer, |m, x| {
        let states: Vec<&Var> = (1..x.len()).map(|i| x.var(i)).collect();
        m.run(x.var(0), &states)
    })
}

/// Packs, runs and pads again.
fn packed<M: Recurrent>(
    layer: M,
    lengths: &'static [usize],
    batch_first: bool,
    enforce_sorted: bool,
    total_length: Option<usize>,
) -> Case {
    module(layer, move |m, x| {
        let states: Vec<&Var> = (1..x.len()).map(|i| x.var(i)).collect();
        let sequence = pack_padded_sequence(x.var(0), lengths, batch_first, enforce_sorted);
        let (out, last) = m.run_packed(&sequence, &states);
        let (out, again) = pad_packed_sequence(&out, batch_first, -0.5, total_length);
        assert_eq!(again, lengths);
        (out, last)
    })
}

fn sequences<M: Recurrent>(layer: M) -> Case {
    module(layer, |m, x| {
        let list = [x.var(0), x.var(1), x.var(2)];
        let (out, last) = m.run_packed(&pack_sequence(&list, false), &[]);
        let again = pad_packed_sequence(&out, true, 0.0, None).0;
        (vec![out.data().clone(), again], (last, pad_sequence(&list, true, 2.0)))
    })
}

fn rnn(hidden: usize, options: RNNOptions) -> RNN {
    RNN::with(3, hidden, options)
}

fn lstm(hidden: usize, options: LSTMOptions) -> LSTM {
    LSTM::with(3, hidden, options)
}

fn gru(hidden: usize, options: GRUOptions) -> GRU {
    GRU::with(3, hidden, options)
}

cases! { "recurrent":
    "rnn" => padded(RNN::new(3, 5)),
    "rnn_state" => padded(RNN::new(3, 5)),
    "rnn_no_bias" => padded(rnn(5, RNNOptions { bias: false, ..Default::default() })),
    "rnn_batch_first" => padded(rnn(5, RNNOptions { batch_first: true, ..Default::default() })),
    "rnn_unbatched" => padded(RNN::new(3, 5)),
    "rnn_unbatched_batch_first" => {
        padded(rnn(5, RNNOptions { batch_first: true, bidirectional: true, ..Default::default() }))
    },
    "rnn_unbatched_state" => padded(rnn(5, RNNOptions { num_layers: 2, ..Default::default() })),
    "rnn_layers" => padded(rnn(5, RNNOptions { num_layers: 3, ..Default::default() })),
    "rnn_bidirectional" => padded(rnn(5, RNNOptions { bidirectional: true, ..Default::default() })),
    "rnn_relu" => {
        padded(rnn(5, RNNOptions { nonlinearity: Nonlinearity::ReLU, num_layers: 2, ..Default::default() }))
    },
    "rnn_all" => padded(rnn(4, RNNOptions {
        num_layers: 2, batch_first: true, dropout: 0.5, bidirectional: true, ..Default::default()
    })),
    "rnn_packed" => packed(RNN::new(3, 5), &[4, 3, 1], false, true, None),
    "rnn_packed_equal" => packed(RNN::new(3, 5), &[3, 3], false, true, None),
    "rnn_packed_unsorted" => {
        let options = RNNOptions { num_layers: 2, batch_first: true, bidirectional: true, ..Default::default() };
        packed(rnn(4, options), &[2, 5, 4], true, false, Some(6))
    },
    "rnn_sequences" => sequences(rnn(4, RNNOptions { num_layers: 2, bidirectional: true, ..Default::default() })),
    "lstm" => padded(LSTM::new(3, 5)),
    "lstm_state" => padded(LSTM::new(3, 5)),
    "lstm_no_bias" => padded(lstm(5, LSTMOptions { bias: false, ..Default::default() })),
    "lstm_batch_first" => padded(lstm(5, LSTMOptions { batch_first: true, ..Default::default() })),
    "lstm_unbatched" => padded(LSTM::new(3, 5)),
    "lstm_unbatched_batch_first" => {
        padded(lstm(5, LSTMOptions { batch_first: true, bidirectional: true, ..Default::default() }))
    },
    "lstm_unbatched_state" => padded(lstm(5, LSTMOptions { num_layers: 2, ..Default::default() })),
    "lstm_layers" => padded(lstm(5, LSTMOptions { num_layers: 3, ..Default::default() })),
    "lstm_bidirectional" => padded(lstm(5, LSTMOptions { bidirectional: true, ..Default::default() })),
    "lstm_all" => padded(lstm(4, LSTMOptions {
        num_layers: 2, batch_first: true, dropout: 0.5, bidirectional: true, ..Default::default()
    })),
    "lstm_projected" => padded(lstm(5, LSTMOptions { proj_size: 2, ..Default::default() })),
    "lstm_projected_all" => {
        let options = LSTMOptions { num_layers: 2, bidirectional: true, proj_size: 2, bias: false, ..Default::default() };
        packed(lstm(5, options), &[4, 2, 2], false, true, None)
    },
    "lstm_packed" => packed(LSTM::new(3, 5), &[4, 3, 1], false, true, None),
    "lstm_packed_equal" => packed(LSTM::new(3, 5), &[3, 3], false, true, None),
    "lstm_packed_unsorted" => {
        let options = LSTMOptions { num_layers: 2, batch_first: true, bidirectional: true, ..Default::default() };
        packed(lstm(4, options), &[2, 5, 4], true, false, Some(6))
    },
    "lstm_sequences" => sequences(lstm(4, LSTMOptions { num_layers: 2, bidirectional: true, ..Default::default() })),
    "gru" => padded(GRU::new(3, 5)),
    "gru_state" => padded(GRU::new(3, 5)),
    "gru_no_bias" => padded(gru(5, GRUOptions { bias: false, ..Default::default() })),
    "gru_batch_first" => padded(gru(5, GRUOptions { batch_first: true, ..Default::default() })),
    "gru_unbatched" => padded(GRU::new(3, 5)),
    "gru_unbatched_batch_first" => {
        padded(gru(5, GRUOptions { batch_first: true, bidirectional: true, ..Default::default() }))
    },
    "gru_unbatched_state" => padded(gru(5, GRUOptions { num_layers: 2, ..Default::default() })),
    "gru_layers" => padded(gru(5, GRUOptions { num_layers: 3, ..Default::default() })),
    "gru_bidirectional" => padded(gru(5, GRUOptions { bidirectional: true, ..Default::default() })),
    "gru_all" => padded(gru(4, GRUOptions {
        num_layers: 2, batch_first: true, dropout: 0.5, bidirectional: true, ..Default::default()
    })),
    "gru_packed" => packed(GRU::new(3, 5), &[4, 3, 1], false, true, None),
    "gru_packed_equal" => packed(GRU::new(3, 5), &[3, 3], false, true, None),
    "gru_packed_unsorted" => {
        let options = GRUOptions { num_layers: 2, batch_first: true, bidirectional: true, ..Default::default() };
        packed(gru(4, options), &[2, 5, 4], true, false, Some(6))
    },
    "gru_sequences" => sequences(gru(4, GRUOptions { num_layers: 2, bidirectional: true, ..Default::default() })),
    "rnn_cell" => module(RNNCell::new(3, 5), |m, x| m.forward(x.var(0), Some(x.var(1)))),
    "rnn_cell_relu" => {
        let options = RNNCellOptions { bias: false, nonlinearity: Nonlinearity::ReLU, ..Default::default() };
        module(RNNCell::with(3, 5, options), |m, x| m.forward(x.var(0), None))
    },
    "lstm_cell" => module(LSTMCell::new(3, 5), |m, x| m.forward(x.var(0), Some((x.var(1), x.var(2))))),
    "lstm_cell_no_bias" => {
        let options = CellOptions { bias: false, ..Default::default() };
        module(LSTMCell::with(3, 5, options), |m, x| m.forward(x.var(0), None))
    },
    "gru_cell" => module(GRUCell::new(3, 5), |m, x| m.forward(x.var(0), Some(x.var(1)))),
    "gru_cell_no_bias" => {
        let options = CellOptions { bias: false, ..Default::default() };
        module(GRUCell::with(3, 5, options), |m, x| m.forward(x.var(0), None))
    },
}
