#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same random problems for SECONDS, by default an hour, compared with double, in memory
# that must stay flat: sh tools/soak.sh BUILD [SECONDS [DEVICE]]. The last run is in README.md,
# "Reliability".
set -eu

build=${1:?usage: sh tools/soak.sh BUILD [SECONDS [DEVICE]]}
CLATTN_RANDOM_SECONDS=${2:-3600}
CLATTN_DEVICE=${3:-opencl}
CLATTN_RANDOM_PROBLEMS=${CLATTN_RANDOM_PROBLEMS:-24}
CK_DEFAULT_TIMEOUT=$((CLATTN_RANDOM_SECONDS + 600))
export CLATTN_RANDOM_SECONDS CLATTN_DEVICE CLATTN_RANDOM_PROBLEMS CK_DEFAULT_TIMEOUT
exec "$build/tests/test_random"
