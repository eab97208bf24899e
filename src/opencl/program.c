/* SPDX-License-Identifier: Apache-2.0 */
/* Source and options -> cl_program, cached in the context. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"
#include "two_step.h"

/* One self-contained string: drivers cache by source and do not look into includes. */
static char *join(const cla_blob *const *parts, size_t *length)
{
    size_t size = 1;
    for (int i = 0; i < CLA_MAX_PARTS && parts[i]; i++)
        size += parts[i]->size + strlen(parts[i]->path) + 32;
    char *source = malloc(size);
    if (!source)
        return NULL;
    size_t at = 0;
    for (int i = 0; i < CLA_MAX_PARTS && parts[i]; i++) {
        at += (size_t)snprintf(source + at, size - at, "#line 1 \"%s\"\n", parts[i]->path);
        memcpy(source + at, parts[i]->data, parts[i]->size);
        at += parts[i]->size;
    }
    source[at] = '\0';
    *length = at;
    return source;
}

/* malloc'ed, NULL when there is none. The size is asked for first: a short buffer gets nothing. */
static char *build_log(cl_program program, cl_device_id device)
{
    size_t size = 0;
    if (clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) != CL_SUCCESS
        || size == 0)
        return NULL;
    char *log = calloc(size + 1, 1);
    if (log
        && clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log, NULL)
               != CL_SUCCESS) {
        free(log);
        return NULL;
    }
    return log;
}

/* The first line of the log that says "error", else the first line. */
static const char *first_error(const char *log, int *length)
{
    const char *line = log;
    for (const char *at = log; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        const char *error = strstr(at, "error");
        if (error && (!strchr(at, '\n') || error < strchr(at, '\n'))) {
            line = at;
            break;
        }
    }
    *length = (int)strcspn(line, "\n");
    return line;
}

/* A log without an error means that the driver failed, not the source. */
static bool names_an_error(cl_program program, cl_device_id device)
{
    char *log = build_log(program, device);
    const bool named = log && strstr(log, "error");
    free(log);
    return named;
}

clattn_status cla_cl_build_failed(clattn_ctx *ctx, cl_program program, const char *path,
                                  const char *options, cl_int e)
{
    char *log = build_log(program, ctx->cl->device);
    int length = 0;
    const char *line = log && log[0] ? first_error(log, &length) : "the driver gave no log";
    if (!length)
        length = (int)strlen(line);
    if (log)
        cla_log(ctx, CLATTN_LOG_DEBUG, "build log of %s: %s", path, log);
    const clattn_status s = cla_fail(ctx, CLATTN_ERR_BUILD,
                                     "%s does not build on %s: %.*s [%s] clBuildProgram: %s (%d)",
                                     path, ctx->dev.info.name, length, line, options,
                                     cla_cl_error_name(e), (int)e);
    free(log);
    return s;
}

static clattn_status build_source(clattn_ctx *ctx, const char *path, const char *source,
                                  size_t length, const char *options, cl_program *out)
{
    cl_int e = CL_SUCCESS;
    cl_program program = NULL;
    for (int attempt = 0; attempt < 2; attempt++) {
        program = clCreateProgramWithSource(ctx->cl->context, 1, &source, &length, &e);
        if (e != CL_SUCCESS)
            return cla_cl_fail(ctx, "clCreateProgramWithSource", e);
        e = clBuildProgram(program, 1, &ctx->cl->device, options, NULL, NULL);
        if (e == CL_SUCCESS || attempt == 1 || names_an_error(program, ctx->cl->device))
            break;
        clReleaseProgram(program);
    }
    if (e != CL_SUCCESS) {
        const clattn_status s = cla_cl_build_failed(ctx, program, path, options, e);
        clReleaseProgram(program);
        return s;
    }
    ctx->cl->binaries.built++;
    *out = program;
    return CLATTN_OK;
}

/* second: the options of the second step, "" when there is none. */
static clattn_status build_steps(clattn_ctx *ctx, const char *path, const char *source,
                                 size_t length, const char *options, const char *second,
                                 cl_program *out)
{
    cl_program first = NULL;
    CLA_TRY(build_source(ctx, path, source, length, options, &first));
    if (!second[0]) {
        *out = first;
        return CLATTN_OK;
    }
    const clattn_status s = cla_two_step(ctx, first, path, second, out);
    clReleaseProgram(first);
    return s;
}

clattn_status cla_cl_build(clattn_ctx *ctx, const cla_blob *const *parts, const char *options,
                           size_t items, cl_program *out)
{
    *out = NULL;
    size_t length;
    char second[CLA_SECOND_OPTIONS] = "";
    if (items > 0)
        cla_two_step_options(items, second);
    char *source = join(parts, &length);
    CLA_REQUIRE(ctx, source, CLATTN_ERR_MEMORY, "out of host memory for kernel source");
    const char *path = "";
    for (int i = 0; i < CLA_MAX_PARTS && parts[i]; i++)
        path = parts[i]->path;
    char *key = cla_binary_key(ctx, source, length, options, second);
    clattn_status s = CLATTN_OK;
    if (key)
        *out = cla_binary_load(ctx, key, items > 0 ? second : options);
    if (!*out) {
        s = build_steps(ctx, path, source, length, options, second, out);
        if (key && s == CLATTN_OK)
            cla_binary_save(ctx, key, *out);
    }
    free(key);
    free(source);
    return s;
}

static cla_program *find(const struct cla_cl *cl, const cla_kernel *kernel, const char *options)
{
    for (cla_program *p = cl->programs; p; p = p->next)
        if (p->kernel == kernel && strcmp(p->options, options) == 0)
            return p;
    return NULL;
}

static clattn_status program_for(clattn_ctx *ctx, const cla_kernel *kernel, const char *options,
                                 size_t items, cl_program *out)
{
    cla_program *p = find(ctx->cl, kernel, options);
    if (p) {
        *out = p->program;
        return CLATTN_OK;
    }
    p = calloc(1, sizeof *p);
    char *copy = strdup(options);
    clattn_status s = p && copy ? cla_cl_build(ctx, kernel->parts, options, items, &p->program)
                                : cla_fail(ctx, CLATTN_ERR_MEMORY, "out of host memory");
    if (s != CLATTN_OK) {
        free(copy);
        free(p);
        return s;
    }
    cla_log(ctx, CLATTN_LOG_DEBUG, "built %s %s", kernel->name, options);
    p->kernel = kernel;
    p->options = copy;
    p->next = ctx->cl->programs;
    ctx->cl->programs = p;
    *out = p->program;
    return CLATTN_OK;
}

clattn_status cla_cl_launch_make(clattn_ctx *ctx, const cla_kernel *kernel, const void *problem,
                                 const int *t, cla_launch *out)
{
    char options[1024];
    const int length = cla_kernel_options(kernel, problem, t, options, sizeof options);
    CLA_REQUIRE(ctx, length >= 0 && (size_t)length < sizeof options, CLATTN_ERR_BUILD,
                "%s: its option string has %d characters, at most %zu fit", kernel->name, length,
                sizeof options - 1);
    const cla_geometry geometry = kernel->geometry(problem, t);
    const size_t items = kernel->needs & CLA_CAP_WGMMA ? geometry.local[0] : 0;
    cl_program program;
    CLA_TRY(program_for(ctx, kernel, options, items, &program));
    cl_kernel handle;
    if (items > 0) {
        CLA_TRY(cla_two_step_kernel(ctx, program, kernel->name, items, &handle));
    } else {
        cl_int e;
        handle = clCreateKernel(program, kernel->name, &e);
        if (e != CL_SUCCESS)
            return cla_cl_fail(ctx, "clCreateKernel", e);
    }
    *out = (cla_launch){ kernel, handle, geometry };
    return CLATTN_OK;
}

void cla_cl_launch_free(cla_launch *launch)
{
    if (launch->handle)
        clReleaseKernel(launch->handle);
    launch->handle = NULL;
}
