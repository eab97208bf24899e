/* SPDX-License-Identifier: Apache-2.0 */
/* proj_pack_cpu: weights in panels of 16 columns, x in f32 rows. Source: cl/proj_pack_cpu.cl */
#include "proj_args.h"

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_proj_clh;
extern const cla_blob cla_src_proj_cpu_clh, cla_src_proj_pack_cpu;
extern const cla_kernel cla_kernel_proj_pack_cpu;

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_proj *p = problem;
    const size_t rows = p->in_type == CLATTN_F32 ? 0 : (size_t)p->rows;
    (void)t;
    return (cla_geometry){ 1, { cla_proj_tiles(p, 16) + rows, 1, 1 }, { 1, 1, 1 } };
}

const cla_kernel cla_kernel_proj_pack_cpu = {
    .name = "proj_pack_cpu",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_proj_clh, &cla_src_proj_cpu_clh,
               &cla_src_proj_pack_cpu },
    .constants = { CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .ok = cla_ok_always,
    .geometry = geometry,
};
