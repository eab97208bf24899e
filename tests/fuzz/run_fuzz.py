#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a libFuzzer target for some seconds from a corpus:
run_fuzz.py TARGET CORPUS SECONDS [FILE...]

It runs in a folder of its own, with copies of FILES. CLATTN_FUZZ_SECONDS is how long in place of
SECONDS, CLATTN_TEST_SEED where the fuzzer starts. What it finds stays in that folder, and runs
again there with TARGET FILE. Prints TAP."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

MOST_BYTES = 4096


def copy(path, folder):
    to = os.path.join(folder, os.path.basename(path))
    if os.path.isdir(path):
        shutil.copytree(path, to)
    else:
        shutil.copy(path, to)


def main(target, corpus, seconds, *files):
    seconds = os.environ.get("CLATTN_FUZZ_SECONDS") or seconds
    seed = os.environ.get("CLATTN_TEST_SEED") or "20177"
    root = tempfile.mkdtemp(prefix="clattn-fuzz-")
    env = dict(os.environ, HOME=root, XDG_CACHE_HOME=root, CLATTN_CACHE_DIR=root, TMPDIR=root,
               OCL_ICD_VENDORS=os.path.join(root, "none"), OMP_NUM_THREADS="1",
               CLATTN_NUM_THREADS="1", ASAN_OPTIONS="allocator_may_return_null=1")
    found, new = os.path.join(root, "found-"), os.path.join(root, "new")
    os.mkdir(new)
    for path in files:
        copy(path, root)
    done = subprocess.run([os.path.abspath(target), f"-max_total_time={seconds}", f"-seed={seed}",
                           f"-max_len={MOST_BYTES}", f"-artifact_prefix={found}", "-timeout=10",
                           "-rss_limit_mb=2048",
                           "-malloc_limit_mb=1048576", "-print_final_stats=1",
                           "-close_fd_mask=3", new,
                           os.path.abspath(corpus)],
                          env=env, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode("utf-8", "replace")
    count = re.search(r"number_of_executed_units: (\d+)", said)
    print("1..1")
    print(f"# seed {seed} (CLATTN_TEST_SEED), {seconds} s (CLATTN_FUZZ_SECONDS)")
    print(f"# {count.group(1) if count else 0} executions")
    if done.returncode == 0 and count:
        print("ok 1 - nothing found")
        shutil.rmtree(root, ignore_errors=True)
        return 0
    print(f"not ok 1 - {target} found something, see {root}")
    for line in said.splitlines()[-60:]:
        print(f"# {line}")
    return 1


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
