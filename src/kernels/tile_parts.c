/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix tile as the host sees it. */
#include "tile_parts.h"

int cla_tile_lanes(int tile)
{
    static const int lanes[] = {
        [CLA_TILE_SCALAR] = 1,      [CLA_TILE_MMA_K8] = 32,      [CLA_TILE_MMA_K16] = 32,
        [CLA_TILE_WMMA_GFX11] = 32, [CLA_TILE_WMMA_GFX12] = 32, [CLA_TILE_MFMA] = 64,
        [CLA_TILE_DPAS_8] = 8,      [CLA_TILE_DPAS_16] = 16,
    };
    return lanes[tile];
}
