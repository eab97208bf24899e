/* SPDX-License-Identifier: Apache-2.0 */
/* kv_append_native: rows into a KV cache on the native CPU. Source: src/cpu/append.c */
#include "cpu/cpu.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_kv_append_native;

static int priority(const cla_dev *dev, const void *problem)
{
    (void)dev;
    (void)problem;
    return 0;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    (void)dev;
    (void)problem;
    (void)t;
    return true;
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
    .priority = priority,
    .ok = ok,
    .native = native,
};
