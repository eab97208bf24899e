/* SPDX-License-Identifier: Apache-2.0 */
/* attn_probs_native: probabilities on the native CPU. Source: src/cpu/probs.c, block.c. */
#include "cpu/layout.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_attn_probs_native;

static size_t bind(void *problem, const int *t)
{
    (void)t;
    return cla_cpu_probs_bytes(problem);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_probs(cpu, problem);
}

const cla_kernel cla_kernel_attn_probs_native = {
    .name = "attn_probs_native",
    .revision = 1,
    .stage = CLA_STAGE_PROBS,
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .bind = bind,
    .native = native,
};
