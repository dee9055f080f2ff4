#!/usr/bin/env python3
"""Writes the golden numbers that the parity tests compare with: what PyTorch computes, in float64.

    pip install torch numpy safetensors
    python tests/scripts/make_fixtures.py            # rewrites tests/fixtures/layers.safetensors

The torch version that made the committed files is stored in their metadata. Keys are `case/part`:
`layers` holds `in.*` (inputs), `state.*` (the state dict before), `out`, `grad.in.*` and `grad.state.*` (gradients of
`(out * seed).sum()` with the `seed` given).
"""
import pathlib

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
torch.set_default_dtype(torch.float64)


def save(name, tensors):
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    save_file(tensors, FIXTURES / f"{name}.safetensors", {"torch": torch.__version__})
    print(f"{name}: {len(tensors)} tensors, torch {torch.__version__}")


def layer_cases():
    """name -> (module or None, float inputs, function of (module, inputs) -> output)"""
    g = torch.Generator().manual_seed(0)
    rn = lambda *s: torch.randn(*s, generator=g)
    call = lambda m, x: m(*x)
    cases = {
    }
    causal = torch.triu(torch.ones(4, 4, dtype=torch.bool), 1)
    padding = torch.tensor([[False, False, False, True], [False, False, True, True]])
    added = rn(4, 4)

    def mha(name, forward, inputs, **options):
        cases[name] = (nn.MultiheadAttention(6, 2, batch_first=True, **options), inputs, forward)

    x = lambda: rn(2, 4, 6)
    mha("mha_self", lambda m, x: m(x[0], x[0], x[0], need_weights=False)[0], [x()])
    mha("mha_causal", lambda m, x: m(x[0], x[0], x[0], need_weights=False, attn_mask=causal, is_causal=True)[0], [x()])
    mha("mha_padding", lambda m, x: m(x[0], x[0], x[0], need_weights=False, key_padding_mask=padding)[0], [x()])
    mha("mha_float_mask", lambda m, x: m(x[0], x[0], x[0], need_weights=False, attn_mask=added)[0], [x()])
    mha("mha_no_bias", lambda m, x: m(x[0], x[0], x[0], need_weights=False)[0], [x()], bias=False)
    mha("mha_cross", lambda m, x: m(x[0], x[1], x[2], need_weights=False)[0], [x(), rn(2, 3, 6), rn(2, 3, 6)])
    mha("mha_weights", lambda m, x: m(x[0], x[0], x[0], attn_mask=causal)[1], [x()])
    mha("mha_weights_per_head", lambda m, x: m(x[0], x[0], x[0], average_attn_weights=False)[1], [x()])
    cases["mha_time_first"] = (
        nn.MultiheadAttention(6, 3), [rn(4, 2, 6)], lambda m, x: m(x[0], x[0], x[0], need_weights=False)[0])
    return cases, {"causal": causal, "padding": padding, "added": added}


def layers():
    torch.manual_seed(1)
    cases, shared = layer_cases()
    out = {f"shared/{k}": v for k, v in shared.items()}
    for name, (module, inputs, forward) in cases.items():
        inputs = [x.clone().requires_grad_() for x in inputs]
        if forward is None:
            y = module(inputs)
            module = None
        else:
            # Biases and norms start at 0 and 1; other values test more.
            for p in module.parameters():
                if p.dim() == 1:
                    nn.init.normal_(p, 0.5, 0.5)
            for k, v in module.state_dict().items():
                out[f"{name}/state.{k}"] = v
            y = forward(module, inputs)
        seed = torch.sin(torch.arange(y.numel(), dtype=y.dtype)).view(y.shape)
        (y * seed).sum().backward()
        out[f"{name}/out"], out[f"{name}/seed"] = y, seed
        for i, x in enumerate(inputs):
            out[f"{name}/in.{i}"], out[f"{name}/grad.in.{i}"] = x, x.grad
        for k, p in module.named_parameters() if module is not None else []:
            if p.grad is not None:
                out[f"{name}/grad.state.{k}"] = p.grad
    save("layers", out)


if __name__ == "__main__":
    FIXTURES.mkdir(exist_ok=True)
    layers()
