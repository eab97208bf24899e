/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores of few rows, as in decoding: keys are read once, in place, as they lie in memory. A group
 * of rows times keys has one vector of partial sums each, LANES in all, joined at the end.
 */
#ifndef CLA_BLOCK_DIRECT_H
#define CLA_BLOCK_DIRECT_H

#include "block_state.h"

/* Lane i of the result is the sum of x[i]. Each round halves the vectors and the terms in them. */
FN vf sum_each(vf *x)
{
    UNROLL
    for (int n = LANES / 2; n > 0; n /= 2) {
        UNROLL
        for (int i = 0; i < n; i++)
            x[i] = SHUFFLE(x[i], x[i + n], ZIP_LOW) + SHUFFLE(x[i], x[i + n], ZIP_HIGH);
    }
    return x[0];
}

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
            k[j] = load_kv(type, keys[j], d);
            __builtin_prefetch(next[j].at + kv_bytes(type, d), 0, 2);
        }
        UNROLL
        for (int i = 0; i < LANES; i++)
            sum[i] += load_f32(q + (size_t)(i / K) * q_ld + d) * k[i % K];
    }
    if (d < D) {
        UNROLL
        for (int j = 0; j < K; j++)
            k[j] = load_kv_first(type, keys[j], d, D - d);
        UNROLL
        for (int i = 0; i < LANES; i++)
            sum[i] += load_f32(q + (size_t)(i / K) * q_ld + d) * k[i % K];
    }
    store_f32(out, sum_each(sum));
}

/* R rows from row first of the block, of which some may not exist. */
FN void direct_rows(const int R, const int type, const state *s, const block *b, int first,
                    cla_range columns, float *scores)
{
    const cla_attn *p = s->p;
    const size_t q_ld = direct_ld(p);
    const int rows = b->rows - first < R ? b->rows - first : R;
    const int last = s->tile.keys.end - 1;
    for (int c = columns.begin; c < columns.end; c += LANES / R) {
        cla_kv_row keys[LANES], next[LANES];
        float out[LANES];
        for (int j = 0; j < LANES / R; j++) {
            const int at = s->tile.begin + c + j, key = at < last ? at : last;
            keys[j] = cla_key_row(p, &s->task->seq, s->task->hk, key);
            next[j] = cla_key_row(p, &s->task->seq, s->task->hk, row_ahead(s, key));
        }
        direct_group(R, type, b->q + (size_t)first * q_ld, q_ld, keys, next, p->D, out);
        for (int r = 0; r < rows; r++)
            memcpy(scores + (size_t)(first + r) * CLA_SCORE_LD + c, out + r * (LANES / R),
                   sizeof *out * (LANES / R));
    }
}

FN void direct_scores_of(const int type, const state *s, const block *b, cla_range columns,
                         float *scores)
{
    int r = 0;
#if LANES >= 8
    for (; b->rows - r > 4; r += 8)
        direct_rows(8, type, s, b, r, columns, scores);
#endif
    for (; b->rows - r > 2; r += 4)
        direct_rows(4, type, s, b, r, columns, scores);
    for (; b->rows - r > 1; r += 2)
        direct_rows(2, type, s, b, r, columns, scores);
    for (; b->rows - r > 0; r++)
        direct_rows(1, type, s, b, r, columns, scores);
}

static void direct_scores(const state *s, const block *b, cla_range columns, float *scores)
{
    if (s->p->kv_type == CLATTN_F16)
        direct_scores_of(CLATTN_F16, s, b, columns, scores);
    else if (s->p->kv_type == CLATTN_BF16)
        direct_scores_of(CLATTN_BF16, s, b, columns, scores);
    else if (s->p->kv_type == CLATTN_I8)
        direct_scores_of(CLATTN_I8, s, b, columns, scores);
    else if (s->p->kv_type == CLATTN_I4)
        direct_scores_of(CLATTN_I4, s, b, columns, scores);
    else
        direct_scores_of(CLATTN_F32, s, b, columns, scores);
}

#endif
