/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing what to look at. */
#include "truth.h"

#include <math.h>
#include <stdio.h>

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

int64_t cla_within(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

cla_span cla_truth_span(const cla_view *cu_seqlens, int64_t b, int64_t T, int64_t most)
{
    const int64_t stride = cu_seqlens->stride[0];
    const int64_t first = cla_within(cla_truth_int(cu_seqlens, b * stride), 0, T);
    const int64_t end = cla_within(cla_truth_int(cu_seqlens, (b + 1) * stride), first, T);
    return (cla_span){ first, cla_within(end - first, 0, most) };
}

bool cla_truth_shared(const cla_view *cu_seqlens, int64_t B, int64_t row, int64_t T, int64_t most)
{
    int owners = 0;
    for (int64_t b = 0; b < B; b++) {
        const cla_span s = cla_truth_span(cu_seqlens, b, T, most);
        owners += row >= s.first && row - s.first < s.count;
    }
    return owners > 1;
}

double cla_truth_ulp(int32_t dtype, double magnitude)
{
    if (magnitude > (dtype == CLATTN_F16 ? 0x1.ffp15 : 0x1.fp127))
        return HUGE_VAL;
    switch (dtype) {
    case CLATTN_F16:
        return fmax(0x1p-10 * magnitude, 0x1p-24);
    case CLATTN_BF16:
        return fmax(0x1p-7 * magnitude, 0x1p-126);
    default:
        return fmax(0x1p-23 * magnitude, 0x1p-126);
    }
}

double cla_truth_times(double a, double b, double *size)
{
    const double product = a * b;
    *size += fmin(fabs(a), fabs(b)) < 0x1p-100 ? fabs(product) / CLA_ROUNDING : fabs(product);
    return product;
}

double cla_truth_bound(double allowed, double size)
{
    return size < 0x1p120 ? allowed : HUGE_VAL;
}

static int64_t random_row(const cla_judge *judge, int64_t total, int n)
{
    uint64_t x = judge->seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)n;
    x = (x ^ x >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 29) * UINT64_C(0x94d049bb133111eb);
    return (int64_t)((x >> 1) % (uint64_t)total);
}

/* The n-th of them; -1: there are no more. */
static int64_t chosen_row(const cla_judge *judge, int64_t total, double cost, int n)
{
    if (judge->rows > 0)
        return n < judge->rows && total > 0 ? random_row(judge, total, n) : -1;
    const double affordable = fmin(fmax(OPERATIONS / fmax(cost, 1), MIN_ROWS), MAX_ROWS);
    if ((double)total <= affordable)
        return n < total ? n : -1;
    if (n >= (int)affordable)
        return -1;
    if (n < 2)
        return n ? total - 1 : 0;
    return random_row(judge, total, n);
}

bool cla_truth_rows(const void *problem, const cla_judge *judge, int64_t total, double cost,
                    cla_truth_of_row holds)
{
    for (int n = 0;; n++) {
        const int64_t row = chosen_row(judge, total, cost, n);
        if (row < 0)
            return true;
        if (!holds(problem, judge, row))
            return false;
    }
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
    return !isfinite(allowed) || isnan(want) || got == want || fabs(got - want) <= allowed
           || cla_truth_wrong(judge, name, row, column, got, want, allowed);
}
