/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention for run and verify. */
#include <math.h>
#include <string.h>

#include "cli.h"
#include "linear_bench.h"
#include "linear_job.h"
#include "ops.h"

enum { Q, K, V, IN_KV, IN_Z, CU_Q, CU_K };

static const struct case_tensor inputs[] = {
    [Q] = { "q", CLATTN_NONE, true },
    [K] = { "k", CLATTN_NONE, true },
    [V] = { "v", CLATTN_NONE, true },
    [IN_KV] = { "state_in_kv", CLATTN_F32, false },
    [IN_Z] = { "state_in_z", CLATTN_F32, false },
    [CU_Q] = { "cu_seqlens_q", CLATTN_I32, false },
    [CU_K] = { "cu_seqlens_k", CLATTN_I32, false },
    { NULL, CLATTN_NONE, false },
};

enum { O, STATE_KV, STATE_Z };

static const struct case_tensor outputs[] = {
    [O] = { "o", CLATTN_NONE, false },
    [STATE_KV] = { "state_kv", CLATTN_F32, false },
    [STATE_Z] = { "state_z", CLATTN_F32, false },
    { NULL, CLATTN_NONE, false },
};

static int read_number(const char *key, const json_t *value, float *out)
{
    const double x = json_number_value(value);

    if (!json_is_number(value) || !isfinite((float)x) || x < 0)
        return fail(EXIT_INPUT, "parameter %s is not a number that makes sense", key);
    *out = (float)x;
    return EXIT_OK;
}

static int read_flag(const char *key, const json_t *value, bool *out)
{
    if (!json_is_boolean(value))
        return fail(EXIT_INPUT, "parameter %s is neither true nor false", key);
    *out = json_is_true(value);
    return EXIT_OK;
}

/* An unknown parameter would change what is computed, so it is never skipped. */
static int read_params(json_t *params, struct linear_options *o)
{
    const char *key;
    json_t *value;
    bool normalize = true;

    json_object_foreach (params, key, value) {
        int code = EXIT_OK;
        if (json_is_null(value))
            continue;
        if (strcmp(key, "feature_map") == 0 && json_is_string(value))
            code = linear_map_parse(EXIT_INPUT, json_string_value(value), &o->map);
        else if (strcmp(key, "causal") == 0)
            code = read_flag(key, value, &o->causal);
        else if (strcmp(key, "normalize") == 0)
            code = read_flag(key, value, &normalize);
        else if (strcmp(key, "c") == 0)
            code = read_number(key, value, &o->c);
        else if (strcmp(key, "scale") == 0)
            code = read_number(key, value, &o->scale);
        else
            code = fail(EXIT_INPUT, "parameter '%.60s' is unknown", key);
        if (code != EXIT_OK)
            return code;
    }
    o->unnormalized = !normalize;
    return EXIT_OK;
}

/* The job borrows the tensors of the case. */
static int make_job(const struct golden *c, struct linear_job *job)
{
    const struct array *in = c->input;

    *job = (struct linear_job){
        .in = {
            .ragged = in[CU_Q].dtype != CLATTN_NONE,
            .q = in[Q],
            .k = in[K],
            .v = in[V],
            .cu_q = in[CU_Q],
            .cu_k = in[CU_K],
        },
        .in_kv = in[IN_KV],
        .in_z = in[IN_Z],
        .options = linear_defaults,
    };
    int code = read_params(c->params, &job->options);
    if (code == EXIT_OK)
        code = qkv_measure(&job->in);
    return code == EXIT_OK ? linear_check(&job->in.n, &job->options) : code;
}

static void keep(const struct golden *c, struct linear_results *r, struct array *result)
{
    struct array *all[] = { [O] = &r->o, [STATE_KV] = &r->kv, [STATE_Z] = &r->z };

    op_keep(c, all, result);
}

static int new_results(const struct golden *c, const struct linear_job *job,
                       struct linear_results *r)
{
    return linear_results_new(job, c->wanted[STATE_KV] || c->wanted[STATE_Z], r);
}

static int run(struct session *s, const struct golden *c, const char *kernel, struct array *result,
               struct run_note *note)
{
    struct linear_job job;
    struct linear_results r = { 0 };
    struct work w = { 0 };
    int code = make_job(c, &job);

    if (code == EXIT_OK)
        code = new_results(c, &job, &r);
    if (code == EXIT_OK)
        code = linear_job_open(&w, s, &job, c->dtype, kernel, &r);
    if (code == EXIT_OK)
        code = op_run_work(&w, note);
    if (code == EXIT_OK)
        keep(c, &r, result);
    work_end(&w);
    linear_results_free(&r);
    return code;
}

static int reference(const struct golden *c, bool in_double, struct array *result)
{
    struct linear_job job;
    struct linear_results r = { 0 };
    int code = make_job(c, &job);

    if (code == EXIT_OK)
        code = new_results(c, &job, &r);
    if (code == EXIT_OK)
        code = in_double ? naive_linear_f64(&job, &r) : naive_linear_f32(&job, &r);
    if (code == EXIT_OK)
        keep(c, &r, result);
    linear_results_free(&r);
    return code;
}

const struct op tool_linear_attention = {
    .name = "linear-attention",
    .case_name = "linear_attention",
    .inputs = inputs,
    .outputs = outputs,
    .run = run,
    .reference = reference,
    .bench = &bench_linear,
};
