/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments from the descriptor, then the enqueue. */
#include <stdio.h>

#include "state.h"

static cl_int set_arg(cl_kernel handle, cl_uint index, const cla_arg *arg, const void *problem,
                      cl_mem any_mem)
{
    const void *field = (const char *)problem + arg->offset;
    switch (arg->kind) {
    case CLA_ARG_VIEW: {
        const cla_view *view = field;
        cl_mem mem = view->buffer ? view->buffer->mem : any_mem;
        return clSetKernelArg(handle, index, sizeof mem, &mem);
    }
    case CLA_ARG_I32:
        return clSetKernelArg(handle, index, sizeof(cl_int), field);
    case CLA_ARG_I64:
        return clSetKernelArg(handle, index, sizeof(cl_long), field);
    case CLA_ARG_F32:
        return clSetKernelArg(handle, index, sizeof(cl_float), field);
    case CLA_ARG_END:
        break;
    }
    return CL_INVALID_ARG_INDEX;
}

static clattn_status set_args(clattn_ctx *ctx, const cla_launch *launch, const void *problem,
                              void *any_mem)
{
    for (cl_uint i = 0; launch->kernel->args[i].kind != CLA_ARG_END; i++) {
        const cl_int e = set_arg(launch->handle, i, &launch->kernel->args[i], problem, any_mem);
        if (e != CL_SUCCESS)
            return cla_fail(ctx, CLATTN_ERR_DEVICE, "clSetKernelArg(%s, %u): %s (%d)",
                            launch->kernel->name, (unsigned)i, cla_cl_error_name(e), (int)e);
    }
    return CLATTN_OK;
}

static clattn_status enqueue(clattn_ctx *ctx, const cla_launch *launch, cl_uint num_wait,
                             const cl_event *wait, cl_event *event)
{
    const cla_geometry *g = &launch->geometry;
    const cl_int e = clEnqueueNDRangeKernel(ctx->cl->queue, launch->handle, (cl_uint)g->dims, NULL,
                                            g->global, g->local, num_wait, wait, event);
    if (e == CL_SUCCESS)
        return CLATTN_OK;
    char call[96];
    snprintf(call, sizeof call, "clEnqueueNDRangeKernel(%s)", launch->kernel->name);
    return cla_cl_fail(ctx, call, e);
}

/* A plan of nothing still gives the caller an event to wait for. */
static clattn_status enqueue_nothing(clattn_ctx *ctx, const cla_events *events)
{
    if (events->out)
        CLA_CL(ctx, "clEnqueueMarkerWithWaitList",
               clEnqueueMarkerWithWaitList(ctx->cl->queue, events->num_wait, events->wait,
                                           events->out));
    return CLATTN_OK;
}

/*
 * An in-order queue needs only the wait list at the first launch and the event at the last. On an
 * out-of-order queue each launch waits for the one before.
 */
clattn_status cla_cl_launch_run(clattn_ctx *ctx, const cla_launch *launches, int count,
                                const void *problem, void *any_mem, const cla_events *events)
{
    for (int i = 0; i < count; i++)
        CLA_TRY(set_args(ctx, &launches[i], problem, any_mem));

    if (count == 0)
        return enqueue_nothing(ctx, events);
    const bool chain = ctx->cl->out_of_order;
    cl_event previous = NULL;
    clattn_status s = CLATTN_OK;
    for (int i = 0; i < count && s == CLATTN_OK; i++) {
        const bool last = i == count - 1;
        cl_event next = NULL;
        cl_event *out = last ? events->out : chain ? &next : NULL;
        s = i == 0 ? enqueue(ctx, &launches[i], events->num_wait, events->wait, out)
                   : enqueue(ctx, &launches[i], previous ? 1 : 0, previous ? &previous : NULL, out);
        if (previous)
            clReleaseEvent(previous);
        previous = next;
    }
    if (previous)
        clReleaseEvent(previous);
    return s;
}
