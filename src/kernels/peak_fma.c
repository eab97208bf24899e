/* SPDX-License-Identifier: Apache-2.0 */
/* peak_fma: what a device can reach at most. Source: cl/peak_fma.cl */
#include "kernel.h"

extern const cla_blob cla_src_prelude_clh, cla_src_peak_fma;
extern const cla_kernel cla_kernel_peak_fma;

enum { WG = 64 };

static const cla_arg args[] = {
    { CLA_ARG_VIEW, offsetof(cla_peak, out) },
    { CLA_ARG_I64, offsetof(cla_peak, out.offset) },
    { CLA_ARG_I32, offsetof(cla_peak, count) },
    { CLA_ARG_F32, offsetof(cla_peak, a) },
    { CLA_ARG_F32, offsetof(cla_peak, b) },
    { CLA_ARG_END, 0 },
};

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_peak *p = problem;
    (void)t;
    return (cla_geometry){ 1, { (size_t)p->items, 1, 1 }, { WG, 1, 1 } };
}

const cla_kernel cla_kernel_peak_fma = {
    .name = "peak_fma",
    .revision = 1,
    .stage = CLA_STAGE_PROBE,
    .parts = { &cla_src_prelude_clh, &cla_src_peak_fma },
    .args = args,
    .geometry = geometry,
};
