# SPDX-License-Identifier: Apache-2.0
"""clattn tune: searching, keeping, going on after an interruption.

test_cli_tune.py PROGRAM GOLDEN
"""
import fcntl
import glob
import json
import os
import pty
import signal
import subprocess
import time

from cli_harness import BAD_INPUT, USAGE, main, write

SHAPE = ("attention", "--shape", "1,2,2,64,64,16")
ON_CPU = ("--device", "cpu")
KEYS = ("op shape flags dtype device bucket kernel config default_kernel default_config tuned_us "
        "default_us gain legal evals known samples rejected quarantined seconds end note").split()


def fresh(cli):
    """A cache of its own, and one thread: the test machine has other work."""
    return {"CLATTN_CACHE_DIR": os.path.join(cli.folder(), "cache"), "CLATTN_NUM_THREADS": "1"}


def test_usage(cli):
    """Options that make no sense are refused."""
    for args, says in [
        (("tune", "--effort", "huge"), "huge"), (("tune", "--budget", "soon"), "soon"),
        (("tune", "--budget", "-5s"), "-5s"), (("tune", "zzz"), "unknown operation"),
        (("tune", "attention"), "--shape"), (("tune", "attention", "--shape", "1,2"), "1,2"),
        (("tune", "--evals", "-1"), "-1"),
    ]:
        cli.refuses(*args, code=USAGE, says=says)
    cli.refuses("tune", "--from", "/nonexistent", code=BAD_INPUT, says="/nonexistent")


def test_tunes_and_remembers(cli):
    """What tune finds is used by bench and not searched again."""
    env = fresh(cli)
    done = cli("tune", *SHAPE, *ON_CPU, "--effort", "quick", "--json", env=env)
    row = json.loads(done.stdout)
    assert sorted(row) == sorted(KEYS), sorted(row)
    assert row["end"] in ("budget", "all tried"), row
    assert row["tuned_us"] > 0 and row["default_us"] > 0 and row["gain"] >= 0.98, row
    assert row["rejected"] == 0 and row["evals"] > 0, row
    again = json.loads(cli("tune", *SHAPE, *ON_CPU, "--effort", "quick", "--json", env=env).stdout)
    assert again["end"] == "stored before" and again["samples"] == 0, again
    bench = json.loads(cli("bench", *SHAPE, *ON_CPU, "--json", env=env).stdout)
    assert bench["origin"] == "tuned" and bench["config"] == row["config"], bench


def test_lists(cli):
    """A list of problems, and a bad line in one."""
    path = write(os.path.join(cli.folder(), "list.txt"),
                 b"# two problems\n\n" + " ".join(SHAPE).encode() + b" --causal\n"
                 b"project --shape 8,32,32\n")
    done = cli("tune", "--from", path, *ON_CPU, "--budget", "8s", env=fresh(cli))
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stdout
    assert "gain" in lines[0] and "causal" in lines[1] and lines[2].startswith("project"), lines
    for text, says in ((b"attention 1,2,3\n", "a line of the list"),
                       (b"attention " + 60 * b"--lse " + b"\n", "words"),
                       (b"#" * 2000, "longer than")):
        bad = write(os.path.join(cli.folder(), "bad.txt"), text)
        cli.refuses("tune", "--from", bad, *ON_CPU, code=BAD_INPUT, says=says)


def test_many_problems_in_a_line(cli):
    """Each shape and dtype is a problem with its share of the time."""
    path = write(os.path.join(cli.folder(), "list.txt"),
                 b"project --shape 8,32,32 --shape 9,32,32 --dtype f32 --dtype f16\n")
    done = cli("tune", "--from", path, *ON_CPU, "--budget", "8s", "--json", env=fresh(cli))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["shape"], r["dtype"]) for r in rows] == [
        (s, t) for s in ("8,32,32", "9,32,32") for t in ("f32", "f16")], rows


def test_goes_on_after_a_failure(cli):
    """A problem that is not tuned does not end the list."""
    env = fresh(cli)
    cli("tune", *SHAPE, *ON_CPU, "--evals", "2", env=env)
    path = write(os.path.join(cli.folder(), "list.txt"),
                 b"project --shape 8,32,32\nproject --shape 9,32,32\n")
    with open(glob.glob(env["CLATTN_CACHE_DIR"] + "/tune-*.lock")[0], "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as another process that tunes
        done = cli("tune", "--from", path, *ON_CPU, env=env, code=BAD_INPUT)
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        "project 8,32,32", "project 9,32,32"], done.stderr


def test_nothing_to_choose(cli):
    """One legal configuration is not timed."""
    done = cli("tune", "argmax", "--shape", "1,2,2,64,64,16", *ON_CPU, "--json", env=fresh(cli))
    row = json.loads(done.stdout)
    assert row["legal"] == 1 and row["samples"] == 0 and row["end"] == "all tried", row
    assert row["kernel"] == row["default_kernel"] and "one legal" in row["note"], row


def test_in_process(cli):
    """Candidates in the process of the tuner."""
    done = cli("tune", *SHAPE, *ON_CPU, "--evals", "3", "--in-process", "--json", env=fresh(cli))
    assert json.loads(done.stdout)["evals"] <= 3


def test_interrupt(cli):
    """Ctrl-C keeps what was found; the next run goes on."""
    env = dict(os.environ, **fresh(cli))
    args = [cli.program, "tune", *SHAPE, *ON_CPU, "--effort", "exhaustive", "--json"]
    process = subprocess.Popen(args, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    row = json.loads(out)
    assert row["end"] in ("stopped", "all tried"), row
    rest = json.loads(subprocess.run(args, env=env, capture_output=True, check=True).stdout)
    if row["end"] == "stopped":
        assert rest["known"] == row["evals"] > 0, (row, rest)
        assert rest["end"] == "all tried", rest


def test_progress_is_for_terminals(cli):
    """The progress line goes to terminals only."""
    done = cli("tune", *SHAPE, *ON_CPU, "--effort", "quick", env=fresh(cli))
    assert done.stderr == "", done.stderr
    ours, theirs = pty.openpty()
    subprocess.run([cli.program, "tune", *SHAPE, *ON_CPU, "--evals", "6"], stderr=theirs,
                   env=dict(os.environ, **fresh(cli)), stdout=subprocess.DEVNULL, check=True)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    assert "[" in shown and "best" in shown and "\r" in shown, shown


TESTS = [test_usage, test_tunes_and_remembers, test_lists, test_many_problems_in_a_line,
         test_goes_on_after_a_failure, test_nothing_to_choose, test_in_process, test_interrupt,
         test_progress_is_for_terminals]

if __name__ == "__main__":
    main(TESTS, __doc__)
