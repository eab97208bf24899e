/* SPDX-License-Identifier: Apache-2.0 */
/* Everything known about a device, probed once. Kernels and descriptors ask this, never a name. */
#ifndef CLA_DEVICE_H
#define CLA_DEVICE_H

#include <clattn/clattn.h>

/* Capabilities a kernel may need; in OpenCL found by building and running a tiny kernel. */
enum {
    CLA_CAP_FP16 = 1u << 0,
    CLA_CAP_FP64 = 1u << 1,
    CLA_CAP_SUBGROUPS = 1u << 2,
    CLA_CAP_AMX = 1u << 3, /* native CPU: tiles of bf16 */
    CLA_CAP_MATRIX_F16 = 1u << 4,  /* the matrix engine cla_dev.tile multiplies f16 */
    CLA_CAP_MATRIX_BF16 = 1u << 5, /* and bf16 */
    /* Matrix instructions of warpgroups, for kernels with marked instructions (opencl/two_step.h):
     * with tensor maps, and 226 KB of local memory in arrays of fixed size. */
    CLA_CAP_WGMMA = 1u << 6,
    CLA_CAP_HANDOVER = 1u << 8, /* the last work-group of a launch sees what all others wrote */
};

/* Matrix engines, as TILE_ in cl/tile.clh. */
typedef enum cla_tile {
    CLA_TILE_SCALAR = 1, /* none */
    CLA_TILE_MMA_K8,
    CLA_TILE_MMA_K16,
    CLA_TILE_WMMA_GFX11,
    CLA_TILE_WMMA_GFX12,
    CLA_TILE_MFMA,
    CLA_TILE_DPAS_8,
    CLA_TILE_DPAS_16,
} cla_tile;

typedef struct cla_dev {
    clattn_device_info info;
    uint32_t caps;           /* CLA_CAP_ bits */
    cla_tile tile;           /* means nothing without CLA_CAP_MATRIX_ */
    size_t max_items[3];     /* work-items of a work-group per dimension */
    int vector_floats;       /* floats of a native vector; 1: the device wants scalar work-items */
    size_t declared_local;   /* bytes of local memory in arrays of fixed size, where that is more
                              * than info.local_bytes; else 0 */
    char platform_version[128]; /* of OpenCL devices: it may name the compiler */
} cla_dev;

/* The device does without CLA_CAP_WGMMA, which it should have, and says why. */
void cla_dev_lose_wgmma(cla_dev *dev, const char *why);

/* A CPU whose compiler keeps float16 in registers: what the cpu family of kernels is made for. */
static inline bool cla_dev_is_vector_cpu(const cla_dev *dev)
{
    return dev->info.type == CLATTN_DEVICE_CPU && dev->vector_floats >= 4;
}

/* What every OpenCL 1.2 device is assumed to offer; the safe configuration must be legal on it. */
#define CLA_MIN_WORK_GROUP 64
#define CLA_MIN_LOCAL_BYTES (16u << 10)

#endif
