/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file Interop with the caller's own OpenCL objects. Needs the OpenCL headers; clattn.h does not.
 *
 * Every object given to clattn is retained by it and released when the clattn object goes.
 */
#ifndef CLATTN_OPENCL_H
#define CLATTN_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "clattn.h"
#include "layers.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A context over the caller's cl_context and cl_command_queue. The device is the queue's.
 * clattn queues all its work on this queue; on an out-of-order queue order the calls with the
 * wait lists of clattn_plan_enqueue().
 *
 * @param params  may be NULL; .device must be NULL
 * @return CLATTN_OK
 *         CLATTN_ERR_ARG     NULL, params->device given, or the queue belongs to another context
 *         CLATTN_ERR_DEVICE, CLATTN_ERR_MEMORY, CLATTN_ERR_VERSION
 */
CLATTN_API clattn_status clattn_ctx_wrap_opencl(cl_context context, cl_command_queue queue,
                                                const struct clattn_ctx_params *params,
                                                clattn_ctx **out);

/**
 * A buffer over the caller's cl_mem, which must be a buffer object of the same cl_context.
 * @return CLATTN_OK
 *         CLATTN_ERR_ARG          NULL, not a buffer, or of another context
 *         CLATTN_ERR_UNSUPPORTED  the context is the native CPU
 *         CLATTN_ERR_MEMORY, CLATTN_ERR_DEVICE
 */
CLATTN_API clattn_status clattn_buffer_wrap_opencl(clattn_ctx *ctx, cl_mem mem,
                                                   clattn_buffer **out);

/** The cl_mem of a buffer, not retained; NULL on the native CPU. */
CLATTN_API cl_mem clattn_buffer_opencl(const clattn_buffer *buffer);

/** The queue of a context, not retained; NULL on the native CPU. */
CLATTN_API cl_command_queue clattn_ctx_opencl_queue(const clattn_ctx *ctx);

/**
 * clattn_plan_run() with a wait list and an event. Never blocks and never calls clFinish.
 *
 * @param num_wait, wait  events that must complete first; 0 and NULL for none
 * @param event           NULL, or set to an event that completes with the plan's results, to be
 *                        released by the caller
 * @return as clattn_plan_run(); CLATTN_ERR_ARG when a tensor of the plan is host memory or an
 *         event is of another context; CLATTN_ERR_UNSUPPORTED on the native CPU
 */
CLATTN_API clattn_status clattn_plan_enqueue(clattn_plan *plan, cl_uint num_wait,
                                             const cl_event *wait, cl_event *event);

/** The same with other tensors, see clattn_plan_run_attention() and its sisters. */
CLATTN_API clattn_status clattn_plan_enqueue_attention(clattn_plan *plan,
                                                       const struct clattn_attention_params *params,
                                                       cl_uint num_wait, const cl_event *wait,
                                                       cl_event *event);
CLATTN_API clattn_status clattn_plan_enqueue_merge(clattn_plan *plan,
                                                   const struct clattn_merge_params *params,
                                                   cl_uint num_wait, const cl_event *wait,
                                                   cl_event *event);
CLATTN_API clattn_status clattn_plan_enqueue_argmax(clattn_plan *plan,
                                                    const struct clattn_argmax_params *params,
                                                    cl_uint num_wait, const cl_event *wait,
                                                    cl_event *event);
CLATTN_API clattn_status
clattn_plan_enqueue_linear_attention(clattn_plan *plan,
                                     const struct clattn_linear_attention_params *params,
                                     cl_uint num_wait, const cl_event *wait, cl_event *event);
CLATTN_API clattn_status clattn_plan_enqueue_projection(
    clattn_plan *plan, const struct clattn_projection_params *params, cl_uint num_wait,
    const cl_event *wait, cl_event *event);
CLATTN_API clattn_status clattn_plan_enqueue_rope(clattn_plan *plan,
                                                  const struct clattn_rope_params *params,
                                                  cl_uint num_wait, const cl_event *wait,
                                                  cl_event *event);
CLATTN_API clattn_status clattn_plan_enqueue_rowwise(clattn_plan *plan,
                                                     const struct clattn_rowwise_params *params,
                                                     cl_uint num_wait, const cl_event *wait,
                                                     cl_event *event);
CLATTN_API clattn_status clattn_plan_enqueue_embedding(
    clattn_plan *plan, const struct clattn_embedding_params *params, cl_uint num_wait,
    const cl_event *wait, cl_event *event);

#ifdef __cplusplus
}
#endif

#endif
