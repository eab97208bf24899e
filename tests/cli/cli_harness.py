# SPDX-License-Identifier: Apache-2.0
"""What the CLI tests share: running the program, .npy files without numpy, TAP output."""
import ast
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback

OK, MISMATCH, USAGE, NO_DEVICE, BAD_INPUT = range(5)

# Fields of a line of bench --json, and of the report of an operation's subcommand.
BENCH_KEYS = ("op shape flags dtype device kernel config origin runs rotated median_us min_us "
              "flops bytes intensity gflops gbytes_per_s bound floor_us fraction best_fraction "
              "peak_gflops peak_gbytes_per_s workspace_bytes workspace_over_output").split()

# What a device can reach, given so that it is not measured at every turn; short timings.
QUICK = {command: ["--peaks", "100,10"] for command in
         ("attention", "argmax", "linear-attention", "project", "bench", "cost")}
QUICK["bench"] += ["--seconds", "0.02"]

CODES = {"<f4": "f", "<f2": "e", "<f8": "d", "|b1": "?", "|u1": "B", "<i4": "i", "<i8": "q"}


def npy_bytes(shape, values, descr="<f4"):
    header = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    data = struct.pack(f"<{len(values)}{CODES[descr]}", *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def npy_with_header(header, data=b"", version=1):
    """A file with any text for a header, which may be a lie."""
    text = header.encode() if isinstance(header, str) else header
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


def count(shape):
    n = 1
    for length in shape:
        n *= length
    return n


def random_values(shape, seed):
    rng = random.Random(seed)
    return [round(rng.uniform(-2, 2), 2) for _ in range(count(shape))]


def read_npy(path):
    """Shape and values, as a reader that trusts nothing but the format would see them."""
    with open(path, "rb") as f:
        raw = f.read()
    assert raw[:8] == b"\x93NUMPY\x01\x00", raw[:8]
    length = struct.unpack("<H", raw[8:10])[0]
    assert (10 + length) % 64 == 0 and raw[9 + length:10 + length] == b"\n"
    header = ast.literal_eval(raw[10:10 + length].decode("ascii"))
    assert header["fortran_order"] is False
    data = raw[10 + length:]
    n = count(header["shape"])
    return header["shape"], list(struct.unpack(f"<{n}{CODES[header['descr']]}", data))


def close(a, b, tolerance=1e-5):
    assert len(a) == len(b), (len(a), len(b))
    for i, (x, y) in enumerate(zip(a, b)):
        assert x == y or abs(x - y) <= tolerance, f"element {i} is {x}, expected {y}"


class Cli:
    def __init__(self, program, golden):
        self.program = os.path.abspath(program)
        self.golden = os.path.abspath(golden)
        self.root = tempfile.mkdtemp(prefix="clattn-cli-")
        self.env = dict(os.environ, POCL_CACHE_DIR=os.path.join(self.root, "pocl"),
                        POCL_SIGFPE_HANDLER="0", XDG_CACHE_HOME=os.path.join(self.root, "cache"))
        for name in ("CLATTN_DEVICE", "CLATTN_CACHE_DIR", "CLATTN_BINARIES"):
            self.env.pop(name, None)
        os.mkdir(self.env["POCL_CACHE_DIR"])

    def folder(self):
        return tempfile.mkdtemp(dir=self.root)

    def __call__(self, *args, code=OK, env=None, measure=False, **kwargs):
        """Runs the program; it must end by itself with this exit code."""
        kwargs.setdefault("stdout", subprocess.PIPE)
        if code == OK and not measure and "--help" not in args:
            args += tuple(QUICK.get(args[0], ()))
        done = subprocess.run([self.program, *map(str, args)], stderr=subprocess.PIPE, text=True,
                              env=dict(self.env, **(env or {})), timeout=120, check=False,
                              cwd=self.root, **kwargs)
        assert done.returncode == code, f"{args}: exit {done.returncode}, not {code}: {done.stderr}"
        return done

    def refuses(self, *args, code, says=()):
        """Fails with one sentence on stderr that holds these words, and nothing on stdout."""
        done = self(*args, code=code)
        lines = [line for line in done.stderr.splitlines() if line.startswith("clattn: ")]
        assert len(lines) == 1, f"{args}: {done.stderr!r}"
        for word in [says] if isinstance(says, str) else says:
            assert word in lines[0], f"{args}: no {word!r} in {lines[0]!r}"
        assert not done.stdout, f"{args}: {done.stdout!r}"
        return lines[0]

    def json_lines(self, *args, code=OK, measure=False):
        done = self(*args, "--json", code=code, measure=measure)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def opencl(self):
        """The OpenCL devices that can be used."""
        devices = json.loads(self("devices", "--json").stdout)
        return [d for d in devices if d["type"] != "native" and d["usable"]]


def check_report(r):
    """A report is complete and agrees with itself."""
    assert set(BENCH_KEYS) <= set(r), set(BENCH_KEYS) - set(r)
    assert 0 < r["min_us"] <= r["median_us"] and r["bound"] in ("compute", "memory")
    floors = (r["flops"] / r["peak_gflops"] / 1e3, r["bytes"] / r["peak_gbytes_per_s"] / 1e3)
    assert r["bound"] == ("memory" if floors[1] > floors[0] else "compute"), r
    for key, want in [("floor_us", max(floors)), ("fraction", r["floor_us"] / r["median_us"]),
                      ("best_fraction", r["floor_us"] / r["min_us"]),
                      ("gflops", r["flops"] / r["median_us"] / 1e3),
                      ("gbytes_per_s", r["bytes"] / r["median_us"] / 1e3)]:
        assert math.isclose(r[key], want, rel_tol=1e-6), (key, r[key], want)


def run_all(tests, cli):
    """Prints TAP. A test is a function of the Cli; its first docstring line is its name."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = test.__doc__.splitlines()[0].rstrip(".")
        try:
            skip = test(cli)
            print(f"ok {number} - {name}" + (f" # SKIP {skip}" if skip else ""), flush=True)
        except Exception:  # a test must not end the others
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
    shutil.rmtree(cli.root, ignore_errors=True)
    sys.exit(1 if failed else 0)


def main(tests, doc):
    """The main program of a file of tests: NAME.py CLATTN GOLDEN."""
    if len(sys.argv) != 3:
        sys.exit(doc)
    run_all(tests, Cli(sys.argv[1], sys.argv[2]))
