/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attn_prefill_wgmma: attention for many rows on the matrix unit of warpgroups. Source:
 * cl/attn_prefill_wgmma.cl. Estimates: what the same algorithm liked on an H200.
 */
#include "attn_args.h"
#include "wgmma.h"

enum { UNIT, CONSUMERS, BC, STAGES, TURNS, COPY };

enum {
    WARPGROUP = 128,
    ROWS = 64,     /* of a warpgroup */
    PANEL = 64,    /* columns that lie together */
    MAX_WIDTH = 256,
    WORK = 4 * 128 /* two maps, a word, and what aligning them takes */
};

extern const cla_blob cla_src_prelude_clh, cla_src_kv_clh, cla_src_attn_clh,
    cla_src_attn_score_clh, cla_src_attn_wgmma_clh, cla_src_attn_wgmma_rows_clh,
    cla_src_attn_prefill_wgmma;
extern const cla_kernel cla_kernel_attn_wgmma_maps, cla_kernel_attn_prefill_wgmma;

static size_t row_tiles(const cla_attn *p, const int *t)
{
    return cla_ceil_div((size_t)p->Nq, (size_t)(ROWS * t[CONSUMERS]));
}

static size_t num_groups(const cla_attn *p, const int *t)
{
    return row_tiles(p, t) * (size_t)p->Hq * (size_t)p->B;
}

static int padded(int width)
{
    return (width + PANEL - 1) / PANEL * PANEL;
}

static size_t local_bytes(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t D = (size_t)padded(p->D), Dv = (size_t)padded(p->Dv);
    const size_t q = (size_t)(ROWS * t[CONSUMERS]) * D;
    const size_t tiles = (size_t)(t[STAGES] * t[BC]) * (D + Dv);
    const size_t words = t[UNIT] == CLA_UNIT_ITEMS
                           ? (size_t)(WARPGROUP * t[CONSUMERS] * t[BC] / 4) * sizeof(uint32_t)
                           : sizeof(uint32_t);
    return (q + tiles) * 2 + (size_t)t[STAGES] * 32 + words;
}

/* What changes scores takes registers beside them. */
static bool is_raw(const cla_attn *p)
{
    return !p->has_mask && !p->has_bias && !p->has_alibi && !p->has_softcap;
}

/* Scores, weights and sums of a work-item, and some more: what does not fit goes through memory. */
static bool fits_registers(const cla_attn *p, const int *t)
{
    const int held = t[BC] / 2 + t[BC] / 4 + padded(p->Dv) / 2;
    return held + 20 <= cla_wgmma_registers(t[CONSUMERS]);
}

/* Rows of a tensor copy are some memory apart. */
static bool can_map(const cla_attn *p)
{
    return !p->paged && !p->has_lengths && cla_wgmma_is_whole(&p->k, p->D)
        && cla_wgmma_is_whole(&p->v, p->Dv)
        && (p->Tk <= 1 || (p->k.stride[2] > 0 && p->v.stride[2] > 0));
}

/*
 * A masked score is -2^100 in the kernel, before it is scaled; any other is 2^76 from it at least.
 * Scaled, that still has to leave the masked one no weight.
 */
#define LEAST_SCALE 0x1p-64f

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    (void)dev;
    return (p->in_type == CLATTN_F16 || p->in_type == CLATTN_BF16) && p->kv_type == p->in_type
        && p->out_type == p->in_type && p->scale >= LEAST_SCALE && p->D <= MAX_WIDTH
        && p->Dv <= MAX_WIDTH
        && (t[COPY] != CLA_COPY_MAPS || can_map(p)) && fits_registers(p, t)
        && local_bytes(p, t) <= CLA_WGMMA_LOCAL && num_groups(p, t) <= CLA_MAX_GROUPS;
}

/* Few rows leave most of a tile idle. */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_attn *p = problem;
    (void)dev;
    return p->Nq > 16 ? 100 : 30;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const int widest = p->D > p->Dv ? p->D : p->Dv;
    (void)dev;
    t[UNIT] = CLA_UNIT_WARPGROUP;
    t[CONSUMERS] = widest <= 64 ? 3 : 2;
    t[TURNS] = widest <= 64 ? 2 : 1;
    t[COPY] = can_map(p) ? CLA_COPY_MAPS : CLA_COPY_ITEMS;
    t[BC] = is_raw(p) && widest <= 192 ? 128 : 64;
    t[STAGES] = 2;
    if (local_bytes(p, t) > CLA_WGMMA_LOCAL)
        t[BC] = 64;
    t[STAGES] = t[BC] == 128 ? 2 : 4;
    while (t[STAGES] > 2 && local_bytes(p, t) > CLA_WGMMA_LOCAL)
        t[STAGES]--;
}

/* Heads under way at a time: under a causal mask, those whose keys and values fit into a cache. */
static size_t bind(void *problem, const int *t)
{
    enum { CACHE = 24 << 20 };
    cla_attn *p = problem;
    const int64_t bytes = (int64_t)p->Nk * (p->D + p->Dv) * 2, heads = (int64_t)p->Hq * p->B;
    const int64_t fit = bytes > 0 && bytes < CACHE ? CACHE / bytes * p->G : p->G;
    p->splits = (int32_t)(!p->causal ? 1 : fit < heads ? fit : heads);
    p->split_keys = p->Nk;
    p->unit_tile[0] = t[UNIT];
    p->unit_tile[1] = t[BC];
    p->unit_tile[2] = t[COPY];
    p->work_k = 0;
    return t[COPY] == CLA_COPY_MAPS ? WORK : 0;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const int producer = t[UNIT] == CLA_UNIT_WARPGROUP;
    return cla_groups(num_groups(problem, t), WARPGROUP * (t[CONSUMERS] + producer));
}

const cla_kernel cla_kernel_attn_prefill_wgmma = {
    .name = "attn_prefill_wgmma",
    .revision = 1,
    .stage = CLA_STAGE_ATTENTION,
    .needs = CLA_CAP_WGMMA,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_attn_score_clh,
               CLA_WGMMA_PARTS, &cla_src_attn_wgmma_clh, &cla_src_attn_wgmma_rows_clh,
               &cla_src_attn_prefill_wgmma },
    .tunables = {
        [UNIT] = { "UNIT", { CLA_UNIT_WARPGROUP }, CLA_UNIT_WARPGROUP },
        [CONSUMERS] = { "CONSUMERS", { 2, 3 }, 2 },
        [BC] = { "BC", { 64, 128 }, 64 },
        [STAGES] = { "STAGES", { 2, 3, 4 }, 2 },
        [TURNS] = { "TURNS", { 1, 2 }, 1 },
        [COPY] = { "COPY", { CLA_COPY_ITEMS, CLA_COPY_MAPS }, CLA_COPY_ITEMS },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .local_bytes = local_bytes,
    .before = &cla_kernel_attn_wgmma_maps,
};
