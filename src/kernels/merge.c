/* SPDX-License-Identifier: Apache-2.0 */
/* merge: joins results over disjoint sets of keys. Source: cl/merge.cl */
#include "kernel.h"

enum { WG };

extern const cla_blob cla_src_prelude_clh, cla_src_merge;
extern const cla_kernel cla_kernel_merge;

static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    (void)problem;
    t[WG] = dev->info.max_work_group >= 256 ? 256 : 64;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_merge *p = problem;
    const size_t items = (size_t)p->B * (size_t)p->H * (size_t)p->N * (size_t)p->Dv;
    const size_t wg = (size_t)t[WG];
    return (cla_geometry){ 1, { (items + wg - 1) / wg * wg, 1, 1 }, { wg, 1, 1 } };
}

#define VIEW(f) { CLA_ARG_VIEW, offsetof(cla_merge, f) }
#define I32(f) { CLA_ARG_I32, offsetof(cla_merge, f) }
#define I64(f) { CLA_ARG_I64, offsetof(cla_merge, f) }
#define OFF_3(f) I64(f.offset), I64(f.stride[0]), I64(f.stride[1]), I64(f.stride[2])
#define OFF_4(f) OFF_3(f), I64(f.stride[3])

static const cla_arg args[] = {
    VIEW(o_parts), VIEW(lse_parts), VIEW(o), VIEW(lse),
    OFF_4(o_parts), OFF_4(lse_parts), OFF_3(o), OFF_3(lse),
    I32(P), I32(B), I32(H), I32(N),
    { CLA_ARG_END, 0 },
};

const cla_kernel cla_kernel_merge = {
    .name = "merge",
    .revision = 1,
    .stage = CLA_STAGE_MERGE,
    .parts = { &cla_src_prelude_clh, &cla_src_merge },
    .tunables = { [WG] = { "WG", { 64, 128, 256 }, 64 } },
    .constants = {
        { "VALUE_DIM", offsetof(cla_merge, Dv) },
        { "IN_TYPE", offsetof(cla_merge, in_type) },
        { "OUT_TYPE", offsetof(cla_merge, out_type) },
        { "HAS_LSE", offsetof(cla_merge, has_lse) },
    },
    .args = args,
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .estimate = estimate,
    .geometry = geometry,
};
