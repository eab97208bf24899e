#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shared library exports what the headers declare, and nothing else.

check_exports.py LIBRARY HEADER...
"""
import re
import subprocess
import sys


def exported(library):
    """The defined dynamic symbols."""
    done = subprocess.run(["nm", "-D", "--defined-only", library], stdout=subprocess.PIPE,
                          text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}


def declared(headers):
    names = set()
    for path in headers:
        with open(path, encoding="utf-8") as f:
            names |= set(re.findall(r"^CLATTN_API\s[^;(]*?(\w+)\(", f.read(), re.MULTILINE))
    return names


def main(library, headers):
    have, want = exported(library), declared(headers)
    for name in sorted(have - want):
        print(f"{name} is exported, but in no header")
    for name in sorted(want - have):
        print(f"{name} is declared, but not exported")
    print(f"{len(have)} symbols")
    return 1 if have != want or not want else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
