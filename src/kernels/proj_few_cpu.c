/* SPDX-License-Identifier: Apache-2.0 */
/* proj_few_cpu: projection of a few rows on float16 registers. Source: cl/proj_few_cpu.cl */
#include "proj_args.h"

enum { CB, RB, NV };

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_proj_clh;
extern const cla_blob cla_src_proj_cpu_clh, cla_src_proj_few_cpu;
extern const cla_kernel cla_kernel_proj_few_cpu;

/* Up to here reading the weights takes longer than multiplying them. */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_proj *p = problem;
    const int best = dev->info.type == CLATTN_DEVICE_CPU ? 100 : 1;
    return p->rows <= 16 ? best + 1 : best - 1;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    (void)dev;
    (void)t;
    return cla_proj_tiles(problem, 16) <= 0x7fffffffu;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_proj *p = problem;
    (void)dev;
    t[CB] = p->rows >= 4 ? 4 : 8;
    t[RB] = p->rows >= 4 ? 4 : p->rows >= 2 ? 2 : 1;
    t[NV] = p->rows >= 2 ? 4 : 8;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_proj *p = problem;
    const size_t width = p->w_along == CLA_W_ALONG_M ? 16 : 16 * (size_t)t[NV];
    return (cla_geometry){ 1, { cla_proj_tiles(p, width), 1, 1 }, { 1, 1, 1 } };
}

const cla_kernel cla_kernel_proj_few_cpu = {
    .name = "proj_few_cpu",
    .revision = 1,
    .stage = CLA_STAGE_PROJECTION,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_proj_clh, &cla_src_proj_cpu_clh,
               &cla_src_proj_few_cpu },
    .tunables = {
        [CB] = { "CB", { 2, 4, 8 }, 4 },
        [RB] = { "RB", { 1, 2, 4 }, 1 },
        [NV] = { "NV", { 1, 4, 8 }, 4 },
    },
    .constants = { CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .geometry = geometry,
};
