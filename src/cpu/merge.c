/* SPDX-License-Identifier: Apache-2.0 */
/* Joins partial results over disjoint keys: lse = log(sum e^lse_p), o = sum o_p e^(lse_p - lse). */
#include <math.h>

#include "layout.h"

enum { COLUMNS = 256 }; /* of a row, joined at a time */

typedef struct row {
    int b, h, n;
} row;

static int64_t element(const cla_view *view, int part, row at)
{
    return view->offset + part * view->stride[0] + at.b * view->stride[1] + at.h * view->stride[2]
         + at.n * view->stride[3];
}

static float lse_of(const cla_merge *p, int part, row at)
{
    return ((const float *)p->lse_parts.host)[element(&p->lse_parts, part, at)];
}

/* log(sum e^lse_p); -inf without parts, NaN when one is. */
static double join_lse(const cla_merge *p, row at)
{
    double top = -HUGE_VAL, sum = 0;
    for (int part = 0; part < p->P; part++) {
        const double lse = (double)lse_of(p, part, at);
        top = lse > top ? lse : top;
    }
    for (int part = 0; part < p->P; part++) {
        const double lse = (double)lse_of(p, part, at);
        sum += lse == -HUGE_VAL ? 0 : exp(lse - top);
    }
    return sum == 0 ? -HUGE_VAL : top + log(sum);
}

static void join_columns(const cla_merge *p, row at, double lse, int first, int count)
{
    const size_t in = clattn_dtype_size(p->in_type), out = clattn_dtype_size(p->out_type);
    const cla_view o_part = { .host = p->o.host, .offset = p->o.offset,
                              .stride = { 0, p->o.stride[0], p->o.stride[1], p->o.stride[2] } };
    float sum[COLUMNS] = { 0 }, part_o[COLUMNS];
    for (int part = 0; part < p->P; part++) {
        const double part_lse = (double)lse_of(p, part, at);
        if (part_lse == -HUGE_VAL) /* empty: its o is not read */
            continue;
        const float weight = (float)exp(part_lse - lse);
        const char *from = (const char *)p->o_parts.host
                         + (size_t)(element(&p->o_parts, part, at) + first) * in;
        clattn_to_f32((clattn_dtype)p->in_type, from, part_o, (size_t)count);
        for (int c = 0; c < count; c++)
            sum[c] += weight * part_o[c];
    }
    clattn_from_f32((clattn_dtype)p->out_type, sum,
                    (char *)o_part.host + (size_t)(element(&o_part, 0, at) + first) * out,
                    (size_t)count);
}

static void merge_row(const cla_merge *p, row at)
{
    const double lse = join_lse(p, at);
    if (p->has_lse)
        CLA_AT(float, p->lse)[at.b * p->lse.stride[0] + at.h * p->lse.stride[1]
                              + at.n * p->lse.stride[2]] = (float)lse;
    for (int c = 0; c < p->Dv; c += COLUMNS)
        join_columns(p, at, lse, c, p->Dv - c < COLUMNS ? p->Dv - c : COLUMNS);
}

clattn_status cla_cpu_merge(cla_cpu *cpu, const cla_merge *p)
{
    const int64_t N = p->N, H = p->H;
    const int threads = cla_threads(cpu, (double)p->B * p->H * p->N * p->Dv * p->P);
    (void)threads; /* without OpenMP */
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < p->B * H * N; i++)
        merge_row(p, (row){ (int)(i / N / H), (int)(i / N % H), (int)(i % N) });
    return CLATTN_OK;
}
