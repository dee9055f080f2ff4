#!/usr/bin/env python3
"""Converts the state of PyTorch's optimizers to the form that Gradus saves and loads, and back.

    pip install torch numpy safetensors
    python tests/scripts/optimizer_state.py to-safetensors AdamW torch.pt gradus.safetensors
    python tests/scripts/optimizer_state.py to-torch AdamW gradus.safetensors torch.pt
    python tests/scripts/optimizer_state.py check            # the states that Gradus saved go on in torch as here

`torch.pt` is `torch.save(optimizer.state_dict(), "torch.pt")`. In a Python program, `to_tensors(name, state_dict)` gives
the named tensors, and `to_torch(name, tensors, optimizer)` the state dict for that optimizer's `load_state_dict`.

The names are the same on both sides, `state.3.exp_avg` here for `state_dict["state"][3]["exp_avg"]` there. What differs:

* Numbers are tensors: floats f64, counts (and `step`, a float tensor in torch) i64, text the bytes of its UTF-8 with none
  for `None`, tuples and lists one tensor.
* `step` is kept for SGD and Muon too, where torch has none: it becomes 1, a later step than the first.
* Options that choose among torch's implementations (`foreach`, `fused`, `capturable`, `differentiable`) are left out; so
  is what torch's schedulers add to the groups (`initial_lr`). On the way back they come from the optimizer given, or are
  torch's defaults.
* LBFGS's lists are matrices, a row for each entry, and its scratch space `al` is left out.
* The groups must hold the parameters in the same order; a parameter is known by its number only.
"""
import sys

import torch
from safetensors.torch import load_file, save_file

OPTIONS = {
    "SGD": "lr momentum dampening weight_decay nesterov maximize",
    "Adam": "lr betas eps weight_decay amsgrad maximize decoupled_weight_decay",
    "AdamW": "lr betas eps weight_decay amsgrad maximize",
    "NAdam": "lr betas eps weight_decay momentum_decay decoupled_weight_decay maximize",
    "RAdam": "lr betas eps weight_decay decoupled_weight_decay maximize",
    "Adamax": "lr betas eps weight_decay maximize",
    "Adagrad": "lr lr_decay weight_decay initial_accumulator_value eps maximize",
    "Adadelta": "lr rho eps weight_decay maximize",
    "RMSprop": "lr alpha eps weight_decay momentum centered maximize",
    "LBFGS": "lr max_iter max_eval tolerance_grad tolerance_change history_size line_search_fn maximize",
    "Lion": "lr betas weight_decay maximize",
    "Muon": "lr weight_decay momentum nesterov ns_coefficients eps ns_steps adjust_lr_fn",
}
COUNTS = {"max_iter", "max_eval", "history_size", "ns_steps", "step", "func_evals", "n_iter"}
TEXTS = {"line_search_fn", "adjust_lr_fn"}
WITHOUT_STEP = {"SGD", "Muon"}
# Of LBFGS: lists of vectors, and numbers that may be tensors.
ROWS, NUMBERS = {"old_dirs", "old_stps"}, {"mu_product", "t", "H_diag", "prev_loss"}


def options(name, group):
    """The options of a group of torch's that Gradus has too."""
    # Flags that older versions of torch did not have are off.
    found = {key: group.get(key, False) for key in OPTIONS[name].split()}
    if name == "Muon" and found["adjust_lr_fn"] is None:
        found["adjust_lr_fn"] = "original"
    return found


def tensor(key, value):
    """An option or a part of a state as a tensor."""
    if key in TEXTS:
        return torch.tensor(list((value or "").encode()), dtype=torch.uint8)
    if key in COUNTS:
        return torch.tensor(int(value))
    if isinstance(value, bool):
        return torch.tensor(value)
    if isinstance(value, torch.Tensor) and key not in NUMBERS:
        return value.detach().clone().contiguous()
    if key == "ro":
        return torch.tensor([float(x) for x in value], dtype=torch.float64)
    if isinstance(value, (tuple, list)):
        return torch.tensor([float(x) for x in value], dtype=torch.float64)
    return torch.tensor(float(value), dtype=torch.float64)


def to_tensors(name, state_dict):
    """Torch's `optimizer.state_dict()` as the named tensors of Gradus."""
    found = {}
    for number, state in state_dict["state"].items():
        if name in WITHOUT_STEP:
            state = {"step": 1, **state}
        for key, value in state.items():
            if value is None or key == "al":
                continue
            if key in ROWS:
                value = torch.stack(value) if value else state["d"].new_zeros(0, state["d"].numel())
            found[f"state.{number}.{key}"] = tensor(key, value)
    for position, group in enumerate(state_dict["param_groups"]):
        for key, value in options(name, group).items():
            found[f"param_groups.{position}.{key}"] = tensor(key, value)
        found[f"param_groups.{position}.params"] = torch.tensor(group["params"], dtype=torch.int64)
    return found


def value_of(key, found):
    """The other way of `tensor`."""
    if key in TEXTS:
        return bytes(found.tolist()).decode() or None
    if key == "step":
        return found.to(torch.get_default_dtype())
    if key in ROWS or key == "ro":
        return list(found.unbind())
    if key == "mu_product":
        return found
    return tuple(found.tolist()) if found.dim() else found.item()


def to_torch(name, tensors, optimizer=None):
    """The named tensors of Gradus as a state dict for torch's optimizer of that name, whose groups give what is missing."""
    state, groups = {}, {}
    for path, found in tensors.items():
        kind, number, key = path.split(".")
        if kind == "param_groups":
            value = found.tolist() if key == "params" else value_of(key, found)
            groups.setdefault(int(number), {})[key] = value
        elif key == "step" and name in WITHOUT_STEP:
            state.setdefault(int(number), {})
        else:
            is_number = key in COUNTS | NUMBERS | ROWS | {"ro"}
            state.setdefault(int(number), {})[key] = value_of(key, found) if is_number else found.clone()
    templates = optimizer.param_groups if optimizer is not None else None
    if templates is None and hasattr(torch.optim, name):
        lone = getattr(torch.optim, name)([torch.nn.Parameter(torch.zeros(1, 1))])
        templates = [lone.param_groups[0]] * len(groups)
    groups = [{**(templates[i] if templates else {}), **groups[i]} for i in sorted(groups)]
    return {"state": {i: s for i, s in state.items() if s}, "param_groups": groups}


def check():
    """Continues in torch what Gradus saved after 5 steps, and compares with torch's own step 10."""
    import optimizers

    torch.set_default_dtype(torch.float64)
    saved = load_file(optimizers.FIXTURES / "optimizer_states_saved.safetensors")
    expected = load_file(optimizers.FIXTURES / "optimizers.safetensors")
    for case in sorted({key.split("/")[0] for key in saved}):
        name, mode, groups, split, shapes = optimizers.setup(case)
        parts = {key.split("/")[1]: value for key, value in saved.items() if key.startswith(f"{case}/")}
        values, params = parts.pop("parameters"), optimizers.start(shapes)
        torch.nn.utils.vector_to_parameters(values, params)
        # An optimizer without the case's options: they come with the state.
        optimizer = optimizers.make(name, params, [{}] * len(groups), split)
        optimizer.load_state_dict(to_torch(name, parts, optimizer))
        for n in range(6, 11):
            optimizers.step(optimizer, name, mode, params, n)
        off = (optimizers.flat(params) - expected[f"{case}/after"][3]).abs().max().item()
        assert off < (1e-6 if name == "LBFGS" else 1e-12), f"{case}: off by {off}"
        print(f"{case}: off by {off:.1e}")


def main():
    match sys.argv[1:]:
        case ["check"]:
            check()
        case ["to-safetensors", name, source, target] if name in OPTIONS:
            save_file(to_tensors(name, torch.load(source, weights_only=True)), target)
        case ["to-torch", name, source, target] if name in OPTIONS:
            torch.save(to_torch(name, load_file(source)), target)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
