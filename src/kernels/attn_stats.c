/* SPDX-License-Identifier: Apache-2.0 */
/* attn_stats: sums over the weights of each row, on any device. Source: cl/attn_stats.cl */
#include "attn_args.h"

enum { WG, BR, BC, DC };

extern const cla_blob cla_src_prelude_clh, cla_src_kv_clh, cla_src_attn_clh, cla_src_attn_score_clh,
    cla_src_attn_tile_clh, cla_src_attn_stats_clh, cla_src_attn_stats;
extern const cla_kernel cla_kernel_attn_stats, cla_kernel_attn_mean;

static size_t num_groups(const cla_attn *p, const int *t)
{
    return cla_ceil_div((size_t)p->Nq, (size_t)t[BR]) * (size_t)p->Hq * (size_t)p->B;
}

/* attn_mean, built with the same tile, follows. */
static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    (void)dev;
    return num_groups(p, t) <= CLA_MAX_GROUPS
        && cla_ceil_div((size_t)p->mean_rows, (size_t)t[BR])
                   * cla_ceil_div((size_t)p->Nk, (size_t)t[BC]) * (size_t)p->B
               <= CLA_MAX_GROUPS;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    (void)dev;
    t[WG] = 64;
    t[BR] = p->Nq > 16 ? 32 : 16;
    t[BC] = 32;
    t[DC] = 32;
}

static size_t bind(void *problem, const int *t)
{
    cla_attn *p = problem;
    for (int i = 0; i < 4; i++)
        p->tile[i] = t[i];
    p->work_rows = 0;
    return p->has_mean ? (size_t)p->B * (size_t)p->Hq * (size_t)p->Nq * 2 * sizeof(float) : 0;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    return cla_groups(num_groups(problem, t), t[WG]);
}

static size_t local_bytes(const void *problem, const int *t)
{
    (void)problem;
    return cla_attn_chunk_bytes(t[BR], t[BC], t[DC])
         + (size_t)t[BR] * ((size_t)t[BC] + 1) * sizeof(float);
}

const cla_kernel cla_kernel_attn_stats = {
    .name = "attn_stats",
    .revision = 1,
    .stage = CLA_STAGE_STATS,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_attn_score_clh,
               &cla_src_attn_tile_clh, &cla_src_attn_stats_clh, &cla_src_attn_stats },
    .tunables = {
        [WG] = { "WG", { 64 }, 64 },
        [BR] = { "BR", { 16, 32 }, 32 },
        [BC] = { "BC", { 32 }, 32 },
        [DC] = { "DC", { 32 }, 32 },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_stats_args,
    .priority = cla_priority_portable,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .local_bytes = local_bytes,
    .after = &cla_kernel_attn_mean,
};
