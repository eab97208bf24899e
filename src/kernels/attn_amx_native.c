/* SPDX-License-Identifier: Apache-2.0 */
/* attn_amx_native: softmax attention of bf16 in tiles of AMX. Source: src/cpu/block_amx.h. */
#include "cpu/layout.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_attn_amx_native;

/* Above attn_native where a row of tiles has enough to do; else it does what that does. */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_attn *p = problem;
    (void)dev;
    return (int64_t)p->G * p->Nq > CLA_SPLIT_ROWS ? 10 : -1;
}

/* p is rounded to bf16: another dtype of o would tell. */
static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    (void)dev;
    return p->in_type == CLATTN_BF16 && p->kv_type == CLATTN_BF16 && p->out_type == CLATTN_BF16
        && t[CLA_NATIVE_ROWS] <= CLA_TASK_ROWS && t[CLA_NATIVE_KEYS] <= CLA_TILE_KEYS;
}

/* The scores of a group and what it reads of a tile stay in the first-level cache. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const double rows = (double)p->B * p->Hk * p->G * p->Nq;
    t[CLA_NATIVE_KEYS] = 128;
    t[CLA_NATIVE_ROWS] = rows / 192 < 8.0 * dev->info.compute_units ? 96 : 192;
}

static size_t bind(void *problem, const int *t)
{
    cla_attn *p = problem;
    const cla_attn_sizes sizes = cla_wide_sizes(t);
    const cla_layout l = cla_layout_of(p, &sizes);
    p->splits = l.splits;
    p->split_keys = sizes.split;
    p->work_v = 0; /* start of it all; the layout has the rest */
    return l.total * sizeof(float);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    return cla_cpu_attention_wide(cpu, problem, t);
}

const cla_kernel cla_kernel_attn_amx_native = {
    .name = "attn_amx_native",
    .revision = 1,
    .stage = CLA_STAGE_ATTENTION,
    .needs = CLA_CAP_AMX,
    .tunables = {
        [CLA_NATIVE_ROWS] = { "ROWS", { 48, 96, 192 }, 96 },
        [CLA_NATIVE_KEYS] = { "BK", { 64, 128, 256 }, 128 },
    },
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .native = native,
};
