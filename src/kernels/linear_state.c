/* SPDX-License-Identifier: Apache-2.0 */
/* linear_state: sums over the keys of a segment, on any device. Source: cl/linear_state.cl */
#include "linear_args.h"

extern const cla_blob cla_src_prelude_clh, cla_src_linear_clh, cla_src_linear_tile_clh;
extern const cla_blob cla_src_linear_state;
extern const cla_kernel cla_kernel_linear_pass, cla_kernel_linear_state;

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_linear *p = problem;
    (void)dev;
    (void)t;
    return p->states != 0;
}

static size_t ceil_div(int32_t a, int32_t b)
{
    return ((size_t)a + (size_t)b - 1) / (size_t)b;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_linear *p = problem;
    const size_t wg = (size_t)p->tile[0];
    const size_t tiles = ceil_div(p->F, p->tile[1]) * ceil_div(p->Dv, p->tile[2]);
    (void)t;
    return (cla_geometry){
        3, { tiles * (size_t)p->segs * wg, (size_t)p->Hk, (size_t)p->B }, { wg, 1, 1 }
    };
}

static size_t local_bytes(const void *problem, const int *t)
{
    enum { DEPTH = 32, LD = 36 }; /* as in cl/linear_tile.clh */
    const cla_linear *p = problem;
    (void)t;
    return ((size_t)p->tile[1] * LD + DEPTH * (size_t)p->tile[2]) * sizeof(float)
         + sizeof(int32_t);
}

const cla_kernel cla_kernel_linear_state = {
    .name = "linear_state",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .parts = { &cla_src_prelude_clh, &cla_src_linear_clh, &cla_src_linear_tile_clh,
               &cla_src_linear_state },
    .constants = { CLA_LINEAR_CONSTANTS,
                   { "WG", offsetof(cla_linear, tile[0]) },
                   { "BR", offsetof(cla_linear, tile[1]) },
                   { "BV", offsetof(cla_linear, tile[2]) } },
    .args = cla_linear_args,
    .ok = ok,
    .geometry = geometry,
    .local_bytes = local_bytes,
    .after = &cla_kernel_linear_pass,
};
