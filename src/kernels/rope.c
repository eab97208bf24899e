/* SPDX-License-Identifier: Apache-2.0 */
/* rope: rotary embedding on any device. Source: cl/rope.cl */
#include "kernel.h"

enum { WG };

extern const cla_blob cla_src_prelude_clh, cla_src_rotary_clh, cla_src_rope;
extern const cla_kernel cla_kernel_rope;

#define VIEW(f) { CLA_ARG_VIEW, offsetof(cla_rope, f) }
#define I32(f) { CLA_ARG_I32, offsetof(cla_rope, f) }
#define I64(f) { CLA_ARG_I64, offsetof(cla_rope, f) }
static const cla_arg args[] = {
    VIEW(x), VIEW(y), VIEW(starts),
    I64(x.offset), I64(x.stride[0]), I64(x.stride[1]), I64(x.stride[2]),
    I64(y.offset), I64(y.stride[0]), I64(y.stride[1]), I64(y.stride[2]),
    I64(starts.offset), I64(start), I64(ratio), I32(H), I32(D),
    { CLA_ARG_END, 0 },
};

/* Pairs of a row. */
static size_t num_pairs(const cla_rope *p)
{
    return (size_t)p->H * (size_t)p->D / 2;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    (void)dev;
    return num_pairs(problem) <= 0x7fffffffu - (size_t)t[WG];
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_rope *p = problem;
    const size_t wg = (size_t)t[WG];
    return (cla_geometry){ 3,
                           { (num_pairs(p) + wg - 1) / wg * wg, (size_t)p->N, (size_t)p->B },
                           { wg, 1, 1 } };
}

const cla_kernel cla_kernel_rope = {
    .name = "rope",
    .revision = 1,
    .stage = CLA_STAGE_ROPE,
    .parts = { &cla_src_prelude_clh, &cla_src_rotary_clh, &cla_src_rope },
    .tunables = { [WG] = { "WG", { 32, 64, 128 }, 64 } },
    .constants = {
        { "IN_TYPE", offsetof(cla_rope, in_type) },
        { "OUT_TYPE", offsetof(cla_rope, out_type) },
        { "NEOX", offsetof(cla_rope, neox) },
        { "HAS_STARTS", offsetof(cla_rope, has_starts) },
    },
    .args = args,
    .priority = cla_priority_only,
    .ok = ok,
    .geometry = geometry,
};
