/* SPDX-License-Identifier: Apache-2.0 */
/* linear_pass: sums of segments to states. Source: cl/linear_pass.cl */
#include "linear_args.h"

extern const cla_blob cla_src_prelude_clh, cla_src_linear_clh, cla_src_linear_pass;
extern const cla_kernel cla_kernel_linear_pass;

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_linear *p = problem;
    (void)dev;
    (void)t;
    return p->passes != 0;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_linear *p = problem;
    const size_t groups = (cla_linear_state_floats(p) + 63) / 64;
    (void)t;
    return (cla_geometry){ 3, { groups * 64, (size_t)p->Hk, (size_t)p->B }, { 64, 1, 1 } };
}

const cla_kernel cla_kernel_linear_pass = {
    .name = "linear_pass",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .parts = { &cla_src_prelude_clh, &cla_src_linear_clh, &cla_src_linear_pass },
    .constants = { CLA_LINEAR_CONSTANTS },
    .args = cla_linear_args,
    .ok = ok,
    .geometry = geometry,
};
