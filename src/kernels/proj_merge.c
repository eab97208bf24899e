/* SPDX-License-Identifier: Apache-2.0 */
/* proj_merge: adds up what projections that split M have summed. Source: cl/proj_merge.cl */
#include "proj_args.h"

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_proj_clh, cla_src_proj_merge;
extern const cla_kernel cla_kernel_proj_merge;

enum { WG = 64 };

/* One part is the result: the kernel before has written it. */
static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_proj *p = problem;
    (void)dev;
    (void)t;
    return p->splits > 1;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_proj *p = problem;
    (void)t;
    return cla_groups(cla_ceil_div((size_t)p->rows * cla_proj_tiles(p, 4), WG), WG);
}

const cla_kernel cla_kernel_proj_merge = {
    .name = "proj_merge",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_proj_clh, &cla_src_proj_merge },
    .constants = { CLA_PROJ_CONSTANTS },
    .args = cla_proj_args,
    .priority = cla_priority_only,
    .ok = ok,
    .geometry = geometry,
};
