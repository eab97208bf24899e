#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Failing OpenCL calls under the clattn program: test_cli_faults.py CLATTN GOLDEN LAYER"""
import os
import subprocess
import sys

from cli_harness import BAD_INPUT, NO_DEVICE, OK, Cli, run_all

POCL = "/etc/OpenCL/vendors/pocl.icd"
ENTRIES = """clGetPlatformIDs clGetPlatformInfo clGetDeviceIDs clGetDeviceInfo clCreateContext
clCreateCommandQueue clCreateProgramWithSource clBuildProgram clGetProgramBuildInfo clCreateKernel
clCreateBuffer clSetKernelArg clEnqueueWriteBuffer clEnqueueNDRangeKernel clEnqueueReadBuffer
clFinish""".split()
CASE = "attn_causal"


class Faults(Cli):
    def __init__(self, program, golden, layer):
        super().__init__(program, golden)
        self.env.update(OPENCL_LAYERS=os.path.abspath(layer), CLATTN_DEVICE="opencl")
        if os.path.exists(POCL):
            self.env.setdefault("OCL_ICD_VENDORS", POCL)

    def faulty(self, args, **faults):
        """Runs the program; returns it, the entry point that failed or None, the objects left."""
        report = os.path.join(self.root, "report")
        env = dict(self.env, FAULT_REPORT=report, **{f"FAULT_{k}": str(v)
                                                     for k, v in faults.items()})
        if os.path.exists(report):
            os.remove(report)
        done = subprocess.run([self.program, *args], env=env, cwd=self.root, text=True,
                              capture_output=True, timeout=60, check=False)
        assert done.returncode >= 0, f"{args}, {faults}: signal {-done.returncode}: {done.stderr}"
        with open(report, encoding="ascii") as f:
            _, fired, name, *left = f.read().split()
        return done, name if int(fired) else None, [int(n) for n in left]

    def outputs(self, folder):
        """Every .npy file in it and its bytes."""
        found = {}
        for path, _, files in os.walk(folder):
            for name in files:
                if name.endswith(".npy"):
                    with open(os.path.join(path, name), "rb") as f:
                        found[name] = f.read()
        return found

    def walk(self, entries, make_args, check):
        """Fails call 1, 2, 4, 8, ... of each entry point, once and for good, until none fails."""
        for entry in entries:
            for sticky in (0, 1):
                number, name = 1, entry
                while name:
                    args = make_args()
                    done, name, left = self.faulty(args, CALL=entry, AT=number, STICKY=sticky)
                    what = f"{entry} {number}, {sticky}: exit {done.returncode}: {done.stderr}"
                    assert not any(left), f"{what}: objects are left: {left}"
                    check(done, name, args, what)
                    number *= 2


def is_said(done, name, what):
    """The program failed with one sentence, which names the call."""
    lines = [line for line in done.stderr.splitlines()
             if line.startswith("clattn: ") and not line.startswith("clattn: warning: ")]
    assert done.returncode in (NO_DEVICE, BAD_INPUT), what
    assert len(lines) == 1 and name in lines[0], what


def run_case(cli):
    """run: results as without a fault, or a sentence that names the call."""
    case = os.path.join(cli.golden, CASE)
    folder = cli.folder()
    done, name, _ = cli.faulty(["run", case, "-o", folder])
    want = cli.outputs(folder)
    assert done.returncode == OK and name is None and want, done.stderr

    def check(done, name, args, what):
        if done.returncode == OK:
            assert cli.outputs(args[-1]) == want, what
        else:
            is_said(done, name, what)

    cli.walk(ENTRIES, lambda: ["run", case, "-o", cli.folder()], check)


def list_devices(cli):
    """devices: lists what it can, and says why not."""
    def check(done, name, args, what):
        assert done.returncode == OK and "native" in done.stdout, what

    cli.walk([e for e in ENTRIES if e.startswith("clGet")], lambda: ["devices"], check)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    cli = Faults(*sys.argv[1:])
    if not cli.opencl() or not os.path.exists(os.path.join(cli.golden, CASE)):
        print("1..0 # SKIP there is no OpenCL device")
        return
    try:
        cli.faulty(["devices"])
    except FileNotFoundError:
        print("1..0 # SKIP the OpenCL loader knows no layers")
        return
    run_all([run_case, list_devices], cli)


if __name__ == "__main__":
    main()
