#!/usr/bin/env python3
"""Writes what PyTorch's modules compute, in float64, for the parity tests in tests/tests/modules.

    pip install torch numpy safetensors
    python tests/scripts/modules.py            # rewrites every tests/fixtures/modules/FAMILY.safetensors
    python tests/scripts/modules.py linear     # only that family

The cases of a family are in `module_cases/FAMILY.py`, as a function `cases(c)` that calls `c.add` for each. The tensors of
a case are called

    CASE/in.I, CASE/const.I        the inputs, in one numbering; those of `in` are differentiated
    CASE/state.KEY                 the state dict before
    CASE/out.I                     the outputs
    CASE/grad.in.I, CASE/grad.state.KEY    the gradients of the sum over all floating outputs of (out * sin(0, 1, 2, ..)).sum(),
                                           or of out itself where it is a scalar
    CASE/after.KEY                 the buffers after the forward pass

and the metadata holds, as JSON, the torch version and for each case the keys of the state dict in order, the printed
module, and whether it is in training mode.
"""
import importlib
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures" / "modules"


class Cases:
    """Collects the cases of a family."""

    def __init__(self, family):
        self.family, self.tensors, self.about = family, {}, {}
        self.generator = torch.Generator().manual_seed(0)
        torch.manual_seed(1)

    def randn(self, *shape):
        return torch.randn(shape, generator=self.generator)

    def rand(self, *shape):
        return torch.rand(shape, generator=self.generator)

    def randint(self, low, high, shape):
        return torch.randint(low, high, shape, generator=self.generator)

    def mask(self, *shape, p=0.5):
        return self.rand(*shape) < p

    def add(self, name, module, *inputs, call=None, train=True, constant=(), vectors=True):
        """One case. `module` is a module, or None for a function.

        `inputs` are tensors; the floating ones are differentiated unless their position is in `constant`. `call(module,
        *inputs)` (without the module if that is None) gives a tensor or nested tuples of tensors; by default the module
        is applied. Parameters of one dimension, which start at 0 and 1 in many layers, are drawn anew unless `vectors`
        is false.
        """
        assert name not in self.about, name
        put = lambda part, tensor: self.tensors.__setitem__(f"{name}/{part}", tensor.detach().clone().contiguous())
        leaves = []
        for i, x in enumerate(inputs):
            differentiated = x.is_floating_point() and i not in constant
            put(f"{'in' if differentiated else 'const'}.{i}", x)
            leaves.append(x.detach().clone().requires_grad_(differentiated))
        about = {"train": train}
        if module is not None:
            module.train(train)
            for p in module.parameters():
                if vectors and p.dim() == 1:
                    torch.nn.init.normal_(p, 0.5, 0.5)
            about |= {"keys": list(module.state_dict()), "repr": repr(module)}
            for key, value in module.state_dict().items():
                put(f"state.{key}", value)
            out = module(*leaves) if call is None else call(module, *leaves)
        else:
            out = call(*leaves)
        loss = 0
        for i, y in enumerate(flatten(out)):
            put(f"out.{i}", y)
            if y.requires_grad:
                # A scalar counts as it is: the sine of 0 would hide its gradient.
                weights = torch.sin(torch.arange(y.numel(), dtype=y.dtype)).view(y.shape) if y.dim() else 1.0
                loss = loss + (y * weights).sum()
        if isinstance(loss, torch.Tensor):
            loss.backward()
        for i, x in enumerate(leaves):
            if x.grad is not None:
                put(f"grad.in.{i}", x.grad.to_dense())
        if module is not None:
            parameters = dict(module.named_parameters(remove_duplicate=False))
            for key, p in parameters.items():
                if p.grad is not None:
                    put(f"grad.state.{key}", p.grad.to_dense())
            for key, value in module.state_dict().items():
                if key not in parameters:
                    put(f"after.{key}", value)
        self.about[name] = about

    def save(self):
        about = {"torch": torch.__version__, "cases": self.about}
        save_file(self.tensors, FIXTURES / f"{self.family}.safetensors", {"about": json.dumps(about)})
        size = (FIXTURES / f"{self.family}.safetensors").stat().st_size
        print(f"{self.family}: {len(self.about)} cases, {size} bytes, torch {torch.__version__}")


def flatten(out):
    if isinstance(out, torch.Tensor):
        return [out]
    return [y for part in out if part is not None for y in flatten(part)]


def main():
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    sys.path.insert(0, str(HERE))
    FIXTURES.mkdir(exist_ok=True)
    families = sys.argv[1:] or sorted(path.stem for path in (HERE / "module_cases").glob("*.py"))
    for family in families:
        cases = Cases(family)
        importlib.import_module(f"module_cases.{family}").cases(cases)
        cases.save()


if __name__ == "__main__":
    main()
