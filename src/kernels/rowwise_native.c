/* SPDX-License-Identifier: Apache-2.0 */
/* rowwise_native: norm, softmax and activations on the native CPU. Source: src/cpu/rowwise.c */
#include "cpu/cpu.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_rowwise_native;

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_rowwise(cpu, problem);
}

const cla_kernel cla_kernel_rowwise_native = {
    .name = "rowwise_native",
    .revision = 1,
    .stage = CLA_STAGE_ROWWISE,
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .native = native,
};
