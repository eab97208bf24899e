#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Failing allocations and files under the clattn program: NAME.py CLATTN GOLDEN DATA PRELOADED

Of the calls that a command makes the first, the last and some others, drawn at random, fail: once,
and from then on. Then the command ends as it does without a fault, or with a sentence."""
import os
import random
import subprocess
import sys

from cli_harness import (BAD_INPUT, MISMATCH, NO_DEVICE, OK, QUICK, Cli, npy_bytes, random_values,
                         run_all, write)

SEED = int(os.environ.get("CLATTN_TEST_SEED") or 20177)
DRAWN = 5  # of each kind


class HostFaults(Cli):
    def __init__(self, program, golden, data, preloaded):
        super().__init__(program, golden)
        self.data = os.path.abspath(data)
        self.preloaded = os.path.abspath(preloaded)
        self.env.update(CLATTN_DEVICE="cpu", CLATTN_NUM_THREADS="1")
        self.random = random.Random(SEED)
        self.faults = self.survived = 0

    def faulty(self, args, kind, number, sticky):
        """Runs the program; returns it, how many calls there were and the one that failed."""
        report = os.path.join(self.root, "report")
        env = dict(self.env, LD_PRELOAD=self.preloaded, FAULT_HOST_KIND=kind,
                   FAULT_HOST_AT=str(number), FAULT_HOST_STICKY=str(sticky),
                   FAULT_HOST_REPORT=report)
        done = subprocess.run([self.program, *args], env=env, cwd=self.root, capture_output=True,
                              timeout=60, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode >= 0, (f"{args}, {kind} {number}, {sticky}: signal "
                                      f"{-done.returncode}: {done.stderr.decode()}")
        with open(report, encoding="ascii") as f:
            calls, fired, name = f.read().split()
        os.remove(report)
        return done, int(calls), name if int(fired) else None

    def attempt(self, args, *fault):
        """args with OUT for a folder; also what the program left: stdout and the files in it."""
        folder = self.folder()
        done, calls, name = self.faulty([a.replace("OUT", folder) for a in args], *fault)
        files = {}
        for path, _, names in os.walk(folder):
            for entry in names:
                with open(os.path.join(path, entry), "rb") as f:
                    files[entry] = f.read()
        return done, calls, name, (done.stdout.replace(folder.encode(), b"OUT"), files)

    def walk(self, args, exact=True):
        """exact: whatever ends well prints the same, or warns; files are the same in any case."""
        args += QUICK.get(args[0], [])
        for kind in ("memory", "files"):
            first, calls, _, want = self.attempt(args, kind, 0, 0)
            assert first.returncode == OK, f"{args}: {first.stderr.decode()}"
            assert calls or kind == "files", f"{args}: no allocation is counted"
            numbers = {1, max(calls, 1)} | {self.random.randint(1, max(calls, 1))
                                           for _ in range(DRAWN)}
            for number in sorted(numbers):
                for sticky in (0, 1):
                    done, _, name, got = self.attempt(args, kind, number, sticky)
                    what = (f"{args}, {kind} {number} of {calls}, {sticky} ({name}): exit "
                            f"{done.returncode}: {done.stderr.decode()}")
                    self.faults += name is not None
                    self.survived += name is not None and done.returncode == OK
                    if done.returncode == OK:
                        assert got[1] == want[1], what
                        told = b"warning: " in done.stderr
                        assert told or (got[0] == want[0] if exact
                                        else bool(got[0]) == bool(want[0])), what
                    else:
                        is_said(done, what)


def is_said(done, what):
    """It failed with a sentence."""
    assert done.returncode in (MISMATCH, NO_DEVICE, BAD_INPUT), what
    lines = [line for line in done.stderr.decode().splitlines()
             if line.startswith("clattn: ") and "warning: " not in line]
    assert lines and len(lines[-1]) > 20, what


def inputs(cli, case):
    return [os.path.join(cli.golden, case, f"{x}.npy") for x in "qkv"]


def operations(cli):
    """operations on files of numbers"""
    causal = inputs(cli, "attn_causal")
    cli.walk(["attention", *causal, "-o", "OUT/o.npy", "--lse", "OUT/lse.npy"], exact=False)
    cli.walk(["argmax", *causal, "-o", "OUT/o.npy", "--index", "OUT/index.npy"], exact=False)
    cli.walk(["linear-attention", *causal, "-o", "OUT/o.npy"], exact=False)
    x = write(os.path.join(cli.folder(), "x.npy"), npy_bytes([4, 8], random_values([4, 8], SEED)))
    cli.walk(["project", x, x, "-o", "OUT/y.npy"], exact=False)


def cases(cli):
    """cases with known answers"""
    case = os.path.join(cli.golden, "attn_causal")
    cli.walk(["run", case, "-o", "OUT"])
    cli.walk(["verify", case])


def listings(cli):
    """what devices and kernels there are, and what they cost"""
    cli.walk(["devices"], exact=False)  # one that cannot be opened says why
    cli.walk(["kernels", "--json"])
    cli.walk(["cost", "attention", "--shape", "1,8,8,128,128,64"], exact=False)  # names the CPU
    cli.walk(["bench", "attention", "--shape", "1,1,1,8,8,8"], exact=False)


def tuning(cli):
    """tuning, and what it leaves"""
    search = ["tune", "attention", "--shape", "1,1,1,32,32,16", "--evals", "2", "--in-process"]
    cli.walk([*search, "--again"], exact=False)
    cli.walk(["wisdom", "show"])
    cli.walk(["wisdom", "export", "-o", "OUT/wisdom.json"])
    kept = os.path.join(cli.folder(), "wisdom.json")
    cli("wisdom", "export", "-o", kept)
    cli.walk(["wisdom", "import", kept], exact=False)
    cli.walk(["wisdom", "merge", kept, "-o", "OUT/merged.json"], exact=False)


def models(cli):
    """whole models"""
    gpt2 = os.path.join(cli.data, "gpt2-tiny")
    bert = os.path.join(cli.data, "bert-tiny")
    text = "the dogs run ."
    if cli("generate", "--help").stdout.find("--model") < 0:
        return "the tool is built without models"
    cli.walk(["generate", "-m", gpt2, "-p", text, "-n", "3", "--temperature", "0"])
    cli.walk(["fill", "-m", bert, "-t", "the bank is [MASK] ."])
    cli.walk(["embed", "-m", bert, "-t", text])
    cli.walk(["heads", "-m", gpt2, "-t", text])
    for picture in ("h.npy", "h.html", "h.png"):
        cli.walk(["heatmap", "-m", gpt2, "-t", text, "--layer", "1", "--head", "0", "-o",
                  f"OUT/{picture}"])
    return None


def faults_were_met(cli):
    """calls failed"""
    assert cli.faults > 0


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    print(f"# seed {SEED} (CLATTN_TEST_SEED)")
    cli = HostFaults(*sys.argv[1:])
    try:
        run_all([operations, cases, listings, tuning, models, faults_were_met], cli)
    finally:
        print(f"# {cli.faults} faults, {cli.faults - cli.survived} reported, "
              f"{cli.survived} survived")


if __name__ == "__main__":
    main()
