/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention: rows by their pairs of query and key, states by sums over the keys. */
#include <math.h>
#include <stddef.h>

#include "op_tuning.h"

enum { STATE_ROWS = 3 };

typedef struct span {
    int64_t q0, k0, nq, nk;
} span;

static span span_of(const cla_linear *p, int64_t b)
{
    if (!p->ragged)
        return (span){ 0, 0, p->Nq, p->Nk };
    const cla_span q = cla_truth_span(&p->cu_q, b, p->Tq, p->Nq);
    const cla_span k = cla_truth_span(&p->cu_k, b, p->Tk, p->Nk);
    return (span){ q.first, k.first, q.count, k.count };
}

/* When causal, both cu_seqlens must be the same: nothing is promised of others. */
static bool promised(const cla_linear *p, const span *s)
{
    return !p->causal || (s->q0 == s->k0 && s->nq == s->nk);
}

static int64_t row_at(const cla_linear *p, const cla_view *view, int64_t b, int64_t h, int64_t i)
{
    return (p->ragged ? 0 : b * view->stride[0]) + h * view->stride[1] + i * view->stride[2];
}

static double mapped(const cla_linear *p, double x)
{
    switch (p->map) {
    case CLATTN_MAP_RELU:
        return x > 0 || isnan(x) ? x : 0;
    case CLATTN_MAP_ELU1:
        return x > 0 ? x + 1 : exp(x);
    case CLATTN_MAP_EXP:
        return exp(x);
    default:
        return x;
    }
}

/* Feature f of the row at x, each number times factor. */
static double feature(const cla_linear *p, const cla_view *view, int64_t at, double factor,
                      int64_t f)
{
    const int64_t D = p->D;
    if (p->map != CLATTN_MAP_POLY2)
        return mapped(p, factor * cla_truth_at(view, at + f));
    if (f == 0)
        return (double)p->c;
    if (f <= D)
        return sqrt(2 * (double)p->c) * factor * cla_truth_at(view, at + f - 1);
    if (f <= 2 * D)
        return pow(factor * cla_truth_at(view, at + f - 1 - D), 2);
    int64_t a = 0, left = f - 1 - 2 * D;
    for (; left >= D - 1 - a; a++)
        left -= D - 1 - a;
    return sqrt(2) * factor * factor * cla_truth_at(view, at + a)
           * cla_truth_at(view, at + a + 1 + left);
}

/* phi(q).phi(k), and in *size the sum of the magnitudes of its terms. */
static double kernel_of(const cla_linear *p, int64_t q, int64_t k, double *size)
{
    const double scale = (double)p->scale;
    double sum = 0, total = 0;
    for (int64_t d = 0; d < p->D; d++) {
        double x = scale * cla_truth_at(&p->q, q + d), y = cla_truth_at(&p->k, k + d);
        if (p->map != CLATTN_MAP_POLY2) {
            x = mapped(p, x);
            y = mapped(p, y);
        }
        sum += x * y;
        total += fabs(x * y);
    }
    const double c = (double)p->c;
    *size = p->map == CLATTN_MAP_POLY2 ? (total + c) * (total + c) : total;
    return p->map == CLATTN_MAP_POLY2 ? (sum + c) * (sum + c) : sum;
}

/* A sum of weights times values, one column (or the weights alone), with its magnitude. */
typedef struct sums {
    double value, size;
} sums;

static void add(sums *s, double w, double w_size, double v)
{
    s->value += w * v;
    s->size += w_size * fabs(v);
}

/* Column d of the numerator; d = -1: the denominator. */
static sums column(const cla_linear *p, const span *s, int64_t b, int64_t h, int64_t i, int64_t d)
{
    const int64_t hk = h / p->G, q = row_at(p, &p->q, b, h, s->q0 + i);
    const int64_t last = p->causal ? i + 1 : s->nk;
    sums out = { 0, 0 };
    for (int64_t j = 0; j < last; j++) {
        double size;
        const double w = kernel_of(p, q, row_at(p, &p->k, b, hk, s->k0 + j), &size);
        add(&out, w, size, d < 0 ? 1 : cla_truth_at(&p->v, row_at(p, &p->v, b, hk, s->k0 + j) + d));
    }
    for (int64_t f = 0; p->has_in && f < p->F; f++) {
        const double w = feature(p, &p->q, q, (double)p->scale, f);
        const int64_t *z = p->in_z.stride, *kv = p->in_kv.stride;
        add(&out, w, fabs(w),
            d < 0 ? cla_truth_at(&p->in_z, b * z[0] + hk * z[1] + f)
                  : cla_truth_at(&p->in_kv, b * kv[0] + hk * kv[1] + f * kv[2] + d));
    }
    return out;
}

/* The largest magnitude among n numbers, or of their features with a map; infinity for NaN. */
static double largest_of(const cla_linear *p, const cla_view *view, int64_t at, int64_t n,
                         bool features)
{
    double most = 1;
    for (int64_t d = 0; d < n; d++) {
        const double x = cla_truth_at(view, at + d);
        const double y = !features                    ? x
                         : p->map == CLATTN_MAP_POLY2 ? x * x + (double)p->c
                                                      : mapped(p, x);
        most = isnan(x) ? HUGE_VAL : fmax(most, fmax(fabs(x), fabs(y)));
    }
    return most;
}

/* How large a number can become in the state after so many keys, in any order and form. */
static double state_reach(const cla_linear *p, const span *s, int64_t b, int64_t hk, int64_t last)
{
    const int64_t *z = p->in_z.stride, *kv = p->in_kv.stride;
    double keys = 1, values = 1;
    for (int64_t j = 0; j < last; j++) {
        keys = fmax(keys, largest_of(p, &p->k, row_at(p, &p->k, b, hk, s->k0 + j), p->D, true));
        values =
            fmax(values, largest_of(p, &p->v, row_at(p, &p->v, b, hk, s->k0 + j), p->Dv, false));
    }
    double state = keys * values * (double)(last + 1);
    for (int64_t f = 0; p->has_in && f < p->F; f++) {
        state = fmax(state, largest_of(p, &p->in_z, b * z[0] + hk * z[1] + f, 1, false));
        state =
            fmax(state, largest_of(p, &p->in_kv, b * kv[0] + hk * kv[1] + f * kv[2], p->Dv, false));
    }
    return state;
}

/* The same on the way to a row. */
static double reach_of(const cla_linear *p, const span *s, int64_t b, int64_t h, int64_t i)
{
    const double state = state_reach(p, s, b, h / p->G, p->causal ? i + 1 : s->nk);
    const double scale = fmax(1, fabs((double)p->scale));
    const double query = largest_of(p, &p->q, row_at(p, &p->q, b, h, s->q0 + i), p->D, true);
    return state * query * scale * scale * p->F;
}

static bool row_holds(const void *problem, const cla_judge *judge, int64_t number)
{
    const cla_linear *p = problem;
    const int64_t i = number % p->Nq, h = number / p->Nq % p->Hq, b = number / p->Nq / p->Hq;
    const span s = span_of(p, b);
    if (i >= s.nq || !promised(p, &s)
        || (p->ragged && cla_truth_shared(&p->cu_q, p->B, s.q0 + i, p->Tq, p->Nq)))
        return true;
    const double off = CLA_ROUNDING * (2 * p->D + 64 + 4 * sqrt((double)s.nk + p->F));
    const double reach = reach_of(p, &s, b, h, i);
    if (!isfinite(cla_truth_bound(0, reach)))
        return true;
    const sums den = p->normalized ? column(p, &s, b, h, i, -1) : (sums){ 1, 1 };
    if (off * den.size > fabs(den.value) / 4 || (den.size > 0 && den.size < 0x1p-90))
        return true; /* f32 cannot tell the denominator from 0 */
    const int64_t columns[] = { 0, p->Dv / 2, p->Dv - 1, (int64_t)(judge->seed % (unsigned)p->Dv) };
    for (int k = 0; k < 4; k++) {
        const sums num = column(p, &s, b, h, i, columns[k]);
        const double want = den.value == 0 ? 0 : num.value / den.value;
        const double error = 2 * off * (num.size + fabs(want) * den.size) + CLA_FLUSHED * reach;
        const double allowed =
            den.value == 0 ? 0
                           : error / fabs(den.value) + 2 * cla_truth_ulp(p->out_type, fabs(want));
        const double got = cla_truth_at(&p->o, row_at(p, &p->o, b, h, s.q0 + i) + columns[k]);
        if (!cla_truth_near(judge, "o", number, columns[k], got, want, allowed))
            return false;
    }
    return true;
}

static bool state_holds(const cla_linear *p, const cla_judge *judge, int64_t b, int64_t h,
                        int64_t f, int64_t d)
{
    const span s = span_of(p, b);
    const int64_t *kv = p->in_kv.stride, *z = p->in_z.stride;
    if (!promised(p, &s))
        return true;
    sums wide = { 0, 0 }, thin = { 0, 0 };
    if (p->has_in) {
        add(&wide, 1, 1, cla_truth_at(&p->in_kv, b * kv[0] + h * kv[1] + f * kv[2] + d));
        add(&thin, 1, 1, cla_truth_at(&p->in_z, b * z[0] + h * z[1] + f));
    }
    for (int64_t j = 0; j < s.nk; j++) {
        const double w = feature(p, &p->k, row_at(p, &p->k, b, h, s.k0 + j), 1, f);
        add(&wide, w, fabs(w), cla_truth_at(&p->v, row_at(p, &p->v, b, h, s.k0 + j) + d));
        add(&thin, w, fabs(w), 1);
    }
    const double off = CLA_ROUNDING * (64 + 4 * sqrt((double)s.nk));
    const double reach = state_reach(p, &s, b, h, s.nk), flushed = CLA_FLUSHED * reach;
    kv = p->out_kv.stride;
    z = p->out_z.stride;
    return cla_truth_near(judge, "state_out_kv", f, d,
                          cla_truth_at(&p->out_kv, b * kv[0] + h * kv[1] + f * kv[2] + d),
                          wide.value, cla_truth_bound(off * wide.size + flushed, reach))
           && cla_truth_near(judge, "state_out_z", f, 0,
                             cla_truth_at(&p->out_z, b * z[0] + h * z[1] + f), thin.value,
                             cla_truth_bound(off * thin.size + flushed, reach));
}

static bool holds(const void *problem, const cla_judge *judge)
{
    const cla_linear *p = problem;
    const double features = p->has_in ? 4.0 * p->F : 0;
    if (!cla_truth_rows(p, judge, (int64_t)p->B * p->Hq * p->Nq,
                        50.0 * p->Nk * p->D + 50 * features, row_holds))
        return false;
    for (int n = 0; p->has_out && n < STATE_ROWS; n++) {
        const uint64_t pick = (judge->seed + 1) * (uint64_t)(n + 1) * 7919;
        const int64_t b = n == 0 ? 0 : p->B - 1, h = n == 0 ? 0 : p->Hk - 1;
        const int64_t f = n == 0 ? 0 : n == 1 ? p->F - 1 : (int64_t)(pick % (unsigned)p->F);
        if (!state_holds(p, judge, b, h, f, n == 0 ? 0 : (int64_t)(pick % (unsigned)p->Dv)))
            return false;
    }
    return true;
}

/* ---- tensors to tune with ---- */

/* The sums of the state: no denominator may come near 0. */
static cla_range range(const void *problem, const cla_view *input)
{
    const cla_linear *p = problem;
    return input == &p->in_z ? (cla_range){ 1, 9 } : cla_range_usual;
}

static int32_t integer(const void *problem, const cla_view *input, int64_t i)
{
    const cla_linear *p = problem;
    return cla_packed_start(input, i, input == &p->cu_q ? p->Tq : p->Tk);
}

static bool corner(void *problem)
{
    cla_linear *p = problem;
    cla_view *states[] = { &p->out_kv, &p->out_z };
    if (p->ragged)
        return false;
    p->B = cla_least(p->B, CLA_CORNER_BATCH);
    p->Hk = cla_least(p->Hk, CLA_CORNER_HEADS);
    p->Hq = p->Hk * p->G;
    p->Nk = p->Tk = cla_least(p->Nk, CLA_CORNER_KEYS);
    p->Nq = p->Tq = cla_least(p->Nq, p->causal ? CLA_CORNER_KEYS : CLA_CORNER_ROWS);
    cla_view_cut(&p->o, 0, p->B);
    cla_view_cut(&p->o, 1, p->Hq);
    cla_view_cut(&p->o, 2, p->Nq);
    for (int i = 0; i < 2; i++) {
        cla_view_cut(states[i], 0, p->B);
        cla_view_cut(states[i], 1, p->Hk);
    }
    return true;
}

const cla_op_tuning cla_tuning_linear_attention = {
    .range = range,
    .integer = integer,
    .corner = corner,
    .holds = holds,
};
