#!/usr/bin/env python3
"""Writes what PyTorch's functions of gradients and its averages of weights compute, for tests/tests/nn_utils.rs.

    pip install torch numpy safetensors
    python tests/scripts/nn_utils.py            # rewrites tests/fixtures/nn_utils.safetensors

`clip/grad.I` are gradients; `norm_P/norm` is their total norm of order P, `norm_P/out.I` what is left of them after clipping
it to 1.5; `value/out.I` after clipping the values to 1.2. `average/weight` [n, 3] are the values of a parameter over time,
`ema/*` and `equal/*` its averages after each. The torch version stands in the file's metadata.
"""
import pathlib

import torch
from safetensors.torch import save_file
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
GRADIENTS = [[3.0, -4.0, 1.0], [[1.0, 2.0], [-2.0, 0.5]], [0.0, 0.0]]
ORDERS = {"2": 2.0, "1": 1.0, "3.5": 3.5, "inf": float("inf"), "0.5": 0.5, "0": 0.0, "-2": -2.0, "-inf": -float("inf")}


def parameters(gradients):
    out = []
    for gradient in gradients:
        p = torch.nn.Parameter(torch.zeros_like(torch.tensor(gradient)))
        p.grad = torch.tensor(gradient)
        out.append(p)
    return out


def main():
    torch.set_default_dtype(torch.float64)
    out = {f"clip/grad.{i}": torch.tensor(g) for i, g in enumerate(GRADIENTS)}
    for name, order in ORDERS.items():
        # A negative order is infinite where an element is zero.
        ps = parameters(GRADIENTS[:2] if order < 0 else GRADIENTS)
        out[f"norm_{name}/norm"] = clip_grad_norm_(ps, 1.5, norm_type=order)
        out |= {f"norm_{name}/out.{i}": p.grad for i, p in enumerate(ps)}
    ps = parameters(GRADIENTS)
    clip_grad_value_(ps, 1.2)
    out |= {f"value/out.{i}": p.grad for i, p in enumerate(ps)}

    weights = torch.sin(torch.arange(18.0)).view(6, 3) + torch.arange(6.0)[:, None]
    out["average/weight"] = weights
    kinds = {"ema": get_ema_multi_avg_fn(0.9), "ema_slow": get_ema_multi_avg_fn(0.3), "equal": get_swa_multi_avg_fn()}
    for name, average in kinds.items():
        # The equal average of PyTorch cannot take integer buffers.
        for use_buffers in (False, True)[: 1 if name == "equal" else 2]:
            model = torch.nn.BatchNorm1d(3)
            averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=use_buffers)
            rows, buffers = [], []
            for step, weight in enumerate(weights):
                with torch.no_grad():
                    model.weight.copy_(weight)
                    model.running_mean.copy_(weight * 2)
                    model.num_batches_tracked.fill_(step + 1)
                averaged.update_parameters(model)
                rows.append(averaged.module.weight.detach().clone())
                buffers.append(averaged.module.running_mean.clone())
            suffix = "_buffers" if use_buffers else ""
            out[f"{name}{suffix}/weight"] = torch.stack(rows)
            out[f"{name}{suffix}/running_mean"] = torch.stack(buffers)
            if not use_buffers:
                out |= {f"{name}/state.{k}": v for k, v in averaged.state_dict().items()}
    save_file({k: v.clone() for k, v in out.items()}, FIXTURES / "nn_utils.safetensors", {"torch": torch.__version__})
    print(f"nn_utils: {len(out)} tensors, torch {torch.__version__}")


if __name__ == "__main__":
    main()
