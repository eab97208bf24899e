/* SPDX-License-Identifier: Apache-2.0 */
/* Compares a result with the truth, by what plain loops in the same dtype would have done. */
#include "pass_rule.h"

#include <math.h>
#include <stdio.h>

/* Distance of a dtype's neighbours at x. */
static double ulp(clattn_dtype dtype, double x)
{
    const int digits = dtype == CLATTN_F16 ? 11 : dtype == CLATTN_BF16 ? 8 : 24;
    const int least = dtype == CLATTN_F16 ? -24 : dtype == CLATTN_BF16 ? -133 : -149;
    int exponent = 0;

    frexp(x, &exponent); /* x = m 2^exponent, 1/2 <= m < 1 */
    return ldexp(1, x > 0 && exponent - digits > least ? exponent - digits : least);
}

/* As the dtype holds it: what is beyond its range is infinite there. */
static double held(clattn_dtype dtype, float x)
{
    uint32_t stored = 0;
    float back = x;

    clattn_from_f32(dtype, &x, &stored, 1);
    clattn_to_f32(dtype, &stored, &back, 1);
    return isinf(back) ? (double)back : (double)x;
}

static bool same_kind(double got, double want)
{
    return isnan(want) ? isnan(got) : isinf(want) ? got == want : isfinite(got);
}

static struct verdict compare_ints(const struct array *got, const struct array *want)
{
    const int32_t *a = got->data, *b = want->data;
    struct verdict v = { .pass = true };

    for (size_t i = 0; i < want->count; i++) {
        if (a[i] == b[i])
            continue;
        if (v.pass)
            snprintf(v.why, sizeof v.why, "element %zu is %d, expected %d", i, a[i], b[i]);
        v.pass = false;
        v.err = fmax(v.err, fabs((double)a[i] - (double)b[i]));
    }
    return v;
}

/* Largest difference where both are numbers. */
static double distance(const struct array *x, const struct array *y)
{
    const float *a = x->data, *b = y->data;
    double err = 0;

    for (size_t i = 0; i < x->count; i++) {
        if (isfinite(a[i]) && isfinite(b[i]))
            err = fmax(err, fabs((double)a[i] - (double)b[i]));
    }
    return err;
}

static struct verdict compare_floats(const struct array *got, const struct array *want,
                                     double naive_err, clattn_dtype dtype)
{
    const float *a = got->data, *b = want->data;
    struct verdict v = { .pass = true };
    double largest = 0;

    for (size_t i = 0; i < want->count; i++) {
        const double x = (double)a[i], y = held(dtype, b[i]);
        if (!same_kind(x, y)) {
            if (v.pass)
                snprintf(v.why, sizeof v.why, "element %zu is %g, expected %g", i, x, y);
            v.pass = false;
        } else if (isfinite(y)) {
            largest = fmax(largest, fabs(y));
            v.err = fmax(v.err, fabs(x - y));
        }
    }
    v.bound = 2 * naive_err + 8 * ulp(dtype, largest);
    v.pass = v.pass && v.err <= v.bound;
    return v;
}

struct verdict pass_rule(const struct array *got, const struct array *want,
                         const struct array *naive, const struct array *truth, clattn_dtype dtype)
{
    if (!array_same_shape(got, want)) {
        struct verdict v = { 0 };
        snprintf(v.why, sizeof v.why, "the result is %s, expected %s",
                 shape_text(got->rank, got->shape), shape_text(want->rank, want->shape));
        return v;
    }
    return want->dtype == CLATTN_I32 ? compare_ints(got, want)
                                     : compare_floats(got, want, distance(naive, truth), dtype);
}
