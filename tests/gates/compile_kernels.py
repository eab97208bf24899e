#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every kernel for devices that are not here: compile_kernels.py GATE DUMP_KERNELS

GATE     lint, dg2, pvc (Intel, ocloc), gfx90a, gfx1030 (AMD, clang), sm_80 (NVIDIA, clang)
Writes TAP. A gate whose compiler is not installed is skipped.
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

SECONDS = 120
CLANGS = ["clang-15"] + [f"clang-{n}" for n in range(21, 13, -1) if n != 15] + ["clang"]
DEVICE_LIBS = ["/usr/lib/*/amdgcn/bitcode", "/usr/lib/llvm-*/lib/clang/*/amdgcn/bitcode",
               "/usr/lib/llvm-*/lib/clang/*/lib/amdgcn/bitcode", "/opt/rocm*/amdgcn/bitcode"]
PROBE = "kernel void probe(global float *x) { x[0] = exp(x[0]); }\n"


class Skip(Exception):
    """The gate cannot run here; the text says why."""


def call(command):
    """(succeeded, output) of a command."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False, f"no end after {SECONDS} s"
    return done.returncode == 0, done.stdout.decode("utf-8", errors="replace")


def find_clang(folder, arguments):
    """The first clang that accepts the arguments for a kernel of one line."""
    probe = os.path.join(folder, "probe.cl")
    with open(probe, "w", encoding="ascii") as f:
        f.write(PROBE)
    for name in CLANGS:
        if shutil.which(name) and call([name, *arguments, probe, "-o", probe + ".o"])[0]:
            return name
    return None


def lint_gate(folder):
    arguments = ["-x", "cl", "-target", "spir64", "-fsyntax-only", "-cl-std=CL1.2"]
    clang = find_clang(folder, arguments)
    if not clang:
        raise Skip("no clang that reads OpenCL C is installed")
    # A kernel need not use all arguments and helpers of its family.
    arguments += ["-Wall", "-Wextra", "-Wshadow", "-Werror", "-Wno-unused-parameter",
                  "-Wno-unused-function"]
    return lambda source, options: call([clang, *arguments, *options, source])


def intel_gate(device, folder):
    if not shutil.which("ocloc"):
        raise Skip("ocloc is not installed")

    def compile_kernel(source, options):
        command = ["ocloc", "compile", "-file", source, "-device", device, "-out_dir",
                   os.path.join(folder, "out"), "-options", " ".join(options)]
        return call(command)
    return compile_kernel


def undefined_symbols(path):
    """A builtin that the device library lacks compiles, and fails only when it is loaded."""
    good, text = call(["readelf", "-sW", path])
    rows = [line.split() for line in text.splitlines()] if good else []
    return [row[7] for row in rows if len(row) > 7 and row[6] == "UND"]


def amd_gate(chip, folder):
    arguments = ["-x", "cl", "-target", "amdgcn-amd-amdhsa", f"-mcpu={chip}", "-c", "-O3"]
    for library in sorted(path for pattern in DEVICE_LIBS for path in glob.glob(pattern)):
        with_library = [*arguments, f"--rocm-device-lib-path={library}"]
        clang = find_clang(folder, with_library)
        if clang:
            break
    else:
        raise Skip("no clang with matching AMD device libraries is installed")

    def compile_kernel(source, options):
        out = f"{source}.{chip}.o"
        good, text = call([clang, *with_library, *options, source, "-o", out])
        missing = undefined_symbols(out) if good else []
        return good and not missing, text + "".join(f"undefined: {name}\n" for name in missing)
    return compile_kernel


def nvidia_gate(chip, folder):
    arguments = ["-x", "cl", "-target", "nvptx64-nvidia-nvcl", "-Xclang", "-target-cpu", "-Xclang",
                 chip, "-S", "-O3"]
    clang = find_clang(folder, arguments)
    if not clang:
        raise Skip("no clang that writes PTX is installed")
    return lambda source, options: call([clang, *arguments, *options, source, "-o",
                                         f"{source}.ptx"])


def make_gate(name, folder):
    """The function (source, options) -> (succeeded, output) of a gate."""
    if name == "lint":
        return lint_gate(folder)
    if name in ("dg2", "pvc"):
        return intel_gate(name, folder)
    if name.startswith("gfx"):
        return amd_gate(name, folder)
    if name.startswith("sm_"):
        return nvidia_gate(name, folder)
    sys.exit(__doc__)


def sources_of(gate, folder):
    """Kernels that only a CPU would run go through the lint alone."""
    kinds = ("gpu", "cpu") if gate == "lint" else ("gpu",)
    return sorted(path for kind in kinds for path in glob.glob(os.path.join(folder, kind, "*.cl")))


def read_options(source):
    with open(source[:-len(".cl")] + ".options", encoding="ascii") as f:
        return f.read().split()


def run_gate(gate, dump_kernels, folder):
    compile_kernel = make_gate(gate, folder)
    good, text = call([dump_kernels, folder])
    sources = sources_of(gate, folder)
    print(f"1..{len(sources) + 1}")
    print(f"{'ok' if good and sources else 'not ok'} 1 - the kernels were written out")
    for line in text.splitlines():
        print(f"# {line}")
    failed = not good or not sources
    for number, source in enumerate(sources, 2):
        options = read_options(source)
        good, text = compile_kernel(source, options)
        print(f"{'ok' if good else 'not ok'} {number} - {os.path.basename(source)}", flush=True)
        if not good:
            failed = True
            print(f"# {' '.join(options)}")
            for line in text.splitlines()[:30]:
                print(f"# {line}")
    return 1 if failed else 0


def main(args):
    if len(args) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return run_gate(args[0], args[1], folder)
        except Skip as reason:
            print(f"1..0 # SKIP {reason}")
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
