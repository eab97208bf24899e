/* SPDX-License-Identifier: Apache-2.0 */
/* argmax_native: argmax attention on the native CPU. Source: src/cpu/argmax.c, block_argmax.h. */
#include "cpu/layout.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_argmax_native;

static size_t bind(void *problem, const int *t)
{
    (void)t;
    return cla_cpu_argmax_bytes(problem);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_argmax(cpu, problem);
}

const cla_kernel cla_kernel_argmax_native = {
    .name = "argmax_native",
    .revision = 1,
    .stage = CLA_STAGE_ARGMAX,
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .bind = bind,
    .native = native,
};
