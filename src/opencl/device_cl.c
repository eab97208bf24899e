/* SPDX-License-Identifier: Apache-2.0 */
/* What an OpenCL device says about itself. What it can really do is in probe.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "state.h"

/* A device that is asked about itself. What it does not answer makes it unusable: why_not. */
typedef struct question {
    cl_platform_id platform;
    cl_device_id device;
    clattn_device_info *info;
} question;

static void refused(const question *q, const char *call, const char *what, cl_int e)
{
    if (!q->info->why_not[0])
        snprintf(q->info->why_not, sizeof q->info->why_not, "%s(%s): %s (%d)", call, what,
                 cla_cl_error_name(e), (int)e);
}

static void ask(const question *q, cl_device_info what, const char *name, size_t size, void *value)
{
    const cl_int e = clGetDeviceInfo(q->device, what, size, value, NULL);
    if (e != CL_SUCCESS)
        refused(q, "clGetDeviceInfo", name, e);
}
#define ASK(q, what, value) ask((q), (what), #what, sizeof(value), &(value))

enum { LONGEST_TEXT = 1024 };

/* Zero-terminated and cut to fit; leading blanks, which some drivers send, are dropped. */
static void cut(const char *text, char *out, size_t size)
{
    const char *from = text + strspn(text, " ");
    const size_t n = strlen(from) < size - 1 ? strlen(from) : size - 1;
    memcpy(out, from, n);
    out[n] = '\0';
}

static void ask_text(const question *q, cl_device_info what, const char *name, char *out,
                     size_t size)
{
    char text[LONGEST_TEXT] = "";
    ask(q, what, name, sizeof text - 1, text);
    cut(text, out, size);
}
#define ASK_TEXT(q, what, out) ask_text((q), (what), #what, (out), sizeof(out))

static void ask_platform(const question *q, cl_platform_info what, const char *name, char *out,
                         size_t size)
{
    char text[LONGEST_TEXT] = "";
    const cl_int e = clGetPlatformInfo(q->platform, what, sizeof text - 1, text, NULL);
    if (e != CL_SUCCESS)
        refused(q, "clGetPlatformInfo", name, e);
    cut(text, out, size);
}
#define ASK_PLATFORM(q, what, out) ask_platform((q), (what), #what, (out), sizeof(out))

static clattn_device_type device_type(const question *q)
{
    cl_device_type type = 0;
    ASK(q, CL_DEVICE_TYPE, type);
    if (type & CL_DEVICE_TYPE_GPU)
        return CLATTN_DEVICE_GPU;
    return type & CL_DEVICE_TYPE_CPU ? CLATTN_DEVICE_CPU : CLATTN_DEVICE_OTHER;
}

/* Far more than any device has: products with it stay within an int. */
enum { MOST_UNITS = 1 << 16 };

static void ask_limits(const question *q, cla_dev *dev)
{
    cl_uint units = 0, floats = 1;
    cl_ulong local = 0, global = 0, alloc = 0;
    size_t items[8] = { 0 };
    ASK(q, CL_DEVICE_MAX_COMPUTE_UNITS, units);
    ASK(q, CL_DEVICE_MAX_WORK_GROUP_SIZE, dev->info.max_work_group);
    ASK(q, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, floats);
    ASK(q, CL_DEVICE_MAX_WORK_ITEM_SIZES, items);
    ASK(q, CL_DEVICE_LOCAL_MEM_SIZE, local);
    ASK(q, CL_DEVICE_GLOBAL_MEM_SIZE, global);
    ASK(q, CL_DEVICE_MAX_MEM_ALLOC_SIZE, alloc);
    dev->info.compute_units = units < MOST_UNITS ? (int)units : MOST_UNITS;
    dev->vector_floats = (int)floats;
    memcpy(dev->max_items, items, sizeof dev->max_items);
    dev->info.local_bytes = (size_t)local;
    dev->info.global_bytes = (size_t)global;
    dev->info.max_alloc_bytes = (size_t)alloc;
    /* What drivers say of a cache is that of a core. */
    dev->info.cache_bytes = dev->info.type == CLATTN_DEVICE_CPU ? cla_memory_cache_bytes() : 0;
}

/* A device without a compiler, or one that is switched off, is listed but cannot be used. */
static void check_available(const question *q)
{
    clattn_device_info *info = q->info;
    cl_bool available = CL_FALSE, compiler = CL_FALSE;
    ASK(q, CL_DEVICE_AVAILABLE, available);
    ASK(q, CL_DEVICE_COMPILER_AVAILABLE, compiler);
    if (info->why_not[0])
        return;
    info->usable = available && compiler;
    if (!available)
        strcpy(info->why_not, "the driver says it is not available");
    else if (!compiler)
        strcpy(info->why_not, "it has no compiler for kernels");
}

void cla_cl_describe(cl_platform_id platform, cl_device_id device, cla_dev *dev)
{
    clattn_device_info *info = &dev->info;
    const question q = { platform, device, info };
    memset(dev, 0, sizeof *dev);
    info->type = device_type(&q);
    ASK_TEXT(&q, CL_DEVICE_NAME, info->name);
    ASK_TEXT(&q, CL_DEVICE_VENDOR, info->vendor);
    ASK_TEXT(&q, CL_DRIVER_VERSION, info->driver);
    ASK_TEXT(&q, CL_DEVICE_VERSION, info->version);
    ASK_PLATFORM(&q, CL_PLATFORM_NAME, info->platform);
    ASK_PLATFORM(&q, CL_PLATFORM_VERSION, dev->platform_version);
    ask_limits(&q, dev);
    check_available(&q);
}

/* ---- the list ---- */

/* A driver that fails keeps its devices to itself: no reason to fail, if somebody says so. */
static void left_out(clattn_ctx *ctx, cla_cl_devices *all, const char *call, cl_int e)
{
    snprintf(all->trouble, sizeof all->trouble, "%s: %s (%d)", call, cla_cl_error_name(e), (int)e);
    cla_log(ctx, CLATTN_LOG_WARN, "OpenCL devices are left out: %s", all->trouble);
}

static bool add_platform(clattn_ctx *ctx, cla_cl_devices *all, cl_platform_id platform)
{
    cl_device_id ids[64];
    cl_uint n = 0;
    const cl_int e = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 64, ids, &n);
    if (e != CL_SUCCESS && e != CL_DEVICE_NOT_FOUND)
        left_out(ctx, all, "clGetDeviceIDs", e);
    if (e != CL_SUCCESS || n == 0)
        return true;
    if (n > 64)
        n = 64;
    cla_cl_device *grown = realloc(all->list, ((size_t)all->count + n) * sizeof *grown);
    if (!grown)
        return false;
    all->list = grown;
    for (cl_uint i = 0; i < n; i++) {
        cla_cl_device *d = &all->list[all->count++];
        d->platform = platform;
        d->device = ids[i];
        cla_cl_describe(platform, ids[i], &d->dev);
    }
    return true;
}

/* Opens the device for a moment, to run the probes on it. */
static void probe_alone(cla_cl_device *device)
{
    if (!device->dev.info.usable)
        return;
    clattn_ctx *ctx = cla_ctx_new(NULL);
    if (!ctx) {
        device->dev.info.usable = false;
        snprintf(device->dev.info.why_not, sizeof device->dev.info.why_not, "out of host memory");
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

/* What the ICD loader answers where no driver is installed. */
#define PLATFORM_NOT_FOUND_KHR (-1001)

clattn_status cla_cl_list(clattn_ctx *ctx, bool probe, cla_cl_devices *out)
{
    cl_platform_id platforms[32];
    cl_uint n = 0;
    *out = (cla_cl_devices){ .count = 0 };
    const cl_int e = clGetPlatformIDs(32, platforms, &n);
    if (e != CL_SUCCESS && e != PLATFORM_NOT_FOUND_KHR)
        left_out(ctx, out, "clGetPlatformIDs", e);
    if (e != CL_SUCCESS)
        return CLATTN_OK;
    for (cl_uint i = 0; i < n && i < 32; i++)
        if (!add_platform(ctx, out, platforms[i])) {
            cla_cl_devices_free(out);
            return cla_fail(ctx, CLATTN_ERR_MEMORY, "out of host memory for the device list");
        }
    for (int i = 0; probe && i < out->count; i++)
        probe_alone(&out->list[i]);
    return CLATTN_OK;
}

void cla_cl_devices_free(cla_cl_devices *devices)
{
    free(devices->list);
    devices->list = NULL;
    devices->count = 0;
}
