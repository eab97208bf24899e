/* SPDX-License-Identifier: Apache-2.0 */
/* What an OpenCL device says about itself. What it can really do is in probe.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* Zero-terminated and cut to fit; leading blanks, which some drivers send, are dropped. */
static void device_text(cl_device_id device, cl_device_info what, char *out, size_t size)
{
    char text[1024] = "";
    if (clGetDeviceInfo(device, what, sizeof text - 1, text, NULL) != CL_SUCCESS)
        text[0] = '\0';
    const char *from = text + strspn(text, " ");
    const size_t n = strlen(from) < size - 1 ? strlen(from) : size - 1;
    memcpy(out, from, n);
    out[n] = '\0';
}

static clattn_device_type device_type(cl_device_id device)
{
    cl_device_type type = 0;
    clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    if (type & CL_DEVICE_TYPE_GPU)
        return CLATTN_DEVICE_GPU;
    return type & CL_DEVICE_TYPE_CPU ? CLATTN_DEVICE_CPU : CLATTN_DEVICE_OTHER;
}

static size_t device_ulong(cl_device_id device, cl_device_info what)
{
    cl_ulong value = 0;
    clGetDeviceInfo(device, what, sizeof value, &value, NULL);
    return (size_t)value;
}

/* A device without a compiler, or one that is switched off, is listed but cannot be used. */
static void check_available(cl_device_id device, clattn_device_info *info)
{
    cl_bool available = CL_FALSE, compiler = CL_FALSE;
    clGetDeviceInfo(device, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
    clGetDeviceInfo(device, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
    info->usable = available && compiler;
    if (!available)
        strcpy(info->why_not, "the driver says it is not available");
    else if (!compiler)
        strcpy(info->why_not, "it has no compiler for kernels");
}

void cla_cl_describe(cl_platform_id platform, cl_device_id device, cla_dev *dev)
{
    clattn_device_info *info = &dev->info;
    memset(dev, 0, sizeof *dev);
    info->type = device_type(device);
    device_text(device, CL_DEVICE_NAME, info->name, sizeof info->name);
    device_text(device, CL_DEVICE_VENDOR, info->vendor, sizeof info->vendor);
    device_text(device, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    device_text(device, CL_DEVICE_VERSION, info->version, sizeof info->version);
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof info->platform - 1, info->platform, NULL);
    clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof dev->platform_version - 1,
                      dev->platform_version, NULL);

    cl_uint units = 0;
    clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    info->compute_units = (int)units;
    clGetDeviceInfo(device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof info->max_work_group,
                    &info->max_work_group, NULL);
    cl_uint floats = 1;
    clGetDeviceInfo(device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof floats, &floats, NULL);
    dev->vector_floats = (int)floats;
    size_t items[8] = { 0 };
    clGetDeviceInfo(device, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof items, items, NULL);
    memcpy(dev->max_items, items, sizeof dev->max_items);
    info->local_bytes = device_ulong(device, CL_DEVICE_LOCAL_MEM_SIZE);
    info->global_bytes = device_ulong(device, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->max_alloc_bytes = device_ulong(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    check_available(device, info);
}

/* ---- the list ---- */

typedef struct list {
    cla_cl_device *devices;
    int count;
} list;

static bool add_platform(list *all, cl_platform_id platform)
{
    cl_device_id ids[64];
    cl_uint n = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 64, ids, &n) != CL_SUCCESS || n == 0)
        return true;
    if (n > 64)
        n = 64;
    cla_cl_device *grown = realloc(all->devices, ((size_t)all->count + n) * sizeof *grown);
    if (!grown)
        return false;
    all->devices = grown;
    for (cl_uint i = 0; i < n; i++) {
        cla_cl_device *d = &all->devices[all->count++];
        d->platform = platform;
        d->device = ids[i];
        cla_cl_describe(platform, ids[i], &d->dev);
    }
    return true;
}

/* Opens the device for a moment, to run the probes on it. */
static void probe_alone(cla_cl_device *device)
{
    clattn_ctx *ctx = cla_ctx_new(NULL);
    if (!ctx || !device->dev.info.usable) {
        cla_ctx_release(ctx);
        return;
    }
    if (cla_cl_open(ctx, device) == CLATTN_OK || ctx->dev.info.why_not[0]) {
        device->dev = ctx->dev;
    } else {
        device->dev.info.usable = false;
        snprintf(device->dev.info.why_not, sizeof device->dev.info.why_not, "%.255s", ctx->error);
    }
    cla_ctx_release(ctx);
}

clattn_status cla_cl_list(clattn_ctx *ctx, bool probe, cla_cl_device **out, int *count)
{
    cl_platform_id platforms[32];
    cl_uint n = 0;
    list all = { NULL, 0 };
    *out = NULL;
    *count = 0;
    /* No driver installed is an error code of the loader, and an empty list here. */
    if (clGetPlatformIDs(32, platforms, &n) != CL_SUCCESS)
        return CLATTN_OK;
    for (cl_uint i = 0; i < n && i < 32; i++)
        if (!add_platform(&all, platforms[i])) {
            free(all.devices);
            return cla_fail(ctx, CLATTN_ERR_MEMORY, "out of host memory for the device list");
        }
    for (int i = 0; probe && i < all.count; i++)
        probe_alone(&all.devices[i]);
    *out = all.devices;
    *count = all.count;
    return CLATTN_OK;
}
