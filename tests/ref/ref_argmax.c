/* SPDX-License-Identifier: Apache-2.0 */
/* Reference argmax attention: one pass over the keys of a row. */
#include "ref_argmax.h"

#include <math.h>
#include <stdio.h>

/* A score, and how far a sum in f32, in any order, may be from it. */
typedef struct score {
    double value, error;
} score;

static const float *key_of(const ref_attn *p, int b, int h, int j)
{
    return p->k + ref_k_row(p, b, h, j) * (size_t)p->D;
}

static score score_of(const ref_attn *p, int b, int h, int i, int j)
{
    const float *q = p->q + ref_q_row(p, b, h, i) * (size_t)p->D, *k = key_of(p, b, h, j);
    const double rounding = p->D * 0x1p-24 / (1 - p->D * 0x1p-24);
    double value = 0, size = 0, largest = 1;

    for (int d = 0; d < p->D; d++) {
        const double product = (double)q[d] * (double)k[d];
        value += product;
        size += fabs(product);
        largest = fmax(largest, fmax(fabs((double)q[d]), fabs((double)k[d])));
    }
    return (score){ value, rounding * size + 3 * p->D * 0x1p-126 * largest };
}

/* Scores of different ranks are never equal nor near. */
static int rank_of(double x)
{
    return isnan(x) ? 0 : isfinite(x) ? 2 : x < 0 ? 1 : 3;
}

static bool better(double x, double y)
{
    return rank_of(x) != rank_of(y) ? rank_of(x) > rank_of(y) : x > y;
}

int ref_argmax(const ref_attn *p, int b, int h, int i)
{
    const int nk = ref_seq_of(p, b).nk;
    double top = 0;
    int best = -1;

    for (int j = 0; j < nk; j++) {
        if (!ref_visible(p, b, h, i, j))
            continue;
        const double x = score_of(p, b, h, i, j).value;
        if (best < 0 || better(x, top)) {
            best = j;
            top = x;
        }
    }
    return best;
}

static bool same_key(const ref_attn *p, int b, int h, int j, int index)
{
    const float *x = key_of(p, b, h, j), *y = key_of(p, b, h, index);

    for (int d = 0; d < p->D; d++)
        if (!(x[d] == y[d]))
            return false;
    return true;
}

/* Must key j be taken rather than index, which has the score mine? */
static bool beats(const ref_attn *p, int b, int h, int i, int j, int index, score mine)
{
    const score other = score_of(p, b, h, i, j);

    if (rank_of(other.value) != rank_of(mine.value))
        return rank_of(other.value) > rank_of(mine.value);
    if (!isfinite(mine.value))
        return j < index;
    return other.value - mine.value > other.error + mine.error
        || (j < index && same_key(p, b, h, j, index));
}

const char *ref_argmax_why_not(const ref_attn *p, int b, int h, int i, int index)
{
    static char why[160];
    const int nk = ref_seq_of(p, b).nk;

    if (index < -1 || index >= nk)
        return "no such key";
    if (index >= 0 && !ref_visible(p, b, h, i, index))
        return "the row does not see this key";
    const score mine = index < 0 ? (score){ 0, 0 } : score_of(p, b, h, i, index);
    for (int j = 0; j < nk; j++) {
        if (j == index || !ref_visible(p, b, h, i, j))
            continue;
        if (index < 0)
            return "the row sees keys";
        if (!beats(p, b, h, i, j, index, mine))
            continue;
        snprintf(why, sizeof why, "its score is %.9g, that of key %d %.9g", mine.value, j,
                 score_of(p, b, h, i, j).value);
        return why;
    }
    return NULL;
}
