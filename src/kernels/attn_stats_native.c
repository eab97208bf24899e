/* SPDX-License-Identifier: Apache-2.0 */
/* attn_stats_native: sums over weights on the native CPU. Source: cpu/stats.c, block_stats.h. */
#include "cpu/layout.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_attn_stats_native;

static size_t bind(void *problem, const int *t)
{
    (void)t;
    return cla_cpu_stats_bytes(problem);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_stats(cpu, problem);
}

const cla_kernel cla_kernel_attn_stats_native = {
    .name = "attn_stats_native",
    .revision = 1,
    .stage = CLA_STAGE_STATS,
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .bind = bind,
    .native = native,
};
