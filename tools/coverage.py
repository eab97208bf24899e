#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which branches of the checks of input the tests have not taken: coverage.py BUILD

BUILD is a build with -Db_coverage=true whose tests have run; see tools/coverage.sh. The checks are
every CLA_REQUIRE of the library, and the whole of the files that parse what others have written.
Prints a line for each branch that was never taken, and a table; exits with 1 if there is a line."""
import collections
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARSERS = ("tools/npy.c", "src/model/safetensors.c", "src/model/model_config.c")
# What only a broken driver or a broken disk answers is tried by making calls fail, one after the
# other, and counts there.
NOT_INPUT = ("src/opencl/",)
CHECK = re.compile(r"^(?!\s*#\s*define).*\bCLA_REQUIRE\(")


def lines_of_checks(text):
    """The numbers of the lines of every CLA_REQUIRE, to the end of its statement."""
    found, inside = set(), False
    for number, line in enumerate(text.splitlines(), 1):
        inside = inside or CHECK.match(line) is not None
        if inside:
            found.add(number)
        if line.rstrip().endswith(";"):
            inside = False
    return found


def lines_to_look_at():
    """Source file -> lines, None for all."""
    looked_at = {path: None for path in PARSERS}
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), ROOT)
            if not name.endswith(".c") or path in looked_at or path.startswith(NOT_INPUT):
                continue
            with open(os.path.join(ROOT, path), encoding="utf-8") as f:
                lines = lines_of_checks(f.read())
            if lines:
                looked_at[path] = lines
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
                if looked_at[path] is None or line["line_number"] in looked_at[path]:
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
