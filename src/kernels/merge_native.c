/* SPDX-License-Identifier: Apache-2.0 */
/* merge_native: joins partial results on the native CPU. Source: src/cpu/merge.c. */
#include "cpu/cpu.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_merge_native;

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_merge(cpu, problem);
}

const cla_kernel cla_kernel_merge_native = {
    .name = "merge_native",
    .revision = 1,
    .stage = CLA_STAGE_MERGE,
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .native = native,
};
