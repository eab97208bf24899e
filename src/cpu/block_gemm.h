/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two products of a block, scores = q K^T and o += p V, as one register-blocked loop: up to 12
 * rows by two vectors of sums (or fewer rows by four) stay in registers; each step loads the
 * vectors and broadcasts one number per row. Every sum runs in the order of its index, whatever
 * the number of rows, so that a row's result does not depend on the rows beside it.
 */
#ifndef CLA_BLOCK_GEMM_H
#define CLA_BLOCK_GEMM_H

#include "block.h"
#include "multiply.h"

/* Scores of columns [begin, end), multiples of 16, of a tile whose panels start at k. */
FN void score_columns(const int R, const float *q, const float *k, int D, int begin, int end,
                      float *s)
{
    const ptrdiff_t panel = (ptrdiff_t)D * CLA_PANEL;
    const ptrdiff_t next = LANES == CLA_PANEL ? panel : LANES;
    int c = begin;
    for (; c + 2 * LANES <= end; c += 2 * LANES)
        multiply(R, 2, false, q, 1, CLA_PANEL, k + c / CLA_PANEL * panel + c % CLA_PANEL, next,
                 CLA_PANEL, D, s + c, CLA_SCORE_LD);
    if (LANES == CLA_PANEL && c < end)
        multiply(R, 1, false, q, 1, CLA_PANEL, k + c / CLA_PANEL * panel, 0, CLA_PANEL, D, s + c,
                 CLA_SCORE_LD);
}

/* o[r][0 .. ld) += sum over n keys of p[r][key] * v[key][...]. */
FN void add_values(const int R, const float *p, const float *v, ptrdiff_t v_ld, int n, float *o,
                   int ld)
{
    int c = 0;
    for (; 4 * R <= 2 * BLOCK_ROWS && c + 4 * LANES <= ld; c += 4 * LANES)
        multiply(R, 4, true, p, CLA_SCORE_LD, 1, v + c, LANES, v_ld, n, o + c, ld);
    for (; c + 2 * LANES <= ld; c += 2 * LANES)
        multiply(R, 2, true, p, CLA_SCORE_LD, 1, v + c, LANES, v_ld, n, o + c, ld);
    if (LANES == CLA_PANEL && c < ld)
        multiply(R, 1, true, p, CLA_SCORE_LD, 1, v + c, 0, v_ld, n, o + c, ld);
}

typedef struct block_gemm {
    int rows;
    void (*scores)(const float *q, const float *k, int D, int begin, int end, float *s);
    void (*values)(const float *p, const float *v, ptrdiff_t v_ld, int n, float *o, int ld);
} block_gemm;

#define BLOCK_GEMM(R)                                                                            \
    static void scores_##R(const float *q, const float *k, int D, int begin, int end, float *s) \
    {                                                                                            \
        score_columns(R, q, k, D, begin, end, s);                                                \
    }                                                                                            \
    static void values_##R(const float *p, const float *v, ptrdiff_t v_ld, int n, float *o,     \
                           int ld)                                                               \
    {                                                                                            \
        add_values(R, p, v, v_ld, n, o, ld);                                                     \
    }

BLOCK_GEMM(1)
BLOCK_GEMM(2)
BLOCK_GEMM(4)
BLOCK_GEMM(6)
#if BLOCK_ROWS > 6
BLOCK_GEMM(8)
BLOCK_GEMM(12)
#endif

/* Ascending; the last has BLOCK_ROWS rows. */
static const block_gemm block_gemms[] = {
    { 1, scores_1, values_1 },    { 2, scores_2, values_2 }, { 4, scores_4, values_4 },
    { 6, scores_6, values_6 },
#if BLOCK_ROWS > 6
    { 8, scores_8, values_8 },    { 12, scores_12, values_12 },
#endif
};

/* The smallest that has at least this many rows. */
static const block_gemm *block_gemm_of(int rows)
{
    const block_gemm *gemm = block_gemms;
    while (gemm->rows < rows)
        gemm++;
    return gemm;
}

#endif
