/* SPDX-License-Identifier: Apache-2.0 */
/* proj_gemm: projection of many rows on any device. Source: cl/proj_gemm.cl */
#include "proj_args.h"

enum { TX, TY, NC, MR, BK };

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_proj_clh, cla_src_proj_gemm;
extern const cla_kernel cla_kernel_proj_gemm;

#define MAX_GROUPS 0x7fffffffu /* of one dimension, on the strictest device */

/* A GPU is what this kernel is for; on a CPU it does a twentieth of what its cores can. */
static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_proj *p = problem;
    const int wg = t[TX] * t[TY], quads = t[BK] / 4, rows = t[TY] * t[MR];
    (void)dev;
    return t[TY] * t[MR] * quads >= wg && t[TX] * t[NC] * quads >= wg
        && cla_proj_tiles(p, (size_t)(t[TX] * t[NC])) * (size_t)wg <= MAX_GROUPS
        && (p->rows + rows - 1) / rows <= 0xffff;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_proj *p = problem;
    const size_t tiles = cla_proj_tiles(p, 128) * (((size_t)p->rows + 127) / 128);
    const bool roomy = dev->info.max_work_group >= 256 && dev->info.local_bytes >= (32u << 10);
    const bool wide = roomy && tiles >= (size_t)dev->info.compute_units;
    t[TX] = t[TY] = wide ? 16 : 8;
    t[NC] = t[MR] = wide || p->rows > 64 ? 8 : 4;
    t[BK] = 16;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_proj *p = problem;
    const size_t wg = (size_t)(t[TX] * t[TY]), rows = (size_t)(t[TY] * t[MR]);
    return (cla_geometry){ 2,
                           { cla_proj_tiles(p, (size_t)(t[TX] * t[NC])) * wg,
                             ((size_t)p->rows + rows - 1) / rows, 1 },
                           { wg, 1, 1 } };
}

static size_t local_bytes(const void *problem, const int *t)
{
    (void)problem;
    return (size_t)t[BK] * (size_t)(t[TY] * t[MR] + t[TX] * t[NC] + 8) * sizeof(float);
}

const cla_kernel cla_kernel_proj_gemm = {
    .name = "proj_gemm",
    .revision = 1,
    .stage = CLA_STAGE_PROJECTION,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_proj_clh, &cla_src_proj_gemm },
    .tunables = {
        [TX] = { "TX", { 8, 16 }, 8 },
        [TY] = { "TY", { 8, 16 }, 8 },
        [NC] = { "NC", { 4, 8 }, 4 },
        [MR] = { "MR", { 4, 8 }, 4 },
        [BK] = { "BK", { 8, 16, 32 }, 16 },
    },
    .constants = { CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .priority = cla_priority_portable,
    .ok = ok,
    .estimate = estimate,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
