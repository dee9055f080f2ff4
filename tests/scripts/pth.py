#!/usr/bin/env python3
"""Writes checkpoints as PyTorch makes them, and ones that an attacker would make, for tests/tests/pth.rs.

    pip install torch numpy safetensors
    python tests/scripts/pth.py              # rewrites tests/fixtures/pth.safetensors

An entry of the fixture is called

    CASE/file            the bytes of the file
    CASE/array.PATH      a tensor that it holds, PATH being its keys joined by dots

and a case called `refused_..` has only the file. The metadata names the version of PyTorch.
"""
import collections
import io
import json
import os
import pathlib
import pickle
import struct
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "pth.safetensors"
torch.manual_seed(0)


def saved(value, **options):
    """The bytes that torch.save writes."""
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def paths(value, path=""):
    """The tensors in a value, by the keys that lead to them."""
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, (dict, list, tuple)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from paths(item, f"{path}.{key}".lstrip("."))


def archive(pickled, storages={}, compression=zipfile.ZIP_STORED, **entries):
    """A checkpoint with this pickle, written with Python's own tools."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        zipped.writestr("x/data.pkl", pickled)
        for key, data in storages.items():
            zipped.writestr(f"x/data/{key}", data)
        for name, data in entries.items():
            zipped.writestr(f"x/{name}", data)
    return file.getvalue()


def repack(file, compression=zipfile.ZIP_STORED, edit=lambda name, data: data):
    """The same entries in another archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, edit(name, old.read(name)))
    return out.getvalue()


def good():
    """Checkpoints, and what they hold."""
    def case(name, value, file=None, **options):
        return name, value, file if file is not None else saved(value, **options)

    base = torch.randn(4, 6)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    yield case("module", model.state_dict())
    tied = torch.nn.Sequential(torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5, bias=False))
    tied[1].weight = tied[0].weight
    yield case("tied", tied.state_dict())
    views = {
        "whole": base, "t": base.t(), "row": base[2], "column": base[:, 1], "block": base[1:3, 2:5], "steps": base[::2, ::3],
        "expanded": base[0, :1].expand(3, 2), "diagonal": base.diagonal(), "windows": base.unfold(1, 3, 2),
        "permuted": torch.randn(2, 3, 4).permute(2, 0, 1), "one": base[3, 5], "kept": base[1:2, 4:5],
        "none": base[4:], "empty": torch.empty(0, 3), "unsqueezed": base[:, None, 3],
    }
    yield case("views", views)
    dtypes = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool]
    numbers = torch.tensor([[0, 1.5, -2], [3, 100, 250]])
    yield case("dtypes", {str(d).split(".")[1]: (numbers.abs() if d == torch.uint8 else numbers).to(d) for d in dtypes})
    limits = {"i64": torch.tensor([-2**63, 2**63 - 1]), "i32": torch.tensor([-2**31, 2**31 - 1], dtype=torch.int32),
              "f64": torch.tensor([float("inf"), -0.0, 5e-324], dtype=torch.float64), "f16": torch.tensor([65504., 6e-8]).half()}
    yield case("limits", limits, repack(saved(limits), zipfile.ZIP_DEFLATED))
    small = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW([{"params": [small.weight], "lr": 0.25}, {"params": [small.bias]}])
    small(torch.randn(8, 2)).square().mean().backward()
    optimizer.step()
    nested = {
        "epoch": 3, "loss": 0.5, "best": torch.tensor(0.25), "name": "naïve", "done": False, "extra": None, "seed": -2**62,
        "sizes": torch.Size([2, 3]), "dtype": torch.bfloat16, "device": torch.device("cpu"), "pair": (1, [2.5, "x"]),
        "model": small.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()[:8].clone(),
    }
    yield case("nested", nested)
    yield case("protocol_4", tied.state_dict(), pickle_protocol=4)
    yield case("protocol_5", {"a": base, "b": base.t(), "long": "x" * 300}, pickle_protocol=5)
    lightning = {"epoch": 1, "state_dict": {"a": base}, "model": {"b": base[0]}}
    yield case("lightning", lightning)
    yield case("scalar", torch.tensor(2.5))
    yield case("list", [torch.tensor([1, 2]), {"x": torch.tensor([True])}])
    attributes = torch.ones(2)
    attributes.tag = "t"
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.tag = [1, 2]
    yield case("parameters", {"p": torch.nn.Parameter(base), "frozen": torch.nn.Parameter(base[0], requires_grad=False),
                              "attributes": attributes, "tagged": parameter, "buffer": torch.nn.Buffer(torch.zeros(1))})
    old = small.state_dict()
    torch.serialization.set_crc32_options(False)
    yield case("no_checksums", old)
    torch.serialization.set_crc32_options(True)
    # Before version 2.1 there was no word about the byte order.
    stripped = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(old))) as before, zipfile.ZipFile(stripped, "w") as after:
        for name in before.namelist():
            if "data/" in name or name.endswith(("data.pkl", "version")):
                after.writestr(name, before.read(name))
    yield case("no_byteorder", old, stripped.getvalue())
    doubles = {"a": torch.tensor([1.5, -2.0], dtype=torch.float64)}
    swap = lambda name, data: (b"big" if name.endswith("byteorder") else
                               np.frombuffer(data, "<f8").astype(">f8").tobytes() if "/data/" in name else data)
    yield case("big_endian", doubles, repack(saved(doubles), edit=swap))


class Runs:
    """An object whose pickle calls a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
EMPTY = b"ccollections\nOrderedDict\n)R"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"\x8a" + bytes([len(b := pickle.encode_long(value))]) + b


def tensor(shape, strides, offset=0, numel=4, key="0", storage=b"ctorch\nFloatStorage\n", metadata=b""):
    """The instructions that make a tensor."""
    many = lambda numbers: b"(" + b"".join(number(n) for n in numbers) + b"t"
    persistent = b"(" + text("storage") + storage + text(key) + text("cpu") + number(numel) + b"tQ"
    return TENSOR + b"(" + persistent + number(offset) + many(shape) + many(strides) + b"\x89" + EMPTY + metadata + b"tR"


def refused():
    """Files that must be refused."""
    four = {"0": np.arange(4, dtype="<f4").tobytes()}
    start = b"\x80\x02"
    yield "system", archive(pickle.dumps({"w": Runs(os.system, "echo hacked")}, 2))
    yield "system_inside", archive(start + b"}" + text("a") + tensor([4], [1]) + b"s" + text("b") + b"cos\nsystem\n"
                                   + text("echo hacked") + b"\x85Rs.", four)
    yield "exec", archive(pickle.dumps(Runs(exec, "import os"), 4))
    yield "eval_protocol_0", archive(pickle.dumps(Runs(eval, "1"), 0))
    yield "inst", archive(b"(" + b"ios\nsystem\n.")
    yield "getattr", archive(start + b"ctorch\nload\n.")
    yield "object", saved({"args": collections.Counter()})
    yield "numpy", saved({"x": np.float64(1.5)})
    yield "extension", archive(start + b"\x82\x01.")
    yield "bytes", archive(pickle.dumps(b"abc", 4))
    yield "set", archive(pickle.dumps({1, 2}, 4))
    yield "sparse", saved(torch.eye(2).to_sparse())
    yield "complex", saved(torch.tensor([1j]))
    yield "conjugated", saved({"z": torch.tensor([1j, 2]).conj().imag})
    yield "int16", saved(torch.tensor([1], dtype=torch.int16))
    yield "uint16", saved(torch.tensor([1], dtype=torch.uint16))
    yield "float8", saved(torch.ones(2).to(torch.float8_e4m3fn))
    yield "quantised", saved(torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.quint8))
    yield "storage", saved(torch.ones(2).untyped_storage())
    yield "large_integer", saved({"seed": 2**63})
    yield "key", saved({(1, 2): 3})
    yield "legacy", saved({"x": torch.ones(1)}, _use_new_zipfile_serialization=False)
    yield "torchscript", archive(b".", **{"constants.pkl": b"."})
    yield "no_pickle", archive(b"N.").replace(b"data.pkl", b"data.txt")
    yield "byteorder", archive(start + b"N.", byteorder=b"middle")
    # Numbers that claim much.
    yield "text_length", archive(start + b"X\xff\xff\xff\xffabc.")
    yield "text_length_64", archive(b"\x80\x04\x8d" + b"\xff" * 8 + b"abc.")
    yield "long_length", archive(start + b"\x8b\xff\xff\xff\x7f\x01.")
    yield "numel", archive(start + tensor([4], [1], numel=2**60) + b".", four)
    yield "numel_overflow", archive(start + tensor([4], [1], numel=2**62) + b".", four)
    yield "numel_negative", archive(start + tensor([4], [1], numel=-4) + b".", four)
    yield "bomb_expanded", archive(start + tensor([2**40], [0]) + b".", four)
    yield "bomb_shape", archive(start + tensor([2**40, 2**40], [0, 0]) + b".", four)
    yield "bomb_views", archive(start + b"](" + tensor([2**24], [0]) + b"q\x00" + b"h\x00" * 40 + b"e.", four)
    yield "dimensions", archive(start + tensor([1] * 5000, [1] * 5000) + b".", four, zipfile.ZIP_DEFLATED)
    # Tensors outside their memory.
    yield "offset", archive(start + tensor([2], [1], offset=3) + b".", four)
    yield "offset_negative", archive(start + tensor([2], [1], offset=-1) + b".", four)
    yield "offset_large", archive(start + tensor([], [], offset=2**62) + b".", four)
    yield "stride", archive(start + tensor([2, 2], [2, 2]) + b".", four)
    yield "stride_negative", archive(start + tensor([2], [-1], offset=1) + b".", four)
    yield "stride_overflow", archive(start + tensor([3, 3], [2**62, 2**62]) + b".", four)
    yield "size_negative", archive(start + tensor([-1], [1]) + b".", four)
    yield "strides_missing", archive(start + tensor([2, 2], [1]) + b".", four)
    yield "no_storage", archive(start + tensor([4], [1], key="1") + b".", four)
    yield "path", archive(start + tensor([4], [1], key="../data/0") + b".", four)
    yield "short_storage", archive(start + tensor([4], [1]) + b".", {"0": b"abc"})
    yield "wrong_checksum", saved({"x": torch.ones(3)}).replace(struct.pack("<3f", 1, 1, 1), struct.pack("<3f", 1, 1, 2))
    # Pickles that do not end, or not well.
    yield "holds_itself", archive(start + b"]q\x00h\x00a.")
    yield "holds_itself_deeply", archive(start + b"}q\x00" + text("a") + b"](h\x00\x85es.")
    yield "deep", archive(start + b"]" * 200_000 + b"a" * 199_999 + b".", {}, zipfile.ZIP_DEFLATED)
    yield "deep_tuples", archive(start + b")" + b"\x85" * 200_000 + b".", {}, zipfile.ZIP_DEFLATED)
    laughs = b"]q\x00" + b"".join(b"](" + bytes([ord("h"), i]) * 10 + b"e" + bytes([ord("q"), i + 1]) for i in range(20))
    yield "laughs", archive(start + laughs + b".", {}, zipfile.ZIP_DEFLATED)
    many = b"](" + text("a" * 10_000) + b"q\x00" + b"h\x00" * 1_000_000 + b"e."
    yield "long_laughs", archive(start + many, {}, zipfile.ZIP_DEFLATED)
    yield "underflow", archive(start + b"\x86.")
    yield "below_mark", archive(start + b"N(0.".replace(b"0", b"\x85"))
    yield "no_mark", archive(start + b"Nt.")
    yield "no_memo", archive(start + b"h\x07.")
    yield "no_stop", archive(start + b"N")
    yield "not_utf8", archive(start + b"X\x02\x00\x00\x00\xff\xfe.")
    yield "half_item", archive(start + b"}(Nu.")
    yield "append_to_dict", archive(start + b"}Na.")
    yield "call_a_number", archive(start + b"K\x01)R.")
    yield "call_a_dtype", archive(start + b"ctorch\nfloat32\n)R.")
    yield "build_a_list", archive(start + b"]}b.")
    yield "class_itself", archive(start + b"ccollections\nOrderedDict\n.")
    yield "protocol", archive(b"\x80\x09N.")
    yield "instruction", archive(start + b"\xfe.")


def main():
    tensors = {}
    for name, value, file in good():
        tensors[f"{name}/file"] = torch.frombuffer(bytearray(file), dtype=torch.uint8)
        for path, array in paths(value):
            tensors[f"{name}/array.{path}"] = array.detach().clone(memory_format=torch.contiguous_format)
    for name, file in refused():
        # What torch.save wrote is mostly padding.
        packed = repack(file, zipfile.ZIP_DEFLATED) if b"serialization_id" in file and "checksum" not in name else file
        tensors[f"refused_{name}/file"] = torch.frombuffer(bytearray(packed), dtype=torch.uint8)
    save_file(tensors, OUT, {"versions": json.dumps({"torch": torch.__version__, "numpy": np.__version__})})
    print(OUT, OUT.stat().st_size, "bytes,", len(tensors), "entries")


main()
