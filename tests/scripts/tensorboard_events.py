#!/usr/bin/env python3
"""The event files of a run, as TensorBoard reads them, against the run's own table.

    python tests/scripts/tensorboard_events.py check DIR

DIR is a directory that `gpt train --tensorboard --out DIR` wrote, in one process or in several of which some were killed.
Both of TensorBoard's readers load it: the one that its server uses, and the one that scripts use. Each must have exactly
the steps of `loss.csv` in their order, once each, with its losses and learning rates; a positive norm of the gradient and
a positive speed at every step; and a validation loss where the table has one. Else the exit code is 1.

Made with tensorboard 2.21.0 (pip install tensorboard).
"""
import argparse
import csv
import logging
import math
import sys
from pathlib import Path

from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.util import tensor_util


def by_scripts(directory):
    """tag: [(step, value), ..] of the classic reader."""
    reader = event_accumulator.EventAccumulator(directory, size_guidance={event_accumulator.SCALARS: 0}).Reload()
    return {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def by_server(directory):
    """tag: [(step, value), ..] of the reader behind the pages."""
    reader = plugin_event_accumulator.EventAccumulator(directory, size_guidance={plugin_event_accumulator.TENSORS: 0})
    reader.Reload()
    value = lambda event: tensor_util.make_ndarray(event.tensor_proto).item()
    return {tag: [(e.step, value(e)) for e in reader.Tensors(tag)] for tag in reader.Tags()["tensors"]}


def differences(scalars, rows):
    """What of `scalars` is not what the table says; the table has six decimals, the events have single precision."""
    columns = {"loss/train": "loss", "learning_rate": "lr", "loss/validation": "val_loss"}
    tags = set(columns) | {"gradient_norm", "tokens_per_s"}
    if set(scalars) != tags:
        yield f"the tags are {sorted(scalars)}"
        return
    for tag, values in scalars.items():
        column = columns.get(tag)
        wanted = [(int(row["step"]), row.get(column)) for row in rows if column is None or row[column]]
        if [step for step, _ in values] != [step for step, _ in wanted]:
            yield f"{tag} has {len(values)} steps, the table {len(wanted)}, or others"
            continue
        for (step, value), (_, want) in zip(values, wanted):
            right = value > 0 if want is None else math.isclose(value, float(want), rel_tol=1e-6, abs_tol=6e-7)
            if not right:
                yield f"{tag} at step {step} is {value}, in the table {want}"


def check(directory):
    with open(directory / "loss.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    files = sorted(path.name for path in directory.glob("events.out.tfevents.*"))
    print(f"{directory}: {len(files)} event files, {len(rows)} rows")
    wrong = 0
    for read in [by_scripts, by_server]:
        scalars = read(str(directory))
        found = list(differences(scalars, rows))
        for line in found[:10]:
            print(f"{read.__name__}: {line}")
        counts = ", ".join(f"{tag} {len(values)}" for tag, values in sorted(scalars.items()))
        print(f"{read.__name__}: {counts}: {'agrees' if not found else f'{len(found)} differences'}")
        wrong += len(found)
    return 1 if wrong or not files or not rows else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check"])
    parser.add_argument("dir", type=Path)
    logging.basicConfig(level=logging.ERROR)
    sys.exit(check(parser.parse_args().dir))


if __name__ == "__main__":
    main()
