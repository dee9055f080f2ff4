#!/usr/bin/env python3
"""Prints a few hundred tensors with PyTorch, for `tensor/tests/display.rs`, which makes the same tensors.

    python tests/scripts/display.py > tests/fixtures/display.txt
Each is a line `=== dtype shape kind seed` and the text between PyTorch's `tensor(` and its suffixes.
Needs: pip install torch (the file was made by the version named in its first line)
"""
import random

import torch

DTYPES = {"bool": torch.bool, "u8": torch.uint8, "i32": torch.int32, "i64": torch.int64, "f16": torch.float16,
          "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64}
SCALES = [1e-45, 1e-30, 1e-10, 1e-5, 1e-4, 1e-3, 1.0, 1e2, 1e5, 1e9, 1e30]
SPECIAL = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.5, -2.25, 1000.0, 3e-5]
UNIT = 2.0 ** -31


class Numbers:
    """A generator that is easy to write again: 31 bits at a time."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        return self.state >> 33


KINDS = {
    "unit": lambda n: n.next() * UNIT,
    "signed": lambda n: n.next() * UNIT * 8.0 - 4.0,
    "mixed": lambda n: (n.next() * UNIT - 0.5) * SCALES[n.next() % len(SCALES)],
    "whole": lambda n: float(n.next() % 2001 - 1000),
    "few": lambda n: float(n.next() % 5),
    "large": lambda n: float(n.next()) - 1e9,
    "halves": lambda n: float(n.next() % 41) * 0.5 - 10.0,
    "ties": lambda n: float(n.next() % 4001) * 0.00625 - 10.0,
    "special": lambda n: SPECIAL[n.next() % len(SPECIAL)],
    "tiny": lambda n: n.next() * UNIT * 1e-40,
    "small": lambda n: n.next() * UNIT * 1e-3,
    "huge": lambda n: n.next() * UNIT * 1e30,
    "hundreds": lambda n: n.next() * UNIT * 300.0 - 100.0,
    "zero": lambda n: 0.0,
    "negative_zero": lambda n: -0.0,
}
INTEGERS = ["whole", "few", "large", "zero"]
SHAPES = [[], [], [1], [3], [7], [40], [2, 3], [3, 1], [1, 30], [12, 2], [2, 3, 4], [1, 1, 5], [2, 1, 2, 3], [0], [2, 0, 3]]
LARGE = [[1001], [40, 30], [5, 300], [300, 4], [2, 20, 30], [7, 7, 30], [2, 3, 20, 10], [1, 1200], [1200, 1]]


def make(dtype, shape, kind, seed):
    numbers, count = Numbers(seed), 1
    for size in shape:
        count *= size
    values = [KINDS[kind](numbers) for _ in range(count)]
    if dtype in ("f32", "f16", "bf16"):
        # Halves by way of f32, as everywhere.
        return torch.tensor(values, dtype=torch.float64).to(torch.float32).to(DTYPES[dtype]).reshape(shape)
    if dtype == "f64":
        return torch.tensor(values, dtype=torch.float64).reshape(shape)
    integers = torch.tensor([int(x) for x in values], dtype=torch.int64)
    return (integers % 256 if dtype == "u8" else integers).to(DTYPES[dtype]).reshape(shape)


def main():
    r = random.Random(7)
    print(f"# tests/scripts/display.py, torch {torch.__version__}")
    for dtype in DTYPES:
        floating = dtype[0] in "fb" and dtype != "bool"
        shapes = SHAPES * (2 if floating else 1) + (LARGE if floating else LARGE[::3])
        kinds = list(KINDS) if floating else INTEGERS
        for i, shape in enumerate(shapes):
            kind, seed = kinds[i % len(kinds)] if i < len(kinds) else r.choice(kinds), r.randrange(10 ** 6)
            text = torch._tensor_str._tensor_str(make(dtype, shape, kind, seed), len("tensor("))
            print(f"=== {dtype} {shape} {kind} {seed}\n{text}")


if __name__ == "__main__":
    main()
