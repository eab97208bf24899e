/* SPDX-License-Identifier: Apache-2.0 */
#include "forward.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

/* ---- memory ---- */

static bool make(clm_session *s, size_t rows, size_t width, size_t item, clattn_buffer **out,
                 clm_fault *f)
{
    size_t bytes;
    if (__builtin_mul_overflow(rows, width, &bytes) || __builtin_mul_overflow(bytes, item, &bytes))
        return clm_fail(f, "a model of this size does not fit the memory");
    return clm_check(f, s->m->ctx, clattn_buffer_create(s->m->ctx, bytes, out));
}

static int num_caches(const clm_session *s)
{
    return s->m->config.family == CLM_GPT2 ? s->m->config.layers : 1;
}

static bool make_buffers(clm_session *s, clm_fault *f)
{
    const clm_config *c = &s->m->config;
    const size_t rows = (size_t)s->B * (size_t)s->capacity, M = (size_t)c->M;
    const size_t inner = (size_t)(c->inner > c->M ? c->inner : c->M);
    if (!make(s, rows, 1, 4, &s->ids, f) || !make(s, rows, 1, 1, &s->mask, f)
        || !make(s, rows, M, 4, &s->x, f) || !make(s, rows, M, 4, &s->normed, f)
        || !make(s, rows, M, 4, &s->q, f) || !make(s, rows, M, 4, &s->o, f)
        || !make(s, rows, inner, 4, &s->inner, f))
        return false;
    for (int i = 0; i < num_caches(s); i++)
        if (!make(s, rows, M, 4, &s->k[i], f) || !make(s, rows, M, 4, &s->v[i], f))
            return false;
    return true;
}

bool clm_session_open(clm_model *m, int B, int capacity, clm_session **out, clm_fault *f)
{
    *out = NULL;
    if (capacity < 1 || capacity > m->config.positions)
        return clm_fail(f, "%d tokens are wanted, the model has %d positions", capacity,
                        m->config.positions);
    clm_session *s = calloc(1, sizeof *s);
    if (!s)
        return clm_out_of_memory(f);
    *s = (clm_session){ .m = m, .B = B, .capacity = capacity };
    s->k = calloc((size_t)num_caches(s), sizeof *s->k);
    s->v = calloc((size_t)num_caches(s), sizeof *s->v);
    const bool ok = s->k && s->v ? make_buffers(s, f) : clm_out_of_memory(f);
    if (!ok)
        clm_session_close(&s);
    *out = s;
    return ok;
}

void clm_session_close(clm_session **session)
{
    clm_session *s = *session;
    if (!s)
        return;
    for (int i = 0; i < num_caches(s) && s->k && s->v; i++) {
        clattn_buffer_destroy(&s->k[i]);
        clattn_buffer_destroy(&s->v[i]);
    }
    clattn_buffer **const all[] = { &s->ids, &s->mask,  &s->x,      &s->normed, &s->q,
                                    &s->o,   &s->inner, &s->logits, &s->probs };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        clattn_buffer_destroy(all[i]);
    free(s->k);
    free(s->v);
    free(s);
    *session = NULL;
}

void clm_rewind(clm_session *s, int length)
{
    if (length < s->length)
        s->length = length;
}

/* ---- operations ---- */

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* What an operation that began then has come to. */
static bool done(clm_session *s, const char *name, int layer, double begin, clattn_status status,
                 clm_fault *f)
{
    if (!clm_check(f, s->m->ctx, status))
        return false;
    if (!s->watch)
        return true;
    if (!clm_check(f, s->m->ctx, clattn_finish(s->m->ctx)))
        return false;
    s->watch(s->watch_user, name, layer, begin, now_us());
    return true;
}

static clattn_tensor rows_of(clattn_buffer *buffer, int B, int N, int width)
{
    const int64_t shape[3] = { B, N, width };
    return clattn_tensor_of_buffer(buffer, CLATTN_F32, 3, shape);
}

/* [B][N][heads][D] */
static clattn_tensor heads_of(const clm_session *s, clattn_buffer *buffer, int N)
{
    const clm_config *c = &s->m->config;
    const int64_t shape[4] = { s->B, N, c->heads, c->M / c->heads };
    return clattn_tensor_of_buffer(buffer, CLATTN_F32, 4, shape);
}

static bool normalize(clm_session *s, int layer, const clm_norm *norm, clattn_tensor x,
                      clattn_tensor y, clm_fault *f)
{
    const double begin = now_us();
    return done(
        s, "norm", layer, begin,
        clattn_rowwise(s->m->ctx, clattn_rowwise_params(.x = x, .y = y, .weight = norm->weight,
                                                        .bias = norm->bias, .eps = s->m->config.eps,
                                                        .function = CLATTN_ROW_NORM)),
        f);
}

static bool activate(clm_session *s, int layer, clattn_tensor x, clm_fault *f)
{
    const double begin = now_us();
    return done(
        s, "activation", layer, begin,
        clattn_rowwise(s->m->ctx,
                       clattn_rowwise_params(.x = x, .y = x, .function = s->m->config.activation)),
        f);
}

/* y = x w + bias [+ residual] */
static bool project(clm_session *s, const char *name, int layer, clattn_tensor x,
                    const clm_linear *linear, clattn_tensor residual, clattn_tensor y, clm_fault *f)
{
    const double begin = now_us();
    return done(s, name, layer, begin,
                clattn_projection(
                    s->m->ctx, clattn_projection_params(.x = x, .parts[0] = { .w = linear->w,
                                                                              .bias = linear->bias,
                                                                              .residual = residual,
                                                                              .y = y })),
                f);
}

/* ---- attention ---- */

/* Keys or values of all tokens that a layer has seen: [B][heads][Nk][D]. */
static clattn_tensor cached(const clm_session *s, clattn_buffer *const *cache, int layer, int Nk)
{
    clattn_buffer *buffer = cache[num_caches(s) > 1 ? layer : 0];
    return clattn_tensor_swap(clattn_tensor_slice(heads_of(s, buffer, s->capacity), 1, 0, Nk), 1,
                              2);
}

static bool project_qkv(clm_session *s, int layer, clattn_tensor x, clm_fault *f)
{
    const clm_layer *l = &s->m->layers[layer];
    const int Nk = s->length + s->N;
    const double begin = now_us();
    clattn_tensor k = clattn_tensor_swap(cached(s, s->k, layer, Nk), 1, 2);
    clattn_tensor v = clattn_tensor_swap(cached(s, s->v, layer, Nk), 1, 2);
    k = clattn_tensor_slice(k, 1, s->length, s->N);
    v = clattn_tensor_slice(v, 1, s->length, s->N);
    return done(
        s, "q, k, v", layer, begin,
        clattn_projection(
            s->m->ctx,
            clattn_projection_params(
                    .x = x,
                    .parts = { { .w = l->q.w, .bias = l->q.bias, .y = heads_of(s, s->q, s->N) },
                               { .w = l->k.w, .bias = l->k.bias, .y = k },
                               { .w = l->v.w, .bias = l->v.bias, .y = v } })),
        f);
}

/* 0: the default, 1 / sqrt(D). */
static float score_scale(const clm_config *c, int layer)
{
    const float scale = c->unscaled ? 1 : 1 / sqrtf((float)(c->M / c->heads));
    if (c->scale_by_layer)
        return scale / (float)(layer + 1);
    return c->unscaled ? 1 : 0;
}

/* Rows [row, row + rows) of the pass on the keys that they can see. */
static clattn_status attend(clm_session *s, int layer, int row, int rows, clattn_tensor probs,
                            int head)
{
    const bool causal = s->m->config.family == CLM_GPT2;
    const int Nk = causal ? s->length + row + rows : s->N;
    const clattn_tensor q = clattn_tensor_swap(heads_of(s, s->q, s->N), 1, 2);
    const clattn_tensor o = clattn_tensor_swap(heads_of(s, s->o, s->N), 1, 2);
    return clattn_attention(
        s->m->ctx,
        clattn_attention_params(.q = clattn_tensor_slice(q, 2, row, rows),
                                .k = cached(s, s->k, layer, Nk), .v = cached(s, s->v, layer, Nk),
                                .o = clattn_tensor_slice(o, 2, row, rows), .mask = s->visible,
                                .causal = causal ? CLATTN_CAUSAL_BOTTOM_RIGHT : CLATTN_CAUSAL_NONE,
                                .scale = score_scale(&s->m->config, layer), .probs = probs,
                                .probs_head = head));
}

enum { TILE_FLOATS = 1 << 22 };

static bool capture_tile(clm_session *s, const clm_capture *want, int layer, int row, int rows,
                         float *host, clm_fault *f)
{
    const bool causal = s->m->config.family == CLM_GPT2;
    const int keys = causal ? s->length + row + rows : s->N;
    const int64_t shape[4] = { 1, want->num_heads, rows, keys };
    const clattn_tensor probs = clattn_tensor_of_buffer(s->probs, CLATTN_F32, 4, shape);
    const size_t bytes = (size_t)clattn_tensor_count(&probs) * sizeof(float);
    const double begin = now_us();
    return done(s, "weights", layer, begin, attend(s, layer, row, rows, probs, want->head), f)
           && clm_check(f, s->m->ctx, clattn_buffer_read(s->probs, 0, host, bytes))
           && want->put(want->user, layer, row, rows, keys, host, f);
}

/* Attends once more, with the weights as an output: o is written again, the same. */
static bool capture_rows(clm_session *s, const clm_capture *want, int layer, clm_fault *f)
{
    const size_t row_floats = (size_t)want->num_heads * (size_t)(s->length + s->N);
    const size_t most = want->tile_floats ? want->tile_floats : TILE_FLOATS;
    const int fit = row_floats < most ? (int)(most / row_floats) : 1;
    const int tile = fit < want->num_rows ? fit : want->num_rows, end = want->row + want->num_rows;
    const size_t floats = row_floats * (size_t)tile;
    if (!s->probs && !make(s, floats, 1, sizeof(float), &s->probs, f))
        return false;
    float *host = malloc(floats * sizeof *host);
    bool ok = host ? true : clm_out_of_memory(f);
    for (int row = want->row; ok && row < end; row += tile)
        ok = capture_tile(s, want, layer, row, end - row < tile ? end - row : tile, host, f);
    free(host);
    return ok;
}

static bool is_captured(const clm_capture *c, int layer)
{
    return c && layer >= c->layer && layer < c->layer + c->num_layers;
}

static bool attention(clm_session *s, int layer, clattn_tensor x, clattn_tensor y,
                      const clm_capture *capture, clm_fault *f)
{
    static const clattn_tensor absent;
    if (!project_qkv(s, layer, x, f))
        return false;
    const double begin = now_us();
    if (!done(s, "attention", layer, begin, attend(s, layer, 0, s->N, absent, 0), f)
        || (is_captured(capture, layer) && !capture_rows(s, capture, layer, f)))
        return false;
    /* The sum with what came in: GPT-2's is x of the session, BERT's is x itself. */
    return project(s, "attention out", layer, rows_of(s->o, s->B, s->N, s->m->config.M),
                   &s->m->layers[layer].out, rows_of(s->x, s->B, s->N, s->m->config.M), y, f);
}

static bool feed_forward(clm_session *s, int layer, clattn_tensor x, clattn_tensor residual,
                         clattn_tensor y, clm_fault *f)
{
    const clm_layer *l = &s->m->layers[layer];
    static const clattn_tensor absent;
    const clattn_tensor inner = rows_of(s->inner, s->B, s->N, s->m->config.inner);
    return project(s, "up", layer, x, &l->up, absent, inner, f) && activate(s, layer, inner, f)
           && project(s, "down", layer, inner, &l->down, residual, y, f);
}

/* ---- layers ---- */

static bool gpt2_layer(clm_session *s, int layer, const clm_capture *capture, clm_fault *f)
{
    const clm_layer *l = &s->m->layers[layer];
    const clattn_tensor x = rows_of(s->x, s->B, s->N, s->m->config.M);
    const clattn_tensor normed = rows_of(s->normed, s->B, s->N, s->m->config.M);
    return normalize(s, layer, &l->norm[0], x, normed, f)
           && attention(s, layer, normed, x, capture, f)
           && normalize(s, layer, &l->norm[1], x, normed, f)
           && feed_forward(s, layer, normed, x, x, f);
}

static bool bert_layer(clm_session *s, int layer, const clm_capture *capture, clm_fault *f)
{
    const clm_layer *l = &s->m->layers[layer];
    const clattn_tensor x = rows_of(s->x, s->B, s->N, s->m->config.M);
    const clattn_tensor sum = rows_of(s->normed, s->B, s->N, s->m->config.M);
    return attention(s, layer, x, sum, capture, f) && normalize(s, layer, &l->norm[0], sum, x, f)
           && feed_forward(s, layer, x, x, sum, f) && normalize(s, layer, &l->norm[1], sum, x, f);
}

static bool embed(clm_session *s, clm_fault *f)
{
    const clm_model *m = s->m;
    const int64_t shape[2] = { s->B, s->N };
    const clattn_tensor x = rows_of(s->x, s->B, s->N, m->config.M);
    const double begin = now_us();
    const clattn_status status = clattn_embedding(
        m->ctx,
        clattn_embedding_params(.ids = clattn_tensor_of_buffer(s->ids, CLATTN_I32, 2, shape),
                                .y = x, .table = m->words, .positions = m->positions,
                                .types = m->types, .start = s->length));
    return done(s, "embedding", -1, begin, status, f)
           && (m->config.family == CLM_GPT2 || normalize(s, -1, &m->embedding_norm, x, x, f));
}

/* 1 where a token is, 0 where padding is. */
static bool write_mask(clm_session *s, const int32_t *lengths, clm_fault *f)
{
    const int64_t shape[4] = { s->B, 1, 1, s->N };
    s->visible = (clattn_tensor){ .dtype = CLATTN_NONE };
    if (!lengths)
        return true;
    const size_t count = (size_t)s->B * (size_t)s->N;
    unsigned char *mask = malloc(count);
    if (!mask)
        return clm_out_of_memory(f);
    for (size_t i = 0; i < count; i++)
        mask[i] = (int)(i % (size_t)s->N) < lengths[i / (size_t)s->N];
    const bool ok = clm_check(f, s->m->ctx, clattn_buffer_write(s->mask, 0, mask, count));
    free(mask);
    s->visible = clattn_tensor_of_buffer(s->mask, CLATTN_U8, 4, shape);
    return ok;
}

static bool check_pass(const clm_session *s, const int32_t *ids, int N, const clm_capture *want,
                       clm_fault *f)
{
    const clm_config *c = &s->m->config;
    if (N < 1 || N > s->capacity - s->length)
        return clm_fail(f, "%d tokens after %d: there is room for %d", N, s->length, s->capacity);
    for (int i = 0; i < s->B * N; i++)
        if (ids[i] < 0 || ids[i] >= c->vocab)
            return clm_fail(f, "token %d has the id %d; the model has %d", i, (int)ids[i],
                            c->vocab);
    if (!want)
        return true;
    if (s->B != 1)
        return clm_fail(f, "attention weights of %d sequences are wanted at once", s->B);
    if (want->layer < 0 || want->num_layers < 1 || want->layer + want->num_layers > c->layers)
        return clm_fail(f, "layer %d does not exist; the model has %d, from 0 on",
                        want->layer + want->num_layers - 1, c->layers);
    if (want->head < 0 || want->num_heads < 1 || want->head + want->num_heads > c->heads)
        return clm_fail(f, "head %d does not exist; a layer has %d, from 0 on",
                        want->head + want->num_heads - 1, c->heads);
    if (want->row < 0 || want->num_rows < 1 || want->row + want->num_rows > N)
        return clm_fail(f, "row %d does not exist; there are %d tokens",
                        want->row + want->num_rows - 1, N);
    return true;
}

bool clm_forward(clm_session *s, const int32_t *ids, int N, const int32_t *lengths,
                 const clm_capture *capture, clm_fault *f)
{
    const clm_config *c = &s->m->config;
    if (!check_pass(s, ids, N, capture, f))
        return false;
    s->N = N;
    clattn_buffer_destroy(&s->probs); /* the capture may be another one */
    if (!clm_check(f, s->m->ctx,
                   clattn_buffer_write(s->ids, 0, ids, (size_t)s->B * (size_t)N * sizeof *ids))
        || !write_mask(s, lengths, f) || !embed(s, f))
        return false;
    for (int i = 0; i < c->layers; i++)
        if (!(c->family == CLM_GPT2 ? gpt2_layer : bert_layer)(s, i, capture, f))
            return false;
    if (c->family == CLM_GPT2)
        s->length += N;
    return true;
}

/* ---- results ---- */

enum { LOGIT_ROWS = 32 }; /* at a time: a vocabulary has 50,000 words */

/* A few rows of the last pass, through the head. */
static bool head(clm_session *s, clattn_tensor x, int rows, float *out, clm_fault *f)
{
    const clm_model *m = s->m;
    const int64_t shape[3] = { 1, rows, m->config.vocab };
    static const clattn_tensor absent;
    clattn_tensor h = rows_of(s->normed, 1, rows, m->config.M);
    if (m->config.family == CLM_GPT2) {
        if (!normalize(s, -1, &m->final_norm, x, h, f))
            return false;
    } else if (!project(s, "head", -1, x, &m->transform, absent, h, f) || !activate(s, -1, h, f)
               || !normalize(s, -1, &m->transform_norm, h, h, f)) {
        return false;
    }
    const clm_linear last = { .w = m->head, .bias = m->head_bias };
    return project(s, "logits", -1, h, &last, absent,
                   clattn_tensor_of_buffer(s->logits, CLATTN_F32, 3, shape), f)
           && clm_check(f, m->ctx,
                        clattn_buffer_read(s->logits, 0, out,
                                           (size_t)rows * (size_t)m->config.vocab * sizeof *out));
}

bool clm_logits(clm_session *s, int row, int rows, float *out, clm_fault *f)
{
    const clm_config *c = &s->m->config;
    const clattn_tensor x = rows_of(s->x, 1, s->B * s->N, c->M);
    if (!s->m->has_head)
        return clm_fail(f, "the model has no head that predicts words");
    if (!s->logits && !make(s, LOGIT_ROWS, (size_t)c->vocab, sizeof(float), &s->logits, f))
        return false;
    for (int done_rows = 0; done_rows < rows; done_rows += LOGIT_ROWS) {
        const int left = rows - done_rows, count = left < LOGIT_ROWS ? left : LOGIT_ROWS;
        if (!head(s, clattn_tensor_slice(x, 1, row + done_rows, count), count,
                  out + (size_t)done_rows * (size_t)c->vocab, f))
            return false;
    }
    return true;
}

bool clm_hidden(clm_session *s, float *out, clm_fault *f)
{
    const clm_config *c = &s->m->config;
    const clattn_tensor x = rows_of(s->x, s->B, s->N, c->M);
    if (c->family == CLM_GPT2
        && !normalize(s, -1, &s->m->final_norm, x, rows_of(s->normed, s->B, s->N, c->M), f))
        return false;
    return clm_check(f, s->m->ctx,
                     clattn_buffer_read(c->family == CLM_GPT2 ? s->normed : s->x, 0, out,
                                        (size_t)clattn_tensor_count(&x) * sizeof *out));
}
