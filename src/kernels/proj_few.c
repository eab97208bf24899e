/* SPDX-License-Identifier: Apache-2.0 */
/* proj_few: projection of one row or a few on any device. Source: cl/proj_few.cl */
#include "proj_args.h"

enum { WG, TM, CB, RB };

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_chunk_clh, cla_src_proj_clh,
    cla_src_proj_few;
extern const cla_kernel cla_kernel_proj_few;

enum { MAX_SUMS = 32 }; /* of a work-item: more do not stay in registers */

/* Weights are read once per RB rows: worth it while they are what takes the time. */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_proj *p = problem;
    const int best = dev->info.type == CLATTN_DEVICE_CPU ? 10 : 50;
    return p->rows <= 16 ? best + 1 : best - 1;
}

static size_t num_groups(const cla_proj *p, const int *t)
{
    return cla_proj_tiles(p, (size_t)(t[WG] / t[TM] * t[CB]))
         * cla_ceil_div((size_t)p->rows, (size_t)t[RB]);
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    (void)dev;
    return t[TM] <= t[WG] && t[CB] * t[RB] <= MAX_SUMS
        && num_groups(problem, t) <= CLA_MAX_GROUPS;
}

/* Weights that a work-item reads at once. */
static int chunk_of(const cla_proj *p)
{
    return p->w_type == CLATTN_I4   ? 32
         : p->w_type == CLATTN_I8  ? 16
         : p->w_type == CLATTN_F32 ? 4
                                   : 8;
}

static size_t local_bytes(const void *problem, const int *t)
{
    const int sums = t[CB] * t[RB], share = t[TM] >= sums ? t[TM] / sums : 1;
    (void)problem;
    return (size_t)sums * (size_t)(t[WG] + share) * sizeof(float);
}

/* As many columns as leave two work-groups to each unit: each spares reading x once more. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_proj *p = problem;
    const int chunks = p->M / chunk_of(p);
    const size_t largest = dev->info.max_work_group;
    t[WG] = largest >= 256 ? 256 : largest >= 128 ? 128 : 64;
    t[TM] = p->w_along != CLA_W_ALONG_M ? 8 : chunks >= 256 && t[WG] >= 128 ? 128 : 32;
    t[RB] = p->rows > 4 ? 8 : p->rows > 2 ? 4 : p->rows;
    t[CB] = t[RB] == 8 ? 4 : 8;
    while (t[CB] > 2 && (num_groups(p, t) < 2 * (size_t)dev->info.compute_units
                         || local_bytes(p, t) > dev->info.local_bytes))
        t[CB] /= 2;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    return cla_groups(num_groups(problem, t), t[WG]);
}

const cla_kernel cla_kernel_proj_few = {
    .name = "proj_few",
    .revision = 2,
    .stage = CLA_STAGE_PROJECTION,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_chunk_clh, &cla_src_proj_clh,
               &cla_src_proj_few },
    .tunables = {
        [WG] = { "WG", { 64, 128, 256 }, 64 },
        [TM] = { "TM", { 8, 32, 128 }, 32 },
        [CB] = { "CB", { 2, 4, 8 }, 2 },
        [RB] = { "RB", { 1, 2, 4, 8 }, 1 },
    },
    .constants = { CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
