#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Which branches of the checks of input the tests take: sh tools/coverage.sh
# Builds in build-coverage/ (or $CLATTN_COVERAGE_BUILD), runs the tests of the native CPU, of files
# and of the command line, and prints what tools/coverage.py makes of them.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/setup.sh"

build=${CLATTN_COVERAGE_BUILD:-$root/build-coverage}
find_meson "$root/build-meson"
configure "$build" --buildtype=debug -Dtests=true -Dcli=enabled -Dfuzz=disabled -Db_coverage=true
compile "$build"

find "$build" -name '*.gcda' -delete
"$MESON" test -C "$build" --no-rebuild --timeout-multiplier 4 \
    host kv_pages npy store store_file threads no_opencl model_files tokenizer seeds tune \
    'errors cpu' 'attention cpu' 'argmax cpu' 'kv cpu' 'kv_attention cpu' 'kv_errors cpu' \
    'layer cpu' 'plan cpu' 'projection cpu' 'linear cpu' 'rowwise cpu' 'stats cpu' 'device cpu' \
    'selfcheck cpu' 'check cpu' 'model cpu' 'errors opencl' 'device opencl' 'interop opencl' \
    'cli' 'cli linear' 'cli project' 'cli tune' 'cli wisdom' 'cli models'
python3 "$root/tools/coverage.py" "$build"
