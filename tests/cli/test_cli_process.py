#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The clattn program in bad company: interrupts, full disks, homes and caches that are none:
test_cli_process.py CLATTN GOLDEN DATA"""
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time

from cli_harness import (BAD_INPUT, OK, QUICK, Cli, npy_bytes, random_values, read_npy, run_all,
                         write)

LIMIT = 4096  # bytes of a file, on the full disk


class Process(Cli):
    def __init__(self, program, golden, data):
        super().__init__(program, golden)
        self.data = os.path.abspath(data)
        self.env.update(CLATTN_DEVICE="cpu", CLATTN_NUM_THREADS="1")
        self.inputs = self.arrays([1, 1, 64, 64], "qkv")
        self.matrices = self.arrays([64, 64], "xw")

    def arrays(self, shape, names):
        """Files of random numbers."""
        folder = self.folder()
        return [write(os.path.join(folder, f"{x}.npy"), npy_bytes(shape, random_values(shape, i)))
                for i, x in enumerate(names)]

    def attention(self, out, **kwargs):
        return self("attention", *self.inputs, "-o", out, **kwargs)


def command_lines(cli):
    """Of every command one or more, those that can with seconds of work; OUT is a folder."""
    gpt2, bert = (os.path.join(cli.data, name) for name in ("gpt2-tiny", "bert-tiny"))
    dogs = ["-t", "the dogs run ."]
    return [["bench", "attention", "--shape", "1,8,8,512,512,64", "--seconds", "20"],
            ["bench", "project", "--shape", "64,512,512", "--seconds", "20"],
            ["cost", "attention", "--shape", "1,8,8,512,512,64"],
            ["run", cli.golden, "-o", "OUT"], ["verify", cli.golden],
            ["doctor"], ["devices"], ["kernels"], ["tune", "--budget", "30s"],
            ["attention", *cli.inputs, "-o", "OUT/o.npy"],
            ["argmax", *cli.inputs, "-o", "OUT/o.npy", "--index", "OUT/index.npy"],
            ["linear-attention", *cli.inputs, "-o", "OUT/o.npy"],
            ["project", *cli.matrices, "-o", "OUT/y.npy"],
            ["wisdom", "show"], ["wisdom", "export", "-o", "OUT/wisdom.json"],
            ["generate", "-m", gpt2, "-p", "the dogs", "-n", "50"],
            ["heatmap", "-m", gpt2, *dogs, "--all", "-o", "OUT/h.npy"],
            ["heads", "-m", gpt2, *dogs], ["fill", "-m", bert, "-t", "the bank is [MASK] ."],
            ["embed", "-m", bert, *dogs], ["help", "bench"]]


def check_whole(path):
    """Raises unless all of the file is there."""
    if path.endswith(".json"):
        with open(path, encoding="utf-8") as f:
            json.load(f)
    else:
        read_npy(path)


def hear_interrupts():
    """What a shell runs in the background ignores them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupts(cli):
    """SIGINT ends every command soon, and leaves no half of a file."""
    listed = re.findall(r"(?m)^  ([a-z-]+) ", cli("--help").stdout.partition("Results go to")[0])
    lines = command_lines(cli)
    assert set(listed) == {line[0] for line in lines}, listed
    for i, command in enumerate(lines):
        folder = cli.folder()
        child = subprocess.Popen([cli.program, *[a.replace("OUT", folder) for a in command]],
                                 env=cli.env, cwd=cli.root, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, preexec_fn=hear_interrupts)
        time.sleep(0.05 + 0.05 * (i % 4))
        child.send_signal(signal.SIGINT)
        try:
            _, err = child.communicate(timeout=20)
        finally:
            child.kill()
        what = f"{command}: exit {child.returncode}: {err.decode()}"
        assert child.returncode in (-signal.SIGINT, OK, BAD_INPUT), what
        for path, _, files in os.walk(folder):
            for name in files:
                try:
                    check_whole(os.path.join(path, name))
                except (AssertionError, ValueError, struct.error) as reason:
                    raise AssertionError(f"{what}: {name} is left: {reason}") from reason


def full_stdout(cli):
    """A full disk behind stdout is an error of every command."""
    case = os.path.join(cli.golden, "attn_causal")
    for command in (["devices"], ["kernels"], ["verify", case],
                    ["cost", "attention", "--shape", "1,8,8,64,64,64"],
                    ["attention", *cli.inputs, "-o", os.path.join(cli.folder(), "o.npy")],
                    ["wisdom", "export"], ["--help"], ["--version"]):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([cli.program, *command, *QUICK.get(command[0], [])], env=cli.env,
                                  cwd=cli.root, stdout=full, stderr=subprocess.PIPE, check=False)
        assert done.returncode == BAD_INPUT, f"{command}: exit {done.returncode}"
        assert b"standard output" in done.stderr, f"{command}: {done.stderr.decode()}"


def small_disk():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def full_disk(cli):
    """A disk that is full is an error, of results that are stored a note; nothing half is left."""
    folder = cli.folder()
    done = cli.attention(os.path.join(folder, "o.npy"), code=BAD_INPUT, preexec_fn=small_disk)
    assert "o.npy" in done.stderr, done.stderr
    assert os.listdir(folder) == [], os.listdir(folder)
    cache = {"CLATTN_CACHE_DIR": os.path.join(cli.folder(), "cache")}
    done = cli("tune", "attention", "--shape", "1,1,1,32,32,16", "--evals", "2", "--in-process",
               env=cache, preexec_fn=small_disk)
    assert "tuning results are kept in memory only" in done.stderr, done.stderr
    cli.attention(os.path.join(folder, "o.npy"), env=cache)


def homes(cli):
    """No home, and caches that are none, change no result."""
    folder = cli.folder()
    want = os.path.join(folder, "want.npy")
    cli.attention(want)
    loop = os.path.join(folder, "loop")
    os.symlink(loop, loop)
    a_file = write(os.path.join(folder, "file"), b"no folder")
    open_to_all = os.path.join(folder, "open")
    os.mkdir(open_to_all)
    os.chmod(open_to_all, 0o777)
    settings = [{"HOME": "", "XDG_CACHE_HOME": "", "CLATTN_CACHE_DIR": ""},
                {"HOME": "/nonexistent", "XDG_CACHE_HOME": ""},
                {"HOME": "/proc", "XDG_CACHE_HOME": ""},
                {"XDG_CACHE_HOME": "relative/path"}, {"CLATTN_CACHE_DIR": "/dev/null"},
                *({"CLATTN_CACHE_DIR": x} for x in (loop, a_file, open_to_all, "x" * 5000))]
    for i, setting in enumerate(settings):
        out = os.path.join(folder, f"{i}.npy")
        cli.attention(out, env=setting)
        with open(out, "rb") as f, open(want, "rb") as g:
            assert f.read() == g.read(), setting
    assert os.listdir(open_to_all) == [], "something was put where others can write"


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    run_all([interrupts, full_stdout, full_disk, homes], Process(*sys.argv[1:]))


if __name__ == "__main__":
    main()
