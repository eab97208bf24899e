/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records a space of this library's own, for replay_search: record_trace OP SHAPE [PASSES] >X.csv
 *
 * OP is attention, linear (B,H,Nq,Nk,D; linear is causal when Nq = Nk; decoding is attention with
 * Nq = 1) or project (rows,out,in). Every legal configuration of every kernel is checked, then
 * timed in PASSES rounds over all of them; a sample is the fastest of five, or a single one where
 * that is far behind. The device is CLATTN_DEVICE. Axes are t0, t1, ... in the
 * order of a kernel's tunables, and kernel, the number in the list of the kernels of the stage.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "tune/bench.h"
#include "tune/kernel_space.h"

enum { MAX_PASSES = 15, TENSORS = 4, TURNS = 5 };

#define FAR_BEHIND 3 /* times slower than the best */

static void need(clattn_ctx *ctx, clattn_status s)
{
    if (s != CLATTN_OK) {
        fprintf(stderr, "%s\n", ctx ? clattn_error(ctx) : "no such device");
        exit(1);
    }
}

static clattn_tensor tensor(clattn_ctx *ctx, int rank, const int64_t *shape)
{
    clattn_buffer *buffer; /* freed with the process */
    size_t bytes = sizeof(float);
    for (int i = 0; i < rank; i++)
        bytes *= (size_t)shape[i];
    need(ctx, clattn_buffer_create(ctx, bytes, &buffer));
    return clattn_tensor_of_buffer(buffer, CLATTN_F32, rank, shape);
}

static clattn_plan *plan_of(clattn_ctx *ctx, const char *op, const int64_t *n)
{
    clattn_plan *plan = NULL;
    if (strcmp(op, "project") == 0) {
        const int64_t x[] = { n[0], n[2] }, w[] = { n[1], n[2] }, y[] = { n[0], n[1] };
        need(ctx, clattn_plan_projection(
                      ctx,
                      clattn_projection_params(.x = tensor(ctx, 2, x),
                                               .parts = { { .w = tensor(ctx, 2, w),
                                                            .y = tensor(ctx, 2, y) } }),
                      &plan));
        return plan;
    }
    const int64_t q[] = { n[0], n[1], n[2], n[4] }, k[] = { n[0], n[1], n[3], n[4] };
    const clattn_tensor t[TENSORS] = { tensor(ctx, 4, q), tensor(ctx, 4, k), tensor(ctx, 4, k),
                                       tensor(ctx, 4, q) };
    if (strcmp(op, "linear") == 0)
        need(ctx,
             clattn_plan_linear_attention(
                 ctx,
                 clattn_linear_attention_params(.q = t[0], .k = t[1], .v = t[2], .o = t[3],
                                                .map = CLATTN_MAP_ELU1, .causal = n[2] == n[3]),
                 &plan));
    else
        need(ctx,
             clattn_plan_attention(
                 ctx, clattn_attention_params(.q = t[0], .k = t[1], .v = t[2], .o = t[3]), &plan));
    return plan;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print_row(const cla_kernel_space *ks, uint32_t code, const double *us, int passes)
{
    int t[CLA_MAX_TUNABLES];
    double sorted[MAX_PASSES];
    cla_kernel_space_config(ks, code, t);
    for (int i = 0; i < CLA_MAX_TUNABLES; i++)
        printf("%d,", t[i]);
    memcpy(sorted, us, sizeof sorted);
    qsort(sorted, (size_t)passes, sizeof *sorted, by_value);
    printf("%d,%.5g", cla_space_point(&ks->space, code).variant, sorted[passes / 2] / 1000);
    for (int i = 0; i < passes; i++)
        printf("%c%.5g", i ? ';' : ',', us[i] / 1000);
    printf("\n");
}

/* Microseconds of a configuration in one pass; 0: it does not work. */
static double time_one(cla_bench *bench, const cla_kernel_space *ks, uint32_t code, bool fresh,
                       double best)
{
    int t[CLA_MAX_TUNABLES];
    cla_bench_result r;
    double us = HUGE_VAL;
    const cla_kernel *kernel = cla_kernel_space_config(ks, code, t);
    for (int turn = 0; turn < TURNS && (turn == 0 || us < FAR_BEHIND * best); turn++) {
        cla_bench_sample(bench, kernel, t, fresh && turn == 0, 0, &r);
        if (r.verdict != CLA_VERDICT_OK) {
            fprintf(stderr, "%s: %s\n", kernel->name, r.why);
            return 0;
        }
        us = fmin(us, r.us);
    }
    return us;
}

static void record(cla_bench *bench, const cla_kernel_space *ks, int passes)
{
    double(*us)[MAX_PASSES] = calloc(ks->space.num_legal + 1, sizeof *us);
    bool *bad = calloc(ks->space.num_legal + 1, sizeof *bad);
    double best = HUGE_VAL;
    if (!us || !bad)
        exit(1);
    for (int pass = 0; pass < passes; pass++) {
        const double start = cla_seconds();
        for (uint32_t i = 0; i < ks->space.num_legal; i++) {
            if (bad[i])
                continue;
            us[i][pass] = time_one(bench, ks, ks->space.legal[i], pass == 0, best);
            bad[i] = us[i][pass] == 0;
            if (!bad[i])
                best = fmin(best, us[i][pass]);
        }
        fprintf(stderr, "pass %d of %d over %u configurations: %.0f s\n", pass + 1, passes,
                ks->space.num_legal, cla_seconds() - start);
    }
    for (uint32_t i = 0; i < ks->space.num_legal; i++)
        if (!bad[i])
            print_row(ks, ks->space.legal[i], us[i], passes);
    free(us);
    free(bad);
}

int main(int argc, char **argv)
{
    static cla_bench bench;
    cla_kernel_space ks;
    clattn_ctx *ctx = NULL;
    int64_t n[5] = { 0 };
    const int passes = argc > 3 ? atoi(argv[3]) : 5;
    char *at = argc > 2 ? argv[2] : NULL;

    for (int i = 0; at && i < 5; i++, at += *at == ',')
        n[i] = strtoll(at, &at, 10);
    if (argc < 3 || passes < 1 || passes > MAX_PASSES) {
        fprintf(stderr, "usage: record_trace attention|linear|project SHAPE [PASSES]\n");
        return 2;
    }
    need(ctx, clattn_ctx_create(clattn_ctx_params(.effort = CLATTN_EFFORT_OFF), &ctx));
    clattn_plan *plan = plan_of(ctx, argv[1], n);
    const cla_stage stage = plan->op->stages[0].stage;
    if (!cla_kernel_space_make(&ctx->dev, NULL, stage, plan->problem, &ks))
        return 1;
    need(ctx, cla_bench_make(ctx, plan->op, plan->problem, 1, &bench));
    for (int i = 0; i < CLA_MAX_TUNABLES; i++)
        printf("t%d,", i);
    printf("kernel,median_ms,samples_ms\n");
    record(&bench, &ks, passes);
    cla_bench_free(&bench);
    cla_space_free(&ks.space);
    clattn_plan_destroy(&plan);
    return 0;
}
