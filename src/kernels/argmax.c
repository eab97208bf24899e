/* SPDX-License-Identifier: Apache-2.0 */
/* argmax: argmax attention on any device. Source: cl/argmax.cl */
#include "argmax_parts.h"
#include "attn_args.h"

enum { WG, BR, BC, DC, KEYS };

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh, cla_src_attn_score_clh,
    cla_src_attn_tile_clh, cla_src_argmax_clh;
extern const cla_blob cla_src_argmax;
extern const cla_kernel cla_kernel_argmax, cla_kernel_argmax_pick;

static size_t num_groups(const cla_attn *p, const int *t)
{
    const size_t tiles = ((size_t)p->Nq + (size_t)t[BR] - 1) / (size_t)t[BR];
    const size_t keys = (size_t)t[KEYS];
    const size_t splits = (size_t)p->Nk > keys ? ((size_t)p->Nk + keys - 1) / keys : 1;
    return tiles * splits * (size_t)p->Hq * (size_t)p->B;
}

static size_t local_bytes(const void *problem, const int *t)
{
    (void)problem;
    return cla_attn_chunk_bytes(t[BR], t[BC], t[DC])
         + (size_t)t[BR] * CLA_ATTN_TILE_ITEMS * sizeof(uint64_t);
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t picked = (size_t)p->B * (size_t)p->Hq * (size_t)p->Nq;
    (void)dev;
    return cla_attn_is_tile(t[WG], t[BR]) && local_bytes(problem, t) <= CLA_MAX_LOCAL
        && num_groups(problem, t) <= CLA_MAX_GROUPS && picked <= CLA_MAX_GROUPS;
}

/* Few rows: many parts, so that all compute units read keys. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const bool roomy = dev->info.local_bytes >= (32u << 10) && dev->info.max_work_group >= 128;
    t[DC] = 32;
    t[WG] = p->Nq > 32 && roomy ? 128 : 64;
    t[BR] = p->Nq > 32 && roomy ? 64 : p->Nq > 16 ? 32 : 16;
    t[BC] = p->Nq > 32 && roomy ? 64 : 32;
    t[KEYS] = p->Nq > 32 ? 4096 : 256;
}

static size_t bind(void *problem, const int *t)
{
    return cla_argmax_split(problem, t[KEYS]);
}

static cla_geometry geometry(const void *problem, const int *t)
{
    return cla_groups(num_groups(problem, t), t[WG]);
}

const cla_kernel cla_kernel_argmax = {
    .name = "argmax",
    .revision = 1,
    .stage = CLA_STAGE_ARGMAX,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_attn_score_clh,
               &cla_src_attn_tile_clh, &cla_src_argmax_clh, &cla_src_argmax },
    .tunables = {
        [WG] = { "WG", { 64, 128 }, 64 },
        [BR] = { "BR", { 16, 32, 64 }, 32 },
        [BC] = { "BC", { 32, 64 }, 32 },
        [DC] = { "DC", { 32, 64 }, 32 },
        [KEYS] = { "KEYS", { 256, 1024, 4096 }, 1024, .run_time = true },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = cla_priority_portable,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .local_bytes = local_bytes,
    .after = &cla_kernel_argmax_pick,
};
