/* SPDX-License-Identifier: Apache-2.0 */
/* linear_chunk: linear attention on any device. Source: cl/linear_chunk.cl */
#include "linear_args.h"

enum { WG, BR, BV, SEG };

extern const cla_blob cla_src_prelude_clh, cla_src_linear_clh, cla_src_linear_tile_clh;
extern const cla_blob cla_src_linear_chunk;
extern const cla_kernel cla_kernel_linear_state, cla_kernel_linear_chunk;

enum { TC = 8, DEPTH = 32, LD = 36 }; /* as in cl/linear_tile.clh */
#define MAX_SUMS 64                   /* floats of a work-item; more leave the registers */

static size_t ceil_div(int32_t a, int b)
{
    return a > 0 ? ((size_t)a + (size_t)b - 1) / (size_t)b : 1;
}

static size_t num_groups(const cla_linear *p, const int *t)
{
    return ceil_div(p->Nq, t[BR]) * ceil_div(p->Dv, t[BV]) * ceil_div(p->Hq, 1) * (size_t)p->B;
}

/* A GPU is what this kernel is for; on a CPU it does a twentieth of what its cores can. */
static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_linear *p = problem;
    const int rows = t[BR] / (t[WG] / TC);
    (void)dev;
    return rows >= 1 && rows * t[BV] / TC <= MAX_SUMS && num_groups(p, t) <= CLA_MAX_GROUPS;
}

/* A longer segment means more work on similarities and fewer states to write and read. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_linear *p = problem;
    const bool roomy = dev->info.local_bytes >= (32u << 10) && dev->info.max_work_group >= 128;
    t[BV] = p->Dv > 64 && roomy ? 128 : 64;
    t[WG] = roomy ? 128 : 64;
    t[BR] = p->Nq <= 16 ? 16 : p->Nq <= 32 || !roomy ? 32 : 64;
    t[SEG] = p->F <= 128 ? 128 : p->F <= 512 ? 256 : p->F <= 2048 ? 512 : 1024;
    if (t[BR] / (t[WG] / TC) * t[BV] / TC > MAX_SUMS)
        t[BR] = 32;
}

static size_t bind(void *problem, const int *t)
{
    cla_linear *p = problem;
    cla_linear_cut(p, p->quadratic ? p->Nk : t[SEG], t[SEG]);
    p->states = !p->quadratic && (!p->causal || p->segs > 1 || p->has_in || p->has_out);
    p->passes = p->states;
    /* Small enough for every device, and large enough for a state of D = Dv = 64. */
    p->tile[0] = 64;
    p->tile[1] = 32;
    p->tile[2] = 64;
    return cla_linear_state_bytes(p);
}

static cla_geometry geometry(const void *problem, const int *t)
{
    return cla_groups(num_groups(problem, t), t[WG]);
}

static size_t local_bytes(const void *problem, const int *t)
{
    const size_t columns = t[BV] > LD ? (size_t)t[BV] : LD;
    (void)problem;
    return ((size_t)t[BR] * LD + DEPTH * columns) * sizeof(float) + sizeof(int32_t);
}

const cla_kernel cla_kernel_linear_chunk = {
    .name = "linear_chunk",
    .revision = 1,
    .stage = CLA_STAGE_LINEAR,
    .parts = { &cla_src_prelude_clh, &cla_src_linear_clh, &cla_src_linear_tile_clh,
               &cla_src_linear_chunk },
    .tunables = {
        [WG] = { "WG", { 64, 128 }, 64 },
        [BR] = { "BR", { 16, 32, 64 }, 32 },
        [BV] = { "BV", { 64, 128 }, 64 },
        [SEG] = { "SEG", { 64, 128, 256, 512, 1024 }, 128, .run_time = true },
    },
    .constants = { CLA_LINEAR_CONSTANTS },
    .args = cla_linear_args,
    .priority = cla_priority_portable,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .local_bytes = local_bytes,
    .before = &cla_kernel_linear_state,
};
