/* SPDX-License-Identifier: Apache-2.0 */
/* The pass rule: no tolerance is a literal of a test. */
#include "compare.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "storage.h"
#include "suite.h"

static char label[512];

void compare_label(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(label, sizeof label, fmt, args);
    va_end(args);
}

const char *compare_label_text(void)
{
    return label;
}

/* NaN with NaN, an infinity with the same infinity, a number with a number. */
static bool same_class(double got, double want)
{
    if (isnan(want))
        return isnan(got);
    if (isinf(want))
        return got == want;
    return isfinite(got);
}

static double largest(const double *x, size_t n)
{
    double max = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(x[i]))
            max = fmax(max, fabs(x[i]));
    return max;
}

double compare_error(const float *got, const double *want, size_t n)
{
    double err = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(want[i]) && isfinite(got[i]))
            err = fmax(err, fabs((double)got[i] - want[i]));
    return err;
}

double compare_pass(const char *name, const float *got, const double *want, double naive_err,
                    size_t n, clattn_dtype dtype)
{
    double err = 0;
    size_t worst = 0;

    for (size_t i = 0; i < n; i++) {
        if (!same_class((double)got[i], want[i]))
            ck_abort_msg("%s: %s[%zu] of %zu is %g, expected %.9g (seed %" PRIu64 ")", label, name,
                         i, n, (double)got[i], want[i], suite_seed());
        if (isfinite(want[i]) && fabs((double)got[i] - want[i]) > err) {
            err = fabs((double)got[i] - want[i]);
            worst = i;
        }
    }
    const double allowed = 2 * naive_err + 8 * storage_ulp(dtype, largest(want, n));
    if (!(err <= allowed && isfinite(allowed))) /* a naive error of inf or NaN allows everything */
        ck_abort_msg("%s: %s[%zu] of %zu is %.9g, expected %.9g: error %.3g, allowed %.3g, naive "
                     "%.3g (seed %" PRIu64 ")",
                     label, name, worst, n, (double)got[worst], want[worst], err, allowed,
                     naive_err, suite_seed());
    return err / allowed;
}
