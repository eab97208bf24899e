/* SPDX-License-Identifier: Apache-2.0 */
/* Projections and rotary embedding: single columns, with their partner where pairs turn. */
#include <math.h>

#include "rotary.h"
#include "op_tuning.h"

enum {
    GROUP = 32,
    COLUMNS = 16,
    POSITION = 1000, /* of the first rows */
    CACHED = 21,     /* rows of a cache before those, if there is room */
};

typedef struct sums {
    double value, size; /* with the magnitude of its terms */
} sums;

/* The column that turns with column k, and whether k is the first of the two. */
static int64_t partner(bool neox, int64_t K, int64_t k, bool *first)
{
    *first = neox ? k < K / 2 : k % 2 == 0;
    return neox ? (k + K / 2) % K : k ^ 1;
}

static sums turned(sums own, sums other, bool first, int64_t ratio, int64_t pair, int64_t position)
{
    const uint64_t turns = cla_rotary_turns(ratio, (int)pair) * (uint64_t)position;
    const double angle = (double)(int64_t)turns * 0x1p-64 * 6.283185307179586;
    const double c = cos(angle), s = sin(angle);
    return (sums){ own.value * c + (first ? -other.value : other.value) * s,
                   own.size + other.size };
}

static double weight(const cla_proj *p, const cla_proj_part *part, int64_t h, int64_t k, int64_t m)
{
    const int64_t *w = part->w.stride, *s = part->scale.stride;
    const int64_t at = h * w[0] + k * w[1], scale = h * s[0] + k * s[1];
    if (p->w_type == CLATTN_I8)
        return CLA_AT(const int8_t, part->w)[at + m * w[2]] * cla_truth_at(&part->scale, scale);
    if (p->w_type == CLATTN_I4) {
        const int pair = CLA_AT(const uint8_t, part->w)[at + m / 2 * w[2]];
        const int value = (m % 2 ? pair >> 4 : pair) & 15;
        return (value < 8 ? value : value - 16)
               * cla_truth_at(&part->scale, scale + m / GROUP * (s[2] ? s[2] : 1));
    }
    return cla_truth_at(&part->w, at + m * w[2]);
}

/* The product and the bias of a column. */
static sums product(const cla_proj *p, const cla_proj_part *part, int64_t b, int64_t n, int64_t h,
                    int64_t k)
{
    const int64_t x = b * p->x.stride[0] + n * p->x.stride[1];
    sums s = { 0, 0 };
    for (int64_t m = 0; m < p->M; m++)
        s.value += cla_truth_times(cla_truth_at(&p->x, x + m), weight(p, part, h, k, m), &s.size);
    if (part->flags & CLA_PROJ_BIAS) {
        const double bias = cla_truth_at(&part->bias, h * part->bias.stride[0] + k);
        s.value += bias;
        s.size += fabs(bias);
    }
    return s;
}

/* Where row n of batch b starts in y; integers lie in host memory. */
static int64_t y_row(const cla_proj *p, const cla_proj_part *part, int64_t b, int64_t n)
{
    const int64_t *y = part->y.stride;
    if (!(part->flags & CLA_PROJ_CACHE))
        return b * y[0] + n * y[1];
    const int64_t at = cla_truth_int(&p->cached, b * p->cached.stride[0]) + n;
    const int64_t *table = p->table.stride;
    const int64_t page = cla_within(
        cla_truth_int(&p->table, b * table[0] + (at >> p->page_shift) * table[1]), 0, p->last_page);
    return page * y[0] + (at & (((int64_t)1 << p->page_shift) - 1)) * y[1];
}

static bool column_holds(const cla_proj *p, const cla_proj_part *part, const cla_judge *judge,
                         int64_t row, int64_t column)
{
    const int64_t b = row / p->N, n = row % p->N, h = column / part->K, k = column % part->K;
    sums s = product(p, part, b, n, h, k);
    if (part->flags & CLA_PROJ_ROTARY) {
        bool first;
        const bool neox = (part->flags & CLA_PROJ_NEOX) != 0;
        const int64_t other = partner(neox, part->K, k, &first), low = first ? k : other;
        const int64_t start =
            p->has_starts ? cla_truth_int(&p->starts, b * p->starts.stride[0]) : p->start;
        s = turned(s, product(p, part, b, n, h, other), first, part->ratio, neox ? low : low / 2,
                   start + n);
    }
    if (part->flags & CLA_PROJ_RESIDUAL) {
        const int64_t *r = part->residual.stride;
        const double residual = cla_truth_at(&part->residual, b * r[0] + n * r[1] + h * r[2] + k);
        s.value += residual;
        s.size += fabs(residual);
    }
    const int64_t at = y_row(p, part, b, n) + h * part->y.stride[2] + k;
    const double allowed = (p->M + 32) * (CLA_ROUNDING * s.size + 0x1p-126)
                           + 2 * cla_truth_ulp(p->out_type, fabs(s.value));
    return cla_truth_near(judge, "y", row, column, cla_truth_at(&part->y, at), s.value,
                          cla_truth_bound(allowed, s.size));
}

static bool row_holds(const void *problem, const cla_judge *judge, int64_t row)
{
    const cla_proj *p = problem;
    for (int i = 0; i < p->parts; i++)
        for (int c = 0; c < COLUMNS; c++) {
            const int64_t out = p->part[i].out;
            const uint64_t pick = (judge->seed + (uint64_t)row) * 2654435761u + (unsigned)c * 97u;
            const int64_t column = c == 0 ? 0 : c == 1 ? out - 1 : (int64_t)(pick % (uint64_t)out);
            if (!column_holds(p, &p->part[i], judge, row, column))
                return false;
        }
    return true;
}

static bool projection_holds(const void *problem, const cla_judge *judge)
{
    const cla_proj *p = problem;
    return cla_truth_rows(p, judge, p->rows, 40.0 * COLUMNS * p->parts * p->M, row_holds);
}

/* ---- tensors to tune projections with ---- */

static cla_range range(const void *problem, const cla_view *input)
{
    const cla_proj *p = problem;
    for (int i = 0; i < p->parts; i++)
        if (input == &p->part[i].scale)
            return cla_range_scales;
    return cla_range_usual;
}

/* Do rows that follow this many fit into the cache, each sequence on pages of its own? */
static bool fit_after(const cla_proj *p, int64_t before)
{
    const int64_t rows = before + p->N, page_rows = (int64_t)1 << p->page_shift;
    const int64_t pages = (rows + page_rows - 1) / page_rows;
    for (int i = 0; i < p->parts; i++)
        if ((p->part[i].flags & CLA_PROJ_CACHE) && rows > p->table.shape[1] * p->part[i].y.shape[1])
            return false;
    return pages * p->B <= (int64_t)p->last_page + 1;
}

static bool possible(const void *problem)
{
    const cla_proj *p = problem;
    return !p->has_cache || fit_after(p, 0);
}

/* No two sequences have a page in common. */
static int32_t integer(const void *problem, const cla_view *input, int64_t i)
{
    const cla_proj *p = problem;
    if (input == &p->cached)
        return fit_after(p, CACHED) ? CACHED : 0;
    if (input == &p->table) {
        const int64_t b = p->B > 1 ? i / p->table.stride[0] : 0, page = i - b * p->table.stride[0];
        return cla_scattered_page(page * p->B + b, (int64_t)p->last_page + 1);
    }
    return POSITION;
}

static bool corner(void *problem)
{
    cla_proj *p = problem;
    p->B = cla_least(p->B, CLA_CORNER_BATCH);
    p->N = cla_least(p->N, CLA_CORNER_ROWS);
    p->rows = p->B * p->N;
    for (int i = 0; i < p->parts; i++)
        if (!(p->part[i].flags & CLA_PROJ_CACHE)) {
            cla_view_cut(&p->part[i].y, 0, p->B);
            cla_view_cut(&p->part[i].y, 1, p->N);
        }
    return true;
}

/* Of a cache only the new rows, else the whole of y. */
static bool piece(const void *problem, const cla_view *output, int64_t i, cla_view *out)
{
    const cla_proj *p = problem;
    const cla_proj_part *part = p->part;
    while (&part->y != output)
        part++;
    const bool cache = (part->flags & CLA_PROJ_CACHE) != 0;
    *out = *output;
    if (!cache || i >= p->rows)
        return i < (cache ? p->rows : 1);
    out->offset += y_row(p, part, i / p->N, i % p->N);
    out->shape[0] = out->shape[1] = 1;
    out->stride[0] = out->stride[1] = 0;
    return true;
}

const cla_op_tuning cla_tuning_projection = {
    .possible = possible,
    .range = range,
    .integer = integer,
    .corner = corner,
    .piece = piece,
    .holds = projection_holds,
};

/* ---- rotary embedding ---- */

static int32_t rope_integer(const void *problem, const cla_view *input, int64_t i)
{
    (void)problem;
    (void)input;
    (void)i;
    return POSITION;
}

static bool rope_row_holds(const void *problem, const cla_judge *judge, int64_t row)
{
    const cla_rope *p = problem;
    const int64_t h = row % p->H, n = row / p->H % p->N, b = row / p->H / p->N;
    const int64_t *x = p->x.stride, *y = p->y.stride;
    const int64_t from = b * x[0] + n * x[1] + h * x[2], to = b * y[0] + n * y[1] + h * y[2];
    const int64_t start =
        p->has_starts ? cla_truth_int(&p->starts, b * p->starts.stride[0]) : p->start;
    for (int64_t k = 0; k < p->D; k++) {
        bool first;
        const int64_t other = partner(p->neox != 0, p->D, k, &first), low = first ? k : other;
        const double u = cla_truth_at(&p->x, from + k), v = cla_truth_at(&p->x, from + other);
        const sums s = turned((sums){ u, fabs(u) }, (sums){ v, fabs(v) }, first, p->ratio,
                              p->neox ? low : low / 2, start + n);
        const double allowed =
            16 * CLA_ROUNDING * s.size + 2 * cla_truth_ulp(p->out_type, fabs(s.value));
        if (!cla_truth_near(judge, "y", row, k, cla_truth_at(&p->y, to + k), s.value,
                            cla_truth_bound(allowed, s.size)))
            return false;
    }
    return true;
}

static bool rope_holds(const void *problem, const cla_judge *judge)
{
    const cla_rope *p = problem;
    return cla_truth_rows(p, judge, (int64_t)p->B * p->N * p->H, 100.0 * p->D, rope_row_holds);
}

const cla_op_tuning cla_tuning_rope = { .integer = rope_integer, .holds = rope_holds };
