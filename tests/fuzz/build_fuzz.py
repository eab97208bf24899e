#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds a libFuzzer target: build_fuzz.py CLANG OUT DEPFILE [FLAG...] -- SOURCE... -- OTHER...

Clang compiles the sources with the sanitizers and with what guides the fuzzer, side by side. OTHER
are sources that are compiled plain, and libraries. With --probe for OUT: exits with 0 if this clang
can do that at all."""
import concurrent.futures
import hashlib
import os
import subprocess
import sys
import tempfile

GUIDED = ["-fsanitize=fuzzer-no-link,address,undefined", "-fno-sanitize-recover=undefined"]
COMMON = ["-std=c11", "-O1", "-g", "-fno-omit-frame-pointer"]


def compile_one(clang, flags, folder, source):
    """The object file, and what it was made from."""
    name = hashlib.sha1(source.encode()).hexdigest()[:12]
    made = os.path.join(folder, f"{os.path.basename(source)}-{name}.o")
    subprocess.run([clang, *COMMON, *flags, "-MMD", "-MF", made + ".d", "-c", source, "-o", made],
                   check=True)
    with open(made + ".d", encoding="utf-8") as f:
        return made, f.read().replace("\\\n", " ").partition(":")[2].split()


def build(clang, out, depfile, flags, sources, others):
    plain = [o for o in others if o.endswith(".c")]
    jobs = [(clang, flags + GUIDED, out + ".p", s) for s in sources]
    jobs += [(clang, flags, out + ".p", s) for s in plain]
    os.makedirs(out + ".p", exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(lambda job: compile_one(*job), jobs))
    subprocess.run([clang, "-fsanitize=fuzzer,address,undefined", *(m[0] for m in made),
                    *(o for o in others if o not in plain), "-o", out], check=True)
    with open(depfile, "w", encoding="utf-8") as f:
        f.write(f"{out}: {' '.join(sorted({d for m in made for d in m[1]}))}\n")


def probe(clang):
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "probe.c")
        with open(source, "w", encoding="ascii") as f:
            f.write("int LLVMFuzzerTestOneInput(const char *p, unsigned long n);\n"
                    "int LLVMFuzzerTestOneInput(const char *p, unsigned long n)\n"
                    "{ (void)p; (void)n; return 0; }\n")
        done = subprocess.run([clang, "-fsanitize=fuzzer,address,undefined", source, "-o",
                               source + ".out"], capture_output=True, check=False)
        return done.returncode


def main(clang, out, *rest):
    if out == "--probe":
        return probe(clang)
    depfile, rest = rest[0], list(rest[1:])
    first = rest.index("--")
    second = rest.index("--", first + 1)
    try:
        build(clang, out, depfile, rest[:first], rest[first + 1:second], rest[second + 1:])
    except subprocess.CalledProcessError as e:
        return e.returncode
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
