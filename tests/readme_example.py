#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C examples of README.md, kept working.

readme_example.py extract README.md OUT.c       writes the ```c blocks: the first is a program, the
                                                others become functions in it
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


FRAGMENT = """
void fragment_%d(clattn_ctx *ctx, int64_t B, int64_t Hk, int64_t D, clattn_tensor q,
                 clattn_tensor k, clattn_tensor v, clattn_tensor o);
void fragment_%d(clattn_ctx *ctx, int64_t B, int64_t Hk, int64_t D, clattn_tensor q,
                 clattn_tensor k, clattn_tensor v, clattn_tensor o)
{
%s}
"""


def fragments(readme):
    """What follows the program, as functions of the variables that the text speaks of."""
    with open(readme, encoding="utf-8") as f:
        found = re.findall(r"^```c\n(.*?)^```$", f.read(), re.MULTILINE | re.DOTALL)[1:]
    return "".join(FRAGMENT % (i, i, code) for i, code in enumerate(found))


def main(args):
    if len(args) != 3 or args[0] not in ("extract", "check"):
        sys.exit(__doc__)
    code, wanted = blocks(args[1])
    if args[0] == "extract":
        with open(args[2], "w", encoding="utf-8") as f:
            f.write(code + fragments(args[1]))
        return 0
    done = subprocess.run([args[2]], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    print(done.stdout, end="")
    if done.stdout != wanted:
        print(f"README.md promises:\n{wanted}", end="")
    return done.returncode or int(done.stdout != wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
