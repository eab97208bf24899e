/* SPDX-License-Identifier: Apache-2.0 */
/* rope_native: rotary embedding on the native CPU. Source: src/cpu/rope.c */
#include "cpu/cpu.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_rope_native;

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_rope(cpu, problem);
}

const cla_kernel cla_kernel_rope_native = {
    .name = "rope_native",
    .revision = 1,
    .stage = CLA_STAGE_ROPE,
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .native = native,
};
