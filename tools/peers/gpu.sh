#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clattn on a GPU beside PyTorch (FlashAttention-2, cuDNN, cuBLAS, torch.compile), where that is
# installed, in one run and in turns; then caches of int8 and pages, which no peer has.
#     tools/peers/gpu.sh [DEVICE [FOLDER]]
# DEVICE is what `clattn devices` lists or a part of its name, by default the first OpenCL device;
# FOLDER gets what was measured, by default tools/peers/results. Needs an OpenCL driver with the
# headers, a C compiler, meson, ninja and Python; no network. Peers that are absent are named.
# PEERS_BUILD in the environment is the build folder; PEERS_SMALL, not empty, shows in a minute that
# everything works, on shapes of no interest.
set -eu

cd "$(dirname "$0")/../.."
device=${1:-opencl}
out=${2:-tools/peers/results}
build=${PEERS_BUILD:-build-peers}

if ! [ -f "$build/build.ninja" ]; then
    meson setup "$build" . --buildtype=release -Dpeers=true >&2
fi
ninja -C "$build" >&2

mkdir -p "$out"
name=$out/gpu-$(date -u +%Y-%m-%d-%H%M%S)
python3 tools/peers/peers.py --no-build --build "$build" --gpu "$device" \
    ${PEERS_SMALL:+--small --seconds 0} --json >"$name.jsonl"
python3 tools/peers/peers.py --table "$name.jsonl" >"$name.txt"

bench() {
    echo "clattn bench $* --device $device"
    "$build/tools/clattn" bench "$@" --device "$device"
}
if [ -z "${PEERS_SMALL:-}" ]; then
    decode=16,32,8,1,8192,128
    project=1,4096,4096
else
    decode=1,4,2,1,300,64
    project=1,64,64
fi
# The tool is left out where there is no jansson.
if [ -x "$build/tools/clattn" ]; then
    bench decode --shape $decode --dtype f16 --page 16
    bench decode --shape $decode --dtype f16 --kv i8
    bench decode --shape $decode --dtype f16 --kv i4 --page 16
    bench project --shape $project --dtype f16 --weights i8
fi >>"$name.txt"
cat "$name.txt"
