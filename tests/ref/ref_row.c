/* SPDX-License-Identifier: Apache-2.0 */
#include "ref_row.h"

#include <math.h>

#include "storage.h"

#define REAL double
#define NAME(x) x##_double
#define EXP exp
#define LOG log
#define ERF erf
#define TANH tanh
#define SQRT sqrt
#include "ref_row_real.h"
#undef REAL
#undef NAME
#undef EXP
#undef LOG
#undef ERF
#undef TANH
#undef SQRT

#define REAL float
#define NAME(x) x##_float
#define EXP expf
#define LOG logf
#define ERF erff
#define TANH tanhf
#define SQRT sqrtf
#include "ref_row_real.h"

void ref_rowwise(const ref_row *p, double *y)
{
    rowwise_double(p, y);
}

void ref_rowwise_naive(const ref_row *p, clattn_dtype type, float *y)
{
    rowwise_float(p, y);
    for (size_t i = 0; i < (size_t)p->rows * p->M; i++)
        y[i] = storage_round(type, y[i]);
}
