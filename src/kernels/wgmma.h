/* SPDX-License-Identifier: Apache-2.0 */
/* What every kernel on the matrix unit of warpgroups shares; the device side is cl/wgmma.clh. */
#ifndef CLA_WGMMA_H
#define CLA_WGMMA_H

#include "kernel.h"

extern const cla_blob cla_src_wgmma_clh, cla_src_wgmma_unit_clh, cla_src_wgmma_items_clh,
    cla_src_wgmma_copy_clh;

#define CLA_WGMMA_PARTS                                                                    \
    &cla_src_wgmma_clh, &cla_src_wgmma_unit_clh, &cla_src_wgmma_items_clh,                 \
        &cla_src_wgmma_copy_clh

/* By what products are done. Work-items do them anywhere, for tests: see test_wgmma. */
enum { CLA_UNIT_ITEMS = 1, CLA_UNIT_WARPGROUP = 2 };

/* How tiles come into local memory. */
enum { CLA_COPY_ITEMS = 1, CLA_COPY_MAPS = 2 };

/* Registers of a consumer's work-item, with two or three warpgroups of them beside a producer. */
static inline int cla_wgmma_registers(int consumers)
{
    return consumers == 2 ? 232 : 160;
}

/* Local memory that such a kernel may declare, which is more than the device says it has. */
#define CLA_WGMMA_LOCAL ((size_t)226 << 10)

/* Can rows of such a width and strides be read 16 bytes at a time, given their address? */
bool cla_wgmma_is_whole(const cla_view *view, int64_t width);

#endif
