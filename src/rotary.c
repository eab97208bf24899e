/* SPDX-License-Identifier: Apache-2.0 */
#include "rotary.h"

#include <math.h>

#define PER_RADIAN UINT64_C(0x28be60db9391054a) /* 2^64 / (2 pi) */
#define PI 3.14159265358979323846

/* The upper half of a product. */
static uint64_t mul_high(uint64_t a, uint64_t b)
{
    const uint64_t a0 = a & UINT32_MAX, a1 = a >> 32, b0 = b & UINT32_MAX, b1 = b >> 32;
    const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (middle & UINT32_MAX);
    return a1 * b1 + (middle >> 32) + (other >> 32);
}

int64_t cla_rotary_ratio(double base, int32_t K)
{
    const long double ratio = ldexpl(powl((long double)base, -2.0L / (long double)K), 64);
    return (int64_t)(ratio < 0x1p64L ? (uint64_t)ratio : UINT64_MAX);
}

uint64_t cla_rotary_turns(int64_t ratio, int i)
{
    uint64_t turns = PER_RADIAN;
    for (uint64_t power = (uint64_t)ratio; i > 0; i >>= 1) {
        if (i & 1)
            turns = mul_high(turns, power);
        power = mul_high(power, power);
    }
    return turns;
}

void cla_rotary_angle(uint64_t turns, int64_t position, float *c, float *s)
{
    const uint64_t phase = turns * (uint64_t)position;
    const double angle = (double)(int64_t)phase * (PI * 0x1p-63);
    *c = (float)cos(angle);
    *s = (float)sin(angle);
}

clattn_status cla_rotary_check(clattn_ctx *ctx, const char *op, const char *name,
                               clattn_rotary rotary, int64_t K, float *base)
{
    CLA_REQUIRE(ctx, (unsigned)rotary <= CLATTN_ROTARY_GPTJ, CLATTN_ERR_ARG,
                "%s: rotary of %s is %d, must be 0, 1 or 2", op, name, (int)rotary);
    if (rotary == CLATTN_ROTARY_NONE)
        return CLATTN_OK;
    CLA_REQUIRE(ctx, K % 2 == 0, CLATTN_ERR_SHAPE,
                "%s: heads of %s are %lld wide; a rotary embedding needs an even width", op, name,
                (long long)K);
    CLA_REQUIRE(ctx, *base == 0 || (isfinite(*base) && *base >= 1), CLATTN_ERR_ARG,
                "%s: the rotary base of %s is %g, must be at least 1 (0: 10000)", op, name,
                (double)*base);
    if (*base == 0)
        *base = 10000;
    return CLATTN_OK;
}

clattn_status cla_rotary_check_start(clattn_ctx *ctx, const char *op, int64_t start, int32_t N)
{
    CLA_REQUIRE(ctx, start <= INT64_MAX - N, CLATTN_ERR_SHAPE,
                "%s: start is %lld, the positions of %d rows from there on exceed 64 bits", op,
                (long long)start, N);
    return CLATTN_OK;
}
