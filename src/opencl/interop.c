/* SPDX-License-Identifier: Apache-2.0 */
/* include/clattn/opencl.h: the caller's own OpenCL objects. */
#include <stdlib.h>
#include <string.h>

#include "../env.h"
#include "../op.h"
#include "../params.h"
#include "../selfcheck.h"
#include "state.h"

static clattn_status wrap(clattn_ctx *ctx, cl_context context, cl_command_queue queue,
                          const struct clattn_ctx_params *user)
{
    struct clattn_ctx_params params = { .struct_size = sizeof params };
    if (user)
        CLA_TRY(cla_params_read(ctx, "clattn_ctx_wrap_opencl", &params, sizeof params, user));
    CLA_REQUIRE(ctx, context && queue, CLATTN_ERR_ARG,
                "clattn_ctx_wrap_opencl: the context or the queue is NULL");
    CLA_REQUIRE(ctx, !params.device, CLATTN_ERR_ARG,
                "clattn_ctx_wrap_opencl: the device is the queue's, params.device must be NULL");
    CLA_TRY(cla_selfcheck_configure(ctx, cla_env_read().check));
    cl_context owner;
    cl_device_id device;
    cl_platform_id platform;
    CLA_CL(ctx, "clGetCommandQueueInfo",
           clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof owner, &owner, NULL));
    CLA_REQUIRE(ctx, owner == context, CLATTN_ERR_ARG,
                "clattn_ctx_wrap_opencl: the queue belongs to another context");
    CLA_CL(ctx, "clGetCommandQueueInfo",
           clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof device, &device, NULL));
    CLA_CL(ctx, "clGetDeviceInfo",
           clGetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL));
    cla_cl_describe(platform, device, &ctx->dev);
    ctx->dev.info.index = -1;
    CLA_TRY(cla_cl_check_usable(ctx));
    CLA_TRY(cla_cl_adopt(ctx, device, context, queue));
    cla_cl_probe(ctx, &ctx->dev);
    return cla_cl_check_usable(ctx);
}

clattn_status clattn_ctx_wrap_opencl(cl_context context, cl_command_queue queue,
                                     const struct clattn_ctx_params *params, clattn_ctx **out)
{
    if (!out)
        return CLATTN_ERR_ARG;
    *out = NULL;
    clattn_ctx *ctx = cla_ctx_new(params);
    if (!ctx)
        return CLATTN_ERR_MEMORY;
    ctx->adopted = true;
    const clattn_status s = wrap(ctx, context, queue, params);
    if (s != CLATTN_OK)
        cla_ctx_release(ctx);
    else
        *out = ctx;
    return s;
}

clattn_status clattn_buffer_wrap_opencl(clattn_ctx *ctx, cl_mem mem, clattn_buffer **out)
{
    if (out)
        *out = NULL;
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, out && mem, CLATTN_ERR_ARG, "clattn_buffer_wrap_opencl: %s is NULL",
                out ? "mem" : "out");
    CLA_REQUIRE(ctx, ctx->cl, CLATTN_ERR_UNSUPPORTED,
                "clattn_buffer_wrap_opencl: the context is the native CPU");
    cl_context owner;
    cl_mem_object_type type;
    size_t bytes;
    CLA_CL(ctx, "clGetMemObjectInfo",
           clGetMemObjectInfo(mem, CL_MEM_CONTEXT, sizeof owner, &owner, NULL));
    CLA_CL(ctx, "clGetMemObjectInfo",
           clGetMemObjectInfo(mem, CL_MEM_TYPE, sizeof type, &type, NULL));
    CLA_CL(ctx, "clGetMemObjectInfo",
           clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof bytes, &bytes, NULL));
    CLA_REQUIRE(ctx, owner == ctx->cl->context, CLATTN_ERR_ARG,
                "clattn_buffer_wrap_opencl: the memory object belongs to another OpenCL context");
    CLA_REQUIRE(ctx, type == CL_MEM_OBJECT_BUFFER, CLATTN_ERR_ARG,
                "clattn_buffer_wrap_opencl: the memory object is of type 0x%x, not a buffer",
                (unsigned)type);
    clattn_buffer *buffer = calloc(1, sizeof *buffer);
    CLA_REQUIRE(ctx, buffer, CLATTN_ERR_MEMORY, "out of host memory for a buffer");
    const cl_int e = clRetainMemObject(mem);
    if (e != CL_SUCCESS) {
        free(buffer);
        return cla_cl_fail(ctx, "clRetainMemObject", e);
    }
    *buffer = (clattn_buffer){ .refs = 1, .ctx = cla_ctx_retain(ctx), .bytes = bytes, .mem = mem };
    *out = buffer;
    return CLATTN_OK;
}

cl_mem clattn_buffer_opencl(const clattn_buffer *buffer)
{
    return buffer ? buffer->mem : NULL;
}

cl_command_queue clattn_ctx_opencl_queue(const clattn_ctx *ctx)
{
    return ctx && ctx->cl ? ctx->cl->queue : NULL;
}

/* What all enqueue forms check before they look at the tensors. */
static clattn_status check_events(clattn_plan *plan, cl_uint num_wait, const cl_event *wait)
{
    CLA_TRY(cla_plan_enter(plan, NULL));
    clattn_ctx *ctx = plan->ctx;
    CLA_REQUIRE(ctx, ctx->cl, CLATTN_ERR_UNSUPPORTED,
                "the enqueue form needs an OpenCL device, the context is the native CPU");
    CLA_REQUIRE(ctx, (num_wait == 0) == (wait == NULL), CLATTN_ERR_ARG,
                "%u events to wait for, and the list is %s", (unsigned)num_wait,
                wait ? "given" : "NULL");
    for (cl_uint i = 0; i < num_wait; i++) {
        cl_context owner = NULL;
        CLA_REQUIRE(ctx, wait[i], CLATTN_ERR_ARG, "event %u of the wait list is NULL", (unsigned)i);
        CLA_CL(ctx, "clGetEventInfo",
               clGetEventInfo(wait[i], CL_EVENT_CONTEXT, sizeof owner, &owner, NULL));
        CLA_REQUIRE(ctx, owner == ctx->cl->context, CLATTN_ERR_ARG,
                    "event %u of the wait list belongs to another OpenCL context", (unsigned)i);
    }
    return CLATTN_OK;
}

static cla_events make_events(cl_uint num_wait, const cl_event *wait, cl_event *event)
{
    return (cla_events){ num_wait, wait, event, true };
}

clattn_status clattn_plan_enqueue(clattn_plan *plan, cl_uint num_wait, const cl_event *wait,
                                  cl_event *event)
{
    const cla_events events = make_events(num_wait, wait, event);
    CLA_TRY(check_events(plan, num_wait, wait));
    return cla_plan_run_own(plan, &events);
}

/* The same on other tensors, for every operation. */
static clattn_status enqueue_on(clattn_plan *plan, const cla_op *op, const void *params,
                                cl_uint num_wait, const cl_event *wait, cl_event *event)
{
    const cla_events events = make_events(num_wait, wait, event);
    CLA_TRY(check_events(plan, num_wait, wait));
    return cla_op_run(plan, op, params, &events);
}

#define ENQUEUE(name)                                                                            \
    clattn_status clattn_plan_enqueue_##name(clattn_plan *plan,                                  \
                                             const struct clattn_##name##_params *params,        \
                                             cl_uint num_wait, const cl_event *wait,             \
                                             cl_event *event)                                    \
    {                                                                                            \
        return enqueue_on(plan, &cla_op_##name, params, num_wait, wait, event);                  \
    }
ENQUEUE(attention)
ENQUEUE(merge)
ENQUEUE(argmax)
ENQUEUE(projection)
ENQUEUE(rope)
ENQUEUE(linear_attention)
ENQUEUE(rowwise)
ENQUEUE(embedding)
