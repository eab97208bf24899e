/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that the mock driver plays, as their drivers describe them, and a few odd ones. */
#include "mock.h"

#define KIB(n) ((cl_ulong)(n) << 10)
#define MIB(n) ((cl_ulong)(n) << 20)
#define GIB(n) ((cl_ulong)(n) << 30)

#define AMD .vendor = "Advanced Micro Devices, Inc.", .platform = 0, .type = CL_DEVICE_TYPE_GPU,  \
            .driver = "3581.0 (HSA1.1,LC)", .version = "OpenCL 2.0 ", .max_work_group = 256,      \
            .max_items = { 1024, 1024, 1024 }, .vector_floats = 1, .fp16 = true, .fp64 = true,    \
            .subgroups = true,                                                                    \
            .extensions = "cl_khr_fp64 cl_khr_fp16 cl_khr_subgroups "                             \
                          "cl_amd_device_attribute_query"
#define INTEL .vendor = "Intel(R) Corporation", .platform = 1, .type = CL_DEVICE_TYPE_GPU,        \
              .driver = "24.22.29735", .version = "OpenCL 3.0 NEO ", .vector_floats = 1,          \
              .fp16 = true, .subgroups = true
/* Without and with a matrix engine of so many work-items. */
#define PLAIN .sub_group = 8, .extensions = "cl_khr_fp16 cl_khr_subgroups"
#define DPAS(items) .sub_group = items, .tile = CLA_TILE_DPAS_##items,                            \
                    .extensions = "cl_khr_fp16 cl_khr_subgroups "                                 \
                                  "cl_intel_subgroup_matrix_multiply_accumulate"
#define ARM .vendor = "ARM", .platform = 1, .type = CL_DEVICE_TYPE_GPU,                           \
            .driver = "3.0.r38p1", .version = "OpenCL 3.0 v1.r38p1", .vector_floats = 4,          \
            .local_bytes = KIB(32), .fp16 = true, .extensions = "cl_khr_fp16"
#define ODD .vendor = "Nobody", .platform = 0, .type = CL_DEVICE_TYPE_ACCELERATOR, .odd = true,   \
            .driver = "0", .version = "OpenCL 1.2", .extensions = ""

static const char long_name[] =
    "A device whose driver tells all that its makers were ever proud of, in one single name that "
    "goes on and on until nobody who reads it could still say where it had begun, and then some, "
    "with 16 GB, a fan, and a warranty (R) (TM)";

const mock_device mock_devices[] = {
    { AMD, .name = "Ellesmere", .units = 36, .local_bytes = KIB(32), .global_bytes = GIB(8),
      .max_alloc = GIB(4), .gfx_major = 8 },
    { AMD, .name = "gfx1010:xnack-", .units = 20, .local_bytes = KIB(64), .global_bytes = GIB(8),
      .max_alloc = GIB(7), .gfx_major = 10 },
    { AMD, .name = "gfx1030", .units = 40, .local_bytes = KIB(64), .global_bytes = GIB(16),
      .max_alloc = GIB(14), .gfx_major = 10 },
    { AMD, .name = "gfx1100", .units = 48, .local_bytes = KIB(64), .global_bytes = GIB(24),
      .max_alloc = GIB(20), .gfx_major = 11, .tile = CLA_TILE_WMMA_GFX11 },
    { AMD, .name = "gfx1201", .units = 32, .local_bytes = KIB(64), .global_bytes = GIB(16),
      .max_alloc = GIB(13), .gfx_major = 12, .tile = CLA_TILE_WMMA_GFX12 },
    { AMD, .name = "gfx906:sramecc+:xnack-", .units = 60, .local_bytes = KIB(64),
      .global_bytes = GIB(16), .max_alloc = GIB(14), .gfx_major = 9 },
    { AMD, .name = "gfx90a:sramecc+:xnack-", .units = 104, .local_bytes = KIB(64),
      .global_bytes = GIB(64), .max_alloc = GIB(54), .gfx_major = 9, .tile = CLA_TILE_MFMA },
    { AMD, .name = "gfx942:sramecc+:xnack-", .units = 304, .local_bytes = KIB(64),
      .global_bytes = GIB(192), .max_alloc = GIB(163), .gfx_major = 9, .tile = CLA_TILE_MFMA },
    { INTEL, .name = "Intel(R) UHD Graphics 630", .units = 24, .max_work_group = 256,
      .max_items = { 256, 256, 256 }, .local_bytes = KIB(64), .global_bytes = GIB(12),
      .max_alloc = GIB(4), .fp64 = true, PLAIN },
    { INTEL, .name = "Intel(R) Iris(R) Xe Graphics", .units = 96, .max_work_group = 512,
      .max_items = { 512, 512, 512 }, .local_bytes = KIB(64), .global_bytes = GIB(12),
      .max_alloc = GIB(4), PLAIN },
    { INTEL, .name = "Intel(R) Arc(TM) A770 Graphics", .units = 512, .max_work_group = 1024,
      .max_items = { 1024, 1024, 1024 }, .local_bytes = KIB(64), .global_bytes = GIB(15),
      .max_alloc = GIB(4), DPAS(8) },
    { INTEL, .name = "Intel(R) Arc(TM) B580 Graphics", .units = 160, .max_work_group = 1024,
      .max_items = { 1024, 1024, 1024 }, .local_bytes = KIB(128), .global_bytes = GIB(11),
      .max_alloc = GIB(11), .fp64 = true, DPAS(16) },
    { INTEL, .name = "Intel(R) Data Center GPU Max 1550", .units = 448, .max_work_group = 1024,
      .max_items = { 1024, 1024, 1024 }, .local_bytes = KIB(128), .global_bytes = GIB(62),
      .max_alloc = GIB(59), .fp64 = true, DPAS(16) },
    { .name = "Tesla T4", .vendor = "NVIDIA Corporation", .driver = "535.183.01", .platform = 0,
      .version = "OpenCL 3.0 CUDA", .type = CL_DEVICE_TYPE_GPU, .units = 40,
      .extensions = "cl_khr_fp64 cl_nv_device_attribute_query", .chip_major = 7, .chip_minor = 5,
      .tile = CLA_TILE_MMA_K8, .max_work_group = 1024, .max_items = { 1024, 1024, 64 },
      .local_bytes = KIB(48), .global_bytes = GIB(15), .max_alloc = MIB(3743), .vector_floats = 1,
      .fp16 = true, .fp64 = true },
    { .name = "NVIDIA H100 80GB HBM3", .vendor = "NVIDIA Corporation", .driver = "580.159.04",
      .version = "OpenCL 3.0 CUDA", .type = CL_DEVICE_TYPE_GPU, .units = 132, .platform = 0,
      .extensions = "cl_khr_fp64 cl_nv_device_attribute_query", .chip_major = 9,
      .tile = CLA_TILE_MMA_K16,
      .max_work_group = 1024, .max_items = { 1024, 1024, 64 }, .local_bytes = KIB(48),
      .declared_local = KIB(226), .global_bytes = GIB(79), .max_alloc = GIB(19),
      .vector_floats = 1, .fp16 = true, .fp64 = true },
    { .name = "NVIDIA B200", .vendor = "NVIDIA Corporation", .driver = "580.159.04",
      .version = "OpenCL 3.0 CUDA", .type = CL_DEVICE_TYPE_GPU, .units = 148, .platform = 0,
      .extensions = "cl_khr_fp64 cl_nv_device_attribute_query", .chip_major = 10,
      .tile = CLA_TILE_MMA_K16,
      .max_work_group = 1024, .max_items = { 1024, 1024, 64 }, .local_bytes = KIB(48),
      .global_bytes = GIB(178), .max_alloc = GIB(44), .vector_floats = 1, .fp16 = true,
      .fp64 = true },
    { .name = "QUALCOMM Adreno(TM) 740", .vendor = "QUALCOMM", .platform = 1,
      .driver = "OpenCL 3.0 QUALCOMM build: commit # Compiler E031.41", .extensions = "cl_khr_fp16",
      .version = "OpenCL 3.0 Adreno(TM) 740", .type = CL_DEVICE_TYPE_GPU, .units = 6,
      .max_work_group = 1024, .max_items = { 1024, 1024, 1024 }, .local_bytes = KIB(32),
      .global_bytes = GIB(5), .max_alloc = GIB(1), .vector_floats = 1, .fp16 = true },
    { ARM, .name = "Mali-G76", .units = 12, .max_work_group = 384, .max_items = { 384, 384, 384 },
      .global_bytes = GIB(3), .max_alloc = GIB(3) },
    { ARM, .name = "Mali-G710", .units = 10, .max_work_group = 1024,
      .max_items = { 1024, 1024, 1024 }, .global_bytes = GIB(7), .max_alloc = GIB(7) },
    /* A GPU with what the safe configurations need, and no more: kin of the small mobile ones. */
    { .name = "small GPU", .vendor = "Nobody", .driver = "0", .version = "OpenCL 1.2",
      .extensions = "", .platform = 1, .type = CL_DEVICE_TYPE_GPU, .units = 1, .vector_floats = 4,
      .max_work_group = CLA_MIN_WORK_GROUP,
      .max_items = { CLA_MIN_WORK_GROUP, CLA_MIN_WORK_GROUP, CLA_MIN_WORK_GROUP },
      .local_bytes = CLA_MIN_LOCAL_BYTES, .global_bytes = GIB(2), .max_alloc = MIB(512) },
    /* The least that OpenCL 1.2 promises of an embedded device, and the least of any. */
    { ODD, .name = "least", .units = 1, .vector_floats = 1,
      .max_work_group = 64, .max_items = { 64, 64, 64 },
      .local_bytes = KIB(16), .global_bytes = MIB(64), .max_alloc = MIB(16) },
    { ODD, .name = "one item", .units = 1, .vector_floats = 1,
      .max_work_group = 1, .max_items = { 1, 1, 1 },
      .local_bytes = KIB(1), .global_bytes = MIB(64), .max_alloc = MIB(16) },
    { ODD, .name = "flat", .units = 1, .vector_floats = 1,
      .max_work_group = 256, .max_items = { 256, 1, 1 },
      .local_bytes = KIB(32), .global_bytes = MIB(64), .max_alloc = MIB(16) },
    { ODD, .name = "no local memory", .units = 1, .vector_floats = 1,
      .max_work_group = 256, .max_items = { 256, 256, 256 },
      .global_bytes = MIB(64), .max_alloc = MIB(16) },
    { ODD, .name = "no memory", .units = 1, .vector_floats = 1,
      .max_work_group = 256, .max_items = { 256, 256, 256 },
      .local_bytes = KIB(32) },
    { ODD, .name = long_name, .max_work_group = (size_t)-1,
      .max_items = { (size_t)-1, (size_t)-1, (size_t)-1 }, .local_bytes = (cl_ulong)-1,
      .global_bytes = (cl_ulong)-1, .max_alloc = (cl_ulong)-1, .units = (cl_uint)-1,
      .vector_floats = (cl_uint)-1 },
    { ODD, .name = "", .units = 0, .max_work_group = 64, .max_items = { 64, 64, 64 },
      .local_bytes = KIB(16), .global_bytes = MIB(64), .max_alloc = MIB(16), .vector_floats = 0 },
    { ODD, .name = "no compiler", .units = 1, .vector_floats = 1,
      .no_compiler = true, .max_work_group = 256,
      .max_items = { 256, 256, 256 }, .local_bytes = KIB(32), .global_bytes = GIB(1),
      .max_alloc = MIB(256) },
    { ODD, .name = "switched off", .units = 1, .vector_floats = 1,
      .switched_off = true, .max_work_group = 256,
      .max_items = { 256, 256, 256 }, .local_bytes = KIB(32), .global_bytes = GIB(1),
      .max_alloc = MIB(256) },
    { ODD, .name = "cannot count", .units = 1, .vector_floats = 1,
      .miscomputes = true, .max_work_group = 256,
      .max_items = { 256, 256, 256 }, .local_bytes = KIB(32), .global_bytes = GIB(1),
      .max_alloc = MIB(256) },
    { .name = NULL },
};
