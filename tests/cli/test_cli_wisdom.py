# SPDX-License-Identifier: Apache-2.0
"""clattn wisdom, doctor and kernels: results in and out, and files that are none.

test_cli_wisdom.py CLATTN GOLDEN
"""
import contextlib
import copy
import json
import os
import random
import sqlite3
import subprocess

from cli_harness import BAD_INPUT, NO_DEVICE, OK, USAGE, main, write

SHAPE = "1,1,1,1024,64,8"
KERNEL = "attn_native"
CONFIG = "ROWS=192 BK=256 SPLIT=2048"  # no estimate


def octave(x, low, high):
    size = low
    while size < x and size < high:
        size *= 2
    return size


def native(cli):
    """What results of the native CPU are called, by the program itself."""
    done = cli("doctor", "--json", env={"OCL_ICD_VENDORS": cli.root})
    return json.loads(done.stdout)["devices"][0]


def result_of(cli, **changes):
    device = native(cli)
    units = next(d for d in json.loads(cli("devices", "--json").stdout)
                 if d["type"] == "native")["compute_units"]
    fill = octave(-(-16 * 4 // units), 1, 64)
    result = {
        "device": device["results_device"], "driver": device["results_driver"],
        "kind": device["results_kind"], "operation": "attention",
        "bucket": f"f32 d8 v8 g1; nq=1024 nk=64 fill={fill}", "kernel": KERNEL,
        "source": cli.json_lines("kernels", KERNEL)[0]["source"], "config": CONFIG, "rank": 1,
        "one_kernel": False, "verified": True, "time_us": 12.5, "spread_us": 0.5, "samples": 9,
        "effort": 2, "when": 1700000000,
    }
    result.update(changes)
    return result


def document(results):
    return json.dumps({"clattn_wisdom": 1, "version": "0.1.0", "results": results})


def put(cli, name, text):
    return write(os.path.join(cli.folder(), name), text.encode() if isinstance(text, str) else text)


def origin(cli):
    return cli.json_lines("bench", "attention", "--shape", SHAPE, "--device", "cpu")[0]["origin"]


def test_round_trip(cli):
    """import, use, export, clear."""
    cli("wisdom", "clear")
    assert origin(cli) == "estimate"
    path = put(cli, "one.json", document([result_of(cli)]))
    assert "1 of 1" in cli("wisdom", "import", path).stdout
    assert origin(cli) == "tuned"
    kernel = cli.json_lines("kernels", KERNEL, "--shape", SHAPE, "--device", "cpu")[0]
    assert kernel["config"] == CONFIG and kernel["legal"] <= kernel["configs"]
    assert KERNEL in cli("wisdom", "show").stdout
    exported = json.loads(cli("wisdom", "export").stdout)["results"]
    assert exported == [result_of(cli)], exported
    target = os.path.join(cli.folder(), "out.json")
    cli("wisdom", "export", "-o", target)
    assert os.listdir(os.path.dirname(target)) == ["out.json"]
    cli("wisdom", "clear", "--device", "native")
    assert origin(cli) == "estimate"
    cli("wisdom", "import", target)
    assert origin(cli) == "tuned"


def test_import_keeps_better(cli):
    """Results of as much effort stay; of less give way."""
    cli("wisdom", "clear")
    for effort, count in ((2, 1), (2, 0), (1, 0), (3, 1)):
        path = put(cli, "x.json", document([result_of(cli, effort=effort)]))
        assert f"{count} of 1" in cli("wisdom", "import", path).stdout, effort


def test_not_ours(cli):
    """Other drivers, sources, unverified and single-kernel results are not used."""
    for change in ({"driver": "other"}, {"source": "0" * 16}, {"verified": False},
                   {"device": "another"}):
        cli("wisdom", "clear")
        cli("wisdom", "import", put(cli, "x.json", document([result_of(cli, **change)])))
        assert origin(cli) == "estimate", change


def test_merge(cli):
    """merge takes the best search of each bucket; seeds make a table of them."""
    slow, fast = result_of(cli, time_us=20), result_of(cli, time_us=10, samples=3)
    more = result_of(cli, time_us=99, effort=5, bucket="f32 d8 v8 g1; nq=4 nk=64 fill=1")
    less = dict(more, effort=1, time_us=1)
    a = put(cli, "a.json", document([slow, more]))
    b = put(cli, "b.json", document([fast, less]))
    merged = json.loads(cli("wisdom", "merge", a, b).stdout)["results"]
    assert merged == [fast, more], merged
    table = cli("wisdom", "seeds", a, b).stdout
    assert table.count(CONFIG) == 2 and "cla_seeds" in table


BAD_FIELDS = [
    ("kernel", "no_such"), ("kernel", 3), ("config", "ROWS=1 BK=64 SPLIT=1024"), ("config", ""),
    ("config", "ROWS=192 BK=256"), ("bucket", "x"), ("bucket", "a" * 5000 + "; nq=1"),
    ("operation", "merge"), ("operation", "none"), ("device", ""), ("device", "\u00e9"),
    ("device", "a\nb"), ("device", "x" * 100000), ("source", "zz"), ("source", None),
    ("time_us", 0), ("time_us", -1), ("time_us", "1"), ("time_us", 1e400), ("rank", -1),
    ("rank", 1.5), ("rank", 10**30), ("samples", 2**40), ("effort", [1]), ("when", -1),
    ("spread_us", -1),
]


def test_bad_fields(cli):
    """A result with one bad field is left out, and said so in one line."""
    cli("wisdom", "clear")
    good = result_of(cli)
    for field, value in BAD_FIELDS:
        bad = dict(good)
        bad[field] = value
        path = put(cli, "bad.json", document([bad]).replace("Infinity", "1e400"))
        done = subprocess.run([cli.program, "wisdom", "import", path], env=cli.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20,
                              check=False)
        lines = done.stderr.splitlines()
        assert done.returncode in (OK, BAD_INPUT) and len(lines) == 1, (field, value, done)
        assert lines[0].startswith("clattn: "), lines
    assert json.loads(cli("wisdom", "export").stdout)["results"] == []
    cli("wisdom", "import", put(cli, "mixed.json", document([{}, 5, None, good, dict(good, rank=2,
                                                                config="x")])))
    assert json.loads(cli("wisdom", "export").stdout)["results"] == [good]


def test_hostile_files(cli):
    """Files that are no wisdom: one sentence, exit code 4, never a crash."""
    text = document([result_of(cli)])
    for bad in ("", "[", "null", "[]", "{}", "nul\0", "\xff\xfe", "[" * 100000,
                '{"clattn_wisdom": 1}', '{"clattn_wisdom": 2, "results": []}',
                '{"clattn_wisdom": "1", "results": []}', '{"clattn_wisdom": 1, "results": {}}',
                '{"clattn_wisdom": 1, "clattn_wisdom": 1, "results": []}', text[:-5]):
        cli.refuses("wisdom", "import", put(cli, "bad.json", bad), code=BAD_INPUT)
    cli.refuses("wisdom", "import", "/no/such/file", code=BAD_INPUT, says="/no/such/file")
    cli.refuses("wisdom", "import", cli.folder(), code=BAD_INPUT)
    rng = random.Random(1)
    for _ in range(40):
        data = bytearray(text.encode())
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path = put(cli, "flipped.json", bytes(data))
        done = subprocess.run([cli.program, "wisdom", "import", path], env=cli.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20,
                              check=False)
        assert done.returncode in (OK, BAD_INPUT), done


def test_usage(cli):
    """Wrong uses are told."""
    cli.refuses("wisdom", code=USAGE, says="something to do")
    cli.refuses("wisdom", "shwo", code=USAGE, says="show")
    cli.refuses("wisdom", "import", code=USAGE, says="file")
    cli.refuses("wisdom", "merge", code=USAGE, says="files")
    cli.refuses("wisdom", "export", "x", code=USAGE, says="-o")
    cli.refuses("wisdom", "clear", "--device", "no such", code=BAD_INPUT, says="no such")
    cli.refuses("kernels", "--shape", SHAPE, code=USAGE, says="name")
    cli.refuses("kernels", "attn_probs_native", "--shape", SHAPE, code=USAGE, says="probs")
    cli.refuses("wisdom", "export", "-o", "/no/such/folder/x", code=BAD_INPUT, says="/no/such")


def test_damaged_store(cli):
    """A damaged database is told in one warning, and the operation goes on."""
    wisdom = put(cli, "one.json", document([result_of(cli)]))
    cli("wisdom", "import", wisdom)
    path = os.path.join(cli.env["XDG_CACHE_HOME"], "clattn", "results.db")
    with open(path, "r+b") as f:
        f.write(b"x" * 4096)
    done = cli("bench", "attention", "--shape", SHAPE, "--device", "cpu", "--json")
    assert json.loads(done.stdout)["origin"] == "estimate"
    assert done.stderr.count("clattn: warning: ") == 1, done.stderr
    cli("wisdom", "import", wisdom)
    assert origin(cli) == "tuned"
    assert os.path.exists(path + ".damaged")


def test_unreadable(cli):
    """show lists what could be read, and warns; what is written elsewhere is all of it, or none."""
    good = [result_of(cli), result_of(cli, bucket="f32 d8 v8 g1; nq=4 nk=64 fill=1")]
    cli("wisdom", "import", put(cli, "good.json", document(good)))
    path = os.path.join(cli.env["XDG_CACHE_HOME"], "clattn", "results.db")
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(result)")]
        longer = ", ".join("'z'" if name == "device" else "hex(zeroblob(99999))"
                           if name == "config" else name for name in columns)
        db.execute(f"INSERT INTO result SELECT {longer} FROM result LIMIT 1")
    done = cli("wisdom", "show")
    assert KERNEL in done.stdout and "cannot read all of" in done.stderr, done
    cli("wisdom", "show", env={"CLATTN_CACHE_DIR": "relative"})
    for command in ("export", "seeds"):
        done = cli("wisdom", command, code=BAD_INPUT)
        assert not done.stdout and "could not all be read" in done.stderr, done
    os.remove(path)


def test_doctor(cli):
    """doctor tests each device, and its exit code tells caches that cannot be kept."""
    environment = {"OCL_ICD_VENDORS": cli.root}
    report = json.loads(cli("doctor", "--json", env=environment).stdout)
    assert [d["self_test"] for d in report["devices"]] == ["ok"], report
    assert report["environment"]["OCL_ICD_VENDORS"] == cli.root
    assert "self-test  ok" in cli("doctor", env=environment).stdout
    done = cli("doctor", env=dict(environment, CLATTN_CACHE_DIR="/dev/null"), code=BAD_INPUT)
    assert "/dev/null" in done.stdout
    broken = copy.copy(environment)
    broken["CLATTN_CACHE_DIR"] = "relative"
    assert "absolute" in cli("doctor", env=broken, code=BAD_INPUT).stdout


def test_doctor_survives(cli):
    """A driver that brings down its process is told of; the native CPU is tested all the same."""
    driver, folder = os.environ.get("CLATTN_CRASHING_DRIVER"), cli.folder()
    if not driver:
        return "built without OpenCL"
    write(os.path.join(folder, "crashing.icd"), driver.encode() + b"\n")
    done = cli("doctor", "--json", env={"OCL_ICD_VENDORS": folder}, code=NO_DEVICE)
    report = json.loads(done.stdout)
    assert [d["self_test"] for d in report["devices"]] == ["ok"], report
    assert report["drivers"]["files"] == {"crashing.icd": driver}, report
    assert "brings down its process" in done.stderr, done.stderr
    return None


TESTS = [test_round_trip, test_import_keeps_better, test_not_ours, test_merge, test_bad_fields,
         test_hostile_files, test_usage, test_damaged_store, test_unreadable, test_doctor,
         test_doctor_survives]

if __name__ == "__main__":
    main(TESTS, __doc__)
