/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocks of a task: query rows packed, bounds of the keys they see, running softmax state; and
 * the tile of keys and values in front of them.
 */
#ifndef CLA_BLOCK_STATE_H
#define CLA_BLOCK_STATE_H

#include <float.h>
#include <math.h>

#include "block_gemm.h"
#include "kv_lanes.h"

/* Query head h, row i of the sequence. */
typedef struct head_row {
    int h, i;
} head_row;

/* Scores are compared and kept as they are; p = 2^((score - top) * to_log2). */
typedef struct block {
    int rows;
    const block_gemm *gemm;
    cla_range any, all;            /* keys that at least one row sees, and that every row sees */
    const float *q;                /* panel [D][16]; direct: [rows][direct_ld] */
    float *o, *sums;               /* [rows][value_ld], [rows][LANES] */
    float top[BLOCK_ROWS];         /* reference score; -inf before the first */
    float limit[BLOCK_ROWS];       /* a score above it moves the reference */
    head_row at[BLOCK_ROWS];
    cla_range keys[BLOCK_ROWS];
} block;

typedef struct tile {
    int begin;           /* key of column 0, a multiple of 16 */
    cla_range keys;      /* those that the task sees; others may not be there */
    const float *k;      /* panels */
    int ahead;           /* keys to the next tile; 0: there is none */
    cla_kv_rows direct_k, direct_v; /* few rows: where keys and values lie, and those of */
    cla_kv_rows next_k, next_v;     /* the next tile, to be fetched in the meantime */
    const float *v;      /* row of key begin; NULL: see tile_values() */
    ptrdiff_t v_ld;
    int finite;          /* are all values? -1: not looked at */
} tile;

typedef struct state {
    const cla_task *task;
    const cla_attn *p;
    cla_scratch at;
    bool plain;          /* scores are q.k, unscaled, with the sign of the scale; to_log2 scales */
    float to_log2;
    int value_ld;
    bool direct;         /* few rows: neither keys nor values are copied, see block_direct.h */
    int tile_keys;       /* 16 of them when direct */
    bool values_in_place;
    int num_blocks;
    block blocks[CLA_TASK_ROWS / BLOCK_ROWS];
    tile tile;
} state;

FN bool scores_plain(const cla_attn *p)
{
    return !p->has_softcap && !p->has_alibi && !p->has_bias;
}

/* Not 0: -inf times it stays -inf. */
FN float scores_to_log2(const cla_attn *p)
{
    const float to_log2 = 1.44269504f * (scores_plain(p) ? fabsf(p->scale) : 1.0f);
    return to_log2 < FLT_MIN ? FLT_MIN : to_log2;
}

/* Element [b][h][n][0] of q; no scale. */
FN cla_kv_row query_row(const cla_attn *p, int b, int h, int n)
{
    const int64_t row = b * p->q.stride[0] + h * p->q.stride[1] + n * p->q.stride[2];
    return (cla_kv_row){
        (const char *)p->q.host + (p->q.offset + row) * (int64_t)bytes_of(p->in_type), NULL
    };
}

FN void pack_columns(const cla_kv_row *rows, int type, int d, int n, float *out)
{
    for (int first = 0; first < CLA_PANEL; first += LANES) {
        vf x[LANES];
        UNROLL
        for (int r = 0; r < LANES; r++)
            x[r] = load_kv_first(type, rows[first + r], d, n);
        transpose(x);
        for (int i = 0; i < n; i++)
            store_f32(out + (size_t)(d + i) * CLA_PANEL + first, x[i]);
    }
}

FN void pack_whole_columns(const cla_kv_row *rows, int type, int d, float *out)
{
    for (int first = 0; first < CLA_PANEL; first += LANES) {
        vf x[LANES];
        UNROLL
        for (int r = 0; r < LANES; r++)
            x[r] = load_kv(type, rows[first + r], d);
        transpose(x);
        UNROLL
        for (int i = 0; i < LANES; i++)
            store_f32(out + (size_t)(d + i) * CLA_PANEL + first, x[i]);
    }
}

FN void pack_panel_of(const int type, const cla_kv_row *rows, int D, float *out)
{
    int d = 0;
    for (; d + LANES <= D; d += LANES)
        pack_whole_columns(rows, type, d, out);
    if (d < D)
        pack_columns(rows, type, d, D - d, out);
}

/* 16 rows of D elements of dtype type -> [D][16] floats. */
static void pack_panel(int type, const cla_kv_row *rows, int D, float *out)
{
    if (type == CLATTN_F16)
        pack_panel_of(CLATTN_F16, rows, D, out);
    else if (type == CLATTN_BF16)
        pack_panel_of(CLATTN_BF16, rows, D, out);
    else if (type == CLATTN_I8)
        pack_panel_of(CLATTN_I8, rows, D, out);
    else if (type == CLATTN_I4)
        pack_panel_of(CLATTN_I4, rows, D, out);
    else
        pack_panel_of(CLATTN_F32, rows, D, out);
}

/* Keys past the last repeat it: their scores are never looked at. */
static void pack_keys(const cla_attn *p, const cla_seq *seq, int hk, int panel, int count,
                      float *out)
{
    for (int i = panel; i < panel + count; i++, out += (size_t)CLA_PANEL * p->D) {
        cla_kv_row rows[CLA_PANEL];
        for (int r = 0; r < CLA_PANEL; r++) {
            const int key = i * CLA_PANEL + r;
            rows[r] = cla_key_row(p, seq, hk, key < seq->nk ? key : seq->nk - 1);
        }
        pack_panel(p->kv_type, rows, p->D, out);
    }
}

/* Row r of the task. */
FN head_row head_row_of(const cla_task *t, int r)
{
    const int64_t at = t->row + r;
    return (head_row){ t->hk * t->p->G + (int)(at / t->seq.nq), (int)(at % t->seq.nq) };
}

/* Query rows of the task, from row first; the rows of a panel past the last repeat it. */
static void pack_queries(const state *s, int first, float *out)
{
    const cla_task *t = s->task;
    cla_kv_row rows[CLA_PANEL];
    for (int r = 0; r < CLA_PANEL; r++) {
        const head_row at = head_row_of(t, first + r < t->rows ? first + r : t->rows - 1);
        rows[r] = query_row(s->p, t->seq.b, at.h, t->seq.q0 + at.i);
    }
    pack_panel(s->p->in_type, rows, s->p->D, out);
    if (s->plain && s->p->scale < 0)
        for (size_t i = 0; i < (size_t)CLA_PANEL * s->p->D; i++)
            out[i] = -out[i];
}

/* Row length of the queries of direct scores: whole vectors, zeros after D. */
FN size_t direct_ld(const cla_attn *p) { return (size_t)(p->D + LANES - 1) / LANES * LANES; }

/* Query rows of the task one after the other, zeros in rows that do not exist. */
static void widen_queries(const state *s, float *out)
{
    const cla_task *t = s->task;
    const cla_attn *p = s->p;
    const float sign = s->plain && p->scale < 0 ? -1.0f : 1.0f;
    const size_t ld = direct_ld(p);
    memset(out, 0, CLA_PANEL * ld * sizeof *out);
    for (int r = 0; r < t->rows; r++) {
        const head_row at = head_row_of(t, r);
        const cla_kv_row q = query_row(p, t->seq.b, at.h, t->seq.q0 + at.i);
        for (int d = 0; d < p->D; d += LANES)
            store_f32(out + r * ld + d, sign * load_kv_first(p->in_type, q, d, p->D - d));
    }
}

FN cla_range intersect(cla_range a, cla_range b)
{
    cla_range r = { a.begin > b.begin ? a.begin : b.begin, a.end < b.end ? a.end : b.end };
    if (r.end < r.begin)
        r.end = r.begin;
    return r;
}

/* From the first of both to the last. */
FN cla_range join_ranges(cla_range a, cla_range b)
{
    return (cla_range){ a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end };
}

/* first counts rows of the task. */
static void block_init(state *s, block *b, int first, int rows)
{
    const cla_task *t = s->task;
    b->rows = rows;
    b->gemm = block_gemm_of(rows);
    b->q = t->scratch + s->at.q;
    if (s->direct)
        b->q += (size_t)first * direct_ld(s->p);
    else
        b->q += (size_t)(first / CLA_BLOCK_ROWS) * CLA_PANEL * s->p->D + first % CLA_BLOCK_ROWS;
    b->o = t->scratch + s->at.o + (size_t)first * s->value_ld;
    b->sums = t->scratch + s->at.sums + (size_t)first * LANES;
    b->any = (cla_range){ INT32_MAX, 0 };
    b->all = t->keys;
    for (int r = 0; r < rows; r++) {
        b->at[r] = head_row_of(t, first + r);
        b->top[r] = b->limit[r] = -INFINITY;
        const cla_range keys = intersect(cla_keys_of_row(s->p, &t->seq, b->at[r].i), t->keys);
        b->keys[r] = keys;
        b->all = intersect(b->all, keys);
        if (keys.begin < keys.end) {
            b->any.begin = keys.begin < b->any.begin ? keys.begin : b->any.begin;
            b->any.end = keys.end > b->any.end ? keys.end : b->any.end;
        }
    }
}

/* All but the queries. */
static void state_begin(state *s, const cla_task *t, cla_scratch at)
{
    const cla_attn *p = t->p;
    s->task = t;
    s->p = p;
    s->at = at;
    s->plain = scores_plain(p);
    s->to_log2 = scores_to_log2(p);
    s->value_ld = cla_value_ld(p);
    s->num_blocks = 0;
    s->direct = (int64_t)p->G * t->seq.nq <= CLA_DIRECT_ROWS;
    s->tile_keys = s->direct ? CLA_PANEL : t->tile_keys;
    s->values_in_place =
        p->kv_type == CLATTN_F32 && !p->paged && p->Dv == s->value_ld && !s->direct;
    for (int row = 0; row < t->rows; row += BLOCK_ROWS) {
        const int rows = t->rows - row < BLOCK_ROWS ? t->rows - row : BLOCK_ROWS;
        block_init(s, &s->blocks[s->num_blocks++], row, rows);
    }
}

static void state_init(state *s, const cla_task *t)
{
    state_begin(s, t, cla_scratch_of(t->p, t->rows, t->tile_keys));
    if (s->direct)
        widen_queries(s, t->scratch + s->at.q);
    for (int row = 0; row < t->rows && !s->direct; row += CLA_BLOCK_ROWS)
        pack_queries(s, row,
                     t->scratch + s->at.q + (size_t)(row / CLA_BLOCK_ROWS) * CLA_PANEL * t->p->D);
}

/* The key that stands in the next tile where this one stands in this. */
FN int row_ahead(const state *s, int key)
{
    const int last = s->task->seq.nk - 1, next = key + s->tile.ahead;
    return next < last ? next : last;
}

FN void copy_values_of(const int type, const state *s, cla_range keys, float *out)
{
    const cla_attn *p = s->p;
    const cla_seq *seq = &s->task->seq;
    for (int j = keys.begin; j < keys.end; j++, out += s->value_ld) {
        const cla_kv_row v = cla_value_row(p, seq, s->task->hk, j);
        const cla_kv_row next = cla_value_row(p, seq, s->task->hk, row_ahead(s, j));
        int c = 0;
        for (; c + LANES <= p->Dv; c += LANES) {
            store_f32(out + c, load_kv(type, v, c));
            fetch_line(type, next.at, c);
        }
        for (; c < s->value_ld; c += LANES)
            store_f32(out + c, c < p->Dv ? load_kv_first(type, v, c, p->Dv - c) : (vf){ 0 });
    }
}

/* Values of keys as rows of value_ld floats, zeros after Dv. */
static void copy_values(const state *s, cla_range keys, float *out)
{
    if (s->p->kv_type == CLATTN_F16)
        copy_values_of(CLATTN_F16, s, keys, out);
    else if (s->p->kv_type == CLATTN_BF16)
        copy_values_of(CLATTN_BF16, s, keys, out);
    else if (s->p->kv_type == CLATTN_I8)
        copy_values_of(CLATTN_I8, s, keys, out);
    else if (s->p->kv_type == CLATTN_I4)
        copy_values_of(CLATTN_I4, s, keys, out);
    else
        copy_values_of(CLATTN_F32, s, keys, out);
}

/* Puts the values of the tile's keys in front of the blocks, as floats. */
static void tile_values(state *s)
{
    const cla_task *t = s->task;
    const cla_attn *p = s->p;
    tile *now = &s->tile;
    if (s->values_in_place) {
        now->v = (const float *)cla_value_row(p, &t->seq, t->hk, now->begin).at;
        now->v_ld = p->v.stride[2];
    } else {
        const size_t before = (size_t)(now->keys.begin - now->begin) * s->value_ld;
        copy_values(s, now->keys, t->scratch + s->at.values + before);
        now->v = t->scratch + s->at.values;
        now->v_ld = s->value_ld;
    }
}

static void find_direct_rows(const state *s, tile *now)
{
    const cla_attn *p = s->p;
    const cla_seq *seq = &s->task->seq;
    const int hk = s->task->hk, key = now->begin, next = key + now->ahead;
    now->direct_k = cla_kv_rows_of(p, &p->k, &p->k_scale, seq, hk, key);
    now->direct_v = cla_kv_rows_of(p, &p->v, &p->v_scale, seq, hk, key);
    now->next_k = cla_kv_rows_of(p, &p->k, &p->k_scale, seq, hk, next);
    now->next_v = cla_kv_rows_of(p, &p->v, &p->v_scale, seq, hk, next);
}

/* Puts the keys of seen that lie in the tile at begin in front of the blocks. */
static void tile_init(state *s, int begin, cla_range seen, bool values)
{
    const cla_task *t = s->task;
    const cla_attn *p = s->p;
    const cla_range keys = intersect(seen, (cla_range){ begin, begin + s->tile_keys });
    tile *now = &s->tile;
    *now = (tile){ .begin = begin, .keys = keys, .finite = -1 };
    now->ahead = keys.end < seen.end ? s->tile_keys : 0;
    if (s->direct) {
        find_direct_rows(s, now);
    } else if (t->panels) {
        now->k = t->panels + (size_t)begin * p->D;
    } else {
        const int panel = keys.begin / CLA_PANEL;
        const int count = (keys.end + CLA_PANEL - 1) / CLA_PANEL - panel;
        const size_t before = ((size_t)panel * CLA_PANEL - begin) * p->D;
        pack_keys(p, &t->seq, t->hk, panel, count, t->scratch + s->at.keys + before);
        now->k = t->scratch + s->at.keys;
    }
    if (values && !s->direct)
        tile_values(s);
}

#endif
