/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tuning the problem of a plan: what the search, the candidates and the store have to do with each
 * other.
 */
#include "tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_space.h"
#include "op_tuning.h"
#include "params.h"
#include "worker.h"

enum { MAX_SEEDS = 64, STORED = 16 };

#define PATIENCE 30.0 /* seconds without an answer of the worker */

typedef struct tuning {
    clattn_ctx *ctx;
    const cla_op *op;
    const void *problem;
    const struct clattn_tune_params *params;
    clattn_effort effort;
    cla_store *store;
    cla_bucket bucket;
    cla_kernel_space ks;
    cla_choice untuned;
    uint32_t seeds[MAX_SEEDS];
    int num_seeds, num_late;
    double prior[CLA_MAX_VARIANTS];
    cla_known *known;
    int num_known;

    cla_bench *bench; /* candidates run here, or */
    cla_worker *worker;
    uint8_t *started; /* one for each code: was it sampled before? */
    uint32_t last;    /* code of the last candidate */
    bool stopped;
    clattn_tune_report *report;
} tuning;

/* ---- candidates ---- */

static void quarantine(tuning *t, const cla_kernel *kernel, const int *config, const char *reason,
                       const char *why)
{
    char text[128];
    cla_config_text(kernel, config, text, sizeof text);
    cla_log(t->ctx, CLATTN_LOG_WARN, "%s %s is put aside (%s): %s", kernel->name, text, reason,
            why);
    cla_store_quarantine(t->store, kernel, config, reason);
    t->report->quarantined++;
}

/* A candidate that runs for the first time is written down before, in case nobody survives it. */
static cla_fault run_candidate(tuning *t, const cla_kernel *kernel, const int *config, bool fresh,
                               double limit_us, cla_bench_result *result)
{
    const int64_t token = fresh ? cla_store_trying(t->store, kernel, config) : 0;
    cla_fault fault = CLA_FAULT_NONE;
    if (t->worker)
        fault = cla_worker_sample(t->worker, kernel, config, fresh, limit_us, result);
    else
        cla_bench_sample(t->bench, kernel, config, fresh, limit_us, result);
    if (token)
        cla_store_tried(t->store, token);
    return fault;
}

static cla_verdict sample(void *user, uint32_t code, double limit_us, double *us)
{
    tuning *t = user;
    int config[CLA_MAX_TUNABLES];
    cla_bench_result result = { .verdict = CLA_VERDICT_STOP };
    const cla_kernel *kernel = cla_kernel_space_config(&t->ks, code, config);
    const bool fresh = !t->started[code];
    if (t->stopped)
        return CLA_VERDICT_STOP;
    t->started[code] = 1;
    t->last = code;
    const cla_fault fault = run_candidate(t, kernel, config, fresh, limit_us, &result);
    *us = result.us;
    if (fault != CLA_FAULT_NONE)
        quarantine(t, kernel, config, fault == CLA_FAULT_CRASH ? "crash" : "hang", result.why);
    else if (result.verdict == CLA_VERDICT_REJECTED && result.wrong)
        quarantine(t, kernel, config, "wrong", result.why);
    else if (result.verdict == CLA_VERDICT_REJECTED)
        cla_log(t->ctx, CLATTN_LOG_INFO, "%s: %s", kernel->name, result.why);
    if (result.verdict == CLA_VERDICT_STOP)
        snprintf(t->report->note, sizeof t->report->note, "%s", result.why);
    return result.verdict;
}

static double now(void *user)
{
    (void)user;
    return cla_seconds();
}

static cla_tuned tuned_of(const tuning *t, uint32_t code, double us, double spread_us, int samples)
{
    cla_tuned tuned = { .time_us = us,
                        .spread_us = spread_us,
                        .samples = samples,
                        .effort = t->effort,
                        .verified = true };
    tuned.kernel = cla_kernel_space_config(&t->ks, code, tuned.t);
    return tuned;
}

static void tried(void *user, uint32_t code, double us, double spread_us, int samples)
{
    tuning *t = user;
    const cla_tuned one = tuned_of(t, code, us, spread_us, samples);
    if (us > 0)
        cla_store_add(t->store, &t->bucket, &one);
}

static void progress(void *user, const cla_search_status *s)
{
    tuning *t = user;
    char config[128];
    int values[CLA_MAX_TUNABLES];
    if (!t->params->progress)
        return;
    const cla_kernel *kernel = cla_kernel_space_config(&t->ks, t->last, values);
    cla_config_text(kernel, values, config, sizeof config);
    const clattn_tune_status status = {
        .evals = s->evals,
        .max_evals = s->max_evals,
        .legal = (int)s->num_legal,
        .rejected = s->rejected,
        .seconds = s->seconds,
        .max_seconds = s->max_seconds,
        .default_us = s->default_us,
        .best_us = s->best_us,
        .kernel = kernel->name,
        .config = config,
        .finals = s->finals,
    };
    t->stopped = !t->params->progress(t->params->user, &status);
}

/* ---- before the search ---- */

static void add_seed(tuning *t, const cla_kernel *kernel, const int *config)
{
    uint32_t code;
    if (t->num_seeds == MAX_SEEDS || !cla_kernel_space_code(&t->ks, kernel, config, &code))
        return;
    for (int i = 0; i < t->num_seeds; i++)
        if (t->seeds[i] == code)
            return;
    t->seeds[t->num_seeds++] = code;
}

static void add_guesses(tuning *t, const cla_kernel *kernel)
{
    int config[CLA_MAX_TUNABLES] = { 0 };
    if (kernel->estimate) {
        kernel->estimate(&t->ctx->dev, t->problem, config);
        add_seed(t, kernel, config);
    }
    cla_kernel_safe_config(kernel, config);
    add_seed(t, kernel, config);
}

/*
 * Kernels that the dispatcher ranks low come late, and seldom: the rank says how fast they should
 * be, and a slow one costs the time of many candidates.
 */
static void rank_kernels(tuning *t)
{
    double best = 1;
    for (int v = 0; v < t->ks.space.num_variants; v++) {
        t->prior[v] = t->ks.kernels[v]->priority(&t->ctx->dev, t->problem) + 1;
        best = t->prior[v] > best ? t->prior[v] : best;
    }
    for (int v = 0; v < t->ks.space.num_variants; v++) {
        const double rank = t->prior[v] / best;
        t->prior[v] = rank > 0.5 ? 1 : rank * rank;
    }
}

/* The untuned choice first, then what was found elsewhere, then each kernel's own guesses. */
static void collect_seeds(tuning *t)
{
    cla_tuned stored[STORED];
    rank_kernels(t);
    add_seed(t, t->untuned.kernel, t->untuned.t);
    int n = cla_store_find(t->store, CLA_FROM_BUCKET, &t->bucket, NULL, stored, STORED);
    for (int i = 0; i < n; i++)
        add_seed(t, stored[i].kernel, stored[i].t);
    n = cla_store_seeds(t->store, &t->bucket, stored, STORED);
    for (int i = 0; i < n; i++)
        add_seed(t, stored[i].kernel, stored[i].t);
    for (int v = 0; v < t->ks.space.num_variants; v++)
        if (t->prior[v] == 1)
            add_guesses(t, t->ks.kernels[v]);
    const int first = t->num_seeds;
    for (int v = 0; v < t->ks.space.num_variants; v++)
        if (t->prior[v] < 1)
            add_guesses(t, t->ks.kernels[v]);
    t->num_late = t->num_seeds - first;
}

/* What an earlier search has timed, unless everything is to be timed again. */
static bool collect_known(tuning *t)
{
    cla_tuned *list = NULL;
    const int n = t->params->again ? 0 : cla_store_trials(t->store, &t->bucket, &list);
    t->known = calloc((size_t)n + 1, sizeof *t->known);
    for (int i = 0; t->known && i < n; i++) {
        cla_known *k = &t->known[t->num_known];
        if (!list[i].verified
            || !cla_kernel_space_code(&t->ks, list[i].kernel, list[i].t, &k->code))
            continue;
        k->verdict = CLA_VERDICT_OK;
        k->us = list[i].time_us;
        t->num_known++;
    }
    free(list);
    t->report->known = t->num_known;
    return t->known != NULL;
}

static clattn_status untuned_choice(tuning *t)
{
    static const cla_pin none = { NULL, NULL };
    const clattn_effort effort = t->ctx->effort;
    t->ctx->effort = CLATTN_EFFORT_OFF;
    const clattn_status s =
        cla_dispatch(t->ctx, t->op->name, t->op->stages[0].stage, t->problem, &none, &t->untuned);
    t->ctx->effort = effort;
    return s;
}

/* ---- the search ---- */

static void name_config(const cla_kernel *kernel, const int *config, char *name, char *text)
{
    const clattn_tune_report *r = NULL;
    snprintf(name, sizeof r->kernel, "%s", kernel->name);
    cla_config_text(kernel, config, text, sizeof r->config);
}

/* Nothing to choose from: not worth tensors to time it on. */
static bool only_one(tuning *t)
{
    clattn_tune_report *r = t->report;
    if (t->ks.space.num_legal > 1)
        return false;
    name_config(t->untuned.kernel, t->untuned.t, r->kernel, r->config);
    snprintf(r->note, sizeof r->note, "there is one legal configuration, nothing to choose");
    r->end = CLATTN_TUNE_COMPLETE;
    return true;
}

/* A result of this effort or a higher one is there already. */
static bool stored(tuning *t)
{
    cla_tuned best;
    clattn_tune_report *r = t->report;
    if (t->params->again
        || cla_store_find(t->store, CLA_FROM_BUCKET, &t->bucket, NULL, &best, 1) == 0
        || best.effort < (int)t->effort)
        return false;
    name_config(best.kernel, best.t, r->kernel, r->config);
    r->best_us = best.time_us;
    r->end = CLATTN_TUNE_STORED;
    return true;
}

/* Did the search end before it had spent what its effort allows? */
static bool cut_short(const tuning *t, const cla_search_result *result)
{
    const cla_search_limits limits = cla_search_limits_of(t->effort);
    const struct clattn_tune_params *p = t->params;
    return result->end == CLA_END_STOPPED
           || (result->end == CLA_END_BUDGET && result->evals < limits.evals
               && ((p->max_evals > 0 && p->max_evals < limits.evals)
                   || (p->max_seconds > 0 && p->max_seconds < limits.seconds)));
}

/* What was found early is used, but keeps nobody from searching on. */
static void record(tuning *t, const cla_search_result *result)
{
    cla_tuned finalists[CLA_SEARCH_TOP];
    clattn_tune_report *r = t->report;
    if (cut_short(t, result))
        t->effort = CLATTN_EFFORT_ESTIMATE;
    for (int i = 0; i < result->num_top; i++) {
        finalists[i] = tuned_of(t, result->top[i].code, result->top[i].us, result->top[i].spread_us,
                                result->top[i].samples);
        finalists[i].rank = i + 1;
    }
    if (result->num_top == 0)
        return;
    cla_store_record(t->store, &t->bucket, NULL, finalists, result->num_top);
    name_config(finalists[0].kernel, finalists[0].t, r->kernel, r->config);
    r->best_us = result->top[0].us;
}

static clattn_status run_search(tuning *t)
{
    static const clattn_tune_end ends[] = {
        [CLA_END_COMPLETE] = CLATTN_TUNE_COMPLETE,
        [CLA_END_BUDGET] = CLATTN_TUNE_BUDGET,
        [CLA_END_STOPPED] = CLATTN_TUNE_STOPPED,
    };
    const cla_prober prober = { t, sample, now, tried, progress };
    cla_search_options options = { .limits = cla_search_limits_of(t->effort),
                                   .seed = t->params->seed,
                                   .seeds = t->seeds,
                                   .num_seeds = t->num_seeds,
                                   .num_late = t->num_late,
                                   .prior = t->prior,
                                   .known = t->known,
                                   .num_known = t->num_known };
    cla_search_result result;
    if (t->params->max_evals)
        options.limits.evals = t->params->max_evals;
    if (t->params->max_seconds > 0)
        options.limits.seconds = t->params->max_seconds;
    CLA_REQUIRE(t->ctx, cla_search(&t->ks.space, &options, &prober, &result), CLATTN_ERR_MEMORY,
                "%s: out of host memory for a search", t->op->name);
    t->report->end = ends[result.end];
    t->report->evals = result.evals;
    t->report->samples = result.samples;
    t->report->rejected = result.rejected;
    t->report->seconds = result.seconds;
    t->report->default_us = result.default_us;
    record(t, &result);
    return CLATTN_OK;
}

/* ---- where candidates run ---- */

static clattn_status search_here(tuning *t)
{
    static cla_bench none;
    cla_bench *bench = malloc(sizeof *bench);
    CLA_REQUIRE(t->ctx, bench, CLATTN_ERR_MEMORY, "%s: out of host memory", t->op->name);
    *bench = none;
    clattn_status s = cla_bench_make(t->ctx, t->op, t->problem, t->params->seed, bench);
    t->bench = bench;
    if (s == CLATTN_OK)
        s = run_search(t);
    cla_bench_free(bench);
    free(bench);
    return s;
}

static clattn_status search_in_worker(tuning *t)
{
    cla_worker worker = { .path = t->params->worker,
                          .argument = t->params->worker_argument,
                          .patience = t->params->worker_seconds > 0 ? t->params->worker_seconds
                                                                    : PATIENCE };
    cla_message_open *m = &worker.open;
    char why[CLA_WHY];
    snprintf(m->build, sizeof m->build, "%s", cla_wire_build());
    snprintf(m->device, sizeof m->device, "%d", t->ctx->dev.info.index);
    snprintf(m->name, sizeof m->name, "%s", t->ctx->dev.info.name);
    snprintf(m->op, sizeof m->op, "%s", t->op->name);
    m->threads = t->ctx->num_threads;
    m->seed = t->params->seed;
    memcpy(m->problem.bytes, t->problem, t->op->size);
    CLA_REQUIRE(t->ctx, cla_worker_start(&worker, why, sizeof why), CLATTN_ERR_DEVICE, "%s", why);
    t->worker = &worker;
    const clattn_status s = run_search(t);
    cla_worker_stop(&worker);
    return s;
}

static clattn_status search(tuning *t)
{
    CLA_REQUIRE(t->ctx, collect_known(t), CLATTN_ERR_MEMORY, "%s: out of host memory", t->op->name);
    collect_seeds(t);
    t->started = calloc((size_t)t->ks.space.num_codes + 1, 1);
    CLA_REQUIRE(t->ctx, t->started, CLATTN_ERR_MEMORY, "%s: out of host memory", t->op->name);
    return t->params->worker && !t->ctx->adopted ? search_in_worker(t) : search_here(t);
}

/* ---- the whole ---- */

static void recover(tuning *t)
{
    const int died = cla_store_recover(t->store);
    t->report->quarantined += died;
    if (died > 0)
        cla_log(t->ctx, CLATTN_LOG_WARN,
                "configurations that this machine or a process did not survive are put aside: %d",
                died);
}

static clattn_status go(tuning *t)
{
    t->store = cla_ctx_store(t->ctx);
    cla_bucket_of(&t->ctx->dev, t->op->stages[0].stage, t->problem, &t->bucket);
    cla_bucket_text(&t->bucket, t->report->bucket, sizeof t->report->bucket);
    CLA_REQUIRE(t->ctx, cla_store_lock(t->store), CLATTN_ERR_UNSUPPORTED,
                "another process is tuning for %s now", t->ctx->dev.info.name);
    recover(t);
    CLA_TRY(untuned_choice(t));
    name_config(t->untuned.kernel, t->untuned.t, t->report->default_kernel,
                t->report->default_config);
    CLA_REQUIRE(
        t->ctx,
        cla_kernel_space_make(&t->ctx->dev, t->store, t->op->stages[0].stage, t->problem, &t->ks),
        CLATTN_ERR_MEMORY, "%s: out of host memory for a search", t->op->name);
    t->report->legal = (int)t->ks.space.num_legal;
    if (only_one(t) || stored(t))
        return CLATTN_OK;
    const clattn_status s = search(t);
    if (!t->report->note[0])
        snprintf(t->report->note, sizeof t->report->note, "%.255s", cla_store_note(t->store));
    return s;
}

static clattn_status check_params(clattn_ctx *ctx, const struct clattn_tune_params *p)
{
    CLA_REQUIRE(ctx, p->effort >= CLATTN_EFFORT_ESTIMATE && p->effort <= CLATTN_EFFORT_EXHAUSTIVE,
                CLATTN_ERR_ARG, "clattn_plan_tune: effort is %d, must be 0 to %d", (int)p->effort,
                (int)CLATTN_EFFORT_EXHAUSTIVE);
    CLA_REQUIRE(ctx, p->max_evals >= 0 && p->max_seconds >= 0 && p->worker_seconds >= 0,
                CLATTN_ERR_ARG, "clattn_plan_tune: a limit is negative or NaN (%d, %g s, %g s)",
                p->max_evals, p->max_seconds, p->worker_seconds);
    return CLATTN_OK;
}

clattn_status cla_tune(clattn_ctx *ctx, const cla_op *op, const void *problem,
                       const struct clattn_tune_params *params, clattn_tune_report *report)
{
    tuning t = { .ctx = ctx,
                 .op = op,
                 .problem = problem,
                 .params = params,
                 .effort = params->effort == CLATTN_EFFORT_ESTIMATE ? CLATTN_EFFORT_STANDARD
                                                                    : params->effort,
                 .report = report };
    const clattn_status s = go(&t);
    cla_store_unlock(t.store);
    cla_space_free(&t.ks.space);
    free(t.known);
    free(t.started);
    return s;
}

clattn_status clattn_plan_tune(clattn_plan *plan, const struct clattn_tune_params *user,
                               clattn_tune_report *out)
{
    struct clattn_tune_params params = { .struct_size = sizeof params };
    clattn_tune_report report = { .end = CLATTN_TUNE_STOPPED };
    CLA_TRY(cla_plan_enter(plan, NULL));
    clattn_ctx *ctx = plan->ctx;
    if (user)
        CLA_TRY(cla_params_read(ctx, "clattn_plan_tune", &params, sizeof params, user));
    CLA_TRY(check_params(ctx, &params));
    CLA_REQUIRE(ctx, plan->op->tuning, CLATTN_ERR_UNSUPPORTED,
                "%s: there is no check for it, so nothing of it is tuned", plan->op->name);
    CLA_REQUIRE(ctx, cla_op_tunable(plan->op, plan->problem), CLATTN_ERR_UNSUPPORTED,
                "%s: the plan can never run, there is nothing to tune", plan->op->name);
    CLA_REQUIRE(ctx, plan->num_choices > 0, CLATTN_ERR_UNSUPPORTED,
                "%s: the plan launches nothing, there is nothing to tune", plan->op->name);
    const clattn_status s = cla_tune(ctx, plan->op, plan->problem, &params, &report);
    if (s == CLATTN_OK)
        cla_plan_cache_free(&ctx->plans); /* the next calls plan anew, with what was found */
    if (out)
        *out = report;
    return s;
}
