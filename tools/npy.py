#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small .npy helper for the scripts, with nothing but Python's own library.

npy.py random FILE SIZE...   writes normal random numbers, f32; the file name is the seed
npy.py show FILE             prints the shape and the first numbers of an f32 file
"""
import array
import ast
import math
import os
import random
import struct
import sys

MAGIC = b"\x93NUMPY\x01\x00"


def write_random(path, shape):
    rng = random.Random(os.path.basename(path))
    data = array.array("f", (rng.gauss(0.0, 1.0) for _ in range(math.prod(shape))))
    if sys.byteorder == "big":
        data.byteswap()
    header = repr({"descr": "<f4", "fortran_order": False, "shape": tuple(shape)})
    header += " " * (-(len(MAGIC) + 2 + len(header) + 1) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(MAGIC + struct.pack("<H", len(header)) + header.encode("ascii"))
        data.tofile(f)


def show(path):
    with open(path, "rb") as f:
        if f.read(len(MAGIC)) != MAGIC:
            sys.exit(f"{path}: not a version 1 .npy file")
        header = ast.literal_eval(f.read(struct.unpack("<H", f.read(2))[0]).decode("ascii"))
        if header["descr"] != "<f4":
            sys.exit(f"{path}: dtype is {header['descr']}, only <f4 is shown")
        first = struct.iter_unpack("<f", f.read(4 * min(6, math.prod(header["shape"]))))
        numbers = " ".join(f"{x:.4f}" for (x,) in first)
    sizes = "".join(f"[{n}]" for n in header["shape"])
    print(f"  {path} {sizes}: {numbers} ...")


def main(args):
    if len(args) >= 3 and args[0] == "random":
        write_random(args[1], [int(n) for n in args[2:]])
    elif len(args) == 2 and args[0] == "show":
        show(args[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
