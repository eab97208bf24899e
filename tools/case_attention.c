/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax attention, dense and ragged, and argmax attention, for run and verify. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attn_bench.h"
#include "attn_job.h"
#include "cli.h"
#include "ops.h"

enum { Q, K, V, MASK, BIAS, ALIBI, SINKS, CU_Q, CU_K };

#define TENSORS                                                                        \
    [Q] = { "q", CLATTN_NONE, true }, [K] = { "k", CLATTN_NONE, true },                \
    [V] = { "v", CLATTN_NONE, true }, [MASK] = { "mask", CLATTN_U8, false },           \
    [BIAS] = { "bias", CLATTN_NONE, false }, [ALIBI] = { "alibi", CLATTN_F32, false }, \
    [SINKS] = { "sinks", CLATTN_F32, false }

static const struct case_tensor inputs[] = { TENSORS, { NULL, CLATTN_NONE, false } };
static const struct case_tensor ragged_inputs[] = {
    TENSORS,
    [CU_Q] = { "cu_seqlens_q", CLATTN_I32, true },
    [CU_K] = { "cu_seqlens_k", CLATTN_I32, true },
    { NULL, CLATTN_NONE, false },
};

enum { O, LSE, PROBS };

static const struct case_tensor outputs[] = {
    [O] = { "o", CLATTN_NONE, false },
    [LSE] = { "lse", CLATTN_F32, false },
    [PROBS] = { "probs", CLATTN_F32, false },
    { NULL, CLATTN_NONE, false },
};
static const struct case_tensor ragged_outputs[] = {
    [O] = { "o", CLATTN_NONE, false },
    [LSE] = { "lse", CLATTN_F32, false },
    { NULL, CLATTN_NONE, false },
};

/* Argmax attention has q, k, v and the mask, at the same places. */
static const struct case_tensor argmax_inputs[] = {
    [Q] = { "q", CLATTN_NONE, true }, [K] = { "k", CLATTN_NONE, true },
    [V] = { "v", CLATTN_NONE, true }, [MASK] = { "mask", CLATTN_U8, false },
    { NULL, CLATTN_NONE, false },
};

enum { INDEX = 1 };

static const struct case_tensor argmax_outputs[] = {
    [O] = { "o", CLATTN_NONE, false },
    [INDEX] = { "index", CLATTN_I32, false },
    { NULL, CLATTN_NONE, false },
};

static bool is_argmax(const struct golden *c)
{
    return c->op->inputs == argmax_inputs;
}

static int read_number(const char *key, const json_t *value, bool zero_allowed, float *out)
{
    const double x = json_number_value(value);

    if (!json_is_number(value) || !isfinite((float)x) || (x == 0 && !zero_allowed))
        return fail(EXIT_INPUT, "parameter %s is not a number that makes sense", key);
    *out = (float)x;
    return EXIT_OK;
}

static int read_causal(const json_t *value, clattn_causal *out)
{
    const char *kind = json_string_value(value);

    if (json_is_boolean(value))
        *out = json_is_true(value) ? CLATTN_CAUSAL_BOTTOM_RIGHT : CLATTN_CAUSAL_NONE;
    else if (kind && strcmp(kind, "bottom-right") == 0)
        *out = CLATTN_CAUSAL_BOTTOM_RIGHT;
    else if (kind && strcmp(kind, "top-left") == 0)
        *out = CLATTN_CAUSAL_TOP_LEFT;
    else
        return fail(EXIT_INPUT, "parameter causal is neither a boolean nor a kind of mask");
    return EXIT_OK;
}

static int read_window(const json_t *value, struct attn_options *o)
{
    const json_t *left = json_array_get(value, 0), *right = json_array_get(value, 1);

    if (json_array_size(value) != 2 || !json_is_integer(left) || !json_is_integer(right))
        return fail(EXIT_INPUT, "parameter window is not [left, right]");
    o->window = true;
    o->left = json_integer_value(left);
    o->right = json_integer_value(right);
    return EXIT_OK;
}

/* An unknown parameter would change what is computed, so it is never skipped. */
static int read_params(json_t *params, bool scaled, struct attn_options *o)
{
    const char *key;
    json_t *value;

    json_object_foreach (params, key, value) {
        int code = EXIT_OK;
        if (json_is_null(value))
            continue;
        if (strcmp(key, "causal") == 0)
            code = read_causal(value, &o->causal);
        else if (strcmp(key, "window") == 0)
            code = read_window(value, o);
        else if (scaled && strcmp(key, "scale") == 0)
            code = read_number(key, value, false, &o->scale);
        else if (scaled && strcmp(key, "softcap") == 0)
            code = read_number(key, value, true, &o->softcap);
        else
            code = fail(EXIT_INPUT, "parameter '%.60s' is unknown", key);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

/* The job borrows the tensors of the case. */
static int make_job(const struct golden *c, struct attn_job *job)
{
    const struct array *in = c->input;

    *job = (struct attn_job){
        .argmax = is_argmax(c),
        .in = {
            .ragged = c->op->inputs == ragged_inputs,
            .q = in[Q],
            .k = in[K],
            .v = in[V],
            .cu_q = in[CU_Q],
            .cu_k = in[CU_K],
        },
        .mask = in[MASK],
        .bias = in[BIAS],
        .alibi = in[ALIBI],
        .sinks = in[SINKS],
    };
    const int code = read_params(c->params, !is_argmax(c), &job->options);
    return code == EXIT_OK ? qkv_measure(&job->in) : code;
}

static int new_results(const struct golden *c, const struct attn_job *job, struct attn_results *r)
{
    const struct attn_wanted softmax = { .lse = c->wanted[LSE], .probs = c->wanted[PROBS] };
    const struct attn_wanted argmax = { .index = c->wanted[INDEX] };

    return attn_results_new(job, is_argmax(c) ? &argmax : &softmax, r);
}

static void keep(const struct golden *c, struct attn_results *r, struct array *result)
{
    struct array *softmax[] = { [O] = &r->o, [LSE] = &r->lse, [PROBS] = &r->probs };
    struct array *argmax[] = { [O] = &r->o, [INDEX] = &r->index };

    op_keep(c, is_argmax(c) ? argmax : softmax, result);
}

static int run(struct session *s, const struct golden *c, const char *kernel, struct array *result,
               struct run_note *note)
{
    struct attn_job job;
    struct attn_results r = { 0 };
    struct work w = { 0 };
    int code = make_job(c, &job);

    if (code == EXIT_OK)
        code = new_results(c, &job, &r);
    if (code == EXIT_OK)
        code = attn_job_open(&w, s, &job, c->dtype, kernel, &r);
    if (code == EXIT_OK)
        code = op_run_work(&w, note);
    if (code == EXIT_OK)
        keep(c, &r, result);
    work_end(&w);
    attn_results_free(&r);
    return code;
}

static int reference(const struct golden *c, bool in_double, struct array *result)
{
    struct attn_job job;
    struct attn_results r = { 0 };
    int code = make_job(c, &job);

    if (code == EXIT_OK)
        code = new_results(c, &job, &r);
    if (code == EXIT_OK)
        code = in_double ? naive_attention_f64(&job, &r) : naive_attention_f32(&job, &r);
    if (code == EXIT_OK)
        keep(c, &r, result);
    attn_results_free(&r);
    return code;
}

const struct op tool_attention = {
    .name = "attention",
    .case_name = "attention",
    .inputs = inputs,
    .outputs = outputs,
    .run = run,
    .reference = reference,
    .bench = &bench_attention,
};

const struct op tool_attention_varlen = {
    .case_name = "attention_varlen",
    .inputs = ragged_inputs,
    .outputs = ragged_outputs,
    .run = run,
    .reference = reference,
};

const struct op tool_argmax = {
    .name = "argmax",
    .case_name = "argmax_attention",
    .inputs = argmax_inputs,
    .outputs = argmax_outputs,
    .run = run,
    .reference = reference,
    .bench = &bench_argmax,
};
