#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A few golden cases on other OpenCL implementations, or in another way of one:
#     run_portable.sh rusticl|loops CLATTN GOLDEN_FOLDER
# rusticl: Mesa's, on llvmpipe; it compiles slowly. loops: the way of PoCL to run a work-group that
# is not its default. Its third, repl, writes out every work-item and compiles for minutes.
set -eu

way=$1
clattn=$2
golden=$3
icd=/etc/OpenCL/vendors/rusticl.icd

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset CLATTN_CACHE_DIR
export XDG_CACHE_HOME="$dir" MESA_SHADER_CACHE_DIR="$dir" POCL_CACHE_DIR="$dir"
if [ "$way" = rusticl ]; then
    device=llvmpipe
    export OCL_ICD_VENDORS=$icd RUSTICL_ENABLE=llvmpipe
    test -e "$icd" || device=none
else
    device="Portable Computing Language"
    export POCL_WORK_GROUP_METHOD="$way"
fi

if ! "$clattn" devices | grep -q "$device"; then
    echo "1..0 # SKIP $way: no such device"
    exit 0
fi

count=0
failed=0
# check KERNEL DTYPE CASE...
check() {
    kernel=$1
    dtype=$2
    shift 2
    for name in "$@"; do
        count=$((count + 1))
        if "$clattn" verify "$golden/$name" --device "$device" --kernel "$kernel" \
            --dtype "$dtype" > "$dir/log" 2>&1; then
            echo "ok $count - $kernel $dtype $name"
        else
            echo "not ok $count - $kernel $dtype $name"
            sed 's/^/# /' "$dir/log"
            failed=1
        fi
    done
}

case $way in
    rusticl)
        check attn_prefill f32 attn_causal
        check attn_prefill f16 attn_mask_rows
        check attn_decode f32 attn_gqa
        check attn_decode bf16 attn_varlen
        ;;
    loops)
        check attn_prefill f32 attn_causal
        check attn_decode f16 attn_gqa
        check proj_gemm f32 linear_proj_33x65x129
        check linear_chunk f32 linear_elu1_causal
        ;;
esac
echo "1..$count"
exit "$failed"
