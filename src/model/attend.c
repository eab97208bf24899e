/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of a layer over the cache, and what a capture wants to know about it. */
#include <math.h>
#include <stdlib.h>

#include "pass.h"

/* [B][N][heads][D] */
static clattn_tensor heads_of(const clm_session *s, clattn_buffer *buffer)
{
    const clm_config *c = &s->m->config;
    const int64_t shape[4] = { s->B, s->N, c->heads, c->M / c->heads };
    return clattn_tensor_of_buffer(buffer, CLATTN_F32, 4, shape);
}

/* [B][heads][N][D] */
static clattn_tensor by_head(const clm_session *s, clattn_buffer *buffer)
{
    return clattn_tensor_swap(heads_of(s, buffer), 1, 2);
}

/* Queries of the tokens of this pass; their keys and values go into the cache. */
static bool project_qkv(clm_session *s, int layer, clattn_tensor x, clattn_kv *kv, clm_fault *f)
{
    const clm_layer *l = &s->m->layers[layer];
    struct clattn_projection_params p =
        *clattn_projection_params(.x = x, .parts = { { .w = l->q.w, .bias = l->q.bias },
                                                     { .w = l->k.w, .bias = l->k.bias },
                                                     { .w = l->v.w, .bias = l->v.bias } });
    const double begin = clm_now_us();
    p.parts[0].y = heads_of(s, s->q);
    if (s->k) {
        p.parts[1].y = heads_of(s, s->k);
        p.parts[2].y = heads_of(s, s->v);
    } else {
        p.kv = kv;
        p.parts[1].into = CLATTN_KV_KEYS;
        p.parts[2].into = CLATTN_KV_VALUES;
    }
    return clm_done(s, "q, k, v", layer, begin, clattn_projection(s->m->ctx, &p), f);
}

/* Where the projection could not put them there itself. */
static bool append(clm_session *s, int layer, clattn_kv *kv, clm_fault *f)
{
    const double begin = clm_now_us();
    if (!s->k)
        return true;
    return clm_done(s, "append", layer, begin,
                    clattn_kv_append(s->m->ctx,
                                     clattn_kv_append_params(.kv = kv, .k = by_head(s, s->k),
                                                             .v = by_head(s, s->v))),
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

/* Every token of the pass on the keys that it can see. */
static struct clattn_attention_params params_of(const clm_session *s, int layer, clattn_kv *kv)
{
    return *clattn_attention_params(
        .q = by_head(s, s->q), .o = by_head(s, s->o), .kv = kv, .mask = s->visible,
        .causal = s->m->config.family == CLM_GPT2 ? CLATTN_CAUSAL_BOTTOM_RIGHT : CLATTN_CAUSAL_NONE,
        .scale = score_scale(&s->m->config, layer));
}

/* ---- sums over weights ---- */

/* A dense tensor of elements of four bytes behind those before it. */
static clattn_tensor place(const clm_session *s, clattn_dtype dtype, int rank,
                           const int64_t *shape, int64_t *at)
{
    clattn_tensor t = clattn_tensor_of_buffer(s->stats, dtype, rank, shape);
    t.offset = *at;
    *at += clattn_tensor_count(&t);
    return t;
}

/* The tensors of a capture in one buffer, which may not be there yet; *count: its elements. */
static clattn_attention_stats stats_of(const clm_session *s, const clm_capture *want,
                                       int64_t *count)
{
    const int heads = s->m->config.heads;
    const int64_t keys[3] = { 1, s->N, want->picks }, rows[3] = { 1, heads, s->N };
    const int64_t top[4] = { 1, heads, s->N, want->tops };
    const int64_t chosen[4] = { 1, heads, s->N, want->picks };
    clattn_attention_stats stats = { .mean_row = 0 };
    *count = 0;
    stats.keys = place(s, CLATTN_I32, 3, keys, count);
    stats.entropy = place(s, CLATTN_F32, 3, rows, count);
    stats.distance = place(s, CLATTN_F32, 3, rows, count);
    stats.top = place(s, CLATTN_F32, 4, top, count);
    stats.top_keys = place(s, CLATTN_I32, 4, top, count);
    stats.chosen = place(s, CLATTN_F32, 4, chosen, count);
    return stats;
}

static bool wants_stats(const clm_capture *want)
{
    return want && want->put_stats;
}

bool clm_capture_begin(clm_session *s, const clm_capture *want, clm_fault *f)
{
    int64_t count;
    clattn_buffer_destroy(&s->weights); /* of the capture before */
    clattn_buffer_destroy(&s->stats);
    if (!wants_stats(want))
        return true;
    stats_of(s, want, &count);
    const size_t keys = (size_t)s->N * (size_t)want->picks;
    return clm_buffer(s, (size_t)count, 1, sizeof(float), &s->stats, f)
           && (keys == 0
               || clm_check(f, s->m->ctx,
                            clattn_buffer_write(s->stats, 0, want->keys,
                                                keys * sizeof *want->keys)));
}

/* Hands over what the attention of a layer has left in the buffer. */
static bool put_stats(clm_session *s, const clm_capture *want, int layer, clm_fault *f)
{
    int64_t count;
    const clattn_attention_stats at = stats_of(s, want, &count);
    float *host = malloc((size_t)count * sizeof *host);
    if (!host)
        return clm_out_of_memory(f);
    const clm_stats stats = { .entropy = host + at.entropy.offset,
                              .distance = host + at.distance.offset,
                              .top = host + at.top.offset,
                              .top_keys = (const int32_t *)(host + at.top_keys.offset),
                              .chosen = host + at.chosen.offset };
    const bool ok = clm_check(f, s->m->ctx,
                              clattn_buffer_read(s->stats, 0, host, (size_t)count * sizeof *host))
                    && want->put_stats(want->user, layer, &stats, f);
    free(host);
    return ok;
}

/* ---- weights, in tiles ---- */

enum { TILE_FLOATS = 1 << 22 };

/*
 * The weights of rows [row, row + rows) of the pass on the keys that they can see. Attention of
 * these rows is done once more; its result goes where the feed-forward part will write.
 */
static bool capture_tile(clm_session *s, const clm_capture *want, int layer, clattn_kv *kv,
                         int row, int rows, float *host, clm_fault *f)
{
    const bool causal = s->m->config.family == CLM_GPT2;
    const int32_t keys = causal ? s->length + row + rows : s->N;
    const int64_t one[1] = { 1 }, shape[4] = { 1, want->num_heads, rows, keys };
    const int64_t mean[3] = { 1, rows, keys };
    struct clattn_attention_params p = params_of(s, layer, NULL);
    const double begin = clm_now_us();
    clattn_status status = clattn_kv_tensors(kv, 0, 1, &p.k, &p.v, &p.layout);
    p.layout.lengths = clattn_tensor_of_host(&keys, CLATTN_I32, 1, one);
    p.max_seqlen_k = keys;
    p.q = clattn_tensor_slice(p.q, 2, row, rows);
    p.o = clattn_tensor_slice(by_head(s, s->inner), 2, row, rows);
    p.probs_head = want->head;
    if (want->mean)
        p.stats.mean = clattn_tensor_of_buffer(s->weights, CLATTN_F32, 3, mean);
    else
        p.probs = clattn_tensor_of_buffer(s->weights, CLATTN_F32, 4, shape);
    const size_t count =
        (size_t)(want->mean ? 1 : want->num_heads) * (size_t)rows * (size_t)keys;
    if (status == CLATTN_OK)
        status = clattn_attention(s->m->ctx, &p);
    return clm_done(s, "weights", layer, begin, status, f)
           && clm_check(f, s->m->ctx, clattn_buffer_read(s->weights, 0, host, count * sizeof *host))
           && want->put(want->user, layer, row, rows, keys, host, f);
}

static bool capture_rows(clm_session *s, const clm_capture *want, int layer, clattn_kv *kv,
                         clm_fault *f)
{
    const size_t maps = want->mean ? 1 : (size_t)want->num_heads;
    const size_t row_floats = maps * (size_t)(s->length + s->N);
    const size_t most = want->tile_floats ? want->tile_floats : TILE_FLOATS;
    const int fit = row_floats < most ? (int)(most / row_floats) : 1;
    const int tile = fit < want->num_rows ? fit : want->num_rows, end = want->row + want->num_rows;
    const size_t floats = row_floats * (size_t)tile;
    if (!s->weights && !clm_buffer(s, floats, 1, sizeof(float), &s->weights, f))
        return false;
    float *host = malloc(floats * sizeof *host);
    bool ok = host ? true : clm_out_of_memory(f);
    for (int row = want->row; ok && row < end; row += tile)
        ok = capture_tile(s, want, layer, kv, row, end - row < tile ? end - row : tile, host, f);
    free(host);
    return ok;
}

static bool is_captured(const clm_capture *c, int layer)
{
    return c && layer >= c->layer && layer < c->layer + c->num_layers;
}

bool clm_attend(clm_session *s, int layer, clattn_tensor x, const clm_capture *capture,
                clm_fault *f)
{
    const clm_capture *want = is_captured(capture, layer) ? capture : NULL;
    clattn_kv *kv;
    int64_t count;
    if (!clm_cache(s, layer, &kv, f) || !project_qkv(s, layer, x, kv, f)
        || !append(s, layer, kv, f))
        return false;
    const double begin = clm_now_us();
    struct clattn_attention_params p = params_of(s, layer, kv);
    if (wants_stats(want))
        p.stats = stats_of(s, want, &count);
    return clm_done(s, "attention", layer, begin, clattn_attention(s->m->ctx, &p), f)
           && (!wants_stats(want) || put_stats(s, want, layer, f))
           && (!want || !want->put || capture_rows(s, want, layer, kv, f));
}
