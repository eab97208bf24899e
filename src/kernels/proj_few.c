/* SPDX-License-Identifier: Apache-2.0 */
/* proj_few: projection of one row or a few on any device. Source: cl/proj_few.cl */
#include "proj_args.h"

enum { WG, TM, CB, RB };

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_proj_clh, cla_src_proj_few;
extern const cla_kernel cla_kernel_proj_few;

#define MAX_GROUPS 0x7fffffffu /* of one dimension, on the strictest device */

/* Weights are read once per RB rows: worth it while they are what takes the time. */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_proj *p = problem;
    const int best = dev->info.type == CLATTN_DEVICE_CPU ? 10 : 50;
    return p->rows <= 16 ? best + 1 : best - 1;
}

static size_t tiles(const cla_proj *p, const int *t)
{
    return cla_proj_tiles(p, (size_t)(t[WG] / t[TM] * t[CB]));
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_proj *p = problem;
    (void)dev;
    return t[TM] <= t[WG] && tiles(p, t) * (size_t)t[WG] <= MAX_GROUPS
        && (p->rows + t[RB] - 1) / t[RB] <= 0xffff;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_proj *p = problem;
    t[WG] = dev->info.max_work_group >= 128 ? 128 : 64;
    t[TM] = p->w_along == CLA_W_ALONG_M ? 32 : 8;
    t[CB] = p->rows > 2 ? 4 : 2;
    t[RB] = p->rows >= 4 ? 4 : p->rows >= 2 ? 2 : 1;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_proj *p = problem;
    const size_t wg = (size_t)t[WG], rows = ((size_t)p->rows + t[RB] - 1) / t[RB];
    return (cla_geometry){ 2, { tiles(p, t) * wg, rows, 1 }, { wg, 1, 1 } };
}

static size_t local_bytes(const void *problem, const int *t)
{
    (void)problem;
    return (size_t)t[WG] * t[CB] * t[RB] * sizeof(float);
}

const cla_kernel cla_kernel_proj_few = {
    .name = "proj_few",
    .revision = 1,
    .stage = CLA_STAGE_PROJECTION,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_proj_clh, &cla_src_proj_few },
    .tunables = {
        [WG] = { "WG", { 64, 128 }, 64 },
        [TM] = { "TM", { 8, 32, 128 }, 32 },
        [CB] = { "CB", { 2, 4 }, 2 },
        [RB] = { "RB", { 1, 2, 4 }, 1 },
    },
    .constants = { CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
