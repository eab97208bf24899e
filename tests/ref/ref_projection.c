/* SPDX-License-Identifier: Apache-2.0 */
#include "ref_projection.h"

#include <math.h>

#include "storage.h"

#define REAL double
#define NAME(x) x##_double
#define POW pow
#define COS cos
#define SIN sin
#include "ref_projection_real.h"
#undef REAL
#undef NAME
#undef POW
#undef COS
#undef SIN

#define REAL float
#define NAME(x) x##_float
#define POW powf
#define COS cosf
#define SIN sinf
#include "ref_projection_real.h"

void ref_projection(const ref_proj *p, double *y)
{
    projection_double(p, y);
}

void ref_rope(const ref_proj *p, double *y)
{
    rope_double(p, y);
}

static void round_to(clattn_dtype type, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = storage_round(type, x[i]);
}

void ref_projection_naive(const ref_proj *p, clattn_dtype type, float *y)
{
    projection_float(p, y);
    round_to(type, y, (size_t)p->rows * p->out);
}

void ref_rope_naive(const ref_proj *p, clattn_dtype type, float *y)
{
    rope_float(p, y);
    round_to(type, y, (size_t)p->rows * p->out);
}
