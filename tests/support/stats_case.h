/* SPDX-License-Identifier: Apache-2.0 */
/* The stats of an attention problem: numbers, tensors, checks. See attention_case.h. */
#ifndef TEST_STATS_CASE_H
#define TEST_STATS_CASE_H

#include "ref_stats.h"

struct attn_data;
struct attn_run;

typedef struct stats_data {
    ref_stats ref;
    int32_t *keys;
    size_t rows, count_mean;
    double *out, *mean; /* expected, see ref_stats_make() */
    double naive_entropy, naive_distance, naive_top, naive_chosen, naive_mean;
} stats_data;

/* Some keys, outside the sequences too, and what is expected of the weights. */
stats_data *stats_data_make(const ref_attn *p, const double *probs, size_t rows, size_t packed,
                            uint64_t seed);
/* The naive computation, in one more order. */
void stats_data_naive(stats_data *d, const ref_attn *p, const float *probs);
void stats_data_free(stats_data *d);

/* Tensors of a run, into its params; called before those of a cache are set. */
void stats_run_make(struct attn_run *run, clattn_ctx *ctx);
void stats_run_free(struct attn_run *run);
void stats_run_poison(struct attn_run *run);
void stats_run_check(struct attn_run *run);

#endif
