/* SPDX-License-Identifier: Apache-2.0 */
/* The register-blocked product of attention and linear attention. */
#ifndef CLA_MULTIPLY_H
#define CLA_MULTIPLY_H

#include "lanes.h"

/* Two vectors of sums a row: 24 of 32 registers, or 12 of 16. */
#if REGISTERS == 32
#define BLOCK_ROWS 12
#else
#define BLOCK_ROWS 6
#endif

/*
 * c[r][0 .. C * LANES) = (add ? c : 0) + sum over n steps of a[step][r] * b[step][...].
 * R, C and add are constants where this is inlined, and one of a_row and a_step at least;
 * R * C <= 2 * BLOCK_ROWS. Vector j of b is at b + j * b_col.
 */
FN void multiply(const int R, const int C, const bool add, const float *a, const ptrdiff_t a_row,
                 const ptrdiff_t a_step, const float *b, ptrdiff_t b_col, ptrdiff_t b_step, int n,
                 float *c, ptrdiff_t c_row)
{
    vf sum[BLOCK_ROWS * 2], x[4];
    UNROLL
    for (int i = 0; i < R * C; i++)
        sum[i] = add ? load_f32(c + i / C * c_row + i % C * LANES) : (vf){ 0 };
    for (int step = 0; step < n; step++) {
        UNROLL
        for (int j = 0; j < C; j++)
            x[j] = load_f32(b + j * b_col);
        UNROLL
        for (int i = 0; i < R * C; i++)
            sum[i] += a[i / C * a_row] * x[i % C];
        a += a_step;
        b += b_step;
    }
    UNROLL
    for (int i = 0; i < R * C; i++)
        store_f32(c + i / C * c_row + i % C * LANES, sum[i]);
}

#endif
