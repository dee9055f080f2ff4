#!/usr/bin/env python3
"""Draws samples from PyTorch's own database of operators and writes them down as fixtures.

    pip install torch numpy expecttest safetensors
    python tests/scripts/conformance.py            # rewrites tests/fixtures/conformance/

The database is `torch.testing._internal.common_methods_invocations.op_db`. For each operator in OPERATORS it gives sample
inputs, for which this script computes in float64 the results, the gradients of `sum_k <cotangent_k, result_k>` by every
input that requires one, and the gradients of `sum_i <weight_i, gradient_i>` by those inputs and the cotangents. It also
gives inputs that must be refused. For the other dtypes the first few samples are run forwards only.

Files: `samples.jsonl`, a line per sample; `values.safetensors`, the numbers: `inputs` (float32: float inputs are rounded to
it before anything is computed) and `outputs` (float64). A result of more than FULL elements is kept as PROBES elements at
even distances and SUMS weighted sums of all elements; the formulas are in `probe` and must be those of
`autograd/src/testing/conformance/`. The first line of `samples.jsonl` names the torch version.
"""
import collections
import json
import math
import pathlib
import warnings

import torch
from safetensors.torch import save_file
from torch.testing._internal.common_methods_invocations import op_db

warnings.filterwarnings("ignore")
OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "conformance"
FULL, PROBES, SUMS = 24, 12, 2

OPERATORS = """
add sub rsub mul div:no_rounding_mode div:trunc_rounding div:floor_rounding neg abs sign exp exp2 log log1p log2 log10 expm1
sqrt rsqrt pow __rpow__ square reciprocal sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh sigmoid logit erf
erfc erfinv floor ceil round round:decimals_0 round:decimals_3 round:decimals_neg_3 trunc frac remainder fmod clamp clamp_min
clamp_max maximum minimum fmax fmin lerp where masked_fill addcmul addcdiv xlogy hypot logaddexp nan_to_num sinc
eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
isnan isinf isfinite isclose allclose
sum mean prod amax amin max:reduction_with_dim max:reduction_no_dim max:binary min:reduction_with_dim min:reduction_no_dim
min:binary argmax argmin var var:unbiased std std:unbiased var_mean std_mean norm linalg.vector_norm logsumexp softmax
log_softmax cumsum cumprod cummax cummin logcumsumexp any all median count_nonzero
matmul mm bmm mv dot outer addmm addmv addbmm baddbmm inner einsum tril triu diag diag_embed diagonal trace
linalg.cholesky linalg.solve linalg.solve_triangular linalg.inv linalg.det linalg.slogdet logdet linalg.qr linalg.svd
linalg.svdvals linalg.eigh linalg.eigvalsh linalg.matrix_power
reshape view flatten unflatten ravel squeeze squeeze:multiple unsqueeze transpose permute movedim expand broadcast_to repeat
repeat_interleave tile cat stack split split:list_args split_with_sizes chunk tensor_split unbind narrow select slice
__getitem__ index_put slice_scatter select_scatter index_fill index_copy
index_select gather scatter scatter_add scatter_reduce:sum scatter_reduce:prod scatter_reduce:mean scatter_reduce:amin
scatter_reduce:amax index_add take take_along_dim masked_select masked_scatter flip fliplr flipud roll rot90 unfold
nn.functional.pad:constant nn.functional.pad:reflect nn.functional.pad:replicate nn.functional.pad:circular
sort msort topk kthvalue argsort unique unique_consecutive nonzero argwhere nn.functional.one_hot bincount searchsorted
bucketize arange linspace logspace eye full zeros ones zeros_like ones_like full_like meshgrid:variadic_tensors
meshgrid:list_of_tensors tril_indices triu_indices
nn.functional.linear nn.functional.conv1d nn.functional.conv2d nn.functional.conv_transpose1d nn.functional.conv_transpose2d
nn.functional.max_pool1d nn.functional.max_pool2d nn.functional.avg_pool1d nn.functional.avg_pool2d
nn.functional.adaptive_avg_pool1d nn.functional.adaptive_avg_pool2d nn.functional.adaptive_max_pool1d
nn.functional.adaptive_max_pool2d nn.functional.layer_norm nn.functional.rms_norm nn.functional.group_norm
nn.functional.batch_norm nn.functional.instance_norm nn.functional.embedding nn.functional.scaled_dot_product_attention
nn.functional.cross_entropy nn.functional.nll_loss nn.functional.mse_loss nn.functional.l1_loss nn.functional.smooth_l1_loss
nn.functional.huber_loss nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits
nn.functional.kl_div nn.functional.cosine_similarity nn.functional.normalize nn.functional.relu nn.functional.relu6
nn.functional.gelu nn.functional.silu nn.functional.elu nn.functional.celu nn.functional.selu nn.functional.leaky_relu
nn.functional.prelu nn.functional.softplus nn.functional.hardtanh nn.functional.hardsigmoid nn.functional.hardswish
nn.functional.logsigmoid nn.functional.mish nn.functional.glu nn.functional.softsign nn.functional.tanhshrink
nn.functional.softshrink nn.functional.hardshrink nn.functional.threshold nn.functional.interpolate:nearest
nn.functional.interpolate:linear nn.functional.interpolate:bilinear nn.functional.pixel_shuffle
nn.functional.pixel_unshuffle
softmax:with_dtype log_softmax:with_dtype norm:fro norm:inf var_mean:unbiased std_mean:unbiased nansum nanmean nanmedian
aminmax copysign floor_divide t expand_as reshape_as view_as broadcast_tensors hstack vstack column_stack cartesian_prod
diagonal_scatter put histc kron tensordot cholesky_solve linalg.pinv nn.functional.pad:replicate_negative
nn.functional.interpolate:nearest-exact nn.functional.pairwise_distance nn.functional.channel_shuffle
""".split()

# Factors are unique only up to signs: what does not depend on those is compared.
PROCESS = {
    "linalg.svd": ("abs_0_2", lambda r: (r[0].abs(), r[1], r[2].abs())),
    "linalg.eigh": ("abs_1", lambda r: (r[0], r[1].abs())),
}
DTYPES = {
    torch.bool: "bool", torch.uint8: "u8", torch.int32: "i32", torch.int64: "i64",
    torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32", torch.float64: "f64",
}


class Unspeakable(Exception):
    """A sample that has no counterpart outside PyTorch (complex numbers, devices, ..)."""


class Values:
    """The numbers of all samples, one after the other; equal runs are kept once."""

    def __init__(self):
        self.numbers, self.seen = [], {}

    def put(self, numbers):
        key = tuple(map(repr, numbers))
        if key not in self.seen:
            self.seen[key] = len(self.numbers)
            self.numbers.extend(numbers)
        return self.seen[key]


inputs, outputs = Values(), Values()


def wave(n, rate, phase):
    """The numbers cos(rate j + phase), from which both sides make cotangents and weights."""
    return [math.cos(rate * j + phase) for j in range(n)]


def constant(like, k, rate, phase):
    return torch.tensor(wave(like.numel(), rate, phase + k), dtype=like.dtype).reshape(like.shape)


def speak(x):
    """An argument as JSON."""
    if isinstance(x, torch.Tensor):
        if x.dtype not in DTYPES or x.layout != torch.strided:
            raise Unspeakable(f"{x.dtype} tensors")
        numbers = x.detach().reshape(-1).to(torch.float64).tolist()
        if any(torch.tensor(n, dtype=torch.float32).item() != n for n in numbers if not math.isnan(n)):
            raise Unspeakable(f"{x.dtype} numbers that float32 does not hold")
        said = {"t": inputs.put(numbers), "s": list(x.shape), "d": DTYPES[x.dtype]}
        if x.requires_grad:
            said["g"] = 1
        return said
    if x is None or isinstance(x, (bool, int, str)):
        return x
    if isinstance(x, float):
        return x if math.isfinite(x) else {"f": repr(x)}
    if isinstance(x, slice):
        return {"slice": [x.start, x.stop, x.step]}
    if x is Ellipsis:
        return {"ellipsis": True}
    if isinstance(x, (list, tuple)):
        return [speak(i) for i in x]
    if isinstance(x, torch.dtype):
        return {"dtype": DTYPES.get(x, str(x))}
    raise Unspeakable(f"arguments of type {type(x).__name__}")


def probe(x):
    """A result as JSON."""
    if x.dtype not in DTYPES:
        raise Unspeakable(f"{x.dtype} results")
    # Adding zeros gives memory to a gradient that PyTorch only marked as zero.
    x = x.detach() + torch.zeros_like(x) if x.is_floating_point() else x
    numbers = x.reshape(-1).to(torch.float64).tolist()
    n = len(numbers)
    if n > FULL:
        tame = [3.0 if math.isnan(v) else v if math.isfinite(v) else math.copysign(5.0, v) for v in numbers]
        sums = [sum(a * b for a, b in zip(tame, wave(n, 0.7390851 * (k + 1), k))) for k in range(SUMS)]
        scale = sum(map(abs, tame))
        numbers = [numbers[i * n // PROBES] for i in range(PROBES)] + sums + [scale]
    return {"t": outputs.put(numbers), "s": list(x.shape), "d": DTYPES[x.dtype]}


def rounded(x):
    """The same arguments, floats rounded to float32; leaves stay leaves."""
    if isinstance(x, torch.Tensor):
        if x.dtype != torch.float64:
            return x.detach()
        return x.detach().to(torch.float32).to(torch.float64).requires_grad_(x.requires_grad)
    if isinstance(x, (list, tuple)):
        return type(x)(rounded(i) for i in x) if not hasattr(x, "_fields") else x
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    return x


def tensors_in(x):
    if isinstance(x, torch.Tensor):
        return [x]
    if isinstance(x, (list, tuple)):
        return [t for i in x for t in tensors_in(i)]
    if isinstance(x, dict):
        return [t for i in x.values() for t in tensors_in(i)]
    return []


def results_of(op, name, args, kwargs):
    result = op.op(*args, **kwargs)
    if name in PROCESS:
        result = PROCESS[name][1](result)
    if isinstance(result, bool):
        result = torch.tensor(result)
    if isinstance(result, (int, float)):
        result = torch.tensor(result, dtype=torch.float64)
    return tensors_in(result)


def gradients(args, kwargs, results):
    """First and second gradients as JSON; a `null` is a gradient that PyTorch says is none."""
    leaves = [t for t in tensors_in([args, kwargs]) if t.requires_grad]
    outs = [r for r in results if r.requires_grad]
    if not leaves or not outs:
        return {}
    cotangents = [constant(r, k, 1.3, 0.5).requires_grad_(True) for k, r in enumerate(outs)]
    first = torch.autograd.grad(outs, leaves, cotangents, create_graph=True, allow_unused=True)
    said = {"first": [None if g is None else probe(g) for g in first]}
    firsts = [(i, g) for i, g in enumerate(first) if g is not None and g.requires_grad]
    if firsts:
        try:
            total = sum((g * constant(g, i, 0.9, 1.1)).sum() for i, g in firsts)
            second = torch.autograd.grad(total, leaves + cotangents, allow_unused=True)
            said["second"] = [None if g is None else probe(g) for g in second]
        except (RuntimeError, NotImplementedError) as error:
            said["no_second"] = str(error).split("\n")[0][:80]
    return said


def line_of(key, args, kwargs, **more):
    kwargs = {k: v for k, v in kwargs.items() if k not in ("device", "layout", "memory_format", "pin_memory")}
    line = {"op": key, **more, "args": speak(args)}
    if kwargs:
        line["kwargs"] = {k: speak(v) for k, v in kwargs.items()}
    return line


def draw(op, key, lines, skipped):
    has_f64 = torch.float64 in op.supported_dtypes("cpu")
    main = torch.float64 if has_f64 else torch.int64
    for dtype in [main] + [d for d in DTYPES if d in op.supported_dtypes("cpu") and d != main]:
        grad = dtype == torch.float64 and op.supports_autograd
        torch.manual_seed(0)
        samples = list(op.sample_inputs("cpu", dtype, requires_grad=grad))
        if dtype != main:
            size = {id(s): sum(t.numel() for t in tensors_in([s.input, s.args, s.kwargs])) for s in samples}
            samples = sorted([s for s in samples if size[id(s)] <= 512], key=lambda s: size[id(s)] > 64)[:3]
        for sample in samples:
            args, kwargs = rounded([sample.input, *sample.args]), rounded(sample.kwargs)
            try:
                line = line_of(key, args, kwargs)
                before = [t.detach().clone() for t in tensors_in([args, kwargs])]
                results = results_of(op, key, args, kwargs)
                # What the operator wrote into (the running statistics of batch_norm) is a result too.
                after = tensors_in([args, kwargs])
                written = [t for t, old in zip(after, before) if not torch.equal(t.nan_to_num(), old.nan_to_num())]
                line["out"] = [probe(r) for r in results + written]
                if grad:
                    line |= gradients(args, kwargs, results)
                if dtype != torch.float64:
                    line["dtype"] = DTYPES[dtype]
                if key in PROCESS:
                    line["process"] = PROCESS[key][0]
                lines.append(json.dumps(line, separators=(",", ":")))
            except Unspeakable as why:
                skipped[key, str(why)] += 1
    for error in op.error_inputs_func(op, "cpu") if op.error_inputs_func else []:
        sample = error.sample_input
        try:
            args, kwargs = rounded([sample.input, *sample.args]), rounded(sample.kwargs)
            line = line_of(key, args, kwargs, error=str(error.error_regex)[:100])
            lines.append(json.dumps(line, separators=(",", ":")))
        except Unspeakable as why:
            skipped[key, str(why)] += 1


def main():
    by_name = {o.name + (":" + o.variant_test_name if o.variant_test_name else ""): o for o in op_db}
    lines, skipped = [], collections.Counter()
    # The plain form of attention has the second derivative that the fused one lacks.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        for key in OPERATORS:
            draw(by_name[key], key, lines, skipped)
    OUT.mkdir(parents=True, exist_ok=True)
    header = {"torch": torch.__version__, "command": "python tests/scripts/conformance.py",
              "not_written": [[op, why, n] for (op, why), n in sorted(skipped.items())]}
    (OUT / "samples.jsonl").write_text("\n".join([json.dumps(header), *lines]) + "\n")
    save_file({"inputs": torch.tensor(inputs.numbers, dtype=torch.float32),
               "outputs": torch.tensor(outputs.numbers, dtype=torch.float64)}, OUT / "values.safetensors")
    print(f"{len(lines)} samples of {len(OPERATORS)} operators, {len(inputs.numbers)} inputs, "
          f"{len(outputs.numbers)} outputs, torch {torch.__version__}; not written: {sum(skipped.values())}")
    for (op, why), n in sorted(skipped.items()):
        print(f"  {n} of {op}: {why}")


if __name__ == "__main__":
    main()
