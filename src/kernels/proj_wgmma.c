/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proj_wgmma: projection of many rows on the matrix unit of warpgroups. Source: cl/proj_wgmma.cl.
 * Estimates: what the same algorithm, with tensor copies, liked on an H200.
 */
#include "proj_args.h"
#include "wgmma.h"

enum { UNIT, BN, STAGES };

enum { WARPGROUP = 128, CONSUMERS = 2, ROWS = 128, COLUMNS = 64 /* of x, in a stage */ };

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_proj_clh,
    cla_src_proj_wgmma;
extern const cla_kernel cla_kernel_proj_wgmma;

static size_t num_groups(const cla_proj *p, const int *t)
{
    return cla_proj_tiles(p, (size_t)t[BN]) * cla_ceil_div((size_t)p->rows, ROWS);
}

static size_t local_bytes(const void *problem, const int *t)
{
    const size_t lines = ROWS + (size_t)t[BN];
    (void)problem;
    return (size_t)t[STAGES] * (lines * COLUMNS * 2 + 16) + lines * sizeof(uint64_t);
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_proj *p = problem;
    (void)dev;
    return (p->in_type == CLATTN_F16 || p->in_type == CLATTN_BF16) && p->w_type == p->in_type
        && p->w_along == CLA_W_ALONG_M && local_bytes(p, t) <= CLA_WGMMA_LOCAL
        && num_groups(p, t) <= CLA_MAX_GROUPS;
}

/* Few rows leave most of a tile idle. */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_proj *p = problem;
    (void)dev;
    return p->rows > 64 ? 100 : 30;
}

/* Large tiles read least; small ones keep more of the device at work. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_proj *p = problem;
    const size_t tiles = cla_proj_tiles(p, 256) * cla_ceil_div((size_t)p->rows, ROWS);
    t[UNIT] = CLA_UNIT_WARPGROUP;
    t[BN] = tiles >= (size_t)dev->info.compute_units ? 256 : 128;
    t[STAGES] = 4;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const int producer = t[UNIT] == CLA_UNIT_WARPGROUP;
    return cla_groups(num_groups(problem, t), WARPGROUP * (CONSUMERS + producer));
}

const cla_kernel cla_kernel_proj_wgmma = {
    .name = "proj_wgmma",
    .revision = 1,
    .stage = CLA_STAGE_PROJECTION,
    .needs = CLA_CAP_WGMMA,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_proj_clh, CLA_WGMMA_PARTS,
               &cla_src_proj_wgmma },
    .tunables = {
        [UNIT] = { "UNIT", { CLA_UNIT_WARPGROUP }, CLA_UNIT_WARPGROUP },
        [BN] = { "BN", { 128, 256 }, 128 },
        [STAGES] = { "STAGES", { 3, 4 }, 3 },
    },
    .constants = { CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
