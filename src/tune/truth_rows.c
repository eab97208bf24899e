/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on single rows: merge, functions of rows, embedding. */
#include <math.h>

#include "op_tuning.h"

#define PI 3.14159265358979323846

/* Of this one rounding is what a device may take for 0. */
#define LEAST (0x1p-126 / CLA_ROUNDING)

/* ---- merge ---- */

static bool merge_row(const void *problem, const cla_judge *judge, int64_t row)
{
    const cla_merge *p = problem;
    const int64_t b = row / p->N / p->H, h = row / p->N % p->H, n = row % p->N;
    const int64_t *lp = p->lse_parts.stride, *op = p->o_parts.stride, *o = p->o.stride;
    const int64_t first = b * lp[1] + h * lp[2] + n * lp[3];
    double most = -HUGE_VAL, sum = 0;
    for (int64_t i = 0; i < p->P; i++)
        most = fmax(most, cla_truth_at(&p->lse_parts, first + i * lp[0]));
    for (int64_t i = 0; i < p->P; i++)
        sum += most > -HUGE_VAL ? exp(cla_truth_at(&p->lse_parts, first + i * lp[0]) - most) : 0;
    if (isnan(sum))
        return true;
    for (int64_t d = 0; d < p->Dv; d++) {
        double want = 0, size = 0;
        for (int64_t i = 0; i < p->P && sum > 0; i++) {
            const double w = exp(cla_truth_at(&p->lse_parts, first + i * lp[0]) - most) / sum;
            const double x =
                cla_truth_at(&p->o_parts, i * op[0] + b * op[1] + h * op[2] + n * op[3] + d);
            want += w > 0 ? w * x : 0;
            size += w > 0 ? w * fabs(x) : 0;
        }
        const double allowed = (16 + 2 * p->P + 4 * fabs(fmax(most, 0))) * CLA_ROUNDING * size
                               + 2 * cla_truth_ulp(p->out_type, size);
        if (!cla_truth_near(judge, "o", row, d,
                            cla_truth_at(&p->o, b * o[0] + h * o[1] + n * o[2] + d), want,
                            cla_truth_bound(allowed, size * p->P)))
            return false;
    }
    const int64_t *l = p->lse.stride;
    const double lse = sum > 0 ? most + log(sum) : -HUGE_VAL;
    return !p->has_lse
           || cla_truth_near(judge, "lse", row, 0,
                             cla_truth_at(&p->lse, b * l[0] + h * l[1] + n * l[2]), lse,
                             (16 + 8 * fabs(lse)) * CLA_ROUNDING);
}

static bool merge_holds(const void *problem, const cla_judge *judge)
{
    const cla_merge *p = problem;
    return cla_truth_rows(p, judge, (int64_t)p->B * p->H * p->N, 20.0 * p->P * p->Dv, merge_row);
}

const cla_op_tuning cla_tuning_merge = { .holds = merge_holds };

/* ---- functions of rows ---- */

/* What the elements of a row have in common. */
typedef struct common {
    double mean, size, factor; /* of a norm; size: mean magnitude */
    double most, sum;          /* of a softmax: of scale x, of e^(scale x - most) */
    double reach;              /* of a norm: largest number on the way, or its inverse */
} common;

static common look_at(const cla_rowwise *p, int64_t x)
{
    common c = { .most = -HUGE_VAL };
    double squares = 0;
    for (int64_t i = 0; i < p->M; i++) {
        const double value = cla_truth_at(&p->x, x + i);
        c.mean += value / p->M;
        c.size += fabs(value) / p->M;
        c.most = fmax(c.most, (double)p->scale * value);
    }
    for (int64_t i = 0; i < p->M; i++) {
        const double value = cla_truth_at(&p->x, x + i);
        squares += (value - c.mean) * (value - c.mean);
        c.sum += exp((double)p->scale * value - c.most);
    }
    c.factor = 1 / sqrt(squares / p->M + (double)p->eps);
    if (p->function == CLATTN_ROW_NORM)
        c.reach = fmax(squares + c.size * c.size, c.factor * c.factor);
    return c;
}

/* The result for one element, and in *size how large what it is summed up from may be. */
static double function_of(const cla_rowwise *p, const common *c, double x, int64_t i, double *size)
{
    const double z = (double)p->scale * x - c->most;
    double y;
    switch (p->function) {
    case CLATTN_ROW_NORM: {
        const double w = p->has_weight ? cla_truth_at(&p->weight, i) : 1;
        const double bias = p->has_bias ? cla_truth_at(&p->bias, i) : 0;
        *size = (fabs(x) + c->size + LEAST) * c->factor * fabs(w) + fabs(bias);
        return (x - c->mean) * c->factor * w + bias;
    }
    case CLATTN_ROW_SOFTMAX:
        y = exp(z) / c->sum;
        *size = y * (1 + fabs(z));
        return y;
    case CLATTN_ROW_LOG_SOFTMAX:
        *size = fabs((double)p->scale * x) + fabs(c->most) + log(c->sum);
        return z - log(c->sum);
    case CLATTN_ROW_GELU:
        y = x * erfc(-x * sqrt(0.5)) / 2;
        break;
    case CLATTN_ROW_GELU_TANH:
        y = x / (1 + exp(-2 * sqrt(2 / PI) * (x + 0.044715 * x * x * x)));
        break;
    default:
        y = fmax(x, 0);
    }
    *size = fabs(x);
    return y;
}

static bool row_of_function_holds(const void *problem, const cla_judge *judge, int64_t row)
{
    const cla_rowwise *p = problem;
    const int64_t b = row / p->N, n = row % p->N, *xs = p->x.stride, *ys = p->y.stride;
    const int64_t x = b * xs[0] + n * xs[1], y = b * ys[0] + n * ys[1];
    const double off = CLA_ROUNDING * (32 + 4 * sqrt((double)p->M));
    const common c = look_at(p, x);
    for (int64_t i = 0; i < p->M; i++) {
        double size;
        const double want = function_of(p, &c, cla_truth_at(&p->x, x + i), i, &size);
        const double allowed = off * size + 2 * cla_truth_ulp(p->out_type, fabs(want));
        if (!cla_truth_near(judge, "y", row, i, cla_truth_at(&p->y, y + i), want,
                            cla_truth_bound(allowed, c.reach + size)))
            return false;
    }
    return true;
}

static bool rowwise_holds(const void *problem, const cla_judge *judge)
{
    const cla_rowwise *p = problem;
    return cla_truth_rows(p, judge, (int64_t)p->B * p->N, 200.0 * p->M, row_of_function_holds);
}

/* Rows have the width that kernels are built for; there are fewer of them. */
static bool rowwise_corner(void *problem)
{
    cla_rowwise *p = problem;
    p->B = cla_least(p->B, CLA_CORNER_BATCH);
    p->N = cla_least(p->N, CLA_CORNER_ROWS);
    cla_view_cut(&p->y, 0, p->B);
    cla_view_cut(&p->y, 1, p->N);
    return true;
}

const cla_op_tuning cla_tuning_rowwise = { .corner = rowwise_corner, .holds = rowwise_holds };

/* ---- embedding ---- */

/* All of them are in their tables, and so are the positions that follow a start. */
static int32_t embedding_integer(const void *problem, const cla_view *input, int64_t i)
{
    const cla_embedding *p = problem;
    const int64_t most = input == &p->ids        ? p->V
                         : input == &p->type_ids ? p->T
                         : p->has_positions      ? (int64_t)p->P - p->N + 1
                                                 : 1;
    return most > 1 ? (int32_t)((uint64_t)(i + 1) * UINT64_C(2654435761) % (uint64_t)most) : 0;
}

/* Element m of the row of a table, 0 without one. */
static double entry(const cla_view *table, bool is, int64_t row, int64_t m)
{
    return is ? cla_truth_at(table, row * table->stride[0] + m) : 0;
}

/* Of a number outside a table. */
static bool row_is_nan(const cla_embedding *p, const cla_judge *judge, int64_t row, int64_t y)
{
    for (int64_t m = 0; m < p->M; m++) {
        const double got = cla_truth_at(&p->y, y + m);
        if (!isnan(got))
            return cla_truth_wrong(judge, "y", row, m, got, (double)NAN, 0);
    }
    return true;
}

static bool embedding_row_holds(const void *problem, const cla_judge *judge, int64_t row)
{
    const cla_embedding *p = problem;
    const int64_t b = row / p->N, n = row % p->N;
    const int64_t id = cla_truth_int(&p->ids, b * p->ids.stride[0] + n * p->ids.stride[1]);
    const int64_t start =
        p->has_starts ? cla_truth_int(&p->starts, b * p->starts.stride[0]) : p->start;
    const int64_t type =
        p->has_type_ids
            ? cla_truth_int(&p->type_ids, b * p->type_ids.stride[0] + n * p->type_ids.stride[1])
            : 0;
    const int64_t position = start + n, y = b * p->y.stride[0] + n * p->y.stride[1];
    if (id < 0 || id >= p->V || (p->has_positions && (position < 0 || position >= p->P))
        || (p->has_types && (type < 0 || type >= p->T)))
        return row_is_nan(p, judge, row, y);
    for (int64_t m = 0; m < p->M; m++) {
        const double terms[] = { entry(&p->table, true, id, m),
                                 entry(&p->positions, p->has_positions != 0, position, m),
                                 entry(&p->types, p->has_types != 0, type, m) };
        const double want = terms[0] + terms[1] + terms[2];
        const double size = fabs(terms[0]) + fabs(terms[1]) + fabs(terms[2]);
        const double allowed = 4 * CLA_ROUNDING * size + 2 * cla_truth_ulp(p->out_type, fabs(want));
        if (!cla_truth_near(judge, "y", row, m, cla_truth_at(&p->y, y + m), want,
                            cla_truth_bound(allowed, size)))
            return false;
    }
    return true;
}

static bool embedding_holds(const void *problem, const cla_judge *judge)
{
    const cla_embedding *p = problem;
    return cla_truth_rows(p, judge, (int64_t)p->B * p->N, 30.0 * p->M, embedding_row_holds);
}

const cla_op_tuning cla_tuning_embedding = { .integer = embedding_integer,
                                             .holds = embedding_holds };
