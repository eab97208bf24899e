/* SPDX-License-Identifier: Apache-2.0 */
/* kv_append_native: rows into a KV cache on the native CPU. Source: src/cpu/append.c */
#include "cpu/layout.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_kv_append_native;

static size_t bind(void *problem, const int *t)
{
    cla_append *p = problem;
    (void)t;
    p->work_rows = 0;
    return cla_cpu_append_bytes(p);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_append(cpu, problem);
}

const cla_kernel cla_kernel_kv_append_native = {
    .name = "kv_append_native",
    .revision = 1,
    .stage = CLA_STAGE_APPEND,
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .bind = bind,
    .native = native,
};
