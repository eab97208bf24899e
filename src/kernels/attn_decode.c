/* SPDX-License-Identifier: Apache-2.0 */
/* attn_decode: attention for few rows on any device. Source: cl/attn_decode.cl */
#include "attn_args.h"

enum { WG, RB, SPLIT, JOIN };

extern const cla_blob cla_src_prelude_clh, cla_src_chunk_clh, cla_src_kv_clh, cla_src_attn_clh,
    cla_src_attn_score_clh, cla_src_attn_decode_clh, cla_src_attn_join_clh, cla_src_attn_decode;
extern const cla_kernel cla_kernel_attn_merge, cla_kernel_attn_decode;

enum { MAX_SPLITS = 256 }; /* 4 times the least WG: the weights of parts lie in its part4 */
enum { IN_LAUNCH = 1, BY_ITSELF }; /* how parts are joined */
#define MAX_QUERIES (1 << 30) /* of a key/value head, counted in int */

/* Nk of a cache follows the longest sequence of the batch, the room of the cache does not. */
static size_t most_keys(const cla_attn *p)
{
    return (size_t)(p->has_lengths ? p->Tk : p->Nk);
}

/* Keys of one part: what else is in the batch does not change it. */
static size_t split_keys(const cla_attn *p, const int *t)
{
    const size_t parts = cla_ceil_div(most_keys(p), (size_t)t[SPLIT]);
    if (parts <= MAX_SPLITS)
        return (size_t)t[SPLIT];
    return cla_ceil_div(cla_ceil_div(most_keys(p), MAX_SPLITS), 256) * 256;
}

/* Sequences of a cache always count as parts that are joined, be there one or two. */
static size_t num_splits(const cla_attn *p, const int *t)
{
    const size_t parts = cla_ceil_div((size_t)p->Nk, split_keys(p, t));
    const size_t fewest = p->has_lengths ? 2 : 1;
    return parts > fewest ? parts : fewest;
}

/* ---- the tile, as in cl/attn_decode.clh and chunk.clh ---- */

static int bits_of(const cla_attn *p)
{
    return p->kv_type == CLATTN_F32 ? 32 : p->kv_type == CLATTN_I8 ? 8
         : p->kv_type == CLATTN_I4 ? 4 : 16;
}

static int stored(const cla_attn *p, int32_t width)
{
    return p->kv_type == CLATTN_I4 ? (width + 1) / 2 * 2 : width;
}

/* Elements of a chunk of a row of so many. */
static int chunk_of(const cla_attn *p, int width)
{
    int size = 128 / bits_of(p);
    while (width % size != 0)
        size /= 2;
    return size;
}

static int value_chunks(const cla_attn *p, const int *t)
{
    const int most = t[RB] <= 2 ? 16 : 32 / t[RB], fits = chunk_of(p, stored(p, p->Dv));
    return stored(p, p->Dv) / (fits < most ? fits : most);
}

static int key_lanes(int chunks)
{
    const int turns = (chunks + 15) / 16;
    return (chunks + turns - 1) / turns;
}

static size_t local_bytes(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const int wg = t[WG], rb = t[RB], team = wg / rb;
    const int size = chunk_of(p, stored(p, p->D)), chunks = stored(p, p->D) / size;
    const int lanes = key_lanes(chunks), keys = wg / lanes * (rb <= 4 ? 8 : 4);
    const int query = lanes * (keys / 4 + 1) + (team < 32 ? team / 4 : 0);
    const int kept = rb * chunks * (size < 4 ? 1 : size / 4);
    const int float4s = rb * (query > wg ? query : wg) + (kept <= 512 ? kept : 1) + rb * keys / 4
                      + wg / 4;
    return ((size_t)float4s + (size_t)(rb + 4) / 4) * 16; /* the last: factors and a flag */
}

/* Blocks of queries: their parts, and slices of their columns, are joined together. */
static size_t num_blocks(const cla_attn *p, const int *t)
{
    const size_t blocks = cla_ceil_div((size_t)p->G * (size_t)p->Nq, (size_t)t[RB]);
    return blocks * (size_t)p->Hk * (size_t)p->B;
}

static size_t num_groups(const cla_attn *p, const int *t)
{
    const size_t slices = cla_ceil_div((size_t)value_chunks(p, t), (size_t)t[WG]);
    return num_blocks(p, t) * slices * num_splits(p, t);
}

/* Up to 16 rows prefill leaves most of its tile or most of the device idle. */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_attn *p = problem;
    if (dev->info.type == CLATTN_DEVICE_CPU)
        return p->Nq <= 16 ? 20 : 5;
    return p->Nq <= 16 ? 60 : 40;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const bool in_launch = (dev->caps & CLA_CAP_HANDOVER) != 0;
    return (int64_t)p->G * p->Nq <= MAX_QUERIES && num_groups(p, t) <= CLA_MAX_GROUPS
        && (t[JOIN] == BY_ITSELF || in_launch);
}

/*
 * As many queries as meet at a key, up to eight, whose sums fill the registers of a work-item.
 * Parts for two work-groups per compute unit from one sequence, while they are worth the merge.
 */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const int64_t queries = (int64_t)p->G * p->Nq;
    const bool roomy = dev->info.local_bytes >= (32u << 10) && dev->info.max_work_group >= 128;
    const int64_t wanted = ((int64_t)dev->info.compute_units * 2 + p->Hk - 1) / p->Hk;
    t[WG] = roomy ? 128 : 64;
    t[RB] = 1;
    while (t[RB] < 8 && t[RB] < queries)
        t[RB] *= 2;
    while (t[RB] > 1 && local_bytes(p, t) > dev->info.local_bytes)
        t[RB] /= 2;
    t[JOIN] = (dev->caps & CLA_CAP_HANDOVER) ? IN_LAUNCH : BY_ITSELF;
    t[SPLIT] = 256;
    while (t[SPLIT] < 4096 && (int64_t)t[SPLIT] * wanted * 2 <= (int64_t)most_keys(p))
        t[SPLIT] *= 2;
}

static size_t bind(void *problem, const int *t)
{
    cla_attn *p = problem;
    const size_t rows = (size_t)p->B * (size_t)p->Hq * (size_t)p->Nq;
    const size_t splits = num_splits(p, t);
    p->splits = (int32_t)splits;
    p->split_keys = (int32_t)split_keys(p, t);
    p->marks.span = t[JOIN] == IN_LAUNCH && splits > 1 ? (int64_t)num_blocks(p, t) : 0;
    p->work_o = 0;
    p->work_lse = (int64_t)(splits * rows * (size_t)p->Dv);
    return splits > 1 ? splits * rows * ((size_t)p->Dv + 1) * sizeof(float) : 0;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    return cla_groups(num_groups(problem, t), t[WG]);
}

const cla_kernel cla_kernel_attn_decode = {
    .name = "attn_decode",
    .revision = 2,
    .stage = CLA_STAGE_ATTENTION,
    .parts = { &cla_src_prelude_clh, &cla_src_chunk_clh, &cla_src_kv_clh, &cla_src_attn_clh,
               &cla_src_attn_score_clh, &cla_src_attn_decode_clh, &cla_src_attn_join_clh,
               &cla_src_attn_decode },
    .tunables = {
        [WG] = { "WG", { 64, 128 }, 64 },
        [RB] = { "RB", { 1, 2, 4, 8 }, 1 },
        [SPLIT] = { "SPLIT", { 256, 512, 1024, 4096 }, 1024, .run_time = true },
        [JOIN] = { "JOIN", { IN_LAUNCH, BY_ITSELF }, BY_ITSELF, .run_time = true },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_marks_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .local_bytes = local_bytes,
    .after = &cla_kernel_attn_merge,
};
