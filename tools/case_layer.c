/* SPDX-License-Identifier: Apache-2.0 */
/* Attention layers for run and verify: decoding step by step with a cache, and self-attention. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "layer_case.h"
#include "ops.h"
#include "work.h"

enum { X, W_Q, W_K, W_V, W_O, B_Q, B_K, B_V, B_O, K_CACHE, V_CACHE, NUM_INPUTS };

/* What of the params both ops read. */
struct layer_params {
    int64_t heads, kv_heads;
    bool causal;
};

static int read_params(const struct golden *c, struct layer_params *p)
{
    const char *key;
    json_t *value;

    json_object_foreach(c->params, key, value)
    {
        if (json_is_null(value))
            continue;
        if (strcmp(key, "heads") == 0 && json_integer_value(value) > 0)
            p->heads = json_integer_value(value);
        else if (strcmp(key, "kv_heads") == 0 && json_integer_value(value) > 0)
            p->kv_heads = json_integer_value(value);
        else if (strcmp(key, "causal") == 0 && json_is_boolean(value))
            p->causal = json_is_true(value);
        else
            return fail(EXIT_INPUT, "parameter '%.60s' is unknown or has no value that makes sense",
                        key);
    }
    return EXIT_OK;
}

/* Tensors of a layer on the device; those that a case lacks are absent. */
struct device_layer {
    struct work work; /* holds the tensors; its plan is not used */
    clattn_tensor in[NUM_INPUTS], out[3];
};

static int upload(struct session *s, const struct golden *c, struct device_layer *d)
{
    static const struct work_calls none = { sizeof(struct clattn_layer_params), NULL, NULL };

    if (!work_begin(&d->work, s, c->dtype, &none, clattn_layer_params()))
        return d->work.code;
    for (int i = 0; i < NUM_INPUTS; i++)
        work_input(&d->work, c->op->inputs[i].name, &c->input[i], c->dtype, &d->in[i]);
    return d->work.code;
}

static void note_kernel(struct session *s, const struct clattn_layer_params *p,
                        struct run_note *note)
{
    clattn_plan *plan;
    clattn_plan_info info;

    if (clattn_plan_layer(s->ctx, p, &plan) != CLATTN_OK)
        return;
    if (clattn_plan_describe(plan, &info) == CLATTN_OK) {
        snprintf(note->kernel, sizeof note->kernel, "%s", info.kernel);
        snprintf(note->config, sizeof note->config, "%s", info.config);
    }
    clattn_plan_destroy(&plan);
}

/* ------------------------------------------------------------------------------------------ */
/* decode_layer: x [steps][B][M]; weights [h][d][k], w_k and w_v also [d][k]; w_o [h][v][d]     */

enum { DECODE_Y, DECODE_K, DECODE_V };

static const struct case_tensor decode_inputs[] = {
    [X] = { "x", CLATTN_NONE, true },
    [W_Q] = { "w_q", CLATTN_NONE, true },
    [W_K] = { "w_k", CLATTN_NONE, true },
    [W_V] = { "w_v", CLATTN_NONE, true },
    [W_O] = { "w_o", CLATTN_NONE, true },
    [B_Q] = { "b_q", CLATTN_NONE, false },
    [B_K] = { "b_k", CLATTN_NONE, false },
    [B_V] = { "b_v", CLATTN_NONE, false },
    [B_O] = { "b_o", CLATTN_NONE, false },
    [K_CACHE] = { "k_cache", CLATTN_NONE, true },
    [V_CACHE] = { "v_cache", CLATTN_NONE, true },
    { NULL, CLATTN_NONE, false },
};

static const struct case_tensor decode_outputs[] = {
    [DECODE_Y] = { "y", CLATTN_NONE, false },
    [DECODE_K] = { "k_cache_out", CLATTN_NONE, false },
    [DECODE_V] = { "v_cache_out", CLATTN_NONE, false },
    { NULL, CLATTN_NONE, false },
};

/* [h][d][k], or [d][k] of one head. */
static struct layer_weights einsum_weights(const struct array *w, const struct array *b)
{
    const int64_t d = w->shape[w->rank - 2], k = w->shape[w->rank - 1];

    return (struct layer_weights){ w->data, b->data, w->rank == 3 ? w->shape[0] : 1, k, d, d * k,
                                   1, k };
}

static int decode_case(const struct golden *c, struct layer_case *l)
{
    const struct array *in = c->input, *x = &in[X], *o = &in[W_O], *cache = &in[K_CACHE];
    struct layer_params p = { 0 };
    const int code = read_params(c, &p);

    if (code != EXIT_OK)
        return code;
    if (x->rank != 3 || in[W_Q].rank != 3 || in[W_K].rank < 2 || in[W_K].rank > 3
        || in[W_V].rank != in[W_K].rank || o->rank != 3 || cache->rank != 4
        || in[V_CACHE].rank != 4)
        return fail(EXIT_INPUT, "need x [steps][B][M], w_q [h][d][k], w_k and w_v [h][d][k] or "
                                "[d][k], w_o [h][v][d], k_cache and v_cache [B][h][n][k]");
    *l = (struct layer_case){ .B = x->shape[1], .N = x->shape[0], .M = x->shape[2],
                              .cached = cache->shape[2], .b_step = x->shape[2],
                              .n_step = x->shape[1] * x->shape[2], .x = x->data,
                              .k_cache = cache->data, .v_cache = in[V_CACHE].data,
                              .q = einsum_weights(&in[W_Q], &in[B_Q]),
                              .k = einsum_weights(&in[W_K], &in[B_K]),
                              .v = einsum_weights(&in[W_V], &in[B_V]), .causal = true };
    l->Hq = l->q.H;
    l->Hk = l->k.H;
    l->D = l->q.K;
    l->Dv = l->v.K;
    l->out = (struct layer_weights){ o->data, in[B_O].data, 1, o->shape[2],
                                     o->shape[0] * o->shape[1], 0, 1, o->shape[2] };
    const int64_t keys[4] = { l->B, l->Hk, l->cached, l->D };
    const int64_t values[4] = { l->B, l->Hk, l->cached, l->Dv };
    if (l->q.M != l->M || l->k.M != l->M || l->v.M != l->M || l->k.K != l->D || l->v.H != l->Hk
        || l->Hq % l->Hk != 0 || l->out.M != l->Hq * l->Dv || l->out.K != l->M
        || memcmp(cache->shape, keys, sizeof keys) != 0
        || memcmp(in[V_CACHE].shape, values, sizeof values) != 0
        || (p.heads && p.heads != l->Hq) || (p.kv_heads && p.kv_heads != l->Hk))
        return fail(EXIT_INPUT, "the shapes of x, weights and caches do not fit together");
    return EXIT_OK;
}

static int decode_results(const struct layer_case *l, struct array *result)
{
    const int64_t y[] = { l->N, l->B, l->M }, rows = l->cached + l->N;
    const int64_t k[] = { l->B, l->Hk, rows, l->D }, v[] = { l->B, l->Hk, rows, l->Dv };
    int code = array_new(&result[DECODE_Y], CLATTN_F32, 3, y);

    if (code == EXIT_OK)
        code = array_new(&result[DECODE_K], CLATTN_F32, 4, k);
    return code == EXIT_OK ? array_new(&result[DECODE_V], CLATTN_F32, 4, v) : code;
}

/* As [H][K][M]. */
static clattn_tensor einsum_view(clattn_tensor w)
{
    if (w.rank == 2)
        w = (clattn_tensor){ w.buffer, NULL, w.dtype, 3, w.offset,
                             { 1, w.shape[0], w.shape[1] },
                             { w.shape[0] * w.shape[1], w.stride[0], w.stride[1] } };
    return clattn_tensor_swap(w, 1, 2);
}

static struct clattn_layer_params decode_params(const struct layer_case *l,
                                                const struct device_layer *d, clattn_kv *kv,
                                                const clattn_tensor *y, int64_t step)
{
    const int64_t row[] = { l->B, 1, l->M }, flat[] = { l->Hq * l->Dv, l->M };
    clattn_tensor x = clattn_tensor_of_buffer(d->in[X].buffer, y->dtype, 3, row), to = x;
    clattn_tensor w_o = clattn_tensor_of_buffer(d->in[W_O].buffer, y->dtype, 2, flat);

    x.offset = to.offset = step * l->B * l->M;
    to.buffer = y->buffer;
    return (struct clattn_layer_params){
        .struct_size = sizeof(struct clattn_layer_params),
        .x = x,
        .q = { .w = einsum_view(d->in[W_Q]), .bias = d->in[B_Q] },
        .k = { .w = einsum_view(d->in[W_K]), .bias = d->in[B_K] },
        .v = { .w = einsum_view(d->in[W_V]), .bias = d->in[B_V] },
        .out = { .w = clattn_tensor_swap(w_o, 0, 1), .bias = d->in[B_O], .y = to },
        .kv = kv,
    };
}

/* Rows of all sequences, [B][H][rows][width]. */
static clattn_status read_cache(clattn_kv *kv, const struct layer_case *l, struct array *result)
{
    const int64_t rows = l->cached + l->N;
    clattn_status status = CLATTN_OK;

    for (int64_t b = 0; b < l->B && status == CLATTN_OK; b++)
        status = clattn_kv_read(kv, b, 0, rows,
                                (float *)result[DECODE_K].data + b * l->Hk * rows * l->D,
                                (float *)result[DECODE_V].data + b * l->Hk * rows * l->Dv);
    return status;
}

static clattn_status decode(struct session *s, const struct layer_case *l,
                            const struct device_layer *d, const clattn_tensor *y,
                            struct array *result, struct run_note *note)
{
    clattn_kv *kv;
    clattn_status status = clattn_kv_create(
        s->ctx, clattn_kv_params(.sequences = l->B, .heads = l->Hk, .key_width = l->D,
                                 .value_width = l->Dv, .capacity = l->cached + l->N,
                                 .dtype = y->dtype), &kv);

    if (status == CLATTN_OK)
        status = clattn_kv_append(s->ctx, clattn_kv_append_params(.kv = kv, .k = d->in[K_CACHE],
                                                                  .v = d->in[V_CACHE]));
    for (int64_t step = 0; step < l->N && status == CLATTN_OK; step++) {
        const struct clattn_layer_params p = decode_params(l, d, kv, y, step);
        if (step == 0)
            note_kernel(s, &p, note);
        status = clattn_layer(s->ctx, &p);
    }
    if (status == CLATTN_OK)
        status = read_cache(kv, l, result);
    clattn_kv_destroy(&kv);
    return status;
}

static int run_decode(struct session *s, const struct golden *c, const char *kernel,
                      struct array *result, struct run_note *note)
{
    struct layer_case l = { 0 };
    struct device_layer d = { 0 };
    int code = decode_case(c, &l);

    if (code == EXIT_OK && kernel)
        code = fail(EXIT_INPUT, "decode_layer runs several kernels, --kernel names one");
    if (code == EXIT_OK)
        code = decode_results(&l, result);
    if (code == EXIT_OK)
        code = upload(s, c, &d);
    if (code == EXIT_OK) {
        work_output(&d.work, &result[DECODE_Y], c->dtype, &d.out[DECODE_Y]);
        code = d.work.code;
    }
    if (code == EXIT_OK) {
        const clattn_status status = decode(s, &l, &d, &d.out[DECODE_Y], result, note);
        code = status == CLATTN_OK ? work_read(&d.work) : session_fail(s, status);
    }
    work_end(&d.work);
    return code;
}

static int reference_decode(const struct golden *c, bool in_double, struct array *result)
{
    struct layer_case l = { 0 };
    int code = decode_case(c, &l);

    if (code == EXIT_OK)
        code = decode_results(&l, result);
    if (code != EXIT_OK)
        return code;
    struct layer_result r = { .y = result[DECODE_Y].data, .k = result[DECODE_K].data,
                              .v = result[DECODE_V].data };
    return naive_layer(&l, c->dtype, in_double, &r);
}

const struct op tool_decode_layer = {
    .case_name = "decode_layer",
    .inputs = decode_inputs,
    .outputs = decode_outputs,
    .run = run_decode,
    .reference = reference_decode,
};

/* ------------------------------------------------------------------------------------------ */
/* mha_layer: x [B][N][M]; weights [out][in]                                                   */

enum { MHA_Y, MHA_PROBS, MHA_RESIDUAL };

static const struct case_tensor mha_inputs[] = {
    [X] = { "x", CLATTN_NONE, true },      [W_Q] = { "w_q", CLATTN_NONE, true },
    [W_K] = { "w_k", CLATTN_NONE, true },  [W_V] = { "w_v", CLATTN_NONE, true },
    [W_O] = { "w_o", CLATTN_NONE, true },  [B_Q] = { "b_q", CLATTN_NONE, false },
    [B_K] = { "b_k", CLATTN_NONE, false }, [B_V] = { "b_v", CLATTN_NONE, false },
    [B_O] = { "b_o", CLATTN_NONE, false }, { NULL, CLATTN_NONE, false },
};

static const struct case_tensor mha_outputs[] = {
    [MHA_Y] = { "y", CLATTN_NONE, false },
    [MHA_PROBS] = { "probs", CLATTN_F32, false },
    [MHA_RESIDUAL] = { "residual", CLATTN_NONE, false },
    { NULL, CLATTN_NONE, false },
};

static struct layer_weights torch_weights(const struct array *w, const struct array *b, int64_t H)
{
    const int64_t K = w->shape[0] / H, M = w->shape[1];

    return (struct layer_weights){ w->data, b->data, H, K, M, K * M, M, 1 };
}

static int mha_case(const struct golden *c, struct layer_case *l)
{
    const struct array *in = c->input, *x = &in[X];
    struct layer_params p = { .heads = 1 };
    int code = read_params(c, &p);

    for (int i = X; i <= W_O && code == EXIT_OK; i++)
        if (in[i].rank != (i == X ? 3 : 2))
            code = fail(EXIT_INPUT, "need x [B][N][M] and weights [out][in]");
    if (code != EXIT_OK)
        return code;
    const int64_t Hk = p.kv_heads ? p.kv_heads : p.heads;
    *l = (struct layer_case){ .B = x->shape[0], .N = x->shape[1], .M = x->shape[2], .Hq = p.heads,
                              .Hk = Hk, .b_step = x->shape[1] * x->shape[2], .n_step = x->shape[2],
                              .x = x->data, .q = torch_weights(&in[W_Q], &in[B_Q], p.heads),
                              .k = torch_weights(&in[W_K], &in[B_K], Hk),
                              .v = torch_weights(&in[W_V], &in[B_V], Hk),
                              .out = torch_weights(&in[W_O], &in[B_O], 1), .causal = p.causal };
    l->D = l->q.K;
    l->Dv = l->v.K;
    if (l->q.M != l->M || l->k.M != l->M || l->v.M != l->M || l->k.K != l->D || l->D < 1
        || l->Dv < 1 || l->Hq % l->Hk != 0 || l->out.M != l->Hq * l->Dv || l->out.K != l->M)
        return fail(EXIT_INPUT, "the shapes of x and weights do not fit together");
    return EXIT_OK;
}

static int mha_results(const struct layer_case *l, struct array *result)
{
    const int64_t y[] = { l->B, l->N, l->M }, probs[] = { l->B, l->Hq, l->N, l->N };
    int code = array_new(&result[MHA_Y], CLATTN_F32, 3, y);

    if (code == EXIT_OK)
        code = array_new(&result[MHA_RESIDUAL], CLATTN_F32, 3, y);
    return code == EXIT_OK ? array_new(&result[MHA_PROBS], CLATTN_F32, 4, probs) : code;
}

/* y, then the same with x added, each with the probabilities. */
static clattn_status mha(struct session *s, const struct layer_case *l,
                         const struct device_layer *d, const clattn_tensor *to,
                         struct run_note *note)
{
    struct clattn_layer_params *p = clattn_layer_params(
        .x = d->in[X], .heads = l->Hq, .kv_heads = l->Hk,
        .q = { .w = d->in[W_Q], .bias = d->in[B_Q] },
        .k = { .w = d->in[W_K], .bias = d->in[B_K] },
        .v = { .w = d->in[W_V], .bias = d->in[B_V] },
        .out = { .w = d->in[W_O], .bias = d->in[B_O], .y = to[MHA_Y] },
        .attention = { .causal = l->causal ? CLATTN_CAUSAL_BOTTOM_RIGHT : CLATTN_CAUSAL_NONE,
                       .probs = to[MHA_PROBS] });

    note_kernel(s, p, note);
    const clattn_status status = clattn_layer(s->ctx, p);
    p->out.residual = d->in[X];
    p->out.y = to[MHA_RESIDUAL];
    return status == CLATTN_OK ? clattn_layer(s->ctx, p) : status;
}

static int run_mha(struct session *s, const struct golden *c, const char *kernel,
                   struct array *result, struct run_note *note)
{
    struct layer_case l = { 0 };
    struct device_layer d = { 0 };
    int code = mha_case(c, &l);

    if (code == EXIT_OK && kernel)
        code = fail(EXIT_INPUT, "mha_layer runs several kernels, --kernel names one");
    if (code == EXIT_OK)
        code = mha_results(&l, result);
    if (code == EXIT_OK)
        code = upload(s, c, &d);
    for (int i = 0; i < 3 && code == EXIT_OK; i++) {
        work_output(&d.work, &result[i], i == MHA_PROBS ? CLATTN_F32 : c->dtype, &d.out[i]);
        code = d.work.code;
    }
    if (code == EXIT_OK) {
        const clattn_status status = mha(s, &l, &d, d.out, note);
        code = status == CLATTN_OK ? work_read(&d.work) : session_fail(s, status);
    }
    work_end(&d.work);
    return code;
}

static int reference_mha(const struct golden *c, bool in_double, struct array *result)
{
    struct layer_case l = { 0 };
    int code = mha_case(c, &l);

    if (code == EXIT_OK)
        code = mha_results(&l, result);
    if (code != EXIT_OK)
        return code;
    struct layer_result r = { .y = result[MHA_Y].data, .probs = result[MHA_PROBS].data };
    const float *x = l.x, *y = result[MHA_Y].data;
    float *sum = result[MHA_RESIDUAL].data;
    code = naive_layer(&l, c->dtype, in_double, &r);
    for (size_t i = 0; i < result[MHA_Y].count; i++)
        sum[i] = x[i] + y[i];
    return code;
}

const struct op tool_mha_layer = {
    .case_name = "mha_layer",
    .inputs = mha_inputs,
    .outputs = mha_outputs,
    .run = run_mha,
    .reference = reference_mha,
};
