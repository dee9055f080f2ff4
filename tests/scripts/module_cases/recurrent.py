"""Recurrent networks: every option, states given and not, packed lengths, and cells."""
import torch
from torch import nn
from torch.nn.utils import rnn


def packed(lengths, batch_first=False, enforce_sorted=True, total_length=None):
    """Packs, runs and pads again; gives the padded output and the last states."""

    def call(m, x, *states):
        state = None if not states else states[0] if len(states) == 1 else states
        sequence = rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted)
        out, last = m(sequence, state)
        return rnn.pad_packed_sequence(out, batch_first, -0.5, total_length)[0], last

    return call


def lstm_state(m, x, h, c):
    return m(x, (h, c))


def repack(m, x, y, z):
    """A list of sequences, packed; the packed rows, and each sequence padded again."""
    sequence = rnn.pack_sequence([x, y, z], enforce_sorted=False)
    out, last = m(sequence)
    return out.data, rnn.pad_packed_sequence(out, batch_first=True)[0], last, rnn.pad_sequence([x, y, z], True, 2.0)


def cases(c):
    x, unbatched, batch_first = (4, 2, 3), (4, 3), (2, 4, 3)
    for name, make in (("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)):
        states = lambda *shape: [c.randn(*shape)] * 1 if name != "lstm" else [c.randn(*shape), c.randn(*shape)]
        call = lstm_state if name == "lstm" else None
        c.add(name, make(3, 5), c.randn(*x))
        c.add(f"{name}_state", make(3, 5), c.randn(*x), *states(1, 2, 5), call=call)
        c.add(f"{name}_no_bias", make(3, 5, bias=False), c.randn(*x))
        c.add(f"{name}_batch_first", make(3, 5, batch_first=True), c.randn(*batch_first))
        c.add(f"{name}_unbatched", make(3, 5), c.randn(*unbatched))
        c.add(f"{name}_unbatched_batch_first", make(3, 5, batch_first=True, bidirectional=True), c.randn(*unbatched))
        c.add(f"{name}_unbatched_state", make(3, 5, num_layers=2), c.randn(*unbatched), *states(2, 5), call=call)
        c.add(f"{name}_layers", make(3, 5, num_layers=3), c.randn(*x))
        c.add(f"{name}_bidirectional", make(3, 5, bidirectional=True), c.randn(*x))
        both = dict(num_layers=2, bidirectional=True)
        c.add(f"{name}_all", make(3, 4, batch_first=True, dropout=0.5, **both), c.randn(*batch_first),
              *states(4, 2, 4), call=call, train=False)
        c.add(f"{name}_packed", make(3, 5), c.randn(4, 3, 3), call=packed([4, 3, 1]))
        c.add(f"{name}_packed_equal", make(3, 5), c.randn(4, 2, 3), call=packed([3, 3]))
        c.add(f"{name}_packed_unsorted", make(3, 4, batch_first=True, **both), c.randn(3, 5, 3), *states(4, 3, 4),
              call=packed([2, 5, 4], True, False, 6))
        c.add(f"{name}_sequences", make(3, 4, **both), c.randn(2, 3), c.randn(4, 3), c.randn(1, 3), call=repack)
    c.add("rnn_relu", nn.RNN(3, 5, nonlinearity="relu", num_layers=2), c.randn(*x))
    c.add("lstm_projected", nn.LSTM(3, 5, proj_size=2), c.randn(*x), c.randn(1, 2, 2), c.randn(1, 2, 5), call=lstm_state)
    c.add("lstm_projected_all", nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2, bias=False), c.randn(4, 3, 3),
          call=packed([4, 2, 2]))

    c.add("rnn_cell", nn.RNNCell(3, 5), c.randn(2, 3), c.randn(2, 5))
    c.add("rnn_cell_relu", nn.RNNCell(3, 5, bias=False, nonlinearity="relu"), c.randn(2, 3))
    c.add("lstm_cell", nn.LSTMCell(3, 5), c.randn(2, 3), c.randn(2, 5), c.randn(2, 5), call=lstm_state)
    c.add("lstm_cell_no_bias", nn.LSTMCell(3, 5, bias=False), c.randn(3))
    c.add("gru_cell", nn.GRUCell(3, 5), c.randn(2, 3), c.randn(2, 5))
    c.add("gru_cell_no_bias", nn.GRUCell(3, 5, bias=False), c.randn(3))
