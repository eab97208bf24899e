/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear attention of one row and one key on a state, on any device:
 *
 *     S_out = S_in + phi(k) v^T     z_out = z_in + phi(k)     o = phi(q)^T S_out / phi(q)^T z_out
 *
 * A work-group owns one key head with all its query heads, so that a state may be updated in place.
 * COLUMNS neighbours hold four columns each of a row of S; rows go round the others.
 *
 * Tunables    WG work-items
 * Constants   see linear.clh, and GROUP (G)
 * Launch      Hk * B work-groups of WG, in one dimension
 * Local       a float4 per work-item and query head
 * Numerics    f32; WG / COLUMNS interleaved sums per column, added in a tree; denominators in
 *             sums of two floats
 */
#define COLUMNS (VALUE_PAD <= 16 ? 4 : VALUE_PAD <= 32 ? 8 : 16)
#define LINES (WG / COLUMNS)

FN float4 sum_lines(__local float4 *sums, float4 x, int line, int column)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    sums[line * COLUMNS + column] = x;
    for (int n = LINES / 2; n > 0; n /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (line < n)
            sums[line * COLUMNS + column] += sums[(line + n) * COLUMNS + column];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return sums[column];
}

FN float4 row_or_0(int type, __global const void *x, size_t row, int d, int n)
{
    return d < n ? row4(type, x, row, d, n) : (float4)(0.0f);
}

REQD_WG(WG, 1, 1)
__kernel void linear_step(LINEAR_ARGS)
{
    __local float4 shared[WG];
    const int lid = (int)get_local_id(0), line = lid / COLUMNS, column = lid % COLUMNS;
    const int hk = (int)get_group_id(0) % Hk, b = (int)get_group_id(0) / Hk;
    const size_t q_at = ROW_OF(q, b, hk * GROUP, 0), k_at = ROW_OF(k, b, hk, 0);
    const size_t v_at = ROW_OF(v, b, hk, 0), o_at = ROW_OF(o, b, hk * GROUP, 0);
    const size_t in_at = KV_OF(in, b, hk), out_at = KV_OF(out, b, hk);
    const size_t in_z_at = Z_OF(in, b, hk), out_z_at = Z_OF(out, b, hk);
    float factor[GROUP];

    /*
     * z first: all that read it come before all that write it. Trip counts are the same for all
     * work-items, also of loops that only stand between barriers: PoCL 3.1 gets others wrong.
     */
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
        sum2 den = { 0.0f, 0.0f };
        for (int f0 = 0; NORMALIZED && f0 < FEATURES; f0 += WG) {
            const int f = f0 + lid;
            if (f < FEATURES) {
                const float z = feature(k, k_at, f, 1.0f, c) + (HAS_IN ? in_z[in_z_at + f] : 0.0f);
                den = fma2(den, feature(q, q_at + g * (size_t)q_h, f, scale, c), (sum2){ z, 0.0f });
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        shared[lid] = (float4)(den.hi, den.lo, 0.0f, 0.0f);
        for (int n = WG / 2; n > 0; n /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            if (lid < n) {
                const float4 x = shared[lid], y = shared[lid + n];
                const sum2 sum = add2((sum2){ x.x, x.y + y.y }, y.x);
                shared[lid] = (float4)(sum.hi, sum.lo, 0.0f, 0.0f);
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        factor[g] = normalizer(shared[0].x + shared[0].y);
    }
    for (int f = lid; HAS_OUT && f < FEATURES; f += WG)
        out_z[out_z_at + f] = feature(k, k_at, f, 1.0f, c) + (HAS_IN ? in_z[in_z_at + f] : 0.0f);

    for (int d0 = 0; d0 < VALUE_DIM; d0 += 4 * COLUMNS) {
        const int d = d0 + 4 * column;
        const float4 value = row_or_0(IN_TYPE, v, v_at, d, VALUE_DIM);
        float4 sums[GROUP];
#pragma unroll
        for (int g = 0; g < GROUP; g++)
            sums[g] = (float4)(0.0f);
        for (int f0 = 0; f0 < FEATURES; f0 += LINES) {
            const int f = f0 + line;
            if (f < FEATURES) {
                float4 y = feature(k, k_at, f, 1.0f, c) * value;
                if (HAS_IN)
                    y += row_or_0(T_F32, in_kv, in_at + f * (size_t)in_kv_f, d, VALUE_DIM);
                if (HAS_OUT)
                    store_row4(T_F32, out_kv, out_at + f * (size_t)out_kv_f, d, VALUE_DIM, y);
#pragma unroll
                for (int g = 0; g < GROUP; g++)
                    sums[g] = fma((float4)(feature(q, q_at + g * (size_t)q_h, f, scale, c)), y,
                                  sums[g]);
            }
        }
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
            const float4 sum = sum_lines(shared, sums[g], line, column);
            if (line == 0)
                store_row4(OUT_TYPE, o, o_at + g * (size_t)o_h, d, VALUE_DIM, sum * factor[g]);
        }
    }
}
