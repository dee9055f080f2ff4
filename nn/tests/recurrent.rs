//! Recurrent networks: gradients of random configurations, what packing means, directions, dropout, and what is refused.

mod common;

use autograd::gradcheck;
use common::refuses;
use nn::prelude::*;
use nn::strategy::{grus, lstms, rnns};
use nn::utils::rnn::{PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence};
use proptest::prelude::*;

/// Everything that a network gives, as one vector: the outputs and the last states.
fn joined(output: &Var, states: &[&Var]) -> Var {
    let parts: Vec<Var> =
        std::iter::once(output).chain(states.iter().copied()).map(|part| part.flatten(0, -1)).collect();
    Var::cat(&parts, 0)
}

fn lstm(options: LSTMOptions) -> LSTM {
    LSTM::with(3, 4, LSTMOptions { dtype: DType::F64, ..options })
}

fn randn(shape: &[usize]) -> Var {
    Var::new(Tensor::randn(shape, DType::F64))
}

fn close(a: &Var, b: &Var) -> bool {
    a.value().allclose(&b.value(), 1e-12, 1e-12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_of_rnns(case in rnns()) {
        case.check_gradients_of(|rnn, x| {
            let (y, h) = rnn.forward(x, None);
            joined(&y, &[&h])
        }).unwrap();
    }

    #[test]
    fn gradients_of_lstms(case in lstms()) {
        case.check_gradients_of(|lstm, x| {
            let (y, (h, c)) = lstm.forward(x, None);
            joined(&y, &[&h, &c])
        }).unwrap();
    }

    #[test]
    fn gradients_of_grus(case in grus()) {
        case.check_gradients_of(|gru, x| {
            let (y, h) = gru.forward(x, None);
            joined(&y, &[&h])
        }).unwrap();
    }

    #[test]
    fn gradients_of_cells(input in 1usize..4, hidden in 1usize..4, bias: bool, seed: u64) {
        manual_seed(seed);
        let options = CellOptions { bias, dtype: DType::F64 };
        let (x, h, c) = (randn(&[2, input]), randn(&[2, hidden]), randn(&[2, hidden]));
        let check = |module: &dyn Module, f: &dyn Fn() -> Var| {
            nn::gradcheck_parameters(module, f, Default::default()).unwrap();
        };
        let cell = RNNCell::with(input, hidden, RNNCellOptions { bias, dtype: DType::F64, ..Default::default() });
        check(&cell, &|| cell.forward(&x, Some(&h)));
        let cell = LSTMCell::with(input, hidden, options);
        check(&cell, &|| {
            let (h, c) = cell.forward(&x, Some((&h, &c)));
            joined(&h, &[&c])
        });
        let cell = GRUCell::with(input, hidden, options);
        check(&cell, &|| cell.forward(&x, Some(&h)));
    }

    #[test]
    fn gradients_by_packed_inputs_and_first_states(
        lengths in prop::collection::vec(1usize..4, 1..4), bidirectional: bool, num_layers in 1usize..3, seed: u64,
    ) {
        manual_seed(seed);
        let leaf = |shape: &[usize]| randn(shape).requires_grad_(true);
        let (count, b) = (num_layers * if bidirectional { 2 } else { 1 }, lengths.len());
        let pack = |x: &Var| pack_padded_sequence(x, &lengths, false, false);
        let projected = lstm(LSTMOptions { bidirectional, num_layers, proj_size: 2, ..Default::default() });
        let inputs = [leaf(&[3, b, 3]), leaf(&[count, b, 2]), leaf(&[count, b, 4])];
        gradcheck(|v| {
            let (y, (h, c)) = projected.forward_packed(&pack(&v[0]), Some((&v[1], &v[2])));
            joined(y.data(), &[&h, &c])
        }, &inputs, Default::default()).unwrap();
        let options = GRUOptions { bidirectional, num_layers, dtype: DType::F64, ..Default::default() };
        let gru = GRU::with(3, 2, options);
        gradcheck(|v| {
            let (y, h) = gru.forward_packed(&pack(&v[0]), Some(&v[1]));
            joined(y.data(), &[&h])
        }, &inputs[..2], Default::default()).unwrap();
    }

    #[test]
    fn on_the_reversed_sequence_the_directions_change_places(steps in 1usize..6, seed: u64) {
        manual_seed(seed);
        let options = GRUOptions { bidirectional: true, dtype: DType::F64, ..Default::default() };
        let (gru, swapped) = (GRU::with(3, 4, options), GRU::with(3, 4, options));
        let exchanged = gru.state_dict().into_iter().map(|(name, value)| match name.strip_suffix("_reverse") {
            Some(forward) => (forward.to_owned(), value),
            None => (format!("{name}_reverse"), value),
        });
        swapped.load_state_dict(&exchanged.collect()).unwrap();
        let x = randn(&[steps, 2, 3]);
        let ((y, h), (z, g)) = (gru.forward(&x, None), swapped.forward(&x.flip(&[0]), None));
        let z = z.flip(&[0]);
        prop_assert!(close(&Var::cat(&[z.narrow(2, 4, 4), z.narrow(2, 0, 4)], 2), &y));
        prop_assert!(close(&g.flip(&[0]), &h));
    }

    #[test]
    fn a_packed_batch_is_each_sequence_by_itself(
        lengths in prop::collection::vec(1usize..6, 1..5), bidirectional: bool, num_layers in 1usize..3, seed: u64,
    ) {
        manual_seed(seed);
        let lstm = lstm(LSTMOptions { bidirectional, num_layers, ..Default::default() });
        let sequences: Vec<Var> = lengths.iter().map(|&length| randn(&[length, 3])).collect();
        let states = num_layers * if bidirectional { 2 } else { 1 };
        let (h0, c0) = (randn(&[states, lengths.len(), 4]), randn(&[states, lengths.len(), 4]));
        let (output, (h, c)) = lstm.forward_packed(&pack_sequence(&sequences, false), Some((&h0, &c0)));
        let (padded, again) = pad_packed_sequence(&output, true, 7.0, None);
        prop_assert_eq!(&again, &lengths);
        for (i, sequence) in sequences.iter().enumerate() {
            let state = (h0.select(1, i as isize), c0.select(1, i as isize));
            let (alone, (h1, c1)) = lstm.forward(sequence, Some((&state.0, &state.1)));
            let row = padded.select(0, i as isize);
            prop_assert!(close(&row.narrow(0, 0, lengths[i]), &alone));
            let rest = row.narrow(0, lengths[i], row.dim(0) - lengths[i]);
            prop_assert!(rest.to_vec::<f64>().iter().all(|&x| x == 7.0));
            prop_assert!(close(&h.select(1, i as isize), &h1) && close(&c.select(1, i as isize), &c1));
        }
    }

    #[test]
    fn packing_goes_there_and_back(lengths in prop::collection::vec(1usize..6, 1..6), batch_first: bool, seed: u64) {
        manual_seed(seed);
        let sequences: Vec<Var> = lengths.iter().map(|&length| randn(&[length, 2, 3])).collect();
        let padded = pad_sequence(&sequences, batch_first, 0.0);
        let padded = Var::new(padded.value()).requires_grad_(true);
        let packed = pack_padded_sequence(&padded, &lengths, batch_first, false);
        prop_assert_eq!(packed.batch_sizes().iter().sum::<usize>(), lengths.iter().sum::<usize>());
        prop_assert_eq!(packed.lengths(), lengths.clone());
        let (back, again) = pad_packed_sequence(&packed, batch_first, 0.0, None);
        prop_assert_eq!(again, lengths.clone());
        prop_assert!(back.value().bit_eq(&padded.value()));
        // The gradient reaches each step once, and no padding.
        back.sum().backward();
        let ones: Vec<Var> = lengths.iter().map(|&n| Var::new(Tensor::ones([n, 2, 3], DType::F64))).collect();
        let expected = pad_sequence(&ones, batch_first, 0.0);
        prop_assert!(padded.grad().unwrap().value().bit_eq(&expected.value()));
    }

    #[test]
    fn rows_of_a_batch_are_independent(batch in 2usize..5, steps in 1usize..5, bidirectional: bool, seed: u64) {
        manual_seed(seed);
        let options = GRUOptions { bidirectional, batch_first: true, num_layers: 2, dtype: DType::F64, ..Default::default() };
        let gru = GRU::with(3, 4, options);
        let x = randn(&[batch, steps, 3]);
        let (all, _) = gru.forward(&x, None);
        for row in 0..batch {
            let (alone, _) = gru.forward(&x.select(0, row as isize), None);
            prop_assert!(close(&all.select(0, row as isize), &alone));
        }
    }

    #[test]
    fn a_sequence_may_be_read_in_two_parts(first in 1usize..5, second in 1usize..5, seed: u64) {
        manual_seed(seed);
        let lstm = lstm(LSTMOptions { num_layers: 2, ..Default::default() });
        let x = randn(&[first + second, 2, 3]);
        let (whole, (h, c)) = lstm.forward(&x, None);
        let (a, (h1, c1)) = lstm.forward(&x.narrow(0, 0, first), None);
        let (b, (h2, c2)) = lstm.forward(&x.narrow(0, first, second), Some((&h1, &c1)));
        prop_assert!(close(&Var::cat(&[a, b], 0), &whole) && close(&h2, &h) && close(&c2, &c));
    }

    #[test]
    fn a_network_of_one_direction_never_looks_ahead(steps in 2usize..6, change in 1usize..6, seed: u64) {
        manual_seed(seed);
        let change = change.min(steps - 1);
        let rnn = RNN::with(3, 4, RNNOptions { num_layers: 2, dtype: DType::F64, ..Default::default() });
        let x = randn(&[steps, 2, 3]);
        let other = Var::cat(&[x.narrow(0, 0, change), randn(&[steps - change, 2, 3])], 0);
        let (a, b) = (rnn.forward(&x, None).0, rnn.forward(&other, None).0);
        prop_assert!(a.value().narrow(0, 0, change).bit_eq(&b.value().narrow(0, 0, change)));
        prop_assert!(!a.value().bit_eq(&b.value()));
    }

    #[test]
    fn the_backward_direction_is_a_network_on_the_reversed_sequence(steps in 1usize..6, seed: u64) {
        manual_seed(seed);
        let both = lstm(LSTMOptions { bidirectional: true, ..Default::default() });
        let one = lstm(LSTMOptions::default());
        let backward = both.state_dict().into_iter().filter_map(|(name, value)| Some((name.strip_suffix("_reverse")?.to_owned(), value)));
        one.load_state_dict(&backward.collect()).unwrap();
        let x = randn(&[steps, 2, 3]);
        let (y, (h, _)) = both.forward(&x, None);
        let (reversed, (h1, _)) = one.forward(&x.flip(&[0]), None);
        prop_assert!(close(&y.narrow(2, 4, 4), &reversed.flip(&[0])));
        prop_assert!(close(&h.narrow(0, 1, 1), &h1));
    }
}

#[test]
fn a_layer_is_its_cell_step_by_step() {
    let (gru, cell) = (GRU::new(3, 4), GRUCell::new(3, 4));
    let renamed = gru.state_dict().into_iter().map(|(name, value)| (name.replace("_l0", ""), value));
    cell.load_state_dict(&renamed.collect()).unwrap();
    let x = Var::new(Tensor::randn([5, 2, 3], DType::F32));
    let (y, _) = gru.forward(&x, None);
    let mut h = None;
    for (x, y) in x.unbind(0).iter().zip(y.unbind(0)) {
        let next = cell.forward(x, h.as_ref());
        assert!(next.value().allclose(&y.value(), 1e-6, 1e-6));
        h = Some(next);
    }
}

#[test]
fn a_batch_may_be_empty() {
    let x = Var::new(Tensor::zeros([4, 0, 3], DType::F32));
    let options = LSTMOptions { num_layers: 2, bidirectional: true, ..Default::default() };
    let (y, (h, c)) = LSTM::with(3, 5, options).forward(&x, None);
    assert_eq!(
        (y.shape().to_vec(), h.shape().to_vec(), c.shape().to_vec()),
        (vec![4, 0, 10], vec![4, 0, 5], vec![4, 0, 5])
    );
}

#[test]
fn parameters_start_uniform() {
    manual_seed(1);
    let lstm = LSTM::with(50, 100, LSTMOptions { num_layers: 2, ..Default::default() });
    for (name, parameter) in lstm.named_parameters() {
        let value = parameter.value();
        let (bound, std) = (value.abs().max().item::<f64>(), value.std().item::<f64>());
        assert!(bound <= 0.1 && bound > 0.09, "{name}: {bound}");
        assert!((std - 0.1 / 3f64.sqrt()).abs() < 0.006, "{name}: {std}");
    }
}

#[test]
fn dropout_acts_between_layers_in_training_only() {
    manual_seed(2);
    let x = Var::new(Tensor::ones([1, 400, 3], DType::F32));
    let one = RNN::with(3, 8, RNNOptions { dropout: 0.5, ..Default::default() });
    assert!(one.forward(&x, None).0.value().bit_eq(&one.forward(&x, None).0.value()), "one layer has nothing between");

    let rnn = RNN::with(3, 8, RNNOptions { num_layers: 2, dropout: 0.5, ..Default::default() });
    let (a, h) = rnn.forward(&x, None);
    // Equal sequences differ by the mask, but not in the first layer's state, which comes before it.
    let rows = a.value().select(0, 0);
    assert!((1..20).any(|i| !rows.select(0, i).bit_eq(&rows.select(0, 0))));
    let first = h.value().select(0, 0);
    assert!((1..400).all(|i| first.select(0, i).allclose(&first.select(0, 0), 1e-6, 1e-6)));
    rnn.eval();
    assert!(rnn.forward(&x, None).0.value().bit_eq(&rnn.forward(&x, None).0.value()));
}

#[test]
fn what_does_not_fit_is_refused() {
    let var = |shape: &[usize]| Var::new(Tensor::zeros(shape, DType::F32));
    let lstm = LSTM::new(3, 4);
    let first = LSTM::with(3, 4, LSTMOptions { batch_first: true, ..Default::default() });
    let packed: PackedSequence = pack_padded_sequence(&var(&[2, 2, 5]), &[2, 1], false, true);
    let unsorted = pack_padded_sequence(&var(&[2, 2, 5]), &[1, 2], false, false);
    let good = var(&[4, 2, 3]);
    refuses! {
        LSTM::new(3, 0) => "LSTM: input_size 3, hidden_size 0 and num_layers 1 must be above 0";
        RNN::new(0, 3) => "RNN: input_size 0, hidden_size 3";
        GRU::with(3, 2, GRUOptions { num_layers: 0, ..Default::default() }) => "GRU: input_size 3, hidden_size 2 and num_layers 0";
        RNN::with(3, 2, RNNOptions { dropout: 1.5, ..Default::default() })
            => "RNN: the probability of dropout is not between 0 and 1, p = 1.5";
        LSTM::with(3, 4, LSTMOptions { proj_size: 4, ..Default::default() })
            => "LSTM: proj_size 4 must be below hidden_size 4";
        lstm.forward(&var(&[4, 2, 5]), None) => "LSTM: the input does not fit", "input [4, 2, 5]   rule [t, b, 3] or [t, 3]";
        first.forward(&var(&[3]), None) => "LSTM: the input does not fit", "rule [b, t, 3] or [t, 3]";
        lstm.forward(&var(&[0, 2, 3]), None) => "LSTM: the sequence has no steps", "input [0, 2, 3]";
        lstm.forward(&good, Some((&var(&[1, 2, 4]), &var(&[1, 2, 5]))))
            => "LSTM: a state does not fit", "state [1, 2, 5]   rule [1, 2, 4]";
        GRU::new(3, 4).forward(&var(&[4, 3]), Some(&var(&[4]))) => "GRU: a state does not fit", "state [4]   rule [1, 4]";
        GRU::new(5, 4).forward_packed(&unsorted, Some(&var(&[1, 3, 4])))
            => "GRU: a state does not fit", "state [1, 3, 4]   rule [1, 2, 4]";
        lstm.forward_packed(&packed, None) => "LSTM: the packed input does not fit", "data [3, 5]   rule [.., 3]";
        packed.with_data(var(&[2, 5])) => "PackedSequence: the data has another number of rows", "rule [3, ..]";
        RNNCell::new(3, 4).forward(&var(&[2, 4]), None) => "RNNCell: the input does not fit", "rule [b, 3] or [3]";
        GRUCell::new(3, 4).forward(&var(&[2, 3]), Some(&var(&[4]))) => "GRUCell: a state does not fit", "rule [2, 4]";
        LSTMCell::new(3, 4).forward(&var(&[3]), Some((&var(&[4]), &var(&[5])))) => "LSTMCell: a state does not fit", "state [5]";
        pack_padded_sequence(&var(&[3]), &[3], false, true) => "pack_padded_sequence: the input has fewer than two";
        pack_padded_sequence(&var(&[4, 0, 3]), &[], false, true) => "pack_padded_sequence: there is no sequence", "input [4, 0, 3]";
        pack_padded_sequence(&good, &[4], false, true) => "there are 1 lengths for 2 sequences";
        pack_padded_sequence(&good, &[4, 0], false, true) => "a length is 0, must be at least 1", "lengths [4, 0]";
        pack_padded_sequence(&good, &[5, 1], false, true) => "a length is beyond the 4 steps", "lengths [5, 1]";
        pack_padded_sequence(&good, &[1, 4], false, true) => "the lengths do not descend", "enforce_sorted = false";
        pad_packed_sequence(&packed, false, 0.0, Some(1)) => "pad_packed_sequence: total_length is 1, below";
        pad_sequence::<Var>(&[], false, 0.0) => "pad_sequence: there is no sequence";
        pad_sequence(&[var(&[2, 3]), var(&[2, 4])], false, 0.0) => "pad_sequence: the sequences differ in more than";
        pad_sequence(&[var(&[])], false, 0.0) => "pad_sequence: the sequences differ in more than", "rule [length, ..]";
        pack_sequence(&[var(&[])], true) => "pad_sequence: the sequences differ in more than", "rule [length, ..]";
        pack_sequence::<Var>(&[], true) => "pad_sequence: there is no sequence";
        pack_sequence(&[var(&[1, 3]), var(&[2, 3])], true)
            => "pack_padded_sequence: the lengths do not descend", "lengths [1, 2]";
        pack_sequence(&[var(&[2, 3]), var(&[0, 3])], true) => "a length is 0, must be at least 1", "lengths [2, 0]";
    }
}
