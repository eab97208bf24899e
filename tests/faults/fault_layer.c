/* SPDX-License-Identifier: Apache-2.0 */
/* See fault_layer.h. */
#include "fault_layer.h"

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl_layer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT fault_layer fault_layer_state = { .code = CL_OUT_OF_RESOURCES };

static fault_layer *const state = &fault_layer_state;
static const cl_icd_dispatch *next; /* of the loader */
static cl_icd_dispatch mine;

static bool fails(const char *name)
{
    if (state->only && strcmp(state->only, name) != 0)
        return false;
    const long call = atomic_fetch_add(&state->calls, 1) + 1;
    if (state->at == 0 || call < state->at || (call > state->at && !state->sticky))
        return false;
    state->fired++;
    for (int i = 0; i < FAULT_NAMES; i++)
        if (!state->hit[i] || state->hit[i] == name) {
            state->hit[i] = name;
            break;
        }
    return true;
}

/* ---- entry points by shape ---- */

typedef void(CL_CALLBACK *on_error)(const char *, const void *, size_t, void *);
typedef void(CL_CALLBACK *on_build)(cl_program, void *);
typedef void(CL_CALLBACK *on_event)(cl_event, cl_int, void *);

/* Of a status. */
#define STATUS(name, params, args)                                \
    static cl_int CL_API_CALL fault_##name params                 \
    {                                                             \
        return fails(#name) ? state->code : next->name args;      \
    }

/* Of a status, with an event out. */
#define ENQUEUE(name, params, args)                               \
    static cl_int CL_API_CALL fault_##name params                 \
    {                                                             \
        if (fails(#name))                                         \
            return state->code;                                   \
        const cl_int e = next->name args;                         \
        if (e == CL_SUCCESS && event)                             \
            atomic_fetch_add(&state->live[FAULT_EVENT], 1);       \
        return e;                                                 \
    }

/* Of an object, with the status in *e. */
#define CREATE(type, kind, name, params, args)                    \
    static type CL_API_CALL fault_##name params                   \
    {                                                             \
        if (fails(#name)) {                                       \
            if (e)                                                \
                *e = state->code;                                 \
            return NULL;                                          \
        }                                                         \
        const type object = next->name args;                      \
        if (object)                                               \
            atomic_fetch_add(&state->live[FAULT_##kind], 1);      \
        return object;                                            \
    }

#define COUNT(type, kind, name, step)                             \
    static cl_int CL_API_CALL fault_##name(type object)           \
    {                                                             \
        const cl_int e = next->name(object);                      \
        if (e == CL_SUCCESS)                                      \
            atomic_fetch_add(&state->live[FAULT_##kind], step);   \
        return e;                                                 \
    }

/* ---- the entry points ---- */

STATUS(clGetPlatformIDs, (cl_uint n, cl_platform_id *list, cl_uint *count), (n, list, count))
STATUS(clGetPlatformInfo,
       (cl_platform_id platform, cl_platform_info what, size_t size, void *value, size_t *full),
       (platform, what, size, value, full))
STATUS(clGetDeviceIDs,
       (cl_platform_id platform, cl_device_type type, cl_uint n, cl_device_id *list,
        cl_uint *count),
       (platform, type, n, list, count))
STATUS(clGetDeviceInfo,
       (cl_device_id device, cl_device_info what, size_t size, void *value, size_t *full),
       (device, what, size, value, full))
STATUS(clGetCommandQueueInfo,
       (cl_command_queue queue, cl_command_queue_info what, size_t size, void *value, size_t *full),
       (queue, what, size, value, full))
STATUS(clGetMemObjectInfo, (cl_mem mem, cl_mem_info what, size_t size, void *value, size_t *full),
       (mem, what, size, value, full))
STATUS(clGetProgramInfo,
       (cl_program program, cl_program_info what, size_t size, void *value, size_t *full),
       (program, what, size, value, full))
STATUS(clGetProgramBuildInfo,
       (cl_program program, cl_device_id device, cl_program_build_info what, size_t size,
        void *value, size_t *full),
       (program, device, what, size, value, full))
STATUS(clGetEventInfo, (cl_event of, cl_event_info what, size_t size, void *value, size_t *full),
       (of, what, size, value, full))
STATUS(clBuildProgram,
       (cl_program program, cl_uint n, const cl_device_id *devices, const char *options,
        on_build notify, void *user),
       (program, n, devices, options, notify, user))
STATUS(clSetEventCallback, (cl_event of, cl_int type, on_event notify, void *user),
       (of, type, notify, user))
STATUS(clWaitForEvents, (cl_uint n, const cl_event *events), (n, events))
STATUS(clFlush, (cl_command_queue queue), (queue))
STATUS(clFinish, (cl_command_queue queue), (queue))

ENQUEUE(clEnqueueReadBuffer,
        (cl_command_queue queue, cl_mem mem, cl_bool wait, size_t offset, size_t size, void *to,
         cl_uint n, const cl_event *events, cl_event *event),
        (queue, mem, wait, offset, size, to, n, events, event))
ENQUEUE(clEnqueueWriteBuffer,
        (cl_command_queue queue, cl_mem mem, cl_bool wait, size_t offset, size_t size,
         const void *from, cl_uint n, const cl_event *events, cl_event *event),
        (queue, mem, wait, offset, size, from, n, events, event))
ENQUEUE(clEnqueueCopyBuffer,
        (cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset,
         size_t size, cl_uint n, const cl_event *events, cl_event *event),
        (queue, from, to, from_offset, to_offset, size, n, events, event))
ENQUEUE(clEnqueueNDRangeKernel,
        (cl_command_queue queue, cl_kernel kernel, cl_uint dims, const size_t *offset,
         const size_t *global, const size_t *local, cl_uint n, const cl_event *events,
         cl_event *event),
        (queue, kernel, dims, offset, global, local, n, events, event))
ENQUEUE(clEnqueueMarkerWithWaitList,
        (cl_command_queue queue, cl_uint n, const cl_event *events, cl_event *event),
        (queue, n, events, event))

CREATE(cl_context, CONTEXT, clCreateContext,
       (const cl_context_properties *properties, cl_uint n, const cl_device_id *devices,
        on_error notify, void *user, cl_int *e),
       (properties, n, devices, notify, user, e))
CREATE(cl_command_queue, QUEUE, clCreateCommandQueue,
       (cl_context context, cl_device_id device, cl_command_queue_properties properties, cl_int *e),
       (context, device, properties, e))
CREATE(cl_mem, MEM, clCreateBuffer,
       (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *e),
       (context, flags, size, host, e))
CREATE(cl_program, PROGRAM, clCreateProgramWithSource,
       (cl_context context, cl_uint n, const char **text, const size_t *sizes, cl_int *e),
       (context, n, text, sizes, e))
CREATE(cl_program, PROGRAM, clCreateProgramWithBinary,
       (cl_context context, cl_uint n, const cl_device_id *devices, const size_t *sizes,
        const unsigned char **binaries, cl_int *each, cl_int *e),
       (context, n, devices, sizes, binaries, each, e))
CREATE(cl_kernel, KERNEL, clCreateKernel, (cl_program program, const char *name, cl_int *e),
       (program, name, e))

/* Of the hundred arguments of a kernel, all set by one loop, a few can fail. */
static cl_int CL_API_CALL fault_clSetKernelArg(cl_kernel kernel, cl_uint index, size_t size,
                                               const void *value)
{
    return index % 16 == 1 && fails("clSetKernelArg")
             ? state->code
             : next->clSetKernelArg(kernel, index, size, value);
}

static cl_int CL_API_CALL fault_clCreateKernelsInProgram(cl_program program, cl_uint n,
                                                         cl_kernel *kernels, cl_uint *count)
{
    cl_uint made = 0;
    if (fails("clCreateKernelsInProgram"))
        return state->code;
    const cl_int e = next->clCreateKernelsInProgram(program, n, kernels, &made);
    if (e == CL_SUCCESS && kernels)
        atomic_fetch_add(&state->live[FAULT_KERNEL], made);
    if (count)
        *count = made;
    return e;
}

COUNT(cl_context, CONTEXT, clRetainContext, 1)
COUNT(cl_context, CONTEXT, clReleaseContext, -1)
COUNT(cl_command_queue, QUEUE, clRetainCommandQueue, 1)
COUNT(cl_command_queue, QUEUE, clReleaseCommandQueue, -1)
COUNT(cl_mem, MEM, clRetainMemObject, 1)
COUNT(cl_mem, MEM, clReleaseMemObject, -1)
COUNT(cl_program, PROGRAM, clRetainProgram, 1)
COUNT(cl_program, PROGRAM, clReleaseProgram, -1)
COUNT(cl_kernel, KERNEL, clRetainKernel, 1)
COUNT(cl_kernel, KERNEL, clReleaseKernel, -1)
COUNT(cl_event, EVENT, clRetainEvent, 1)
COUNT(cl_event, EVENT, clReleaseEvent, -1)

/* ---- the layer ---- */

static void report(void)
{
    const char *path = getenv("FAULT_REPORT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f)
        return;
    fprintf(f, "%ld %ld %s", (long)state->calls, (long)state->fired,
            state->hit[0] ? state->hit[0] : "-");
    for (int i = 0; i < FAULT_KINDS; i++)
        fprintf(f, " %ld", (long)state->live[i]);
    fprintf(f, "\n");
    fclose(f);
}

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : otherwise;
}

static void override_all(void)
{
#define TAKE(name) mine.name = fault_##name
    TAKE(clGetPlatformIDs);
    TAKE(clGetPlatformInfo);
    TAKE(clGetDeviceIDs);
    TAKE(clGetDeviceInfo);
    TAKE(clGetCommandQueueInfo);
    TAKE(clGetMemObjectInfo);
    TAKE(clGetProgramInfo);
    TAKE(clGetProgramBuildInfo);
    TAKE(clGetEventInfo);
    TAKE(clBuildProgram);
    TAKE(clSetKernelArg);
    TAKE(clSetEventCallback);
    TAKE(clWaitForEvents);
    TAKE(clFlush);
    TAKE(clFinish);
    TAKE(clEnqueueReadBuffer);
    TAKE(clEnqueueWriteBuffer);
    TAKE(clEnqueueCopyBuffer);
    TAKE(clEnqueueNDRangeKernel);
    TAKE(clEnqueueMarkerWithWaitList);
    TAKE(clCreateContext);
    TAKE(clCreateCommandQueue);
    TAKE(clCreateBuffer);
    TAKE(clCreateProgramWithSource);
    TAKE(clCreateProgramWithBinary);
    TAKE(clCreateKernel);
    TAKE(clCreateKernelsInProgram);
    TAKE(clRetainContext);
    TAKE(clReleaseContext);
    TAKE(clRetainCommandQueue);
    TAKE(clReleaseCommandQueue);
    TAKE(clRetainMemObject);
    TAKE(clReleaseMemObject);
    TAKE(clRetainProgram);
    TAKE(clReleaseProgram);
    TAKE(clRetainKernel);
    TAKE(clReleaseKernel);
    TAKE(clRetainEvent);
    TAKE(clReleaseEvent);
#undef TAKE
}

EXPORT cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t size, void *value, size_t *full)
{
    static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    if (what != CL_LAYER_API_VERSION || (value && size < sizeof version))
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, &version, sizeof version);
    if (full)
        *full = sizeof version;
    return CL_SUCCESS;
}

EXPORT cl_int CL_API_CALL clInitLayer(cl_uint entries, const cl_icd_dispatch *target,
                                      cl_uint *my_entries, const cl_icd_dispatch **out)
{
    const cl_uint all = sizeof mine / sizeof(void *);
    if (!target || !out || !my_entries || entries < all)
        return CL_INVALID_VALUE;
    next = target;
    mine = *target;
    override_all();
    state->only = getenv("FAULT_CALL");
    state->at = number("FAULT_AT", 0);
    state->sticky = number("FAULT_STICKY", 0) != 0;
    state->code = (int)number("FAULT_CODE", CL_OUT_OF_RESOURCES);
    atexit(report);
    *out = &mine;
    *my_entries = all;
    return CL_SUCCESS;
}
