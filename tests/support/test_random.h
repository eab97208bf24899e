/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random numbers (SplitMix64): the same on every machine. */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct test_rng {
    uint64_t state;
} test_rng;

uint64_t rng_next(test_rng *rng);
double rng_uniform(test_rng *rng);        /* [0, 1) */
double rng_normal(test_rng *rng);         /* mean 0, deviation 1 */
int rng_below(test_rng *rng, int n);      /* 0 .. n - 1 */

/* What lies in the inputs. SPREAD is the deviation of the scores q.k / sqrt(D). */
typedef enum test_regime {
    REGIME_NORMAL,    /* scores N(0, spread) */
    REGIME_EQUAL,     /* all keys the same: uniform weights */
    REGIME_ONE_HUGE,  /* one key scores far above the rest */
    REGIME_RISING,    /* scores rise along the keys: the running maximum changes all the time */
    REGIME_TINY,      /* -0.0 and subnormals among normal values */
} test_regime;

/* Fills rows x width: queries carry the spread, keys vary with the regime, values are N(0, 1). */
void fill_queries(test_rng *rng, test_regime regime, float spread, float *x, size_t rows,
                  int width);
void fill_keys(test_rng *rng, test_regime regime, float *x, size_t rows, int width, int period);
void fill_values(test_rng *rng, test_regime regime, float *x, size_t rows, int width);

#endif
