#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From a bare Debian 12 or Ubuntu to a first attention: installs what is missing, builds, runs.
# Can be run again at any time, from any directory.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/setup.sh"

build=$root/build
clattn=$build/tools/clattn
data=$build/quickstart
shape=1,8,8,1024,1024,64

# Shows a command as the reader would type it, then runs it.
run() {
    say "  \$ clattn $*"
    "$clattn" "$@"
}

say "1. What clattn needs"
setup_build
say "   all there"

say "2. Build, in build/"
configure "$build" --buildtype=release -Dopencl=enabled -Dcli=enabled
compile "$build"
say "   build/tools/clattn is ready"

say "3. The devices of this machine"
run devices

say "4. Attention, from .npy files: 8 heads, 1024 rows, width 64"
mkdir -p "$data"
cd "$data"
for name in q k v; do
    [ -f "$name.npy" ] || python3 "$root/tools/npy.py" random "$name.npy" 1 8 1024 64
done
run attention q.npy k.npy v.npy -o o.npy --causal
python3 "$root/tools/npy.py" show o.npy

say "5. How fast, beside what this device can do at best (its floor)"
run bench attention --shape "$shape" --causal

say "6. A small trained model: a sentence, and what one of its heads looks at"
gpt=$root/tests/data/gpt2-tiny
if installed libutf8proc-dev && installed libpng-dev; then
    run generate --model "$gpt" --prompt "the dogs that the cat" -n 6
    run heatmap --model "$gpt" --text "the dogs that the cat chases run near the river ." \
        --layer 3 --head 0 -o heatmap.png
else
    say "   needs libutf8proc-dev and libpng-dev, which are not here"
fi

cat <<END

The files are in build/quickstart. Next, try:
  build/tools/clattn attention --help
  build/tools/clattn bench attention --shape 1,32,8,512,512,128 --dtype f16
  build/tools/clattn cost attention --shape $shape
  sh tools/test.sh
The C example is in README.md.
END
