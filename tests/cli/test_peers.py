# SPDX-License-Identifier: Apache-2.0
"""tools/peers/peers.py: it compares what is here, and goes on without what is not.

test_peers.py PEERS_PY BUILD
"""
import json
import os
import sys

from cli_harness import main, write

PEERS = {"clattn", "cblas", "onednn", "clblast", "torch"}
ROW = "projection 32 x 512 x 512"


def compare(cli, build):
    """The lines of one row: of the machine, results, and reasons why not."""
    lines = [json.loads(line) for line in
             cli("--build", build, "--no-build", "--only", ROW, "--seconds", 0, "--json")
             .stdout.splitlines()]
    return (lines[0], [line for line in lines[1:] if "min_us" in line],
            [line for line in lines[1:] if "why_not" in line])


def whoever_is_here(cli):
    """Whoever is here takes part, and computes the same"""
    machine, results, _ = compare(cli, cli.golden)
    assert set(machine["versions"]) | set(machine["absent"]) == PEERS, machine
    assert not set(machine["versions"]) & set(machine["absent"]), machine
    for name in machine["versions"]:
        assert any(r["contestant"].split()[0] == name for r in results), (name, results)
    assert results[0]["contestant"] == "clattn cpu" and results[0]["ratio_min"] == 1
    for r in results:
        assert r["row"] == ROW and 0 < r["min_us"] <= r["median_us"] and r["runs"] >= 3, r
        assert r["difference"] < (1e-5 if r["dtype"] == "f32" else 0.02), r
        assert r["gflops"] > 0 and r["ratio_median"] > 0, r


def none_is_here(cli):
    """Without any of them, and without OpenCL, clattn is measured alone"""
    build = cli.folder()
    for path in ("src/libclattn.so", "tools/peers/peer_clattn.so"):
        os.makedirs(os.path.dirname(os.path.join(build, path)), exist_ok=True)
        os.symlink(os.path.join(cli.golden, path), os.path.join(build, path))
    write(os.path.join(build, "torch.py"), b"raise ImportError('no torch today')\n")
    cli.env.update(PYTHONPATH=build, OCL_ICD_VENDORS=build)
    machine, results, why_not = compare(cli, build)
    assert set(machine["absent"]) == PEERS - {"clattn"}, machine
    assert machine["absent"]["torch"] == "no torch today", machine
    assert {(r["contestant"], r["dtype"]) for r in results} == {("clattn cpu", "f32"),
                                                                ("clattn cpu", "bf16")}, results
    assert {w["contestant"] for w in why_not} == {"clattn opencl f32", "clattn opencl bf16"}


def on_a_gpu(cli):
    """--gpu measures clattn on that device, cold and sustained, and names peers that are absent"""
    folder = cli.folder()
    write(os.path.join(folder, "torch.py"), b"raise ImportError('no torch today')\n")
    cli.env.update(PYTHONPATH=folder)
    lines = [json.loads(line) for line in
             cli("--build", cli.golden, "--no-build", "--gpu", "cpu", "--small", "--only", "decode",
                 "--seconds", 0, "--json").stdout.splitlines()]
    assert lines[0]["absent"] == {"torch": "no torch today"}, lines[0]
    assert {(r["contestant"], r["dtype"]) for r in lines[1:]} == {
        (f"clattn cpu {kind}", dtype) for kind in ("cold", "sustained")
        for dtype in ("f16", "bf16")}, lines
    for r in lines[1:]:
        assert 0 < r["min_us"] <= r["median_us"] and r["ratio_median"] == 1, r


def several_copies(cli):
    """Copies that are started run with the one that is waited for, and live as long as any does"""
    os.environ.update(cli.env)
    sys.path.insert(0, os.path.dirname(cli.program))
    import contestants
    import problems
    numbers, problem = problems.Numbers(cli.golden), problems.gpu_problems("cpu", True)[2]
    library, _ = contestants.load_gpu(cli.golden)
    inputs = numbers.inputs(problem, "f16")
    for device in ["cpu"] + (["opencl"] if library["clattn"].device("opencl") else []):
        copies = [library["clattn"].open(problem, "f16", inputs, device) for _ in range(4)]
        alone = library["clattn"].open(problem, "f16", inputs, "cpu")
        alone.run()
        want = alone.read().raw
        for first in range(4):
            for copy in copies[first:-1]:
                copy.start()
            copies[-1].run()
            results = [list(numbers.sample(problem, "f16", c.read())) for c in copies[first:]]
            for result in results:
                difference = max(abs(a - b) for a, b in zip(
                    result, numbers.sample(problem, "f16", want)))
                assert difference < 0.01, (device, difference)
            if first == 0:
                alone.close()
            copies[first].close()


def tables(cli):
    """--table shows what --json wrote; --list names the rows"""
    machine = {"machine": "M", "threads": 3, "date": "D", "commit": "C", "command": "X",
               "peak_gflops": 1, "peak_gbytes_per_s": 1, "devices": {}, "versions": {},
               "absent": {"torch": "no T"}}
    result = {"row": "R", "contestant": "P", "dtype": "f32", "min_us": 2000, "median_us": 3000,
              "runs": 3, "ratio_min": 1.25, "ratio_median": None, "gflops": 5, "of_peak_gflops": 1,
              "gbytes_per_s": 1, "of_peak_gbytes_per_s": 0.5, "difference": 1e-6}
    reason = {"row": "R", "contestant": "Q", "why_not": "because"}
    path = os.path.join(cli.folder(), "lines")
    write(path, "".join(json.dumps(x) + "\n" for x in (machine, result, reason)).encode())
    text = cli("--table", path).stdout
    for word in ("M, 3 threads", "torch: absent: no T", "\nR\n", "2.000     3.000", "1.25       -",
                 "Q: because"):
        assert word in text, (word, text)
    names = cli("--list").stdout.splitlines()
    assert ROW in names and len(names) == 15, names


if __name__ == "__main__":
    main([whoever_is_here, several_copies, none_is_here, on_a_gpu, tables], __doc__)
