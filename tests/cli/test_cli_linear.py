#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of linear attention in the clattn program, in TAP: test_cli_linear.py CLATTN GOLDEN"""
import math
import os
import sys

from cli_harness import (BAD_INPUT, USAGE, Cli, close, npy_bytes, random_values, read_npy, run_all,
                         write)

FEATURES = {
    "identity": lambda x: x,
    "relu": lambda x: [max(a, 0.0) for a in x],
    "elu1": lambda x: [a + 1 if a > 0 else math.exp(a) for a in x],
    "exp": lambda x: [math.exp(a) for a in x],
}


def small(folder, q, k, v):
    """Writes q, k, v; returns the paths and the values."""
    values = [random_values(shape, seed) for seed, shape in enumerate((q, k, v))]
    paths = [write(os.path.join(folder, name + ".npy"), npy_bytes(shape, x))
             for name, shape, x in zip("qkv", (q, k, v), values)]
    return paths, values


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def linear(q, k, v, similarity, causal=False, normalize=True):
    """Rows of o for rows of 4 and 3 numbers, by similarities."""
    o = []
    for i in range(len(q) // 4):
        s = [similarity(q[i * 4:i * 4 + 4], k[j * 4:j * 4 + 4]) if j <= i or not causal else 0.0
             for j in range(len(k) // 4)]
        total = sum(s) if normalize else 1.0
        o += [sum(s[j] * v[j * 3 + d] for j in range(len(s))) / total for d in range(3)]
    return o


def test_values(cli):
    """linear-attention computes what it should: maps, forms, scale."""
    folder = cli.folder()
    paths, (q, k, v) = small(folder, (9, 4), (9, 4), (9, 3))
    o = folder + "/o.npy"

    def check(want, *args):
        cli("linear-attention", *paths, "-o", o, "--device", "cpu", *args)
        shape, got = read_npy(o)
        assert shape == (9, 3)
        close(got, want, 1e-4)

    for name, phi in FEATURES.items():
        for causal in (False, True):
            args = ["--feature-map", name, "--unnormalized"] + ["--causal"] * causal
            want = linear(q, k, v, lambda a, b, phi=phi: dot(phi(a), phi(b)), causal, False)
            check(want, *args)
            check(want, *args, "--form", "linear")
    elu1 = FEATURES["elu1"]
    check(linear(q, k, v, lambda a, b: dot(elu1(a), elu1(b))))
    for c, args in ((1, ()), (0.5, ("--c", "0.5")), (0, ("--c", "0"))):
        want = linear(q, k, v, lambda a, b, c=c: (dot(a, b) + c) ** 2, True)
        check(want, "--map", "poly2", "--causal", *args)
        check(want, "--map", "poly2", "--causal", "--form", "linear", *args)
    check(linear(q, k, v, lambda a, b: (2 * dot(a, b) + 1) ** 2), "--map", "poly2", "--scale", "2")


def test_mapped(cli):
    """linear-attention takes features that the caller has mapped."""
    folder = cli.folder()
    paths, (q, k, v) = small(folder, (9, 4), (9, 4), (9, 3))
    o = folder + "/o.npy"
    for name in ("relu", "elu1", "exp"):
        phi = FEATURES[name]
        mapped = [write(f"{folder}/{name}_{x}.npy", npy_bytes((9, 4), phi(values)))
                  for x, values in (("q", q), ("k", k))]
        for args in ((), ("--causal",), ("--causal", "--form", "linear")):
            want = linear(q, k, v, lambda a, b, phi=phi: dot(phi(a), phi(b)), bool(args))
            for tensors in ([*paths[:2], "--map", name], [*mapped, "--map", "identity"]):
                cli("linear-attention", *tensors[:2], paths[2], "-o", o, "--device", "cpu",
                    *tensors[2:], *args)
                close(read_npy(o)[1], want, 1e-4)


def test_state(cli):
    """linear-attention goes on from the state of a call before."""
    folder = cli.folder()
    _, (q, k, v) = small(folder, (9, 4), (9, 4), (9, 3))
    o, state = folder + "/o.npy", [folder + "/s.npy", folder + "/z.npy"]
    cut = [write(f"{folder}/{name}{first}.npy", npy_bytes((n, w), x[first * w:(first + n) * w]))
           for first, n in ((0, 5), (5, 4))
           for name, x, w in (("q", q, 4), ("k", k, 4), ("v", v, 3))]
    common = ("--map", "poly2", "--causal", "--device", "cpu", "-o", o)
    cli("linear-attention", *cut[:3], *common, "--state-out-kv", state[0], "--state-out-z",
        state[1])
    assert read_npy(state[0])[0] == (15, 3) and read_npy(state[1])[0] == (15,)
    cli("linear-attention", *cut[3:], *common, "--state-in-kv", state[0], "--state-in-z", state[1])
    close(read_npy(o)[1], linear(q, k, v, lambda a, b: (dot(a, b) + 1) ** 2, True)[15:], 1e-4)


def test_refuses(cli):
    """linear-attention says what is wrong."""
    folder = cli.folder()
    paths, _ = small(folder, (5, 4), (7, 4), (7, 3))
    args = ("linear-attention", *paths, "-o", folder + "/o.npy", "--device", "cpu")
    cli.refuses(*args, "--map", "elu", code=USAGE, says="elu1")
    cli.refuses(*args, "--form", "square", code=USAGE, says="quadratic")
    cli.refuses(*args, "--c", "-1", code=USAGE, says="negative")
    cli.refuses(*args, "--causal", code=BAD_INPUT, says="causal")
    cli.refuses(*args, "--state-in-kv", paths[0], code=BAD_INPUT, says="state_in_z")
    cli.refuses(*args, "--state-out-z", paths[0], code=BAD_INPUT, says="overwrite")


def test_bench_and_cost(cli):
    """bench and cost know linear attention, and where its forms break even."""
    for args in [("--shape", "1,8,2,64,64,32,16", "--causal", "--dtype", "f16"),
                 ("--shape", "1,2,2,2000,2000,16", "--map", "poly2"),
                 ("--shape", "2,4,4,1,1,8", "--state", "--unnormalized"),
                 ("--shape", "1,1,1,50,50,8", "--form", "linear")]:
        (cost,) = cli.json_lines("cost", "linear-attention", *args, "--device", "cpu")
        (bench,) = cli.json_lines("bench", "linear-attention", *args, "--device", "cpu")
        for key in ("op", "shape", "flags", "dtype", "device", "flops", "bytes"):
            assert cost[key] == bench[key], (args, key, cost[key], bench[key])
        assert bench["op"] == "linear-attention" and bench["kernel"] == "linear_native"
        assert [form["form"] for form in cost["forms"]] == ["linear", "quadratic"]
    (cost,) = cli.json_lines("cost", "linear-attention", "--shape", "1,1,1,9,9,64", "--device",
                             "cpu")
    assert cost["break_even_n"] == 64 and cost["form"] == "quadratic"
    text = cli("cost", "linear-attention", "--shape", "1,1,1,9999,9999,64", "--device",
               "cpu").stdout
    assert "linear *" in text and "from N = 64 on" in text


TESTS = [test_values, test_mapped, test_state, test_refuses, test_bench_and_cost]

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    run_all(TESTS, Cli(sys.argv[1], sys.argv[2]))
