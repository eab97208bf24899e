/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins attention over P disjoint sets of keys:
 *
 *     lse = log(sum_p e^lse_p)       o = sum_p o_p e^(lse_p - lse)
 *
 * A part that saw no key has lse_p = -inf, and its o_p is not read.
 *
 * Tunables    WG work-items
 * Constants   VALUE_DIM, IN_TYPE, OUT_TYPE, HAS_LSE
 * Launch      a work-item for each of B H N Dv elements of o, in work-groups of WG
 * Local       none
 * Numerics    f32, parts in order
 */
REQD_WG(WG, 1, 1)
__kernel void merge(__global const void *o_parts, __global const float *lse_parts,
                    __global void *o, __global float *lse, long op_off, long op_p, long op_b,
                    long op_h, long op_n, long lp_off, long lp_p, long lp_b, long lp_h, long lp_n,
                    long o_off, long o_b, long o_h, long o_n, long lse_off, long lse_b, long lse_h,
                    long lse_n, int P, int B, int H, int N)
{
    const size_t row = get_global_id(0) / VALUE_DIM;
    const int d = (int)(get_global_id(0) % VALUE_DIM);
    if (row >= (size_t)B * H * N)
        return;
    const int i = (int)(row % N), h = (int)(row / N % H), b = (int)(row / N / H);

    __global const float *lses = lse_parts + (lp_off + b * lp_b + h * lp_h + i * lp_n);
    const size_t parts = (size_t)(op_off + b * op_b + h * op_h + i * op_n + d);
    float top = -INFINITY;
    for (int p = 0; p < P; p++)
        top = fmax(top, lses[p * lp_p]);
    /* No key at all: -inf - -inf would be NaN. */
    const float base = top == -INFINITY ? 0.0f : top;

    float total = 0.0f, sum = 0.0f;
    for (int p = 0; p < P; p++) {
        const float x = lses[p * lp_p];
        if (x == -INFINITY)
            continue;
        const float w = exp2((x - base) * LOG2E);
        total += w;
        sum = fma(w, load(IN_TYPE, o_parts, parts + (size_t)(p * op_p)), sum);
    }

    store(OUT_TYPE, o, (size_t)(o_off + b * o_b + h * o_h + i * o_n + d),
          total == 0.0f ? 0.0f : sum / total);
    if (HAS_LSE && d == 0)
        lse[lse_off + b * lse_b + h * lse_h + i * lse_n] = base + log(total);
}
