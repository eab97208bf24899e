/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores of few rows, as in decoding: keys are read once, in place, as they lie in memory. A group
 * of rows times keys has one vector of partial sums each, LANES in all, joined at the end.
 */
#ifndef CLA_BLOCK_DIRECT_H
#define CLA_BLOCK_DIRECT_H

#include "block_state.h"

/*
 * Scores of R rows, R a power of two, against LANES / R keys; row r of out has LANES / R of them.
 * next are the keys of the next tile, to be fetched in the meantime.
 */
FN void direct_group(const int R, const int type, const float *q, size_t q_ld,
                     const cla_kv_row *keys, const cla_kv_row *next, int D, float *out)
{
    const int K = LANES / R;
    vf sum[LANES], k[LANES];
    int d = 0;
    UNROLL
    for (int i = 0; i < LANES; i++)
        sum[i] = (vf){ 0 };
    for (; d + LANES <= D; d += LANES) {
        UNROLL
        for (int j = 0; j < K; j++) {
            k[j] = load_kv_factor(type, keys[j], d, LANES);
            fetch_line(type, next[j].at, d);
        }
        UNROLL
        for (int i = 0; i < LANES; i++)
            sum[i] += load_f32(q + (size_t)(i / K) * q_ld + d) * k[i % K];
    }
    if (d < D) {
        UNROLL
        for (int j = 0; j < K; j++)
            k[j] = load_kv_factor(type, keys[j], d, D - d);
        UNROLL
        for (int i = 0; i < LANES; i++)
            sum[i] += load_f32(q + (size_t)(i / K) * q_ld + d) * k[i % K];
    }
    store_f32(out, sum_each(sum));
}

/* R rows from row first of the block, of which some may not exist. */
FN void direct_rows(const int R, const int type, const state *s, const block *b, int first,
                    float *scores)
{
    const tile *now = &s->tile;
    const size_t q_ld = direct_ld(s->p);
    const int rows = b->rows - first < R ? b->rows - first : R;
    const int last = now->keys.end - 1 - now->begin;
    for (int c = 0; c < CLA_PANEL; c += LANES / R) {
        cla_kv_row keys[LANES], next[LANES];
        float out[LANES];
        UNROLL
        for (int j = 0; j < LANES / R; j++) {
            const int at = c + j < last ? c + j : last;
            keys[j] = cla_kv_row_at(now->direct_k, at);
            next[j] = cla_kv_row_at(now->next_k, at);
        }
        direct_group(R, type, b->q + (size_t)first * q_ld, q_ld, keys, next, s->p->D, out);
        for (int r = 0; r < rows; r++)
            memcpy(scores + (size_t)(first + r) * CLA_SCORE_LD + c, out + r * (LANES / R),
                   sizeof *out * (LANES / R));
    }
}

/* Columns of every row times the scales that stand beside their i8 rows. */
FN void scale_columns(const state *s, const block *b, const cla_kv_rows *rows, float *scores)
{
    const int last = s->tile.keys.end - 1 - s->tile.begin;
    float scale[CLA_PANEL];
    for (int j = 0; j < CLA_PANEL; j++)
        scale[j] = rows->first.scale[(j < last ? j : last) * rows->scale_step];
    for (int r = 0; r < b->rows; r++)
        for (int c = 0; c < CLA_PANEL; c += LANES) {
            float *x = scores + (size_t)r * CLA_SCORE_LD + c;
            store_f32(x, load_f32(x) * load_f32(scale + c));
        }
}

FN void direct_scores_of(const int type, const state *s, const block *b, float *scores)
{
    int r = 0;
#if LANES >= 8
    for (; b->rows - r > 4; r += 8)
        direct_rows(8, type, s, b, r, scores);
#endif
    for (; b->rows - r > 2; r += 4)
        direct_rows(4, type, s, b, r, scores);
    for (; b->rows - r > 1; r += 2)
        direct_rows(2, type, s, b, r, scores);
    for (; b->rows - r > 0; r++)
        direct_rows(1, type, s, b, r, scores);
    if (type == CLATTN_I8)
        scale_columns(s, b, &s->tile.direct_k, scores);
}

/* A tile of 16 keys, all of its columns. */
static void direct_scores(const state *s, const block *b, float *scores)
{
    if (s->p->kv_type == CLATTN_F16)
        direct_scores_of(CLATTN_F16, s, b, scores);
    else if (s->p->kv_type == CLATTN_BF16)
        direct_scores_of(CLATTN_BF16, s, b, scores);
    else if (s->p->kv_type == CLATTN_I8)
        direct_scores_of(CLATTN_I8, s, b, scores);
    else if (s->p->kv_type == CLATTN_I4)
        direct_scores_of(CLATTN_I4, s, b, scores);
    else
        direct_scores_of(CLATTN_F32, s, b, scores);
}

#endif
