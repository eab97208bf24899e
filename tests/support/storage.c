/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding by scaling with powers of two, encoding by exponent and integer significand. */
#include "storage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Stored significand bits, exponent of the smallest normal number, exponent of the largest. */
typedef struct format {
    int bits, min, max;
} format;

static format format_of(clattn_dtype dtype)
{
    switch (dtype) {
    case CLATTN_F32: return (format){ 23, -126, 127 };
    case CLATTN_F16: return (format){ 10, -14, 15 };
    case CLATTN_BF16: return (format){ 7, -126, 127 };
    default: abort();
    }
}

/* Exponent of the binade of x, no lower than that of the smallest normal number. */
static int binade(format f, double x)
{
    const int e = x == 0 ? f.min : ilogb(x);
    return e < f.min ? f.min : e;
}

double storage_ulp(clattn_dtype dtype, double magnitude)
{
    const format f = format_of(dtype);
    return ldexp(1, binade(f, magnitude) - f.bits);
}

float storage_round(clattn_dtype dtype, float x)
{
    if (dtype == CLATTN_F32 || !isfinite(x))
        return x;
    const format f = format_of(dtype);
    const double ulp = ldexp(1, binade(f, (double)x) - f.bits);
    const double rounded = nearbyint((double)x / ulp) * ulp;
    if (fabs(rounded) >= ldexp(1, f.max + 1))
        return copysignf(INFINITY, x);
    return copysignf((float)rounded, x);
}

/* Sign, biased exponent and significand of a 16-bit format. */
static uint16_t encode16(clattn_dtype dtype, float x)
{
    const format f = format_of(dtype);
    const unsigned sign = signbit(x) ? 0x8000u : 0;
    const unsigned inf = (unsigned)(f.max - f.min + 2) << f.bits;
    if (isnan(x))
        return (uint16_t)(sign | inf | 1u << (f.bits - 1));
    if (isinf(x))
        return (uint16_t)(sign | inf);
    const double magnitude = fabs((double)x);
    const int e = binade(f, magnitude);
    const unsigned significand = (unsigned)ldexp(magnitude, f.bits - e); /* with the leading bit */
    return (uint16_t)(sign | (((unsigned)(e - f.min) << f.bits) + significand));
}

static float decode16(clattn_dtype dtype, uint16_t u)
{
    const format f = format_of(dtype);
    const unsigned magnitude = u & 0x7fffu, inf = (unsigned)(f.max - f.min + 2) << f.bits;
    const float sign = u & 0x8000u ? -1.0f : 1.0f;
    if (magnitude > inf)
        return copysignf(NAN, sign);
    if (magnitude == inf)
        return sign * INFINITY;
    const unsigned exponent = magnitude >> f.bits, fraction = magnitude & ((1u << f.bits) - 1);
    const unsigned significand = exponent ? fraction | 1u << f.bits : fraction;
    const int e = exponent ? (int)exponent - 1 + f.min : f.min;
    return sign * (float)ldexp(significand, e - f.bits);
}

void storage_put(clattn_dtype dtype, void *array, size_t i, float x)
{
    switch (dtype) {
    case CLATTN_F32: ((float *)array)[i] = x; break;
    case CLATTN_F16:
    case CLATTN_BF16: ((uint16_t *)array)[i] = encode16(dtype, storage_round(dtype, x)); break;
    case CLATTN_U8: ((uint8_t *)array)[i] = (uint8_t)x; break;
    case CLATTN_I32: ((int32_t *)array)[i] = (int32_t)x; break;
    default: abort();
    }
}

float storage_get(clattn_dtype dtype, const void *array, size_t i)
{
    switch (dtype) {
    case CLATTN_F32: return ((const float *)array)[i];
    case CLATTN_F16:
    case CLATTN_BF16: return decode16(dtype, ((const uint16_t *)array)[i]);
    case CLATTN_U8: return ((const uint8_t *)array)[i];
    case CLATTN_I32: return (float)((const int32_t *)array)[i];
    default: abort();
    }
}
