#!/usr/bin/env python3
"""Writes random indexings and what PyTorch reads and writes with them, for `tensor/tests/indexing.rs`.

    pip install torch
    python tests/scripts/indexing.py               # rewrites tests/fixtures/indexing.txt

A line is `shape;indices;error`, or `shape;indices;shape of the result;its elements;elements after a write`. The tensor
holds 0, 1, 2, ..; the write puts 100, 101, .. and is left out (`-`) where an element is named twice, since PyTorch does not
say which value stays. Indices: `i:at`, `s:start:end:step`, `n` (new axis), `e` (ellipsis), `b:flag`, `t:shape:elements`
(i64) and `m:shape:elements` (a mask).
"""
import pathlib
import random
import warnings

import torch

OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "indexing.txt"
CASES, LARGEST = 600, 60


def said(numbers):
    return ",".join(map(str, numbers))


def random_shape():
    return [random.choice([0, 1, 1, 2, 2, 3, 3, 4, 4]) for _ in range(random.randint(0, 4))]


def random_indices(shape):
    """A list of indices and how they are written; some of them do not fit."""
    together = [random.randint(1, 3) for _ in range(random.randint(0, 2))]
    indices, words, used, ellipsis = [], [], 0, False
    for _ in range(random.randint(0, len(shape) + 2)):
        kind, left = random.choice("issttnbme"), len(shape) - used
        if kind == "i" and left:
            at = random.randint(-3, 3)
            indices.append(at)
            words.append(f"i:{at}")
            used += 1
        elif kind == "s" and left:
            start, end = (random.choice([None, random.randint(-5, 5)]) for _ in range(2))
            step = random.randint(1, 3)
            indices.append(slice(start, end, step))
            words.append("s:{}:{}:{}".format(*("" if b is None else b for b in (start, end)), step))
            used += 1
        elif kind == "t" and left:
            size = [d if random.random() < 0.7 else 1 for d in together][random.randint(0, len(together)):]
            size = [0] if random.random() < 0.05 else size
            ids = torch.randint(-2, 3, size)
            indices.append(ids)
            words.append(f"t:{said(size)}:{said(ids.flatten().tolist())}")
            used += 1
        elif kind == "m" and not ellipsis:
            covered = random.randint(0, min(2, left))
            size = shape[used:used + covered] if random.random() < 0.95 else [2] * covered
            mask = torch.rand(size) < 0.6
            indices.append(mask)
            words.append(f"m:{said(size)}:{said(mask.flatten().int().tolist())}")
            used += covered
        elif kind == "n":
            indices.append(None)
            words.append("n")
        elif kind == "b" and random.random() < 0.5:
            flag = random.random() < 0.7
            indices.append(flag)
            words.append(f"b:{int(flag)}")
        elif kind == "e" and not ellipsis:
            ellipsis = True
            indices.append(Ellipsis)
            words.append("e")
    return tuple(indices), " ".join(words)


def main():
    warnings.filterwarnings("ignore")
    random.seed(5)
    torch.manual_seed(5)
    lines = [f"# torch {torch.__version__}; python tests/scripts/indexing.py"]
    while len(lines) <= CASES:
        shape = random_shape()
        numel = torch.Size(shape).numel()
        indices, words = random_indices(shape)
        x = torch.arange(numel).reshape(shape)
        try:
            y = x[indices]
        except (IndexError, RuntimeError):
            lines.append(f"{said(shape)};{words};error")
            continue
        if max(numel, y.numel()) > LARGEST:
            continue
        elements = y.flatten().tolist()
        written = "-"
        if len(set(elements)) == len(elements):
            z = x.clone()
            z[indices] = 100 + torch.arange(y.numel()).reshape(y.shape)
            written = said(z.flatten().tolist())
        lines.append(f"{said(shape)};{words};{said(y.shape)};{said(elements)};{written}")
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
