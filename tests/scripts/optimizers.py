#!/usr/bin/env python3
"""Writes the trajectories of PyTorch's optimizers, in float64, for the parity tests in tests/tests/optimizers.

    pip install torch numpy safetensors
    python tests/scripts/optimizers.py     # rewrites tests/fixtures/optimizers.safetensors and optimizer_states.safetensors

`optimizers` holds for each case all its parameters as one vector: `CASE/start`, and `CASE/after`, a row for each of the
steps 1, 2, 5, 10 and 60. `optimizer_states` holds for some cases the optimizer's state after step 5 as
`optimizer_state.py` converts it, `CASE/KEY`. The metadata holds, as JSON, the torch version and for each case the
optimizer, the options of its groups, how many parameters are in each group, the shapes of the parameters and the mode:
which gradients they get, see `gradient`.

Lion, which PyTorch lacks, is written below after its paper's formula. Muon is PyTorch's with the orthogonalisation in
float64 in the place of bfloat16.
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from torch.optim import _muon

import optimizer_state

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
STEPS = (1, 2, 5, 10, 60)
SHAPES = [(3, 4), (5,), (), (2, 1, 3)]
MATRICES = [(3, 4), (5, 2), (1, 3), (4, 4)]
VECTORS = [(3, 2), (2,)]


class Lion(torch.optim.Optimizer):
    """Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, algorithm 2."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = -p.grad if group["maximize"] else p.grad
                state = self.state[p]
                m = state.get("exp_avg", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * g
                p.copy_(p - lr * (torch.sign(c) + decay * p))
                state["exp_avg"] = beta2 * m + (1 - beta2) * g
                state["step"] = state.get("step", 0) + 1


def orthogonalized(update, coefficients, steps, eps):
    """Newton and Schulz's iteration as in Muon, in the update's own dtype."""
    a, b, c = coefficients
    high = update.size(0) > update.size(1)
    x = update.T if high else update
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if high else x


_muon._zeropower_via_newtonschulz = orthogonalized


def make(name, params, groups, split):
    """The optimizer of a case."""
    kind = Lion if name == "Lion" else getattr(torch.optim, name)
    if len(groups) == 1:
        return kind(params, **groups[0])
    starts = [sum(split[:i]) for i in range(len(split))]
    return kind([dict(params=params[s : s + n], **g) for s, n, g in zip(starts, split, groups)])


def start(shapes):
    """Parameters with values that are all different."""
    params, at = [], 0
    for shape in shapes:
        n = max(1, torch.Size(shape).numel())
        values = 0.9 * torch.sin(1.7 * torch.arange(at, at + n, dtype=torch.float64) + 0.3)
        params.append(torch.nn.Parameter(values.reshape(shape)))
        at += n
    return params


def gradient(mode, number, p, n):
    """The gradient of parameter `number` at step `n`. It depends on the parameter, so that errors would feed back."""
    if mode == "rests" and number % 2 == 1 and n % 3 != 1:
        return None
    g = 2 * p + torch.cos(p + 0.3 * n)
    if mode == "zeros" and (n % 4 == 0 or (number % 2 == 1 and n <= 3)):
        return torch.zeros_like(p)
    if mode == "sparse":
        index = torch.arange(p.numel()).reshape(p.shape)
        return torch.where((index + n) % 3 == 0, g, torch.zeros_like(g))
    return g


def loss(mode, params):
    """What LBFGS brings down (or up)."""
    q = torch.cat([p.reshape(-1) for p in params])
    if mode == "valley":
        return ((1 - q[:-1]) ** 2 + 10 * (q[1:] - q[:-1] ** 2) ** 2).sum()
    bowl = ((torch.arange(q.numel(), dtype=q.dtype) + 1) * (q - 0.3) ** 2 + q**4).sum()
    return bowl if mode == "bowl" else -bowl


def step(optimizer, name, mode, params, n):
    """Step `n`, from 1."""
    if name != "LBFGS":
        for number, p in enumerate(params):
            p.grad = gradient(mode, number, p.detach(), n)
        optimizer.step()
        return

    def closure():
        optimizer.zero_grad()
        value = loss(mode, params)
        value.backward()
        return value

    optimizer.step(closure)


def cases():
    """case -> (optimizer, mode, options of each group)"""
    found = {}

    def case(name, optimizer, *groups, mode="plain"):
        found[name] = (optimizer, mode, list(groups) or [{}])

    def modes(name, optimizer, **options):
        for mode in ("rests", "zeros", "sparse"):
            case(f"{name}_{mode}", optimizer, options, mode=mode)

    case("sgd", "SGD")
    case("sgd_lr", "SGD", dict(lr=0.1))
    case("sgd_momentum", "SGD", dict(lr=0.1, momentum=0.9))
    case("sgd_nesterov", "SGD", dict(lr=0.1, momentum=0.9, nesterov=True))
    case("sgd_dampening", "SGD", dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.01))
    case("sgd_maximize", "SGD", dict(lr=0.1, weight_decay=0.05, maximize=True))
    case("sgd_groups", "SGD", dict(lr=0.1, weight_decay=0.1), dict(lr=0.02, momentum=0.8))
    modes("sgd", "SGD", lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01)

    for name, kind in (("adam", "Adam"), ("adamw", "AdamW")):
        case(name, kind)
        case(f"{name}_options", kind, dict(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.3))
        case(f"{name}_low_betas", kind, dict(lr=0.01, betas=(0.3, 0.4)))
        case(f"{name}_amsgrad", kind, dict(lr=0.05, betas=(0.9, 0.9), weight_decay=0.1, amsgrad=True))
        case(f"{name}_maximize", kind, dict(lr=0.01, weight_decay=0.1, maximize=True))
        case(f"{name}_groups", kind, dict(lr=0.01, amsgrad=True), dict(lr=0.03, betas=(0.7, 0.99)))
        modes(name, kind, lr=0.02, weight_decay=0.02, amsgrad=True)
    case("adam_decoupled", "Adam", dict(lr=0.02, weight_decay=0.3, decoupled_weight_decay=True))

    for name, kind in (("nadam", "NAdam"), ("radam", "RAdam")):
        case(name, kind)
        case(f"{name}_options", kind, dict(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.3))
        case(f"{name}_decoupled", kind, dict(lr=0.02, weight_decay=0.3, decoupled_weight_decay=True))
        case(f"{name}_maximize", kind, dict(lr=0.01, weight_decay=0.1, maximize=True))
        case(f"{name}_groups", kind, dict(lr=0.01, eps=1e-4), dict(lr=0.03, betas=(0.7, 0.99)))
        modes(name, kind, lr=0.02, weight_decay=0.02)
    case("nadam_momentum_decay", "NAdam", dict(lr=0.01, momentum_decay=0.1))

    case("adamax", "Adamax")
    case("adamax_options", "Adamax", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.3))
    case("adamax_maximize", "Adamax", dict(lr=0.01, maximize=True))
    case("adamax_groups", "Adamax", dict(lr=0.01, weight_decay=0.1), dict(lr=0.03, betas=(0.7, 0.9)))
    modes("adamax", "Adamax", lr=0.02, weight_decay=0.02)

    case("adagrad", "Adagrad")
    case("adagrad_options", "Adagrad", dict(lr=0.1, lr_decay=0.02, weight_decay=0.2, initial_accumulator_value=0.5, eps=1e-5))
    case("adagrad_maximize", "Adagrad", dict(lr=0.1, maximize=True))
    case("adagrad_groups", "Adagrad", dict(lr=0.1, lr_decay=0.1), dict(lr=0.2, eps=1e-4))
    modes("adagrad", "Adagrad", lr=0.1, weight_decay=0.02)

    case("adadelta", "Adadelta")
    case("adadelta_options", "Adadelta", dict(lr=2.0, rho=0.8, eps=1e-4, weight_decay=0.2))
    case("adadelta_maximize", "Adadelta", dict(maximize=True))
    case("adadelta_groups", "Adadelta", dict(lr=0.5), dict(rho=0.95, weight_decay=0.1))
    modes("adadelta", "Adadelta", eps=1e-4, weight_decay=0.02)

    case("rmsprop", "RMSprop")
    case("rmsprop_options", "RMSprop", dict(lr=0.005, alpha=0.9, eps=1e-5, weight_decay=0.2))
    case("rmsprop_momentum", "RMSprop", dict(lr=0.002, momentum=0.8))
    case("rmsprop_centered", "RMSprop", dict(lr=0.005, alpha=0.9, eps=1e-3, centered=True))
    case("rmsprop_both", "RMSprop", dict(lr=0.002, alpha=0.9, eps=1e-3, momentum=0.7, centered=True, weight_decay=0.1))
    case("rmsprop_maximize", "RMSprop", dict(maximize=True))
    case("rmsprop_groups", "RMSprop", dict(momentum=0.5, lr=0.003), dict(centered=True, eps=1e-3))
    modes("rmsprop", "RMSprop", lr=0.005, momentum=0.5, centered=True, eps=1e-3, weight_decay=0.02)

    case("lion", "Lion")
    case("lion_options", "Lion", dict(lr=0.01, betas=(0.8, 0.95), weight_decay=0.3))
    case("lion_maximize", "Lion", dict(lr=0.01, maximize=True))
    case("lion_groups", "Lion", dict(lr=0.01), dict(lr=0.003, weight_decay=0.1))
    modes("lion", "Lion", lr=0.01, weight_decay=0.1)

    case("muon", "Muon")
    case("muon_options", "Muon", dict(lr=0.02, momentum=0.8, nesterov=False, weight_decay=0.3, eps=1e-5))
    case("muon_match", "Muon", dict(lr=0.02, adjust_lr_fn="match_rms_adamw"))
    case("muon_unclamped", "Muon", dict(lr=0.02, adjust_lr_fn="spectral_unclamped"))
    case("muon_iteration", "Muon", dict(lr=0.02, ns_coefficients=(2.0, -1.5, 0.5), ns_steps=3, adjust_lr_fn="original"))
    case("muon_groups", "Muon", dict(lr=0.02), dict(lr=0.01, momentum=0.3, weight_decay=0.0))
    modes("muon", "Muon", lr=0.02)

    case("lbfgs", "LBFGS", dict(lr=0.1), mode="bowl")
    case("lbfgs_short", "LBFGS", dict(lr=0.3, max_iter=3, history_size=2), mode="bowl")
    case("lbfgs_max_eval", "LBFGS", dict(lr=0.3, max_iter=8, max_eval=4), mode="bowl")
    case("lbfgs_tolerances", "LBFGS", dict(lr=0.3, max_iter=5, tolerance_grad=1e-2, tolerance_change=1e-3), mode="bowl")
    case("lbfgs_maximize", "LBFGS", dict(lr=0.3, max_iter=3, maximize=True), mode="dome")
    case("lbfgs_wolfe", "LBFGS", dict(max_iter=4, line_search_fn="strong_wolfe"), mode="valley")
    case("lbfgs_wolfe_bowl", "LBFGS", dict(max_iter=2, lr=30.0, line_search_fn="strong_wolfe"), mode="bowl")
    case("lbfgs_wolfe_few", "LBFGS", dict(max_iter=3, max_eval=4, history_size=3, line_search_fn="strong_wolfe"), mode="valley")
    case("lbfgs_wolfe_maximize", "LBFGS", dict(max_iter=2, line_search_fn="strong_wolfe", maximize=True), mode="dome")
    return found


# One case for each set of tensors that an optimizer keeps.
WITH_STATE = """sgd_lr sgd_momentum sgd_rests adam adam_amsgrad adamw_groups nadam_options radam adamax_options
    adagrad_options adadelta rmsprop rmsprop_momentum rmsprop_centered rmsprop_both rmsprop_groups lion_options
    muon_match muon_rests lbfgs_short lbfgs_wolfe""".split()


def setup(name):
    """Of a case: the optimizer's name, the mode, the options of the groups, the split and the shapes."""
    optimizer, mode, groups = cases()[name]
    shapes = {"Muon": MATRICES, "LBFGS": VECTORS}.get(optimizer, SHAPES)
    split = [len(shapes)] if len(groups) == 1 else [2, len(shapes) - 2]
    return optimizer, mode, groups, split, shapes


def flat(params):
    return torch.cat([p.detach().reshape(-1) for p in params])


def main():
    torch.set_default_dtype(torch.float64)
    tensors, states, about = {}, {}, {}
    for name in cases():
        optimizer_name, mode, groups, split, shapes = setup(name)
        params = start(shapes)
        tensors[f"{name}/start"] = flat(params)
        optimizer = make(optimizer_name, params, groups, split)
        options = [optimizer_state.options(optimizer_name, group) for group in optimizer.param_groups]
        about[name] = dict(optimizer=optimizer_name, mode=mode, split=split, shapes=shapes, groups=options)
        rows = []
        for n in range(1, STEPS[-1] + 1):
            step(optimizer, optimizer_name, mode, params, n)
            if n in STEPS:
                rows.append(flat(params))
            if n == 5 and name in WITH_STATE:
                state = optimizer_state.to_tensors(optimizer_name, optimizer.state_dict())
                states.update({f"{name}/{key}": value for key, value in state.items()})
        tensors[f"{name}/after"] = torch.stack(rows)
        assert tensors[f"{name}/after"].isfinite().all(), name
    # One entry: the library writes several in any order.
    metadata = {"about": json.dumps({"torch": torch.__version__, "cases": about})}
    save_file(tensors, FIXTURES / "optimizers.safetensors", metadata)
    save_file(states, FIXTURES / "optimizer_states.safetensors", {"torch": torch.__version__})
    print(f"{len(about)} cases, {len(states)} tensors of states, torch {torch.__version__}")


if __name__ == "__main__":
    main()
