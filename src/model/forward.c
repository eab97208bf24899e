/* SPDX-License-Identifier: Apache-2.0 */
/* A pass through the layers of a model, and what comes out of it. */
#include <stdlib.h>

#include "pass.h"

/* ---- operations ---- */

static bool normalize(clm_session *s, int layer, const clm_norm *norm, clattn_tensor x,
                      clattn_tensor y, clm_fault *f)
{
    const double begin = clm_now_us();
    return clm_done(
        s, "norm", layer, begin,
        clattn_rowwise(s->m->ctx, clattn_rowwise_params(.x = x, .y = y, .weight = norm->weight,
                                                        .bias = norm->bias, .eps = s->m->config.eps,
                                                        .function = CLATTN_ROW_NORM)),
        f);
}

static bool activate(clm_session *s, int layer, clattn_tensor x, clm_fault *f)
{
    const double begin = clm_now_us();
    return clm_done(
        s, "activation", layer, begin,
        clattn_rowwise(s->m->ctx,
                       clattn_rowwise_params(.x = x, .y = x, .function = s->m->config.activation)),
        f);
}

/* y = x w + bias [+ residual] */
static bool project(clm_session *s, const char *name, int layer, clattn_tensor x,
                    const clm_linear *linear, clattn_tensor residual, clattn_tensor y, clm_fault *f)
{
    const double begin = clm_now_us();
    return clm_done(s, name, layer, begin,
                clattn_projection(
                    s->m->ctx, clattn_projection_params(.x = x, .parts[0] = { .w = linear->w,
                                                                              .bias = linear->bias,
                                                                              .residual = residual,
                                                                              .y = y })),
                f);
}

/* The sum with what came in: GPT-2's is x of the session, BERT's is x itself. */
static bool attention(clm_session *s, int layer, clattn_tensor x, clattn_tensor y,
                      const clm_capture *capture, clm_fault *f)
{
    const int M = s->m->config.M;
    return clm_attend(s, layer, x, capture, f)
           && project(s, "attention out", layer, clm_rows(s->o, s->B, s->N, M),
                      &s->m->layers[layer].out, clm_rows(s->x, s->B, s->N, M), y, f);
}

static bool feed_forward(clm_session *s, int layer, clattn_tensor x, clattn_tensor residual,
                         clattn_tensor y, clm_fault *f)
{
    const clm_layer *l = &s->m->layers[layer];
    static const clattn_tensor absent;
    const clattn_tensor inner = clm_rows(s->inner, s->B, s->N, s->m->config.inner);
    return project(s, "up", layer, x, &l->up, absent, inner, f) && activate(s, layer, inner, f)
           && project(s, "down", layer, inner, &l->down, residual, y, f);
}

/* ---- layers ---- */

static bool gpt2_layer(clm_session *s, int layer, const clm_capture *capture, clm_fault *f)
{
    const clm_layer *l = &s->m->layers[layer];
    const clattn_tensor x = clm_rows(s->x, s->B, s->N, s->m->config.M);
    const clattn_tensor normed = clm_rows(s->normed, s->B, s->N, s->m->config.M);
    return normalize(s, layer, &l->norm[0], x, normed, f)
           && attention(s, layer, normed, x, capture, f)
           && normalize(s, layer, &l->norm[1], x, normed, f)
           && feed_forward(s, layer, normed, x, x, f);
}

static bool bert_layer(clm_session *s, int layer, const clm_capture *capture, clm_fault *f)
{
    const clm_layer *l = &s->m->layers[layer];
    const clattn_tensor x = clm_rows(s->x, s->B, s->N, s->m->config.M);
    const clattn_tensor sum = clm_rows(s->normed, s->B, s->N, s->m->config.M);
    return attention(s, layer, x, sum, capture, f) && normalize(s, layer, &l->norm[0], sum, x, f)
           && feed_forward(s, layer, x, x, sum, f) && normalize(s, layer, &l->norm[1], sum, x, f);
}

static bool embed(clm_session *s, clm_fault *f)
{
    const clm_model *m = s->m;
    const int64_t shape[2] = { s->B, s->N };
    const clattn_tensor x = clm_rows(s->x, s->B, s->N, m->config.M);
    const double begin = clm_now_us();
    const clattn_status status = clattn_embedding(
        m->ctx,
        clattn_embedding_params(.ids = clattn_tensor_of_buffer(s->ids, CLATTN_I32, 2, shape),
                                .y = x, .table = m->words, .positions = m->positions,
                                .types = m->types, .start = s->length));
    return clm_done(s, "embedding", -1, begin, status, f)
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

static bool check_capture(const clm_session *s, int N, const clm_capture *want, clm_fault *f)
{
    const clm_config *c = &s->m->config;
    if (s->B != 1)
        return clm_fail(f, "attention weights of %d sequences are wanted at once", s->B);
    if (want->layer < 0 || want->num_layers < 1 || want->layer + want->num_layers > c->layers)
        return clm_fail(f, "layer %d does not exist; the model has %d, from 0 on",
                        want->layer + want->num_layers - 1, c->layers);
    if (!want->put)
        return true;
    if (!want->mean
        && (want->head < 0 || want->num_heads < 1 || want->head + want->num_heads > c->heads))
        return clm_fail(f, "head %d does not exist; a layer has %d, from 0 on",
                        want->head + want->num_heads - 1, c->heads);
    if (want->row < 0 || want->num_rows < 1 || want->row + want->num_rows > N)
        return clm_fail(f, "row %d does not exist; there are %d tokens",
                        want->row + want->num_rows - 1, N);
    return true;
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
    return !want || check_capture(s, N, want, f);
}

bool clm_forward(clm_session *s, const int32_t *ids, int N, const int32_t *lengths,
                 const clm_capture *capture, clm_fault *f)
{
    const clm_config *c = &s->m->config;
    if (!check_pass(s, ids, N, capture, f))
        return false;
    s->N = N;
    if (!clm_capture_begin(s, capture, f)
        || !clm_check(f, s->m->ctx,
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
    clattn_tensor h = clm_rows(s->normed, 1, rows, m->config.M);
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
    const clattn_tensor x = clm_rows(s->x, 1, s->B * s->N, c->M);
    if (!s->m->has_head)
        return clm_fail(f, "the model has no head that predicts words");
    if (!s->logits && !clm_buffer(s, LOGIT_ROWS, (size_t)c->vocab, sizeof(float), &s->logits, f))
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
    const clattn_tensor x = clm_rows(s->x, s->B, s->N, c->M);
    if (c->family == CLM_GPT2
        && !normalize(s, -1, &s->m->final_norm, x, clm_rows(s->normed, s->B, s->N, c->M), f))
        return false;
    return clm_check(f, s->m->ctx,
                     clattn_buffer_read(c->family == CLM_GPT2 ? s->normed : s->x, 0, out,
                                        (size_t)clattn_tensor_count(&x) * sizeof *out));
}
