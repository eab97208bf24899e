/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to the scores of a tile before the softmax: scale, softcap, ALiBi, bias, masks. */
#ifndef CLA_BLOCK_SCORE_H
#define CLA_BLOCK_SCORE_H

#include "block_direct.h"

/* Bias of n keys from key, widened to out; zeros up to the next whole vector. */
static void load_bias(const state *s, const block *b, int r, int key, int n, float *out)
{
    const cla_view *bias = &s->p->bias;
    const int type = s->p->bias_type;
    const int64_t step = bias->stride[3];
    const int64_t at = bias->offset + s->task->seq.b * bias->stride[0]
                     + b->at[r].h * bias->stride[1] + b->at[r].i * bias->stride[2] + key * step;
    const char *from = (const char *)bias->host + at * (int64_t)bytes_of(type);
    for (int j = 0; j < n; j += LANES) {
        const int count = n - j < LANES ? n - j : LANES;
        vf x;
        if (step == 1)
            x = load_first(type, from + (size_t)j * bytes_of(type), count);
        else if (step == 0)
            x = splat(load_first(type, from, 1)[0]);
        else
            for (int i = 0; i < LANES; i++) {
                const int64_t element = (j + (i < count ? i : 0)) * step;
                x[i] = load_first(type, from + element * (int64_t)bytes_of(type), 1)[0];
            }
        store_f32(out + j, x);
    }
}

/* Scale, softcap, ALiBi and bias on columns [begin, end) of row r; x is column 0 of its scores. */
static void modify_row(const state *s, const block *b, int r, int begin, int end, float *x)
{
    const cla_attn *p = s->p;
    const cla_seq *seq = &s->task->seq;
    const int key = s->tile.begin + begin;
    const int known = seq->nk - key < end - begin ? seq->nk - key : end - begin;
    const vf scale = splat(p->scale), cap = splat(p->softcap);
    const vf slope = splat(p->has_alibi ? CLA_AT(const float, p->alibi)[b->at[r].h] : 0.0f);
    float bias[CLA_TILE_KEYS + LANES];
    vi distance; /* i + nk - nq - j */
    for (int i = 0; i < LANES; i++)
        distance[i] = b->at[r].i + seq->nk - seq->nq - key - i;
    if (p->has_bias)
        load_bias(s, b, r, key, known, bias);
    for (int c = begin; c < end; c += LANES, distance -= LANES) {
        vf y = load_f32(x + c) * scale;
        if (p->has_softcap)
            y = cap * tanh_lanes(y / cap);
        if (p->has_alibi) {
            const vi negative = distance >> 31;
            y -= slope * __builtin_convertvector((distance ^ negative) - negative, vf);
        }
        if (p->has_bias && c - begin < known)
            y += load_f32(bias + (c - begin));
        store_f32(x + c, y);
    }
}

/* Mask bytes of row r, to be indexed by key * stride[3]. */
FN const uint8_t *mask_row(const state *s, const block *b, int r)
{
    const cla_view *mask = &s->p->mask;
    return CLA_AT(const uint8_t, *mask) + s->task->seq.b * mask->stride[0]
         + b->at[r].h * mask->stride[1] + b->at[r].i * mask->stride[2];
}

/* -inf into columns [begin, end) of row r that it does not see. */
static void hide_row(const state *s, const block *b, int r, int begin, int end, float *x)
{
    const int zero = s->tile.begin;
    const cla_range seen = intersect(b->keys[r], (cla_range){ zero + begin, zero + end });
    const int first = seen.begin < seen.end ? seen.begin - zero : end;
    const int last = seen.begin < seen.end ? seen.end - zero : end;
    for (int c = begin; c < first; c++)
        x[c] = -INFINITY;
    for (int c = last; c < end; c++)
        x[c] = -INFINITY;
    if (!s->p->has_mask)
        return;
    const int64_t step = s->p->mask.stride[3];
    const uint8_t *mask = mask_row(s, b, r) + zero * step;
    if (step == 1) {
        for (int c = first; c < last; c++)
            x[c] = mask[c] ? x[c] : -INFINITY;
    } else {
        for (int c = first; c < last; c++)
            x[c] = mask[c * step] ? x[c] : -INFINITY;
    }
}

static bool sees(const state *s, const block *b, int r, int key)
{
    return key >= b->keys[r].begin && key < b->keys[r].end
        && (!s->p->has_mask || mask_row(s, b, r)[key * s->p->mask.stride[3]]);
}

/*
 * Makes scores of products in columns [begin, end) of the tile, multiples of 16, with -inf where a
 * row does not see a key. Returns whether some row may not see some of these keys.
 */
static bool finish_scores(const state *s, const block *b, int begin, int end, float *scores)
{
    const bool partial = s->p->has_mask || s->tile.begin + begin < b->all.begin
                      || s->tile.begin + end > b->all.end;
    for (int r = 0; r < b->rows; r++) {
        float *x = scores + (size_t)r * CLA_SCORE_LD;
        if (!s->plain)
            modify_row(s, b, r, begin, end, x);
        if (partial)
            hide_row(s, b, r, begin, end, x);
    }
    return partial;
}

/* Scores of the block against these columns; returns as above. */
static bool score_tile(const state *s, const block *b, int begin, int end, float *scores)
{
    if (s->direct)
        direct_scores(s, b, scores);
    else
        b->gemm->scores(b->q, s->tile.k, s->p->D, begin, end, scores);
    return finish_scores(s, b, begin, end, scores);
}

#endif
