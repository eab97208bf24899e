# SPDX-License-Identifier: Apache-2.0
"""What peers.py lets run: the shared objects built from peer_*.c, and PyTorch.

A contestant has run(), which returns when the result is there, read(), which gives the bytes of
the result, and close().
"""
import ctypes
import glob
import os

DTYPES = {"f32": 1, "f16": 2, "bf16": 3}  # as in clattn.h
TEXT = 512


class Absent(Exception):
    """This contestant is not here, or cannot do the problem; the text says why."""


class Problem(ctypes.Structure):
    """peer_problem of peer.h."""
    _fields_ = [(name, ctypes.c_int) for name in (
        "op", "dtype", "q_heads", "kv_heads", "queries", "keys", "width", "causal",
        "rows", "outputs", "inputs")] + [("in_", ctypes.c_void_p * 3), ("option", ctypes.c_char_p)]


class Library:
    """One of the shared objects."""

    def __init__(self, path):
        lib = ctypes.CDLL(path)
        lib.peer_open.argtypes = [ctypes.POINTER(Problem), ctypes.c_char_p]
        lib.peer_open.restype = ctypes.c_void_p
        lib.peer_run.argtypes = [ctypes.c_void_p]
        lib.peer_read.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        lib.peer_read.restype = None
        lib.peer_close.argtypes = [ctypes.c_void_p]
        lib.peer_close.restype = None
        lib.peer_version.restype = None
        self.lib = lib

    def version(self):
        text = ctypes.create_string_buffer(TEXT)
        self.lib.peer_version(text)
        return text.value.decode()

    def device(self, selector):
        """clattn only: what the device is, and its peaks; None when it is not here."""
        text = ctypes.create_string_buffer(TEXT)
        rates = [ctypes.c_double(), ctypes.c_double()]
        there = self.lib.peer_device(selector.encode(), text, *map(ctypes.byref, rates))
        return (text.value.decode(), rates[0].value, rates[1].value) if there else None

    def open(self, problem, dtype, memory, option):
        p = Problem(op=problem.op, dtype=DTYPES[dtype], option=option.encode(), **problem.sizes)
        p.in_ = (ctypes.c_void_p * 3)(*(ctypes.addressof(m) for m in memory))
        return Native(self.lib, p, problem.result_bytes(dtype))


class Native:
    def __init__(self, lib, problem, result_bytes):
        text = ctypes.create_string_buffer(TEXT)
        self.handle = lib.peer_open(ctypes.byref(problem), text)
        if not self.handle:
            raise Absent(text.value.decode() or "out of memory")
        self.lib, self.result_bytes = lib, result_bytes

    def run(self):
        if self.lib.peer_run(self.handle):
            raise RuntimeError("the peer reported a failure")

    def read(self):
        out = ctypes.create_string_buffer(self.result_bytes)
        self.lib.peer_read(self.handle, out)
        return out

    def close(self):
        self.lib.peer_close(self.handle)


class Torch:
    """scaled_dot_product_attention and linear of PyTorch on the CPU."""

    def __init__(self, threads):
        import torch
        torch.set_num_threads(threads)
        self.torch = torch
        self.dtypes = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}

    def version(self):
        return f"{self.torch.__version__}, {self.torch.get_num_threads()} threads"

    def open(self, problem, dtype, memory, _option):
        tensors = [self.torch.frombuffer(m, dtype=self.dtypes[dtype]).clone().reshape(shape)
                   for m, shape in zip(memory, problem.shapes())]
        return TorchContestant(self.torch, problem, tensors)


class TorchContestant:
    def __init__(self, torch, problem, tensors):
        self.torch, self.tensors, self.result = torch, tensors, None
        functional = torch.nn.functional
        if problem.op == 0:
            self.options = {"is_causal": bool(problem.sizes["causal"])}
            if problem.sizes["q_heads"] != problem.sizes["kv_heads"]:
                self.options["enable_gqa"] = True
            self.function = functional.scaled_dot_product_attention
        else:
            self.options = {}
            self.function = functional.linear

    def run(self):
        with self.torch.inference_mode():
            self.result = self.function(*self.tensors, **self.options)

    def read(self):
        result = self.result.contiguous()
        return ctypes.create_string_buffer(ctypes.string_at(result.data_ptr(), result.nbytes),
                                           result.nbytes)

    def close(self):
        self.tensors = self.result = None


def load(build, threads):
    """name -> Library or Torch for what is here, name -> why not for the rest."""
    found, absent = {}, {}
    for name in ("clattn", "cblas", "onednn", "clblast"):
        paths = glob.glob(os.path.join(build, "tools", "peers", f"peer_{name}.so"))
        if paths:
            found[name] = Library(paths[0])
        else:
            absent[name] = "not installed when this was built"
    try:
        found["torch"] = Torch(threads)
    except (ImportError, OSError) as e:
        absent["torch"] = str(e)
    return found, absent
