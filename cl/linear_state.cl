/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums over the keys of a segment, into its state in the workspace, on any device:
 *
 *     S = sum phi(k_j) v_j^T     z = sum phi(k_j)
 *
 * A work-group owns BR features and BV columns of S of one segment. Features are made on
 * the fly in local memory. Segments that a shorter sequence does not have become 0.
 *
 * Tunables    none; WG work-items, BR and BV come with the problem
 * Constants   see linear.clh
 * Launch      (WG ceil(F / BR) ceil(Dv / BV) segs, Hk, B), work-groups of WG
 * Local       BR features of 36 floats, and 32 rows of BV
 * Numerics    f32, one sum per element in the order of the keys
 */
/* phi of n keys as a, features f0 .. f0 + BR - 1; 0 for keys from n on and features past F. */
FN void stage_features(__local float *a, __global const void *k, size_t from, long stride, int n,
                       int f0, float c)
{
    for (int e = (int)get_local_id(0); e < DEPTH * BR; e += WG) {
        const int j = e / BR, i = e % BR;
        const int there = j < n && f0 + i < FEATURES;
        a[i * LD + j] = there ? feature(k, from + j * (size_t)stride, f0 + i, 1.0f, c) : 0.0f;
    }
}

REQD_WG(WG, 1, 1)
__kernel void linear_state(LINEAR_ARGS)
{
    __local float4 a[BR * LD4], x[DEPTH * BV4];
    __local int odd;
    const int lid = (int)get_local_id(0), tr = lid / TC, tc = lid % TC;
    const int hk = (int)get_group_id(1), b = (int)get_group_id(2);
    const uint rows = (FEATURES + BR - 1) / BR, slices = (VALUE_DIM + BV - 1) / BV;
    const uint group = (uint)get_group_id(0);
    const int f0 = (int)(group % rows) * BR, column = (int)(group / rows % slices) * BV;
    const int seg = (int)(group / rows / slices);
    const seq s = SEQ_OF(b);
    const int last = min(s.nk, (seg + 1) * seg_keys);

    float4 y[MR * NV];
    sum2 z = { 0.0f, 0.0f };
#pragma unroll
    for (int i = 0; i < MR * NV; i++)
        y[i] = (float4)(0.0f);
    if (lid == 0)
        odd = 0;
    for (int key = seg * seg_keys; key < last; key += DEPTH) {
        const int n = min(DEPTH, last - key);
        barrier(CLK_LOCAL_MEM_FENCE);
        stage_features((__local float *)a, k, ROW_OF(k, b, hk, s.k0 + key), k_n, n, f0, c);
        stage_values(x, &odd, v, ROW_OF(v, b, hk, s.k0 + key), v_n, n, column);
        barrier(CLK_LOCAL_MEM_FENCE);
        add_tile(a, x, tr, tc, y, 0);
        if (lid < BR) {
            for (int j = 0; j < DEPTH; j++)
                z = add2(z, ((__local const float *)a)[lid * LD + j]);
        }
    }

    __global float *state = STATE_OF(b, hk, seg);
#pragma unroll
    for (int i = 0; i < MR; i++) {
        const int f = f0 + tr + i * TR;
        if (f < FEATURES) {
#pragma unroll
            for (int n = 0; n < NV; n++) {
                const int d = column + (n * TC + tc) * 4;
                if (d < VALUE_PAD)
                    vstore4(y[i * NV + n], 0, state + f * (size_t)VALUE_PAD + d);
            }
        }
    }
    if (column == 0 && lid < BR && f0 + lid < FEATURES)
        state[Z_AT + f0 + lid] = z.hi + z.lo;
}
