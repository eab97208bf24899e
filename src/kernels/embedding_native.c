/* SPDX-License-Identifier: Apache-2.0 */
/* embedding_native: rows of tables, added, on the native CPU. Source: src/cpu/embedding.c */
#include "cpu/cpu.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_embedding_native;

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_embedding(cpu, problem);
}

const cla_kernel cla_kernel_embedding_native = {
    .name = "embedding_native",
    .revision = 1,
    .stage = CLA_STAGE_EMBEDDING,
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .native = native,
};
