/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and saving compiled programs. Nothing here fails an operation: source is always there. */
#include "binary.h"

#include <clattn/tuning.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binary_file.h"
#include "env.h"
#include "state.h"
#include "tune/bucket.h"

/* ---- on or off ---- */

static bool wanted(const clattn_ctx *ctx)
{
    const cla_env env = cla_env_read();
    if (env.binaries && strcmp(env.binaries, "on") == 0)
        return true;
    if (env.binaries && strcmp(env.binaries, "off") == 0)
        return false;
    return ctx->dev.info.type != CLATTN_DEVICE_CPU;
}

static void decide(clattn_ctx *ctx, cla_binaries *b)
{
    b->known = true;
    if (!wanted(ctx)) {
        b->note = "they are off: CPU drivers keep what they compile by themselves";
        return;
    }
    if (!cla_binary_is_built_in()) {
        b->note = "this build has no libmd";
        return;
    }
    if (cla_cache_dir_find(&b->dir, true) != CLA_CACHE_READY
        || cla_cache_dir_below(&b->dir, "bin") != CLA_CACHE_READY) {
        b->note = b->dir.why_not;
        cla_log(ctx, CLATTN_LOG_WARN, "compiled programs are not kept: %s", b->note);
        return;
    }
    b->note = "";
    b->on = true;
}

static cla_binaries *binaries_of(clattn_ctx *ctx)
{
    cla_binaries *b = &ctx->cl->binaries;
    if (!b->known)
        decide(ctx, b);
    return b;
}

void cla_cl_binaries_describe(clattn_ctx *ctx, struct clattn_cache_info *info)
{
    const cla_binaries *b = binaries_of(ctx);
    info->binaries = b->on ? b->dir.path : "";
    info->binaries_note = b->note;
    info->programs_built = b->built;
    info->programs_loaded = b->loaded;
}

/* ---- keys ---- */

char *cla_binary_key(clattn_ctx *ctx, const char *source, size_t length, const char *options,
                     const char *second)
{
    char digest[CLA_SHA256_TEXT];
    cla_device_key key;
    if (!binaries_of(ctx)->on)
        return NULL;
    cla_sha256_text(source, length, digest);
    cla_device_key_of(&ctx->dev, &key);
    const size_t size = strlen(options) + strlen(second) + sizeof key + sizeof digest + 128;
    char *text = malloc(size);
    if (text)
        snprintf(text, size,
                 "device %s\ndriver %s\npointers %zu\nsource %s\noptions %s\n%s", key.device,
                 key.driver, sizeof(void *), digest, options, second);
    return text;
}

/* ---- loading ---- */

/* Some drivers finish compiling, or find out that they cannot, when a kernel is made. */
static bool has_kernels(cl_program program)
{
    cl_kernel kernels[16];
    cl_uint n = 0;
    if (clCreateKernelsInProgram(program, 16, kernels, &n) != CL_SUCCESS || n == 0 || n > 16)
        return false;
    for (cl_uint i = 0; i < n; i++)
        clReleaseKernel(kernels[i]);
    return true;
}

cl_program cla_binary_load(clattn_ctx *ctx, const char *key, const char *options)
{
    cla_binaries *b = binaries_of(ctx);
    unsigned char *bytes;
    size_t size;
    if (!cla_binary_read(b->dir.path, key, &bytes, &size))
        return NULL;
    const unsigned char *binary = bytes;
    cl_int status = CL_SUCCESS, e;
    cl_program program = clCreateProgramWithBinary(ctx->cl->context, 1, &ctx->cl->device, &size,
                                                   &binary, &status, &e);
    free(bytes);
    if (e == CL_SUCCESS && status == CL_SUCCESS
        && clBuildProgram(program, 1, &ctx->cl->device, options, NULL, NULL) == CL_SUCCESS
        && has_kernels(program)) {
        b->loaded++;
        return program;
    }
    if (e == CL_SUCCESS)
        clReleaseProgram(program);
    cla_log(ctx, CLATTN_LOG_DEBUG, "%s does not take its compiled program any more",
            ctx->dev.info.name);
    cla_binary_remove(b->dir.path, key);
    return NULL;
}

/* ---- saving ---- */

/* Which of the program's devices is the context's; -1: none. */
static int position(const clattn_ctx *ctx, cl_program program, cl_uint *count)
{
    cl_device_id devices[16];
    if (clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof *count, count, NULL) != CL_SUCCESS
        || *count > 16
        || clGetProgramInfo(program, CL_PROGRAM_DEVICES, sizeof devices, devices, NULL)
               != CL_SUCCESS)
        return -1;
    for (cl_uint i = 0; i < *count; i++)
        if (devices[i] == ctx->cl->device)
            return (int)i;
    return -1;
}

bool cla_binary_of(const clattn_ctx *ctx, cl_program program, unsigned char **bytes, size_t *size)
{
    unsigned char *list[16] = { NULL };
    size_t sizes[16] = { 0 };
    cl_uint count = 0;
    const int at = position(ctx, program, &count);
    *bytes = NULL;
    if (at < 0
        || clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof sizes, sizes, NULL)
               != CL_SUCCESS
        || sizes[at] == 0)
        return false;
    /* NULL entries are skipped: the binaries of other devices are not asked for. */
    list[at] = malloc(sizes[at]);
    if (!list[at]
        || clGetProgramInfo(program, CL_PROGRAM_BINARIES, count * sizeof list[0], list, NULL)
               != CL_SUCCESS) {
        free(list[at]);
        return false;
    }
    *bytes = list[at];
    *size = sizes[at];
    return true;
}

void cla_binary_save(clattn_ctx *ctx, const char *key, cl_program program)
{
    cla_binaries *b = binaries_of(ctx);
    unsigned char *bytes;
    size_t size;
    if (!has_kernels(program) || !cla_binary_of(ctx, program, &bytes, &size))
        return;
    if (!cla_binary_write(b->dir.path, key, bytes, size) && !b->note[0]) {
        b->note = "the folder cannot be written, or its disk is full";
        cla_log(ctx, CLATTN_LOG_WARN, "compiled programs are not kept: cannot write to %s",
                b->dir.path);
    }
    free(bytes);
}
