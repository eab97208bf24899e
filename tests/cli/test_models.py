#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the subcommands for whole models, in TAP: test_models.py CLATTN DATA"""
import base64
import json
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib

from cli_harness import BAD_INPUT, USAGE, Cli, close, read_npy, run_all, write

DOGS = "the dogs that the cat chases run near the river ."
NASTY = "</script><img src=x onerror=alert(1)> & \" ' <b>"


def model(cli, name):
    return os.path.join(cli.golden, name)


def golden(cli, name, sentence, what):
    return read_npy(os.path.join(model(cli, name), f"golden{sentence}_{what}.npy"))


def copy_of(cli, name):
    folder = os.path.join(cli.folder(), name)
    shutil.copytree(model(cli, name), folder)
    return folder


def change(folder, name, edit):
    path = os.path.join(folder, name)
    with open(path, "rb") as f:
        data = f.read()
    write(path, edit(data))


def read_tensors(path):
    """{name: (dtype, shape, bytes)} of a safetensors file."""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(length)), f.read()
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])])
            for name, t in header.items()}


def write_tensors(path, tensors):
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        end = len(data) + len(raw)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), end]}
        data += raw
    text = json.dumps(header).encode()
    write(path, struct.pack("<Q", len(text)) + text + data)


def read_png(path):
    """Width, height and rows of an RGB picture, filters undone."""
    with open(path, "rb") as f:
        raw = f.read()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    at, data = 8, b""
    while at < len(raw):
        length, kind = struct.unpack(">I4s", raw[at:at + 8])
        body = raw[at + 8:at + 8 + length]
        (crc,) = struct.unpack(">I", raw[at + 8 + length:at + 12 + length])
        assert zlib.crc32(kind + body) == crc
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", body[:10])
            assert (depth, color) == (8, 2)
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    data, rows, last = zlib.decompress(data), [], bytes(3 * width)
    for y in range(height):
        kind, row = data[y * (3 * width + 1)], bytearray(data[y * (3 * width + 1) + 1:][:3 * width])
        for i in range(len(row)):
            a, b = row[i - 3] if i >= 3 else 0, last[i]
            c = last[i - 3] if i >= 3 else 0
            p = a + b - c
            paeth = min((a, b, c), key=lambda v: abs(p - v))
            row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        rows.append(bytes(row))
        last = row
    return width, height, rows


# ---- reading and writing text ----

def test_generate(cli):
    """generate goes on with a text, the same on every device."""
    text = cli("generate", "-m", model(cli, "gpt2-tiny"), "-p", "the dogs that", "-n", "12",
               "--device", "cpu").stdout
    assert text.startswith("the dogs that ") and len(text.split()) == 15, text
    (r,) = cli.json_lines("generate", "-m", model(cli, "gpt2-tiny"), "-p", "the dogs that", "-n",
                          "12", "--device", "cpu")
    assert r["text"] + "\n" == text and r["prompt_tokens"] == 4 and len(r["tokens"]) == 12
    assert " ".join(t["token"] for t in r["tokens"]) == text.split("that ", 1)[1].strip()
    assert all(t["logprob"] <= 0 for t in r["tokens"]) and r["token_us"] > 0
    _, logits = golden(cli, "gpt2-tiny", 0, "logits")
    row = logits[3 * 99:4 * 99]  # behind "[SEP] the dogs that"
    best = max(range(99), key=row.__getitem__)
    total = sum(math.exp(x - row[best]) for x in row)
    assert r["tokens"][0]["id"] == best
    assert abs(r["tokens"][0]["logprob"] + math.log(total)) < 1e-3
    devices = json.loads(cli("devices", "--json").stdout)
    if any(d["type"] != "native" and d["usable"] for d in devices):
        assert cli("generate", "-m", model(cli, "gpt2-tiny"), "-p", "the dogs that", "-n", "12",
                   "--device", "opencl").stdout == text


def test_kept_keys(cli):
    """--kv: keys and values kept in other types change little."""
    args = ("generate", "-m", model(cli, "gpt2-tiny"), "-p", "the dogs that", "-n", "12")
    (exact,) = cli.json_lines(*args, "--device", "cpu")
    for kv, most in (("f32", 0), ("f16", 0.01), ("bf16", 0.1), ("i8", 0.2)):
        (r,) = cli.json_lines(*args, "--kv", kv, "--device", "cpu")
        off = max(abs(a["logprob"] - b["logprob"]) for a, b in zip(exact["tokens"], r["tokens"]))
        assert r["text"] == exact["text"] and off <= most and (kv == "f32" or off > 0), (kv, off)
    (r,) = cli.json_lines(*args, "--kv", "i4", "--device", "cpu")
    assert r["tokens"][0]["logprob"] != exact["tokens"][0]["logprob"]


def test_sampling(cli):
    """draws are repeated by their seed, and kept to what is likely."""
    def draw(*args):
        return cli("generate", "-m", model(cli, "gpt2-tiny"), "-p", "Mary", "-n", "20", "--device",
                   "cpu", *args).stdout
    assert draw("--temperature", "1", "--seed", "5") == draw("--temperature", "1", "--seed", "5")
    assert len({draw("--temperature", "1", "--seed", s) for s in range(8)}) > 2
    likeliest = draw()
    for args in [("--top-k", "1"), ("--top-p", "0.001"), ()]:
        temperature = "0.01" if not args else "2"
        assert draw("--temperature", temperature, "--seed", "3", *args) == likeliest, args


def test_trace(cli):
    """--trace writes a Chrome trace in which operations lie within their steps."""
    path = os.path.join(cli.folder(), "trace.json")
    (r,) = cli.json_lines("generate", "-m", model(cli, "gpt2-tiny"), "-p", "the dogs", "-n", "4",
                          "--trace", path, "--device", "cpu")
    with open(path, encoding="utf-8") as f:
        events = json.load(f)["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    steps = [e for e in spans if e["cat"] == "step"]
    operations = [e for e in spans if e["cat"] == "operation"]
    assert [e["name"] for e in steps] == ["prompt"] + ["token"] * 4
    assert {"embedding", "norm", "q, k, v", "attention", "up", "activation", "down",
            "logits"} <= {e["name"] for e in operations}
    first, last = steps[0]["ts"], steps[-1]["ts"] + steps[-1]["dur"]
    assert all(first - 1 <= e["ts"] and e["ts"] + e["dur"] <= last + 1 for e in operations)
    assert 0 < r["kernel_fraction"] <= 1


def test_fill(cli):
    """fill says what may stand in a gap."""
    args = ("fill", "-m", model(cli, "bert-tiny"), "-t", "the bank near the [MASK] is muddy .")
    (r,) = cli.json_lines(*args, "-k", "99", "--device", "cpu")
    assert r["position"] == 5 and r["guesses"][0]["token"] == "river"
    assert abs(sum(g["probability"] for g in r["guesses"]) - 1) < 1e-4
    lines = cli(*args, "--device", "cpu").stdout.splitlines()
    assert len(lines) == 5 and lines[0].split()[2] == "river"
    cli.refuses(*args[:3], "-t", "no gap", code=BAD_INPUT, says="no [MASK]")


def test_embed(cli):
    """embed: texts side by side have the vectors that they have alone."""
    texts = [DOGS, "the bank near the river is muddy .", "he is old ."]
    options = [x for t in texts for x in ("-t", t)]
    path = os.path.join(cli.folder(), "v.npy")
    for name in ("bert-tiny", "gpt2-tiny"):
        lines = cli.json_lines("embed", "-m", model(cli, name), *options, "-o", path, "--device",
                               "cpu")
        assert [r["text"] for r in lines] == texts
        shape, values = read_npy(path)
        assert shape == (3, 96)
        close([x for r in lines for x in r["vector"]], values, 1e-6)
        for t, r in zip(texts, lines):
            (alone,) = cli.json_lines("embed", "-m", model(cli, name), "-t", t, "--device", "cpu")
            close(alone["vector"], r["vector"], 1e-4)
    (r,) = cli.json_lines("embed", "-m", model(cli, "bert-tiny"), "-t", DOGS, "--normalize")
    assert abs(sum(x * x for x in r["vector"]) - 1) < 1e-5
    table = cli("embed", "-m", model(cli, "bert-tiny"), *options).stdout.splitlines()
    assert table[1].split()[1] == "1.0000" and table[0].split()[1] == table[1].split()[0]


# ---- attention ----

def test_heads(cli):
    """heads: the numbers are those of the golden weights."""
    lines = cli.json_lines("heads", "-m", model(cli, "gpt2-tiny"), "-t", DOGS, "--device", "cpu")
    (L, H, N, _), p = golden(cli, "gpt2-tiny", 0, "attn")
    assert len(lines) == L * H
    for r in lines:
        at = (r["layer"] * H + r["head"]) * N * N
        row = [p[at + i * N:at + (i + 1) * N] for i in range(N)]
        want = {
            "previous": sum(row[i][i - 1] for i in range(1, N)) / (N - 1),
            "self": sum(row[i][i] for i in range(N)) / N,
            "first": sum(row[i][0] for i in range(1, N)) / (N - 1),
            "separator": 0,
            "distance": sum(row[i][j] * abs(i - j) for i in range(N) for j in range(N)) / N,
            "entropy": sum(-sum(x * math.log(x) for x in row[i] if x > 0) / math.log(i + 1)
                           for i in range(1, N)) / (N - 1),
        }
        for key, value in want.items():
            assert abs(r[key] - value) < 1e-3, (r, key, value)
    scores = [r[r["best"]] for r in lines]
    assert scores == sorted(scores, reverse=True)
    for r in cli.json_lines("heads", "-m", model(cli, "gpt2-tiny"), "-t", DOGS, "--pairs", "4"):
        at = (r["layer"] * H + r["head"]) * N * N
        want = sorted((p[at + i * N + j] for i in range(1, N) for j in range(i + 1)),
                      reverse=True)[:4]
        close([x["weight"] for x in r["pairs"]], want, 1e-4)
        assert all(abs(p[at + x["from"] * N + x["to"]] - x["weight"]) < 1e-4 for x in r["pairs"])
        assert not (r["layer"], r["head"]) == (3, 0) or ["chases", "dogs"] in [
            x["tokens"] for x in r["pairs"]], r
    text = cli("heads", "-m", model(cli, "gpt2-tiny"), "-t", DOGS, "--pairs", "4").stdout
    assert "chases -> dogs" in text and len(text.splitlines()) == 1 + 5 * L * H
    cli.refuses("heads", "-m", model(cli, "bert-tiny"), "-t", DOGS, "--pairs", "-1", code=USAGE,
                says="from 0 to 1000")
    untrained = cli.json_lines("heads", "-m", model(cli, "gpt2-tiny-untrained"), "-t", DOGS)
    assert min(r["entropy"] for r in untrained) > 0.98 > min(r["entropy"] for r in lines)
    top = cli("heads", "-m", model(cli, "bert-tiny"), "-t", DOGS, "-k", "3", "--sort",
              "distance").stdout.splitlines()
    assert len(top) == 4 and float(top[1].split()[-2]) >= float(top[2].split()[-2])
    cli.refuses("heads", "-m", model(cli, "bert-tiny"), "-t", DOGS, "--sort", "entrpy", code=USAGE,
                says="did you mean entropy?")


def test_heatmap_npy(cli):
    """heatmap: .npy holds the golden weights."""
    path = os.path.join(cli.folder(), "x.npy")
    for name in ("gpt2-tiny", "bert-tiny"):
        shape, want = golden(cli, name, 0, "attn")
        cli("heatmap", "-m", model(cli, name), "-t", DOGS, "--all", "-o", path)
        assert read_npy(path)[0] == shape
        close(read_npy(path)[1], want, 1e-4)
        cli("heatmap", "-m", model(cli, name), "-t", DOGS, "--layer", "2", "--head", "1", "-o",
            path)
        at = (2 * shape[1] + 1) * shape[2] ** 2
        assert read_npy(path)[0] == shape[2:]
        close(read_npy(path)[1], want[at:at + shape[2] ** 2], 1e-4)


def test_heatmap_mean(cli):
    """heatmap --mean: the mean over the heads of each layer."""
    path = os.path.join(cli.folder(), "x.npy")
    for name in ("gpt2-tiny", "bert-tiny"):
        (L, H, N, _), p = golden(cli, name, 0, "attn")
        want = [sum(p[((l * H + h) * N + i) * N + j] for h in range(H)) / H
                for l in range(L) for i in range(N) for j in range(N)]
        cli("heatmap", "-m", model(cli, name), "-t", DOGS, "--all", "--mean", "-o", path)
        assert read_npy(path)[0] == (L, N, N)
        close(read_npy(path)[1], want, 1e-4)
        cli("heatmap", "-m", model(cli, name), "-t", DOGS, "--layer", "2", "--mean", "-o", path)
        assert read_npy(path)[0] == (N, N)
        close(read_npy(path)[1], want[2 * N * N:3 * N * N], 1e-4)
    picture = os.path.join(cli.folder(), "x.png")
    for which in (("--layer", "1"), ("--all",)):
        done = cli("heatmap", "-m", model(cli, "gpt2-tiny"), "-t", DOGS, *which, "--mean", "-o",
                   picture)
        assert f"{H} heads" in done.stdout and read_png(picture)[0] > 100


def test_heatmap_png(cli):
    """heatmap: .png shows the strongest weight in the lightest colour."""
    path = os.path.join(cli.folder(), "x.png")
    done = cli("heatmap", "-m", model(cli, "gpt2-tiny"), "-t", DOGS, "--layer", "3", "--head", "0",
               "-o", path)
    assert "12 tokens" in done.stdout
    width, height, rows = read_png(path)
    assert width > 12 * 28 and height > 12 * 28
    def light(x, y):
        return sum(rows[y][3 * x:3 * x + 3])
    # The map is the dark square; its left upper corner is the first dark point of a long run.
    y = next(y for y in range(height) if sum(light(x, y) < 250 for x in range(width)) > 250)
    x = min(x for x in range(width) if light(x, y) < 700)
    cell = {(i, j): light(x + 28 * j + 14, y + 28 * i + 14) for i in range(12) for j in range(12)}
    assert cell[6, 2] > 600 and cell[6, 3] < 150 and cell[0, 0] > 600 and cell[2, 9] < 150, cell
    cli("heatmap", "-m", model(cli, "bert-tiny"), "-t", DOGS, "--all", "-o", path)
    assert read_png(path)[0] > 4 * 90
    cli("heatmap", "-m", model(cli, "bert-tiny"), "-t", "he", "--layer", "0", "--head", "0", "-o",
        path)
    assert read_png(path)[1] > 80


def page_data(path):
    with open(path, encoding="utf-8") as f:
        page = f.read()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return page, json.loads(data)


def test_heatmap_html(cli):
    """heatmap: .html holds all heads of both models, and nothing of the text is markup."""
    path = os.path.join(cli.folder(), "x.html")
    cli("heatmap", "-m", model(cli, "gpt2-tiny"), "--against", model(cli, "gpt2-tiny-untrained"),
        "-t", DOGS, "--layer", "3", "--head", "0", "-o", path)
    page, data = page_data(path)
    assert [m["name"] for m in data["models"]] == ["gpt2-tiny", "gpt2-tiny-untrained"]
    assert (data["layer"], data["head"], data["tokens"][6]) == (3, 0, "chases")
    for m in data["models"]:
        raw = base64.b64decode(m["weights"])
        close([(x / 255) ** 2 for x in raw], golden(cli, m["name"], 0, "attn")[1], 0.005)
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    cli("heatmap", "-m", model(cli, "bert-tiny"), "-t", NASTY, "-o", path)
    page, data = page_data(path)
    assert data["text"] == NASTY and page.count("</script>") == 2 and "<img" not in page
    cli.refuses("heatmap", "-m", model(cli, "gpt2-tiny"), "--against", model(cli, "bert-tiny"),
                "-t", DOGS, "-o", path, code=BAD_INPUT, says="other tokens")


CLICKS = """<script>{
const arcs_before = document.querySelectorAll('svg.arcs path').length;
document.querySelectorAll('.thumbs button')[4 * 2 + 2].click();
const where = document.getElementById('where').textContent;
document.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown' }));
document.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
document.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
document.querySelectorAll('#tokens span')[6].click();
const told = document.getElementById('readout').textContent;
document.getElementById('as-arcs').click();
document.body.dataset.report = JSON.stringify({ where, told, arcs_before,
    moved: document.getElementById('where').textContent,
    arcs: document.querySelectorAll('svg.arcs path').length,
    buttons: document.querySelectorAll('.thumbs button').length,
    text: document.getElementById('title').textContent,
    images: document.images.length });
}</script></body>"""


def test_browser(cli):
    """heatmap: the page works in headless Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        return "no Chromium"
    folder = cli.folder()
    path, picture = os.path.join(folder, "x.html"), os.path.join(folder, "x.png")
    cli("heatmap", "-m", model(cli, "gpt2-tiny"), "--against", model(cli, "gpt2-tiny-untrained"),
        "-t", DOGS, "-o", path)
    change(folder, "x.html", lambda page: page.replace(b"</body>", CLICKS.encode()))
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu",
               "--window-size=1200,900", "--user-data-dir=" + os.path.join(folder, "profile"),
               "--virtual-time-budget=3000"]
    env = dict(cli.env, HOME=folder)
    done = subprocess.run([*command, "--dump-dom", "file://" + path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=100, check=False, env=env)
    if done.returncode != 0:
        return "Chromium does not run here"
    assert 'data-ready="yes"' in done.stdout, done.stderr
    report = re.search(r'data-report="([^"]*)"', done.stdout).group(1)
    report = json.loads(report.replace("&quot;", '"').replace("&amp;", "&"))
    assert report["where"] == "layer 2, head 2" and report["moved"] == "layer 3, head 0", report
    assert report["told"].startswith("chases looks at dogs 0.99"), report
    assert report["buttons"] == 32 and report["arcs_before"] == 0 and report["arcs"] >= 1
    assert report["text"] == DOGS and report["images"] == 0
    subprocess.run([*command, "--screenshot=" + picture, "file://" + path], timeout=100, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    assert os.path.getsize(picture) > 10000
    return None


# ---- what is refused ----

def test_usage(cli):
    """usage errors of the model commands."""
    gpt, out = model(cli, "gpt2-tiny"), os.path.join(cli.folder(), "x.png")
    for args, says in [
        (("generate",), "needs --model and --prompt"),
        (("generate", "-m", gpt, "-p", "a", "-n", "-1"), "negative"),
        (("generate", "-m", gpt, "-p", "a", "--top-p", "1.5"), "from 0 to 1"),
        (("generate", "-m", gpt, "-p", "a", "b"), "options only"),
        (("fill", "-m", gpt), "needs --model and --text"),
        (("embed", "-m", gpt), "needs --model and --text"),
        (("heads", "-m", gpt), ("needs --model and --text", "see `clattn heads --help`")),
        (("heatmap", "-m", gpt, "-t", "a"), "-o"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", "x.jpg"), ".png, .html or .npy"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", out), "--layer and --head, or --all"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", out, "--layer", "1"), "--layer and --head"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", out, "--all", "--layer", "1", "--head", "1"),
         "or --all"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", out, "--layer", "-2", "--head", "1"), "from 0"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", out, "--all", "--against", gpt), "for .html"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", out, "--layer", "1", "--head", "1", "--mean"),
         "in place of --head"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", "x.html", "--mean"), "in place of --head"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", out, "--mean"), "or --all"),
        (("generate", "-m", gpt, "-p", "a", "--kv", "i16"), "unknown dtype 'i16'"),
    ]:
        cli.refuses(*args, code=USAGE, says=says)
    for args, says in [
        (("generate", "-m", model(cli, "bert-tiny"), "-p", "a"), "does not generate"),
        (("fill", "-m", gpt, "-t", "[MASK]"), "needs a BERT"),
        (("generate", "-m", "/nowhere", "-p", "a"), "config.json"),
        (("generate", "-m", gpt, "-p", "the " * 64), "reads 64 at most"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", out, "--layer", "4", "--head", "0"),
         "layer 4 does not exist"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", out, "--layer", "0", "--head", "9"),
         "head 9 does not exist"),
        (("heatmap", "-m", gpt, "-t", "a", "-o", "/nowhere/x.png", "--all"), "/nowhere"),
    ]:
        cli.refuses(*args, "--device", "cpu", code=BAD_INPUT, says=says)
    assert not os.path.exists(out)


def set_key(key, value):
    def edit(data):
        config = json.loads(data)
        config[key] = value
        if value is None:
            del config[key]
        return json.dumps(config).encode()
    return edit


def test_broken_models(cli):
    """damaged model folders are refused with a sentence."""
    huge = struct.pack("<Q", 1 << 62)
    for name, edit, says in [
        ("config.json", lambda d: b"", "is empty"),
        ("config.json", lambda d: d[:100], "config.json"),
        ("config.json", lambda d: b"[]", "not a JSON object"),
        ("config.json", lambda d: b"[" * 100000, "config.json"),
        ("config.json", lambda d: d.replace(b'"n_embd"', b'"n_embd": 7, "n_embd"'), "duplicate"),
        ("config.json", set_key("model_type", None), "no model_type"),
        ("config.json", set_key("model_type", "llama"), "model_type is llama"),
        ("config.json", set_key("n_embd", None), "n_embd is missing"),
        ("config.json", set_key("n_embd", 0), "n_embd is 0"),
        ("config.json", set_key("n_embd", 1 << 40), "n_embd is 1099511627776"),
        ("config.json", set_key("n_embd", "96"), "not a whole number"),
        ("config.json", set_key("n_head", 5), "96 cannot be divided into 5"),
        ("config.json", set_key("n_layer", 5), "no tensor h.4"),
        ("config.json", set_key("n_positions", 128), "axis 0 of wpe.weight has length 64"),
        ("config.json", set_key("vocab_size", 100), "axis 0 of wte.weight has length 99"),
        ("config.json", set_key("activation_function", "swish"), "swish"),
        ("config.json", set_key("layer_norm_epsilon", -1), "layer_norm_epsilon"),
        ("config.json", set_key("add_cross_attention", True), "add_cross_attention"),
        ("model.safetensors", lambda d: b"", "is empty"),
        ("model.safetensors", lambda d: d[:5], "5 bytes"),
        ("model.safetensors", lambda d: huge + d[8:], "4611686018427387904"),
        ("model.safetensors", lambda d: d[:-2], "926398"),
        ("model.safetensors", lambda d: d + b"xx", "end at byte"),
        ("model.safetensors", lambda d: d[:2000], "header"),
        ("model.safetensors", lambda d: d.replace(b"F16", b"F99", 1), "F99"),
        ("model.safetensors", lambda d: d.replace(b"F16", b"I16", 1), "neither F32, F16 nor BF16"),
        ("vocab.txt", lambda d: b"", "is empty"),
        ("vocab.txt", lambda d: d.replace(b"[UNK]", b"[OTHER]"), "no [UNK]"),
        ("vocab.txt", lambda d: d.replace(b"[SEP]", b"[OTHER]"), "no [SEP]"),
        ("vocab.txt", lambda d: b"x" * 5000 + b"\n" + d, "5000 bytes"),
        ("vocab.txt", lambda d: b"one\n" * 200 + d, "the model has 99"),
    ]:
        folder = copy_of(cli, "gpt2-tiny")
        change(folder, name, edit)
        cli.refuses("generate", "-m", folder, "-p", "the dogs", "--device", "cpu", code=BAD_INPUT,
                    says=says)


def test_names(cli):
    """the names that published checkpoints give their tensors all load."""
    plain = {"gpt2-tiny": lambda n: n.removeprefix("transformer."),
             "bert-tiny": lambda n: n.removeprefix("bert.")}
    classes = {"gpt2-tiny": "transformer.", "bert-tiny": "bert."}
    def old(name):  # TensorFlow's names of the norm
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias",
                                                                           "LayerNorm.beta")
    commands = {"gpt2-tiny": ("generate", "-p", "the dogs that", "-n", "8"),
                "bert-tiny": ("fill", "-t", "the bank near the [MASK] is muddy .")}
    for name, (command, *rest) in commands.items():
        def run(folder):
            return cli(command, "-m", folder, *rest, "--device", "cpu").stdout
        want = run(model(cli, name))
        tensors = read_tensors(os.path.join(model(cli, name), "model.safetensors"))
        def with_class(n):
            n = plain[name](n)
            return n if n.startswith(("cls.", "lm_head.")) else classes[name] + n
        for rename in (plain[name], with_class, old, lambda n: old(with_class(n))):
            folder = copy_of(cli, name)
            write_tensors(os.path.join(folder, "model.safetensors"),
                          {rename(n): t for n, t in tensors.items()})
            assert run(folder) == want, sorted(map(rename, tensors))[:4]


INDEX = "model.safetensors.index.json"


def shard(folder, parts):
    """Puts the tensors of a model into several files; returns the index."""
    path = os.path.join(folder, "model.safetensors")
    tensors = read_tensors(path)
    names = sorted(tensors, reverse=True)
    files = [f"model-{i + 1:05}-of-{parts:05}.safetensors" for i in range(parts)]
    for i, name in enumerate(files):
        write_tensors(os.path.join(folder, name), {n: tensors[n] for n in names[i::parts]})
    os.remove(path)
    index = {"metadata": {"total_size": sum(len(t[2]) for t in tensors.values())},
             "weight_map": {n: files[i % parts] for i, n in enumerate(names)}}
    write(os.path.join(folder, INDEX), json.dumps(index).encode())
    return index


def test_shards(cli):
    """weights in several files are those in one; an index that is damaged is refused."""
    args = ("-p", "the dogs that", "-n", "8", "--device", "cpu")
    want = cli("generate", "-m", model(cli, "gpt2-tiny"), *args).stdout
    folder = copy_of(cli, "gpt2-tiny")
    index = shard(folder, 3)
    assert cli("generate", "-m", folder, *args).stdout == want
    first, file = next(iter(index["weight_map"].items()))
    def mapped(to, tensor=first):
        return json.dumps({"weight_map": {**index["weight_map"], tensor: to}}).encode()
    many = {f"t{i}": f"{i}.safetensors" for i in range(1100)}
    for name in many.values():
        path = os.path.join(folder, name)
        if name == "0.safetensors":
            write_tensors(path, {t: ("F32", [1], bytes(4)) for t in many})
        else:
            os.link(os.path.join(folder, "0.safetensors"), path)
    for data, says in [
        (b"", "is empty"),
        (b"[]", "not a JSON object"),
        (b"{" * 100000, INDEX),
        (b"{}", "has no weight_map"),
        (b'{"weight_map": [1]}', "has no weight_map"),
        (b'{"weight_map": {}}', "has no tensor"),
        (b'{"weight_map": {"a": "x", "a": "x"}}', "duplicate"),
        (mapped(7), "has no file name"),
        (mapped(None), "has no file name"),
        (mapped(""), "is no name"),
        (mapped("../gpt2-tiny/" + file), "is no name"),
        (mapped("/etc/passwd.safetensors"), "is no name"),
        (mapped(".safetensors"), "is no name"),
        (mapped("config.json"), "is no name"),
        (mapped("x" * 300 + ".safetensors"), "is no name"),
        (mapped("none.safetensors"), "none.safetensors"),
        (mapped(next(f for f in index["weight_map"].values() if f != file)), "is not in"),
        (mapped(file, "no.such.tensor"), "is not in"),
        (json.dumps({"weight_map": many}).encode(), "more than 1024 files"),
        (json.dumps({"weight_map": {first: file}}).encode(), "has no tensor"),
    ]:
        write(os.path.join(folder, INDEX), data)
        cli.refuses("generate", "-m", folder, *args, code=BAD_INPUT, says=says)
    write(os.path.join(folder, INDEX), json.dumps(index).encode())
    change(folder, file, lambda data: data[:-2])
    cli.refuses("generate", "-m", folder, *args, code=BAD_INPUT, says=file)


TESTS = [test_generate, test_kept_keys, test_sampling, test_trace, test_fill, test_embed,
         test_heads, test_heatmap_npy, test_heatmap_mean, test_heatmap_png, test_heatmap_html,
         test_browser, test_usage, test_broken_models, test_names, test_shards]

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    run_all(TESTS, Cli(sys.argv[1], sys.argv[2]))
