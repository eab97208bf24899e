#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the clattn program, in TAP: test_cli.py CLATTN GOLDEN"""
import json
import math
import os
import random
import shutil
import struct

from cli_harness import (BAD_INPUT, BENCH_KEYS, MISMATCH, NO_DEVICE, USAGE, close, count, main,
                         npy_bytes, npy_with_header, random_values, read_npy, write)

COMMANDS = ["devices", "kernels", "attention", "argmax", "linear-attention", "project", "run",
            "verify", "bench", "cost", "tune", "wisdom", "doctor"]


# ---- what attention should be, for one head ----

def attention(q, k, v, D, Dv, scale=None, see=lambda i, j, n: True, score=lambda s, i, j: s):
    """Rows of o, lse and probs for lists of numbers; see() and score() stand for all options."""
    nq, nk = len(q) // D, len(k) // D
    o, lse, probs = [], [], []
    for i in range(nq):
        s = [sum(q[i * D + d] * k[j * D + d] for d in range(D)) * (scale or D ** -0.5)
             for j in range(nk)]
        s = [score(x, i, j) if see(i, j, nk - nq) else -math.inf for j, x in enumerate(s)]
        top = max(s, default=-math.inf)
        weights = [math.exp(x - top) if top > -math.inf else 0.0 for x in s]
        total = sum(weights)
        p = [w / total if total else 0.0 for w in weights]
        lse.append(top + math.log(total) if total else -math.inf)
        probs += p
        o += [sum(p[j] * v[j * Dv + d] for j in range(nk)) for d in range(Dv)]
    return o, lse, probs


def small(folder, q=(5, 4), k=(7, 4), v=(7, 3), descr="<f4"):
    """Writes q, k, v; returns the paths and the values."""
    values = [random_values(shape, seed) for seed, shape in enumerate((q, k, v))]
    paths = [write(os.path.join(folder, name + ".npy"), npy_bytes(shape, x, descr))
             for name, shape, x in zip("qkv", (q, k, v), values)]
    return paths, values


def names(folder):
    return sorted(os.listdir(folder))


# ---- the program ----

def test_help(cli):
    """help and version."""
    assert cli("--version").stdout.startswith("clattn ")
    top = cli("--help").stdout
    assert cli("help").stdout == top and cli("-h").stdout == top
    for variable in ("DEVICE", "CACHE_DIR", "BINARIES", "NUM_THREADS", "ISA"):
        assert f" CLATTN_{variable} " in top, variable
    for command in COMMANDS:
        assert f"\n  {command} " in top, command
        done = cli(command, "--help")
        assert f"usage: clattn {command}" in done.stdout and not done.stderr
        assert cli("help", command).stdout == done.stdout
        assert "--json" in done.stdout or command in ("bench", "cost")
    for command in ("bench", "cost"):
        assert "--causal" in cli(command, "attention", "--help").stdout


def test_usage(cli):
    """usage errors exit with 2 and say what was meant."""
    for args, says in [
        ((), "--help"),
        (("attentoin",), "did you mean attention?"),
        (("zzz",), "unknown command 'zzz'"),
        (("--versoin",), "did you mean --version?"),
        (("help", "benhc"), "did you mean bench?"),
        (("attention", "--casual"), ("unknown option --casual", "did you mean --causal?")),
        (("attention", "--qqqqqq"), "unknown option --qqqqqq"),
        (("attention", "-x"), "unknown option -x"),
        (("attention", "-o"), "-o needs a value"),
        (("attention", "--window"), "--window needs a value"),
        (("attention", "--json=1"), "--json takes no value"),
        (("attention", "--de", "cpu", "--d", "f16"), "ambiguous"),
        (("attention", "--window", "3"), "'3'"),
        (("attention", "--window", "3,-2"), "'3,-2'"),
        (("attention", "--window", "3,4,5"), "'3,4,5'"),
        (("attention", "--scale", "nan"), "'nan'"),
        (("attention", "--scale", "0"), "cannot be 0"),
        (("attention", "--scale", "1x"), "'1x'"),
        (("attention", "--softcap", "-1"), "negative"),
        (("attention", "--causal=diagonal"), "'diagonal'"),
        (("attention", "--dtype", "f61"), ("unknown dtype 'f61'", "did you mean f16?")),
        (("attention", "--kernel", "nosuch"), "unknown kernel 'nosuch'"),
        (("attention",), "Q.npy"),
        (("attention", "q.npy", "k.npy", "v.npy"), "-o O.npy"),
        (("attention", "a", "b", "c", "d", "-o", "o.npy"), "Q.npy"),
        (("argmax", "--scale", "2"), "unknown option --scale"), (("argmax",), "Q.npy"),
        (("argmax", "q.npy", "k.npy", "v.npy"), "-o O.npy"),
        (("run",), "CASE"), (("run", "x"), "-o DIR"), (("run", "x", "y", "-o", "z"), "one CASE"),
        (("verify",), "CASE"), (("devices", "x"), "no arguments"),
        (("kernels", "x", "y"), "arguments"), (("kernels", "x"), "unknown kernel"),
        (("kernels", "--device", "cpu"), ("--shape", "see `clattn kernels --help`")),
    ]:
        cli.refuses(*args, code=USAGE, says=says)


def test_devices(cli):
    """devices lists the native CPU first, as text and JSON."""
    devices = json.loads(cli("devices", "--json").stdout)
    assert devices[0]["type"] == "native" and devices[0]["usable"] is True
    for i, device in enumerate(devices):
        assert device["index"] == i
        for key in ("name vendor platform driver version compute_units max_work_group local_bytes "
                    "global_bytes max_alloc_bytes usable fp16 fp64 subgroups denormals "
                    "matrix_f16 matrix_bf16 why_not").split():
            assert key in device, key
    text = cli("devices").stdout
    for device in devices:
        assert device["name"] in text
    names_text = cli("kernels").stdout.split()
    assert names_text and names_text == json.loads(cli("kernels", "--json").stdout)


def test_no_device(cli):
    """a device that is not there exits with 3."""
    folder = cli.folder()
    paths, _ = small(folder)
    case = os.path.join(cli.golden, "attn_one")
    for device in ("nosuchdevice", "99"):
        cli.refuses("attention", *paths, "-o", folder + "/o.npy", "--device", device,
                    code=NO_DEVICE, says=device)
        cli.refuses("run", case, "-o", folder + "/out", "--device", device, code=NO_DEVICE)
        cli.refuses("verify", case, "--device", device, code=NO_DEVICE)
        for command in ("bench", "cost"):
            cli.refuses(command, "attention", "--shape", "1,1,1,4,4,8", "--device", device,
                        code=NO_DEVICE)
    cli("verify", case, code=NO_DEVICE, env={"CLATTN_DEVICE": "nosuchdevice"})
    assert names(folder) == ["k.npy", "q.npy", "v.npy"]


# ---- attention ----

def test_attention_values(cli):
    """attention computes what it should, every option."""
    folder = cli.folder()
    paths, (q, k, v) = small(folder)
    out = [os.path.join(folder, name) for name in ("o.npy", "lse.npy", "probs.npy")]
    mask = [int(i % 3 != 0) for i in range(35)]
    bias = random_values((35,), 9)
    write(folder + "/mask.npy", npy_bytes((5, 7), mask, "|b1"))
    write(folder + "/mask8.npy", npy_bytes((1, 1, 5, 7), mask, "|u1"))
    write(folder + "/bias.npy", npy_bytes((5, 7), bias))
    write(folder + "/slope.npy", npy_bytes((1,), [0.25]))
    bottom_right = {"see": lambda i, j, n: j <= i + n}
    window = {"see": lambda i, j, n: i + n - 1 <= j <= i + n + 2}
    masked = {"see": lambda i, j, n: mask[i * 7 + j]}
    for args, options in [
        ((), {}),
        (("--causal",), bottom_right),
        (("--causal=bottom-right",), bottom_right),
        (("--causal=top-left",), {"see": lambda i, j, n: j <= i}),
        (("--window", "1,2"), window),
        (("--window", "-1,-1"), {}),
        (("--scale", "0.3"), {"scale": 0.3}),
        (("--softcap", "1.5"), {"score": lambda s, i, j: 1.5 * math.tanh(s / 1.5)}),
        (("--mask", folder + "/mask.npy"), masked),
        (("--mask", folder + "/mask8.npy"), masked),
        (("--bias", folder + "/bias.npy"), {"score": lambda s, i, j: s + bias[i * 7 + j]}),
        (("--alibi", folder + "/slope.npy"),
         {"score": lambda s, i, j: s - 0.25 * abs(i + 2 - j)}),
    ]:
        cli("attention", *paths, "-o", out[0], "--lse", out[1], "--probs", out[2], "--device",
            "cpu", *args)
        shapes = [(5, 3), (5,), (5, 7)]
        for path, shape, want in zip(out, shapes, attention(q, k, v, 4, 3, **options)):
            got_shape, got = read_npy(path)
            assert got_shape == shape, (args, got_shape)
            close(got, want)


def test_attention_sinks(cli):
    """attention takes a sink per head."""
    folder = cli.folder()
    paths, (q, k, v) = small(folder, (2, 5, 4), (1, 7, 4), (1, 7, 3))
    write(folder + "/sinks.npy", npy_bytes((2,), [0.5, -3.0]))
    cli("attention", *paths, "-o", folder + "/o.npy", "--lse", folder + "/lse.npy", "--sinks",
        folder + "/sinks.npy", "--device", "cpu")
    shape, got = read_npy(folder + "/o.npy")
    lse_shape, got_lse = read_npy(folder + "/lse.npy")
    assert shape == (2, 5, 3) and lse_shape == (2, 5)
    for h, sink in enumerate((0.5, -3.0)):
        o, lse, _ = attention(q[20 * h:20 * h + 20], k, v, 4, 3)
        with_sink = [math.log(math.exp(x) + math.exp(sink)) for x in lse]
        close(got_lse[5 * h:5 * h + 5], with_sink)
        close(got[15 * h:15 * h + 15],
              [x * math.exp(lse[i // 3] - with_sink[i // 3]) for i, x in enumerate(o)])


def best_keys(q, k, D, see=lambda i, j, n: True):
    """The lowest of the best keys of each row, -1 for none."""
    nq, nk = len(q) // D, len(k) // D
    best = []
    for i in range(nq):
        s = [(sum(q[i * D + d] * k[j * D + d] for d in range(D)), -j)
             for j in range(nk) if see(i, j, nk - nq)]
        best.append(-max(s)[1] if s else -1)
    return best


def test_argmax_values(cli):
    """argmax takes the value of the best key, every option."""
    folder = cli.folder()
    paths, (q, k, v) = small(folder)
    o, index = folder + "/o.npy", folder + "/i.npy"
    mask = [int(i % 3 != 0 and i // 7 != 2) for i in range(35)]
    write(folder + "/mask.npy", npy_bytes((5, 7), mask, "|b1"))
    for args, see in [
        ((), lambda i, j, n: True),
        (("--causal",), lambda i, j, n: j <= i + n),
        (("--causal=top-left",), lambda i, j, n: j <= i),
        (("--window", "1,2"), lambda i, j, n: i + n - 1 <= j <= i + n + 2),
        (("--mask", folder + "/mask.npy"), lambda i, j, n: mask[i * 7 + j]),
    ]:
        cli("argmax", *paths, "-o", o, "--index", index, "--device", "cpu", *args)
        want = best_keys(q, k, 4, see)
        assert read_npy(index) == ((5,), want), (args, read_npy(index), want)
        shape, got = read_npy(o)
        assert shape == (5, 3)
        close(got, [v[3 * j + d] if j >= 0 else 0 for j in want for d in range(3)], 1e-6)
    os.remove(index)
    (report,) = cli.json_lines("argmax", *paths, "-o", o, "--device", "cpu", "--dtype", "f16")
    assert report["op"] == "argmax" and report["kernel"] == "argmax_native"
    assert report["dtype"] == "f16" and not os.path.exists(index)
    cli.refuses("argmax", *paths, "-o", o, "--index", o, "--device", "cpu", code=BAD_INPUT)
    cli.refuses("argmax", *paths, "-o", o, "--index", paths[0], "--device", "cpu", code=BAD_INPUT)
    cli.refuses("argmax", *paths, "-o", o, "--device", "cpu", "--kernel", "attn_native",
                code=BAD_INPUT, says="attn_native")


def test_argmax_golden(cli):
    """run and verify take argmax cases; a wrong index is a mismatch."""
    case, out = os.path.join(cli.golden, "argmax_worked_example"), cli.folder()
    cli("run", case, "-o", out, "--device", "cpu")
    assert read_npy(out + "/argmax_worked_example/index.npy") == ((1, 1, 1), [1])
    assert read_npy(out + "/argmax_worked_example/o.npy")[1] == [1, 4, 3]
    for name in ("argmax_worked_example", "argmax_ties", "argmax_random"):
        (report,) = cli.json_lines("verify", os.path.join(cli.golden, name), "--device", "cpu")
        assert report["status"] == "ok" and len(report["outputs"]) == 2, report
    case = golden_copy(cli, "argmax_ties")
    write(case + "/index.npy", npy_bytes((1, 1, 1), [7], "<i4"))
    (report,) = cli.json_lines("verify", case, "--device", "cpu", code=MISMATCH)
    verdicts = {output["name"]: output["pass"] for output in report["outputs"]}
    assert verdicts == {"o": True, "index": False}, verdicts
    case = golden_copy(cli, "argmax_ties", lambda case: case["params"].update(scale=2))
    cli("verify", case, "--device", "cpu", code=BAD_INPUT)


def test_attention_files(cli):
    """attention reads float16 and float64, stores f16 and bf16, keeps the rank."""
    for rank in (2, 3, 4):
        folder = cli.folder()
        lead = (1,) * (rank - 2)
        for descr, dtype, tolerance in [("<f4", "f32", 1e-5), ("<f2", "f16", 1e-2),
                                        ("<f8", "bf16", 5e-2)]:
            paths, (q, k, v) = small(folder, lead + (5, 4), lead + (7, 4), lead + (7, 3), descr)
            cli("attention", *paths, "-o", folder + "/o.npy", "--dtype", dtype, "--device", "cpu")
            shape, got = read_npy(folder + "/o.npy")
            assert shape == lead + (5, 3)
            close(got, attention(q, k, v, 4, 3)[0], tolerance)


def test_attention_report(cli):
    """attention reports what it did, as text and JSON."""
    folder = cli.folder()
    paths, _ = small(folder)
    args = ("attention", *paths, "-o", folder + "/o.npy", "--device", "cpu", "--causal")
    (report,) = cli.json_lines(*args, measure=True)
    assert set(BENCH_KEYS) <= set(report), set(BENCH_KEYS) - set(report)
    assert report["shape"] == "1,1,1,5,7,4,3" and report["flags"] == "causal"
    assert report["flops"] == 2 * 7 * (3 + 4 + 5 + 6 + 7)
    text = cli(*args).stdout
    assert report["kernel"] in text and "GFLOP/s" in text
    pinned = cli.json_lines(*args, "--kernel", report["kernel"])[0]
    assert pinned["kernel"] == report["kernel"]


def test_attention_empty(cli):
    """attention over no keys gives zeros; over no rows nothing."""
    folder = cli.folder()
    paths, _ = small(folder, (3, 4), (0, 4), (0, 2))
    cli("attention", *paths, "-o", folder + "/o.npy", "--lse", folder + "/l.npy", "--device", "cpu")
    assert read_npy(folder + "/o.npy") == ((3, 2), [0.0] * 6)
    assert read_npy(folder + "/l.npy") == ((3,), [-math.inf] * 3)
    paths, _ = small(folder, (0, 4), (3, 4), (3, 2))
    cli("attention", *paths, "-o", folder + "/o.npy", "--device", "cpu")
    assert read_npy(folder + "/o.npy") == ((0, 2), [])


def test_attention_shapes(cli):
    """shapes that disagree exit with 4 and write nothing."""
    for shapes, says in [
        (((5, 4), (7, 5), (7, 3)), ("4", "5")),
        (((5, 4), (7, 4), (6, 3)), ("7", "6")),
        (((3, 5, 4), (2, 7, 4), (2, 7, 3)), ("3 heads", "2", "multiple")),
        (((2, 1, 5, 4), (1, 1, 7, 4), (1, 1, 7, 3)), ("batch",)),
        (((5, 4), (1, 7, 4), (1, 7, 3)), ("[5][4]", "[1][7][4]")),
        (((4,), (4,), (4,)), ("[4]",)),
        (((1, 1, 1, 5, 4),) * 3, ("[1][1][1][5][4]",)),
        (((5, 0), (7, 0), (7, 3)), ("D is 0",)),
    ]:
        folder = cli.folder()
        paths, _ = small(folder, *shapes)
        cli.refuses("attention", *paths, "-o", folder + "/o.npy", "--device", "cpu", code=BAD_INPUT,
                    says=says)
        assert names(folder) == ["k.npy", "q.npy", "v.npy"]
    folder = cli.folder()
    paths, _ = small(folder)
    for option, shape, descr, says in [
        ("--mask", (4, 7), "|u1", "4"), ("--bias", (5, 6), "<f4", "6"),
        ("--alibi", (2,), "<f4", "2 entries"), ("--sinks", (3,), "<f4", "3 entries"),
        ("--mask", (5, 7), "<f4", "need bool or uint8"), ("--bias", (5, 7), "|u1", "need float32"),
        ("--mask", (1, 1, 1, 5, 7), "|u1", "mask"),
    ]:
        extra = write(folder + "/extra.npy", npy_bytes(shape, [1] * count(shape), descr))
        cli.refuses("attention", *paths, "-o", folder + "/o.npy", "--device", "cpu", option, extra,
                    code=BAD_INPUT, says=says)
    assert names(folder) == ["extra.npy", "k.npy", "q.npy", "v.npy"]


def test_attention_paths(cli):
    """outputs never replace inputs, each other, links or directories."""
    folder = cli.folder()
    paths, _ = small(folder)
    base = ("attention", *paths, "--device", "cpu", "-o")
    before = [open(path, "rb").read() for path in paths]
    os.mkdir(folder + "/dir")
    os.symlink(paths[1], folder + "/link.npy")
    for out, says in [
        ((paths[0],), "overwrite the input"), ((folder + "/./dir/../q.npy",), "overwrite"),
        ((folder + "/link.npy",), "overwrite"), ((folder + "/dir",), "directory"),
        ((folder + "/dir/",), "not the name of a file"), (("",), "not the name of a file"),
        ((folder + "/missing/o.npy",), "No such file"), ((paths[0] + "/o.npy",), "Not a directory"),
        ((folder + "/o.npy", "--lse", folder + "/dir/../o.npy"), "same path"),
        ((folder + "/o.npy", "--probs", folder + "/dir"), "directory"),
    ]:
        cli.refuses(*base, *out, code=BAD_INPUT, says=says)
    assert [open(path, "rb").read() for path in paths] == before
    assert names(folder) == ["dir", "k.npy", "link.npy", "q.npy", "v.npy"]
    assert names(folder + "/dir") == []
    os.symlink("dir/real.npy", folder + "/new.npy")
    write(folder + "/dir/real.npy", b"old")
    cli(*base, folder + "/new.npy")
    assert os.path.islink(folder + "/new.npy") and read_npy(folder + "/dir/real.npy")[0] == (5, 3)
    cli(*base, "/dev/null")
    assert not os.path.isfile("/dev/null")
    if os.path.exists("/dev/full"):
        cli.refuses(*base, "/dev/full", "--lse", folder + "/lse.npy", code=BAD_INPUT,
                    says="No space left")
        with open("/dev/full", "w", encoding="ascii") as full:
            assert "standard output" in cli("devices", stdout=full, code=BAD_INPUT).stderr
    assert names(folder) == ["dir", "k.npy", "link.npy", "new.npy", "q.npy", "v.npy"]


def test_attention_mode(cli):
    """outputs get the permissions that the umask gives."""
    folder = cli.folder()
    paths, _ = small(folder)
    old = os.umask(0o027)
    try:
        cli("attention", *paths, "-o", folder + "/o.npy", "--device", "cpu")
    finally:
        os.umask(old)
    assert os.stat(folder + "/o.npy").st_mode & 0o777 == 0o640


def test_read_only(cli):
    """a directory that cannot be written exits with 4."""
    if os.geteuid() == 0:
        return "root may write everywhere"
    folder = cli.folder()
    paths, _ = small(folder)
    os.mkdir(folder + "/locked", 0o555)
    cli.refuses("attention", *paths, "-o", folder + "/locked/o.npy", code=BAD_INPUT,
                says="Permission denied")
    cli("run", os.path.join(cli.golden, "attn_one"), "-o", folder + "/locked/out", "--device",
        "cpu", code=BAD_INPUT)
    return None


def test_missing_files(cli):
    """inputs that are missing or no files exit with 4."""
    folder = cli.folder()
    paths, _ = small(folder)
    os.mkfifo(folder + "/fifo")
    for bad, says in [(folder + "/nosuch.npy", "No such file"), (folder, "not a regular file"),
                      (folder + "/fifo", "not a regular file"),
                      (write(folder + "/empty.npy", b""), "not a .npy file")]:
        for position in range(3):
            args = list(paths)
            args[position] = bad
            cli.refuses("attention", *args, "-o", folder + "/o.npy", code=BAD_INPUT,
                        says=(says, bad))
    assert not os.path.exists(folder + "/o.npy")


# ---- hostile .npy files ----

def refuses_npy(cli, folder, data, says=""):
    path = write(folder + "/bad.npy", data)
    line = cli.refuses("attention", path, path, path, "-o", folder + "/o.npy", "--device", "cpu",
                       code=BAD_INPUT, says=says)
    assert names(folder) == ["bad.npy"], names(folder)
    assert all(c.isprintable() for c in line), line


def test_npy_truncated(cli):
    """a .npy file cut at any length, or with a byte too many, is refused."""
    folder = cli.folder()
    whole = npy_bytes((2, 2), [1, 2, 3, 4])
    for n in range(len(whole)):
        refuses_npy(cli, folder, whole[:n])
    refuses_npy(cli, folder, whole + b"\0", "the file has 17")
    refuses_npy(cli, folder, whole * 2)


def test_npy_headers(cli):
    """.npy headers that lie are refused with the reason."""
    folder = cli.folder()
    full = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n"
    four = struct.pack("<4f", 1, 2, 3, 4)
    for descr, order, shape, says in [
        (">f4", "False", "(2, 2)", "big-endian"), ("|O", "False", "(2, 2)", "objects"),
        ("<U4", "False", "(2, 2)", "not supported"), ("<c8", "False", "(2, 1)", "not supported"),
        ("", "False", "(2, 2)", "not supported"), ("<f4", "True", "(2, 2)", "Fortran"),
        ("<f4", "Maybe", "(2, 2)", "fortran_order"), ("<f4", "False", "(2, -2)", "negative"),
        ("<f4", "False", "(2, 3)", "truncated"), ("<f4", "False", "2", "tuple"),
        ("<f4", "False", "(2 2)", "tuple"), ("<f4", "False", "(2, 2", "tuple"),
        ("<f4", "False", "(2, 2.0)", "tuple"), ("<f4", "False", "(,)", "tuple"),
        ("<f4", "False", "(4294967296, 4294967297)", "overflows"),
        ("<f4", "False", "(4611686018427387905, 4)", "overflows"),
        ("<f4", "False", "(99999999999999999999, 1)", "overflows"),
        ("<f4", "False", "(1000000000, 1000000)", "truncated"),
        ("<f4", "False", "(0, 900000000000000000)", "the file has 16"),
        ("<f4", "False", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,2,2)", "axes"),
    ]:
        refuses_npy(cli, folder, npy_with_header(full % (descr, order, shape), four), says)
    for header, says in [
        ("", "not a dict"), ("[1, 2]", "not a dict"), ("{}", "no 'descr'"),
        ("{'descr': '<f4', 'fortran_order': False}", "no 'shape'"),
        ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", "second"),
        ("{'descr': '<f4', 'evil': 1}", "unknown key 'evil'"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,)}", "structured"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)} x", "behind"),
        ("{'descr': '<f4' 'fortran_order': False, 'shape': (2, 2)}", "dict"),
        ("{'de\\x00scr': '<f4'}", "dict"), (b"{'\xff\xfe': 1}", "dict"), ("{" * 5000, "dict"),
    ]:
        refuses_npy(cli, folder, npy_with_header(header, four), says)
    good = full % ("<f4", "False", "(2, 2)")
    refuses_npy(cli, folder, npy_with_header(good, four, 4), "version 4")
    refuses_npy(cli, folder, b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + good.encode(), "claims")
    refuses_npy(cli, folder, b"\x93NUMPY\x01\x00\xff\xff" + good.encode(), "inside its header")


def test_npy_versions(cli):
    """.npy versions 1 to 3 and any order of keys are read."""
    folder = cli.folder()
    data = struct.pack("<4f", 1, 2, 3, 4)
    header = "{\"shape\": (2L, 2L) , 'fortran_order':False,'descr':'<f4'}".replace("L", "")
    outputs = []
    for version in (1, 2, 3):
        path = write(folder + "/x.npy", npy_with_header(header, data, version))
        cli("attention", path, path, path, "-o", folder + "/o.npy", "--device", "cpu")
        outputs.append(read_npy(folder + "/o.npy"))
    assert outputs[0] == outputs[1] == outputs[2] and outputs[0][0] == (2, 2)


def test_npy_flips(cli):
    """.npy files with flipped bits or random bytes never crash the program."""
    folder = cli.folder()
    rng = random.Random(1)
    whole = npy_bytes((2, 3), [1, 2, 3, 4, 5, 6])
    samples = [whole[:i] + bytes([whole[i] ^ 1 << rng.randrange(8)]) + whole[i + 1:]
               for i in range(128)]
    samples += [bytes(rng.randrange(256) for _ in range(rng.randrange(200))) for _ in range(30)]
    samples += [whole[:10] + bytes(rng.choice(b"{}()[]',: <f4|Odescrshape0123456789-L\n")
                                   for _ in range(118)) + whole[128:] for _ in range(60)]
    for data in samples:
        path = write(folder + "/bad.npy", data)
        # A short k makes files that are still good fail later, and quickly.
        other = write(folder + "/k.npy", npy_bytes((2, 1), [1, 2]))
        refused = cli.refuses("attention", path, other, other, "-o", folder + "/o.npy", "--device",
                              "cpu", code=BAD_INPUT)
        assert refused and names(folder) == ["bad.npy", "k.npy"], data


# ---- golden cases ----

def golden_copy(cli, name, change=None):
    """A private copy of a case, its case.json changed."""
    folder = os.path.join(cli.folder(), name)
    shutil.copytree(os.path.join(cli.golden, name), folder)
    os.chmod(folder, 0o755)
    for file in os.listdir(folder):
        os.chmod(os.path.join(folder, file), 0o644)
    if change:
        path = folder + "/case.json"
        with open(path, encoding="utf-8") as f:
            case = json.load(f)
        change(case)
        with open(path, "w", encoding="utf-8") as f:
            json.dump(case, f)
    return folder


def test_run_case(cli):
    """run writes every output of a case."""
    out = cli.folder()
    for name, outputs in [("attn_gqa", ["lse", "o", "probs"]), ("attn_varlen", ["lse", "o"])]:
        case = os.path.join(cli.golden, name)
        line = cli("run", case, "-o", out + "/new/deep", "--device", "cpu").stdout
        assert line.startswith(name) and line.rstrip().endswith("ok") and line.count("\n") == 1
        assert names(f"{out}/new/deep/{name}") == [x + ".npy" for x in outputs]
        for output in outputs:
            got = read_npy(f"{out}/new/deep/{name}/{output}.npy")
            want = read_npy(f"{case}/{output}.npy")
            assert got[0] == want[0]
            close(got[1], want[1], 1e-4)
    (report,) = cli.json_lines("run", case + "/", "-o", out, "--device", "cpu", "--dtype", "bf16")
    assert report["case"] == "attn_varlen" and report["status"] == "ok"
    assert report["dtype"] == "bf16" and report["kernel"]


def test_run_folder(cli):
    """run takes a folder of cases and skips what is not supported."""
    out = cli.folder()
    with open(os.path.join(cli.golden, "index.json"), encoding="utf-8") as f:
        index = json.load(f)
    reports = cli.json_lines("run", cli.golden, "-o", out, "--device", "cpu")
    assert [report["case"] for report in reports] == index
    done = [report["case"] for report in reports if report["status"] == "ok"]
    skipped = [report["case"] for report in reports if report["status"] == "skipped"]
    assert len(done) >= 27 and sorted(done) == names(out)
    assert sorted(done + skipped) == sorted(index)


def test_run_unknown_op(cli):
    """a single case of an unknown op exits with 4; so do damaged cases; nothing is written."""
    out = cli.folder()
    run = ("run", "-o", out + "/out", "--device", "cpu")

    def drop_input(case):
        case["inputs"].remove("v")

    def set_shape(case):
        case["files"]["q"]["shape"][2] += 1

    for change, says in [
        (lambda case: case.update(op="nosuch_op"), "op nosuch_op is not supported"),
        (lambda case: case["params"].update(temperature=2), "'temperature'"),
        (lambda case: case["params"].update(causal="diagonal"), "causal"),
        (lambda case: case["params"].update(window=[1]), "window"),
        (lambda case: case["params"].update(window=[-2, 0]), "-2"),
        (lambda case: case["params"].update(scale="big"), "scale"),
        (lambda case: case["params"].update(softcap=-1), "softcap"),
        (lambda case: case["inputs"].append("../../etc/passwd"), "no input"),
        (lambda case: case["outputs"].append("../../evil"), "no output"),
        (lambda case: case["outputs"].append("o"), "twice"),
        (lambda case: case.update(outputs=[]), "no outputs"),
        (lambda case: case.update(op=3), '"op"'),
        (drop_input, "'v'"), (set_shape, "case.json says otherwise"),
    ]:
        cli_says = cli(*run, golden_copy(cli, "attn_one", change), code=BAD_INPUT).stderr
        assert says in cli_says, (says, cli_says)
    case = golden_copy(cli, "attn_one")
    for text in (b"", b"{", b"[]", b"{\"op\": \"attention\"", b"[" * 100000, b"\xff\xfe"):
        write(case + "/case.json", text)
        cli(*run, case, code=BAD_INPUT)
    cli(*run, cli.golden + "/nosuch", code=BAD_INPUT)
    case = golden_copy(cli, "attn_one")
    os.remove(case + "/k.npy")
    cli(*run, case, code=BAD_INPUT)
    case = golden_copy(cli, "attn_varlen")
    for values in ([1, 5, 10, 20, 23], [0, 9, 5, 20, 23], [0, 5, 10, 20, 99], [0, -5, 10, 20, 23]):
        write(case + "/cu_seqlens_q.npy", npy_bytes((5,), values, "<i4"))
        cli(*run, case, code=BAD_INPUT)
    assert names(out) == []


def test_run_index(cli):
    """entries of index.json cannot leave the folder."""
    folder, out = cli.folder(), cli.folder()
    for entry in ("../x", "/etc", "..", ".", "", 3, None, "a/b"):
        write(folder + "/index.json", json.dumps([entry]).encode())
        cli.refuses("run", folder, "-o", out + "/out", "--device", "cpu", code=BAD_INPUT,
                    says="entry 0")
    write(folder + "/index.json", b"{}")
    cli.refuses("verify", folder, "--device", "cpu", code=BAD_INPUT, says="not an array")
    write(folder + "/index.json", b"[\"missing\"]")
    cli("verify", folder, "--device", "cpu", code=BAD_INPUT)
    write(folder + "/index.json", b"[]")
    cli("verify", folder, "--device", "cpu")
    assert names(out) == []


def test_verify(cli):
    """verify passes every golden case on the native CPU in each dtype."""
    for dtype in ("f32", "f16", "bf16"):
        reports = cli.json_lines("verify", cli.golden, "--device", "cpu", "--dtype", dtype)
        done = [report for report in reports if report["status"] != "skipped"]
        assert len(done) >= 27
        for report in done:
            assert report["status"] == "ok" and report["outputs"], report
            for output in report["outputs"]:
                assert output["pass"] and output["err"] <= output["bound"], report
    text = cli("verify", os.path.join(cli.golden, "attn_one"), "--device", "cpu").stdout
    assert "ratio" in text and "ok" in text


def test_verify_mismatch(cli):
    """verify exits with 1 when a result is wrong, NaN or infinite in other places."""
    for value in (0.01, math.nan, math.inf):
        case = golden_copy(cli, "attn_gqa")
        shape, values = read_npy(case + "/o.npy")
        values[17] += value
        write(case + "/o.npy", npy_bytes(shape, values))
        good = os.path.join(cli.golden, "attn_one")
        reports = cli.json_lines("verify", case, good, "--device", "cpu", code=MISMATCH)
        assert [report["status"] for report in reports] == ["MISMATCH", "ok"]
        verdicts = {output["name"]: output["pass"] for output in reports[0]["outputs"]}
        assert verdicts == {"o": False, "lse": True, "probs": True}, verdicts
    shape, values = read_npy(case + "/lse.npy")
    write(case + "/lse.npy", npy_bytes(shape + (1,), values))
    cli("verify", case, "--device", "cpu", code=BAD_INPUT)
    cli("verify", case, good, "--device", "cpu", code=BAD_INPUT)


# ---- OpenCL ----

def test_opencl(cli):
    """run and attention work on an OpenCL device too."""
    opencl = cli.opencl()
    if not opencl:
        return "no OpenCL device"
    case, out = os.path.join(cli.golden, "attn_alibi"), cli.folder()
    cli("verify", case, "--device", "opencl", "--dtype", "f16")
    cli("run", case, "-o", out, "--device", str(opencl[0]["index"]))
    close(read_npy(out + "/attn_alibi/o.npy")[1], read_npy(case + "/o.npy")[1], 1e-4)
    wrong = cli("run", case, "-o", out, "--device", "cpu", "--kernel", "attn_prefill",
                code=BAD_INPUT)
    assert "attn_prefill" in wrong.stderr
    return None


TESTS = [test_help, test_usage, test_devices, test_no_device, test_attention_values,
         test_attention_sinks, test_argmax_values, test_argmax_golden, test_attention_files,
         test_attention_report, test_attention_empty, test_attention_shapes, test_attention_paths,
         test_attention_mode, test_read_only, test_missing_files, test_npy_truncated,
         test_npy_headers, test_npy_versions, test_npy_flips, test_run_case, test_run_folder,
         test_run_unknown_op, test_run_index, test_verify, test_verify_mismatch, test_opencl]

if __name__ == "__main__":
    main(TESTS, __doc__)
