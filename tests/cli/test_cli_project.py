#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of clattn project, in TAP: test_cli_project.py CLATTN GOLDEN"""
import math
import os

from cli_harness import (BAD_INPUT, USAGE, check_report, close, count, main, npy_bytes,
                         random_values, read_npy, write)


def project(x, w, M, bias=None, residual=None, turn=None):
    """Rows of y for lists of numbers; turn(i, row) rotates row i."""
    out = len(w) // M
    y = []
    for i in range(len(x) // M):
        row = [sum(x[i * M + m] * w[c * M + m] for m in range(M)) + (bias[c] if bias else 0)
               for c in range(out)]
        y += turn(i, row) if turn else row
    return [a + b for a, b in zip(y, residual)] if residual else y


def turner(style, heads, base=10000.0, start=0, N=None):
    """The rotary embedding of rows of heads; N: rows of a sequence."""
    def turn(i, row):
        K = len(row) // heads
        done = list(row)
        for first in range(0, len(row), K):
            for pair in range(K // 2):
                u, v = (pair, pair + K // 2) if style == "neox" else (2 * pair, 2 * pair + 1)
                angle = (start + (i % N if N else i)) * base ** (-2 * pair / K)
                a, b = row[first + u], row[first + v]
                done[first + u] = a * math.cos(angle) - b * math.sin(angle)
                done[first + v] = a * math.sin(angle) + b * math.cos(angle)
        return done
    return turn


def quantised(w, group, largest):
    """The values that weights have after a trip through integers."""
    done = []
    for g in range(0, len(w), group):
        scale = max(abs(x) for x in w[g:g + group]) / largest
        done += [round(x / scale) * scale if scale else 0.0 for x in w[g:g + group]]
    return done


def small(folder, x=(5, 32), w=(6, 32), descr="<f4"):
    """Writes x and w; returns the paths and the values."""
    values = [random_values(shape, seed) for seed, shape in enumerate((x, w))]
    paths = [write(os.path.join(folder, name + ".npy"), npy_bytes(shape, v, descr))
             for name, shape, v in zip("xw", (x, w), values)]
    return paths, values


def test_values(cli):
    """project computes what it should, every option."""
    folder = cli.folder()
    paths, (x, w) = small(folder)
    bias, residual = random_values((6,), 7), random_values((5, 6), 8)
    b = ("--bias", write(folder + "/b.npy", npy_bytes((6,), bias)))
    r = ("--residual", write(folder + "/r.npy", npy_bytes((5, 6), residual)))
    i8, i4 = quantised(w, 32, 127), quantised(w, 32, 7)
    for args, want in [
        ((), project(x, w, 32)),
        (("--transposed",), project(x, w, 32)),
        (b, project(x, w, 32, bias)),
        (r, project(x, w, 32, residual=residual)),
        ((*b, *r, "--transposed"), project(x, w, 32, bias, residual)),
        (("--weights", "i8"), project(x, i8, 32)),
        (("--weights", "i8", *b, *r), project(x, i8, 32, bias, residual)),
        (("--weights", "i4"), project(x, i4, 32)),
        (("--weights", "i4", *b), project(x, i4, 32, bias)),
        (("--rotary", "neox"), project(x, w, 32, turn=turner("neox", 1))),
        (("--rotary", "gptj", "--heads", "3"), project(x, w, 32, turn=turner("gptj", 3))),
        (("--rotary", "neox", "--heads", "3", "--start", "9", "--rotary-base", "100", *b, *r),
         project(x, w, 32, bias, residual, turner("neox", 3, 100.0, 9))),
        (("--rotary", "gptj", "--start", "-4", "--weights", "i8"),
         project(x, i8, 32, turn=turner("gptj", 1, start=-4))),
    ]:
        cli("project", *paths, "-o", folder + "/y.npy", "--device", "cpu", *args)
        shape, got = read_npy(folder + "/y.npy")
        assert shape == (5, 6), shape
        close(got, want, 1e-4)


def test_ranks(cli):
    """project takes sequences, and positions begin anew in each."""
    folder = cli.folder()
    paths, (x, w) = small(folder, (2, 3, 8), (12, 8))
    for args, turn in [((), None), (("--heads", "2"), None),
                       (("--rotary", "neox", "--heads", "2"), turner("neox", 2, N=3))]:
        cli("project", *paths, "-o", folder + "/y.npy", "--device", "cpu", *args)
        shape, got = read_npy(folder + "/y.npy")
        assert shape == (2, 3, 12), shape
        close(got, project(x, w, 8, turn=turn), 1e-4)
    for x_shape, y_shape in [((0, 8), (0, 12)), ((2, 0, 8), (2, 0, 12))]:
        empty = write(folder + "/e.npy", npy_bytes(x_shape, []))
        cli("project", empty, paths[1], "-o", folder + "/y.npy", "--device", "cpu")
        assert read_npy(folder + "/y.npy") == (y_shape, [])


def test_dtypes(cli):
    """project reads and stores every type."""
    for descr, dtype, weights, tolerance in [
        ("<f2", "f16", None, 0.2), ("<f8", "bf16", None, 1.0), ("<f4", "f16", "f32", 0.1),
        ("<f4", "f32", "f16", 0.1), ("<f4", "f32", "bf16", 0.5), ("<f4", "bf16", "i8", 1.0),
    ]:
        folder = cli.folder()
        paths, (x, w) = small(folder, descr=descr)
        if weights == "i8":
            w = quantised(w, 32, 127)
        args = ["--weights", weights] if weights else []
        (report,) = cli.json_lines("project", *paths, "-o", folder + "/y.npy", "--device", "cpu",
                                   "--dtype", dtype, *args)
        assert report["dtype"] == dtype
        close(read_npy(folder + "/y.npy")[1], project(x, w, 32), tolerance)


def test_report(cli):
    """project reports what it did, as text and JSON, and pins a kernel."""
    folder = cli.folder()
    paths, _ = small(folder)
    args = ("project", *paths, "-o", folder + "/y.npy", "--device", "cpu", "--weights", "i8")
    (report,) = cli.json_lines(*args, measure=True)
    check_report(report)
    assert (report["op"], report["shape"]) == ("project", "5,6,32")
    assert report["flags"] == "weights=i8" and report["flops"] == 2 * 5 * 6 * 32
    text = cli(*args).stdout
    assert report["kernel"] in text and "GFLOP/s" in text
    for kernel in ("proj_few_native", "proj_gemm_native"):
        assert cli.json_lines(*args, "--kernel", kernel)[0]["kernel"] == kernel
    cli.refuses(*args, "--kernel", "attn_native", code=BAD_INPUT, says="attn_native")


def test_shapes(cli):
    """shapes that disagree exit with 4 and write nothing."""
    for x, w, args, says in [
        ((5, 8), (6, 7), (), ("8", "7")),
        ((5,), (6, 8), (), ("x is [5]", "[rows][M]")),
        ((1, 1, 5, 8), (6, 8), (), ("[1][1][5][8]",)),
        ((5, 8), (6,), (), ("w is [6]", "[out][M]")),
        ((5, 8), (2, 3, 8), (), ("w is [2][3][8]",)),
        ((5, 0), (6, 0), (), ("M is 0",)),
        ((5, 8), (0, 8), (), ("0",)),
        ((5, 8), (6, 8), ("--heads", "4"), ("6 rows", "4 heads")),
        ((5, 8), (6, 8), ("--heads", "-1"), ("-1 heads",)),
        ((5, 8), (6, 8), ("--rotary", "neox", "--heads", "2"), ("3",)),
        ((5, 8), (6, 8), ("--rotary", "neox", "--rotary-base", "0.5"), ("0.5",)),
        ((5, 8), (6, 8), ("--weights", "i4"), ("M is 8", "32")),
        ((5, 8), (6, 8), ("--weights", "i8", "--transposed"), ("--transposed",)),
    ]:
        folder = cli.folder()
        paths, _ = small(folder, x, w)
        cli.refuses("project", *paths, "-o", folder + "/y.npy", "--device", "cpu", *args,
                    code=BAD_INPUT, says=says)
        assert sorted(os.listdir(folder)) == ["w.npy", "x.npy"]
    folder = cli.folder()
    paths, _ = small(folder)
    for option, shape, descr, says in [
        ("--bias", (5,), "<f4", "bias is [5], need [6]"), ("--bias", (6, 1), "<f4", "[6][1]"),
        ("--bias", (6,), "|u1", "need float32"), ("--residual", (5, 5), "<f4", "residual"),
        ("--residual", (5,), "<f4", "residual"), ("--residual", (1, 5, 6), "<f4", "residual"),
    ]:
        extra = write(folder + "/extra.npy", npy_bytes(shape, [1] * count(shape), descr))
        cli.refuses("project", *paths, "-o", folder + "/y.npy", "--device", "cpu", option, extra,
                    code=BAD_INPUT, says=says)
    assert sorted(os.listdir(folder)) == ["extra.npy", "w.npy", "x.npy"]


def test_usage(cli):
    """usage errors exit with 2, missing files and bad paths with 4."""
    for args, says in [
        ((), "X.npy and W.npy"), (("x.npy",), "X.npy and W.npy"),
        (("x.npy", "w.npy"), "-o Y.npy"), (("x", "w", "b", "-o", "y.npy"), "X.npy and W.npy"),
        (("--baias", "b.npy"), "did you mean --bias?"),
        (("--wieghts", "i8"), "did you mean --weights?"),
        (("--weights", "i16"), "'i16'"), (("--rotary", "gpt"), "'gpt'"), (("--heads", "x"), "'x'"),
        (("--start", "1.5"), "'1.5'"), (("--rotary-base", "inf"), "'inf'"),
        (("--transposed=1",), "takes no value"), (("--kernel", "proj_fwe"), "did you mean"),
    ]:
        cli.refuses("project", *args, code=USAGE, says=says)
    folder = cli.folder()
    paths, _ = small(folder)
    y = folder + "/y.npy"
    for args, says in [
        ((paths[0], folder + "/no.npy", "-o", y), "no.npy"),
        ((folder + "/no.npy", paths[1], "-o", y), "no.npy"),
        ((*paths, "-o", y, "--bias", folder + "/no.npy"), "no.npy"),
        ((*paths, "-o", y, "--residual", folder), folder),
        ((*paths, "-o", folder + "/no/y.npy"), "No such file"),
        ((*paths, "-o", folder), "directory"),
        ((*paths, "-o", paths[1]), "overwrite"),
    ]:
        cli.refuses("project", *args, "--device", "cpu", code=BAD_INPUT, says=says)
    assert sorted(os.listdir(folder)) == ["w.npy", "x.npy"]


def test_opencl(cli):
    """project works on an OpenCL device too."""
    if not cli.opencl():
        return "no OpenCL device"
    folder = cli.folder()
    paths, (x, w) = small(folder)
    for args, weights in [((), w), (("--weights", "i8"), quantised(w, 32, 127))]:
        cli("project", *paths, "-o", folder + "/y.npy", "--device", "opencl", "--rotary", "neox",
            "--heads", "3", *args)
        close(read_npy(folder + "/y.npy")[1], project(x, weights, 32, turn=turner("neox", 3)), 1e-4)
    return None


TESTS = [test_values, test_ranks, test_dtypes, test_report, test_shapes, test_usage, test_opencl]

if __name__ == "__main__":
    main(TESTS, __doc__)
