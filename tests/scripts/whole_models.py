#!/usr/bin/env python3
"""Whole models in PyTorch: their state dicts as files, and what training does to them, in float64.

    pip install torch numpy safetensors
    python tests/scripts/whole_models.py make      # rewrites tests/fixtures/whole/{NAME,NAME.run}.safetensors
    python tests/scripts/whole_models.py check     # loads tests/fixtures/whole/NAME.here.safetensors into the models

`NAME.safetensors` is what `safetensors.torch.save_file(model.state_dict(), ..)` writes before training; `NAME.run` has the
inputs (`in.*`), the output in evaluation mode (`out`), the loss of every step of training (`losses`) and the state dict
afterwards (`after.*`). `NAME.here` is a file of the same weights that tests/tests/whole_models.rs wrote
(`GRADUS_WRITE_FIXTURES=1 cargo test -p tests --test whole_models`); `check` wants it to load with `strict=True` and to give
the output again. The torch version stands in the metadata of `NAME.run`.
"""
import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "whole"
STEPS = 20


class Convnet(nn.Module):
    """Images to classes; SGD with Nesterov's momentum, steps of the learning rate, clipped gradients."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, groups=2), nn.GroupNorm(3, 6), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(6, 3)

    def forward(self, x):
        return self.classifier(self.features(x))

    @staticmethod
    def inputs(g):
        return [torch.randn(8, 2, 10, 10, generator=g), torch.randint(0, 3, (8,), generator=g)]

    def train_step(self, inputs, loss_fn=nn.CrossEntropyLoss(label_smoothing=0.1)):
        x, y = inputs
        return loss_fn(self(x), y)

    def optimizer(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.5), 1.0


class Tagger(nn.Module):
    """Tokens to tags by a bidirectional LSTM; RMSprop with momentum, exponential decay."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.norm = nn.LayerNorm(10)
        self.head = nn.Linear(10, 4)

    def forward(self, ids):
        return self.head(self.norm(self.lstm(self.embedding(ids))[0]))

    @staticmethod
    def inputs(g):
        ids, tags = torch.randint(1, 11, (3, 7), generator=g), torch.randint(0, 4, (3, 7), generator=g)
        ids[1, 5:], tags[1, 5:] = 0, -100
        return [ids, tags]

    def train_step(self, inputs, loss_fn=nn.CrossEntropyLoss()):
        ids, tags = inputs
        return loss_fn(self(ids).transpose(1, 2), tags)

    def optimizer(self):
        optimizer = torch.optim.RMSprop(self.parameters(), lr=1e-2, momentum=0.5, centered=True)
        return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95), None


class Translator(nn.Module):
    """Encoder and decoder with a head that is tied to the embedding; AdamW in two groups, one cycle of the rate."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 8)
        self.transformer = nn.Transformer(
            8, 2, num_encoder_layers=1, num_decoder_layers=2, dim_feedforward=12, dropout=0.0, activation="gelu",
            batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 9, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        return self.head(self.transformer(self.embedding(source), self.embedding(target), tgt_mask=mask))

    @staticmethod
    def inputs(g):
        return [torch.randint(0, 9, shape, generator=g) for shape in [(3, 5), (3, 4), (3, 4)]]

    def train_step(self, inputs, loss_fn=nn.CrossEntropyLoss()):
        source, target, following = inputs
        return loss_fn(self(source, target).flatten(0, 1), following.flatten())

    def optimizer(self):
        matrices = [p for p in self.parameters() if p.dim() >= 2]
        rest = [p for p in self.parameters() if p.dim() < 2]
        optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}])
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS + 1), 0.5


MODELS = {"convnet": Convnet, "tagger": Tagger, "translator": Translator}


def output(model, inputs):
    model.eval()
    with torch.no_grad():
        return model(*inputs[:-1])


def make():
    for name, build in MODELS.items():
        torch.manual_seed(3)
        model, inputs = build(), build.inputs(torch.Generator().manual_seed(4))
        # A tied weight stands in the state dict twice; the format holds no memory twice.
        copies = lambda: {k: v.detach().clone() for k, v in model.state_dict().items()}
        save_file(copies(), FIXTURES / f"{name}.safetensors")
        run = {f"in.{i}": x for i, x in enumerate(inputs)} | {"out": output(model, inputs)}
        model.train()
        optimizer, schedule, clip = model.optimizer()
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = model.train_step(inputs)
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        run["losses"] = torch.tensor(losses)
        run |= {f"after.{k}": v for k, v in copies().items()}
        save_file(run, FIXTURES / f"{name}.run.safetensors", {"torch": torch.__version__})
        print(f"{name}: {len(copies())} tensors, loss {losses[0]:.4f} to {losses[-1]:.4f}, torch {torch.__version__}")


def check():
    for name, build in MODELS.items():
        model = build()
        model.load_state_dict(load_file(FIXTURES / f"{name}.here.safetensors"), strict=True)
        run = load_file(FIXTURES / f"{name}.run.safetensors")
        inputs = [run[f"in.{i}"] for i in range(sum(k.startswith("in.") for k in run))]
        difference = (output(model, inputs) - run["out"]).abs().max().item()
        with safe_open(FIXTURES / f"{name}.here.safetensors", "pt") as file:
            count = len(file.keys())
        print(f"{name}: {count} tensors load with strict=True, the output differs by {difference:.1e}")
        assert difference <= 1e-12, name


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    FIXTURES.mkdir(exist_ok=True)
    if sys.argv[1:] not in (["make"], ["check"]):
        sys.exit(__doc__)
    {"make": make, "check": check}[sys.argv[1]]()
