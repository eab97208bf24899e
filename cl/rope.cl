/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary embedding: each pair (u, v) of a head turns by the angle t = position base^(-2i/D):
 *
 *     (u cos t - v sin t, u sin t + v cos t)
 *
 * Tunables    WG work-items
 * Constants   IN_TYPE, OUT_TYPE, NEOX (pairs i and i + D/2, else 2i and 2i + 1), HAS_STARTS
 * Launch      (pairs of a row rounded up to WG, N, B), groups of WG; a work-item per pair
 * Local       none
 * Numerics    angles in fixed point, see rotary.clh; f32 else
 */
REQD_WG(WG, 1, 1)
__kernel void rope(__global const void *x, __global void *y, __global const int *starts, long x_off,
                   long x_b, long x_n, long x_h, long y_off, long y_b, long y_n, long y_h,
                   long starts_off, long start, long ratio, int H, int D)
{
    const int at = (int)get_global_id(0), n = (int)get_global_id(1), b = (int)get_global_id(2);
    const int h = at / (D / 2), i = at % (D / 2);
    if (h >= H)
        return;
    const long position = (HAS_STARTS ? (long)starts[starts_off + b] : start) + n;
    const float2 cs = rotary_angle(rotary_turns((ulong)ratio, i), position);
    const int first = NEOX ? i : 2 * i, second = NEOX ? i + D / 2 : 2 * i + 1;
    const size_t from = (size_t)(x_off + b * x_b + n * x_n + h * x_h);
    const size_t to = (size_t)(y_off + b * y_b + n * y_n + h * y_h);
    const float u = load(IN_TYPE, x, from + first), v = load(IN_TYPE, x, from + second);
    store(OUT_TYPE, y, to + first, u * cs.x - v * cs.y);
    store(OUT_TYPE, y, to + second, fma(u, cs.y, v * cs.x));
}
