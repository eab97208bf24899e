/* SPDX-License-Identifier: Apache-2.0 */
/* attn_wgmma_maps: before attn_prefill_wgmma. Source: cl/attn_wgmma_maps.cl */
#include "attn_args.h"
#include "wgmma.h"

extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh, cla_src_attn_wgmma_maps;
extern const cla_kernel cla_kernel_attn_wgmma_maps;

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    (void)dev;
    (void)t;
    return p->unit_tile[2] == CLA_COPY_MAPS;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    (void)problem;
    (void)t;
    return cla_single_items(1, 1, 1);
}

const cla_kernel cla_kernel_attn_wgmma_maps = {
    .name = "attn_wgmma_maps",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .needs = CLA_CAP_WGMMA,
    .parts = { &cla_src_prelude_clh, CLA_WGMMA_PARTS, &cla_src_attn_clh, &cla_src_attn_wgmma_maps },
    .constants = { { "UNIT", offsetof(cla_attn, unit_tile[0]) },
                   { "BOX", offsetof(cla_attn, unit_tile[1]) },
                   CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .ok = ok,
    .geometry = geometry,
};
