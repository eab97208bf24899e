/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of few rows, as in decoding: read once, in place, while the products run, so that memory
 * and multiply-adds keep each other busy. Sums run in the order of the keys, as in block_gemm.h,
 * and come out in the same bits. Paged and quantised rows cost too much to find and to scale for
 * that: they are copied first, as for many rows.
 */
#ifndef CLA_BLOCK_VALUES_H
#define CLA_BLOCK_VALUES_H

#include "block_state.h"

/* o[r] += sum over the keys of p[r][key] v[key]: C vectors from column c on, a single one cut. */
FN void add_columns(const int R, const int C, const int type, const state *s, cla_range keys,
                    const float *p, float *o, int c)
{
    const cla_task *t = s->task;
    const int left = s->p->Dv - c;
    vf sum[2 * CLA_BLOCK_ROWS];
    UNROLL
    for (int i = 0; i < R * C; i++)
        sum[i] = load_f32(o + i / C * s->value_ld + i % C * LANES);
    for (int key = keys.begin; key < keys.end; key++, p++) {
        const cla_kv_row v = cla_value_row(s->p, &t->seq, t->hk, key);
        const char *next = cla_value_row(s->p, &t->seq, t->hk, row_ahead(s, key)).at;
        vf x[4];
        UNROLL
        for (int j = 0; j < C; j++) {
            x[j] = C > 1 ? load_kv(type, v, c + j * LANES) : load_kv_first(type, v, c, left);
            __builtin_prefetch(next + kv_bytes(type, c + j * LANES), 0, 2);
        }
        UNROLL
        for (int i = 0; i < R * C; i++)
            sum[i] += p[i / C * CLA_SCORE_LD] * x[i % C];
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

static void direct_values(const state *s, const block *b, cla_range keys, const float *p)
{
    if (s->p->kv_type == CLATTN_F16)
        direct_values_of(CLATTN_F16, s, b, keys, p);
    else if (s->p->kv_type == CLATTN_BF16)
        direct_values_of(CLATTN_BF16, s, b, keys, p);
    else
        direct_values_of(CLATTN_F32, s, b, keys, p);
}

#endif
