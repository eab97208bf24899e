/* SPDX-License-Identifier: Apache-2.0 */
/* attn_decode_cpu: attention for few rows, split keys. Source: cl/attn_decode_cpu.cl */
#include "attn_args.h"

enum { RB, KEYS };

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh;
extern const cla_blob cla_src_attn_panel_cpu_clh, cla_src_attn_cpu_clh;
extern const cla_blob cla_src_attn_rows_cpu_clh, cla_src_attn_decode_cpu;
extern const cla_blob cla_src_vec16_clh;
extern const cla_kernel cla_kernel_attn_decode_cpu, cla_kernel_attn_merge;

static size_t padded(int32_t width)
{
    return ((size_t)width + 15) / 16 * 16;
}

static size_t num_rows(const cla_attn *p)
{
    return (size_t)p->G * (size_t)p->Nq;
}

/*
 * Measured against attn_prefill_cpu on PoCL, Nk 4096: packing K costs as much as reading it for
 * about 12 rows of one key head; f16 and bf16 have V packed too. attn_prefill_cpu takes the rows of
 * each query head by themselves, at least four at a time: with fewer it wastes most of its work,
 * however many heads share a key.
 */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_attn *p = problem;
    const size_t few = p->kv_type == CLATTN_F32 && !p->paged ? 12 : 16;
    if (!cla_dev_is_vector_cpu(dev))
        return 0;
    return num_rows(p) <= few || p->Nq < 4 ? 110 : 90;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t floats = (size_t)t[RB] * (padded(p->D) + padded(p->Dv) + 96);
    const size_t heads = (size_t)p->B * (size_t)p->Hk;
    return cla_launches(dev, cla_ceil_div(num_rows(p), (size_t)t[RB]), heads)
        && floats * sizeof(float) <= CLA_MAX_PRIVATE;
}

/* Is Nk the longest of several sequences? */
static bool of_a_batch(const cla_attn *p)
{
    return p->ragged || p->has_lengths;
}

/*
 * Long parts, as every part costs a merge, but some for every thread. B is not asked, nor Nk when
 * it is the longest of several sequences: a sequence must not depend on its batch.
 */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const size_t rows = num_rows(p), enough = (size_t)dev->info.compute_units * 4;

    t[RB] = rows > 4 ? 8 : rows > 2 ? 4 : rows > 1 ? 2 : 1;
    t[KEYS] = of_a_batch(p) ? 512 : 1024;
    while (!of_a_batch(p) && t[KEYS] > 256
           && (size_t)((p->Nk + t[KEYS] - 1) / t[KEYS]) * (size_t)p->Hk < enough)
        t[KEYS] /= 2;
}

/*
 * Parts depend on the keys of one sequence alone. Where sequences have lengths of their own they
 * are always joined by attn_merge, as the longest one decides whether there is a second part.
 */
static size_t bind(void *problem, const int *t)
{
    cla_attn *p = problem;
    const int32_t parts = (p->Nk + t[KEYS] - 1) / t[KEYS];
    const int32_t fewest = of_a_batch(p) ? 2 : 1;
    const size_t rows = (size_t)p->B * (size_t)p->Hq * (size_t)p->Nq;

    p->splits = parts > fewest ? parts : fewest;
    p->split_keys = t[KEYS];
    p->work_o = 0;
    p->work_lse = (int64_t)((size_t)p->splits * rows * (size_t)p->Dv);
    if (p->splits == 1)
        return 0;
    return (size_t)p->splits * rows * ((size_t)p->Dv + 1) * sizeof(float);
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    return cla_single_items((size_t)p->splits, cla_ceil_div(num_rows(p), (size_t)t[RB]),
                            (size_t)p->B * (size_t)p->Hk);
}

const cla_kernel cla_kernel_attn_decode_cpu = {
    .name = "attn_decode_cpu",
    .revision = 1,
    .stage = CLA_STAGE_ATTENTION,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_vec16_clh,
               &cla_src_attn_panel_cpu_clh, &cla_src_attn_cpu_clh,
               &cla_src_attn_rows_cpu_clh, &cla_src_attn_decode_cpu },
    .tunables = {
        [RB] = { "RB", { 1, 2, 4, 8 }, 1 },
        [KEYS] = { "KEYS", { 256, 512, 1024 }, 512 },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .after = &cla_kernel_attn_merge,
};
