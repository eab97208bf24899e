/* SPDX-License-Identifier: Apache-2.0 */
/* attn_native: softmax attention on the native CPU. Source: src/cpu/attention.c, block.c. */
#include "cpu/layout.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_attn_native;

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    (void)dev;
    (void)problem;
    return t[CLA_NATIVE_ROWS] >= CLA_SPLIT_ROWS && t[CLA_NATIVE_ROWS] <= CLA_TASK_ROWS
        && t[CLA_NATIVE_KEYS] <= CLA_TILE_KEYS && t[CLA_NATIVE_SPLIT] % t[CLA_NATIVE_KEYS] == 0;
}

/*
 * Tile and part sizes set the order of sums and depend on nothing that other sequences of the
 * batch could change; task rows do not touch the result and are for balance.
 */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const double rows = (double)p->B * p->Hk * p->G * p->Nq;
    t[CLA_NATIVE_KEYS] = CLA_FEW_KEYS;
    t[CLA_NATIVE_SPLIT] = CLA_FEW_SPLIT;
    t[CLA_NATIVE_ROWS] = 96;
    if (rows / t[CLA_NATIVE_ROWS] < 8.0 * dev->info.compute_units)
        t[CLA_NATIVE_ROWS] = 48;
}

static size_t bind(void *problem, const int *t)
{
    cla_attn *p = problem;
    const cla_attn_sizes sizes = cla_native_sizes(t);
    const cla_layout l = cla_layout_of(p, &sizes);
    p->splits = l.splits;
    p->split_keys = t[CLA_NATIVE_SPLIT];
    p->work_v = 0; /* start of it all; the layout has the rest */
    return l.total * sizeof(float);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    return cla_cpu_attention(cpu, problem, t);
}

const cla_kernel cla_kernel_attn_native = {
    .name = "attn_native",
    .revision = 1,
    .stage = CLA_STAGE_ATTENTION,
    .tunables = {
        [CLA_NATIVE_ROWS] = { "ROWS", { 48, 96, 192 }, 48 },
        [CLA_NATIVE_KEYS] = { "BK", { 32, 64, 128, 256 }, 64 },
        [CLA_NATIVE_SPLIT] = { "SPLIT", { 256, 512, 1024, 2048 }, 1024 },
    },
    .priority = cla_priority_only,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .native = native,
};
