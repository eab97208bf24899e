/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What attention weights come to: entropy, distance, the largest, chosen ones, means over heads.
 * From the weights that ref_attention() makes, in double, and naively from float ones in float.
 */
#ifndef REF_STATS_H
#define REF_STATS_H

#include "ref_attention.h"

/* What is wanted of a row, and where it stands in its numbers: entropy, distance, the largest
 * weights falling (0 past the last), those of the chosen keys. */
typedef struct ref_stats {
    int tops, picks;
    const int32_t *keys; /* [B][Nq][picks], ragged [Tq][picks] */
} ref_stats;

enum { REF_ENTROPY = 0, REF_DISTANCE = 1, REF_TOP = 2 };

/* Numbers of a row; those of chosen keys are the last ones. */
static inline int ref_stats_width(const ref_stats *s)
{
    return REF_TOP + s->tops + s->picks;
}

/* probs [B][Hq][Nq][Nk]; out: ref_stats_width() numbers of each row, in the order of
 * ref_lse_row(); mean [B][Nq][Nk]. */
void ref_stats_make(const ref_attn *p, const ref_stats *s, const double *probs, double *out,
                    double *mean);
void ref_stats_naive(const ref_attn *p, const ref_stats *s, const float *probs, float *out,
                     float *mean);

#endif
