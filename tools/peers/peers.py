#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs clattn beside what a user would take in its place, in one process, in turns.

    tools/peers/peers.py                    every row, as a table
    tools/peers/peers.py --only decode      the rows whose name has this in it; --list names them
    tools/peers/peers.py --json > FILE      one object a line, first of the machine
    tools/peers/peers.py --table FILE...    the table of what --json has written
    tools/peers/peers.py --gpu DEVICE       the rows for a GPU, clattn on that device; see gpu.sh

The peers are PyTorch, OpenBLAS, oneDNN and CLBlast: those that this Python and this machine have.
The others are named, and left out. ratio is the time of a contestant divided by that of clattn on
the native CPU in the same dtype, of the minima and of the medians: above 1, clattn is faster. For
clattn on the native CPU in another dtype than f32, it is its own time divided by that of f32.

On a GPU the ratio is to clattn on that device. Runs are queued in batches. `cold` is the first
batch after a pause, `sustained` what follows some tenths of a second of work: a card at its power
limit.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import contestants
import problems

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WARM_S = 0.05     # of a turn: the threads of the one before stop looking for work, caches change
TURN_S = 0.05     # then as many runs as this takes, at least one
MIN_ROUNDS = 3
BATCH_S = 0.005   # on a GPU: of runs that are queued together
PAUSE_S = 0.2
SUSTAIN_S = 0.3


def build(folder):
    commands = [["ninja", "-C", folder]]
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        commands.insert(0, ["meson", "setup", folder, ROOT, "--buildtype=release", "-Dpeers=true"])
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode:
            sys.exit(f"{done.stdout[-3000:]}\nerror: {' '.join(command)} failed")


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"


def describe(found, absent, selectors, threads, command):
    """The peaks are those of the first of the selected devices."""
    clattn = found["clattn"]
    devices = {name: clattn.device(name) for name in selectors}
    if not devices[selectors[0]]:
        sys.exit(f"error: clattn finds no device {selectors[0]}")
    return {"machine": cpu_name(), "threads": threads,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "commit": subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                                     capture_output=True, text=True, check=False).stdout.strip(),
            "command": command,
            "versions": {name: lib.version() for name, lib in found.items()}, "absent": absent,
            "devices": {name: d[0] for name, d in devices.items() if d},
            "peak_gflops": devices[selectors[0]][1],
            "peak_gbytes_per_s": devices[selectors[0]][2]}


class Entry:
    """One contestant of one row, and its times in microseconds. Where reading is what takes the
    time, it has several copies, which run in turns, so that no cache holds what they read."""

    def __init__(self, name, option, dtype, copies):
        self.name, self.dtype, self.copies = name, dtype, copies
        self.label = f"{name} {option}".strip()
        self.runs = 0
        self.times = []

    def turn(self):
        """Runs for WARM_S, which does not count unless the first run is much longer than that,
        then for TURN_S."""
        start = time.perf_counter()
        first = self.run()
        if first >= 4 * WARM_S:
            self.times.append(first * 1e6)
            return
        while time.perf_counter() < start + WARM_S:
            self.run()
        start = time.perf_counter()
        self.times.append(self.run() * 1e6)
        while time.perf_counter() < start + TURN_S:
            self.times.append(self.run() * 1e6)

    def next(self):
        self.runs += 1
        return self.copies[self.runs % len(self.copies)]

    def run(self):
        copy = self.next()
        start = time.perf_counter()
        copy.run()
        return time.perf_counter() - start

    def series(self):
        """Kinds of times, each with its times."""
        return {"": self.times}


class GpuEntry(Entry):
    """Queues its runs in batches, so that it is the device that is measured."""

    def __init__(self, name, option, dtype, copies):
        super().__init__(name, option, dtype, copies)
        self.cold = []

    def batch(self, runs):
        start = time.perf_counter()
        for _ in range(runs - 1):
            self.next().start()
        self.next().run()
        return (time.perf_counter() - start) / runs

    def turn(self):
        runs = max(1, min(1000, round(BATCH_S / self.batch(3))))
        time.sleep(PAUSE_S)
        self.cold.append(self.batch(runs) * 1e6)
        end = time.perf_counter() + SUSTAIN_S
        while time.perf_counter() < end:
            self.batch(runs)
        self.times += [self.batch(runs) * 1e6 for _ in range(3)]

    def series(self):
        return {"cold": self.cold, "sustained": self.times}


def open_row(problem, found, numbers, why_not, make):
    entries, memory = [], {}
    for name, option, dtype in problem.entries:
        label = f"{name} {option} {dtype}".replace("  ", " ")
        if name not in found:
            continue
        if dtype not in memory:
            memory[dtype] = numbers.inputs(problem, dtype)
        copies = []
        try:
            for _ in range(problem.copies(dtype)):
                copies.append(found[name].open(problem, dtype, memory[dtype], option))
            with copies[0].mode():
                for copy in copies:
                    copy.run()
        except (contestants.Absent, RuntimeError) as e:
            why_not[label] = str(e).partition("\n")[0]
            for copy in copies:
                copy.close()
            continue
        entries.append(make(name, option, dtype, copies))
    return entries


def measure(entries, seconds):
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < MIN_ROUNDS or time.perf_counter() < end:
        for entry in entries[::-1 if rounds % 2 else 1]:
            with entry.copies[0].mode():
                entry.turn()
        rounds += 1


def differences(problem, entries, numbers):
    """Largest difference from the first contestant, relative to its largest number."""
    samples = [numbers.sample(problem, e.dtype, e.copies[0].read()) for e in entries]
    scale = max(map(abs, samples[0]))
    return [max(abs(a - b) for a, b in zip(s, samples[0])) / scale for s in samples]


def result(problem, entry, kind, by, machine):
    times, of = entry.series()[kind], by.series()[kind] if by else None
    low, middle = min(times), statistics.median(times)
    gflops = problem.flops() / low * 1e-3
    gbytes_per_s = problem.bytes(entry.dtype) / low * 1e-3
    return {"row": problem.name, "contestant": f"{entry.label} {kind}".strip(),
            "dtype": entry.dtype, "min_us": low, "median_us": middle, "runs": len(times),
            "ratio_min": low / min(of) if of else None,
            "ratio_median": middle / statistics.median(of) if of else None,
            "gflops": gflops, "gbytes_per_s": gbytes_per_s,
            "of_peak_gflops": gflops / machine["peak_gflops"],
            "of_peak_gbytes_per_s": gbytes_per_s / machine["peak_gbytes_per_s"]}


def results(problem, entries, numbers, machine, first):
    base = {e.dtype: e for e in entries if e.label == f"clattn {first}"}
    for entry, difference in zip(entries, differences(problem, entries, numbers)):
        by = base.get(entry.dtype)
        if entry is by:
            by = base.get("f32", entry)
        for kind in entry.series():
            yield {**result(problem, entry, kind, by, machine), "difference": difference}


def run_row(problem, found, numbers, machine, seconds, gpu):
    why_not = {}
    entries = open_row(problem, found, numbers, why_not, GpuEntry if gpu else Entry)
    if not entries:
        return [{"row": problem.name, "contestant": name, "why_not": reason}
                for name, reason in why_not.items()]
    measure(entries, seconds)
    lines = list(results(problem, entries, numbers, machine, gpu or "cpu"))
    for entry in entries:
        for copy in entry.copies:
            copy.close()
    return lines + [{"row": problem.name, "contestant": name, "why_not": reason}
                    for name, reason in why_not.items()]


def print_machine(machine):
    print(f"{machine['machine']}, {machine['threads']} threads, "
          f"{machine['peak_gflops']:.0f} GFLOP/s, {machine['peak_gbytes_per_s']:.0f} GB/s; "
          f"{machine['date']}, commit {machine['commit']}, {machine['command']}")
    for kind in ("devices", "versions", "absent"):
        for name, text in machine[kind].items():
            print(f"    {'clattn ' if kind == 'devices' else ''}{name}: "
                  f"{'absent: ' if kind == 'absent' else ''}{text}")


def print_result(line):
    if "why_not" in line:
        print(f"  {line['contestant']}: {line['why_not']}")
        return
    ratios = [f"{line[key]:8.2f}" if line[key] else "       -"
              for key in ("ratio_min", "ratio_median")]
    print(f"  {line['contestant']:<24} {line['dtype']:<5}{line['min_us'] / 1e3:10.3f}"
          f"{line['median_us'] / 1e3:10.3f} {''.join(ratios)}{line['gflops']:9.0f}"
          f"{line['of_peak_gflops']:6.0%}{line['gbytes_per_s']:7.1f}"
          f"{line['of_peak_gbytes_per_s']:6.0%}  {line['difference']:.0e}", flush=True)


class Table:
    """Prints lines as they come."""

    def __init__(self):
        self.row = None

    def add(self, line):
        if "machine" in line:
            if self.row is None:
                print_machine(line)
                self.row = ""
            return
        if line["row"] != self.row:
            self.row = line["row"]
            print(f"\n{self.row}\n  {'':<30}{'min ms':>9}{'median':>10}{'ratio:min':>10}"
                  f"{'median':>7}{'GFLOP/s':>9}{'':>6}{'GB/s':>7}{'':>6}  difference")
        print_result(line)


def show_files(names):
    table = Table()
    for name in names:
        with open(name, encoding="utf-8") as f:
            for line in f:
                table.add(json.loads(line))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--seconds", type=float, default=6, help="of each row, about")
    parser.add_argument("--build", default=os.path.join(ROOT, "build-peers"), metavar="FOLDER",
                        help="where to build; a folder that is there was set up with -Dpeers=true")
    parser.add_argument("--no-build", action="store_true", help="it is up to date")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--table", nargs="+", metavar="FILE")
    parser.add_argument("--gpu", metavar="DEVICE")
    parser.add_argument("--small", action="store_true", help="--gpu: shapes of no interest")
    args = parser.parse_args()
    if args.table:
        show_files(args.table)
        return
    rows = problems.gpu_problems(args.gpu, args.small) if args.gpu else problems.all_problems()
    rows = [p for p in rows if args.only in p.name]
    if args.list:
        print("\n".join(p.name for p in rows))
        return
    if not args.no_build:
        build(args.build)
    threads = len(os.sched_getaffinity(0))
    found, absent = (contestants.load_gpu(args.build) if args.gpu
                     else contestants.load(args.build, threads))
    command = f"tools/peers/peers.py --only '{args.only}' --seconds {args.seconds:g}"
    selectors = (args.gpu,) if args.gpu else ("cpu", "opencl")
    machine = describe(found, absent, selectors, threads,
                       command + (f" --gpu '{args.gpu}'" if args.gpu else ""))
    table = Table()
    add = (lambda line: print(json.dumps(line), flush=True)) if args.json else table.add
    add(machine)
    numbers = problems.Numbers(args.build)
    for problem in rows:
        for line in run_row(problem, found, numbers, machine, args.seconds, args.gpu):
            add(line)


if __name__ == "__main__":
    main()
