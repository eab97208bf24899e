/* SPDX-License-Identifier: Apache-2.0 */
/* attn_prefill_tile: attention for many rows on a matrix engine. Source: cl/attn_prefill_tile.cl */
#include "attn_args.h"
#include "tile_parts.h"

enum { TILE, SR, SC, MR, BC, QR };

extern const cla_blob cla_src_kv_clh, cla_src_prelude_clh, cla_src_attn_clh, cla_src_attn_score_clh,
    cla_src_attn_strip_clh, cla_src_attn_prefill_tile;
extern const cla_kernel cla_kernel_attn_prefill_tile;

/* Tiles of 16 along an axis. */
static size_t tiles_of(int32_t length)
{
    return cla_ceil_div((size_t)length, 16);
}

static size_t rows_of(const int *t)
{
    return 16 * (size_t)t[MR] * (size_t)t[SR];
}

static size_t num_groups(const cla_attn *p, const int *t)
{
    return cla_ceil_div((size_t)p->Nq, rows_of(t)) * (size_t)p->Hq * (size_t)p->B;
}

static int work_items(const int *t)
{
    return t[SR] * t[SC] * cla_tile_lanes(t[TILE]);
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t local_bytes(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t br = rows_of(t), bc = (size_t)t[BC];
    const size_t ldk = 16 * tiles_of(p->D) + 8, ldv = 16 * tiles_of(p->Dv) + 8, ldp = bc + 8;
    const size_t q = t[QR] == 1 ? br * ldk : 0;
    const size_t all = most(q + bc * (ldk + ldv) + br * ldp, br * most(ldk, ldv));
    return all * 2 + br * (size_t)t[SC] * sizeof(float) + 16; /* a word and its padding */
}

/* Floats of a work-item in tiles: o, scores, q. */
static size_t private_floats(const cla_attn *p, const int *t)
{
    const size_t lanes = (size_t)cla_tile_lanes(t[TILE]), sc = (size_t)t[SC];
    const size_t scores = (size_t)t[BC] / 16 / sc, values = cla_ceil_div(tiles_of(p->Dv), sc);
    const size_t queries = t[QR] == 1 ? 0 : tiles_of(p->D);
    const size_t of_queries = t[TILE] == CLA_TILE_SCALAR    ? 256
                            : t[TILE] == CLA_TILE_WMMA_GFX11 ? 8
                                                             : 128 / lanes;
    return (size_t)t[MR] * ((scores + values) * (256 / lanes) + queries * of_queries);
}

/* The scalar tile is for tests: few work-items say all about the algorithm. */
static bool worth_it(const cla_attn *p, const int *t)
{
    enum { REGISTERS = 256 }; /* more of a lane is nowhere */
    if (t[TILE] == CLA_TILE_SCALAR)
        return t[SR] <= 2 && t[SC] <= 2 && t[BC] <= 32
            && private_floats(p, t) * sizeof(float) * (size_t)work_items(t) <= CLA_MAX_PRIVATE;
    return private_floats(p, t) <= REGISTERS;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    return (p->in_type == CLATTN_F16 || p->in_type == CLATTN_BF16) && p->kv_type == p->in_type
        && p->out_type == p->in_type && t[TILE] == (int)cla_tile_of(dev, p->in_type)
        && t[BC] / 16 % t[SC] == 0 && worth_it(p, t) && num_groups(p, t) <= CLA_MAX_GROUPS;
}

/*
 * Above the portable kernel where there is an engine that keeps o and the scores in registers: with
 * DPAS they went to memory in what its compiler built. Few rows leave most of a tile idle.
 */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_attn *p = problem;
    const cla_tile tile = cla_tile_of(dev, p->in_type);
    if (tile == CLA_TILE_SCALAR || cla_tile_is_dpas(tile))
        return -1;
    return p->Nq <= 16 ? 45 : 90;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const bool wide = p->D > 128 || p->Dv > 128;
    t[TILE] = (int)cla_tile_of(dev, p->in_type);
    t[MR] = 1;
    t[QR] = 2;
    t[SC] = wide ? 2 : 1;
    t[SR] = wide || p->Nq <= 32 ? 2 : 4;
    t[BC] = wide ? 32 : 64;
    if (t[TILE] == CLA_TILE_MFMA || t[TILE] == CLA_TILE_WMMA_GFX11
        || t[TILE] == CLA_TILE_WMMA_GFX12)
        t[BC] = 32; /* two work-groups in 64 KB */
    if (cla_tile_is_dpas(t[TILE])) {
        t[QR] = 1;
        t[SC] = 4;
        t[BC] = 64;
    }
    if (t[TILE] == CLA_TILE_SCALAR) {
        t[SR] = t[SC] = 1;
        t[BC] = 32;
    }
    /* Very wide ones leave no registers for q, and then less room for its rows. */
    if (!worth_it(p, t))
        t[QR] = 1;
    while (t[SR] > 1 && local_bytes(p, t) > dev->info.local_bytes)
        t[SR] /= 2;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    return cla_groups(num_groups(problem, t), work_items(t));
}

const cla_kernel cla_kernel_attn_prefill_tile = {
    .name = "attn_prefill_tile",
    .revision = 1,
    .stage = CLA_STAGE_ATTENTION,
    .parts = { &cla_src_prelude_clh, CLA_TILE_PARTS, &cla_src_kv_clh, &cla_src_attn_clh,
               &cla_src_attn_score_clh, &cla_src_attn_strip_clh, &cla_src_attn_prefill_tile },
    .tunables = {
        [TILE] = CLA_TILE_TUNABLE,
        [SR] = { "SR", { 1, 2, 4, 8 }, 1 },
        [SC] = { "SC", { 1, 2, 4 }, 1 },
        [MR] = { "MR", { 1, 2 }, 1 },
        [BC] = { "BC", { 32, 64 }, 32 },
        [QR] = { "QR", { 1, 2 }, 1 },
    },
    .constants = { { "TILE_TYPE", offsetof(cla_attn, in_type) }, CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = cla_attn_bind_whole,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
