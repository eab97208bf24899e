/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates on trial in this process: built, checked, timed. */
#ifndef CLA_BENCH_H
#define CLA_BENCH_H

#include "search.h"
#include "stopwatch.h"

enum { CLA_WHY = 256, CLA_BENCH_PLANS = 24 };

typedef struct cla_bench_plan {
    clattn_plan *plan;
    const cla_kernel *kernel;
    int t[CLA_MAX_TUNABLES];
    cla_batch batch;
    long used;
} cla_bench_plan;

typedef struct cla_bench {
    cla_subject subject;
    cla_anchor anchor;
    cla_bench_plan plans[CLA_BENCH_PLANS]; /* the most recently used */
    long uses;
    uint64_t seed;
} cla_bench;

typedef struct cla_bench_result {
    cla_verdict verdict;
    bool wrong; /* rejected for what it computed, not for failing to build or run */
    double us;
    char why[CLA_WHY]; /* of a verdict that is not OK */
} cla_bench_result;

/* Free with cla_bench_free(), half-made too. */
clattn_status cla_bench_make(clattn_ctx *ctx, const cla_op *op, const void *problem, uint64_t seed,
                             cla_bench *out);
void cla_bench_free(cla_bench *bench);

/* One sample; the first of a configuration builds and checks it. The first one of all that passes
 * becomes the anchor. */
void cla_bench_sample(cla_bench *bench, const cla_kernel *kernel, const int *t, bool fresh,
                      double limit_us, cla_bench_result *result);

#endif
