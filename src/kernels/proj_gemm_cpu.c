/* SPDX-License-Identifier: Apache-2.0 */
/* proj_gemm_cpu: projection of many rows on float16 registers. Source: cl/proj_gemm_cpu.cl */
#include "proj_args.h"

enum { BR, NV, MB, KC };

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_proj_clh;
extern const cla_blob cla_src_proj_cpu_clh, cla_src_proj_gemm_cpu;
extern const cla_kernel cla_kernel_proj_pack_cpu, cla_kernel_proj_gemm_cpu;

static int priority(const cla_dev *dev, const void *problem)
{
    (void)problem;
    return dev->info.type == CLATTN_DEVICE_CPU ? 100 : 1;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_proj *p = problem;
    (void)dev;
    (void)t;
    return cla_proj_tiles(p, 16) + (size_t)p->rows <= 0x7fffffffu;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    (void)dev;
    (void)problem;
    t[BR] = 12;
    t[NV] = 2;
    t[MB] = 1;
    t[KC] = 1024;
}

static size_t bind(void *problem, const int *t)
{
    cla_proj *p = problem;
    const size_t w = cla_proj_tiles(p, 16) * 16 * (size_t)p->M;
    const size_t x = p->in_type == CLATTN_F32 ? 0 : (size_t)p->rows * (size_t)p->M;
    (void)t;
    p->work_w = 0;
    p->work_x = (int64_t)w;
    return (w + x) * sizeof(float);
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_proj *p = problem;
    const size_t rows = (size_t)t[BR] * (size_t)t[MB];
    return (cla_geometry){ 2,
                           { ((size_t)p->rows + rows - 1) / rows,
                             cla_proj_tiles(p, 16 * (size_t)t[NV]), 1 },
                           { 1, 1, 1 } };
}

const cla_kernel cla_kernel_proj_gemm_cpu = {
    .name = "proj_gemm_cpu",
    .revision = 1,
    .stage = CLA_STAGE_PROJECTION,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_proj_clh, &cla_src_proj_cpu_clh,
               &cla_src_proj_gemm_cpu },
    .tunables = {
        [BR] = { "BR", { 4, 6, 12 }, 4 },
        [NV] = { "NV", { 1, 2 }, 1 },
        [MB] = { "MB", { 1, 4 }, 1 },
        [KC] = { "KC", { 256, 1024 }, 256 },
    },
    .constants = { CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .before = &cla_kernel_proj_pack_cpu,
};
