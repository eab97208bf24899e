#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what an editor should have done: check_style.py ROOT

Tabs, blanks at the end of lines, the last newline, characters outside ASCII, line and file length,
the licence line. Prints FILE:LINE: and what is wrong.
"""
import os
import sys

FOLDERS = ("cl", "include", "src", "tests", "tools")
CODE = (".c", ".cc", ".h", ".cl", ".clh", ".py", ".sh", ".build")
BARE = (".build",)  # need no licence line
LICENCE = "SPDX-License-Identifier: Apache-2.0"
MAX_COLUMNS = 100
MAX_LINES = 800
MAX_KERNEL_LINES = 300


def code_files(root):
    for folder in FOLDERS:
        for path, folders, files in os.walk(os.path.join(root, folder)):
            folders[:] = sorted(d for d in folders if d not in ("golden", "__pycache__"))
            for name in sorted(files):
                if name.endswith(CODE):
                    yield os.path.join(path, name)


def problems_of_line(line):
    if "\t" in line:
        yield "a tab"
    if line != line.rstrip():
        yield "a blank at the end of the line"
    if not line.isascii():
        yield "a character outside ASCII"
    if len(line) > MAX_COLUMNS:
        yield f"{len(line)} columns, at most {MAX_COLUMNS}"


def problems_of_file(path):
    with open(path, "rb") as f:
        text = f.read().decode("utf-8", errors="replace")
    lines = text.split("\n")
    if text and lines[-1]:
        yield len(lines), "no newline at the end of the file"
    elif len(lines) > 2 and not lines[-2].strip():
        yield len(lines) - 1, "an empty line at the end of the file"
    limit = MAX_KERNEL_LINES if path.endswith((".cl", ".clh")) else MAX_LINES
    if len(lines) - 1 > limit:
        yield len(lines) - 1, f"{len(lines) - 1} lines, at most {limit}"
    if not path.endswith(BARE) and not any(LICENCE in line for line in lines[:3]):
        yield 1, "no SPDX licence line"
    for number, line in enumerate(lines, 1):
        for problem in problems_of_line(line):
            yield number, problem


def main(root):
    count = 0
    files = 0
    for path in code_files(root):
        files += 1
        for number, problem in problems_of_file(path):
            print(f"{os.path.relpath(path, root)}:{number}: {problem}")
            count += 1
    print(f"{files} files, {count} problems")
    return 1 if count or not files else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
