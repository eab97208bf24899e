/* SPDX-License-Identifier: Apache-2.0 */
/* What every kernel over the matrix tile shares; the device side is cl/tile.clh. */
#ifndef CLA_TILE_PARTS_H
#define CLA_TILE_PARTS_H

#include "kernel.h"

extern const cla_blob cla_src_tile_clh, cla_src_tile_nvidia_clh, cla_src_tile_amd_clh,
    cla_src_tile_intel_clh, cla_src_tile_scalar_clh, cla_src_tile_ops_clh;

/* For cla_kernel.parts, after the prelude. */
#define CLA_TILE_PARTS                                                                        \
    &cla_src_tile_clh, &cla_src_tile_nvidia_clh, &cla_src_tile_amd_clh,                        \
        &cla_src_tile_intel_clh, &cla_src_tile_scalar_clh, &cla_src_tile_ops_clh

/*
 * For cla_kernel.tunables: the engine, so that the configuration says what it is made for. Of its
 * values exactly one is legal on a device, cla_tile_of().
 */
#define CLA_TILE_TUNABLE                                                                      \
    { "TILE",                                                                                  \
      { CLA_TILE_SCALAR, CLA_TILE_MMA_K8, CLA_TILE_MMA_K16, CLA_TILE_WMMA_GFX11,               \
        CLA_TILE_WMMA_GFX12, CLA_TILE_MFMA, CLA_TILE_DPAS_8, CLA_TILE_DPAS_16 },               \
      CLA_TILE_SCALAR, false }

/* The engine for products of this dtype: CLA_TILE_SCALAR when there is none. */
static inline cla_tile cla_tile_of(const cla_dev *dev, int32_t type)
{
    const uint32_t wanted = type == CLATTN_F16    ? CLA_CAP_MATRIX_F16
                          : type == CLATTN_BF16 ? CLA_CAP_MATRIX_BF16
                                                  : 0;
    return dev->caps & wanted ? dev->tile : CLA_TILE_SCALAR;
}

static inline bool cla_tile_is_dpas(int tile)
{
    return tile == CLA_TILE_DPAS_8 || tile == CLA_TILE_DPAS_16;
}

/* Work-items of a sub-group. */
int cla_tile_lanes(int tile);

#endif
