/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the f32 multiply-add rate: count rounds of x = x a + b on 8 independent chains of 16
 * lanes, which is 256 flops a round and work-item.
 *
 * Tunables    none
 * Constants   none
 * Launch      items work-items, a multiple of 64, in work-groups of 64
 * Local       none
 * Numerics    0 < a < 1 and b > 0: x tends to b / (1 - a) and never becomes subnormal
 */
#define CHAINS 8

REQD_WG(64, 1, 1)
__kernel void peak_fma(__global float *out, long out_off, int count, float a, float b)
{
    float16 x[CHAINS];
#pragma unroll
    for (int c = 0; c < CHAINS; c++)
        x[c] = (float16)((float)(c + 1));
    for (int i = 0; i < count; i++) {
#pragma unroll
        for (int c = 0; c < CHAINS; c++)
            x[c] = fma(x[c], (float16)(a), (float16)(b));
    }
    float16 sum = x[0];
#pragma unroll
    for (int c = 1; c < CHAINS; c++)
        sum += x[c];
    const float8 s8 = sum.lo + sum.hi;
    const float4 s4 = s8.lo + s8.hi;
    /* Never true, and the compiler cannot know. */
    if (s4.x + s4.y + s4.z + s4.w < 0.0f)
        out[out_off] = s4.x;
}
