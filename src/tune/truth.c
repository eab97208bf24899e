/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing what to look at, and the plainest operations. */
#include "truth.h"

#include <math.h>
#include <stdio.h>

#include "truth_parts.h"

enum { MIN_ROWS = 4, MAX_ROWS = 64 };
#define OPERATIONS 4e6 /* spent on one result, about */

double cla_truth_at(const cla_view *view, int64_t i)
{
    const size_t size = clattn_dtype_size((clattn_dtype)view->dtype);
    float x;
    clattn_to_f32((clattn_dtype)view->dtype,
                  (const char *)view->host + (size_t)(view->offset + i) * size, &x, 1);
    return (double)x;
}

int64_t cla_truth_int(const cla_view *view, int64_t i)
{
    return CLA_AT(const int32_t, *view)[i];
}

double cla_truth_ulp(int32_t dtype, double magnitude)
{
    switch (dtype) {
    case CLATTN_F16:
        return fmax(0x1p-10 * magnitude, 0x1p-24);
    case CLATTN_BF16:
        return 0x1p-7 * magnitude;
    default:
        return 0x1p-23 * magnitude;
    }
}

int64_t cla_truth_row(const cla_judge *judge, int64_t total, double cost, int n)
{
    const double affordable = fmin(fmax(OPERATIONS / fmax(cost, 1), MIN_ROWS), MAX_ROWS);
    if ((double)total <= affordable)
        return n < total ? n : -1;
    if (n >= (int)affordable)
        return -1;
    if (n < 2)
        return n ? total - 1 : 0;
    uint64_t x = judge->seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)n;
    x = (x ^ x >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 29) * UINT64_C(0x94d049bb133111eb);
    return (int64_t)((x >> 1) % (uint64_t)total);
}

bool cla_truth_wrong(const cla_judge *judge, const char *name, int64_t row, int64_t column,
                     double got, double want, double allowed)
{
    snprintf(judge->why, judge->size, "%s is %g in row %lld, column %lld; %g is right, within %.2g",
             name, got, (long long)row, (long long)column, want, allowed);
    return false;
}

bool cla_truth_near(const cla_judge *judge, const char *name, int64_t row, int64_t column,
                    double got, double want, double allowed)
{
    return (isnan(want) ? isnan(got) : got == want || fabs(got - want) <= allowed)
           || cla_truth_wrong(judge, name, row, column, got, want, allowed);
}

/* ---- merge ---- */

static bool merge_row(const cla_merge *p, const cla_judge *judge, int64_t row)
{
    const int64_t b = row / p->N / p->H, h = row / p->N % p->H, n = row % p->N;
    const int64_t *lp = p->lse_parts.stride, *op = p->o_parts.stride, *o = p->o.stride;
    const int64_t first = b * lp[1] + h * lp[2] + n * lp[3];
    double most = -HUGE_VAL, sum = 0;
    for (int64_t i = 0; i < p->P; i++)
        most = fmax(most, cla_truth_at(&p->lse_parts, first + i * lp[0]));
    for (int64_t i = 0; i < p->P; i++)
        sum += most > -HUGE_VAL ? exp(cla_truth_at(&p->lse_parts, first + i * lp[0]) - most) : 0;
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
                            cla_truth_at(&p->o, b * o[0] + h * o[1] + n * o[2] + d), want, allowed))
            return false;
    }
    const int64_t *l = p->lse.stride;
    const double lse = sum > 0 ? most + log(sum) : -HUGE_VAL;
    return !p->has_lse
           || cla_truth_near(judge, "lse", row, 0,
                             cla_truth_at(&p->lse, b * l[0] + h * l[1] + n * l[2]), lse,
                             (16 + 8 * fabs(lse)) * CLA_ROUNDING);
}

static bool merge_holds(const cla_merge *p, const cla_judge *judge)
{
    const int64_t total = (int64_t)p->B * p->H * p->N;
    for (int n = 0;; n++) {
        const int64_t row = cla_truth_row(judge, total, 20.0 * p->P * p->Dv, n);
        if (row < 0)
            return true;
        if (!merge_row(p, judge, row))
            return false;
    }
}

bool cla_truth_known(const cla_op *op, const void *problem)
{
    if (op == &cla_op_projection) {
        const cla_proj *p = problem;
        return p->cached.dtype == CLATTN_NONE;
    }
    const cla_op *const known[] = { &cla_op_attention, &cla_op_argmax, &cla_op_linear_attention,
                                    &cla_op_merge, &cla_op_rope };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == op)
            return true;
    return false;
}

bool cla_truth_holds(const cla_op *op, const void *problem, uint64_t seed, char *why, size_t size)
{
    const cla_judge judge = { seed, why, size };
    if (op == &cla_op_attention)
        return cla_truth_attention(problem, &judge);
    if (op == &cla_op_argmax)
        return cla_truth_argmax(problem, &judge);
    if (op == &cla_op_linear_attention)
        return cla_truth_linear(problem, &judge);
    if (op == &cla_op_projection)
        return cla_truth_projection(problem, &judge);
    if (op == &cla_op_rope)
        return cla_truth_rope(problem, &judge);
    if (op == &cla_op_merge)
        return merge_holds(problem, &judge);
    snprintf(why, size, "there is no check for %s", op->name);
    return false;
}
