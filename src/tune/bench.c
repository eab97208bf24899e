/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

clattn_status cla_bench_make(clattn_ctx *ctx, const cla_op *op, const void *problem, uint64_t seed,
                             cla_bench *out)
{
    *out = (cla_bench){ .seed = seed };
    return cla_subject_make(ctx, op, problem, seed, &out->subject);
}

void cla_bench_free(cla_bench *bench)
{
    for (int i = 0; i < CLA_BENCH_PLANS; i++)
        clattn_plan_destroy(&bench->plans[i].plan);
    clattn_plan_destroy(&bench->anchor.plan);
    cla_subject_free(&bench->subject);
}

static void reject(cla_bench_result *result, bool wrong, const char *why)
{
    result->verdict = CLA_VERDICT_REJECTED;
    result->wrong = wrong;
    if (result->why != why)
        snprintf(result->why, sizeof result->why, "%s", why);
}

static clattn_status make_plan(cla_bench *bench, const cla_kernel *kernel, const int *t,
                               clattn_plan **out)
{
    const cla_pin pin = { kernel->name, t };
    return cla_plan_make(bench->subject.ctx, bench->subject.op, bench->subject.problem.bytes, &pin,
                         out);
}

static cla_bench_plan *oldest(cla_bench *bench)
{
    cla_bench_plan *found = &bench->plans[0];
    for (int i = 1; i < CLA_BENCH_PLANS; i++)
        if (bench->plans[i].used < found->used)
            found = &bench->plans[i];
    return found;
}

/* The plan of a configuration, made now if it is not at hand; NULL: it does not build. */
static cla_bench_plan *plan_of(cla_bench *bench, const cla_kernel *kernel, const int *t)
{
    for (int i = 0; i < CLA_BENCH_PLANS; i++) {
        cla_bench_plan *p = &bench->plans[i];
        if (p->plan && p->kernel == kernel && memcmp(p->t, t, sizeof p->t) == 0)
            return p;
    }
    cla_bench_plan *p = oldest(bench);
    clattn_plan_destroy(&p->plan);
    *p = (cla_bench_plan){ .kernel = kernel };
    memcpy(p->t, t, sizeof p->t);
    return make_plan(bench, kernel, t, &p->plan) == CLATTN_OK ? p : NULL;
}

/* A sample of the anchor fails only when the device does. */
static void time_plan(cla_bench *bench, cla_bench_plan *p, double limit_us,
                      cla_bench_result *result)
{
    double drift, us;
    if (cla_anchor_drift(&bench->subject, &bench->anchor, &drift) != CLATTN_OK) {
        result->verdict = CLA_VERDICT_STOP;
        snprintf(result->why, sizeof result->why, "the device fails: %.200s",
                 clattn_error(bench->subject.ctx));
        return;
    }
    if (cla_stopwatch(&bench->subject, p->plan, &p->batch, limit_us * drift, &us) != CLATTN_OK) {
        reject(result, false, clattn_error(bench->subject.ctx));
        return;
    }
    result->us = us / drift;
}

void cla_bench_sample(cla_bench *bench, const cla_kernel *kernel, const int *t, bool fresh,
                      double limit_us, cla_bench_result *result)
{
    *result = (cla_bench_result){ .verdict = CLA_VERDICT_OK };
    cla_bench_plan *p = plan_of(bench, kernel, t);
    if (!p) {
        reject(result, false, clattn_error(bench->subject.ctx));
        return;
    }
    p->used = ++bench->uses;
    const cla_check_result check =
        fresh ? cla_check(&bench->subject, p->plan, bench->seed + (uint64_t)bench->uses,
                          result->why, sizeof result->why)
              : CLA_CHECK_RIGHT;
    if (check != CLA_CHECK_RIGHT) {
        reject(result, check == CLA_CHECK_WRONG, result->why);
        return;
    }
    if (!bench->anchor.plan)
        make_plan(bench, kernel, t, &bench->anchor.plan);
    time_plan(bench, p, limit_us, result);
}
