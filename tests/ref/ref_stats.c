/* SPDX-License-Identifier: Apache-2.0 */
#include "ref_stats.h"

#include <math.h>
#include <stdlib.h>

#define REAL double
#define NAME(x) x##_double
#define LOG log
#include "ref_stats_real.h"
#undef REAL
#undef NAME
#undef LOG

#define REAL float
#define NAME(x) x##_float
#define LOG logf
#include "ref_stats_real.h"

void ref_stats_make(const ref_attn *p, const ref_stats *s, const double *probs, double *out,
                    double *mean)
{
    stats_double(p, s, probs, out, mean);
}

void ref_stats_naive(const ref_attn *p, const ref_stats *s, const float *probs, float *out,
                     float *mean)
{
    stats_float(p, s, probs, out, mean);
}
