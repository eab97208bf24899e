/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention for bench and cost: flags, random tensors, what its two forms cost. */
#include "linear_bench.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "linear_job.h"

struct state {
    struct qkv_sizes n;
    struct linear_options options;
    bool with_state;
};

static int options(void *state, struct option_spec *specs)
{
    struct state *st = state;
    const struct option_spec own[] = {
        { "state", 0, NULL, "with a state before and after", parse_flag, &st->with_state },
    };

    st->options = linear_defaults;
    linear_options_specs(&st->options, specs);
    memcpy(specs + LINEAR_NUM_OPTIONS, own, sizeof own);
    return LINEAR_NUM_OPTIONS + (int)(sizeof own / sizeof own[0]);
}

static int set_shape(void *state, const char *text)
{
    struct state *st = state;
    const int code = qkv_parse(text, &st->n);

    return code == EXIT_OK ? linear_check(&st->n, &st->options) : code;
}

static void describe(const void *state, char *text, size_t size)
{
    const struct state *st = state;

    linear_options_text(&st->options, text, size);
    if (st->with_state)
        add_word(text, size, "state");
}

static int make_job(const struct state *st, uint64_t seed, struct linear_job *job)
{
    const struct qkv_sizes *n = &st->n;
    const int64_t kv[] = { n->B, n->Hk, linear_features(st->options.map, n->D), n->Dv };

    *job = (struct linear_job){ .options = st->options };
    int code = qkv_random(n, seed, &job->in);
    if (code == EXIT_OK && st->with_state)
        code = array_new_random(&job->in_kv, CLATTN_F32, 4, kv, 1, seed + 4);
    if (code == EXIT_OK && st->with_state)
        code = array_new_random(&job->in_z, CLATTN_F32, 3, kv, 1, seed + 5);
    return code;
}

static int open(const void *state, const struct bench_item *item, struct work *w, struct session *s)
{
    const struct state *st = state;
    struct linear_job job;
    struct linear_results results = { 0 };
    int code = make_job(st, item->seed, &job);

    if (code == EXIT_OK)
        code = linear_results_new(&job, st->with_state, &results);
    if (code == EXIT_OK)
        code = linear_job_open(w, s, &job, item->dtype, item->kernel, &results);
    linear_results_free(&results);
    linear_job_free(&job);
    return code;
}

/* Bytes that must move: every input read once, every output written once. */
static double least_bytes(const struct state *st, clattn_dtype dtype)
{
    const struct qkv_sizes *n = &st->n;
    const double F = (double)linear_features(st->options.map, n->D);
    double bytes = qkv_bytes(n, dtype);

    if (st->with_state)
        bytes += 2 * 4 * (double)n->B * (double)n->Hk * F * (double)(n->Dv + 1);
    return bytes;
}

static void cost(const void *state, clattn_dtype dtype, struct cost_table *t)
{
    const struct state *st = state;
    const clattn_linear_form form = st->options.form;
    const double break_even = linear_break_even(&st->n, &st->options);
    const double features = (double)linear_features(st->options.map, st->n.D);

    *t = (struct cost_table){
        .list = "forms",
        .key = "form",
        .fact = { { "features", features }, { "break_even_n", break_even } },
        .facts = 2,
    };
    struct cost_row *linear = cost_add(t, "linear"), *quadratic = cost_add(t, "quadratic");
    linear->flops = linear_flops(&st->n, &st->options);
    quadratic->flops = quadratic_flops(&st->n, &st->options);
    linear->bytes = quadratic->bytes = least_bytes(st, dtype);
    t->given = form == CLATTN_FORM_QUADRATIC
               || (form == CLATTN_FORM_AUTO && !st->with_state && quadratic->flops < linear->flops);
    snprintf(t->note, sizeof t->note,
             "* what the dispatcher takes. Both forms give the same result; with %.0f features and"
             "\nNq = Nk = N the linear one needs fewer flops from N = %.0f on.",
             features, break_even);
}

const struct bench_op bench_linear = {
    QKV_SHAPE, sizeof(struct state), options, set_shape, describe, open, cost,
};
