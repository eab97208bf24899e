/* SPDX-License-Identifier: Apache-2.0 */
/* attn_merge: joins the parts of kernels that split the keys. Source: cl/attn_merge.cl */
#include "attn_args.h"

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh, cla_src_attn_score_clh,
    cla_src_attn_merge;
extern const cla_kernel cla_kernel_attn_merge;

enum { WG = 64 };

/* One part is the result, and marks are for the kernel before to join them: it has done all. */
static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    (void)dev;
    (void)t;
    return p->splits > 1 && p->marks.span == 0;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t items = (size_t)p->B * (size_t)p->Hq * (size_t)p->Nq * (size_t)p->Dv;
    (void)t;
    return (cla_geometry){ 1, { (items + WG - 1) / WG * WG, 1, 1 }, { WG, 1, 1 } };
}

const cla_kernel cla_kernel_attn_merge = {
    .name = "attn_merge",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_attn_score_clh,
               &cla_src_attn_merge },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = cla_priority_only,
    .ok = ok,
    .geometry = geometry,
};
