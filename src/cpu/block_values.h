/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of few rows, as in decoding: read once, in place, while the products run, so that memory
 * and multiply-adds keep each other busy. Sums run in the order of the keys.
 */
#ifndef CLA_BLOCK_VALUES_H
#define CLA_BLOCK_VALUES_H

#include "block_direct.h"

/* o[r] += sum over the keys of p[r][key] v[key]: C vectors from column c on, a single one cut. */
FN void add_columns(const int R, const int C, const int type, const state *s, cla_range keys,
                    const float *p, float *o, int c)
{
    const tile *now = &s->tile;
    const int n = C > 1 ? LANES : s->p->Dv - c;
    vf sum[2 * CLA_BLOCK_ROWS];
    UNROLL
    for (int i = 0; i < R * C; i++)
        sum[i] = load_f32(o + i / C * s->value_ld + i % C * LANES);
    for (int j = keys.begin - now->begin; j < keys.end - now->begin; j++) {
        const cla_kv_row v = cla_kv_row_at(now->direct_v, j);
        const char *next = cla_kv_row_at(now->next_v, j).at;
        vf x[4];
        UNROLL
        for (int i = 0; i < C; i++) {
            x[i] = load_kv_factor(type, v, c + i * LANES, n);
            fetch_line(type, next, c + i * LANES);
        }
        UNROLL
        for (int i = 0; i < R * C; i++)
            sum[i] += p[i / C * CLA_SCORE_LD + j] * x[i % C];
    }
    UNROLL
    for (int i = 0; i < R * C; i++)
        store_f32(o + i / C * s->value_ld + i % C * LANES, sum[i]);
}

/* C: vectors of sums that stay in registers. */
FN void add_values_in_place(const int R, const int C, const int type, const state *s,
                            const block *b, cla_range keys, const float *p)
{
    int c = 0;
    for (; c + C * LANES <= s->p->Dv; c += C * LANES)
        add_columns(R, C, type, s, keys, p, b->o + c, c);
    for (; c < s->p->Dv; c += LANES)
        add_columns(R, 1, type, s, keys, p, b->o + c, c);
}

/* Rows past the last of the block are there, and nobody looks at their sums. */
FN void direct_values_of(const int type, const state *s, const block *b, cla_range keys,
                         const float *p)
{
    if (b->rows == 1)
        add_values_in_place(1, 4, type, s, b, keys, p);
    else if (b->rows == 2)
        add_values_in_place(2, 4, type, s, b, keys, p);
    else if (b->rows <= 4)
        add_values_in_place(4, 4 * 4 <= 2 * BLOCK_ROWS ? 4 : 2, type, s, b, keys, p);
#if BLOCK_ROWS > 6
    else
        add_values_in_place(8, 2, type, s, b, keys, p);
#else
    else
        add_values_in_place(6, 2, type, s, b, keys, p);
#endif
}

/* p are the probabilities of the tile; nobody looks at them afterwards. */
static void direct_values(const state *s, const block *b, cla_range keys, float *p)
{
    if (s->p->kv_type == CLATTN_I8)
        scale_columns(s, b, &s->tile.direct_v, p);
    if (s->p->kv_type == CLATTN_F16)
        direct_values_of(CLATTN_F16, s, b, keys, p);
    else if (s->p->kv_type == CLATTN_BF16)
        direct_values_of(CLATTN_BF16, s, b, keys, p);
    else if (s->p->kv_type == CLATTN_I8)
        direct_values_of(CLATTN_I8, s, b, keys, p);
    else if (s->p->kv_type == CLATTN_I4)
        direct_values_of(CLATTN_I4, s, b, keys, p);
    else
        direct_values_of(CLATTN_F32, s, b, keys, p);
}

#endif
