/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures read bandwidth: work-item i sums count vectors of four floats, from vector i * first on,
 * step vectors apart. first = 1 and step = items lets neighbours read neighbouring vectors, as GPUs
 * like it; first = count and step = 1 gives each work-item a stream of its own.
 *
 * Tunables    none
 * Constants   none
 * Launch      items work-items, a multiple of 64, in work-groups of 64
 * Local       none
 * Numerics    plain sums; count is a multiple of 8, in holds positive numbers
 */
#define LOADS 8 /* in flight at least */

REQD_WG(64, 1, 1)
__kernel void peak_read(__global const float *in, __global float *out, long in_off, long out_off,
                        int count, long first, long step)
{
    __global const float *p = in + in_off + get_global_id(0) * (size_t)first * 4;
    float4 sum[LOADS];
#pragma unroll
    for (int c = 0; c < LOADS; c++)
        sum[c] = (float4)(0.0f);
    for (int i = 0; i < count; i += LOADS) {
#pragma unroll
        for (int c = 0; c < LOADS; c++)
            sum[c] += vload4((i + c) * (size_t)step, p);
    }
#pragma unroll
    for (int c = 1; c < LOADS; c++)
        sum[0] += sum[c];
    /* Never true, and the compiler cannot know. */
    if (sum[0].x + sum[0].y + sum[0].z + sum[0].w < 0.0f)
        out[out_off] = sum[0].x;
}
