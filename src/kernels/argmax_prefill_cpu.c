/* SPDX-License-Identifier: Apache-2.0 */
/* argmax_prefill_cpu: argmax attention for many rows. Source: cl/argmax_prefill_cpu.cl */
#include "argmax_parts.h"
#include "attn_args.h"
#include "cpu/cpu.h"

enum { BR, NV, MB, KEYS };

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh;
extern const cla_blob cla_src_attn_panel_cpu_clh, cla_src_attn_cpu_clh,
    cla_src_argmax_clh, cla_src_argmax_cpu_clh;
extern const cla_blob cla_src_argmax_prefill_cpu;
extern const cla_blob cla_src_vec16_clh;
extern const cla_kernel cla_kernel_argmax_prefill_cpu, cla_kernel_argmax_pick;

/* Work-items of a thread that let threads finish at about the same time. */
#define ITEMS_PER_THREAD 8
/* Rows that are worth the turning of their keys. */
#define MANY_ROWS 24

static size_t num_rows(const cla_attn *p)
{
    return (size_t)p->G * (size_t)p->Nq;
}

/* Work-items of one part of the keys. */
static size_t num_items(const cla_attn *p, const int *t)
{
    const size_t rows = (size_t)t[BR] * (size_t)t[MB];
    return (num_rows(p) + rows - 1) / rows;
}

/* Above argmax_cpu for many rows only. */
static int priority(const cla_dev *dev, const void *problem)
{
    if (!cla_dev_is_vector_cpu(dev))
        return 0;
    return num_rows(problem) >= MANY_ROWS ? 110 : 20;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t rows = (size_t)t[BR] * (size_t)t[MB], heads = (size_t)p->B * (size_t)p->Hk;
    const size_t padded = ((size_t)p->D + 15) / 16 * 16;
    const size_t floats = rows * (padded + 48) + 16 * (size_t)t[NV] * padded;
    return cla_launches(dev, num_items(p, t), heads)
        && floats * sizeof(float) <= CLA_MAX_PRIVATE;
}

/* Blocks as in attn_prefill_cpu; keys are split where rows leave threads without work. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const bool wide = cla_isa_is_wide(cla_cpu_isa(NULL));
    const size_t enough = (size_t)dev->info.compute_units * ITEMS_PER_THREAD;

    t[BR] = wide ? 12 : 6;
    t[NV] = wide ? 2 : 1;
    t[MB] = 8;
    t[KEYS] = 4096;
    if (num_rows(p) < (size_t)t[BR] * 8)
        t[MB] = num_rows(p) > (size_t)t[BR] * 2 ? 4 : 2;
    if (num_items(p, t) * (size_t)p->B * (size_t)p->Hk < enough)
        t[KEYS] = 512;
}

static size_t bind(void *problem, const int *t)
{
    return cla_argmax_split(problem, t[KEYS]);
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    return cla_single_items((size_t)p->splits, num_items(p, t), (size_t)p->B * (size_t)p->Hk);
}

const cla_kernel cla_kernel_argmax_prefill_cpu = {
    .name = "argmax_prefill_cpu",
    .revision = 1,
    .stage = CLA_STAGE_ARGMAX,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_vec16_clh,
               &cla_src_attn_panel_cpu_clh, &cla_src_attn_cpu_clh,
               &cla_src_argmax_clh, &cla_src_argmax_cpu_clh, &cla_src_argmax_prefill_cpu },
    .tunables = {
        [BR] = { "BR", { 4, 6, 12 }, 4 },
        [NV] = { "NV", { 1, 2 }, 1 },
        [MB] = { "MB", { 2, 4, 8 }, 2 },
        [KEYS] = { "KEYS", { 512, 4096 }, 4096, .run_time = true },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .after = &cla_kernel_argmax_pick,
};
