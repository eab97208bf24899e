/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proj_tile: projection of many rows on a matrix engine. Source: cl/proj_tile.cl. The guess is the
 * largest tile that stays in registers.
 */
#include "proj_args.h"
#include "tile_parts.h"

enum { TILE, SR, SC, MR, NC, BK };

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_proj_clh, cla_src_proj_tile;
extern const cla_kernel cla_kernel_proj_tile;

/* Rows and slots of a work-group. */
static size_t tile_rows(const int *t)
{
    return 16 * (size_t)(t[MR] * t[SR]);
}

static size_t tile_slots(const int *t)
{
    return 16 * (size_t)(t[NC] * t[SC]);
}

static size_t num_groups(const cla_proj *p, const int *t)
{
    return cla_proj_tiles(p, tile_slots(t)) * cla_ceil_div((size_t)p->rows, tile_rows(t));
}

static int work_items(const int *t)
{
    return t[SR] * t[SC] * cla_tile_lanes(t[TILE]);
}

static size_t local_bytes(const void *problem, const int *t)
{
    const size_t tiles = 2 * (tile_rows(t) + tile_slots(t)) * (size_t)(t[BK] + 8) * 2;
    const size_t strips = (size_t)(t[SR] * t[SC] * 16 * (16 * t[NC] + 4)) * sizeof(float);
    (void)problem;
    return tiles > strips ? tiles : strips;
}

/* The scalar tile is for tests: few work-items and tiles say all about the algorithm. */
static bool worth_it(const int *t)
{
    enum { SUMS = 128 }; /* of a lane: more do not stay in registers */
    const int tiles = t[MR] * t[NC];
    if (t[TILE] == CLA_TILE_SCALAR)
        return t[SR] <= 2 && t[SC] <= 2 && tiles <= 2 && t[BK] == 32;
    return tiles * (256 / cla_tile_lanes(t[TILE])) <= SUMS;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_proj *p = problem;
    const size_t wg = (size_t)work_items(t), chunks = (size_t)t[BK] / 8;
    return (p->in_type == CLATTN_F16 || p->in_type == CLATTN_BF16) && p->w_type == p->in_type
        && p->w_along == CLA_W_ALONG_M && t[TILE] == (int)cla_tile_of(dev, p->in_type)
        && tile_rows(t) * chunks % wg == 0 && tile_slots(t) * chunks % wg == 0 && worth_it(t)
        && num_groups(p, t) <= CLA_MAX_GROUPS;
}

/*
 * Above the portable kernel where there is an engine whose compiler keeps all that a lane owns in
 * registers: with DPAS some of it lay in memory. Few rows make few tiles, and here M has no parts.
 */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_proj *p = problem;
    const cla_tile tile = cla_tile_of(dev, p->in_type);
    if (tile == CLA_TILE_SCALAR || cla_tile_is_dpas(tile))
        return -1;
    return p->rows > 64 ? 60 : 20;
}

/* Tiles of a sub-group: as many as leave registers for operands, on AMD as two groups in 64 KB. */
static void set_tiles(int *t)
{
    const bool is_scalar = t[TILE] == CLA_TILE_SCALAR, is_dpas = cla_tile_is_dpas(t[TILE]);
    const bool is_mma = t[TILE] == CLA_TILE_MMA_K8 || t[TILE] == CLA_TILE_MMA_K16;
    t[MR] = is_mma ? 4 : is_scalar || is_dpas ? 1 : 2;
    t[NC] = is_scalar ? 1 : is_dpas ? 2 : 4;
}

/* The largest tile that leaves no unit idle. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_proj *p = problem;
    const size_t units = (size_t)dev->info.compute_units;
    t[TILE] = (int)cla_tile_of(dev, p->in_type);
    t[SR] = t[SC] = 2;
    t[BK] = 32;
    set_tiles(t);
    if (num_groups(p, t) < units && t[NC] > 2)
        t[NC] = 2;
    if (num_groups(p, t) < units && t[MR] > 2)
        t[MR] = 2;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    return cla_groups(num_groups(problem, t), work_items(t));
}

const cla_kernel cla_kernel_proj_tile = {
    .name = "proj_tile",
    .revision = 1,
    .stage = CLA_STAGE_PROJECTION,
    .parts = { &cla_src_prelude_clh, CLA_TILE_PARTS, &cla_src_rotary_clh, &cla_src_proj_clh,
               &cla_src_proj_tile },
    .tunables = {
        [TILE] = CLA_TILE_TUNABLE,
        [SR] = { "SR", { 1, 2, 4 }, 1 },
        [SC] = { "SC", { 1, 2, 4 }, 1 },
        [MR] = { "MR", { 1, 2, 4 }, 1 },
        [NC] = { "NC", { 1, 2, 4, 8 }, 1 },
        [BK] = { "BK", { 32, 64 }, 32 },
    },
    .constants = { { "TILE_TYPE", offsetof(cla_proj, in_type) }, CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
