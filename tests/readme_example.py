#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C example of README.md, kept working.

readme_example.py extract README.md OUT.c       writes the ```c block
readme_example.py check README.md PROGRAM       runs it, and compares what it prints with the block
                                                that follows
"""
import re
import subprocess
import sys


def blocks(readme):
    with open(readme, encoding="utf-8") as f:
        found = re.findall(r"^```c\n(.*?)^```$.*?^```\w*\n(.*?)^```$", f.read(),
                           re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        sys.exit(f"{readme} has {len(found)} C examples, 1 is expected")
    return found[0]


def main(args):
    if len(args) != 3 or args[0] not in ("extract", "check"):
        sys.exit(__doc__)
    code, wanted = blocks(args[1])
    if args[0] == "extract":
        with open(args[2], "w", encoding="utf-8") as f:
            f.write(code)
        return 0
    done = subprocess.run([args[2]], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    print(done.stdout, end="")
    if done.stdout != wanted:
        print(f"README.md promises:\n{wanted}", end="")
    return done.returncode or int(done.stdout != wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
