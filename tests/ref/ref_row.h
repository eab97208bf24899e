/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of rows as plain as can be: in double, and in float as the naive way. */
#ifndef REF_ROW_H
#define REF_ROW_H

#include <clattn/layers.h>

/* Arrays are dense. */
typedef struct ref_row {
    clattn_row_function function;
    int rows, M;
    const float *x;             /* [rows][M] */
    const float *weight, *bias; /* [M] or NULL */
    float eps, scale;
} ref_row;

void ref_rowwise(const ref_row *p, double *y);

/* With float sums; y is rounded to type as it is stored. */
void ref_rowwise_naive(const ref_row *p, clattn_dtype type, float *y);

#endif
