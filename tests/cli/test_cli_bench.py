#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of clattn bench and cost, in TAP: test_cli_bench.py CLATTN GOLDEN"""
import json
import math
import time

from cli_harness import BAD_INPUT, USAGE, check_report, main

# Operation, tiny shape, options, how reports say them.
OPS = [
    ("attention", "1,8,2,20,30,8,16", ["--causal", "--window", "9,0", "--mask", "--bias",
                                       "--alibi", "--sinks", "--lse", "--softcap", "5"],
     "causal window=9,0 softcap=5 mask bias alibi sinks lse"),
    ("attention", "2,4,4,20,30,8", ["--causal=top-left", "--probs", "--scale", "0.5"],
     "causal=top-left scale=0.5 probs"),
    ("argmax", "1,4,2,20,30,8", ["--causal", "--mask", "--index"], "causal mask index"),
    ("decode", "2,8,2,1,300,16", [], "causal"),
    ("decode", "1,4,1,3,50,8,4", ["--window", "20,0", "--lse"], "causal window=20,0 lse"),
    ("decode", "2,8,2,1,300,20", ["--kv", "i8", "--page", "16"], "causal kv=i8 page=16"),
    ("decode", "2,8,2,3,300,40,33", ["--kv", "i4"], "causal kv=i4"),
    ("linear-attention", "1,4,2,40,40,8", ["--causal", "--state"], "elu1 causal state"),
    ("linear-attention", "1,2,2,9,9,4,6", ["--map", "poly2", "--c", "2", "--form", "quadratic"],
     "poly2 c=2 form=quadratic"),
    ("project", "3,40,64", ["--bias", "--residual", "--heads", "4", "--rotary", "neox"],
     "rotary=neox heads=4 bias residual"),
    ("project", "1,40,64", ["--weights", "i8"], "weights=i8"),
    ("project", "20,40,64", ["--weights", "i4", "--bias"], "weights=i4 bias"),
    ("project", "2,5,7", ["--transposed", "--weights", "bf16"], "weights=bf16 transposed"),
]
SAME = ("op", "shape", "flags", "dtype", "device", "flops", "bytes")


def test_fields(cli):
    """bench of every operation is complete, and cost counts what it counts."""
    for i, (op, shape, options, flags) in enumerate(OPS):
        args = (op, "--shape", shape, "--dtype", "f16", "--device", "cpu", *options)
        (bench,) = cli.json_lines("bench", *args, measure=i == 0)
        check_report(bench)
        assert (bench["op"], bench["shape"], bench["dtype"]) == (op, shape, "f16")
        assert bench["flags"] == flags and bench["runs"] >= 7, bench
        (cost,) = cli.json_lines("cost", *args, measure=i == 0)
        for key in SAME:
            assert cost[key] == bench[key], (args, key, cost[key], bench[key])


def test_given(cli):
    """bench and cost take peaks and a time instead of their own."""
    args = ("attention", "--shape", "1,4,4,64,64,16", "--device", "cpu", "--json")
    for command in ("bench", "cost"):
        for peaks, bound in (("1e-3,1e6", "compute"), ("1e9,0.5", "memory")):
            report = json.loads(cli(command, *args, "--peaks", peaks, measure=True).stdout)
            assert [report["peak_gflops"], report["peak_gbytes_per_s"]] == [
                float(x) for x in peaks.split(",")]
            assert report["bound"] == bound, report
            if command == "bench":
                check_report(report)
        for peaks in ("100", "100,", ",10", "0,10", "100,-1", "nan,10", "100,10,1", "100 10"):
            cli.refuses(command, *args, "--peaks", peaks, code=USAGE, says=f"'{peaks}'")
    for seconds in ("0", "-1", "inf", "1s", ""):
        cli.refuses("bench", *args, "--seconds", seconds, code=USAGE, says=f"'{seconds}'")
    start = time.monotonic()
    cli("bench", *args, "--seconds", "1.5", "--peaks", "100,10", measure=True)
    assert time.monotonic() - start >= 1.5


def test_combinations(cli):
    """bench takes several shapes, dtypes and kernels."""
    shapes = ("1,4,2,33,65,16", "2,4,1,1,100,16,8")
    reports = cli.json_lines("bench", "attention", "--shape", shapes[0], "--shape", shapes[1],
                             "--dtype", "f32", "--dtype", "f16", "--device", "cpu")
    assert [(r["shape"], r["dtype"]) for r in reports] == [
        (shape, dtype) for shape in shapes for dtype in ("f32", "f16")]
    kernels = ("proj_few_native", "proj_gemm_native")
    args = [x for kernel in kernels for x in ("--kernel", kernel)]
    reports = cli.json_lines("bench", "project", "--shape", "4,32,32", "--device", "cpu", *args)
    assert [r["kernel"] for r in reports] == list(kernels)
    text = cli("bench", "attention", "--shape", "1,1,1,8,8,8", "--device", "cpu").stdout
    assert "median" in text and "floor" in text and "workspace" in text


def test_untuned(cli):
    """bench times the choice without results of tuning in turns with the one they lead to."""
    shape = ("--shape", "1,8,8,64,64,16", "--device", "cpu")
    untuned, tuned = cli.json_lines("bench", "attention", *shape, "--untuned")
    assert untuned["origin"] == "estimate" and "ratio" not in untuned, untuned
    assert tuned["runs"] == untuned["runs"] and tuned["ratio"] > 0, tuned
    text = cli("bench", "attention", *shape, "--untuned").stdout
    assert text.count("as fast as untuned") == 1, text
    cli.refuses("bench", "attention", *shape, "--untuned", "--dtype", "f32", "--dtype", "f16",
                code=USAGE, says="one dtype")


def test_rotation(cli):
    """bench rotates copies of what memory bounds, and only of that."""
    few, many = cli.json_lines("bench", "project", "--shape", "1,64,128", "--shape",
                               "1024,1024,512", "--device", "cpu")
    assert few["bound"] == "memory" and few["rotated"] > 1, few
    assert many["bound"] == "compute" and many["rotated"] == 1, many
    text = cli("bench", "decode", "--shape", "1,4,4,1,128,32", "--device", "cpu").stdout
    assert "memory bound" in text and "rotated" in text


def test_cost_variants(cli):
    """cost compares MHA, GQA and MQA."""
    for op, shape in [("attention", "1,8,2,64,96,32,16"), ("argmax", "2,4,4,30,20,8"),
                      ("attention", "1,6,1,5,9,8"), ("attention", "1,2,1,0,9,8"),
                      ("attention", "1,2,1,9,0,8")]:
        (cost,) = cli.json_lines("cost", op, "--shape", shape, "--device", "cpu")
        B, Hq, Hk, _, Nk, D = [int(x) for x in shape.split(",")][:6]
        Dv = int(shape.split(",")[-1])
        variants = {v["variant"]: v for v in cost["variants"]}
        assert variants["MQA"]["Hk"] == 1 and variants["MHA"]["Hk"] == Hq
        assert len({v["flops"] for v in cost["variants"]}) == 1
        assert cost["kv_bytes"] == 4 * B * Hk * Nk * (D + Dv) and cost["Hk"] == Hk
    text = cli("cost", "attention", "--shape", "1,32,8,1,500000000,128", "--device", "cpu").stdout
    assert "MHA" in text and "GQA *" in text and "MQA" in text


def test_cost_decode(cli):
    """cost decode counts attention and the whole layer."""
    B, Hq, Hk, Nq, Nk, D, Dv = shape = (3, 8, 2, 2, 100, 16, 24)
    text = ",".join(map(str, shape))
    (cost,) = cli.json_lines("cost", "decode", "--shape", text, "--dtype", "f16", "--device", "cpu")
    pairs = Nk - 1 + Nk
    d, rows = Hq * D, B * Nq
    rows_of = {(v["variant"], v["part"]): v for v in cost["variants"]}
    assert sorted(rows_of) == [(variant, part) for variant in ("GQA", "MHA", "MQA")
                               for part in ("attention", "layer")]
    for name, heads in (("MHA", Hq), ("GQA", Hk), ("MQA", 1)):
        kv = B * heads * Nk * (D + Dv)
        attention, layer = rows_of[name, "attention"], rows_of[name, "layer"]
        assert attention["flops"] == 2 * B * Hq * pairs * (D + Dv)
        assert attention["bytes"] == 2 * (kv + rows * Hq * (D + Dv))
        assert attention["kv_bytes"] == layer["kv_bytes"] == 2 * kv
        weights = d * Hq * D + d * heads * (D + Dv) + Hq * Dv * d
        assert attention["weight_bytes"] == 0 and layer["weight_bytes"] == 2 * weights
        assert layer["flops"] == attention["flops"] + 2 * rows * weights
        assert layer["bytes"] == 2 * (weights + kv + rows * (2 * d + heads * (D + Dv)))
        for row in (attention, layer):
            assert math.isclose(row["intensity"], row["flops"] / row["bytes"], rel_tol=1e-6)
            floors = (row["flops"] / cost["peak_gflops"], row["bytes"] / cost["peak_gbytes_per_s"])
            assert math.isclose(row["floor_us"], max(floors) / 1e3, rel_tol=1e-6)
    assert (cost["variant"], cost["part"]) == ("GQA", "attention")
    text = cli("cost", "decode", "--shape", "16,32,8,1,4096,128", "--device", "cpu").stdout
    assert "GQA *" in text and "layer" in text and "d = Hq D = 4096" in text


def test_cost_others(cli):
    """cost of linear attention compares its forms, of a projection row counts."""
    (cost,) = cli.json_lines("cost", "linear-attention", "--shape", "1,2,2,32,32,8", "--map",
                             "poly2", "--device", "cpu")
    assert cost["features"] == 45 and [f["form"] for f in cost["forms"]] == ["linear", "quadratic"]
    assert cost["form"] == "quadratic" and cost["break_even_n"] == 45
    text = cli("cost", "linear-attention", "--shape", "1,2,2,64,64,8", "--device", "cpu").stdout
    assert "linear *" in text and "N = 8" in text
    (cost,) = cli.json_lines("cost", "project", "--shape", "2,64,32", "--device", "cpu",
                             "--weights", "i4")
    assert cost["weight_bytes"] == 64 * 32 // 2 + 64 * 4
    assert [v["rows"] for v in cost["variants"]] == [2, 1, 16, 256, 4096]
    text = cli("cost", "project", "--shape", "1,64,32", "--device", "cpu").stdout
    assert "1 row *" in text and "16 rows" in text


def test_cost_estimates(cli):
    """cost estimates the time on boards that are sold, from published peaks."""
    args = ("cost", "attention", "--shape", "1,32,8,1,4096,128", "--device", "cpu")
    for dtype, peaks in (("f32", (17203, 61400, 163400)), ("f16", (137626, 122800, 1307400)),
                         ("bf16", (137626, 122800, 1307400))):
        (cost,) = cli.json_lines(*args, "--dtype", dtype)
        assert tuple(e["peak_gflops"] for e in cost["estimates"]) == peaks
        for e in cost["estimates"]:
            compute = cost["flops"] / e["peak_gflops"] * 1e-3
            memory = cost["bytes"] / e["peak_gbytes_per_s"] * 1e-3
            assert math.isclose(e["floor_us"], max(compute, memory), rel_tol=1e-6), e
            assert e["bound"] == ("compute" if compute >= memory else "memory"), e
            assert e["basis"] == "estimate from published peaks, not measured" and e["source"]
    text = cli(*args).stdout
    for words in ("Estimates for GQA * from published peaks, not measured", "A770", "MI300X",
                  "RX 7900 XTX"):
        assert words in text, text


def test_usage(cli):
    """usage errors and bad shapes of bench and cost."""
    for command in ("bench", "cost"):
        for args, says in [
            ((), "operation"), (("atention",), "did you mean attention?"),
            (("decoed",), "did you mean decode?"), (("zzz",), "unknown operation 'zzz'"),
            (("rope",), "unknown operation 'rope'"), (("attention",), "--shape"),
            (("--json", "attention"), ""), (("attention", "x", "--shape", "1,1,1,1,1,1"), "one"),
            (("attention", "--shape", "1,2,3"), "'1,2,3' is not B,Hq,Hk,Nq,Nk,D[,Dv]"),
            (("attention", "--shape", "1,2,2,4,4,8,8,8"), "'1,2,2,4,4,8,8,8'"),
            (("attention", "--shape", "1,2,2,4,4,x"), "'1,2,2,4,4,x'"),
            (("decode", "--shape", "1,2,2,-4,4,8"), "-4"),
            (("decode", "--shape", "1,1,1,1,9,8", "--kv", "i5"), "--kv: unknown dtype 'i5'"),
            (("attention", "--shape", "1,2,2,99999999999999999999,4,8"), "99999999999999"),
            (("project", "--shape", "1,2,3,4"), "'1,2,3,4' is not rows,out,in"),
            (("project", "--shape", "1,2"), "'1,2'"), (("project", "--shape", "1,-2,3"), "-2"),
            (("project", "--shape", "1,2,3", "--wieghts", "i8"), "did you mean --weights?"),
            (("linear-attention", "--shape", "1,1,1,1,1,1", "--map", "elu"), "did you mean elu1?"),
        ]:
            cli.refuses(command, *args, code=USAGE, says=says)
        for op, shape, says in [
            ("attention", "1,3,2,4,4,8", "3 heads"), ("attention", "1,2,2,4,4,0", "D is 0"),
            ("decode", "1,3,2,4,4,8", "3 heads"), ("project", "1,0,3", "out is 0"),
            ("project", "1,3,0", "in is 0"), ("argmax", "1,2,0,4,4,8", "multiple"),
        ]:
            cli.refuses(command, op, "--shape", shape, "--device", "cpu", code=BAD_INPUT, says=says)
        cli.refuses(command, "linear-attention", "--shape", "1,1,1,1,1,20000", "--map", "poly2",
                    code=BAD_INPUT, says="poly2")
        usage = cli(command, "decode", "--help").stdout
        assert "--causal" in usage and "B,Hq,Hk,Nq,Nk,D[,Dv]" in usage


def test_opencl(cli):
    """bench and cost of every operation on an OpenCL device."""
    if not cli.opencl():
        return "no OpenCL device"
    for op, shape in [("attention", "1,2,1,16,32,16"), ("argmax", "1,2,1,16,32,16"),
                      ("decode", "1,2,1,1,64,16"), ("linear-attention", "1,2,1,32,32,16"),
                      ("project", "1,32,64")]:
        (bench,) = cli.json_lines("bench", op, "--shape", shape, "--device", "opencl",
                                  measure=op == "attention")
        check_report(bench)
        assert bench["op"] == op and bench["device"] == cli.opencl()[0]["name"]
        assert bench["rotated"] > 1 or bench["bound"] == "compute", bench
    (cost,) = cli.json_lines("cost", "decode", "--shape", "1,2,1,1,64,16", "--device", "opencl",
                             measure=True)
    assert cost["peak_gbytes_per_s"] > 0
    return None


TESTS = [test_fields, test_given, test_combinations, test_untuned, test_rotation,
         test_cost_variants, test_cost_decode, test_cost_others, test_cost_estimates, test_usage,
         test_opencl]

if __name__ == "__main__":
    main(TESTS, __doc__)
