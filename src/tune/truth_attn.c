/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and argmax attention, one row of one head at a time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "op_tuning.h"

enum {
    GROUP = 32,      /* values that share an i4 scale */
    SHORT_ROW = 256, /* keys */
};

/* One row: where it is, and what it sees. */
typedef struct row {
    int64_t b, h, i;
    int64_t q0, k0, nq, nk; /* packed rows before the sequence, and its rows */
    double *score, *error;  /* of each key: -inf where it is not seen, NaN where f32 overflows or
                               an input is no number; how far f32 may be off */
    double *weight;         /* e^score over their sum */
    double most, sum;       /* largest score; sum of e^(score - most), NaN if any score is */
    double slack;           /* weighted mean of the errors */
} row;

/*
 * Row number among all rows of all heads; false: past the end of its sequence, or where another
 * sequence writes too.
 */
static bool locate(const cla_attn *p, int64_t number, row *r)
{
    r->i = number % p->Nq;
    r->h = number / p->Nq % p->Hq;
    r->b = number / p->Nq / p->Hq;
    cla_span q = { 0, p->Nq }, k = { 0, p->Nk };
    if (p->ragged) {
        q = cla_truth_span(&p->cu_q, r->b, p->Tq, p->Nq);
        k = cla_truth_span(&p->cu_k, r->b, p->Tk, p->Nk);
    }
    if (p->has_lengths)
        k.count = cla_within(cla_truth_int(&p->lengths, r->b * p->lengths.stride[0]), 0, p->Nk);
    r->q0 = q.first;
    r->k0 = k.first;
    r->nq = q.count;
    r->nk = k.count;
    return r->i < r->nq
           && !(p->ragged && cla_truth_shared(&p->cu_q, p->B, r->q0 + r->i, p->Tq, p->Nq));
}

static bool visible(const cla_attn *p, const row *r, int64_t j)
{
    const int64_t diagonal = r->i + r->nk - r->nq;
    if ((p->causal == CLATTN_CAUSAL_TOP_LEFT && j > r->i)
        || (p->causal == CLATTN_CAUSAL_BOTTOM_RIGHT && j > diagonal)
        || (p->left != CLA_UNBOUNDED && j < diagonal - p->left)
        || (p->right != CLA_UNBOUNDED && j > diagonal + p->right))
        return false;
    const int64_t *m = p->mask.stride;
    return !p->has_mask
           || CLA_AT(const uint8_t, p->mask)[r->b * m[0] + r->h * m[1] + r->i * m[2] + j * m[3]];
}

/* Element d of key or value row j; scale is its view of scales. */
static double element(const cla_attn *p, const row *r, const cla_view *view, const cla_view *scale,
                      int64_t j, int64_t d)
{
    const int64_t *s = view->stride, *t = scale->stride;
    int64_t outer = p->ragged ? 0 : r->b, inner = r->k0 + j;
    if (p->paged) {
        const int64_t *table = p->table.stride;
        outer =
            cla_within(cla_truth_int(&p->table, r->b * table[0] + (j >> p->page_shift) * table[1]),
                       0, p->last_page);
        inner = j & (((int64_t)1 << p->page_shift) - 1);
    }
    const int64_t head = r->h / p->G, at = outer * s[0] + head * s[1] + inner * s[2];
    const int64_t scale_at = outer * t[0] + head * t[1] + inner * t[2];
    if (view->dtype == CLATTN_I8)
        return CLA_AT(const int8_t, *view)[at + d] * cla_truth_at(scale, scale_at);
    if (view->dtype == CLATTN_I4) {
        const int pair = CLA_AT(const uint8_t, *view)[at + d / 2];
        const int value = (d % 2 ? pair >> 4 : pair) & 15;
        return (value < 8 ? value : value - 16)
               * cla_truth_at(scale, scale_at + d / GROUP * (t[3] ? t[3] : 1));
    }
    return cla_truth_at(view, at + d);
}

static int64_t query_at(const cla_attn *p, const row *r)
{
    const int64_t *s = p->q.stride;
    return (p->ragged ? 0 : r->b * s[0]) + r->h * s[1] + (r->q0 + r->i) * s[2];
}

static void score_key(const cla_attn *p, row *r, int64_t j, bool softmax)
{
    const int64_t q = query_at(p, r);
    double x = 0, size = 0, extra = 0;
    for (int64_t d = 0; d < p->D; d++)
        x += cla_truth_times(cla_truth_at(&p->q, q + d), element(p, r, &p->k, &p->k_scale, j, d),
                             &size);
    if (softmax) {
        const int64_t *s = p->bias.stride;
        x *= (double)p->scale;
        size *= fabs((double)p->scale);
        if (p->has_softcap)
            x = (double)p->softcap * tanh(x / (double)p->softcap);
        if (p->has_alibi)
            extra = -cla_truth_at(&p->alibi, r->h * p->alibi.stride[0])
                    * (double)llabs(r->i + r->nk - r->nq - j);
        x += extra;
        if (p->has_bias) {
            const double bias =
                cla_truth_at(&p->bias, r->b * s[0] + r->h * s[1] + r->i * s[2] + j * s[3]);
            x += bias;
            extra += fabs(bias);
        }
    }
    r->score[j] = isfinite(cla_truth_bound(0, size)) ? x : (double)NAN;
    r->error[j] = CLA_ROUNDING * ((p->D + 8) * size + 8 * (fabs(x) + fabs(extra) + 1));
}

/* Scores of a row and what follows from them; values are looked at by the caller. */
static void weigh(const cla_attn *p, row *r)
{
    const double sink =
        p->has_sinks ? cla_truth_at(&p->sinks, r->h * p->sinks.stride[0]) : -HUGE_VAL;
    r->most = sink;
    r->sum = r->slack = 0;
    double odd = 0; /* or NaN */
    for (int64_t j = 0; j < r->nk; j++) {
        r->score[j] = -HUGE_VAL;
        r->weight[j] = 0;
        if (visible(p, r, j))
            score_key(p, r, j, true);
        odd += isnan(r->score[j]) ? r->score[j] : 0;
        r->most = fmax(r->most, r->score[j]);
    }
    if (r->most == -HUGE_VAL || isnan(odd)) {
        r->sum = r->slack = odd;
        return;
    }
    r->sum = sink > -HUGE_VAL ? exp(sink - r->most) : 0;
    for (int64_t j = 0; j < r->nk; j++)
        if (r->score[j] > -HUGE_VAL)
            r->sum += r->weight[j] = exp(r->score[j] - r->most);
    for (int64_t j = 0; j < r->nk; j++) {
        r->weight[j] /= r->sum;
        r->slack += r->weight[j] > 0 ? r->weight[j] * r->error[j] : 0;
    }
}

static double output(const cla_attn *p, const row *r, int64_t d)
{
    const int64_t *s = p->o.stride;
    return cla_truth_at(&p->o,
                        (p->ragged ? 0 : r->b * s[0]) + r->h * s[1] + (r->q0 + r->i) * s[2] + d);
}

static bool lse_holds(const cla_attn *p, const row *r, const cla_judge *judge, int64_t number)
{
    const int64_t *s = p->lse.stride;
    const double lse = r->sum == 0 ? -HUGE_VAL : r->most + log(r->sum);
    if (!p->has_lse || p->lse.in_work)
        return true;
    const int64_t at = (p->ragged ? 0 : r->b * s[0]) + r->h * s[1] + (r->q0 + r->i) * s[2];
    return cla_truth_near(judge, "lse", number, 0, cla_truth_at(&p->lse, at), lse,
                          r->sum == 0 ? 0 : 2 * r->slack + (32 + 8 * fabs(lse)) * CLA_ROUNDING);
}

static bool probs_hold(const cla_attn *p, const row *r, const cla_judge *judge, int64_t number)
{
    const int64_t h = r->h - p->probs_head, i = r->i - p->probs_row, *s = p->probs.stride;
    if (!p->has_probs || h < 0 || h >= p->probs_heads || i < 0 || i >= p->probs_rows)
        return true;
    for (int64_t j = 0; j < r->nk; j++) {
        const bool seen = r->score[j] > -HUGE_VAL;
        const double want = r->weight[j];
        const double off = seen ? r->error[j] + 2 * r->slack : 0;
        const double got = cla_truth_at(&p->probs, r->b * s[0] + h * s[1] + i * s[2] + j * s[3]);
        if (!cla_truth_near(judge, "probs", number, j, got, want,
                            2 * want * (off + 64 * CLA_ROUNDING) + CLA_FLUSHED))
            return false;
    }
    return true;
}

static bool column_holds(const cla_attn *p, const row *r, const cla_judge *judge, int64_t number,
                         int64_t d)
{
    double want = 0, largest = 0;
    for (int64_t j = 0; j < r->nk; j++)
        if (r->score[j] > -HUGE_VAL) {
            const double v = element(p, r, &p->v, &p->v_scale, j, d);
            want += r->weight[j] * v;
            largest = fmax(largest, fabs(v));
        }
    const double off = 2 * r->slack + CLA_ROUNDING * (32 + 4 * sqrt((double)r->nk));
    const double allowed = largest * off + 2 * cla_truth_ulp(p->out_type, largest) + CLA_FLUSHED;
    return cla_truth_near(judge, "o", number, d, output(p, r, d), want,
                          cla_truth_bound(allowed, largest * (double)r->nk));
}

/* All columns of a short row, some of a long one. */
static bool row_holds(const cla_attn *p, row *r, const cla_judge *judge, int64_t number)
{
    const int64_t step = r->nk <= SHORT_ROW ? 1 : p->Dv / 8 + 1;
    weigh(p, r);
    for (int64_t d = 0; d < p->Dv; d += step)
        if (!column_holds(p, r, judge, number, d))
            return false;
    return column_holds(p, r, judge, number, p->Dv - 1) && lse_holds(p, r, judge, number)
           && probs_hold(p, r, judge, number);
}

/* Is key j as good as any, as far as f32 can tell? */
static bool among_the_best(const row *r, int64_t best, int64_t j)
{
    return r->score[j] > -HUGE_VAL && r->score[best] - r->score[j] <= r->error[best] + r->error[j];
}

static bool is_value(const cla_attn *p, const row *r, int64_t j)
{
    for (int64_t d = 0; d < p->Dv; d++) {
        const double v = j < 0 ? 0 : element(p, r, &p->v, &p->v_scale, j, d);
        const double o = output(p, r, d), off = cla_truth_ulp(p->out_type, fabs(v));
        if (o != v && !(isnan(o) && isnan(v)) && !(fabs(o - v) <= off))
            return false;
    }
    return true;
}

static bool choice_holds(const cla_attn *p, row *r, const cla_judge *judge, int64_t number)
{
    int64_t best = -1, found = -2;
    for (int64_t j = 0; j < r->nk; j++) {
        r->score[j] = -HUGE_VAL;
        if (visible(p, r, j))
            score_key(p, r, j, false);
        if (isnan(r->score[j]))
            return true; /* that loses to any number; which one f32 finds is not known */
        if (r->score[j] > -HUGE_VAL && (best < 0 || r->score[j] > r->score[best]))
            best = j;
    }
    if (p->has_index) {
        const int64_t *s = p->index.stride;
        const int64_t at = (p->ragged ? 0 : r->b * s[0]) + r->h * s[1] + (r->q0 + r->i) * s[2];
        found = cla_truth_int(&p->index, at);
        if (found != best
            && (found < 0 || found >= r->nk || best < 0 || !among_the_best(r, best, found)))
            return cla_truth_wrong(judge, "index", number, 0, (double)found, (double)best, 0);
    }
    if (best < 0 || found >= 0)
        return is_value(p, r, found < 0 ? -1 : found)
               || cla_truth_wrong(judge, "o", number, 0, output(p, r, 0),
                                  found < 0 ? 0 : element(p, r, &p->v, &p->v_scale, found, 0), 0);
    for (int64_t j = 0; j < r->nk; j++)
        if (among_the_best(r, best, j) && is_value(p, r, j))
            return true;
    return cla_truth_wrong(judge, "o", number, 0, output(p, r, 0),
                           element(p, r, &p->v, &p->v_scale, best, 0), 0);
}

typedef bool (*holds_fn)(const cla_attn *p, row *r, const cla_judge *judge, int64_t number);

/* With memory for what its keys are worth. */
static bool on_row(const cla_attn *p, const cla_judge *judge, int64_t number, holds_fn holds)
{
    const size_t keys = (size_t)p->Nk + 1;
    double *numbers = malloc(3 * keys * sizeof *numbers);
    if (!numbers) {
        snprintf(judge->why, judge->size, "out of host memory for a check");
        *judge->blind = true;
        return false;
    }
    row r = { .score = numbers, .error = numbers + keys, .weight = numbers + 2 * keys };
    const bool good = !locate(p, number, &r) || holds(p, &r, judge, number);
    free(numbers);
    return good;
}

static bool attention_row(const void *problem, const cla_judge *judge, int64_t number)
{
    return on_row(problem, judge, number, row_holds);
}

static bool argmax_row(const void *problem, const cla_judge *judge, int64_t number)
{
    return on_row(problem, judge, number, choice_holds);
}

static bool all_hold(const cla_attn *p, const cla_judge *judge, cla_truth_of_row holds)
{
    return cla_truth_rows(p, judge, (int64_t)p->B * p->Hq * p->Nq, 20.0 * p->Nk * (p->D + p->Dv),
                          holds);
}

static bool attention_holds(const void *problem, const cla_judge *judge)
{
    return all_hold(problem, judge, attention_row);
}

static bool argmax_holds(const void *problem, const cla_judge *judge)
{
    return all_hold(problem, judge, argmax_row);
}

/* ---- tensors to tune with ---- */

static cla_range range(const void *problem, const cla_view *input)
{
    const cla_attn *p = problem;
    return input == &p->k_scale || input == &p->v_scale ? cla_range_scales : cla_range_usual;
}

static int32_t integer(const void *problem, const cla_view *input, int64_t i)
{
    const cla_attn *p = problem;
    if (input == &p->cu_q || input == &p->cu_k)
        return cla_packed_start(input, i, input == &p->cu_q ? p->Tq : p->Tk);
    if (input == &p->table)
        return cla_scattered_page(i, (int64_t)p->last_page + 1);
    return p->Nk; /* lengths */
}

static bool corner(void *problem)
{
    cla_attn *p = problem;
    cla_view *outputs[] = { &p->o, &p->lse, &p->index };
    if (p->ragged || p->has_lengths || p->has_probs || p->has_stats)
        return false;
    p->B = cla_least(p->B, CLA_CORNER_BATCH);
    p->Hk = cla_least(p->Hk, CLA_CORNER_HEADS);
    p->Hq = p->Hk * p->G;
    p->Nq = p->Tq = cla_least(p->Nq, CLA_CORNER_ROWS);
    p->Nk = p->Tk = cla_least(p->Nk, CLA_CORNER_KEYS);
    for (int i = 0; i < 3; i++) {
        cla_view_cut(outputs[i], 0, p->B);
        cla_view_cut(outputs[i], 1, p->Hq);
        cla_view_cut(outputs[i], 2, p->Nq);
    }
    return true;
}

const cla_op_tuning cla_tuning_attention = {
    .range = range,
    .integer = integer,
    .corner = corner,
    .holds = attention_holds,
};

const cla_op_tuning cla_tuning_argmax = {
    .range = range,
    .integer = integer,
    .corner = corner,
    .holds = argmax_holds,
};
