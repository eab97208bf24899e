#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the tests of the native CPU under sanitizers: sh tools/sanitize.sh address|thread [TEST...]
# Drivers and their compilers are not what is tested, and no OpenCL driver is loaded. Without names
# the tests are those below; the folder is build-address or build-thread, or $CLATTN_SANITIZE_BUILD.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/setup.sh"

kind=${1:-}
case $kind in
    address) flags=address,undefined ;;
    thread) flags=thread ;;
    *) die "usage: sh tools/sanitize.sh address|thread [TEST...]" ;;
esac
shift
build=${CLATTN_SANITIZE_BUILD:-$root/build-$kind}

# ThreadSanitizer does not see libgomp's barriers, which are futexes: with it OpenMP is left out,
# and what is looked at are contexts of several threads. Nothing is suppressed.
if [ "$kind" = thread ]; then
    [ $# -gt 0 ] || set -- parallel threads
    options=-Dopenmp=disabled
else
    [ $# -gt 0 ] || set -- host kv_pages store threads parallel \
        'errors cpu' 'attention cpu' 'argmax cpu' \
        'kv cpu' 'kv_attention cpu' 'layer cpu' 'projection cpu' 'linear cpu' 'rowwise cpu' \
        'selfcheck cpu' 'random cpu' tokenizer model_files
    options=-Dopenmp=auto
fi

find_meson "$root/build-meson"
configure "$build" --buildtype=debugoptimized -Dtests=true -Db_sanitize="$flags" \
    -Db_lundef=false "$options"
compile "$build"

OCL_ICD_VENDORS=$build/no-driver
ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export OCL_ICD_VENDORS ASAN_OPTIONS UBSAN_OPTIONS
exec "$MESON" test -C "$build" --no-rebuild --num-processes 1 --timeout-multiplier 4 "$@"
