/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which matrix engine a device has. What a driver says of its chip only narrows the question, so
 * that few programs are built that cannot work; the answer is a product that came out right.
 */
#include "probe.h"

/* CL/cl_ext.h of 2020 lacks them. */
enum { GFXIP_MAJOR = 0x404a, SUB_GROUP_SIZES = 0x4108 };

static cla_tile dpas_candidate(clattn_ctx *ctx)
{
    size_t sizes[8] = { 0 }, bytes = 0;
    if (clGetDeviceInfo(ctx->cl->device, SUB_GROUP_SIZES, sizeof sizes, sizes, &bytes)
        != CL_SUCCESS)
        return CLA_TILE_SCALAR;
    size_t least = 0;
    for (size_t i = 0; i < bytes / sizeof sizes[0]; i++)
        least = least && least < sizes[i] ? least : sizes[i];
    return least == 8 ? CLA_TILE_DPAS_8 : least == 16 ? CLA_TILE_DPAS_16 : CLA_TILE_SCALAR;
}

static cla_tile mma_candidate(clattn_ctx *ctx)
{
    const cl_uint major = cla_cl_number(ctx, CLA_CL_CAPABILITY_MAJOR);
    if (major >= 8)
        return CLA_TILE_MMA_K16;
    return major == 7 && cla_cl_number(ctx, CLA_CL_CAPABILITY_MINOR) >= 5 ? CLA_TILE_MMA_K8
                                                                         : CLA_TILE_SCALAR;
}

/* The only engine that the device may have; CLA_TILE_SCALAR: none. */
static cla_tile candidate(clattn_ctx *ctx)
{
    if (ctx->dev.info.type != CLATTN_DEVICE_GPU)
        return CLA_TILE_SCALAR;
    if (cla_cl_lists(ctx, "cl_intel_subgroup_matrix_multiply_accumulate"))
        return dpas_candidate(ctx);
    if (cla_cl_lists(ctx, "cl_nv_device_attribute_query"))
        return mma_candidate(ctx);
    if (cla_cl_lists(ctx, "cl_amd_device_attribute_query")) {
        const cl_uint major = cla_cl_number(ctx, GFXIP_MAJOR);
        return major == 9  ? CLA_TILE_MFMA
             : major == 11 ? CLA_TILE_WMMA_GFX11
             : major == 12 ? CLA_TILE_WMMA_GFX12
                           : CLA_TILE_SCALAR;
    }
    return CLA_TILE_SCALAR;
}

static bool works(clattn_ctx *ctx, cla_tile tile, clattn_dtype type)
{
    char options[64];
    cla_probe probe;
    cla_tile_probe(tile, type, options, &probe);
    return cla_cl_passes(ctx, &probe);
}

void cla_cl_probe_tile(clattn_ctx *ctx, cla_dev *dev)
{
    const cla_tile tile = candidate(ctx);
    dev->tile = CLA_TILE_SCALAR;
    if (tile == CLA_TILE_SCALAR || !works(ctx, tile, CLATTN_F16))
        return;
    dev->tile = tile;
    dev->info.matrix_f16 = true;
    dev->info.matrix_bf16 = tile != CLA_TILE_MMA_K8 && works(ctx, tile, CLATTN_BF16);
    dev->caps |= CLA_CAP_MATRIX_F16 | (dev->info.matrix_bf16 ? CLA_CAP_MATRIX_BF16 : 0);
}
