/* SPDX-License-Identifier: Apache-2.0 */
/* Denominators of linear attention whose sums may cancel: sums over keys and features in double. */
#ifndef CLA_LINEAR_EXACT_H
#define CLA_LINEAR_EXACT_H

#include "linear_load.h"

typedef VECTOR(double, LANES) vd;
typedef double vd_mem __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

/* Row after row: z += k, then den = q.z, as far as there are rows of either. */
FN void exact_rows_of(const int type, const cla_linear_task *t, double *z, rows_of_head q,
                      rows_of_head k, float *den)
{
    const int D = t->p->D, rows = q.n > k.n ? q.n : k.n;
    for (int r = 0; r < rows; r++) {
        vd sum = { 0 };
        for (int d = 0; d < D; d += LANES) {
            const size_t at = (size_t)d * bytes_of(type);
            vd y = *(const vd_mem *)(z + d);
            if (r < k.n) {
                y += __builtin_convertvector(load_first(type, k.first + r * k.stride + at, D - d),
                                             vd);
                *(vd_mem *)(z + d) = y;
            }
            if (r < q.n) {
                const vf x = load_first(type, q.first + r * q.stride + at, D - d) * t->p->scale;
                sum += __builtin_convertvector(x, vd) * y;
            }
        }
        if (r >= q.n)
            continue;
        double total = 0;
        for (int i = 0; i < LANES; i++)
            total += sum[i];
        store_f32(den + r * LANES, (vf){ (float)total });
    }
}

static void exact_rows(const cla_linear_task *t, double *z, rows_of_head q, rows_of_head k)
{
    BY_FLOAT(exact_rows_of, t->p->in_type, t, z, q, k, t->scratch + t->at.den);
}

/* The running z of a task, from that of its state; the space behind it is for one chunk's. */
static double *exact_start(const cla_linear_task *t)
{
    const cla_linear *p = t->p;
    double *z = (double *)(t->scratch + t->at.z);
    for (int d = 0; d < (p->D + 15) / 16 * 16; d++)
        z[d] = d < p->D && t->state ? (double)t->state[(size_t)p->F * t->value_ld + d] : 0;
    return z;
}

static void exact_end(const cla_linear_task *t, const double *z)
{
    for (int d = 0; d < t->p->D; d++)
        t->state[(size_t)t->p->F * t->value_ld + d] = (float)z[d];
}

static const rows_of_head no_rows = { NULL, 0, 0 };

/* z += keys [first, end). */
static void exact_keys(const cla_linear_task *t, double *z, int first, int end)
{
    exact_rows(t, z, no_rows,
               rows_of(t, &t->p->k, t->hk, (int64_t)t->seq.k0 + first, end - first));
}

/* Denominators of n rows from row on: each sees the keys in z, and causal those up to its own. */
static void exact_denominators(const cla_linear_task *t, const double *z, int h, int row, int n)
{
    const size_t padded = (size_t)(t->p->D + 15) / 16 * 16;
    double *own = (double *)(t->scratch + t->at.z) + padded;
    const int left = t->seq.nk - row, keys = !t->p->causal ? 0 : n < left ? n : left;
    memcpy(own, z, padded * sizeof *own);
    exact_rows(t, own, rows_of(t, &t->p->q, h, (int64_t)t->seq.q0 + row, n),
               rows_of(t, &t->p->k, t->hk, (int64_t)t->seq.k0 + row, keys));
}

#endif
