"""Positional encodings, written down from the papers' formulas: a number for each position, pair and feature."""
import math

import torch
import torch.nn.functional as F
from torch import nn


class LearnedPositions(nn.Module):
    """x_i + weight[offset + i]."""

    def __init__(self, max_len, d, seq_dim=-2):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max_len, d))
        self.seq_dim = seq_dim

    def forward(self, x, offset=0):
        rows = self.weight[torch.arange(x.shape[self.seq_dim]) + offset]
        return x + (rows if self.seq_dim == -2 else rows[:, None])

    def extra_repr(self):
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


def sinusoidal(positions, d, base=10000.0):
    """Vaswani et al. 2017, section 3.5."""
    rows = torch.zeros(len(positions), d)
    for row, position in zip(rows, positions):
        for feature in range(d):
            angle = position / base ** (feature // 2 * 2 / d)
            row[feature] = math.cos(angle) if feature % 2 else math.sin(angle)
    return rows


def rotate(x, rotary_dim=None, base=10000.0, interleaved=True, offset=0):
    """Su et al. 2021, equation 15: the product with the block-diagonal matrix of each position."""
    t, d = x.shape[-2:]
    r = d if rotary_dim is None else rotary_dim
    rows = []
    for i in range(t):
        matrix = torch.eye(d)
        for j in range(r // 2):
            a, b = (2 * j, 2 * j + 1) if interleaved else (j, j + r // 2)
            angle = (offset + i) * base ** (-2 * j / r)
            matrix[a, a] = matrix[b, b] = math.cos(angle)
            matrix[a, b], matrix[b, a] = -math.sin(angle), math.sin(angle)
        rows.append(x[..., i, :] @ matrix.T)
    return torch.stack(rows, -2)


def slopes(heads):
    """Press et al. 2022, section 3; in between, every other slope of the next power of two."""
    power = 2 ** math.floor(math.log2(heads))
    first = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2 ** (-8 * (i + 1) / (2 * power)) for i in range(2 * power)][::2]
    return torch.tensor((first + between)[:heads])


def alibi(heads, t, s, offset=0):
    distance = (torch.arange(t)[:, None] + offset - torch.arange(s)[None]).abs()
    return -slopes(heads)[:, None, None] * distance


class RelativePositions(nn.Module):
    """Shaw et al. 2018, equations 3 and 4, with a vector for each pair."""

    def __init__(self, max_distance, d, values=True):
        super().__init__()
        self.k, self.d, self.values = max_distance, d, values
        self.key_weight = nn.Parameter(torch.randn(2 * max_distance + 1, d))
        if values:
            self.value_weight = nn.Parameter(torch.randn(2 * max_distance + 1, d))

    def forward(self, q, k, v, allowed=None, bias=0.0, scale=None, offset=0):
        rows = torch.arange(k.shape[-2])[None] - (torch.arange(q.shape[-2])[:, None] + offset)
        rows = rows.clamp(-self.k, self.k) + self.k
        scale = 1 / math.sqrt(self.d) if scale is None else scale
        e = torch.einsum("...id,...ijd->...ij", q, k[..., None, :, :] + self.key_weight[rows]) * scale + bias
        if allowed is not None:
            e = e.masked_fill(~allowed, -math.inf)
        values = v[..., None, :, :]
        if self.values:
            values = values + self.value_weight[rows]
        return torch.einsum("...ij,...ijd->...id", e.softmax(-1), values.expand(*e.shape, values.shape[-1]))

    def extra_repr(self):
        return f"max_distance={self.k}, head_dim={self.d}, values={self.values}"


def causal(t, s, offset=0):
    return torch.ones(t, s, dtype=torch.bool).tril(offset)


def cases(c):
    c.add("learned", LearnedPositions(6, 4), c.randn(2, 5, 4))
    c.add("learned_offset", LearnedPositions(6, 4), c.randn(2, 4), call=lambda m, x: m(x, 3))
    c.add("learned_first", LearnedPositions(6, 4, seq_dim=0), c.randn(5, 2, 4))

    c.add("sinusoidal", None, c.randn(2, 5, 6), call=lambda x: x + sinusoidal(range(5), 6))
    c.add("sinusoidal_odd", None, c.randn(4, 5), call=lambda x: x + sinusoidal(range(4), 5))
    c.add("sinusoidal_base_offset", None, c.randn(4, 6), call=lambda x: x + sinusoidal(range(90, 94), 6, 50.0))
    c.add("sinusoidal_first", None, c.randn(5, 2, 4), call=lambda x: x + sinusoidal(range(5), 4)[:, None])

    c.add("rotary", None, c.randn(2, 3, 5, 6), call=rotate)
    c.add("rotary_half", None, c.randn(2, 5, 6), call=lambda x: rotate(x, interleaved=False))
    c.add("rotary_partial", None, c.randn(2, 5, 7), call=lambda x: rotate(x, 4))
    c.add("rotary_half_partial", None, c.randn(5, 8), call=lambda x: rotate(x, 6, interleaved=False))
    c.add("rotary_base_offset", None, c.randn(3, 4), call=lambda x: rotate(x, base=500.0, offset=70))
    qkv = lambda t, s, d: (c.randn(2, 3, t, d), c.randn(2, 3, s, d), c.randn(2, 3, s, d))
    rotated = lambda q, k, v: F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
    c.add("rotary_attention", None, *qkv(5, 5, 4), call=rotated)

    for heads in [1, 2, 3, 8, 12]:
        c.add(f"alibi_{heads}", None, call=lambda: alibi(heads, 3, 4))
    c.add("alibi_offset", None, call=lambda: alibi(4, 2, 5, 3))
    biased = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, alibi(3, 4, 5))
    c.add("alibi_attention", None, *qkv(4, 5, 4), call=biased)
    mask = alibi(2, 5, 5).repeat(3, 1, 1).masked_fill(~causal(5, 5), -math.inf)
    c.add("alibi_multihead", nn.MultiheadAttention(4, 2, batch_first=True), c.randn(3, 5, 4),
          call=lambda m, x: m(x, x, x, attn_mask=mask, need_weights=False)[0])

    c.add("relative", RelativePositions(2, 4), *qkv(5, 5, 4))
    c.add("relative_keys", RelativePositions(2, 4, values=False), *qkv(4, 6, 4))
    c.add("relative_causal", RelativePositions(1, 4), *qkv(5, 5, 4), call=lambda m, q, k, v: m(q, k, v, causal(5, 5)))
    c.add("relative_zero", RelativePositions(0, 3), c.randn(4, 3), c.randn(4, 3), c.randn(4, 3))
    c.add("relative_masks", RelativePositions(3, 4), *qkv(3, 5, 4), c.randn(3, 5), constant=(3,),
          call=lambda m, q, k, v, bias: m(q, k, v, causal(3, 5), bias, 0.3))
    allowed = c.mask(3, 5) | torch.eye(3, 5, dtype=torch.bool)
    c.add("relative_offset", RelativePositions(2, 4), *qkv(3, 5, 4), allowed,
          call=lambda m, q, k, v, allowed: m(q, k, v, allowed & causal(3, 5, 2), offset=2))
