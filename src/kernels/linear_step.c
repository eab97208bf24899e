/* SPDX-License-Identifier: Apache-2.0 */
/* linear_step: one row and one key on a state, on any device. Source: cl/linear_step.cl */
#include "linear_args.h"

enum { WG };

extern const cla_blob cla_src_prelude_clh, cla_src_linear_clh, cla_src_linear_step;
extern const cla_kernel cla_kernel_linear_step;

enum { MAX_GROUP = 8 }; /* query heads whose sums stay in registers */

static int priority(const cla_dev *dev, const void *problem)
{
    (void)problem;
    return dev->info.type == CLATTN_DEVICE_CPU ? 20 : 60;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_linear *p = problem;
    (void)dev;
    (void)t;
    return cla_linear_is_step(p) && p->G <= MAX_GROUP;
}

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_linear *p = problem;
    t[WG] = dev->info.max_work_group >= 256 && p->F > 128 ? 256 : 64;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_linear *p = problem;
    return cla_groups((size_t)p->B * (size_t)p->Hk, t[WG]);
}

static size_t local_bytes(const void *problem, const int *t)
{
    (void)problem;
    return (size_t)t[WG] * 16;
}

const cla_kernel cla_kernel_linear_step = {
    .name = "linear_step",
    .revision = 1,
    .stage = CLA_STAGE_LINEAR,
    .parts = { &cla_src_prelude_clh, &cla_src_linear_clh, &cla_src_linear_step },
    .tunables = { [WG] = { "WG", { 64, 128, 256 }, 64 } },
    .constants = { CLA_LINEAR_CONSTANTS, { "GROUP", offsetof(cla_linear, G) } },
    .args = cla_linear_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = cla_linear_bind_step,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
