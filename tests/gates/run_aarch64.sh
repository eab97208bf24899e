#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The native CPU on 64-bit ARM: run_aarch64.sh SOURCE BUILD. Cross-compiles with warnings as errors,
# and runs test programs under qemu-user. The libraries that these need are where setup.sh put them.
set -eu

source=$1
build=$2/aarch64
libraries=$source/build-arm64-libs

skip() {
    echo "1..0 # SKIP $*"
    exit 0
}

command -v meson >/dev/null || skip "meson is not in PATH"
command -v aarch64-linux-gnu-gcc >/dev/null || skip "no cross compiler for 64-bit ARM"
command -v qemu-aarch64 >/dev/null || skip "no qemu-aarch64"
[ -e "$libraries/usr/lib/aarch64-linux-gnu/pkgconfig/check.pc" ] ||
    skip "no check and jansson for 64-bit ARM in $libraries"

# Optimisation 1 for what only surrounds the kernels, which have their own.
export PKG_CONFIG_SYSROOT_DIR="$libraries"
export PKG_CONFIG_LIBDIR="$libraries/usr/lib/aarch64-linux-gnu/pkgconfig"
[ -f "$build/build.ninja" ] ||
    meson setup "$build" "$source" --cross-file "$source/tests/gates/aarch64.ini" -Dwerror=true \
        -Dtests=true -Doptimization=1 -Dopencl=disabled -Dsqlite=disabled -Dlibmd=disabled \
        -Dcli=disabled -Dmodels=disabled -Dpng=disabled >&2

set -- tests/test_kernels tests/test_golden tests/test_projection tests/test_projection_kernels \
    tests/test_linear tests/test_linear_kernels tests/test_threads
ninja -C "$build" "$@" >&2

export CLATTN_GOLDEN_DIR="$source/tests/golden" CLATTN_DEVICE=cpu CK_DEFAULT_TIMEOUT=600
# Each configuration of the native kernels runs where they are not emulated.
export CLATTN_TEST_WALK=pairs
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
export QEMU_SET_ENV="LD_LIBRARY_PATH=$libraries/usr/lib/aarch64-linux-gnu"
echo "1..$#"
number=0
status=0
for program in "$@"; do
    number=$((number + 1))
    verdict=ok
    qemu-aarch64 "$build/$program" >"$build/test.log" 2>&1 || verdict='not ok'
    echo "$verdict $number - $program"
    if [ "$verdict" != ok ]; then
        status=1
        grep -v '^ok' "$build/test.log" | tail -n 30 | sed 's/^/# /'
    fi
done
exit "$status"
