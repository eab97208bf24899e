/* SPDX-License-Identifier: Apache-2.0 */
#include "proj_job.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

WORK_CALLS(projection);

enum { GROUP = 32 }; /* weights that share an i4 scale */

int proj_job_result(const struct proj_job *job, struct array *y)
{
    const struct array *x = &job->x, *w = &job->w, *b = &job->b, *residual = &job->residual;
    int64_t shape[3];

    if (x->rank != 2 && x->rank != 3)
        return fail(EXIT_INPUT, "x is %s, need [rows][M] or [B][N][M]",
                    shape_text(x->rank, x->shape));
    if (w->rank != 2)
        return fail(EXIT_INPUT, "w is %s, need [out][M]", shape_text(w->rank, w->shape));
    const int64_t heads = job->options.heads ? job->options.heads : 1;
    if (heads < 1 || w->shape[0] % heads != 0)
        return fail(EXIT_INPUT, "w has %" PRId64 " rows, they are not %" PRId64 " heads",
                    w->shape[0], heads);
    if (b->dtype != CLATTN_NONE && (b->rank != 1 || b->shape[0] != w->shape[0]))
        return fail(EXIT_INPUT, "the bias is %s, need %s", shape_text(b->rank, b->shape),
                    shape_text(1, w->shape));
    memcpy(shape, x->shape, sizeof shape);
    shape[x->rank - 1] = w->shape[0];
    const int code = array_new(y, CLATTN_F32, x->rank, shape);
    if (code == EXIT_OK && residual->dtype != CLATTN_NONE && !array_same_shape(residual, y))
        return fail(EXIT_INPUT, "the residual is %s, y is %s",
                    shape_text(residual->rank, residual->shape), shape_text(y->rank, y->shape));
    return code;
}

void proj_job_free(struct proj_job *job)
{
    array_free(&job->x);
    array_free(&job->w);
    array_free(&job->b);
    array_free(&job->residual);
}

/* ------------------------------------------------------------------------------------------ */
/* Weights                                                                                    */

/* Largest value to the largest integer; a group of zeros has scale 0. */
static float scale_of(const float *w, int64_t n, float largest)
{
    float max = 0;
    for (int64_t i = 0; i < n; i++)
        max = fmaxf(max, fabsf(w[i]));
    return max / largest;
}

static int quantise(const struct array *w, clattn_dtype type, void **stored, struct array *scale)
{
    const int64_t out = w->shape[0], M = w->shape[1], group = type == CLATTN_I4 ? GROUP : M;
    const int64_t shape[2] = { out, group > 0 ? M / group : 0 };
    const size_t each = type == CLATTN_I4 ? 2 : 1; /* values of an element */
    int code;

    if (type == CLATTN_I4 && M % GROUP != 0)
        return fail(EXIT_INPUT, "M is %" PRId64 ", i4 weights need a multiple of %d", M, GROUP);
    if ((code = array_new(scale, CLATTN_F32, type == CLATTN_I4 ? 2 : 1, shape)) != EXIT_OK)
        return code;
    float *values = malloc(w->count * sizeof *values + 1);
    *stored = malloc(w->count / each + 1);
    if (!values || !*stored) {
        free(values);
        return fail(EXIT_INPUT, "out of memory for the weights");
    }
    for (int64_t g = 0; g < (int64_t)scale->count; g++) {
        const float *from = (const float *)w->data + g * group;
        const float s = scale_of(from, group, type == CLATTN_I4 ? 7 : 127);
        ((float *)scale->data)[g] = s;
        for (int64_t i = 0; i < group; i++)
            values[g * group + i] = s > 0 ? from[i] / s : 0;
    }
    clattn_from_f32(type, values, *stored, w->count / each);
    free(values);
    return EXIT_OK;
}

static int input_quantised(struct work *w, const struct proj_job *job, clattn_dtype type,
                           clattn_projection_part *part)
{
    void *stored = NULL;
    struct array scale = { 0 };
    const int64_t shape[2] = { job->w.shape[0], job->w.shape[1] / (type == CLATTN_I4 ? 2 : 1) };
    const int code = quantise(&job->w, type, &stored, &scale);

    if (code == EXIT_OK) {
        work_input_bytes(w, stored, type, 2, shape, &part->w);
        work_input(w, "scale", &scale, CLATTN_F32, &part->scale);
    }
    free(stored);
    array_free(&scale);
    return code;
}

static int input_transposed(struct work *w, const struct array *matrix, clattn_dtype type,
                            clattn_projection_part *part)
{
    const int64_t out = matrix->shape[0], M = matrix->shape[1], shape[2] = { M, out };
    struct array turned;
    const int code = array_new(&turned, CLATTN_F32, 2, shape);

    for (int64_t c = 0; code == EXIT_OK && c < out; c++)
        for (int64_t m = 0; m < M; m++)
            ((float *)turned.data)[m * out + c] = ((const float *)matrix->data)[c * M + m];
    if (code == EXIT_OK)
        work_input(w, "w", &turned, type, &part->w);
    part->w = clattn_tensor_swap(part->w, 0, 1);
    array_free(&turned);
    return code;
}

static int input_weights(struct work *w, const struct proj_job *job, clattn_projection_part *part)
{
    const struct proj_options *o = &job->options;
    const clattn_dtype type = o->weights == CLATTN_NONE ? w->dtype : o->weights;
    const bool quantised = type == CLATTN_I8 || type == CLATTN_I4;

    if (quantised && o->transposed)
        return fail(EXIT_INPUT, "--transposed is for weights that are not quantised");
    if (quantised)
        return input_quantised(w, job, type, part);
    if (o->transposed)
        return input_transposed(w, &job->w, type, part);
    work_input(w, "w", &job->w, type, &part->w);
    return EXIT_OK;
}

/* ------------------------------------------------------------------------------------------ */
/* Device                                                                                     */

/* [rows][out] or [B][N][out] as heads, so that a rotary knows them. */
static void split_heads(clattn_tensor *t, int64_t heads)
{
    const int64_t K = t->shape[t->rank - 1] / heads;

    if (t->dtype == CLATTN_NONE)
        return;
    if (t->rank == 2) {
        t->shape[2] = t->shape[1];
        t->stride[2] = t->stride[1];
        t->shape[1] = t->shape[0];
        t->stride[1] = t->stride[0];
        t->shape[0] = 1;
        t->stride[0] = t->shape[1] * t->stride[1];
    }
    t->rank = 4;
    t->shape[2] = heads;
    t->stride[2] = K;
    t->shape[3] = K;
    t->stride[3] = 1;
}

static void split_rows(clattn_tensor *x)
{
    if (x->rank != 2)
        return;
    x->rank = 3;
    x->shape[2] = x->shape[1];
    x->shape[1] = x->shape[0];
    x->shape[0] = 1;
    x->stride[1] = x->stride[0];
    x->stride[2] = 1;
}

int proj_job_open(struct work *w, struct session *s, const struct proj_job *job, clattn_dtype dtype,
                  const char *kernel, struct array *y)
{
    const struct proj_options *o = &job->options;
    struct clattn_projection_params *p =
        work_begin(w, s, dtype, &projection_calls,
                   clattn_projection_params(.start = o->start, .kernel = kernel));

    if (!p)
        return w->code;
    clattn_projection_part *part = &p->parts[0];
    work_input(w, "x", &job->x, dtype, &p->x);
    const int code = input_weights(w, job, part);
    if (code != EXIT_OK)
        return code;
    work_input(w, "b", &job->b, dtype, &part->bias);
    work_input(w, "residual", &job->residual, dtype, &part->residual);
    work_output(w, y, dtype, &part->y);
    part->rotary = o->rotary;
    part->rotary_base = o->base;
    if (w->code == EXIT_OK && o->heads > 1) {
        split_heads(&part->y, o->heads);
        split_heads(&part->residual, o->heads);
        split_rows(&p->x);
    }
    return work_plan(w);
}

/* ------------------------------------------------------------------------------------------ */
/* Options                                                                                    */

static int parse_weights(void *target, const char *name, const char *value)
{
    static const clattn_dtype known[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16, CLATTN_I8,
                                          CLATTN_I4 };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(value, clattn_dtype_name(known[i])) == 0) {
            *(clattn_dtype *)target = known[i];
            return EXIT_OK;
        }
    }
    return fail(EXIT_USAGE, "--%s: '%s' is none of f32, f16, bf16, i8 and i4", name, value);
}

static int parse_rotary(void *target, const char *name, const char *value)
{
    if (strcmp(value, "neox") != 0 && strcmp(value, "gptj") != 0)
        return fail(EXIT_USAGE, "--%s: '%s' is neither neox nor gptj", name, value);
    *(clattn_rotary *)target = *value == 'n' ? CLATTN_ROTARY_NEOX : CLATTN_ROTARY_GPTJ;
    return EXIT_OK;
}

void proj_options_specs(struct proj_options *o, struct option_spec *specs)
{
    const struct option_spec all[PROJ_NUM_OPTIONS] = {
        { "weights", 0, "T", "storage of the weights: f32, f16, bf16, i8 or i4 (default: --dtype)",
          parse_weights, &o->weights },
        { "transposed", 0, NULL, "with the weights stored as [in][out]", parse_flag,
          &o->transposed },
        { "rotary", 0, "STYLE", "turn the heads by their positions: neox or gptj", parse_rotary,
          &o->rotary },
        { "heads", 0, "H", "heads that the outputs are divided into (default 1)", parse_int,
          &o->heads },
        { "rotary-base", 0, "X", "of the rotary frequencies (default 10000)", parse_float,
          &o->base },
        { "start", 0, "N", "position of the first row (default 0)", parse_int, &o->start },
    };

    memcpy(specs, all, sizeof all);
}

void proj_options_text(const struct proj_options *o, char *text, size_t size)
{
    *text = 0;
    if (o->weights != CLATTN_NONE)
        add_word(text, size, "weights=%s", clattn_dtype_name(o->weights));
    if (o->transposed)
        add_word(text, size, "transposed");
    if (o->rotary != CLATTN_ROTARY_NONE)
        add_word(text, size, "rotary=%s", o->rotary == CLATTN_ROTARY_NEOX ? "neox" : "gptj");
    if (o->heads > 1)
        add_word(text, size, "heads=%" PRId64, o->heads);
}

/* ------------------------------------------------------------------------------------------ */
/* Reference                                                                                  */

int naive_projection(const struct proj_job *job, bool in_double, struct array *y)
{
    const int64_t M = job->w.shape[1], out = job->w.shape[0];
    const float *w = job->w.data, *b = job->b.data, *residual = job->residual.data;
    float *to = y->data;

    for (int64_t i = 0; i < (int64_t)y->count; i++) {
        const float *x = (const float *)job->x.data + i / out * M, *row = w + i % out * M;
        double sum = 0;
        float sum_f32 = 0;
        for (int64_t m = 0; m < M; m++) {
            sum += (double)x[m] * (double)row[m];
            sum_f32 += x[m] * row[m];
        }
        sum += (b ? (double)b[i % out] : 0) + (residual ? (double)residual[i] : 0);
        sum_f32 += (b ? b[i % out] : 0) + (residual ? residual[i] : 0);
        to[i] = in_double ? (float)sum : sum_f32;
    }
    return EXIT_OK;
}
