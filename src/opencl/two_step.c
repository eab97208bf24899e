/* SPDX-License-Identifier: Apache-2.0 */
#include "two_step.h"

#include <stdio.h>
#include <stdlib.h>

#include "ptx.h"

void cla_two_step_options(size_t items, char out[CLA_SECOND_OPTIONS])
{
    snprintf(out, CLA_SECOND_OPTIONS, "-cl-nv-maxrregcount=%d", cla_ptx_registers(items));
}

/* A driver refuses for want of memory, or this kernel, and then another can do its work. */
static clattn_status step_failed(clattn_ctx *ctx, const char *name, const char *call, cl_int e)
{
    if (cla_cl_is_memory(e))
        return cla_cl_fail(ctx, call, e);
    return cla_fail(ctx, CLATTN_ERR_BUILD, "%s: %s: %s (%d) on %s", name, call,
                    cla_cl_error_name(e), (int)e, ctx->dev.info.name);
}

static clattn_status build_text(clattn_ctx *ctx, const char *text, size_t size, const char *path,
                                const char *options, cl_program *out)
{
    const unsigned char *binary = (const unsigned char *)text;
    cl_int status = CL_SUCCESS, e;
    cl_program program = clCreateProgramWithBinary(ctx->cl->context, 1, &ctx->cl->device, &size,
                                                   &binary, &status, &e);
    if (e != CL_SUCCESS)
        return step_failed(ctx, path, "clCreateProgramWithBinary", e);
    e = status == CL_SUCCESS
          ? clBuildProgram(program, 1, &ctx->cl->device, options, NULL, NULL)
          : status;
    if (e != CL_SUCCESS) {
        const clattn_status s = cla_cl_build_failed(ctx, program, path, options, e);
        clReleaseProgram(program);
        return s;
    }
    *out = program;
    return CLATTN_OK;
}

clattn_status cla_two_step(clattn_ctx *ctx, cl_program first, const char *path,
                           const char *options, cl_program *out)
{
    unsigned char *binary;
    size_t size, text_size;
    char *text;
    const char *why;
    *out = NULL;
    CLA_REQUIRE(ctx, cla_binary_of(ctx, first, &binary, &size), CLATTN_ERR_BUILD,
                "%s: the driver of %s does not hand out what it compiled", path,
                ctx->dev.info.name);
    const bool good = cla_ptx_unmark((const char *)binary, size, &text, &text_size, &why);
    free(binary);
    if (!good && !why)
        return cla_fail(ctx, CLATTN_ERR_MEMORY, "%s: out of host memory for its assembly", path);
    CLA_REQUIRE(ctx, good, CLATTN_ERR_BUILD, "%s: what the driver of %s compiled it to: %s", path,
                ctx->dev.info.name, why);
    const clattn_status s = build_text(ctx, text, text_size, path, options, out);
    free(text);
    return s;
}

static clattn_status check_groups(clattn_ctx *ctx, cl_kernel kernel, const char *name,
                                  size_t items)
{
    size_t most = 0;
    const cl_int e = clGetKernelWorkGroupInfo(kernel, ctx->cl->device, CL_KERNEL_WORK_GROUP_SIZE,
                                              sizeof most, &most, NULL);
    if (e != CL_SUCCESS)
        return step_failed(ctx, name, "clGetKernelWorkGroupInfo", e);
    CLA_REQUIRE(ctx, most >= items, CLATTN_ERR_BUILD,
                "%s runs in work-groups of %zu work-items on %s, %zu are wanted", name, most,
                ctx->dev.info.name, items);
    return CLATTN_OK;
}

clattn_status cla_two_step_kernel(clattn_ctx *ctx, cl_program program, const char *name,
                                  size_t items, cl_kernel *out)
{
    cl_int e;
    *out = clCreateKernel(program, name, &e);
    if (e != CL_SUCCESS)
        return step_failed(ctx, name, "clCreateKernel", e);
    const clattn_status s = check_groups(ctx, *out, name, items);
    if (s != CLATTN_OK)
        clReleaseKernel(*out);
    return s;
}
