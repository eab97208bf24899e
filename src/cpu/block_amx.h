/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention of many rows of bf16: both products in tiles of AMX, for groups of 48 rows
 * which are four blocks of 12. Scores, their modifiers and the softmax are f32 and those of other
 * dtypes; p is rounded to bf16 before it meets v, which output in bf16 cannot tell.
 *
 * Packed are panels of 32 keys. Keys: [panel][half of 16 keys][step of 32 of D][pair][key][2];
 * values: [panel][16 columns][pair of keys][column][2]. Widths are padded with zeros.
 */
#ifndef CLA_BLOCK_AMX_H
#define CLA_BLOCK_AMX_H

#include "amx.h"

enum {
    GROUP_ROWS = CLA_WIDE_ROWS,
    GROUP_BLOCKS = GROUP_ROWS / BLOCK_ROWS,
    GROUP_TILES = GROUP_ROWS / AMX_SIDE,
    HALF_BYTES = 2, /* of a bf16 */
};

/* ------------------------------------------------------------------------------------------ */
/* Packing                                                                                    */

/* 16 keys from key on; those past the last repeat it. */
static void pack_wide_keys(const cla_attn *p, const cla_seq *seq, int hk, int key, char *to)
{
    cla_kv_row rows[AMX_SIDE];
    for (int r = 0; r < AMX_SIDE; r++)
        rows[r] = cla_key_row(p, seq, hk, key + r < seq->nk ? key + r : seq->nk - 1);
    for (int d = 0; d < p->D; d += AMX_STEPS, to += AMX_TILE) {
        vf x[AMX_SIDE];
        for (int r = 0; r < AMX_SIDE; r++)
            x[r] = load_pairs_first(rows[r].at + (size_t)d * HALF_BYTES, p->D - d);
        transpose(x);
        UNROLL
        for (int i = 0; i < AMX_SIDE; i++)
            store_f32((float *)(to + i * AMX_LINE), x[i]);
    }
}

/* 32 values from key on, zeros past the last. Returns whether all are finite. */
static bool pack_wide_values(const cla_attn *p, const cla_seq *seq, int hk, int key, char *to)
{
    const char *rows[AMX_STEPS];
    const int left = seq->nk - key;
    vf zeros = { 0 };
    for (int r = 0; r < AMX_STEPS; r++)
        rows[r] = cla_value_row(p, seq, hk, r < left ? key + r : key).at;
    for (int c = 0; c < p->Dv; c += AMX_SIDE)
        for (int r = 0; r < AMX_STEPS; r += 2, to += AMX_LINE) {
            const size_t at = (size_t)c * HALF_BYTES;
            const vf a = load_first(CLATTN_BF16, rows[r] + at, r < left ? p->Dv - c : 0);
            const vf b = load_first(CLATTN_BF16, rows[r + 1] + at, r + 1 < left ? p->Dv - c : 0);
            zeros += 0.0f * a + 0.0f * b;
            store_f32((float *)to, (vf)((vu)a >> 16 | (vu)b));
        }
    return sum_of(zeros) == 0.0f;
}

static void pack_wide(const cla_attn *p, const cla_seq *seq, int hk, int panel, int count,
                      const cla_wide *to)
{
    const size_t k_bytes = cla_wide_key_bytes(p), v_bytes = cla_wide_value_bytes(p);
    for (int i = panel; i < panel + count; i++) {
        char *keys = to->keys + (size_t)i * k_bytes;
        pack_wide_keys(p, seq, hk, i * CLA_WIDE_KEYS, keys);
        pack_wide_keys(p, seq, hk, i * CLA_WIDE_KEYS + AMX_SIDE, keys + k_bytes / 2);
        to->finite[i] =
            pack_wide_values(p, seq, hk, i * CLA_WIDE_KEYS, to->values + (size_t)i * v_bytes);
    }
}

/* Rows of the task as they are, with the sign of the scale; zeros past D and past the last. */
static void copy_queries(const state *s, char *to)
{
    const cla_task *t = s->task;
    const size_t row = cla_wide_row_bytes(s->p);
    const vu sign = (vu){ 0 } + (s->plain && s->p->scale < 0 ? 0x80008000u : 0u);
    for (int r = 0; r < t->rows; r++, to += row) {
        const head_row at = head_row_of(t, r);
        const char *q = query_row(s->p, t->seq.b, at.h, t->seq.q0 + at.i).at;
        for (int d = 0; d < s->p->D; d += AMX_STEPS) {
            const vf x = load_pairs_first(q + (size_t)d * HALF_BYTES, s->p->D - d);
            store_f32((float *)(to + (size_t)d * HALF_BYTES), (vf)((vu)x ^ sign));
        }
    }
    memset(to, 0, (size_t)((GROUP_ROWS - t->rows % GROUP_ROWS) % GROUP_ROWS) * row);
}

/* ------------------------------------------------------------------------------------------ */
/* Products                                                                                   */

/* Where the factors lie: rows of a, tiles of b, rows of c, all in bytes. */
typedef struct wide_factors {
    const char *a, *b;
    size_t a_row, b_column, b_step, c_row;
} wide_factors;

#define AMX_ROW(x, row, tile) ((x) + (tile) * AMX_SIDE * (row))

/*
 * c = (add ? c : 0) + a b: R times 16 rows by C times 16 columns; R, C and add are constants. Sums
 * are in tiles 0 to 5, two for each 16 rows.
 */
FN void multiply_wide(const int R, const int C, const bool add, const wide_factors *f, int steps,
                      char *c)
{
#define BEGIN(tile, r, k)                                                               \
    if (r < R && k < C) {                                                               \
        if (add)                                                                        \
            _tile_loadd(tile, AMX_ROW(c, f->c_row, r) + (k) * AMX_LINE, f->c_row);      \
        else                                                                            \
            _tile_zero(tile);                                                           \
    }
#define END(tile, r, k)     \
    if (r < R && k < C)     \
        _tile_stored(tile, AMX_ROW(c, f->c_row, r) + (k) * AMX_LINE, f->c_row);
    const char *a = f->a, *b = f->b;
    BEGIN(0, 0, 0) BEGIN(1, 0, 1) BEGIN(2, 1, 0) BEGIN(3, 1, 1) BEGIN(4, 2, 0) BEGIN(5, 2, 1)
    for (int i = 0; i < steps; i++, a += AMX_LINE, b += f->b_step) {
        _tile_loadd(7, b, AMX_LINE);
        _tile_loadd(6, a, f->a_row);
        _tile_dpbf16ps(0, 6, 7);
        if (R > 1) {
            _tile_loadd(6, AMX_ROW(a, f->a_row, 1), f->a_row);
            _tile_dpbf16ps(2, 6, 7);
        }
        if (R > 2) {
            _tile_loadd(6, AMX_ROW(a, f->a_row, 2), f->a_row);
            _tile_dpbf16ps(4, 6, 7);
        }
        if (C < 2)
            continue;
        _tile_loadd(7, b + f->b_column, AMX_LINE);
        if (R > 2) {
            _tile_dpbf16ps(5, 6, 7);
            _tile_loadd(6, AMX_ROW(a, f->a_row, 1), f->a_row);
        }
        if (R > 1) {
            _tile_dpbf16ps(3, 6, 7);
            _tile_loadd(6, a, f->a_row);
        }
        _tile_dpbf16ps(1, 6, 7);
    }
    END(0, 0, 0) END(1, 0, 1) END(2, 1, 0) END(3, 1, 1) END(4, 2, 0) END(5, 2, 1)
#undef BEGIN
#undef END
}

/* columns: a multiple of 16. */
FN void multiply_columns(const int R, const bool add, wide_factors *f, int steps, int columns,
                         char *c)
{
    int k = 0;
    for (; k + 2 * AMX_SIDE <= columns; k += 2 * AMX_SIDE) {
        multiply_wide(R, 2, add, f, steps, c + (size_t)k * sizeof(float));
        f->b += 2 * f->b_column;
    }
    if (k < columns)
        multiply_wide(R, 1, add, f, steps, c + (size_t)k * sizeof(float));
}

FN void multiply_rows(const bool add, wide_factors f, int tiles, int steps, int columns, float *c)
{
    if (tiles == 1)
        multiply_columns(1, add, &f, steps, columns, (char *)c);
    else if (tiles == 2)
        multiply_columns(2, add, &f, steps, columns, (char *)c);
    else
        multiply_columns(3, add, &f, steps, columns, (char *)c);
}

/* ------------------------------------------------------------------------------------------ */
/* Groups                                                                                     */

typedef struct group {
    block *blocks;
    int first, tiles, num_blocks; /* row of the task */
} group;

static group group_of(state *s, int first)
{
    const int left = s->task->rows - first, rows = left < GROUP_ROWS ? left : GROUP_ROWS;
    return (group){ s->blocks + first / BLOCK_ROWS, first, (rows + AMX_SIDE - 1) / AMX_SIDE,
                    (rows + BLOCK_ROWS - 1) / BLOCK_ROWS };
}

static cla_range keys_of_group(const state *s, const group *g)
{
    cla_range any = g->blocks[0].any;
    for (int i = 1; i < g->num_blocks; i++)
        any = join_ranges(any, g->blocks[i].any);
    return intersect(any, s->tile.keys);
}

/* Are the values of columns [begin, end) of the tile? */
static bool wide_finite(const state *s, int begin, int end)
{
    const unsigned char *finite = s->task->wide.finite + s->tile.begin / CLA_WIDE_KEYS;
    for (int i = begin / CLA_WIDE_KEYS; i < end / CLA_WIDE_KEYS; i++)
        if (!finite[i])
            return false;
    return true;
}

static float *scores_of(const state *s, int index)
{
    return s->task->scratch + s->at.scores + (size_t)index * BLOCK_ROWS * CLA_SCORE_LD;
}

/* Scores of the group, -inf where a row does not see a key. Returns whether there may be some. */
static bool score_group(const state *s, const group *g, int begin, int end)
{
    const cla_attn *p = s->p;
    const int key = s->tile.begin + begin, steps = (p->D + AMX_STEPS - 1) / AMX_STEPS;
    const size_t row = cla_wide_row_bytes(p);
    const wide_factors f = {
        .a = (const char *)(s->task->scratch + s->at.q) + (size_t)g->first * row,
        .b = s->task->wide.keys + (size_t)(key / CLA_WIDE_KEYS) * cla_wide_key_bytes(p),
        .a_row = row,
        .b_column = cla_wide_key_bytes(p) / 2,
        .b_step = AMX_TILE,
        .c_row = CLA_SCORE_LD * sizeof(float),
    };
    bool partial = false;
    multiply_rows(false, f, g->tiles, steps, end - begin, scores_of(s, 0) + begin);
    for (int i = 0; i < g->num_blocks; i++)
        partial |= finish_scores(s, &g->blocks[i], begin, end, scores_of(s, i));
    return partial;
}

/* o += p v; p is where the scores were. */
static void add_wide_values(const state *s, const group *g, int begin, int end)
{
    const size_t panel = cla_wide_value_bytes(s->p);
    const wide_factors f = {
        .a = (const char *)scores_of(s, 0) + (size_t)begin * HALF_BYTES,
        .b = s->task->wide.values + (size_t)((s->tile.begin + begin) / CLA_WIDE_KEYS) * panel,
        .a_row = CLA_SCORE_LD * sizeof(float),
        .b_column = AMX_TILE,
        .b_step = panel,
        .c_row = (size_t)s->value_ld * sizeof(float),
    };
    multiply_rows(true, f, g->tiles, (end - begin) / CLA_WIDE_KEYS, s->value_ld, g->blocks[0].o);
}

/* A value that is not finite and that some row does not see: key by key, in f32. */
static void add_values_apart(state *s, const group *g, cla_range keys, cla_range columns)
{
    if (!s->tile.v)
        tile_values(s);
    for (int i = 0; i < g->num_blocks; i++) {
        softmax_tile(s, &g->blocks[i], columns.begin, columns.end, scores_of(s, i));
        add_visible_values(s, &g->blocks[i], keys, scores_of(s, i));
    }
}

static void attend_group(state *s, const group *g)
{
    const cla_range keys = keys_of_group(s, g);
    if (keys.begin >= keys.end)
        return;
    const int begin = (keys.begin - s->tile.begin) / CLA_WIDE_KEYS * CLA_WIDE_KEYS;
    const int last = (keys.end - s->tile.begin - 1) / CLA_WIDE_KEYS;
    const int end = (last + 1) * CLA_WIDE_KEYS;
    if (score_group(s, g, begin, end) && !wide_finite(s, begin, end)) {
        add_values_apart(s, g, keys, (cla_range){ begin, end });
        return;
    }
    for (int i = 0; i < g->num_blocks; i++)
        softmax_rows(CLATTN_BF16, s, &g->blocks[i], begin, end, scores_of(s, i));
    add_wide_values(s, g, begin, end);
}

static void attend_wide(const cla_task *t)
{
    state s;
    state_begin(&s, t, cla_wide_scratch_of(t->p, t->rows, t->tile_keys));
    copy_queries(&s, (char *)(t->scratch + s.at.q));
    const size_t rows = (size_t)(t->rows + GROUP_ROWS - 1) / GROUP_ROWS * GROUP_ROWS;
    memset(t->scratch + s.at.o, 0, rows * s.value_ld * sizeof(float));
    memset(t->scratch + s.at.sums, 0, rows * LANES * sizeof(float));
    const cla_range any = keys_of_task(&s);
    for (int begin = any.begin / t->tile_keys * t->tile_keys; begin < any.end;
         begin += t->tile_keys) {
        s.tile = (tile){
            .begin = begin,
            .keys = intersect(any, (cla_range){ begin, begin + t->tile_keys }),
            .finite = -1,
        };
        for (int row = 0; row < t->rows; row += GROUP_ROWS) {
            const group g = group_of(&s, row);
            attend_group(&s, &g);
        }
    }
    for (int i = 0; i < s.num_blocks; i++)
        finish_block(&s, &s.blocks[i], i * BLOCK_ROWS);
}

static void wide_begin(void) { amx_begin(); }
static void wide_end(void) { amx_end(); }

/* n rounds of four products of zeros; returns how many operations that was. */
static double wide_rate(long n)
{
    amx_begin();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    for (long i = 0; i < n; i++) {
        _tile_dpbf16ps(0, 4, 5);
        _tile_dpbf16ps(1, 4, 5);
        _tile_dpbf16ps(2, 4, 5);
        _tile_dpbf16ps(3, 4, 5);
    }
    amx_end();
    return 2.0 * 4 * AMX_SIDE * AMX_SIDE * AMX_STEPS * (double)n;
}

#endif
