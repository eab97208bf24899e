/* SPDX-License-Identifier: Apache-2.0 */
/* proj_gemm: projection of many rows on any device. Source: cl/proj_gemm.cl */
#include "proj_args.h"

enum { TX, TY, NC, MR, BK, SPLIT };

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_proj_clh, cla_src_proj_gemm;
extern const cla_kernel cla_kernel_proj_merge, cla_kernel_proj_gemm;

enum {
    MAX_SPLIT_GROUPS = 4096, /* fill any device: parts would only cost memory */
    MIN_SPLIT_M = 256,       /* columns of a part that are worth their sums */
};

static size_t num_tiles(const cla_proj *p, const int *t)
{
    return cla_proj_tiles(p, (size_t)(t[TX] * t[NC]))
         * cla_ceil_div((size_t)p->rows, (size_t)(t[TY] * t[MR]));
}

/* Columns of a part, whole tiles of them. */
static size_t split_m(const cla_proj *p, const int *t)
{
    const size_t bk = (size_t)t[BK];
    return cla_ceil_div(cla_ceil_div((size_t)p->M, (size_t)t[SPLIT]), bk) * bk;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_proj *p = problem;
    const int wg = t[TX] * t[TY], quads = t[BK] / 4;
    const size_t tiles = num_tiles(p, t), splits = (size_t)t[SPLIT];
    (void)dev;
    return t[TY] * t[MR] * quads >= wg && t[TX] * t[NC] * quads >= wg
        && tiles <= CLA_MAX_GROUPS
        && (splits == 1 || (tiles * splits <= MAX_SPLIT_GROUPS
                            && cla_ceil_div((size_t)p->M, split_m(p, t)) == splits));
}

static size_t local_bytes(const void *problem, const int *t)
{
    (void)problem;
    return (size_t)(2 * t[BK]) * (size_t)(t[TY] * t[MR] + t[TX] * t[NC] + 8) * sizeof(float);
}

static void set_tile(int *t, int tx, int ty, int nc, int mr)
{
    t[TX] = tx;
    t[TY] = ty;
    t[NC] = nc;
    t[MR] = mr;
}

/* Do 128 sums stay in registers beside what multiplies them? On what has mma.sync they do. */
static bool many_registers(const cla_dev *dev)
{
    return dev->caps & CLA_CAP_MATRIX_F16
        && (dev->tile == CLA_TILE_MMA_K8 || dev->tile == CLA_TILE_MMA_K16);
}

/* The largest tile that leaves no unit idle, then parts for two work-groups on each. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_proj *p = problem;
    const size_t units = (size_t)dev->info.compute_units, most = (size_t)p->M / MIN_SPLIT_M;
    const bool roomy = dev->info.max_work_group >= 256 && dev->info.local_bytes >= CLA_MAX_LOCAL;
    const bool narrow = p->in_type != CLATTN_F32 && p->w_type != CLATTN_F32;
    t[SPLIT] = 1;
    if (p->rows > 64)
        set_tile(t, 16, many_registers(dev) ? 8 : 16, 8, many_registers(dev) ? 16 : 8);
    else
        set_tile(t, 16, 8, 8, p->rows > 32 ? 8 : 4);
    if (!roomy || num_tiles(p, t) * (most > 1 ? most : 1) < units)
        set_tile(t, 8, 8, p->rows > 32 ? 8 : 4, 4);
    /* 32 bytes of a row, but something to load for every work-item. */
    t[BK] = narrow || t[MR] * 2 < t[TX] ? 16 : 8;
    if (local_bytes(p, t) > dev->info.local_bytes)
        t[BK] = 8;
    while (t[SPLIT] < 16 && num_tiles(p, t) * (size_t)t[SPLIT] < 2 * units
           && (size_t)t[SPLIT] * 2 <= most)
        t[SPLIT] *= 2;
}

static size_t bind(void *problem, const int *t)
{
    cla_proj *p = problem;
    p->splits = t[SPLIT];
    p->split_m = (int32_t)split_m(p, t);
    p->work_sums = 0;
    return p->splits > 1
             ? (size_t)p->splits * (size_t)p->rows * cla_proj_tiles(p, 4) * 4 * sizeof(float)
             : 0;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const size_t wg = (size_t)(t[TX] * t[TY]);
    return (cla_geometry){ 2, { num_tiles(problem, t) * wg, (size_t)t[SPLIT], 1 }, { wg, 1, 1 } };
}

const cla_kernel cla_kernel_proj_gemm = {
    .name = "proj_gemm",
    .revision = 2,
    .stage = CLA_STAGE_PROJECTION,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_proj_clh, &cla_src_proj_gemm },
    .tunables = {
        [TX] = { "TX", { 8, 16 }, 8 },
        [TY] = { "TY", { 8, 16 }, 8 },
        [NC] = { "NC", { 4, 8 }, 4 },
        [MR] = { "MR", { 4, 8, 16 }, 4 },
        [BK] = { "BK", { 8, 16 }, 8 },
        [SPLIT] = { "SPLIT", { 1, 2, 4, 8, 16 }, 1, .run_time = true },
    },
    .constants = { CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .priority = cla_priority_portable,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .local_bytes = local_bytes,
    .after = &cla_kernel_proj_merge,
};
