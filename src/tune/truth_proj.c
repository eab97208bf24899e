/* SPDX-License-Identifier: Apache-2.0 */
/* Projections and rotary embedding: single columns, with their partner where pairs turn. */
#include <math.h>

#include "rotary.h"
#include "op_tuning.h"

enum {
    GROUP = 32,
    COLUMNS = 16,
    POSITION = 1000, /* of the first rows */
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
    for (int64_t m = 0; m < p->M; m++) {
        const double term = cla_truth_at(&p->x, x + m) * weight(p, part, h, k, m);
        s.value += term;
        s.size += fabs(term);
    }
    if (part->flags & CLA_PROJ_BIAS) {
        const double bias = cla_truth_at(&part->bias, h * part->bias.stride[0] + k);
        s.value += bias;
        s.size += fabs(bias);
    }
    return s;
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
    const int64_t *y = part->y.stride;
    return cla_truth_near(judge, "y", row, column,
                          cla_truth_at(&part->y, b * y[0] + n * y[1] + h * y[2] + k), s.value,
                          CLA_ROUNDING * (p->M + 32) * s.size
                              + 2 * cla_truth_ulp(p->out_type, fabs(s.value)));
}

static bool projection_holds(const void *problem, const cla_judge *judge)
{
    const cla_proj *p = problem;
    for (int n = 0;; n++) {
        const int64_t row = cla_truth_row(judge, p->rows, 40.0 * COLUMNS * p->parts * p->M, n);
        if (row < 0)
            return true;
        for (int i = 0; i < p->parts; i++)
            for (int c = 0; c < COLUMNS; c++) {
                const int64_t out = p->part[i].out;
                const uint64_t pick = (judge->seed + (uint64_t)n) * 2654435761u + (unsigned)c * 97u;
                const int64_t column = c == 0   ? 0
                                       : c == 1 ? out - 1
                                                : (int64_t)(pick % (uint64_t)out);
                if (!column_holds(p, &p->part[i], judge, row, column))
                    return false;
            }
    }
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

/* Rows that go into a cache are not checked. */
static bool possible(const void *problem)
{
    const cla_proj *p = problem;
    return !p->has_cache;
}

static int32_t position(const void *problem, const cla_view *input, int64_t i)
{
    (void)problem;
    (void)input;
    (void)i;
    return POSITION;
}

static bool corner(void *problem)
{
    cla_proj *p = problem;
    p->B = cla_least(p->B, CLA_CORNER_BATCH);
    p->N = cla_least(p->N, CLA_CORNER_ROWS);
    p->rows = p->B * p->N;
    for (int i = 0; i < p->parts; i++) {
        cla_view_cut(&p->part[i].y, 0, p->B);
        cla_view_cut(&p->part[i].y, 1, p->N);
    }
    return true;
}

const cla_op_tuning cla_tuning_projection = {
    .possible = possible,
    .range = range,
    .integer = position,
    .corner = corner,
    .holds = projection_holds,
};

/* ---- rotary embedding ---- */

static bool rope_holds(const void *problem, const cla_judge *judge)
{
    const cla_rope *p = problem;
    const int64_t total = (int64_t)p->B * p->N * p->H, *x = p->x.stride, *y = p->y.stride;
    for (int number = 0;; number++) {
        const int64_t row = cla_truth_row(judge, total, 100.0 * p->D, number);
        if (row < 0)
            return true;
        const int64_t h = row % p->H, n = row / p->H % p->N, b = row / p->H / p->N;
        const int64_t from = b * x[0] + n * x[1] + h * x[2], to = b * y[0] + n * y[1] + h * y[2];
        const int64_t start =
            p->has_starts ? cla_truth_int(&p->starts, b * p->starts.stride[0]) : p->start;
        for (int64_t k = 0; k < p->D; k++) {
            bool first;
            const int64_t other = partner(p->neox != 0, p->D, k, &first), low = first ? k : other;
            const double u = cla_truth_at(&p->x, from + k), v = cla_truth_at(&p->x, from + other);
            const sums s = turned((sums){ u, fabs(u) }, (sums){ v, fabs(v) }, first, p->ratio,
                                  p->neox ? low : low / 2, start + n);
            if (!cla_truth_near(judge, "y", row, k, cla_truth_at(&p->y, to + k), s.value,
                                16 * CLA_ROUNDING * s.size
                                    + 2 * cla_truth_ulp(p->out_type, fabs(s.value))))
                return false;
        }
    }
}

const cla_op_tuning cla_tuning_rope = { .integer = position, .holds = rope_holds };
