/* SPDX-License-Identifier: Apache-2.0 */
#include "probes.h"

#include <stdio.h>

#include "tile_parts.h"
#include "wgmma.h"

extern const cla_blob cla_src_prelude_clh, cla_src_probe_tile, cla_src_probe_wgmma;

void cla_tile_probe(cla_tile tile, clattn_dtype type, char options[64], cla_probe *out)
{
    snprintf(options, 64, "-cl-std=CL1.2 -DTILE=%d -DTILE_TYPE=%d", (int)tile, (int)type);
    *out = (cla_probe){ "probe_tile", { &cla_src_prelude_clh, CLA_TILE_PARTS, &cla_src_probe_tile },
                        options, { 1.0f }, 2 * (size_t)cla_tile_lanes(tile), 0, false };
}

void cla_wgmma_probe(cla_probe *out)
{
    enum { PRODUCER = 128 };
    *out = (cla_probe){ "probe_wgmma",
                        { &cla_src_prelude_clh, CLA_WGMMA_PARTS, &cla_src_probe_wgmma },
                        "-cl-std=CL1.2 -DUNIT=2 -DIN_TYPE=2", { 1.5f },
                        CLA_WGMMA_PROBE_ITEMS + PRODUCER, 0, true };
}
