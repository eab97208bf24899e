/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_measure_peaks: what the device can reach, measured with wall time around finished work. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "context.h"
#include "memory.h"
#include "opencl/runtime.h"
#include "peaks.h"

extern const cla_kernel cla_kernel_peak_fma, cla_kernel_peak_read;

enum {
    RUNS = 7,                        /* the best one counts: noise only slows down */
    ITEMS_PER_UNIT_CPU = 64,         /* work-items per compute unit; whole work-groups */
    ITEMS_PER_UNIT_GPU = 2048,
    READ_BYTES = 256 << 20,          /* at least */
    WINDOW_BYTES_CPU = 32 << 20,     /* timed by themselves: some fall between others' work */
    PASSES_CPU = 48,                 /* over windows, at least */
};
#define LONG_ENOUGH 10e-3 /* seconds: far above the cost of a launch */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of one finished run. */
static clattn_status time_once(clattn_ctx *ctx, const cla_launch *launch, const cla_peak *p,
                               double *seconds)
{
    static const cla_events none = { 0 };
    const double start = now();
    CLA_TRY(cla_cl_launch_run(ctx, launch, 1, p, p->out.buffer->mem, &none));
    CLA_TRY(cla_cl_finish(ctx));
    *seconds = now() - start;
    return CLATTN_OK;
}

static clattn_status best_of(clattn_ctx *ctx, const cla_launch *launch, const cla_peak *p,
                             double *seconds)
{
    CLA_TRY(time_once(ctx, launch, p, seconds)); /* the first run may compile */
    for (int i = 0; i < RUNS; i++) {
        double s;
        CLA_TRY(time_once(ctx, launch, p, &s));
        *seconds = s < *seconds ? s : *seconds;
    }
    return CLATTN_OK;
}

static int32_t num_items(const clattn_ctx *ctx)
{
    const bool cpu = ctx->dev.info.type == CLATTN_DEVICE_CPU;
    const int units = ctx->dev.info.compute_units > 0 ? ctx->dev.info.compute_units : 1;
    return units * (cpu ? ITEMS_PER_UNIT_CPU : ITEMS_PER_UNIT_GPU);
}

static clattn_status measure_fma(clattn_ctx *ctx, cla_peak *p, double *gflops)
{
    cla_launch launch;
    double seconds = 0;
    p->items = num_items(ctx);
    p->count = 64;
    CLA_TRY(cla_cl_launch_make(ctx, &cla_kernel_peak_fma, p, NULL, &launch));
    clattn_status s = time_once(ctx, &launch, p, &seconds);
    for (; s == CLATTN_OK && p->count < 1 << 24; p->count *= 2) {
        s = time_once(ctx, &launch, p, &seconds);
        if (seconds > LONG_ENOUGH)
            break;
    }
    if (s == CLATTN_OK)
        s = best_of(ctx, &launch, p, &seconds);
    cla_cl_launch_free(&launch);
    *gflops = (double)p->items * p->count * (8 * 16 * 2) / seconds * 1e-9;
    return s;
}

/* Memory that was never written may be one page of zeros, seen many times. */
static clattn_status fill(clattn_buffer *buffer)
{
    const size_t chunk = (size_t)8 << 20;
    char *bytes = malloc(chunk);
    CLA_REQUIRE(buffer->ctx, bytes, CLATTN_ERR_MEMORY, "out of host memory for a measurement");
    memset(bytes, 1, chunk);
    clattn_status s = CLATTN_OK;
    for (size_t at = 0; at < buffer->bytes && s == CLATTN_OK; at += chunk)
        s = clattn_buffer_write(buffer, at, bytes,
                                buffer->bytes - at < chunk ? buffer->bytes - at : chunk);
    free(bytes);
    return s;
}

/* The best of so many passes over the windows of the buffer in turn. */
static clattn_status time_read(clattn_ctx *ctx, cla_peak *p, int windows, int passes,
                               double *gbytes_per_s)
{
    const int64_t vectors = (int64_t)p->items * p->count;
    cla_launch launch;
    double best = 0;
    CLA_TRY(fill(p->in.buffer));
    CLA_TRY(cla_cl_launch_make(ctx, &cla_kernel_peak_read, p, NULL, &launch));
    clattn_status s = time_once(ctx, &launch, p, &best); /* may compile */
    for (int i = 0; i < passes && s == CLATTN_OK; i++) {
        double seconds;
        p->in.offset = i % windows * vectors * 4;
        s = time_once(ctx, &launch, p, &seconds);
        best = s == CLATTN_OK && seconds < best ? seconds : best;
    }
    cla_cl_launch_free(&launch);
    *gbytes_per_s = (double)vectors * 16 / best * 1e-9;
    return s;
}

size_t cla_peak_read_bytes(void)
{
    const size_t twice = 2 * cla_memory_cache_bytes();
    return twice > READ_BYTES ? twice : READ_BYTES;
}

static clattn_status measure_read(clattn_ctx *ctx, cla_peak *p, double *gbytes_per_s)
{
    const bool cpu = ctx->dev.info.type == CLATTN_DEVICE_CPU;
    size_t bytes = cpu ? cla_peak_read_bytes() : READ_BYTES;
    if (bytes > ctx->dev.info.max_alloc_bytes)
        bytes = ctx->dev.info.max_alloc_bytes;
    const int windows = cpu ? (int)((bytes + WINDOW_BYTES_CPU - 1) / WINDOW_BYTES_CPU) : 1;
    const int passes = !cpu ? RUNS : windows > PASSES_CPU ? windows : PASSES_CPU;
    const size_t most = bytes / 16 / 8 / (size_t)windows; /* work-items that read 8 vectors */
    CLA_REQUIRE(ctx, most >= ITEMS_PER_UNIT_CPU, CLATTN_ERR_UNSUPPORTED,
                "buffers of %zu bytes are too small to measure %s with",
                ctx->dev.info.max_alloc_bytes, ctx->dev.info.name);
    p->items = num_items(ctx);
    if ((size_t)p->items > most)
        p->items = (int32_t)(most / ITEMS_PER_UNIT_CPU * ITEMS_PER_UNIT_CPU);
    p->count = (int32_t)(bytes / 16 / (size_t)(p->items * windows) / 8 * 8);
    p->first = cpu ? p->count : 1;
    p->step = cpu ? 1 : p->items;
    CLA_TRY(clattn_buffer_create(ctx, (size_t)windows * (size_t)p->items * (size_t)p->count * 16,
                                 &p->in.buffer));
    const clattn_status s = time_read(ctx, p, windows, passes, gbytes_per_s);
    clattn_buffer_destroy(&p->in.buffer);
    return s;
}

static clattn_status measure(clattn_ctx *ctx, double *gflops, double *gbytes_per_s)
{
    cla_peak p = { .a = 0.999f, .b = 1e-3f };
    CLA_TRY(clattn_buffer_create(ctx, 64, &p.out.buffer));
    clattn_status s = measure_fma(ctx, &p, gflops);
    if (s == CLATTN_OK)
        s = measure_read(ctx, &p, gbytes_per_s);
    clattn_buffer_destroy(&p.out.buffer);
    return s;
}

clattn_status clattn_measure_peaks(clattn_ctx *ctx, double *gflops, double *gbytes_per_s)
{
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, gflops && gbytes_per_s, CLATTN_ERR_ARG, "clattn_measure_peaks: %s is NULL",
                gflops ? "gbytes_per_s" : "gflops");
    if (ctx->cl)
        return measure(ctx, gflops, gbytes_per_s);
    CLA_REQUIRE(ctx, cla_cpu_peaks(&ctx->cpu, gflops, gbytes_per_s), CLATTN_ERR_MEMORY,
                "out of host memory for a measurement");
    return CLATTN_OK;
}

clattn_status clattn_measure_matrix_peak(clattn_ctx *ctx, double *bf16_gflops)
{
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, bf16_gflops, CLATTN_ERR_ARG,
                "clattn_measure_matrix_peak: bf16_gflops is NULL");
    *bf16_gflops = ctx->cl ? 0 : cla_cpu_tile_peak(&ctx->cpu);
    CLA_REQUIRE(ctx, *bf16_gflops > 0, CLATTN_ERR_UNSUPPORTED,
                "no matrix engine for bf16 is measured on %s", ctx->dev.info.name);
    return CLATTN_OK;
}
