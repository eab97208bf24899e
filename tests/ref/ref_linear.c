/* SPDX-License-Identifier: Apache-2.0 */
/* Reference linear attention: indexing; the sums are in ref_linear_real.h. */
#include "ref_linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "storage.h"

int ref_linear_features(clattn_feature_map map, int D)
{
    return map == CLATTN_MAP_POLY2 ? 1 + D + D * (D + 1) / 2 : D;
}

static int rows_of(const int32_t *cu, int N, int b)
{
    return cu ? cu[b + 1] - cu[b] : N;
}

/* Number of a row of dense q (and o), or of k (and v). */
static size_t row_of(const int32_t *cu, int heads, int N, int b, int h, int i)
{
    return cu ? ((size_t)cu[b] + i) * heads + h : ((size_t)b * heads + h) * N + i;
}

#define REAL double
#define NAME(x) x##_double
#define EXP exp
#define SQRT sqrt
#include "ref_linear_real.h"
#undef REAL
#undef NAME
#undef EXP
#undef SQRT

#define REAL float
#define NAME(x) x##_float
#define EXP expf
#define SQRT sqrtf
#include "ref_linear_real.h"

void ref_linear_attention(const ref_linear *p, double *o, double *kv, double *z)
{
    linear_attention_double(p, o, kv, z);
}

void ref_linear_attention_naive(const ref_linear *p, clattn_dtype out_type, float *o, float *kv,
                                float *z)
{
    const size_t rows = p->cu_q ? (size_t)p->cu_q[p->B] : (size_t)p->B * p->Nq;

    linear_attention_float(p, o, kv, z);
    for (size_t i = 0; i < rows * p->Hq * p->Dv; i++)
        o[i] = storage_round(out_type, o[i]);
}
