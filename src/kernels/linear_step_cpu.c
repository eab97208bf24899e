/* SPDX-License-Identifier: Apache-2.0 */
/* linear_step_cpu: one row and one key on a state, on a CPU. Source: cl/linear_step_cpu.cl */
#include "linear_args.h"

extern const cla_blob cla_src_prelude_clh, cla_src_vec16_clh, cla_src_linear_clh;
extern const cla_blob cla_src_linear_step_cpu;
extern const cla_kernel cla_kernel_linear_step_cpu;

static int priority(const cla_dev *dev, const void *problem)
{
    (void)problem;
    return dev->info.type == CLATTN_DEVICE_CPU ? 110 : 2;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_linear *p = problem;
    const size_t floats = ((size_t)p->G + 1) * ((size_t)p->D + (size_t)p->Dv + 32);
    (void)dev;
    (void)t;
    return cla_linear_is_step(p) && floats * sizeof(float) <= CLA_MAX_PRIVATE;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_linear *p = problem;
    (void)t;
    return (cla_geometry){ 2, { (size_t)p->Hk, (size_t)p->B }, { 1, 1 } };
}

const cla_kernel cla_kernel_linear_step_cpu = {
    .name = "linear_step_cpu",
    .revision = 1,
    .stage = CLA_STAGE_LINEAR,
    .parts = { &cla_src_prelude_clh, &cla_src_vec16_clh, &cla_src_linear_clh,
               &cla_src_linear_step_cpu },
    .constants = { CLA_LINEAR_CONSTANTS, { "GROUP", offsetof(cla_linear, G) } },
    .args = cla_linear_args,
    .priority = priority,
    .ok = ok,
    .bind = cla_linear_bind_step,
    .geometry = geometry,
};
