#!/usr/bin/env python3
"""Writes the learning rates and momenta of PyTorch's schedules over 100 epochs, for tests/tests/schedules.rs.

    pip install torch numpy safetensors
    python tests/scripts/schedules.py            # rewrites tests/fixtures/schedules.safetensors

Each case is a schedule of an optimizer with two groups, whose rates start at 0.5 and 0.02. `CASE/lr` [100, 2] holds the
rates and `CASE/momentum` [100, 2] the momentum (or beta1) during the epochs 0 to 99, `plateau/metric` the metrics that
ReduceLROnPlateau is given after each epoch. The torch version stands in the file's metadata.
"""
import math
import pathlib
import warnings

import torch
from safetensors.torch import save_file
from torch import optim
from torch.optim import lr_scheduler as s

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
EPOCHS = 100
warnings.filterwarnings("ignore")


def sgd():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2))], "lr": lr} for lr in (0.5, 0.02)]
    return optim.SGD(groups, momentum=0.9)


def adam():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2))], "lr": lr} for lr in (0.5, 0.02)]
    return optim.Adam(groups)


def warmup_cosine(epoch, warm=10, last=99, low=0.1):
    if epoch < warm:
        return (epoch + 1) / (warm + 1)
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * (epoch - warm) / (last - warm)))


CASES = {
    "lambda": lambda o: s.LambdaLR(o, lambda n: 1 / (1 + 0.1 * n)),
    "lambda_groups": lambda o: s.LambdaLR(o, [lambda n: 0.9**n, lambda n: 1 / math.sqrt(n + 1)]),
    "multiplicative": lambda o: s.MultiplicativeLR(o, lambda n: 1 - 1 / (n + 2)),
    "multiplicative_groups": lambda o: s.MultiplicativeLR(o, [lambda n: 0.97, lambda n: 1 + 0.01 * n]),
    "step": lambda o: s.StepLR(o, 30),
    "step_1": lambda o: s.StepLR(o, 1, 0.95),
    "multi_step": lambda o: s.MultiStepLR(o, [10, 30, 80]),
    "multi_step_twice": lambda o: s.MultiStepLR(o, [50, 0, 20, 20], 0.5),
    "constant": lambda o: s.ConstantLR(o),
    "constant_options": lambda o: s.ConstantLR(o, 0.7, 40),
    "linear": lambda o: s.LinearLR(o),
    "linear_options": lambda o: s.LinearLR(o, 1.0, 0.05, 60),
    "exponential": lambda o: s.ExponentialLR(o, 0.93),
    "polynomial": lambda o: s.PolynomialLR(o),
    "polynomial_options": lambda o: s.PolynomialLR(o, 70, 2.5),
    "cosine": lambda o: s.CosineAnnealingLR(o, 100),
    "cosine_to_and_fro": lambda o: s.CosineAnnealingLR(o, 15, 0.001),
    "restarts": lambda o: s.CosineAnnealingWarmRestarts(o, 7),
    "restarts_longer": lambda o: s.CosineAnnealingWarmRestarts(o, 5, 2, 0.003),
    "one_cycle": lambda o: s.OneCycleLR(o, 0.4, total_steps=100),
    "one_cycle_options": lambda o: s.OneCycleLR(
        o, [0.4, 0.1], epochs=11, steps_per_epoch=9, pct_start=0.4, anneal_strategy="linear", base_momentum=[0.7, 0.8],
        max_momentum=0.97, div_factor=10.0, final_div_factor=100.0),
    "one_cycle_three_phase": lambda o: s.OneCycleLR(o, 0.4, total_steps=100, three_phase=True, cycle_momentum=False),
    "one_cycle_short": lambda o: s.OneCycleLR(o, 0.4, total_steps=99, pct_start=0.25, three_phase=True),
    "cyclic": lambda o: s.CyclicLR(o, 0.01, 0.1, step_size_up=12),
    "cyclic_triangular2": lambda o: s.CyclicLR(
        o, [0.01, 0.02], [0.1, 0.3], step_size_up=6, step_size_down=14, mode="triangular2", base_momentum=0.6,
        max_momentum=0.95),
    "cyclic_exp_range": lambda o: s.CyclicLR(o, 0.01, 0.1, 10, mode="exp_range", gamma=0.98, cycle_momentum=False),
    "cyclic_of_cycle": lambda o: s.CyclicLR(o, 0.01, 0.1, 10, scale_fn=lambda c: 1 / c),
    "cyclic_of_step": lambda o: s.CyclicLR(
        o, 0.01, 0.1, 10, scale_fn=lambda n: 0.99**n, scale_mode="iterations"),
    "sequential": lambda o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 10), s.CosineAnnealingLR(o, 40, 0.001), s.ExponentialLR(o, 0.9)], [10, 60]),
    "sequential_kinds": lambda o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.2, 8), s.StepLR(o, 3, 0.8), s.PolynomialLR(o, 30, 2.0), s.CosineAnnealingWarmRestarts(o, 6),
            s.MultiStepLR(o, [0, 5], 0.5), s.LambdaLR(o, lambda n: 0.5 + 0.01 * n)], [8, 20, 45, 70, 85]),
    "sequential_moving": lambda o: s.SequentialLR(
        o, [s.ExponentialLR(o, 0.95), s.MultiplicativeLR(o, lambda n: 1 - 0.002 * n), s.CyclicLR(o, 0.01, 0.1, 10)],
        [15, 40]),
    "chained": lambda o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 20), s.ExponentialLR(o, 0.97)]),
    "chained_three": lambda o: s.ChainedScheduler(
        [s.LinearLR(o, 0.25, 1.0, 16), s.CosineAnnealingLR(o, 100), s.StepLR(o, 25, 0.5)]),
    "warmup_cosine": lambda o: s.LambdaLR(o, warmup_cosine),
}


def present(optimizer):
    rates = [g["lr"] for g in optimizer.param_groups]
    momenta = [g["betas"][0] if "betas" in g else g["momentum"] for g in optimizer.param_groups]
    return rates, momenta


def run(make, optimizer, metrics=None):
    schedule = make(optimizer)
    rows = []
    for epoch in range(EPOCHS):
        rows.append(present(optimizer))
        optimizer.step()
        if epoch + 1 < EPOCHS:
            schedule.step(*([] if metrics is None else [metrics[epoch]]))
    lr, momentum = zip(*rows)
    return torch.tensor(lr), torch.tensor(momentum)


def main():
    torch.set_default_dtype(torch.float64)
    out = {}
    for name, make in CASES.items():
        out[f"{name}/lr"], out[f"{name}/momentum"] = run(make, sgd())
    for name in ("one_cycle", "cyclic"):
        out[f"{name}_adam/lr"], out[f"{name}_adam/momentum"] = run(CASES[name], adam())
    # Goes down, stays, comes back, and jumps.
    metrics = [
        3.0 * 0.9 ** min(n, 20) + 0.2 * math.sin(n) ** 2 * (n > 20) - 0.5 * (n > 70) + (n % 9 == 8) for n in range(EPOCHS)]
    out["plateau/metric"] = torch.tensor(metrics)
    plateaus = {
        "plateau": {},
        "plateau_options": dict(factor=0.5, patience=3, threshold=0.01, cooldown=4, min_lr=[0.05, 0.001], eps=1e-4),
        "plateau_abs": dict(factor=0.3, patience=2, threshold=0.05, threshold_mode="abs", min_lr=1e-3),
        "plateau_max": dict(mode="max", factor=0.6, patience=5, cooldown=1),
        "plateau_max_abs": dict(mode="max", factor=0.6, patience=4, threshold=0.1, threshold_mode="abs"),
    }
    for name, options in plateaus.items():
        lr, momentum = run(lambda o: s.ReduceLROnPlateau(o, **options), sgd(), metrics)
        out[f"{name}/lr"], out[f"{name}/momentum"] = lr, momentum
    # Restarts at fractions of an epoch.
    optimizer = sgd()
    schedule = s.CosineAnnealingWarmRestarts(optimizer, 5, 2, 0.003)
    rates = []
    for n in range(EPOCHS):
        schedule.step(n * 0.37)
        rates.append(present(optimizer)[0])
    out["restarts_fractions/lr"] = torch.tensor(rates)
    save_file(out, FIXTURES / "schedules.safetensors", {"torch": torch.__version__})
    print(f"schedules: {len(out)} tensors, torch {torch.__version__}")


if __name__ == "__main__":
    main()
