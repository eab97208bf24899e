/* SPDX-License-Identifier: Apache-2.0 */
/* Storage dtypes: sizes, names, conversion to and from f32. */
#include <math.h>
#include <string.h>

#include "status.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [CLATTN_NONE] = { "none", 0 }, [CLATTN_F32] = { "f32", 4 }, [CLATTN_F16] = { "f16", 2 },
    [CLATTN_BF16] = { "bf16", 2 }, [CLATTN_U8] = { "u8", 1 },   [CLATTN_I32] = { "i32", 4 },
    [CLATTN_I8] = { "i8", 1 },     [CLATTN_I4] = { "i4", 1 },
};

static bool known(clattn_dtype dtype)
{
    return (unsigned)dtype < sizeof dtypes / sizeof dtypes[0];
}

size_t clattn_dtype_size(clattn_dtype dtype)
{
    return known(dtype) ? dtypes[dtype].size : 0;
}

const char *clattn_dtype_name(clattn_dtype dtype)
{
    return known(dtype) ? dtypes[dtype].name : "unknown";
}

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static float f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t rest = (uint32_t)(h & 0x7fffu) << 13;
    if (rest >= 0x7c00u << 13) /* inf, NaN */
        return float_of(sign | 0x7f800000u | rest);
    /* Moving the exponent by multiplication normalises subnormals on the way. */
    return float_of(sign | bits_of(float_of(rest) * 0x1p112f));
}

static uint16_t f32_to_f16(float x)
{
    const uint32_t u = bits_of(x), magnitude = u & 0x7fffffffu;
    const uint16_t sign = (uint16_t)((u >> 16) & 0x8000u);
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) /* 65520 and more round to inf */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* below 2^-14: a sum with 0.5 rounds to steps of 2^-24 */
        const float rounded = float_of(magnitude) + 0.5f;
        return (uint16_t)(sign | (bits_of(rounded) - bits_of(0.5f)));
    }
    const uint32_t odd = (magnitude >> 13) & 1u;
    return (uint16_t)(sign | ((magnitude - (112u << 23) + 0xfffu + odd) >> 13));
}

static uint16_t f32_to_bf16(float x)
{
    const uint32_t u = bits_of(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((u >> 16) | 0x40u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

/* To nearest even, clamped; a NaN becomes the lowest. */
static int32_t to_integer(float x, int32_t low, int32_t high)
{
    if (x < (float)high)
        return x > (float)low ? (int32_t)rintf(x) : low;
    return x == x ? high : low;
}

static void unpack_i4(uint8_t pair, float *out)
{
    out[0] = (float)((pair & 15) ^ 8) - 8;
    out[1] = (float)((pair >> 4) ^ 8) - 8;
}

static uint8_t pack_i4(const float *x)
{
    return (uint8_t)((to_integer(x[0], -8, 7) & 15) | (to_integer(x[1], -8, 7) & 15) << 4);
}

void clattn_to_f32(clattn_dtype dtype, const void *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        switch (dtype) {
        case CLATTN_F32: dst[i] = ((const float *)src)[i]; break;
        case CLATTN_F16: dst[i] = f16_to_f32(((const uint16_t *)src)[i]); break;
        case CLATTN_BF16: dst[i] = float_of((uint32_t)((const uint16_t *)src)[i] << 16); break;
        case CLATTN_U8: dst[i] = (float)((const uint8_t *)src)[i]; break;
        case CLATTN_I32: dst[i] = (float)((const int32_t *)src)[i]; break;
        case CLATTN_I8: dst[i] = (float)((const int8_t *)src)[i]; break;
        case CLATTN_I4: unpack_i4(((const uint8_t *)src)[i], dst + 2 * i); break;
        case CLATTN_NONE: break;
        }
}

void clattn_from_f32(clattn_dtype dtype, const float *src, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        switch (dtype) {
        case CLATTN_F32: ((float *)dst)[i] = src[i]; break;
        case CLATTN_F16: ((uint16_t *)dst)[i] = f32_to_f16(src[i]); break;
        case CLATTN_BF16: ((uint16_t *)dst)[i] = f32_to_bf16(src[i]); break;
        case CLATTN_U8: ((uint8_t *)dst)[i] = (uint8_t)to_integer(src[i], 0, UINT8_MAX); break;
        case CLATTN_I32: ((int32_t *)dst)[i] = to_integer(src[i], INT32_MIN, INT32_MAX); break;
        case CLATTN_I8: ((int8_t *)dst)[i] = (int8_t)to_integer(src[i], INT8_MIN, INT8_MAX); break;
        case CLATTN_I4: ((uint8_t *)dst)[i] = pack_i4(src + 2 * i); break;
        case CLATTN_NONE: break;
        }
}
