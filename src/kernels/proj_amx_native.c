/* SPDX-License-Identifier: Apache-2.0 */
/* proj_amx_native: projection of bf16 in tiles of AMX. Source: src/cpu/proj_gemm.c, proj_amx.c */
#include "cpu/proj.h"
#include "kernel.h"

enum { DEPTH, ROWS, PANELS };

extern const cla_kernel cla_kernel_proj_amx_native;

/* Up to here reading the weights is all there is to do, and packing them is too much. */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_proj *p = problem;
    (void)dev;
    return p->rows > 4 ? 60 : 40;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_proj *p = problem;
    (void)dev;
    (void)t;
    return p->in_type == CLATTN_BF16 && (p->w_type == CLATTN_BF16 || p->w_type == CLATTN_I8)
        && p->w_along != CLA_W_FREE;
}

/* 256 columns of a panel and of a block of rows fit the first-level cache together. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    (void)dev;
    (void)problem;
    t[DEPTH] = 256;
    t[ROWS] = 512;
    t[PANELS] = 16;
}

static cla_proj_tile tile_of(const int *t)
{
    return (cla_proj_tile){ .block = 32, .element = sizeof(uint16_t), .depth = t[DEPTH],
                            .rows = t[ROWS], .panels = t[PANELS] };
}

static size_t bind(void *problem, const int *t)
{
    cla_proj *p = problem;
    const cla_proj_tile tile = tile_of(t);
    p->work_w = 0;
    return cla_proj_gemm_floats(p, &tile) * sizeof(float);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    const cla_proj_tile tile = tile_of(t);
    return cla_cpu_proj_amx(cpu, problem, &tile);
}

const cla_kernel cla_kernel_proj_amx_native = {
    .name = "proj_amx_native",
    .revision = 1,
    .stage = CLA_STAGE_PROJECTION,
    .needs = CLA_CAP_AMX,
    .tunables = {
        [DEPTH] = { "DEPTH", { 128, 256, 512 }, 256 },
        [ROWS] = { "ROWS", { 128, 256, 512 }, 256 },
        [PANELS] = { "PANELS", { 4, 8, 16 }, 8 },
    },
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .native = native,
};
