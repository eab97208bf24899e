/* SPDX-License-Identifier: Apache-2.0 */
/* The generator and the value regimes. */
#include "test_random.h"

#include <math.h>

uint64_t rng_next(test_rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double rng_uniform(test_rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

/* Box and Muller, one of the pair. */
double rng_normal(test_rng *rng)
{
    const double radius = sqrt(-2 * log(1 - rng_uniform(rng)));
    return radius * cos(6.283185307179586 * rng_uniform(rng));
}

int rng_below(test_rng *rng, int n)
{
    return (int)(rng_next(rng) % (uint64_t)n);
}

/* Now and then a value that is hard on exponents; the rest stays as it is. */
static float tiny(test_rng *rng, float x)
{
    switch (rng_below(rng, 8)) {
    case 0: return -0.0f;
    case 1: return 0x1p-140f; /* subnormal in f32 and bf16, 0 in f16 */
    case 2: return -0x1p-20f; /* subnormal in f16 */
    default: return x;
    }
}

void fill_queries(test_rng *rng, test_regime regime, float spread, float *x, size_t rows, int width)
{
    for (size_t i = 0; i < rows * width; i++) {
        x[i] = spread * (float)rng_normal(rng);
        if (regime == REGIME_RISING || regime == REGIME_ONE_HUGE)
            x[i] = fabsf(x[i]); /* so that larger keys mean larger scores */
        if (regime == REGIME_TINY)
            x[i] = tiny(rng, x[i]);
    }
}

void fill_keys(test_rng *rng, test_regime regime, float *x, size_t rows, int width, int period)
{
    for (size_t r = 0; r < rows; r++) {
        const size_t key = r % period;
        for (int d = 0; d < width; d++) {
            float *y = &x[r * width + d];
            *y = (float)rng_normal(rng);
            if (regime == REGIME_EQUAL)
                *y = 0.25f;
            if (regime == REGIME_ONE_HUGE && key == (size_t)period / 3)
                *y = 20.0f;
            if (regime == REGIME_RISING)
                *y = 0.1f * *y + 4.0f * (float)key / (float)period;
            if (regime == REGIME_TINY)
                *y = tiny(rng, *y);
        }
    }
}

void fill_values(test_rng *rng, test_regime regime, float *x, size_t rows, int width)
{
    for (size_t i = 0; i < rows * width; i++) {
        x[i] = (float)rng_normal(rng);
        if (regime == REGIME_TINY)
            x[i] = tiny(rng, x[i]);
    }
}
