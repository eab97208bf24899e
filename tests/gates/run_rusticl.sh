#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The portable kernels on a second OpenCL implementation, Mesa's rusticl on llvmpipe:
#     run_rusticl.sh CLATTN GOLDEN_FOLDER
# A few golden cases only: it compiles slowly.
set -eu

clattn=$1
golden=$2
icd=/etc/OpenCL/vendors/rusticl.icd

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export OCL_ICD_VENDORS=$icd RUSTICL_ENABLE=llvmpipe
unset CLATTN_CACHE_DIR
export XDG_CACHE_HOME="$dir" MESA_SHADER_CACHE_DIR="$dir"

if ! test -e "$icd" || ! "$clattn" devices | grep -q llvmpipe; then
    echo "1..0 # SKIP rusticl with llvmpipe is not here"
    exit 0
fi

count=0
failed=0
check() {
    kernel=$1
    dtype=$2
    shift 2
    for name in "$@"; do
        count=$((count + 1))
        if "$clattn" verify "$golden/$name" --device llvmpipe --kernel "$kernel" \
            --dtype "$dtype" > "$dir/log" 2>&1; then
            echo "ok $count - $kernel $dtype $name"
        else
            echo "not ok $count - $kernel $dtype $name"
            sed 's/^/# /' "$dir/log"
            failed=1
        fi
    done
}

check attn_prefill f32 attn_causal attn_varlen
check attn_prefill f16 attn_mask_rows
check attn_decode f32 attn_gqa attn_sinks
check attn_decode bf16 attn_varlen
echo "1..$count"
exit "$failed"
