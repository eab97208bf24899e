#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds with warnings as errors, and runs every test. The last line says
# how many passed, failed and were skipped; the exit status is 0 only when none failed.
# Arguments go to `meson test`: sh tools/test.sh --suite unit
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/setup.sh"

build=$root/build-test

setup_build
setup_test

say "Building, in build-test/"
configure "$build" --buildtype=debugoptimized -Dwerror=true -Dtests=true \
    -Dopencl=enabled -Dcli=enabled
compile "$build"

# The results of an earlier run must not be counted.
rm -f "$build"/meson-logs/testlog.json "$build"/meson-logs/testlog.junit.xml
# Several test programs share the cores: a thread that waits for others must not spin.
export OMP_WAIT_POLICY=passive
status=0
# One more than there are cores: many tests wait for something now and then.
"$MESON" test -C "$build" --no-rebuild --num-processes $(($(nproc) + 1)) "$@" || status=$?
python3 "$root/tools/test_summary.py" "$build/meson-logs" || exit 1
exit "$status"
