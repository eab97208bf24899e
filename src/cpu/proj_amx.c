/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projections of bf16 rows by bf16 or i8 weights in tiles of AMX. Products are exact, sums are f32.
 * Weights are the left factor, in the order they have in memory along M: then x is what has to be
 * turned into columns of pairs, and it is packed once while weights are packed by every task. So
 * sums come out as [slot][row] and are turned at the end.
 *
 * Packed weights: [step][half][slot][32], where a step is 32 columns of x and a half 16 slots.
 * Packed x: [step][half][pair][row][2]. Sums: [half of slots][half of rows][slot][row].
 */
#include "amx.h"
#include "proj_finish.h"

extern const cla_proj_gemm_ops cla_proj_amx_ops;

enum { STEP_BYTES = 2 * AMX_TILE, SUMS = AMX_SIDE * AMX_SIDE };

/* ------------------------------------------------------------------------------------------ */
/* Packing                                                                                    */

/* 32 weights of a slot without their scale, of which n are there, as bf16; i8 is exact in it. */
FN vf weights_along_m(const int type, const char *at, int n)
{
    if (type == CLATTN_BF16)
        return load_pairs_first(at, n);
    const __m256i x = _mm256_maskz_loadu_epi8(first_of_32(n), at);
    const vf low = i8_lanes((vb)_mm256_castsi256_si128(x));
    const vf high = i8_lanes((vb)_mm256_extracti128_si256(x, 1));
    return (vf)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

/* Few rows leave so little to do beside this that memory is asked for the pieces to come. */
FN void pack_slot_along_m(const int type, const char *from, int n, char *to)
{
    enum { AHEAD = 1024 };
    for (int m = 0; m < n; m += AMX_STEPS, to += STEP_BYTES) {
        const char *at = from + (size_t)m * element_bytes(type);
        __builtin_prefetch(at + AHEAD, 0, 2);
        store_f32((float *)to, weights_along_m(type, at, n - m));
    }
}

/* 16 slots that lie side by side in each column: pairs of columns, turned. */
FN void pack_half_along_k(const int type, const char *from, int64_t column, int n, char *to)
{
    for (int m = 0; m < n; m += AMX_STEPS, to += STEP_BYTES) {
        vf pairs[AMX_SIDE];
        for (int i = 0; i < AMX_SIDE; i++, from += 2 * column) {
            const int left = n - m - 2 * i;
            const vf first = left > 0 ? load_weights(type, from) : (vf){ 0 };
            const vf second = left > 1 ? load_weights(type, from + column) : (vf){ 0 };
            pairs[i] = (vf)((vu)first >> 16 | (vu)second); /* the low halves are 0 */
        }
        transpose(pairs);
        UNROLL
        for (int j = 0; j < AMX_SIDE; j++)
            store_f32((float *)(to + j * AMX_LINE), pairs[j]);
    }
}

static void pack_slot_apart(const cla_proj *p, const cla_proj_part *part, int slot, int first,
                            int n, char *to)
{
    source w = source_of(p, part, slot);
    w.factor = 1;
    for (int m = 0; m < n; m += AMX_STEPS, to += STEP_BYTES) {
        float x[AMX_STEPS] = { 0 };
        for (int i = 0; i < AMX_STEPS && m + i < n; i++)
            x[i] = weight(p, part, &w, first + m + i);
        store(CLATTN_BF16, to, load_f32(x));
        store(CLATTN_BF16, to + AMX_LINE / 2, load_f32(x + LANES));
    }
}

FN void pack_half(const int type, const cla_proj *p, const cla_proj_part *part, int slot, int first,
                  int n, char *to)
{
    const int64_t column = part->w.stride[2] * (int64_t)element_bytes(type);
    if (lie_together(p, part, slot, AMX_SIDE)) {
        pack_half_along_k(type, source_of(p, part, slot).at + first * column, column, n, to);
        return;
    }
    for (int j = 0; j < AMX_SIDE; j++, to += AMX_LINE)
        if (p->w_along == CLA_W_ALONG_M)
            pack_slot_along_m(type, source_of(p, part, slot + j).at + first * column, n, to);
        else
            pack_slot_apart(p, part, slot + j, first, n, to);
}

static void pack_weights(const cla_proj *p, const cla_proj_part *part, int slot, int first, int n,
                         void *to)
{
    for (int half = 0; half < CLA_PROJ_PANEL / AMX_SIDE; half++)
        if (p->w_type == CLATTN_I8)
            pack_half(CLATTN_I8, p, part, slot + half * AMX_SIDE, first, n,
                      (char *)to + half * AMX_TILE);
        else
            pack_half(CLATTN_BF16, p, part, slot + half * AMX_SIDE, first, n,
                      (char *)to + half * AMX_TILE);
}

/* 16 rows, with zeros after column n. */
static void pack_rows_half(const cla_proj *p, int row, int first, int n, char *to)
{
    const char *from[AMX_SIDE];
    for (int r = 0; r < AMX_SIDE; r++)
        from[r] = x_row(p, row + r < p->rows ? row + r : p->rows - 1)
                + (size_t)first * sizeof(uint16_t);
    for (int m = 0; m < n; m += AMX_STEPS, to += STEP_BYTES) {
        vf x[AMX_SIDE];
        for (int r = 0; r < AMX_SIDE; r++)
            x[r] = load_pairs_first(from[r] + (size_t)m * sizeof(uint16_t), n - m);
        transpose(x);
        UNROLL
        for (int i = 0; i < AMX_SIDE; i++)
            store_f32((float *)(to + i * AMX_LINE), x[i]);
    }
}

/* multiply() does not read a half without rows. */
static void pack_rows(const cla_proj *p, int row, int first, int n, void *to)
{
    pack_rows_half(p, row, first, n, to);
    if (row + AMX_SIDE < p->rows)
        pack_rows_half(p, row + AMX_SIDE, first, n, (char *)to + AMX_TILE);
}

/* ------------------------------------------------------------------------------------------ */
/* Products                                                                                   */

/* 16 rows. */
static void multiply_half(const char *x, const char *w, int n, float *sums)
{
    _tile_loadd(0, sums, AMX_LINE);
    _tile_loadd(2, sums + 2 * SUMS, AMX_LINE);
    for (int m = 0; m < n; m += AMX_STEPS, x += STEP_BYTES, w += STEP_BYTES) {
        _tile_loadd(4, w, AMX_LINE);
        _tile_loadd(6, x, AMX_LINE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(5, w + AMX_TILE, AMX_LINE);
        _tile_dpbf16ps(2, 5, 6);
    }
    _tile_stored(0, sums, AMX_LINE);
    _tile_stored(2, sums + 2 * SUMS, AMX_LINE);
}

static void multiply_whole(const char *x, const char *w, int n, float *sums)
{
    _tile_loadd(0, sums, AMX_LINE);
    _tile_loadd(1, sums + SUMS, AMX_LINE);
    _tile_loadd(2, sums + 2 * SUMS, AMX_LINE);
    _tile_loadd(3, sums + 3 * SUMS, AMX_LINE);
    for (int m = 0; m < n; m += AMX_STEPS, x += STEP_BYTES, w += STEP_BYTES) {
        _tile_loadd(4, w, AMX_LINE);
        _tile_loadd(6, x, AMX_LINE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, x + AMX_TILE, AMX_LINE);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, w + AMX_TILE, AMX_LINE);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, AMX_LINE);
    _tile_stored(1, sums + SUMS, AMX_LINE);
    _tile_stored(2, sums + 2 * SUMS, AMX_LINE);
    _tile_stored(3, sums + 3 * SUMS, AMX_LINE);
}

static void multiply(const void *x, const void *w, int n, int rows, float *sums)
{
    if (rows > AMX_SIDE)
        multiply_whole(x, w, n, sums);
    else
        multiply_half(x, w, n, sums);
}

/* ------------------------------------------------------------------------------------------ */
/* Results                                                                                    */

static void turn_and_finish(const cla_proj_call *c, int index, int slot, int row, int rows,
                            float *sums)
{
    const cla_proj_part *part = &c->p->part[index];
    float turned[2 * AMX_SIDE * CLA_PROJ_PANEL];
    for (int half = 0; half < 4; half++) { /* 0 and 1: the first 16 slots */
        vf x[AMX_SIDE];
        for (int j = 0; j < AMX_SIDE; j++) {
            x[j] = load_f32(sums + half * SUMS + j * AMX_SIDE);
            if (c->p->w_type == CLATTN_I8)
                x[j] *= splat(source_of(c->p, part, slot + half / 2 * AMX_SIDE + j).factor);
        }
        transpose(x);
        float *to = turned + (half % 2 * CLA_PROJ_PANEL + half / 2) * AMX_SIDE;
        UNROLL
        for (int r = 0; r < AMX_SIDE; r++)
            store_f32(to + r * CLA_PROJ_PANEL, x[r]);
    }
    finish(c, index, slot, row, rows, turned);
}

static void begin(void) { amx_begin(); }
static void end(void) { amx_end(); }

const cla_proj_gemm_ops cla_proj_amx_ops = {
    .begin = begin,
    .end = end,
    .pack_weights = pack_weights,
    .pack_rows = pack_rows,
    .multiply = multiply,
    .finish = turn_and_finish,
};
