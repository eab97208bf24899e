/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projections, one task at a time: packing, a register-blocked product, dot products that read the
 * weights in place, and what happens to sums before they are stored. Compiled once per instruction
 * set; CLA_PROJ_OPS names the table.
 */
#include "proj_finish.h"

extern const cla_proj_ops CLA_PROJ_OPS;

/* Rows of packed x: [columns][12]; weights: [columns][32]. */
enum { BLOCK = 12 };

/* ------------------------------------------------------------------------------------------ */
/* Packing                                                                                    */

/* Columns of M of LANES slots; to is [column][32]. */
typedef struct strip_source {
    const cla_proj *p;
    const cla_proj_part *part;
    source w[LANES];
    int first, n;
} strip_source;

/* Squares of LANES columns, transposed. */
FN void pack_along_m(const int type, const strip_source *s, float *to)
{
    int m = 0;
    for (; m + LANES <= s->n; m += LANES) {
        vf x[LANES];
        UNROLL
        for (int j = 0; j < LANES; j++)
            x[j] = weights_in_order(type, s->p, s->part, &s->w[j], s->first + m);
        transpose(x);
        UNROLL
        for (int j = 0; j < LANES; j++)
            store_f32(to + (size_t)(m + j) * CLA_PROJ_PANEL, x[j]);
    }
    for (; m < s->n; m++)
        for (int j = 0; j < LANES; j++)
            to[(size_t)m * CLA_PROJ_PANEL + j] = weight(s->p, s->part, &s->w[j], s->first + m);
}

/* Slots that lie side by side in memory. */
FN void pack_along_k(const int type, const strip_source *s, float *to)
{
    const int64_t step = s->part->w.stride[2] * (int64_t)element_bytes(type);
    const char *from = s->w[0].at + s->first * step;
    float factor[LANES];
    for (int j = 0; j < LANES; j++)
        factor[j] = s->w[j].factor;
    for (int m = 0; m < s->n; m++, from += step)
        store_f32(to + (size_t)m * CLA_PROJ_PANEL, load_weights(type, from) * load_f32(factor));
}

static void pack_apart(const strip_source *s, float *to)
{
    for (int m = 0; m < s->n; m++)
        for (int j = 0; j < LANES; j++)
            to[(size_t)m * CLA_PROJ_PANEL + j] = weight(s->p, s->part, &s->w[j], s->first + m);
}

FN void pack_typed(const int type, const cla_proj *p, const cla_proj_part *part, int slot,
                   int first, int n, float *to)
{
    for (int c = 0; c < CLA_PROJ_PANEL; c += LANES) {
        strip_source s = { .p = p, .part = part, .first = first, .n = n };
        for (int j = 0; j < LANES; j++)
            s.w[j] = source_of(p, part, slot + c + j);
        if (p->w_along == CLA_W_ALONG_M)
            pack_along_m(type, &s, to + c);
        else if (type != CLATTN_I4 && lie_together(p, part, slot + c, LANES))
            pack_along_k(type, &s, to + c);
        else
            pack_apart(&s, to + c);
    }
}

static void pack_weights(const cla_proj *p, const cla_proj_part *part, int slot, int first, int n,
                         void *to)
{
    BY_STORED(pack_typed, p->w_type, p, part, slot, first, n, to);
}

static void fetch_weights(const cla_proj *p, const cla_proj_part *part, int slot, int first, int n)
{
    if (p->w_along != CLA_W_ALONG_M)
        return;
    const int values = p->w_type == CLATTN_I4 ? 2 : 1; /* of an element */
    const size_t bytes = element_bytes(p->w_type);
    const char *at = source_of(p, part, slot).at + (size_t)(first / values) * bytes;
    for (size_t i = 0; i < (size_t)(n / values) * bytes; i += 64)
        __builtin_prefetch(at + i, 0, 2);
}

/* 12 rows at a time through squares of LANES. */
FN void pack_rows_of(const int type, const cla_proj *p, int row, int first, int n, float *to)
{
    const char *from[BLOCK + LANES];
    for (int r = 0; r < BLOCK + LANES; r++)
        from[r] = x_row(p, row + r < p->rows ? row + r : p->rows - 1);
    for (int m = 0; m < n; m += LANES)
        for (int r = (BLOCK - 1) / LANES * LANES; r >= 0; r -= LANES) {
            vf x[LANES];
            const int columns = n - m < LANES ? n - m : LANES;
            UNROLL
            for (int j = 0; j < LANES; j++)
                x[j] = load_x(type, from[r + j], first + m, p->M);
            transpose(x);
            /* Whole vectors where what they write too much is written over later. */
            float *at = to + (size_t)m * BLOCK + r;
            for (int j = 0; j < columns; j++, at += BLOCK)
                if (r + LANES <= BLOCK || m + j + 1 < n)
                    store_f32(at, x[j]);
                else
                    memcpy(at, &x[j], (size_t)(BLOCK - r) * sizeof(float));
        }
}

static void pack_rows(const cla_proj *p, int row, int first, int n, void *to)
{
    BY_FLOAT(pack_rows_of, p->in_type, p, row, first, n, to);
}

/* ------------------------------------------------------------------------------------------ */
/* Product of packed blocks                                                                   */

/* Two vectors of sums a row: 24 of 32 registers, or 12 of 16. */
#if REGISTERS == 32
#define ROWS 12
#else
#define ROWS 6
#endif

FN void multiply_part(const float *x, const float *w, int n, float *sums)
{
    vf s[ROWS][2];
    UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < 2; j++)
            s[r][j] = load_f32(sums + r * CLA_PROJ_PANEL + j * LANES);
    for (int i = 0; i < n; i++, x += BLOCK, w += CLA_PROJ_PANEL) {
        const vf w0 = load_f32(w), w1 = load_f32(w + LANES);
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            const vf a = splat(x[r]);
            s[r][0] += a * w0;
            s[r][1] += a * w1;
        }
    }
    UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < 2; j++)
            store_f32(sums + r * CLA_PROJ_PANEL + j * LANES, s[r][j]);
}

static void multiply(const void *x, const void *w, int n, int rows, float *sums)
{
    (void)rows; /* those past the last are there */
    for (int c = 0; c < CLA_PROJ_PANEL; c += 2 * LANES)
        for (int r = 0; r < BLOCK; r += ROWS)
            multiply_part((const float *)x + r, (const float *)w + c, n,
                          sums + r * CLA_PROJ_PANEL + c);
}

/* ------------------------------------------------------------------------------------------ */
/* Weights in place                                                                           */

/* i4 vectors hold even columns, then odd ones: x follows. */
static void convert_row(const cla_proj *p, int row, float *to, size_t x_ld)
{
    const char *from = x_row(p, row);
    for (int m = 0; m < (int)x_ld; m += LANES)
        store_f32(to + m, load_x(p->in_type, from, m, p->M));
    for (int m = 0; p->w_type == CLATTN_I4 && m < p->M; m += 2 * LANES) {
        float pairs[2 * LANES];
        memcpy(pairs, to + m, sizeof pairs);
        for (int i = 0; i < LANES; i++) {
            to[m + i] = pairs[2 * i];
            to[m + LANES + i] = pairs[2 * i + 1];
        }
    }
}

enum {
    COLUMNS = 8, /* slots whose weights are read side by side */
    AHEAD = 512, /* bytes of each that are on their way */
};

/* R rows by C slots, 16 sums at most. */
FN void dot_block(const int type, const int R, const int C, const cla_proj *p,
                  const cla_proj_part *part, const source *w, const float *x, size_t x_ld,
                  float *sums)
{
    vf s[4][COLUMNS] = { 0 };
    const int whole = type == CLATTN_I4 ? p->M : p->M / LANES * LANES;
    for (int m = 0; m < whole; m += type == CLATTN_I4 ? 2 * LANES : LANES) {
        const size_t at = type == CLATTN_I4 ? (size_t)m / 2 : m * element_bytes(type);
        if (at % 64 == 0) {
            UNROLL
            for (int c = 0; c < C; c++)
                __builtin_prefetch(w[c].at + at + AHEAD, 0, 2);
        }
        UNROLL
        for (int c = 0; c < C; c++) {
            if (type == CLATTN_I4) {
                vf low, high;
                load_halves(w[c].at + at, &low, &high);
                const vf scale = splat(scale_of(p, part, w[c].scale + m / CLA_PROJ_GROUP));
                UNROLL
                for (int r = 0; r < R; r++) {
                    const float *a = x + r * x_ld + m;
                    s[r][c] += scale * (load_f32(a) * low + load_f32(a + LANES) * high);
                }
            } else {
                const vf b = load_weights(type, w[c].at + at);
                UNROLL
                for (int r = 0; r < R; r++)
                    s[r][c] += load_f32(x + r * x_ld + m) * b;
            }
        }
    }
    UNROLL
    for (int c = 0; c < C; c++) {
        if (whole < p->M) {
            const vf b =
                load_weights_first(type, w[c].at + whole * element_bytes(type), p->M - whole);
            UNROLL
            for (int r = 0; r < R; r++)
                s[r][c] += load_f32(x + r * x_ld + whole) * b;
        }
        UNROLL
        for (int r = 0; r < R; r++)
            sums[r * CLA_PROJ_STRIP + c] = sum_of(s[r][c]) * w[c].factor;
    }
}

FN void dots_along_m(const int type, const cla_proj_call *c, const cla_proj_part *part, int slot,
                     int row, int rows, float *sums)
{
    const cla_proj *p = c->p;
    const size_t ld = c->x_ld;
    for (int j = 0; j < CLA_PROJ_STRIP && slot + j < part->out; j += COLUMNS) {
        source w[COLUMNS];
        for (int i = 0; i < COLUMNS; i++)
            w[i] = source_of(p, part, slot + j + i);
        const float *x = c->x + (size_t)row * ld;
        float *to = sums + j;
        int r = 0;
        for (; r + 4 <= rows; r += 4, x += 4 * ld, to += 4 * CLA_PROJ_STRIP) {
            dot_block(type, 4, COLUMNS / 2, p, part, w, x, ld, to);
            dot_block(type, 4, COLUMNS / 2, p, part, w + COLUMNS / 2, x, ld, to + COLUMNS / 2);
        }
        for (; r + 2 <= rows; r += 2, x += 2 * ld, to += 2 * CLA_PROJ_STRIP)
            dot_block(type, 2, COLUMNS, p, part, w, x, ld, to);
        if (r < rows)
            dot_block(type, 1, COLUMNS, p, part, w, x, ld, to);
    }
}

/* Up to 4 rows by the vectors of a strip, broadcasting numbers of x. */
FN void add_rows(const int type, const int R, const cla_proj *p, const cla_proj_part *part,
                 const source *w, const float *x, size_t x_ld, float *sums)
{
    enum { VECTORS = CLA_PROJ_STRIP / LANES };
    vf s[4][VECTORS] = { 0 };
    const int64_t step = part->w.stride[2] * (int64_t)element_bytes(type);
    const char *from = w[0].at;
    for (int m = 0; m < p->M; m++, from += step) {
        UNROLL
        for (int v = 0; v < VECTORS; v++) {
            const vf b = load_weights(type, from + (size_t)(v * LANES) * element_bytes(type));
            UNROLL
            for (int r = 0; r < R; r++)
                s[r][v] += splat(x[r * x_ld + m]) * b;
        }
    }
    for (int r = 0; r < R; r++)
        for (int v = 0; v < VECTORS; v++)
            for (int j = 0; j < LANES; j++)
                sums[r * CLA_PROJ_STRIP + v * LANES + j] = s[r][v][j] * w[v * LANES + j].factor;
}

/*
 * One row by columns that lie side by side, 8 rows of weights at a time: a strip by itself would
 * read so little of each that neither caches nor address translation keep up.
 */
FN void add_wide(const int type, const cla_proj *p, const cla_proj_part *part, int slot,
                 int columns, const float *x, float *sums)
{
    enum { DEPTH = 8 };
    const int64_t step = part->w.stride[2] * (int64_t)element_bytes(type);
    const char *from = source_of(p, part, slot).at;
    int m = 0;
    for (; m + DEPTH <= p->M; m += DEPTH, from += DEPTH * step)
        for (int j = 0; j < columns; j += LANES) {
            const char *at = from + (size_t)j * element_bytes(type);
            vf s = load_f32(sums + j);
            UNROLL
            for (int i = 0; i < DEPTH; i++)
                s += splat(x[m + i]) * load_weights(type, at + i * step);
            store_f32(sums + j, s);
        }
    for (; m < p->M; m++, from += step)
        for (int j = 0; j < columns; j += LANES)
            store_f32(sums + j,
                      load_f32(sums + j)
                          + splat(x[m])
                                * load_weights(type, from + (size_t)j * element_bytes(type)));
    for (int j = 0; type == CLATTN_I8 && j < columns; j++)
        sums[j] *= source_of(p, part, slot + j).factor;
}

static void add_apart(const cla_proj *p, const cla_proj_part *part, int count, const source *w,
                      const float *x, float *sums)
{
    for (int j = 0; j < count; j++) {
        float sum = 0;
        for (int m = 0; m < p->M; m++)
            sum += x[m] * weight(p, part, &w[j], m);
        sums[j] = sum;
    }
}

FN void dots_along_k(const int type, const cla_proj_call *c, const cla_proj_part *part, int slot,
                     int row, int rows, float *sums)
{
    const cla_proj *p = c->p;
    const int left = part->out - slot, count = left < CLA_PROJ_STRIP ? left : CLA_PROJ_STRIP;
    const bool together = lie_together(p, part, slot, CLA_PROJ_STRIP);
    source w[CLA_PROJ_STRIP];
    for (int j = 0; j < count; j++)
        w[j] = source_of(p, part, slot + j);
    const float *x = c->x + (size_t)row * c->x_ld;
    for (int r = 0; r < rows;) {
        const float *from = x + (size_t)r * c->x_ld;
        float *to = sums + r * CLA_PROJ_STRIP;
        if (!together) {
            add_apart(p, part, count, w, from, to);
            r++;
        } else if (r + 4 <= rows) {
            add_rows(type, 4, p, part, w, from, c->x_ld, to);
            r += 4;
        } else {
            add_rows(type, 1, p, part, w, from, c->x_ld, to);
            r++;
        }
    }
}

static void dots(const cla_proj_call *c, int part, int slot, int row, int rows, float *sums)
{
    const cla_proj_part *of = &c->p->part[part];
    if (c->p->w_along == CLA_W_ALONG_M)
        BY_STORED(dots_along_m, c->p->w_type, c, of, slot, row, rows, sums);
    else
        BY_BYTES(dots_along_k, c->p->w_type, c, of, slot, row, rows, sums);
}

static int wide_dots(const cla_proj_call *c, int index, int slot, int panels, int row, float *sums)
{
    const cla_proj *p = c->p;
    const cla_proj_part *part = &p->part[index];
    const int whole = (part->out - slot) / CLA_PROJ_STRIP, n = panels < whole ? panels : whole;
    const int columns = n * CLA_PROJ_STRIP;
    const float *x = c->x + (size_t)row * c->x_ld;
    if (n == 0 || p->w_type == CLATTN_I4 || !lie_together(p, part, slot, columns))
        return 0;
    BY_BYTES(add_wide, p->w_type, p, part, slot, columns, x, sums);
    return n;
}

const cla_proj_ops CLA_PROJ_OPS = {
    .gemm = {
        .pack_weights = pack_weights,
        .fetch_weights = fetch_weights,
        .pack_rows = pack_rows,
        .multiply = multiply,
        .finish = finish,
    },
    .convert_row = convert_row,
    .dots = dots,
    .wide_dots = wide_dots,
    .finish = finish,
};
