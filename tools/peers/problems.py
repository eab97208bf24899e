# SPDX-License-Identifier: Apache-2.0
"""The rows of the comparison: a problem, its inputs, and who takes part."""
import array
import ctypes
import os
import random

from contestants import DTYPES

FEW_FLOPS = 40     # for a byte: below, reading takes the time
SMALL_BYTES = 2**22  # what its user has in a cache anyway
COLD_BYTES = 2**28  # what one process cannot keep in a cache that it shares
PERIOD = 1000003  # of the random numbers: a prime, so that no two rows are alike


class Problem:
    def __init__(self, name, op, sizes, entries):
        self.name, self.op, self.sizes, self.entries = name, op, sizes, entries

    def shapes(self):
        """Of the inputs, and of the result last."""
        s = self.sizes
        if self.op != 1:
            rows = (s["batch"], s["q_heads"], s["queries"], s["width"])
            keys = (s["batch"], s["kv_heads"], s["keys"], s["width"])
            return [rows, keys, keys, rows]
        return [(s["rows"], s["inputs"]), (s["outputs"], s["inputs"]), (s["rows"], s["outputs"])]

    def result_bytes(self, dtype):
        return count(self.shapes()[-1]) * size_of(dtype)

    def flops(self):
        s = self.sizes
        if self.op == 1:
            return 2.0 * s["rows"] * s["outputs"] * s["inputs"]
        n = s["queries"]
        if self.op == 2:
            rows = s["batch"] * (s["q_heads"] * n + s["kv_heads"] * s["keys"])
            return 2.0 * rows * s["width"]**2
        pairs = n * (n + 1) / 2 if s["causal"] else n * s["keys"]
        return 4.0 * s["batch"] * s["q_heads"] * pairs * s["width"]

    def bytes(self, dtype):
        return float(sum(count(shape) for shape in self.shapes()) * size_of(dtype))


    def copies(self, dtype):
        """As many as overflow the caches, where there are few flops for a byte."""
        size = self.bytes(dtype)
        if self.flops() > FEW_FLOPS * size or size < SMALL_BYTES:
            return 1
        return max(1, round(COLD_BYTES / size))


def count(shape):
    n = 1
    for length in shape:
        n *= length
    return n


def size_of(dtype):
    return 4 if dtype == "f32" else 2


def attention(width, n, causal):
    sizes = {"batch": 1, "q_heads": 8, "kv_heads": 8, "queries": n, "keys": n, "width": width,
             "causal": int(causal)}
    entries = [("clattn", "cpu", "f32"), ("clattn", "opencl", "f32"), ("torch", "", "f32"),
               ("cblas", "", "f32"), ("clattn", "cpu", "bf16"), ("torch", "", "bf16")]
    kind = "causal" if causal else "full"
    return Problem(f"attention B1 H8 N{n} D{width} {kind}", 0, sizes, entries)


def decode(n):
    sizes = {"batch": 1, "q_heads": 32, "kv_heads": 8, "queries": 1, "keys": n, "width": 128,
             "causal": 0}
    entries = [("clattn", "cpu", "f16"), ("clattn", "opencl", "f16"), ("torch", "", "f16")]
    return Problem(f"decode Hq32 Hk8 Nk{n} D128", 0, sizes, entries)


def projection(rows, width):
    sizes = {"rows": rows, "outputs": width, "inputs": width}
    entries = [("clattn", "cpu", "f32"), ("clattn", "opencl", "f32"), ("cblas", "", "f32"),
               ("onednn", "", "f32"), ("onednn", "packed", "f32"), ("torch", "", "f32"),
               ("clblast", "", "f32"), ("clattn", "cpu", "bf16"), ("clattn", "opencl", "bf16"),
               ("onednn", "", "bf16"), ("onednn", "packed", "bf16"), ("torch", "", "bf16")]
    return Problem(f"projection {rows} x {width} x {width}", 1, sizes, entries)


def all_problems():
    return ([attention(64, 128, True)]
            + [attention(width, n, causal) for n in (1024, 4096) for width in (64, 128)
               for causal in (False, True)]
            + [decode(n) for n in (8192, 65536)] + [projection(32, 512)]
            + [projection(rows, 4096) for rows in (1, 16, 512)])


# ---- on a GPU: batch, query heads, key heads, queries, keys, width ----

PREFILL = ((4, 32, 32, 4096, 4096, 64), (4, 32, 32, 4096, 4096, 128), (4, 32, 8, 4096, 4096, 128),
           (1, 32, 8, 16384, 16384, 128), (8, 16, 16, 1024, 1024, 64))
DECODE = tuple((batch, heads, 8, 1, 8192, 128) for heads in (32, 64) for batch in (1, 16, 64))
LINEAR = tuple((4, 16, 16, n, n, width) for n in (2048, 8192) for width in (64, 128))
PROJECTIONS = ((4096, 4096, 4096), (8192, 12288, 4096), (256, 4096, 4096), (64, 4096, 4096),
               (16, 4096, 4096), (1, 4096, 4096))
SMALL = (((1, 4, 2, 65, 65, 32),), ((2, 4, 2, 1, 300, 64),), ((1, 2, 2, 128, 128, 32),),
         ((3, 65, 40),))


def on_gpu(name, op, sizes, causal, device, others):
    batch, q_heads, kv_heads, queries, keys, width = sizes
    fields = {"batch": batch, "q_heads": q_heads, "kv_heads": kv_heads, "queries": queries,
              "keys": keys, "width": width, "causal": int(causal)}
    title = f"{name} B{batch} Hq{q_heads} Hk{kv_heads} N{keys} D{width}"
    return Problem(title + (" causal" if causal else ""), op, fields,
                   [("clattn", device, dtype) for dtype in ("f16", "bf16")]
                   + [("torch", option, "f16") for option in others])


def projection_on_gpu(sizes, device):
    fields = dict(zip(("rows", "outputs", "inputs"), sizes))
    return Problem("projection " + " x ".join(map(str, sizes)), 1, fields,
                   [(name, option, dtype) for dtype in ("f16", "f32")
                    for name, option in (("clattn", device), ("torch", ""))])


def gpu_problems(device, small):
    """small: of the same kinds, for who wants to see that it works."""
    prefill, decoding, linear, projections = SMALL if small else (PREFILL, DECODE, LINEAR,
                                                                  PROJECTIONS)
    sdpa = ("flash", "cudnn", "compile")
    return ([on_gpu("prefill", 0, s, causal, device, sdpa) for s in prefill
             for causal in (False, True)]
            + [on_gpu("decode", 0, s, False, device, sdpa) for s in decoding]
            + [on_gpu("linear attention", 2, s, causal, device, ("", "compile")) for s in linear
               for causal in (False, True)]
            + [projection_on_gpu(s, device) for s in projections])


class Numbers:
    """Inputs and results in memory; the conversions are those of clattn."""

    def __init__(self, build):
        self.lib = ctypes.CDLL(os.path.join(build, "src", "libclattn.so"))
        for name in ("clattn_from_f32", "clattn_to_f32"):
            function = getattr(self.lib, name)
            function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
            function.restype = None
        rng = random.Random(1)
        self.noise = array.array("f", (rng.uniform(-1, 1) for _ in range(PERIOD))).tobytes()

    def inputs(self, problem, dtype):
        memory, start = [], 0
        for shape in problem.shapes()[:-1]:
            n = count(shape)
            whole = self.noise[4 * start:] + self.noise * (n // PERIOD + 1)
            to = ctypes.create_string_buffer(n * size_of(dtype))
            self.lib.clattn_from_f32(DTYPES[dtype], whole, to, n)
            memory.append(to)
            start += 12345
        return memory

    def sample(self, problem, dtype, result):
        """Some thousand numbers of a result."""
        n = count(problem.shapes()[-1])
        wide = (ctypes.c_float * n)()
        self.lib.clattn_to_f32(DTYPES[dtype], result, wide, n)
        return wide[::max(1, n // 4099)]
