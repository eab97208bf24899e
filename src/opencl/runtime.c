/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a device, and its memory. */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "state.h"

clattn_status cla_cl_adopt(clattn_ctx *ctx, cl_device_id device, cl_context context,
                           cl_command_queue queue)
{
    struct cla_cl *cl = calloc(1, sizeof *cl);
    CLA_REQUIRE(ctx, cl, CLATTN_ERR_MEMORY, "out of host memory for a context");
    ctx->cl = cl;
    cl->device = device;
    cl_command_queue_properties properties = 0;
    CLA_CL(ctx, "clGetCommandQueueInfo",
           clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL));
    cl->out_of_order = (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) != 0;
    CLA_CL(ctx, "clRetainContext", clRetainContext(context));
    cl->context = context;
    CLA_CL(ctx, "clRetainCommandQueue", clRetainCommandQueue(queue));
    cl->queue = queue;
    return CLATTN_OK;
}

static clattn_status open_queue(clattn_ctx *ctx, cl_platform_id platform, cl_device_id device)
{
    const cl_context_properties properties[] = { CL_CONTEXT_PLATFORM,
                                                 (cl_context_properties)platform, 0 };
    cl_int e;
    cl_context context = clCreateContext(properties, 1, &device, NULL, NULL, &e);
    if (e != CL_SUCCESS)
        return cla_cl_fail(ctx, "clCreateContext", e);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, &e);
    clattn_status s = e == CL_SUCCESS ? cla_cl_adopt(ctx, device, context, queue)
                                      : cla_cl_fail(ctx, "clCreateCommandQueue", e);
    if (queue && e == CL_SUCCESS)
        clReleaseCommandQueue(queue);
    clReleaseContext(context);
    return s;
}

clattn_status cla_cl_check_usable(clattn_ctx *ctx)
{
    const clattn_device_info *info = &ctx->dev.info;
    CLA_REQUIRE(ctx, info->usable, CLATTN_ERR_DEVICE, "device %s cannot be used: %s", info->name,
                info->why_not);
    return CLATTN_OK;
}

clattn_status cla_cl_open(clattn_ctx *ctx, const cla_cl_device *device)
{
    ctx->dev = device->dev;
    CLA_TRY(cla_cl_check_usable(ctx));
    CLA_TRY(open_queue(ctx, device->platform, device->device));
    cla_cl_probe(ctx, &ctx->dev);
    return cla_cl_check_usable(ctx);
}

static void free_programs(cla_program *program, bool forked)
{
    while (program) {
        cla_program *next = program->next;
        if (!forked)
            clReleaseProgram(program->program);
        free(program->options);
        free(program);
        program = next;
    }
}

/* After a fork the driver's threads are gone and its calls may hang: then only our memory goes. */
void cla_cl_close(struct cla_cl **cl_ptr, bool forked)
{
    struct cla_cl *cl = *cl_ptr;
    if (!cl)
        return;
    if (!forked && cl->queue) {
        clFinish(cl->queue);
        clReleaseCommandQueue(cl->queue);
    }
    free_programs(cl->programs, forked);
    if (!forked && cl->context)
        clReleaseContext(cl->context);
    free(cl);
    *cl_ptr = NULL;
}

clattn_status cla_cl_finish(clattn_ctx *ctx)
{
    CLA_CL(ctx, "clFinish", clFinish(ctx->cl->queue));
    return CLATTN_OK;
}

static void CL_CALLBACK free_host(cl_mem mem, void *host)
{
    (void)mem;
    free(host);
}

/* On a CPU, in memory of ours: drivers do not ask for huge pages. NULL: not made. */
static cl_mem make_large(cl_context context, size_t bytes)
{
    const cl_mem_flags flags = CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR;
    cl_int e;
    void *host = cla_memory_alloc(bytes);
    cl_mem mem = host ? clCreateBuffer(context, flags, bytes, host, &e) : NULL;
    if (mem && clSetMemObjectDestructorCallback(mem, free_host, host) == CL_SUCCESS)
        return mem;
    if (mem)
        clReleaseMemObject(mem);
    free(host);
    return NULL;
}

clattn_status cla_cl_buffer_create(clattn_ctx *ctx, size_t bytes, void **mem)
{
    const bool ours = ctx->dev.info.type == CLATTN_DEVICE_CPU && cla_memory_is_large(bytes);
    cl_int e;
    *mem = ours ? make_large(ctx->cl->context, bytes) : NULL;
    if (*mem)
        return CLATTN_OK;
    *mem = clCreateBuffer(ctx->cl->context, CL_MEM_READ_WRITE, bytes, NULL, &e);
    if (e == CL_SUCCESS)
        return CLATTN_OK;
    *mem = NULL;
    return cla_cl_fail(ctx, "clCreateBuffer", e);
}

void cla_cl_buffer_destroy(void *mem)
{
    if (mem)
        clReleaseMemObject(mem);
}

/* On an out-of-order queue a copy, say, would not wait for the work before it. */
clattn_status cla_cl_settle(clattn_ctx *ctx)
{
    return ctx->cl && ctx->cl->out_of_order ? cla_cl_finish(ctx) : CLATTN_OK;
}

clattn_status cla_cl_buffer_write(clattn_ctx *ctx, void *mem, size_t offset, const void *src,
                                  size_t bytes)
{
    CLA_TRY(cla_cl_settle(ctx));
    CLA_CL(ctx, "clEnqueueWriteBuffer",
           clEnqueueWriteBuffer(ctx->cl->queue, mem, CL_TRUE, offset, bytes, src, 0, NULL, NULL));
    return CLATTN_OK;
}

clattn_status cla_cl_buffer_read(clattn_ctx *ctx, void *mem, size_t offset, void *dst, size_t bytes)
{
    CLA_TRY(cla_cl_settle(ctx));
    CLA_CL(ctx, "clEnqueueReadBuffer",
           clEnqueueReadBuffer(ctx->cl->queue, mem, CL_TRUE, offset, bytes, dst, 0, NULL, NULL));
    return CLATTN_OK;
}

/* Called by the driver when it is done with the copy, also when the command failed. */
static void CL_CALLBACK free_copy(cl_event event, cl_int status, void *copy)
{
    (void)event;
    (void)status;
    free(copy);
}

/* The work before and after does not wait on an out-of-order queue: there the call does. */
clattn_status cla_cl_buffer_write_later(clattn_ctx *ctx, void *mem, size_t offset, const void *src,
                                        size_t bytes)
{
    void *copy = ctx->cl->out_of_order ? NULL : malloc(bytes);
    if (!copy)
        return cla_cl_buffer_write(ctx, mem, offset, src, bytes);
    memcpy(copy, src, bytes);
    cl_event event;
    const cl_int e = clEnqueueWriteBuffer(ctx->cl->queue, mem, CL_FALSE, offset, bytes, copy, 0,
                                          NULL, &event);
    if (e != CL_SUCCESS) {
        free(copy);
        return cla_cl_fail(ctx, "clEnqueueWriteBuffer", e);
    }
    /* A driver that refuses both may still read the copy: better lost than reused. */
    if (clSetEventCallback(event, CL_COMPLETE, free_copy, copy) != CL_SUCCESS
        && clWaitForEvents(1, &event) == CL_SUCCESS)
        free(copy);
    clReleaseEvent(event);
    return CLATTN_OK;
}

clattn_status cla_cl_buffer_copy(clattn_ctx *ctx, void *src, size_t from, void *dst, size_t to,
                                 size_t bytes)
{
    CLA_TRY(cla_cl_settle(ctx));
    CLA_CL(ctx, "clEnqueueCopyBuffer",
           clEnqueueCopyBuffer(ctx->cl->queue, src, dst, from, to, bytes, 0, NULL, NULL));
    return cla_cl_settle(ctx);
}
