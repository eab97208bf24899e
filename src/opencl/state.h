/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL objects of a context, shared by the files of this folder. */
#ifndef CLA_STATE_H
#define CLA_STATE_H

#include <clattn/opencl.h>

#include "binary.h"
#include "runtime.h"

/* A built program; the key is the kernel and its option string. */
typedef struct cla_program {
    struct cla_program *next;
    const cla_kernel *kernel;
    char *options;
    cl_program program;
} cla_program;

struct cla_cl {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    bool out_of_order;
    cla_program *programs;
    cla_binaries binaries;
};

/* "CL_OUT_OF_RESOURCES"; "unknown" for a code of no name. */
const char *cla_cl_error_name(cl_int code);

/* Is it for want of memory? */
bool cla_cl_is_memory(cl_int code);

/* The sentence "<call>: CL_X (-5)"; memory codes become CLATTN_ERR_MEMORY. */
clattn_status cla_cl_fail(clattn_ctx *ctx, const char *call, cl_int code);

/* Only while the function owns nothing. */
#define CLA_CL(ctx, name, call)                         \
    do {                                                \
        const cl_int e_ = (call);                       \
        if (e_ != CL_SUCCESS)                           \
            return cla_cl_fail((ctx), (name), e_);      \
    } while (0)

/* Retains what it stores; on failure the caller runs cla_cl_close() on ctx->cl. */
clattn_status cla_cl_adopt(clattn_ctx *ctx, cl_device_id device, cl_context context,
                           cl_command_queue queue);

/* Names and limits of a device, without running anything on it. */
void cla_cl_describe(cl_platform_id platform, cl_device_id device, cla_dev *dev);

/* An error that says why not. */
clattn_status cla_cl_check_usable(clattn_ctx *ctx);

/* Runs the probe kernels on ctx->cl and completes dev: capabilities, usable, why_not. */
void cla_cl_probe(clattn_ctx *ctx, cla_dev *dev);

/*
 * Builds the parts as one source, each part under its own #line. Tries again after a failure
 * without a reason, since some drivers fail when another process fills their cache. A failure
 * names file and line. items: of a work-group of kernels with marked instructions, which are built
 * in two steps (two_step.h); 0: there are none.
 */
clattn_status cla_cl_build(clattn_ctx *ctx, const cla_blob *const *parts, const char *options,
                           size_t items, cl_program *out);

/* The error of a program that does not build, with the first line of its log that has one. */
clattn_status cla_cl_build_failed(clattn_ctx *ctx, cl_program program, const char *path,
                                  const char *options, cl_int e);

#endif
