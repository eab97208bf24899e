/* SPDX-License-Identifier: Apache-2.0 */
/* attn_prefill: attention for many rows on any device. Source: cl/attn_prefill.cl */
#include "attn_args.h"

enum { WG, BR, BC, DC };

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh, cla_src_attn_score_clh,
    cla_src_attn_tile_clh, cla_src_attn_prefill;
extern const cla_kernel cla_kernel_attn_prefill;

/* Value columns of a work-group: up to 4 float4 per row of a work-item. */
static size_t slice_columns(const cla_attn *p)
{
    const size_t wanted = cla_ceil_div((size_t)p->Dv, 4 * CLA_ATTN_TILE_ITEMS);
    return (wanted < 4 ? wanted : 4) * 4 * CLA_ATTN_TILE_ITEMS;
}

static size_t num_groups(const cla_attn *p, const int *t)
{
    const size_t slices = cla_ceil_div((size_t)p->Dv, slice_columns(p));
    return cla_ceil_div((size_t)p->Nq, (size_t)t[BR]) * slices * (size_t)p->Hq * (size_t)p->B;
}

static size_t local_bytes(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t chunk4 = (size_t)t[DC] / 4 + 1;
    const size_t q = (size_t)t[BR] * chunk4, weights = (size_t)t[BR] * ((size_t)t[BC] / 4 + 1);
    const size_t keys = (size_t)t[BC] * chunk4;
    const size_t reduce = (size_t)t[BR] * (CLA_ATTN_TILE_ITEMS / 4 + 1);
    const bool keep_q = p->D <= t[DC] && (q + weights + keys + reduce) * 16 < CLA_MAX_LOCAL;
    const size_t shared = keep_q ? q + weights : q > weights ? q : weights;
    return (shared + keys + reduce + 1) * 16; /* the last one is a word and its padding */
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    (void)dev;
    return cla_attn_is_tile(t[WG], t[BR]) && local_bytes(problem, t) <= CLA_MAX_LOCAL
        && num_groups(problem, t) <= CLA_MAX_GROUPS;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const bool roomy = dev->info.local_bytes >= (32u << 10) && dev->info.max_work_group >= 128;
    t[DC] = 32;
    if (p->Nq > 32 && roomy) {
        t[WG] = 128;
        t[BR] = 64;
        t[BC] = 64;
    } else {
        t[WG] = 64;
        t[BR] = p->Nq > 16 ? 32 : 16;
        t[BC] = 32;
    }
}

static cla_geometry geometry(const void *problem, const int *t)
{
    return cla_groups(num_groups(problem, t), t[WG]);
}

const cla_kernel cla_kernel_attn_prefill = {
    .name = "attn_prefill",
    .revision = 1,
    .stage = CLA_STAGE_ATTENTION,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_attn_score_clh,
               &cla_src_attn_tile_clh, &cla_src_attn_prefill },
    .tunables = {
        [WG] = { "WG", { 64, 128 }, 64 },
        [BR] = { "BR", { 16, 32, 64 }, 32 },
        [BC] = { "BC", { 32, 64 }, 32 },
        [DC] = { "DC", { 32, 64 }, 32 },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = cla_priority_portable,
    .ok = ok,
    .estimate = estimate,
    .bind = cla_attn_bind_whole,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
