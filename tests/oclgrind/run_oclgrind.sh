#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs tiny_kernels on the Oclgrind simulator, which looks for races, accesses out of bounds,
# uninitialised values and barriers that not all work-items reach:
#     run_oclgrind.sh PROGRAM groups|single
# Oclgrind's exit status says nothing; what it found is in its log.
set -eu

program=$1
kind=$2
icd=
for dir in /usr/lib /usr/lib64 /usr/local/lib /usr/lib/x86_64-linux-gnu; do
    for file in "$dir"/oclgrind/liboclgrind-rt-icd.so "$dir"/liboclgrind-rt-icd.so; do
        test ! -e "$file" || icd=$file
    done
done
if test -z "$icd"; then
    echo "1..0 # SKIP oclgrind is not here"
    exit 0
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/vendors"
echo "$icd" > "$dir/vendors/oclgrind.icd"

# Kernels of single work-items hold float16 vectors, whose upper halves it takes for uninitialised.
if test "$kind" = groups; then
    export OCLGRIND_UNINITIALIZED=1
fi
# Optimised code has integer types that it cannot run, and inlined functions that return structs
# an intrinsic that it does not know.
status=0
OCL_ICD_VENDORS="$dir/vendors" CLATTN_DEVICE=opencl OCLGRIND_LOG="$dir/log" OCLGRIND_DATA_RACES=1 \
    OCLGRIND_BUILD_OPTIONS="-cl-opt-disable -Dalways_inline=noinline" \
    "$program" "$kind" || status=$?

# The library tries out half arithmetic, which the simulator does not have.
touch "$dir/log"
awk -v RS= -v ORS='\n\n' '!/Kernel: probe_/' "$dir/log" > "$dir/findings"
if test -s "$dir/findings"; then
    sed 's/^/# /' "$dir/findings" | head -n 200
    echo "Bail out! oclgrind found something, see above"
    exit 1
fi
exit "$status"
