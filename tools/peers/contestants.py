# SPDX-License-Identifier: Apache-2.0
"""What peers.py lets run: the shared objects built from peer_*.c, and PyTorch.

A contestant has run(), which returns when the result is there, read(), which gives the bytes of
the result, close(), and mode(), in which it and its copies are run. On a GPU also start(), which
does not wait: the next run() of a copy does.
"""
import contextlib
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
        "op", "dtype", "batch", "q_heads", "kv_heads", "queries", "keys", "width", "causal",
        "rows", "outputs", "inputs")] + [("in_", ctypes.c_void_p * 3), ("option", ctypes.c_char_p)]


class Library:
    """One of the shared objects."""

    def __init__(self, path):
        lib = ctypes.CDLL(path)
        lib.peer_open.argtypes = [ctypes.POINTER(Problem), ctypes.c_char_p]
        lib.peer_open.restype = ctypes.c_void_p
        lib.peer_run.argtypes = [ctypes.c_void_p]
        if hasattr(lib, "peer_start"):
            lib.peer_start.argtypes = [ctypes.c_void_p]
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

    mode = contextlib.nullcontext

    def run(self):
        if self.lib.peer_run(self.handle):
            raise RuntimeError("the peer reported a failure")

    def start(self):
        if self.lib.peer_start(self.handle):
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


class TorchGpu:
    """PyTorch on a GPU. The option: flash or cudnn attention, compile, or "" as it comes."""

    def __init__(self):
        import torch
        if not torch.cuda.is_available():
            raise ImportError(f"PyTorch {torch.__version__} sees no GPU")
        self.torch = torch
        self.dtypes = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}

    def version(self):
        return f"{self.torch.__version__} on {self.torch.cuda.get_device_name()}"

    def open(self, problem, dtype, memory, option):
        tensors = [self.torch.frombuffer(m, dtype=self.dtypes[dtype]).reshape(shape).cuda()
                   for m, shape in zip(memory, problem.shapes())]
        return TorchGpuContestant(self.torch, problem, tensors, option)


def elu1_attention(torch, q, k, v, causal):
    """Whole, or in chunks of 128 rows with the sums of those before."""
    q, k = (torch.nn.functional.elu(x) + 1 for x in (q, k))
    if not causal:
        state = k.transpose(-1, -2) @ v
        return q @ state / (q @ k.sum(-2, keepdim=True).transpose(-1, -2))
    size = min(128, q.shape[-2])
    q, k, v = (x.unflatten(-2, (-1, size)) for x in (q, k, v))
    state, norm = k.transpose(-1, -2) @ v, k.sum(-2, keepdim=True)
    state, norm = (x.cumsum(2) - x for x in (state, norm))
    weights = (q @ k.transpose(-1, -2)).tril()
    below = weights.sum(-1, keepdim=True) + q @ norm.transpose(-1, -2)
    return ((weights @ v + q @ state) / below).flatten(2, 3)


class TorchGpuContestant:
    def __init__(self, torch, problem, tensors, option):
        self.torch, self.tensors, self.result, self.backend = torch, tensors, None, None
        functional, sizes = torch.nn.functional, problem.sizes
        if problem.op == 0:
            backends = torch.nn.attention.SDPBackend
            self.backend = {"flash": backends.FLASH_ATTENTION,
                            "cudnn": backends.CUDNN_ATTENTION}.get(option)
            grouped = {"enable_gqa": True} if sizes["q_heads"] != sizes["kv_heads"] else {}
            self.function = lambda q, k, v: functional.scaled_dot_product_attention(
                q, k, v, is_causal=bool(sizes["causal"]), **grouped)
        elif problem.op == 1:
            self.function = functional.linear
        else:
            self.function = lambda q, k, v: elu1_attention(torch, q, k, v, sizes["causal"])
        self.compiled = option == "compile"
        if self.compiled:
            self.function = torch.compile(self.function, dynamic=False)

    @contextlib.contextmanager
    def mode(self):
        with contextlib.ExitStack() as modes:
            modes.enter_context(self.torch.inference_mode())
            if self.backend is not None:
                modes.enter_context(self.torch.nn.attention.sdpa_kernel(self.backend))
            yield

    def start(self):
        self.result = self.function(*self.tensors)

    def run(self):
        self.start()
        self.torch.cuda.synchronize()

    def read(self):
        result = self.result.contiguous().cpu()
        return ctypes.create_string_buffer(ctypes.string_at(result.data_ptr(), result.nbytes),
                                           result.nbytes)

    def close(self):
        """What was compiled is forgotten: PyTorch compiles a piece of code so many times, and then
        runs it as it is."""
        self.tensors = self.result = None
        if self.compiled:
            self.torch.compiler.reset()


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

    def mode(self):
        return self.torch.inference_mode()

    def run(self):
        self.result = self.function(*self.tensors, **self.options)

    def read(self):
        result = self.result.contiguous()
        return ctypes.create_string_buffer(ctypes.string_at(result.data_ptr(), result.nbytes),
                                           result.nbytes)

    def close(self):
        self.tensors = self.result = None


def load_gpu(build):
    """The same for a GPU: clattn and PyTorch."""
    found, absent = {"clattn": Library(os.path.join(build, "tools", "peers", "peer_clattn.so"))}, {}
    try:
        found["torch"] = TorchGpu()
    except (ImportError, OSError) as e:
        absent["torch"] = str(e)
    return found, absent


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
