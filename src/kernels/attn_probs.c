/* SPDX-License-Identifier: Apache-2.0 */
/* attn_probs: the probabilities of chosen heads and rows. Source: cl/attn_probs.cl */
#include "attn_args.h"

enum { WG, BR, BC, DC };

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh, cla_src_attn_score_clh,
    cla_src_attn_tile_clh, cla_src_attn_probs;
extern const cla_kernel cla_kernel_attn_probs;

static size_t num_groups(const cla_attn *p, const int *t)
{
    return cla_ceil_div((size_t)p->probs_rows, (size_t)t[BR]) * (size_t)p->probs_heads
         * (size_t)p->B;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    (void)dev;
    return num_groups(problem, t) <= CLA_MAX_GROUPS;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    (void)dev;
    t[WG] = 64;
    t[BR] = p->probs_rows > 16 ? 32 : 16;
    t[BC] = 32;
    t[DC] = 32;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    return cla_groups(num_groups(problem, t), t[WG]);
}

static size_t local_bytes(const void *problem, const int *t)
{
    (void)problem;
    return cla_attn_chunk_bytes(t[BR], t[BC], t[DC])
         + (size_t)t[BR] * (CLA_ATTN_TILE_ITEMS + 1) * 2 * sizeof(float);
}

const cla_kernel cla_kernel_attn_probs = {
    .name = "attn_probs",
    .revision = 1,
    .stage = CLA_STAGE_PROBS,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_attn_score_clh,
               &cla_src_attn_tile_clh, &cla_src_attn_probs },
    .tunables = {
        [WG] = { "WG", { 64 }, 64 },
        [BR] = { "BR", { 16, 32 }, 32 },
        [BC] = { "BC", { 32 }, 32 },
        [DC] = { "DC", { 32 }, 32 },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = cla_priority_portable,
    .ok = ok,
    .estimate = estimate,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
