/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of tables, added, on all cores. */
#include <math.h>

#include "layout.h"

enum { COLUMNS = 256 }; /* added at a time */

/* Where row n of sequence b comes from; a table that is absent has row 0. False: outside one. */
static bool find_rows(const cla_embedding *p, int b, int n, int64_t *row)
{
    row[0] = CLA_AT(const int32_t, p->ids)[b * p->ids.stride[0] + n];
    row[1] = 0;
    row[2] = 0;
    if (p->has_positions)
        row[1] =
            (p->has_starts ? CLA_AT(const int32_t, p->starts)[b * p->starts.stride[0]] : p->start)
            + n;
    if (p->has_type_ids)
        row[2] = CLA_AT(const int32_t, p->type_ids)[b * p->type_ids.stride[0] + n];
    return row[0] >= 0 && row[0] < p->V && row[1] >= 0 && (!p->has_positions || row[1] < p->P)
           && row[2] >= 0 && (!p->has_types || row[2] < p->T);
}

static void add(const cla_embedding *p, const cla_view *table, int64_t row, int first, int count,
                float *sum)
{
    const clattn_dtype type = (clattn_dtype)p->in_type;
    float part[COLUMNS];
    clattn_to_f32(type,
                  (const char *)table->host
                      + (size_t)(table->offset + row * table->stride[0] + first)
                            * clattn_dtype_size(type),
                  part, (size_t)count);
    for (int i = 0; i < count; i++)
        sum[i] += part[i];
}

static void gather(const cla_embedding *p, int b, int n)
{
    const clattn_dtype type = (clattn_dtype)p->out_type;
    const int64_t to = p->y.offset + b * p->y.stride[0] + n * p->y.stride[1];
    int64_t row[3];
    const bool in_range = find_rows(p, b, n, row);
    for (int first = 0; first < p->M; first += COLUMNS) {
        const int left = p->M - first, count = left < COLUMNS ? left : COLUMNS;
        float sum[COLUMNS];
        for (int i = 0; i < count; i++)
            sum[i] = in_range ? 0 : NAN;
        if (in_range)
            add(p, &p->table, row[0], first, count, sum);
        if (in_range && p->has_positions)
            add(p, &p->positions, row[1], first, count, sum);
        if (in_range && p->has_types)
            add(p, &p->types, row[2], first, count, sum);
        clattn_from_f32(type, sum,
                        (char *)p->y.host + (size_t)(to + first) * clattn_dtype_size(type),
                        (size_t)count);
    }
}

clattn_status cla_cpu_embedding(cla_cpu *cpu, const cla_embedding *p)
{
    const int64_t rows = (int64_t)p->B * p->N;
    const int threads = cla_threads(cpu, (double)rows * p->M);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < rows; row++)
        gather(p, (int)(row / p->N), (int)(row % p->N));
    return CLATTN_OK;
}
