#!/usr/bin/env python3
"""The training of a GPT-2 in PyTorch, for comparison with the trainer here: same weights, same batches, same losses.

    python tests/scripts/gpt_training.py make-tiny      # rewrites tests/fixtures/gpt_training.safetensors
    python tests/scripts/gpt_training.py follow --data FILE [--preset baby] [--steps 200] [--batch 16] [--out DIR]

`make-tiny` writes a run: the first weights under Hugging Face's names (f32), the batches (`batches` u8 [steps, b, t + 1]),
the options (in the metadata) and the loss of each step (`losses` f64 [steps]), all computed in f64.
`follow` writes such a run for a character model of FILE in f32 into DIR (default: a temporary directory), trains it in
PyTorch, lets the example `follow_pytorch` train it here, and prints the largest differences of the losses over the first
50 steps and over all. They must be within 1e-3 and 1e-2, else the exit code is 1.

A step is the trainer's: the rate of warm-up and cosine, loss, gradients, the norm cut to `clip`, AdamW with weight decay
of matrices only. The model is transformers' GPT2LMHeadModel without dropout.

Made with torch 2.15.0, transformers 5.24.0 (pip install torch transformers).
"""
import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

ROOT = Path(__file__).resolve().parents[2]
# name: layers, heads, width, context
PRESETS = {"nano-cpu": (4, 4, 128, 64), "baby": (6, 6, 384, 256)}


def model_of(layers, heads, width, context, vocab):
    """First weights as Hugging Face draws them, which are GPT-2's."""
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocab, n_positions=context, n_embd=width, n_layer=layers, n_head=heads,
                                      resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=None, eos_token_id=None))


def weights_of(model):
    return {name: p.detach().clone().contiguous() for name, p in model.named_parameters()}


def rate(options, step):
    """Up in a line to `lr`, down in half a cosine to `min_lr` at the last step."""
    lr, low, warmup = options["lr"], options["min_lr"], options["warmup"]
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    done, whole = step - warmup, options["steps"] - 1 - warmup
    return low if done >= whole else low + (lr - low) * (1 + math.cos(math.pi * done / whole)) / 2


def train(model, batches, options, watch=lambda step, loss: None):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": options["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}],
        lr=options["lr"], betas=tuple(options["betas"]))
    losses = []
    for step, ids in enumerate(batches.long()):
        for group in optimizer.param_groups:
            group["lr"] = rate(options, step)
        logits = model(ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options["clip"])
        optimizer.step()
        losses.append(loss.item())
        watch(step, losses[-1])
    return torch.tensor(losses, dtype=torch.float64)


def options_of(model, dtype, steps, **changed):
    c = model.config
    return {"dtype": dtype, "layers": c.n_layer, "heads": c.n_head, "width": c.n_embd, "context": c.n_positions,
            "vocab": c.vocab_size, "steps": steps, "lr": 1e-3, "min_lr": 1e-4, "warmup": 100, "weight_decay": 0.1,
            "betas": [0.9, 0.99], "clip": 1.0, **changed}


def write(path, weights, batches, options, **more):
    save_file({**weights, "batches": batches, **more}, path,
              {"options": json.dumps(options), "torch": torch.__version__.split("+")[0]})


def make_tiny():
    torch.manual_seed(0)
    vocab, context, batch, steps = 20, 16, 4, 200
    model = model_of(2, 2, 16, context, vocab)
    for p in model.parameters():  # biases and norms, too, and so large that the attention looks somewhere
        torch.nn.init.normal_(p, mean=1.0 if p.dim() == 1 and p.mean() > 0.5 else 0.0, std=0.2)
    weights = weights_of(model)
    # A text in which the two tokens before decide the next, but for one in eight.
    state, ids = 1, [3, 5]
    for _ in range(steps * batch * (context + 1)):
        state = (state * 1103515245 + 12345) % 2**31
        ids.append((state >> 16) % vocab if state >> 28 == 0 else (3 * ids[-1] + ids[-2] + 1) % vocab)
    batches = torch.tensor(ids[2:], dtype=torch.uint8).view(steps, batch, context + 1)
    # Rates and a bound of the norm with which warm-up, cosine and clipping all happen.
    options = options_of(model, "float64", steps, lr=1e-2, min_lr=1e-3, warmup=20, clip=0.5)
    losses = train(model.double(), batches, options)
    path = ROOT / "tests/fixtures/gpt_training.safetensors"
    write(path, weights, batches, options, losses=losses)
    print(f"{path}: {path.stat().st_size} bytes, losses {losses[0]:.3f} .. {losses[-1]:.3f}")


def follow(a):
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    folder = Path(a.out or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    text = Path(a.data).read_text(encoding="utf-8")
    alphabet = sorted(set(text))
    if len(alphabet) > 256:
        sys.exit(f"{a.data} has {len(alphabet)} different characters, at most 256 are possible here")
    number = {c: i for i, c in enumerate(alphabet)}
    data = torch.tensor([number[c] for c in text], dtype=torch.uint8)
    data = data[: len(data) * 9 // 10]
    layers, heads, width, context = PRESETS[a.preset]
    model = model_of(layers, heads, width, context, len(alphabet))
    starts = torch.randint(len(data) - context, (a.steps, a.batch))
    batches = torch.stack([torch.stack([data[i:i + context + 1] for i in row]) for row in starts])
    options = options_of(model, "float32", a.steps)
    write(folder / "run.safetensors", weights_of(model), batches, options)

    def watch(step, loss):
        if (step + 1) % 10 == 0:
            print(f"PyTorch: step {step + 1}/{a.steps}  loss {loss:.4f}  {time.monotonic() - start:.0f}s", flush=True)

    start = time.monotonic()
    theirs = train(model, batches, options, watch)
    save_file({"losses": theirs}, folder / "pytorch.safetensors")
    cargo = ["cargo", "run", "--release", "-q", "-p", "models", "--example", "follow_pytorch", "--"]
    files = [str((folder / name).resolve()) for name in ["run.safetensors", "here.safetensors"]]
    subprocess.run(([a.binary] if a.binary else cargo) + files, check=True, cwd=ROOT)
    ours = load_file(folder / "here.safetensors")["losses"]
    apart = (ours - theirs).abs()
    first, whole = apart[:50].max().item(), apart.max().item()
    print(f"{a.preset}, {a.steps} steps: loss {theirs[0]:.4f} -> {theirs[-1]:.4f} in PyTorch, {ours[-1]:.4f} here; the "
          f"largest difference is {first:.2e} over the first 50 steps and {whole:.2e} over all (at step "
          f"{apart.argmax().item() + 1})")
    if not (first <= 1e-3 and whole <= 1e-2):
        sys.exit("the losses differ by more than 1e-3 over 50 steps or 1e-2 over all")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make-tiny")
    p = commands.add_parser("follow")
    p.add_argument("--data", required=True)
    p.add_argument("--preset", choices=list(PRESETS), default="baby")
    p.add_argument("--steps", type=int, default=200)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--seed", type=int, default=1337)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--out", help="where to keep the run and the losses of both sides")
    p.add_argument("--binary", help="the example follow_pytorch, where it is built already")
    a = parser.parse_args()
    make_tiny() if a.command == "make-tiny" else follow(a)


if __name__ == "__main__":
    main()
