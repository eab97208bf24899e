/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenCL side of a library that was built without OpenCL: there is no such device. */
#include "runtime.h"

#include <stdlib.h>

static clattn_status none(clattn_ctx *ctx)
{
    return cla_fail(ctx, CLATTN_ERR_DEVICE, "this library was built without OpenCL");
}

clattn_status cla_cl_list(clattn_ctx *ctx, bool probe, cla_cl_devices *out)
{
    (void)ctx;
    (void)probe;
    *out = (cla_cl_devices){ .count = 0 };
    return CLATTN_OK;
}

void cla_cl_devices_free(cla_cl_devices *devices)
{
    free(devices->list);
    devices->list = NULL;
    devices->count = 0;
}

clattn_status cla_cl_open(clattn_ctx *ctx, const cla_cl_device *device)
{
    (void)device;
    return none(ctx);
}

void cla_cl_close(struct cla_cl **cl, bool forked)
{
    (void)forked;
    *cl = NULL;
}

clattn_status cla_cl_finish(clattn_ctx *ctx)
{
    return none(ctx);
}

void cla_cl_binaries_describe(clattn_ctx *ctx, struct clattn_cache_info *info)
{
    (void)ctx;
    (void)info;
}

clattn_status cla_cl_buffer_create(clattn_ctx *ctx, size_t bytes, void **mem)
{
    (void)bytes;
    *mem = NULL;
    return none(ctx);
}

void cla_cl_buffer_destroy(void *mem)
{
    (void)mem;
}

clattn_status cla_cl_buffer_write(clattn_ctx *ctx, void *mem, size_t offset, const void *src,
                                  size_t bytes)
{
    (void)mem, (void)offset, (void)src, (void)bytes;
    return none(ctx);
}

clattn_status cla_cl_buffer_read(clattn_ctx *ctx, void *mem, size_t offset, void *dst,
                                 size_t bytes)
{
    (void)mem, (void)offset, (void)dst, (void)bytes;
    return none(ctx);
}

clattn_status cla_cl_buffer_write_later(clattn_ctx *ctx, void *mem, size_t offset, const void *src,
                                        size_t bytes)
{
    (void)mem, (void)offset, (void)src, (void)bytes;
    return none(ctx);
}

clattn_status cla_cl_buffer_copy(clattn_ctx *ctx, void *src, size_t from, void *dst, size_t to,
                                 size_t bytes)
{
    (void)src, (void)from, (void)dst, (void)to, (void)bytes;
    return none(ctx);
}

clattn_status cla_cl_launch_make(clattn_ctx *ctx, const cla_kernel *kernel, const void *problem,
                                 const int *t, cla_launch *out)
{
    (void)kernel, (void)problem, (void)t, (void)out;
    return none(ctx);
}

void cla_cl_launch_free(cla_launch *launch)
{
    (void)launch;
}

clattn_status cla_cl_launch_run(clattn_ctx *ctx, const cla_launch *launches, int count,
                                const void *problem, void *any_mem, const cla_events *events)
{
    (void)launches, (void)count, (void)problem, (void)any_mem, (void)events;
    return none(ctx);
}

clattn_status cla_cl_settle(clattn_ctx *ctx)
{
    (void)ctx;
    return CLATTN_OK;
}
