/* SPDX-License-Identifier: Apache-2.0 */
/* Projection and rotary embedding for run and verify. */
#include <math.h>
#include <string.h>

#include "cli.h"
#include "ops.h"
#include "proj_bench.h"
#include "proj_job.h"

WORK_CALLS(rope);

/* ------------------------------------------------------------------------------------------ */
/* Projection                                                                                 */

enum { X, W, B, RESIDUAL };

static const struct case_tensor inputs[] = {
    [X] = { "x", CLATTN_NONE, true },  [W] = { "w", CLATTN_NONE, true },
    [B] = { "b", CLATTN_NONE, false }, [RESIDUAL] = { "residual", CLATTN_NONE, false },
    { NULL, CLATTN_NONE, false },
};

static const struct case_tensor outputs[] = {
    { "y", CLATTN_NONE, false },
    { NULL, CLATTN_NONE, false },
};

/* The job borrows the tensors of the case. */
static int make_job(const struct golden *c, struct proj_job *job, struct array *y)
{
    const struct array *in = c->input;
    const char *key;
    json_t *value;

    json_object_foreach (c->params, key, value) {
        if (!json_is_null(value))
            return fail(EXIT_INPUT, "parameter '%.60s' is unknown", key);
    }
    *job = (struct proj_job){ .x = in[X], .w = in[W], .b = in[B], .residual = in[RESIDUAL] };
    return proj_job_result(job, y);
}

static int run(struct session *s, const struct golden *c, const char *kernel, struct array *result,
               struct run_note *note)
{
    struct proj_job job;
    struct work w = { 0 };
    int code = make_job(c, &job, &result[0]);

    if (code == EXIT_OK)
        code = proj_job_open(&w, s, &job, c->dtype, kernel, &result[0]);
    if (code == EXIT_OK)
        code = op_run_work(&w, note);
    work_end(&w);
    return code;
}

static int reference(const struct golden *c, bool in_double, struct array *result)
{
    struct proj_job job;
    const int code = make_job(c, &job, &result[0]);

    return code == EXIT_OK ? naive_projection(&job, in_double, &result[0]) : code;
}

const struct op tool_projection = {
    .name = "project",
    .case_name = "projection",
    .inputs = inputs,
    .outputs = outputs,
    .run = run,
    .reference = reference,
    .bench = &bench_projection,
};

/* ------------------------------------------------------------------------------------------ */
/* Rotary embedding                                                                           */

static const struct case_tensor rope_inputs[] = {
    { "x", CLATTN_NONE, true },
    { NULL, CLATTN_NONE, false },
};

struct rope {
    clattn_rotary rotary;
    float base;
    int64_t start;
};

static int read_param(struct rope *r, const char *key, const json_t *value)
{
    const char *style = json_string_value(value);

    if (strcmp(key, "style") == 0 && style && strcmp(style, "neox") == 0)
        r->rotary = CLATTN_ROTARY_NEOX;
    else if (strcmp(key, "style") == 0 && style && strcmp(style, "gptj") == 0)
        r->rotary = CLATTN_ROTARY_GPTJ;
    else if (strcmp(key, "base") == 0 && json_is_number(value))
        r->base = (float)json_number_value(value);
    else if (strcmp(key, "start") == 0 && json_is_integer(value))
        r->start = json_integer_value(value);
    else
        return fail(EXIT_INPUT, "parameter '%.60s' is unknown or has no value that makes sense",
                    key);
    return EXIT_OK;
}

static int read_rope(const struct golden *c, struct rope *r)
{
    const struct array *x = &c->input[0];
    const char *key;
    json_t *value;

    *r = (struct rope){ .rotary = CLATTN_ROTARY_NEOX };
    json_object_foreach (c->params, key, value) {
        const int code = json_is_null(value) ? EXIT_OK : read_param(r, key, value);
        if (code != EXIT_OK)
            return code;
    }
    if (x->rank != 4)
        return fail(EXIT_INPUT, "x is %s, need [B][N][H][D]", shape_text(x->rank, x->shape));
    return EXIT_OK;
}

static int run_rope(struct session *s, const struct golden *c, const char *kernel,
                    struct array *result, struct run_note *note)
{
    const struct array *x = &c->input[0];
    struct rope r;
    struct work w;
    int code = read_rope(c, &r);

    if (code == EXIT_OK)
        code = array_new(&result[0], CLATTN_F32, x->rank, x->shape);
    if (code != EXIT_OK)
        return code;
    struct clattn_rope_params *p = work_begin(
        &w, s, c->dtype, &rope_calls,
        clattn_rope_params(.rotary = r.rotary, .base = r.base, .start = r.start, .kernel = kernel));
    if (p) {
        work_input(&w, "x", x, c->dtype, &p->x);
        work_output(&w, &result[0], c->dtype, &p->y);
        work_plan(&w);
    }
    code = op_run_work(&w, note);
    work_end(&w);
    return code;
}

/* Angles in f32 or in double. */
static void angle_of(const struct rope *r, double base, int64_t n, int64_t i, int64_t D,
                     bool in_double, double *c, double *s)
{
    const double angle = (double)(r->start + n) * pow(base, -2 * (double)i / (double)D);
    const float angle_f32 = (float)(r->start + n) * powf((float)base, -2 * (float)i / (float)D);

    *c = in_double ? cos(angle) : (double)cosf(angle_f32);
    *s = in_double ? sin(angle) : (double)sinf(angle_f32);
}

static int reference_rope(const struct golden *c, bool in_double, struct array *result)
{
    const struct array *x = &c->input[0];
    struct rope r;
    int code = read_rope(c, &r);

    if (code == EXIT_OK)
        code = array_new(&result[0], CLATTN_F32, 4, x->shape);
    if (code != EXIT_OK)
        return code;
    const int64_t D = x->shape[3], rows = x->shape[0] * x->shape[1] * x->shape[2];
    const bool neox = r.rotary == CLATTN_ROTARY_NEOX;
    for (int64_t row = 0; row < rows; row++) {
        const float *from = (const float *)x->data + row * D;
        float *to = (float *)result[0].data + row * D;
        for (int64_t i = 0; i < D / 2; i++) {
            const int64_t u = neox ? i : 2 * i, v = neox ? i + D / 2 : 2 * i + 1;
            double cosine, sine;
            angle_of(&r, r.base > 0 ? (double)r.base : 10000, row / x->shape[2] % x->shape[1], i, D,
                     in_double, &cosine, &sine);
            to[u] = (float)((double)from[u] * cosine - (double)from[v] * sine);
            to[v] = (float)((double)from[u] * sine + (double)from[v] * cosine);
        }
    }
    return EXIT_OK;
}

const struct op tool_rope = {
    .case_name = "rope",
    .inputs = rope_inputs,
    .outputs = outputs,
    .run = run_rope,
    .reference = reference_rope,
};
