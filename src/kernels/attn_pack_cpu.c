/* SPDX-License-Identifier: Apache-2.0 */
/* attn_pack_cpu: K in panels of 16 keys, V in padded f32 rows. Source: cl/attn_pack_cpu.cl */
#include "attn_args.h"

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh, cla_src_attn_panel_cpu_clh;
extern const cla_blob cla_src_attn_pack_cpu;
extern const cla_blob cla_src_vec16_clh;
extern const cla_kernel cla_kernel_attn_pack_cpu;

/* Panels of one work-item: enough to hide the cost of a work-group, few enough for all threads. */
#define PANELS 4

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    (void)dev;
    (void)t;
    return p->Nk > 0;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t items = ((size_t)p->Nk + 16 * PANELS - 1) / (16 * PANELS);
    (void)t;
    return cla_single_items(items, (size_t)p->Hk, (size_t)p->B);
}

const cla_kernel cla_kernel_attn_pack_cpu = {
    .name = "attn_pack_cpu",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_vec16_clh,
               &cla_src_attn_panel_cpu_clh, &cla_src_attn_pack_cpu },
    .constants = { { "HEAD_DIM", offsetof(cla_attn, D) }, CLA_ATTN_KV_CONSTANTS },
    .args = cla_attn_args,
    .ok = ok,
    .geometry = geometry,
};
