#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which branches of the checks of input the tests have not taken: coverage.py BUILD

BUILD is a build with -Db_coverage=true whose tests have run; see tools/coverage.sh. The checks are
every CLA_REQUIRE of the library, and the whole of the files that parse what others have written.
Left out is what no input leads to: memory that runs out (CLATTN_ERR_MEMORY, clm_out_of_memory), and
drivers, kernels and processes that do not do their part (src/opencl, CLATTN_ERR_DEVICE and _CHECK).
That is tried by making calls fail one after the other, and counts there: tests/faults.
Prints a line for each branch that was never taken, and a table; exits with 1 if there is a line."""
import collections
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARSERS = ("tools/npy.c", "src/model/safetensors.c", "src/model/model_config.c")
DRIVERS = "src/opencl/"
CHECK = re.compile(r"^(?!\s*#\s*define).*\bCLA_REQUIRE\(")
IF = re.compile(r"^\s*if \(")
NOT_INPUT = re.compile(r"\bCLATTN_ERR_(MEMORY|DEVICE|CHECK)\b|\bclm_out_of_memory\(")


def statements(text, start):
    """The numbers of the lines, and the text, of every statement that starts so, to its end."""
    numbers, words = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        if numbers or start.match(line):
            numbers.append(number)
            words += line
        if numbers and line.rstrip().endswith((";", "{")):
            yield numbers, words
            numbers, words = [], ""


def lines_of_checks(text, whole):
    """The numbers of the lines to look at: of every CLA_REQUIRE, or of the whole file."""
    lines = set(range(1, text.count("\n") + 1)) if whole else set()
    for numbers, words in statements(text, IF if whole else CHECK):
        if NOT_INPUT.search(words):
            lines.difference_update(numbers)
        else:
            lines.update(numbers)
    return lines


def lines_to_look_at():
    """Source file -> numbers of lines."""
    paths = set(PARSERS)
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        paths.update(os.path.relpath(os.path.join(folder, n), ROOT) for n in names
                     if n.endswith(".c"))
    looked_at = {}
    for path in sorted(paths):
        if not path.startswith(DRIVERS):
            with open(os.path.join(ROOT, path), encoding="utf-8") as f:
                looked_at[path] = lines_of_checks(f.read(), path in PARSERS)
    return looked_at


def reports(build):
    """What gcov tells about each object that ran."""
    for folder, _, names in os.walk(build):
        data = [os.path.abspath(os.path.join(folder, n)) for n in names if n.endswith(".gcda")]
        if data:
            done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                                   *data],
                                  cwd=build, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  check=True)
            yield from (json.loads(line) for line in done.stdout.splitlines() if line)


def branch_counts(build, looked_at):
    """(source, line, number of the branch) -> how often it was taken, over all objects."""
    taken = collections.Counter()
    for report in reports(build):
        for source in report["files"]:
            full = os.path.join(report["current_working_directory"], source["file"])
            path = os.path.relpath(os.path.realpath(full), ROOT)
            if path not in looked_at:
                continue
            for line in source["lines"]:
                if line["line_number"] in looked_at[path]:
                    for i, branch in enumerate(line["branches"]):
                        taken[path, line["line_number"], i] += branch["count"]
    return taken


def main(build):
    looked_at = lines_to_look_at()
    taken = branch_counts(build, looked_at)
    missed = sorted(key for key, count in taken.items() if count == 0)
    for path, line, i in missed:
        print(f"{path}:{line}: branch {i} is never taken")
    print("\n| file | branches of checks | taken |\n|---|---|---|")
    for path in sorted(looked_at):
        mine = [count for key, count in taken.items() if key[0] == path]
        if mine:
            print(f"| {path} | {len(mine)} | {sum(count > 0 for count in mine)} |")
    print(f"| all | {len(taken)} | {len(taken) - len(missed)} |")
    return 1 if missed or not taken else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
