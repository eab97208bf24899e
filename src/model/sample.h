/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing the next token from logits. */
#ifndef CLM_SAMPLE_H
#define CLM_SAMPLE_H

#include "fault.h"

typedef struct clm_sampling {
    float temperature; /* 0: the largest logit always */
    int top_k;         /* only so many tokens, the likeliest; 0: all */
    float top_p;       /* only the likeliest that make up this share; 0: all */
    uint64_t state;    /* of the random numbers: start with a seed */
} clm_sampling;

/* *id: the token. Refuses logits that are no numbers. */
bool clm_sample(clm_sampling *s, const float *logits, int count, int *id, clm_fault *f);

/* The n largest of count numbers, NaN left out: their places, the largest first; of equal ones the
 * lowest place. Returns how many there are. */
int clm_largest(const float *x, int count, int n, int *places);

/* log(sum e^x) */
double clm_log_sum(const float *x, int count);

#endif
