/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to choose a configuration, with a store as full as a much tuned machine's. Prints
 * microseconds, the median of batches.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dispatch.h"
#include "suite.h"
#include "tune/store.h"

enum { BUCKETS = 400, FINALISTS = 4, BATCHES = 51, CALLS = 200 };

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static cla_attn problem_of(int width, int Nq, int Nk)
{
    cla_attn p;
    memset(&p, 0, sizeof p);
    p.B = p.G = 1;
    p.Hq = p.Hk = 8;
    p.Nq = p.Tq = Nq;
    p.Nk = p.Tk = Nk;
    p.D = p.Dv = width;
    p.in_type = p.out_type = p.bias_type = CLATTN_F32;
    p.left = p.right = CLA_UNBOUNDED;
    return p;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print(const char *what, double *us, const char *origin)
{
    qsort(us, BATCHES, sizeof us[0], compare);
    printf("%-28s %8.2f us   origin %s\n", what, us[BATCHES / 2], origin);
}

static void time_dispatch(clattn_ctx *ctx, const char *what, const cla_attn *p)
{
    static const cla_pin no_pin = { NULL, NULL };
    double us[BATCHES];
    cla_choice choice;
    for (int i = 0; i < BATCHES; i++) {
        const double start = now_us();
        for (int k = 0; k < CALLS; k++)
            if (cla_dispatch(ctx, "bench", CLA_STAGE_ATTENTION, p, &no_pin, &choice) != CLATTN_OK)
                exit(1);
        us[i] = (now_us() - start) / CALLS;
    }
    print(what, us, cla_origin_name(choice.origin));
}

/* The whole of it: checks, choice, layout of the workspace; the program is compiled already. */
static void time_plan(clattn_ctx *ctx, const char *what, int Nk)
{
    const int64_t q[] = { 1, 8, 1024, 64 }, k[] = { 1, 8, Nk, 64 };
    float *memory = calloc(1, 4 * sizeof(float) * (size_t)(8 * 64 * (Nk + 1024)));
    double us[BATCHES];
    clattn_plan_info info = { .origin = "" };
    if (!memory)
        exit(1);
    float *in_k = memory + 8 * 64 * 1024, *in_v = in_k + 8 * 64 * Nk, *o = in_v + 8 * 64 * Nk;
    for (int i = 0; i < BATCHES; i++) {
        const double start = now_us();
        clattn_plan *plan = NULL;
        if (clattn_plan_attention(
                ctx,
                clattn_attention_params(.q = clattn_tensor_of_host(memory, CLATTN_F32, 4, q),
                                        .k = clattn_tensor_of_host(in_k, CLATTN_F32, 4, k),
                                        .v = clattn_tensor_of_host(in_v, CLATTN_F32, 4, k),
                                        .o = clattn_tensor_of_host(o, CLATTN_F32, 4, q)),
                &plan)
            != CLATTN_OK)
            exit(1);
        us[i] = now_us() - start;
        clattn_plan_describe(plan, &info);
        clattn_plan_destroy(&plan);
    }
    print(what, us, info.origin);
    free(memory);
}

static void fill(clattn_ctx *ctx)
{
    for (int i = 0; i < BUCKETS; i++) {
        const cla_attn p = problem_of(8 * (1 + i / 40), 32 << i % 8, 64 << i / 8 % 5);
        cla_tuned list[FINALISTS];
        cla_bucket bucket;
        cla_bucket_of(&ctx->dev, CLA_STAGE_ATTENTION, &p, &bucket);
        for (int k = 0; k < FINALISTS; k++)
            list[k] = (cla_tuned){ .kernel = cla_kernel_find("attn_native"),
                                   .t = { 48 << k % 3, 64, 256 << k },
                                   .time_us = 10 + k, .verified = true };
        cla_store_record(cla_ctx_store(ctx), &bucket, NULL, list, FINALISTS);
    }
}

int main(void)
{
    clattn_ctx *ctx;
    suite_begin();
    if (clattn_ctx_create(clattn_ctx_params(.device = "cpu"), &ctx) != CLATTN_OK)
        return 1;
    const cla_attn known = problem_of(64, 1024, 1024), near = problem_of(64, 1024, 2048),
                   unknown = problem_of(256, 1024, 1024);
    time_dispatch(ctx, "empty store", &known);
    fill(ctx);
    clattn_ctx_destroy(&ctx);
    if (clattn_ctx_create(clattn_ctx_params(.device = "cpu"), &ctx) != CLATTN_OK)
        return 1;
    const double start = now_us();
    cla_store *store = cla_ctx_store(ctx);
    int bad;
    printf("%-28s %8.2f us   %d results\n", "reading the file once", now_us() - start,
           cla_store_count(store, &bad));
    time_dispatch(ctx, "bucket that was tuned", &known);
    time_dispatch(ctx, "near one that was tuned", &near);
    time_dispatch(ctx, "nothing near", &unknown);
    time_plan(ctx, "a whole plan, tuned", 1024);
    time_plan(ctx, "a whole plan, near", 2048);
    clattn_ctx_destroy(&ctx);
    return 0;
}
