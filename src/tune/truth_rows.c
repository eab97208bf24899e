/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on single rows. */
#include <math.h>

#include "op_tuning.h"

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

static bool merge_holds(const void *problem, const cla_judge *judge)
{
    const cla_merge *p = problem;
    const int64_t total = (int64_t)p->B * p->H * p->N;
    for (int n = 0;; n++) {
        const int64_t row = cla_truth_row(judge, total, 20.0 * p->P * p->Dv, n);
        if (row < 0)
            return true;
        if (!merge_row(p, judge, row))
            return false;
    }
}

const cla_op_tuning cla_tuning_merge = { .holds = merge_holds };
