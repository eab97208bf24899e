#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a GPT-2 with random weights, to measure with: random_gpt2.py FOLDER [SIZE] [DTYPE]

SIZE is tiny, small (default, 124 M parameters), medium, large or xl; DTYPE is F32 (default) or F16.
The vocabulary has the words w0, w1, ... The numbers are small, so that nothing overflows.
"""
import array
import json
import os
import random
import struct
import sys

SIZES = {"tiny": (2, 2, 64), "small": (12, 12, 768), "medium": (24, 16, 1024),
         "large": (36, 20, 1280), "xl": (48, 25, 1600)}
VOCAB, POSITIONS = 50257, 1024


def tensors(layers, width):
    yield "wte.weight", [VOCAB, width]
    yield "wpe.weight", [POSITIONS, width]
    for i in range(layers):
        for name, shape in [("ln_1.weight", [width]), ("ln_1.bias", [width]),
                            ("attn.c_attn.weight", [width, 3 * width]),
                            ("attn.c_attn.bias", [3 * width]),
                            ("attn.c_proj.weight", [width, width]), ("attn.c_proj.bias", [width]),
                            ("ln_2.weight", [width]), ("ln_2.bias", [width]),
                            ("mlp.c_fc.weight", [width, 4 * width]), ("mlp.c_fc.bias", [4 * width]),
                            ("mlp.c_proj.weight", [4 * width, width]),
                            ("mlp.c_proj.bias", [width])]:
            yield f"h.{i}.{name}", shape
    yield "ln_f.weight", [width]
    yield "ln_f.bias", [width]


def count_of(shape):
    n = 1
    for length in shape:
        n *= length
    return n


def random_block(size, dtype):
    """Bytes of `size` numbers; tensors are made of such blocks, cut anew each time."""
    rng = random.Random(1)
    values = [rng.gauss(0, 0.02) for _ in range(size)]
    if dtype == "F32":
        return array.array("f", values).tobytes()
    return b"".join(struct.pack("<e", x) for x in values)


def write_weights(path, layers, width, dtype):
    item = 4 if dtype == "F32" else 2
    header, at = {}, 0
    for name, shape in tensors(layers, width):
        size = item * count_of(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = random_block(1 << 20, dtype)
    rng = random.Random(2)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors(layers, width):
            left = item * count_of(shape)
            while left > 0:
                first = item * rng.randrange(1 << 19)
                part = block[first:first + left]
                f.write(part)
                left -= len(part)


def main(folder, size="small", dtype="F32"):
    layers, heads, width = SIZES[size]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w", encoding="ascii") as f:
        json.dump({"model_type": "gpt2", "n_embd": width, "n_head": heads, "n_layer": layers,
                   "n_positions": POSITIONS, "vocab_size": VOCAB}, f)
    with open(os.path.join(folder, "vocab.txt"), "w", encoding="ascii") as f:
        f.write("[UNK]\n[SEP]\n" + "".join(f"w{i}\n" for i in range(VOCAB - 2)))
    write_weights(os.path.join(folder, "model.safetensors"), layers, width, dtype)


if __name__ == "__main__":
    folder, *rest = sys.argv[1:] or ["-"]
    if folder.startswith("-") or (rest and rest[0] not in SIZES):
        sys.exit(__doc__)
    main(folder, *rest[:2])
