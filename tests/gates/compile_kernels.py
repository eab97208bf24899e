#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every kernel for devices that are not here: compile_kernels.py GATE DUMP_KERNELS ...

GATE     lint, dg2, pvc (Intel, ocloc), gfx90a, gfx940, gfx1030, gfx1100 (AMD, clang), sm_80
         (NVIDIA, clang), sm_75, sm_120 (NVIDIA, clang and ptxas), sm_90a UNMARK_PTX (the same for
         kernels with marked instructions, which UNMARK_PTX makes of their comments)
Writes TAP. A gate whose compiler is not installed is skipped. Kernels over the matrix tile are
compiled for the engine of the device, and what the compiler tells of registers, spills and local
memory stands in their lines.
"""
import glob
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

SECONDS = 120
CLANGS = ["clang-15"] + [f"clang-{n}" for n in range(21, 13, -1) if n != 15] + ["clang"]
DEVICE_LIBS = ["/usr/lib/*/amdgcn/bitcode", "/usr/lib/llvm-*/lib/clang/*/amdgcn/bitcode",
               "/usr/lib/llvm-*/lib/clang/*/lib/amdgcn/bitcode", "/opt/rocm*/amdgcn/bitcode"]
# The folder of dump_kernels with what is for the engine of a device.
ENGINES = {"sm_75": "mma_k8", "sm_80": "mma_k16", "sm_120": "mma_k16", "gfx90a": "mfma",
           "gfx940": "mfma", "gfx1100": "wmma_gfx11", "dg2": "dpas_8", "pvc": "dpas_16",
           "sm_90a": "hopper"}
# These compile nothing else: another device of their kind does. gfx940 is what clang 15 knows of
# CDNA3: gfx942, which is sold, has its matrix instructions and came later.
ONLY_ENGINE = ("sm_75", "sm_90a", "sm_120", "gfx940", "gfx1100")
# Of these there is no device library that fits.
BARE = ("gfx1100",)
# A compiler takes a second for each, so these share the files of a kernel: every sixth, from one
# on. gfx90a has them all.
FIRST = {"dg2": 0, "gfx1030": 1, "sm_80": 2, "pvc": 4}
# Where a fragment that leaves registers is a failure.
NO_SPILLS = ("sm_75", "sm_80", "sm_90a", "sm_120", "gfx90a", "gfx940")
PTXAS = [shutil.which("ptxas"), "/usr/local/cuda/bin/ptxas"]
HERE = os.path.dirname(os.path.abspath(__file__))
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

    def compile_kernel(source, options):
        # Marked instructions are for one target alone: here, the same by single work-items.
        options = ["-DUNIT=1" if option == "-DUNIT=2" else option for option in options]
        return call([clang, *arguments, *options, source])
    return compile_kernel


def intel_gate(device, folder):
    if not shutil.which("ocloc"):
        raise Skip("ocloc is not installed")

    def compile_kernel(source, options):
        out = os.path.join(folder, "out")
        command = ["ocloc", "compile", "-file", source, "-device", device, "-out_dir", out,
                   "-options", " ".join(options)]
        good, text = call(command)
        stem = os.path.join(out, os.path.basename(source)[:-len(".cl")])
        binaries = glob.glob(f"{glob.escape(stem)}_*.bin")
        return good, text + (intel_facts(binaries[0]) if good and binaries else "")
    return compile_kernel


def intel_facts(path):
    """Memory of a work-item beside registers, and local memory, from the tokens of a kernel."""
    with open(path, "rb") as f:
        data = f.read()
    start = data.find(b"CTNI")  # of a program in the older of two formats
    if start < 0:
        return "its format tells no memory\n"
    at = start + 28 + struct.unpack_from("<I", data, start + 24)[0]
    name, tokens, *heaps = struct.unpack_from("<6I", data, at + 12)
    at += 40 + name + sum(heaps)
    bytes_of = {15: 0, 18: 0, 38: 0}  # local memory, spilled registers, arrays of a work-item
    end = at + tokens
    while at + 8 <= end:
        token, size = struct.unpack_from("<2I", data, at)
        if token in bytes_of:
            bytes_of[token] = struct.unpack_from("<I", data, at + (20 if token == 38 else 12))[0]
        at += max(size, 8)
    return (f"{bytes_of[18]} bytes of registers spilled, {bytes_of[38]} of arrays in memory, "
            f"{bytes_of[15]} local\n")


def undefined_symbols(path):
    """A builtin that the device library lacks compiles, and fails only when it is loaded."""
    good, text = call(["readelf", "-sW", path])
    rows = [line.split() for line in text.splitlines()] if good else []
    return [row[7] for row in rows if len(row) > 7 and row[6] == "UND"]


def amd_facts(text):
    """What the remarks of clang say, in one line."""
    found = {name: number for name, number in re.findall(r"remark: +([^:\[]+?)(?: \[[^]]*\])?: "
                                                         r"(\d+)", text)}
    if "VGPRs" not in found:
        return ""
    # An older clang does not count what is spilled; it lies in scratch memory.
    spilled = found.get("VGPRs Spill") or f"{found['ScratchSize']} bytes"
    return (f"{found['VGPRs']} + {found.get('AGPRs', 0)} registers, {spilled} spilled, "
            f"{found['ScratchSize']} bytes scratch, {found['LDS Size']} local\n")


def bare_amd_gate(chip, folder):
    """Without a device library: the code alone, whose builtins nobody defines."""
    arguments = ["-x", "cl", "-target", "amdgcn-amd-amdhsa", f"-mcpu={chip}", "-nogpulib", "-c",
                 "-O3"]
    clang = find_clang(folder, arguments)
    if not clang:
        raise Skip(f"no clang that knows {chip} is installed")
    return lambda source, options: call([clang, *arguments, *options, source, "-o",
                                         f"{source}.{chip}.o"])


def amd_gate(chip, folder):
    arguments = ["-x", "cl", "-target", "amdgcn-amd-amdhsa", f"-mcpu={chip}", "-c", "-O3",
                 "-Rpass-analysis=kernel-resource-usage"]
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
        text += "".join(f"undefined: {name}\n" for name in missing)
        return good and not missing, amd_facts(text) if good and not missing else text
    return compile_kernel


def find_ptxas(chip):
    """The assembler, or None where it is not needed."""
    ptxas = next((path for path in PTXAS if path and os.path.exists(path)), None)
    if chip in ONLY_ENGINE and not ptxas:
        raise Skip("ptxas is not installed")
    if ptxas and chip not in call([ptxas, "--help"])[1]:
        raise Skip(f"this ptxas does not know {chip}")
    return ptxas


def nvidia_gate(chip, folder):
    """PTX by clang, of kernels for the engine machine code by ptxas if it is here."""
    ptxas = find_ptxas(chip)
    front = "sm_75" if chip == "sm_75" else "sm_80"
    arguments = ["-x", "cl", "-target", "nvptx64-nvidia-nvcl", "-Xclang", "-target-cpu", "-Xclang",
                 front, "-Xclang", "-target-feature", "-Xclang", "+ptx70", "-S", "-O3"]
    clang = find_clang(folder, arguments)
    if not clang:
        raise Skip("no clang that writes PTX is installed")

    def compile_kernel(source, options):
        out = f"{source}.ptx"
        finish = ptxas and os.path.basename(os.path.dirname(source)) == ENGINES[chip]
        builtins = ["-include", os.path.join(HERE, "nvidia_builtins.cl")] if finish else []
        good, text = call([clang, *arguments, *builtins, *options, source, "-o", out])
        if not good or not finish:
            return good, text
        good, text = call([ptxas, f"-arch={chip}", "-v", out, "-o", f"{out}.o"])
        return good, nvidia_facts(text) if good else text
    return compile_kernel


def nvidia_facts(text):
    registers, spilled, local = (re.search(pattern, text) for pattern in
                                 (r"Used (\d+) registers", r"(\d+) bytes spill stores",
                                  r"(\d+) bytes smem"))
    return (f"{registers.group(1)} registers, {spilled.group(1)} bytes spilled, "
            f"{local.group(1) if local else 0} local\n")


def registers_of(source):
    """What a work-item can have: a core's, shared out to a work-group in steps of 8."""
    with open(source[:-len(".cl")] + ".items", encoding="ascii") as f:
        return min(65536 // int(f.read()) // 8 * 8, 255)


def warpgroup_gate(folder, unmark_ptx):
    """clang 15 knows no sm_90, so its name is written over that of an older chip."""
    ptxas = find_ptxas("sm_90a")
    arguments = ["-x", "cl", "-target", "nvptx64-nvidia-nvcl", "-Xclang", "-target-cpu", "-Xclang",
                 "sm_80", "-Xclang", "-target-feature", "-Xclang", "+ptx71", "-S", "-O3"]
    clang = find_clang(folder, arguments)
    if not clang:
        raise Skip("no clang that writes PTX is installed")
    arguments += ["-include", os.path.join(HERE, "nvidia_builtins.cl")]

    def compile_kernel(source, options):
        path = source + ".ptx"
        good, text = call([clang, *arguments, *options, source, "-o", path])
        if not good:
            return good, text
        with open(path, encoding="ascii") as f:
            ptx = re.sub(r"\.version .*", ".version 8.3", f.read(), count=1)
        ptx = re.sub(r"\.target sm_80", ".target sm_90", ptx, count=1)
        done = subprocess.run([unmark_ptx], input=ptx.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=SECONDS, check=False)
        if done.returncode != 0:
            return False, done.stderr.decode()
        with open(path, "wb") as f:
            f.write(done.stdout)
        good, text = call([ptxas, "-arch=sm_90a", f"-maxrregcount={registers_of(source)}", "-v",
                           path, "-o", path + ".o"])
        # C7510: products are not asynchronous, which they are for.
        good = good and "C7510" not in text
        return good, nvidia_facts(text) if good else text
    return compile_kernel


def make_gate(name, folder, rest):
    """The function (source, options) -> (succeeded, output) of a gate."""
    if name == "sm_90a":
        return warpgroup_gate(folder, *rest)
    if name == "lint":
        return lint_gate(folder)
    if name in ("dg2", "pvc"):
        return intel_gate(name, folder)
    if name in BARE:
        return bare_amd_gate(name, folder)
    if name.startswith("gfx"):
        return amd_gate(name, folder)
    if name.startswith("sm_"):
        return nvidia_gate(name, folder)
    sys.exit(__doc__)


def files_of(folder, *kinds):
    return sorted(path for kind in kinds for path in glob.glob(os.path.join(folder, kind, "*.cl")))


def every_sixth(files, first):
    """Of the files of each kernel every sixth, the last where there are fewer."""
    kernels = {}
    for path in files:
        kernels.setdefault(os.path.basename(path).split(".")[0], []).append(path)
    return [path for all_of in kernels.values() for path in all_of[first::6] or all_of[-1:]]


def sources_of(gate, folder):
    """Kernels that only a CPU would run go through the lint alone."""
    engine = files_of(folder, ENGINES[gate]) if gate in ENGINES else []
    if gate in ONLY_ENGINE:
        return engine
    portable = files_of(folder, *(("gpu", "cpu", "hopper") if gate == "lint" else ("gpu",)))
    return engine + (every_sixth(portable, FIRST[gate]) if gate in FIRST else portable)


def read_options(source):
    with open(source[:-len(".cl")] + ".options", encoding="ascii") as f:
        return f.read().split()


def run_gate(gate, dump_kernels, rest, folder):
    compile_kernel = make_gate(gate, folder, rest)
    good, text = call([dump_kernels, folder])
    sources = sources_of(gate, folder)
    print(f"1..{len(sources) + 1}")
    print(f"{'ok' if good and sources else 'not ok'} 1 - the kernels were written out")
    for line in text.splitlines():
        print(f"# {line}")
    failed = not good or not sources
    # Without ptxas, which sm_80 can do without, nobody counts registers.
    counted = gate in NO_SPILLS and (gate != "sm_80" or find_ptxas(gate) is not None)
    for number, source in enumerate(sources, 2):
        options = read_options(source)
        good, text = compile_kernel(source, options)
        tiled = gate in ENGINES and os.path.basename(os.path.dirname(source)) == ENGINES[gate]
        if good and tiled:
            told = text.strip().splitlines()[-1:]
            print(f"# {gate}: {told[0] if told else 'the compiler tells nothing'}")
            good = not counted or bool(re.search(r"\b0 (bytes )?spilled", text))
        print(f"{'ok' if good else 'not ok'} {number} - {os.path.basename(source)}", flush=True)
        if not good:
            failed = True
            print(f"# {' '.join(options)}")
            for line in text.splitlines()[:30]:
                print(f"# {line}")
    return 1 if failed else 0


def main(args):
    if len(args) != (3 if args[:1] == ["sm_90a"] else 2):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return run_gate(args[0], args[1], args[2:], folder)
        except Skip as reason:
            print(f"1..0 # SKIP {reason}")
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
