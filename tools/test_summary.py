#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the results of `meson test`: test_summary.py MESON_LOGS_FOLDER

A test that reports its cases one by one (TAP) counts with its cases, any other as one. A test that
went wrong although none of its cases did (it crashed, or ran out of time) counts as one failure.
Shows the end of the output of what failed, then closes with "N passed, N failed, N skipped".
"""
import json
import os
import sys
import xml.etree.ElementTree

TAIL_LINES = 40
GOOD = ("OK", "EXPECTEDFAIL")


def read_tests(folder):
    """The tests in the order they ended: dicts with name, result, stdout, stderr."""
    try:
        with open(os.path.join(folder, "testlog.json"), encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.strip()]
    except FileNotFoundError:
        return []


def read_cases(folder):
    """name of a test -> [passed, failed, skipped] over its cases."""
    try:
        root = xml.etree.ElementTree.parse(os.path.join(folder, "testlog.junit.xml")).getroot()
    except (FileNotFoundError, xml.etree.ElementTree.ParseError):
        return {}
    cases = {}
    for suite in root.iter("testsuite"):
        # Suites of cases are called project.test; the others gather whole tests.
        name = suite.get("name", "").partition(".")[2]
        if not name:
            continue
        count = cases.setdefault(name, [0, 0, 0])
        for case in suite.iter("testcase"):
            tags = {child.tag for child in case}
            count[1 if tags & {"failure", "error"} else 2 if "skipped" in tags else 0] += 1
    return cases


def show_failure(test):
    print(f"\n--- {test['name']}: {test['result']}")
    output = (test.get("stdout") or "") + (test.get("stderr") or "")
    lines = output.rstrip().splitlines()
    if len(lines) > TAIL_LINES:
        print(f"... {len(lines) - TAIL_LINES} lines before")
    print("\n".join(lines[-TAIL_LINES:]))


def main(folder):
    tests = read_tests(folder)
    cases = read_cases(folder)
    total = [0, 0, 0]
    for test in tests:
        result = test["result"]
        count = list(cases.get(test["name"], [0, 0, 0]))
        if result in GOOD:
            count[0] += not any(count)
        elif result == "SKIP":
            count[2] += not any(count)
        else:
            count[1] += not count[1]
            show_failure(test)
        total = [a + b for a, b in zip(total, count)]
    if not tests:
        print("\nno test ran")
    print("\n%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] or not tests else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
