/* SPDX-License-Identifier: Apache-2.0 */
/* rowwise: norm, softmax and activations on any device. Source: cl/rowwise.cl */
#include "kernel.h"

enum { WG };

enum { COLUMNS = 16 }; /* of a work-item, where every element is by itself; as in the source */

extern const cla_blob cla_src_prelude_clh, cla_src_rowwise;
extern const cla_kernel cla_kernel_rowwise;

#define VIEW(f) { CLA_ARG_VIEW, offsetof(cla_rowwise, f) }
#define I32(f) { CLA_ARG_I32, offsetof(cla_rowwise, f) }
#define I64(f) { CLA_ARG_I64, offsetof(cla_rowwise, f) }
#define F32(f) { CLA_ARG_F32, offsetof(cla_rowwise, f) }
static const cla_arg args[] = {
    VIEW(x), VIEW(weight), VIEW(bias), VIEW(y),
    I64(x.offset), I64(x.stride[0]), I64(x.stride[1]), I64(weight.offset), I64(bias.offset),
    I64(y.offset), I64(y.stride[0]), I64(y.stride[1]), I32(M), F32(eps), F32(scale),
    { CLA_ARG_END, 0 },
};

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_rowwise *p = problem;
    (void)dev;
    return p->M <= CLA_MAX_LENGTH - COLUMNS * t[WG];
}

/* A group of a CPU is one thread's: barriers cost more than they bring. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_rowwise *p = problem;
    const bool cpu = dev->info.type == CLATTN_DEVICE_CPU;
    const bool roomy = dev->info.max_work_group >= 256;
    if (cla_rowwise_reduces(p))
        t[WG] = cpu ? 1 : p->M > 2048 && roomy ? 256 : 64;
    else
        t[WG] = 64;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_rowwise *p = problem;
    const size_t wg = (size_t)t[WG], span = COLUMNS * wg;
    const size_t blocks = cla_rowwise_reduces(p) ? 1 : ((size_t)p->M + span - 1) / span;
    return (cla_geometry){ 3, { blocks * wg, (size_t)p->N, (size_t)p->B }, { wg, 1, 1 } };
}

static size_t local_bytes(const void *problem, const int *t)
{
    (void)problem;
    return (size_t)t[WG] * sizeof(float);
}

const cla_kernel cla_kernel_rowwise = {
    .name = "rowwise",
    .revision = 1,
    .stage = CLA_STAGE_ROWWISE,
    .parts = { &cla_src_prelude_clh, &cla_src_rowwise },
    .tunables = { [WG] = { "WG", { 1, 16, 32, 64, 128, 256 }, 32 } },
    .constants = {
        { "FUNCTION", offsetof(cla_rowwise, function) },
        { "IN_TYPE", offsetof(cla_rowwise, in_type) },
        { "OUT_TYPE", offsetof(cla_rowwise, out_type) },
        { "WEIGHT_TYPE", offsetof(cla_rowwise, weight_type) },
        { "BIAS_TYPE", offsetof(cla_rowwise, bias_type) },
        { "HAS_WEIGHT", offsetof(cla_rowwise, has_weight) },
        { "HAS_BIAS", offsetof(cla_rowwise, has_bias) },
    },
    .args = args,
    .priority = cla_priority_only,
    .ok = ok,
    .estimate = estimate,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
