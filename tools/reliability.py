#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the table of the README's reliability section from the logs of `meson test`.

    python3 tools/reliability.py BUILD

Only tests that ran in the last run of the build count. The numbers are those that they print; one
that fails prints none, and is counted where it belongs and named at the end."""
import json
import os
import re
import sys

GOOD = ("OK", "EXPECTEDFAIL")
FAULTS = re.compile(r"^# .*?(\d+) faults(?: for good)?, (\d+) reported, (\d+) survived", re.M)
EXECUTIONS = re.compile(r"^# (\d+) executions", re.M)
PROBLEMS = re.compile(r"^# (\d+) problems", re.M)
DEVICE = re.compile(r"^# seed \d+ \(CLATTN_TEST_SEED\), device \w+\n# (.+, .+)$", re.M)
PLAYED = re.compile(r"^# (\d+) devices", re.M)


def read(build):
    path = os.path.join(build, "meson-logs", "testlog.json")
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def outputs(tests):
    return [test.get("stdout") or "" for test in tests]


def total(pattern, texts):
    """The groups of all matches, added up."""
    rows = [[int(x) for x in m.groups()] for text in texts for m in pattern.finditer(text)]
    return [sum(column) for column in zip(*rows)] if rows else None


def failures(tests):
    """Names, without that of the suite."""
    return [t["name"].rpartition(" / ")[2] for t in tests if t["result"] not in GOOD + ("SKIP",)]


def rows_of(tests):
    texts = outputs(tests)
    bad = failures(tests)
    faults = total(FAULTS, texts)
    if faults:
        yield "fault points walked", faults[0]
        yield "of these reported as an error with a sentence", faults[1]
        yield "of these survived with right results", faults[2]
        yield "test programs that failed under faults", sum("fault" in name for name in bad)
    executions = total(EXECUTIONS, texts)
    if executions:
        under = "AddressSanitizer and UndefinedBehaviorSanitizer"
        yield f"fuzz executions, under {under}", executions[0]
    problems = total(PROBLEMS, texts)
    if problems:
        yield "random problems compared with the double reference", problems[0]
        yield "test programs with a mismatch", sum(name.startswith("random ") for name in bad)
    played = total(PLAYED, texts)
    if played:
        yield "devices that the mock driver played", played[0]
    devices = {m.group(1) for text in texts for m in DEVICE.finditer(text)}
    for device in sorted(devices):
        yield f"device: {device}", "run"


def main(build):
    tests = read(build)
    print("| what | how many |\n|---|---|")
    for name, count in rows_of(tests):
        print(f"| {name} | {count} |")
    bad = failures(tests)
    if bad:
        sys.exit(f"failed: {', '.join(bad)}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
