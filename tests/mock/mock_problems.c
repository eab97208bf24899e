/* SPDX-License-Identifier: Apache-2.0 */
/* See mock_problems.h. */
#include "mock_problems.h"

#include <string.h>

/* A dense tensor in a buffer of its own; of the next problem when there is no memory for it. */
static clattn_tensor dense(mock_job *job, clattn_dtype dtype, int rank, const int64_t *shape)
{
    clattn_tensor t = clattn_tensor_of_buffer(NULL, dtype, rank, shape);
    const size_t bytes = (size_t)clattn_tensor_count(&t) * clattn_dtype_size(dtype);
    clattn_buffer **buffer = &job->buffers[job->count++];
    if (job->status == CLATTN_OK)
        job->status = clattn_buffer_create(job->ctx, bytes, buffer);
    t.buffer = *buffer;
    return t;
}
#define DENSE(dtype, ...)                                                       \
    dense(job, (dtype), sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t),   \
          (int64_t[]){ __VA_ARGS__ })

/* ---- attention ---- */

typedef struct attention_sizes {
    int64_t B, Hq, Hk, Nq, Nk, D, Dv;
    bool causal, extras; /* extras: lse, probs, stats, mask, bias */
    bool stats;          /* entropy and the mean of all rows alone */
    int64_t page_rows;   /* over a cache of i8 */
} attention_sizes;

static clattn_status plan_attention(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    const attention_sizes *s = sizes;
    struct clattn_attention_params p = *clattn_attention_params(
        .q = DENSE(dtype, s->B, s->Hq, s->Nq, s->D), .o = DENSE(dtype, s->B, s->Hq, s->Nq, s->Dv),
        .causal = s->causal ? CLATTN_CAUSAL_BOTTOM_RIGHT : CLATTN_CAUSAL_NONE);
    if (s->page_rows > 0) {
        if (job->status == CLATTN_OK)
            job->status = clattn_kv_create(job->ctx, clattn_kv_params(
                .sequences = s->B, .heads = s->Hk, .key_width = s->D, .value_width = s->Dv,
                .capacity = s->Nk, .dtype = CLATTN_I8, .page_rows = s->page_rows), &job->kv);
        p.kv = job->kv;
    } else {
        p.k = DENSE(dtype, s->B, s->Hk, s->Nk, s->D);
        p.v = DENSE(dtype, s->B, s->Hk, s->Nk, s->Dv);
    }
    if (s->extras) {
        p.lse = DENSE(CLATTN_F32, s->B, s->Hq, s->Nq);
        p.probs = DENSE(CLATTN_F32, s->B, s->Hq, s->Nq, s->Nk);
        p.mask = DENSE(CLATTN_U8, s->B, s->Hq, s->Nq, s->Nk);
        p.bias = DENSE(CLATTN_F32, s->B, s->Hq, s->Nq, s->Nk);
    }
    if (s->stats || s->extras) {
        p.stats.entropy = DENSE(CLATTN_F32, s->B, s->Hq, s->Nq);
        p.stats.mean = DENSE(CLATTN_F32, s->B, s->Nq, s->Nk);
    }
    return job->status == CLATTN_OK ? clattn_plan_attention(job->ctx, &p, &job->plan) : job->status;
}

static clattn_status plan_argmax(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    const attention_sizes *s = sizes;
    const struct clattn_argmax_params p = *clattn_argmax_params(
        .q = DENSE(dtype, s->B, s->Hq, s->Nq, s->D), .k = DENSE(dtype, s->B, s->Hk, s->Nk, s->D),
        .v = DENSE(dtype, s->B, s->Hk, s->Nk, s->Dv), .o = DENSE(dtype, s->B, s->Hq, s->Nq, s->Dv),
        .index = DENSE(CLATTN_I32, s->B, s->Hq, s->Nq));
    return job->status == CLATTN_OK ? clattn_plan_argmax(job->ctx, &p, &job->plan) : job->status;
}

typedef struct linear_sizes {
    attention_sizes of;
    clattn_feature_map map;
    clattn_linear_form form;
} linear_sizes;

static clattn_status plan_linear(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    const linear_sizes *s = sizes;
    const attention_sizes *a = &s->of;
    const struct clattn_linear_attention_params p = *clattn_linear_attention_params(
        .q = DENSE(dtype, a->B, a->Hq, a->Nq, a->D), .k = DENSE(dtype, a->B, a->Hk, a->Nk, a->D),
        .v = DENSE(dtype, a->B, a->Hk, a->Nk, a->Dv), .o = DENSE(dtype, a->B, a->Hq, a->Nq, a->Dv),
        .map = s->map, .form = s->form, .causal = a->causal);
    return job->status == CLATTN_OK ? clattn_plan_linear_attention(job->ctx, &p, &job->plan)
                                    : job->status;
}

static clattn_status plan_merge(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    const attention_sizes *s = sizes; /* Nk parts */
    const struct clattn_merge_params p = *clattn_merge_params(
        .o_parts = DENSE(dtype, s->Nk, s->B, s->Hq, s->Nq, s->Dv),
        .lse_parts = DENSE(CLATTN_F32, s->Nk, s->B, s->Hq, s->Nq),
        .o = DENSE(dtype, s->B, s->Hq, s->Nq, s->Dv),
        .lse = DENSE(CLATTN_F32, s->B, s->Hq, s->Nq));
    return job->status == CLATTN_OK ? clattn_plan_merge(job->ctx, &p, &job->plan) : job->status;
}

/* ---- rows ---- */

typedef struct row_sizes {
    int64_t rows, out, M;
    clattn_dtype w; /* NONE: as x */
    clattn_row_function function;
} row_sizes;

static clattn_status plan_projection(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    const row_sizes *s = sizes;
    const bool pairs = s->w == CLATTN_I4;
    struct clattn_projection_params p = *clattn_projection_params(
        .x = DENSE(dtype, 1, s->rows, s->M), .num_parts = 1);
    p.parts[0].w = DENSE(s->w ? s->w : dtype, s->out, pairs ? s->M / 2 : s->M);
    if (pairs)
        p.parts[0].scale = DENSE(CLATTN_F32, s->out, s->M / 32);
    else if (s->w == CLATTN_I8)
        p.parts[0].scale = DENSE(CLATTN_F32, s->out);
    p.parts[0].y = DENSE(dtype, 1, s->rows, s->out);
    return job->status == CLATTN_OK ? clattn_plan_projection(job->ctx, &p, &job->plan)
                                    : job->status;
}

static clattn_status plan_rope(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    const row_sizes *s = sizes;
    const struct clattn_rope_params p = *clattn_rope_params(
        .x = DENSE(dtype, 1, s->rows, s->out, s->M), .y = DENSE(dtype, 1, s->rows, s->out, s->M),
        .rotary = CLATTN_ROTARY_NEOX);
    return job->status == CLATTN_OK ? clattn_plan_rope(job->ctx, &p, &job->plan) : job->status;
}

static clattn_status plan_rowwise(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    const row_sizes *s = sizes;
    const struct clattn_rowwise_params p = *clattn_rowwise_params(
        .x = DENSE(dtype, s->rows, s->M), .y = DENSE(dtype, s->rows, s->M),
        .function = s->function);
    return job->status == CLATTN_OK ? clattn_plan_rowwise(job->ctx, &p, &job->plan) : job->status;
}

static clattn_status plan_embedding(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    const row_sizes *s = sizes; /* a table of out rows */
    const struct clattn_embedding_params p = *clattn_embedding_params(
        .ids = DENSE(CLATTN_I32, 1, s->rows), .table = DENSE(dtype, s->out, s->M),
        .y = DENSE(dtype, 1, s->rows, s->M));
    return job->status == CLATTN_OK ? clattn_plan_embedding(job->ctx, &p, &job->plan)
                                    : job->status;
}

/* ---- a layer ---- */

/* One token of each of B sequences through a layer of Hq heads over a cache of Nk rows. */
static clattn_status plan_step(mock_job *job, clattn_dtype dtype, clattn_dtype cache,
                               const attention_sizes *s)
{
    const int64_t M = s->Hq * s->D;
    if (job->status == CLATTN_OK)
        job->status = clattn_kv_create(job->ctx, clattn_kv_params(
            .sequences = s->B, .heads = s->Hk, .key_width = s->D, .value_width = s->Dv,
            .capacity = s->Nk, .dtype = cache, .page_rows = s->page_rows), &job->kv);
    const struct clattn_layer_params p = *clattn_layer_params(
        .x = DENSE(dtype, s->B, 1, M), .kv = job->kv,
        .q = { .w = DENSE(dtype, s->Hq, s->D, M), .rotary = CLATTN_ROTARY_NEOX },
        .k = { .w = DENSE(dtype, s->Hk, s->D, M), .rotary = CLATTN_ROTARY_NEOX },
        .v = { .w = DENSE(dtype, s->Hk, s->Dv, M) },
        .out = { .w = DENSE(dtype, M, s->Hq * s->Dv), .residual = DENSE(dtype, s->B, 1, M),
                 .y = DENSE(dtype, s->B, 1, M) });
    return job->status == CLATTN_OK ? clattn_plan_layer(job->ctx, &p, &job->plan) : job->status;
}

static clattn_status plan_step_as_x(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    return plan_step(job, dtype, dtype, sizes);
}

static clattn_status plan_step_i8(mock_job *job, clattn_dtype dtype, const void *sizes)
{
    return plan_step(job, dtype, CLATTN_I8, sizes);
}

/* ---- the list ---- */

/* ... is the last size, and what else there is to say. */
#define SIZES(b, hq, hk, nq, nk, d, ...)                                                  \
    {                                                                                     \
        .B = b, .Hq = hq, .Hk = hk, .Nq = nq, .Nk = nk, .D = d, .Dv = __VA_ARGS__         \
    }
#define ATTENTION(...) &(const attention_sizes)SIZES(__VA_ARGS__)
#define LINEAR(map_, form_, ...) \
    &(const linear_sizes){ .map = map_, .form = form_, .of = SIZES(__VA_ARGS__) }
#define ROWS(rows_, out_, ...) &(const row_sizes){ .rows = rows_, .out = out_, .M = __VA_ARGS__ }

static const struct {
    const char *name;
    clattn_status (*plan)(mock_job *job, clattn_dtype dtype, const void *sizes);
    const void *sizes;
} problems[] = {
    { "attention of one", plan_attention, ATTENTION(1, 1, 1, 1, 1, 1, 1) },
    { "attention", plan_attention, ATTENTION(1, 8, 8, 1024, 1024, 64, 64) },
    { "causal attention", plan_attention, ATTENTION(2, 8, 2, 300, 300, 128, 128, .causal = true) },
    { "attention with everything", plan_attention,
      ATTENTION(1, 4, 2, 33, 65, 40, 72, .causal = true, .extras = true) },
    { "attention with stats", plan_attention,
      ATTENTION(1, 8, 8, 512, 512, 128, 128, .stats = true) },
    { "wide attention", plan_attention, ATTENTION(1, 2, 1, 70, 513, 256, 512) },
    { "very wide attention", plan_attention, ATTENTION(1, 1, 1, 20, 40, 2000, 3000) },
    { "decoding", plan_attention, ATTENTION(1, 32, 8, 1, 4096, 128, 128) },
    { "wide decoding", plan_attention, ATTENTION(3, 4, 1, 1, 700, 576, 512) },
    { "decoding from a cache", plan_attention,
      ATTENTION(2, 8, 1, 1, 1024, 128, 128, .page_rows = 16) },
    { "argmax", plan_argmax, ATTENTION(1, 8, 8, 300, 300, 64, 64) },
    { "wide argmax", plan_argmax, ATTENTION(1, 2, 1, 3, 900, 500, 300) },
    { "merge", plan_merge, ATTENTION(2, 8, 8, 100, 7, 64, 128) },
    { "linear attention", plan_linear,
      LINEAR(CLATTN_MAP_ELU1, CLATTN_FORM_LINEAR, 1, 8, 8, 1024, 1024, 64, 64) },
    { "causal linear attention", plan_linear,
      LINEAR(CLATTN_MAP_ELU1, CLATTN_FORM_AUTO, 1, 8, 4, 1024, 1024, 128, 64, .causal = true) },
    { "poly2 linear attention", plan_linear,
      LINEAR(CLATTN_MAP_POLY2, CLATTN_FORM_LINEAR, 1, 2, 2, 900, 900, 33, 40, .causal = true) },
    { "quadratic linear attention", plan_linear,
      LINEAR(CLATTN_MAP_POLY2, CLATTN_FORM_QUADRATIC, 1, 2, 2, 200, 200, 16, 16) },
    { "linear attention of one row", plan_linear,
      LINEAR(CLATTN_MAP_EXP, CLATTN_FORM_LINEAR, 4, 8, 8, 1, 1, 64, 128, .causal = true) },
    { "projection of one row", plan_projection, ROWS(1, 4096, 1024) },
    { "projection of a few rows", plan_projection, ROWS(12, 100, 1000) },
    { "projection of many rows", plan_projection, ROWS(600, 700, 513) },
    { "i8 projection", plan_projection, ROWS(1, 512, 2048, .w = CLATTN_I8) },
    { "i4 projection", plan_projection, ROWS(70, 512, 2048, .w = CLATTN_I4) },
    { "rope", plan_rope, ROWS(100, 8, 128) },
    { "norm", plan_rowwise, ROWS(100, 0, 768, .function = CLATTN_ROW_NORM) },
    { "wide softmax", plan_rowwise, ROWS(3, 0, 50257, .function = CLATTN_ROW_SOFTMAX) },
    { "gelu", plan_rowwise, ROWS(100, 0, 3072, .function = CLATTN_ROW_GELU) },
    { "decode step", plan_step_as_x, ATTENTION(2, 32, 8, 1, 4096, 128, 128, .page_rows = 16) },
    { "decode step over i8", plan_step_i8, ATTENTION(1, 8, 1, 1, 4096, 64, 64) },
    { "embedding", plan_embedding, ROWS(100, 5000, 768) },
};

const char *mock_problem_name(int i)
{
    return (size_t)i < sizeof problems / sizeof problems[0] ? problems[i].name : NULL;
}

clattn_status mock_job_make(mock_job *job, clattn_ctx *ctx, int problem, clattn_dtype dtype)
{
    memset(job, 0, sizeof *job);
    job->ctx = ctx;
    return problems[problem].plan(job, dtype, problems[problem].sizes);
}

void mock_job_free(mock_job *job)
{
    clattn_plan_destroy(&job->plan);
    clattn_kv_destroy(&job->kv);
    for (int i = 0; i < job->count; i++)
        clattn_buffer_destroy(&job->buffers[i]);
}
