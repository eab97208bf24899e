/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device can really do, found by building and running tiny kernels: names and extension
 * lists both lie.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"

extern const cla_blob cla_src_prelude_clh, cla_src_probe_base, cla_src_probe_fp16,
    cla_src_probe_fp64, cla_src_probe_subgroups;

/* Bits of probe_base.cl that attention cannot do without. */
enum { BASE_NEEDED = 0x3f, BASE_DENORMALS = 0x40, BASE_HANDOVER = 0x80 };

/* Elements of what a probe writes, and has for scratch. */
enum { OUT_WORDS = 4096 };

/* Sets the arguments, runs and reads; *call is the entry point that failed. */
static cl_int run_kernel(clattn_ctx *ctx, const cla_probe *what, cl_kernel kernel, cl_mem in,
                         cl_mem out, cl_uint *word, const char **call)
{
    *call = "clSetKernelArg";
    cl_int e = clSetKernelArg(kernel, 0, sizeof in, &in);
    if (e == CL_SUCCESS)
        e = clSetKernelArg(kernel, 1, sizeof out, &out);
    if (e != CL_SUCCESS)
        return e;
    *call = "clEnqueueNDRangeKernel";
    const size_t all = what->items * (1 + what->others);
    e = clEnqueueNDRangeKernel(ctx->cl->queue, kernel, 1, NULL, &all, &what->items, 0, NULL, NULL);
    if (e != CL_SUCCESS)
        return e;
    *call = "clFinish";
    e = ctx->cl->out_of_order ? clFinish(ctx->cl->queue) : CL_SUCCESS;
    if (e != CL_SUCCESS)
        return e;
    *call = "clEnqueueReadBuffer";
    return clEnqueueReadBuffer(ctx->cl->queue, out, CL_TRUE, 0, sizeof *word, word, 0, NULL, NULL);
}

static clattn_status launch(clattn_ctx *ctx, const cla_probe *what, cl_program program, cl_mem in,
                            cl_mem out, cl_uint *word)
{
    const char *entry;
    char call[96];
    cl_int e;
    cl_kernel kernel = clCreateKernel(program, what->name, &e);
    if (e != CL_SUCCESS)
        return cla_cl_fail(ctx, "clCreateKernel", e);
    e = run_kernel(ctx, what, kernel, in, out, word, &entry);
    clReleaseKernel(kernel);
    snprintf(call, sizeof call, "%s(%s)", entry, what->name);
    return e == CL_SUCCESS ? CLATTN_OK : cla_cl_fail(ctx, call, e);
}

clattn_status cla_cl_run_probe(clattn_ctx *ctx, const cla_probe *what, cl_uint *word)
{
    cl_program program;
    *word = 0;
    CLA_TRY(cla_cl_build(ctx, what->parts, what->options, what->marked ? what->items : 0,
                         &program));
    cl_int e_in, e_out;
    float values[4];
    memcpy(values, what->in, sizeof values);
    cl_mem in = clCreateBuffer(ctx->cl->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
                               sizeof values, values, &e_in);
    cl_uint zeros[OUT_WORDS] = { 0 };
    cl_mem out = clCreateBuffer(ctx->cl->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                sizeof zeros, zeros, &e_out);
    clattn_status s = e_in == CL_SUCCESS && e_out == CL_SUCCESS
                        ? launch(ctx, what, program, in, out, word)
                        : cla_cl_fail(ctx, "clCreateBuffer", e_in ? e_in : e_out);
    if (e_out == CL_SUCCESS)
        clReleaseMemObject(out);
    if (e_in == CL_SUCCESS)
        clReleaseMemObject(in);
    clReleaseProgram(program);
    return s;
}

/* What a device cannot do stands in its description: that is no error for the log. */
clattn_status cla_cl_try_probe(clattn_ctx *ctx, const cla_probe *what, cl_uint *word)
{
    const clattn_log_fn log = ctx->log;
    ctx->log = NULL;
    const clattn_status s = cla_cl_run_probe(ctx, what, word);
    ctx->log = log;
    return s;
}

/* On an out-of-order queue two runs of a plan may meet, and so would the marks they count in. */
static bool probe_base(clattn_ctx *ctx, cla_dev *dev)
{
    clattn_device_info *info = &dev->info;
    const cla_probe what = { "probe_base", { &cla_src_prelude_clh, &cla_src_probe_base },
                             "-cl-std=CL1.2", { 1.5f, -INFINITY, NAN, 1e-40f }, 16, 31, false };
    cl_uint bits;
    if (cla_cl_try_probe(ctx, &what, &bits) != CLATTN_OK) {
        snprintf(info->why_not, sizeof info->why_not, "%.255s", ctx->error);
        return false;
    }
    info->denormals = (bits & BASE_DENORMALS) != 0;
    if ((bits & BASE_HANDOVER) && !ctx->cl->out_of_order)
        dev->caps |= CLA_CAP_HANDOVER;
    if ((bits & BASE_NEEDED) == BASE_NEEDED)
        return true;
    snprintf(info->why_not, sizeof info->why_not,
             "it computes wrongly: self-test bits 0x%02x of 0x%02x", (unsigned)bits & BASE_NEEDED,
             (unsigned)BASE_NEEDED);
    return false;
}

bool cla_cl_lists(clattn_ctx *ctx, const char *extension)
{
    size_t size = 0;
    if (clGetDeviceInfo(ctx->cl->device, CL_DEVICE_EXTENSIONS, 0, NULL, &size) != CL_SUCCESS)
        return false;
    char *list = calloc(size + 1, 1);
    const bool listed = list
                     && clGetDeviceInfo(ctx->cl->device, CL_DEVICE_EXTENSIONS, size, list, NULL)
                            == CL_SUCCESS
                     && strstr(list, extension);
    free(list);
    return listed;
}

cl_uint cla_cl_number(clattn_ctx *ctx, cl_device_info what)
{
    cl_uint value = 0;
    const cl_int e = clGetDeviceInfo(ctx->cl->device, what, sizeof value, &value, NULL);
    return e == CL_SUCCESS ? value : 0;
}

bool cla_cl_passes(clattn_ctx *ctx, const cla_probe *what)
{
    cl_uint word;
    const bool works = cla_cl_try_probe(ctx, what, &word) == CLATTN_OK && word == 1;
    ctx->error[0] = '\0';
    return works;
}

/*
 * Only what is worth a try: GPU drivers leave extensions that work off their list. CPU drivers do
 * not, and PoCL prints the compiler's complaints about a failed build to stderr.
 */
static bool has(clattn_ctx *ctx, const char *extension, const cla_probe *what)
{
    return (ctx->dev.info.type == CLATTN_DEVICE_GPU || cla_cl_lists(ctx, extension))
        && cla_cl_passes(ctx, what);
}

/* "without half arithmetic, sub-group reductions" */
static void name_missing(clattn_device_info *info)
{
    const struct {
        bool present;
        const char *name;
    } all[] = { { info->fp16, "half arithmetic" },
                { info->fp64, "double arithmetic" },
                { info->subgroups, "sub-group reductions" } };
    size_t used = 0;
    info->why_not[0] = '\0';
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (!all[i].present)
            used += (size_t)snprintf(info->why_not + used, sizeof info->why_not - used, "%s%s",
                                     used ? ", " : "without ", all[i].name);
}

void cla_cl_probe(clattn_ctx *ctx, cla_dev *dev)
{
    const cla_probe fp16 = { "probe_fp16", { &cla_src_prelude_clh, &cla_src_probe_fp16 },
                             "-cl-std=CL1.2", { 1.5f, 0.25f }, 1, 0, false };
    const cla_probe fp64 = { "probe_fp64", { &cla_src_prelude_clh, &cla_src_probe_fp64 },
                             "-cl-std=CL1.2", { 1.5f, 0x1p-40f }, 1, 0, false };
    const cla_probe subgroups = { "probe_subgroups",
                                  { &cla_src_prelude_clh, &cla_src_probe_subgroups },
                                  "-cl-std=CL2.0", { 1.5f }, 16, 0, false };
    clattn_device_info *info = &dev->info;
    info->usable = info->usable && probe_base(ctx, dev);
    if (!info->usable)
        return;
    info->fp16 = has(ctx, "cl_khr_fp16", &fp16);
    info->fp64 = has(ctx, "cl_khr_fp64", &fp64);
    info->subgroups = has(ctx, "cl_khr_subgroups", &subgroups);
    dev->caps |= (info->fp16 ? CLA_CAP_FP16 : 0) | (info->fp64 ? CLA_CAP_FP64 : 0)
               | (info->subgroups ? CLA_CAP_SUBGROUPS : 0);
    cla_cl_probe_tile(ctx, dev);
    name_missing(info);
    cla_cl_probe_wgmma(ctx, dev);
}
