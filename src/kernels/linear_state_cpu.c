/* SPDX-License-Identifier: Apache-2.0 */
/* linear_state_cpu: sums over the keys of a segment, on a CPU. Source: cl/linear_state_cpu.cl */
#include "linear_args.h"

extern const cla_blob cla_src_prelude_clh, cla_src_vec16_clh, cla_src_linear_clh;
extern const cla_blob cla_src_linear_ahead_clh, cla_src_linear_cpu_clh, cla_src_linear_state_cpu;
extern const cla_kernel cla_kernel_linear_pass, cla_kernel_linear_state_cpu;

/* linear_cpu itself walks a causal sequence that is not cut. */
static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_linear *p = problem;
    (void)dev;
    (void)t;
    return p->states && !(p->causal && p->segs == 1);
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_linear *p = problem;
    (void)t;
    return cla_single_items((size_t)p->segs, (size_t)p->Hk, (size_t)p->B);
}

const cla_kernel cla_kernel_linear_state_cpu = {
    .name = "linear_state_cpu",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .parts = { &cla_src_prelude_clh, &cla_src_vec16_clh, &cla_src_linear_clh,
               &cla_src_linear_ahead_clh, &cla_src_linear_cpu_clh,
               &cla_src_linear_state_cpu },
    .constants = { CLA_LINEAR_CONSTANTS,
                   { "CHUNK", offsetof(cla_linear, tile[0]) },
                   { "BR", offsetof(cla_linear, tile[1]) },
                   { "NV", offsetof(cla_linear, tile[2]) } },
    .args = cla_linear_args,
    .ok = ok,
    .geometry = geometry,
    .after = &cla_kernel_linear_pass,
};
