#!/usr/bin/env python3
"""Writes NPY, NPZ and IDX files as NumPy makes them, for tests/tests/data_files.rs.

    pip install numpy safetensors
    python tests/scripts/data_files.py              # rewrites tests/fixtures/data_files.safetensors
    python tests/scripts/data_files.py check FILE..  # prints what NumPy reads from files, one array a line

An entry of the fixture is called

    CASE/file            the bytes of the file
    CASE/array           what it holds, in the dtype that the Rust side gives it
    CASE/array.NAME      the same for each array of an NPZ file

and a case called `refused_..` has only the file. `exact_..` are files that the Rust side writes to the byte. The metadata
names the version of NumPy.
"""
import gzip
import io
import json
import pathlib
import struct
import sys
import zipfile

import numpy as np
from safetensors.numpy import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "data_files.safetensors"
# The dtypes that Gradus lacks, and what holds all their numbers.
WIDER = {"i1": "i4", "i2": "i4", "u2": "i4", "u4": "i8", "u8": "i8"}


def widened(array):
    kind = array.dtype.str[1:]
    return np.ascontiguousarray(array).reshape(array.shape).astype("<" + WIDER.get(kind, kind))


def numbers(dtype, shape=(2, 3)):
    """Numbers up to the ends of the dtype's range."""
    dtype, n = np.dtype(dtype), int(np.prod(shape))
    if dtype.kind == "b":
        flat = np.arange(n) % 3 == 0
    elif dtype.kind == "f":
        flat = np.array([0.0, -1.5, np.inf, np.nan, 0.1, np.finfo(dtype).max])[np.arange(n) % 6] + np.arange(n)
    else:
        ends = np.iinfo(dtype)
        top = min(int(ends.max), 2**63 - 1)
        flat = [[int(ends.min), top, 1, 0, 2, 77][i % 6] for i in range(n)]
    return np.array(flat).astype(dtype).reshape(shape)


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def idx(array):
    kind = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    header = bytes([0, 0, kind, array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


class Stream(io.RawIOBase):
    """A file without a way back, into which `zipfile` writes sizes after the contents."""

    def __init__(self):
        self.bytes = b""

    def writable(self):
        return True

    def write(self, data):
        self.bytes += bytes(data)
        return len(data)


def make():
    tensors = {}

    def add(name, file, arrays=()):
        assert f"{name}/file" not in tensors, name
        tensors[f"{name}/file"] = np.frombuffer(file, np.uint8)
        for part, array in dict(arrays).items():
            tensors[f"{name}/array{part}"] = widened(array)

    for kind in ["b1", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]:
        for order, called in [("<", "little"), (">", "big")]:
            array = numbers(order + kind)
            exact = order == "<" and kind in ["b1", "u1", "i4", "i8", "f2", "f4", "f8"]
            add(f"{'exact_' if exact else ''}npy_{called}_{kind}", npy(array), {"": array})
    for name, shape in [("scalar", ()), ("vector", (5,)), ("empty", (0, 3)), ("deep", (1, 2, 1, 3, 2, 1, 2))]:
        array = numbers("<f4", shape)
        add(f"exact_npy_{name}", npy(array), {"": array})
    for shape in [(2, 3), (2, 3, 4), (3, 0, 2)]:
        array = np.asfortranarray(numbers(">i2", shape))
        add(f"npy_fortran_{len(shape)}_{shape[-1]}", npy(array), {"": array})
    array = numbers("<f8")
    add("npy_version_2", npy(array, (2, 0)), {"": array})
    add("npy_version_3", npy(array, (3, 0)), {"": array})
    add("npy_gzipped", gzip.compress(npy(array), mtime=0), {"": array})

    objects = io.BytesIO()
    np.save(objects, np.array([{}, None], dtype=object), allow_pickle=True)
    add("refused_npy_objects", objects.getvalue())
    add("refused_npy_complex", npy(np.array([1j])))
    add("refused_npy_text", npy(np.array(["a", "bc"])))
    add("refused_npy_records", npy(np.zeros(2, dtype=[("é", "<f4"), ("b", "<i2")])))
    add("refused_npy_dates", npy(np.array(["2020-01-01"], dtype="datetime64[D]")))
    add("refused_npy_large", npy(np.array([2**64 - 1], dtype="<u8")))

    arrays = {"x": numbers("<f4"), "labels": numbers("i8", (5,)), "T": np.asfortranarray(numbers("u1", (4, 50)))}
    parts = {f".{name}": array for name, array in arrays.items()}
    for name, save in [("stored", np.savez), ("deflated", np.savez_compressed)]:
        file = io.BytesIO()
        save(file, **arrays)
        add(f"npz_{name}", file.getvalue(), parts)
    file = io.BytesIO()
    np.savez(file, arrays["x"], arrays["labels"])
    add("npz_unnamed", file.getvalue(), {".arr_0": arrays["x"], ".arr_1": arrays["labels"]})
    for method in [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]:
        stream = Stream()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, array in arrays.items():
                archive.writestr(f"{name}.npy", npy(array))
        add(f"npz_streamed_{method}", stream.bytes, parts)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x.npy", npy(arrays["x"]))
    add("refused_npz_bzip2", file.getvalue())

    for kind in ["u1", "i1", "i2", "i4", "f4", "f8"]:
        array = numbers("<" + kind, (2, 3, 2))
        exact = "" if kind in ["i1", "i2"] else "exact_"
        add(f"{exact}idx_{kind}", idx(array), {"": array})
        add(f"idx_gzipped_{kind}", gzip.compress(idx(array), mtime=0), {"": array})

    save_file(tensors, OUT, {"versions": json.dumps({"numpy": np.__version__})})
    print(f"{len([k for k in tensors if k.endswith('/file')])} files, {OUT.stat().st_size} bytes")


def check(files):
    for path in files:
        read = np.load(path)
        for name, array in read.items() if path.endswith(".npz") else [("", read)]:
            print(path, name, array.dtype, array.shape, array.tolist())


if sys.argv[1:2] == ["check"]:
    check(sys.argv[2:])
else:
    make()
