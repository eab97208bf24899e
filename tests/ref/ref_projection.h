/* SPDX-License-Identifier: Apache-2.0 */
/* Projection and rotary embedding as plain as can be: in double, and in float as the naive way. */
#ifndef REF_PROJECTION_H
#define REF_PROJECTION_H

#include <clattn/clattn.h>

/* Arrays are dense. Columns are heads of K. */
typedef struct ref_proj {
    int rows, M, out, K;
    const float *x;        /* [rows][M] */
    const double *w;       /* [out][M], scales multiplied in */
    const float *bias;     /* [out] or NULL */
    const float *residual; /* [rows][out] or NULL */
    clattn_rotary rotary;
    double base;
    const int64_t *positions; /* [rows], for a rotary */
} ref_proj;

void ref_projection(const ref_proj *p, double *y);

/* With float sums, angles and weights; y is rounded to type as it is stored. */
void ref_projection_naive(const ref_proj *p, clattn_dtype type, float *y);

/* x [rows][heads of K] turned: ref_projection() without the product. */
void ref_rope(const ref_proj *p, double *y);
void ref_rope_naive(const ref_proj *p, clattn_dtype type, float *y);

#endif
