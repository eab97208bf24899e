#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same random problems for SECONDS, by default an hour, compared with double, in memory
# that must stay flat: sh tools/soak.sh BUILD [SECONDS [DEVICE]]. Exits with 77 where there is no
# such device.
set -eu

build=${1:?usage: sh tools/soak.sh BUILD [SECONDS [DEVICE]]}
CLATTN_RANDOM_SECONDS=${2:-3600}
CLATTN_DEVICE=${3:-opencl}
CLATTN_RANDOM_PROBLEMS=${CLATTN_RANDOM_PROBLEMS:-24}
CK_DEFAULT_TIMEOUT=$((CLATTN_RANDOM_SECONDS + 600))
export CLATTN_RANDOM_SECONDS CLATTN_DEVICE CLATTN_RANDOM_PROBLEMS CK_DEFAULT_TIMEOUT

said=$(mktemp)
trap 'rm -f "$said"' EXIT
code=0
"$build/tests/test_random" >"$said" || code=$?
cat "$said"
if grep -q '^1\.\.0 # SKIP' "$said"; then
    echo "error: nothing ran on $CLATTN_DEVICE" >&2
    exit 77
fi
exit $code
