/* SPDX-License-Identifier: Apache-2.0 */
/* attn_mean: weights of all heads together, after attn_stats. Source: cl/attn_mean.cl */
#include "attn_args.h"

enum { WG, BR, BC, DC }; /* of cla_attn.tile */

extern const cla_blob cla_src_prelude_clh, cla_src_kv_clh, cla_src_attn_clh, cla_src_attn_score_clh,
    cla_src_attn_tile_clh, cla_src_attn_stats_clh, cla_src_attn_mean;
extern const cla_kernel cla_kernel_attn_mean;

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    (void)dev;
    (void)t;
    return p->has_mean;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t row_tiles = cla_ceil_div((size_t)p->mean_rows, (size_t)p->tile[BR]);
    const size_t key_tiles = cla_ceil_div((size_t)p->Nk, (size_t)p->tile[BC]);
    (void)t;
    return cla_groups(row_tiles * key_tiles * (size_t)p->B, p->tile[WG]);
}

static size_t local_bytes(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    (void)t;
    return cla_attn_chunk_bytes(p->tile[BR], p->tile[BC], p->tile[DC]);
}

const cla_kernel cla_kernel_attn_mean = {
    .name = "attn_mean",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_attn_score_clh,
               &cla_src_attn_tile_clh, &cla_src_attn_stats_clh, &cla_src_attn_mean },
    .constants = { CLA_ATTN_CONSTANTS,
                   { "WG", offsetof(cla_attn, tile[WG]) },
                   { "BR", offsetof(cla_attn, tile[BR]) },
                   { "BC", offsetof(cla_attn, tile[BC]) },
                   { "DC", offsetof(cla_attn, tile[DC]) } },
    .args = cla_attn_stats_args,
    .ok = ok,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
