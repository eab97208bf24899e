/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels over the matrix tile: they take 16-bit numbers of one dtype only. */
#ifndef SAMPLE_TILE_H
#define SAMPLE_TILE_H

#include <string.h>

#include "kernel.h"

static inline bool sample_is_tiled(const cla_kernel *kernel)
{
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++)
        if (strcmp(kernel->tunables[i].name, "TILE") == 0)
            return true;
    return false;
}

#endif
