#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns kernel sources and other texts into C, and the list of kernels into the registry.

    embed_cl.py blob SOURCE LABEL OUT.c      cla_blob with the bytes of SOURCE
    embed_cl.py text SOURCE NAME OUT.c       const char NAME[] with the text of SOURCE
    embed_cl.py list OUT.c NAME...           cla_kernels[]
    embed_cl.py digest OUT.c DEPFILE FOLDER  cla_native_digest: of the C files of the native kernels
"""
import hashlib
import pathlib
import sys

LICENCE = "/* Generated from the kernel list; do not edit. */\n"


def symbol(label):
    """cl/attn.clh -> attn_clh, cl/attn_prefill.cl -> attn_prefill"""
    name = pathlib.PurePosixPath(label).name
    return name[: -len(".cl")] if name.endswith(".cl") else name.replace(".", "_")


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def byte_rows(data):
    """Bytes, not a string literal: ISO C guarantees literals of 4,095 characters only."""
    rows = [", ".join(str(b) for b in data[i : i + 24]) for i in range(0, len(data), 24)]
    return ",\n    ".join(rows)


def write_text(source, name, out):
    pathlib.Path(out).write_text(
        "/* Generated; do not edit. */\n"
        + f"extern const char {name}[];\n\n"
        + f"const char {name}[] = {{\n    {byte_rows(pathlib.Path(source).read_bytes())}, 0\n}};\n"
    )


def write_blob(source, label, out):
    data = pathlib.Path(source).read_bytes()
    name = symbol(label)
    pathlib.Path(out).write_text(
        LICENCE
        + '#include "kernel.h"\n\n'
        + f"extern const cla_blob cla_src_{name};\n\n"
        + "static const unsigned char bytes[] = {\n    "
        + byte_rows(data)
        + "\n};\n\n"
        + f'const cla_blob cla_src_{name} = {{ "{label}", bytes, sizeof bytes, '
        + f'"{digest(data)}" }};\n'
    )


def write_list(out, names):
    declarations = "".join(f"extern const cla_kernel cla_kernel_{n};\n" for n in names)
    entries = "".join(f"    &cla_kernel_{n},\n" for n in names)
    pathlib.Path(out).write_text(
        LICENCE
        + '#include "kernel.h"\n\n'
        + declarations
        + "\nconst cla_kernel *const cla_kernels[] = {\n"
        + entries
        + "    NULL,\n};\n"
    )


def write_digest(out, depfile, folder):
    files = sorted(p for p in pathlib.Path(folder).iterdir() if p.suffix in (".c", ".h"))
    text = digest(b"".join(p.name.encode() + b"\n" + p.read_bytes() for p in files))
    pathlib.Path(out).write_text(
        LICENCE + f'#include "kernel.h"\n\nconst char cla_native_digest[] = "{text}";\n'
    )
    pathlib.Path(depfile).write_text(f"{out}: {' '.join(map(str, files))}\n")


def main(argv):
    if argv[1] == "blob":
        write_blob(*argv[2:5])
    elif argv[1] == "digest":
        write_digest(*argv[2:5])
    elif argv[1] == "text":
        write_text(*argv[2:5])
    else:
        write_list(argv[2], argv[3:])


main(sys.argv)
