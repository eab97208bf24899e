/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention for many query rows on any device:
 *
 *     o_i = sum_j exp(s_j - lse_i) v_j       lse_i = log(sum_j exp(s_j) [+ exp(sink)])
 *
 * A work-group owns BR rows of one head and one slice of value columns, and walks the keys that its
 * rows see in tiles of BC. K and V pass through local memory in chunks; scores and sums of values
 * stay in registers, weights cross between work-items in local memory. Slices beyond the first
 * repeat the scores. (Online softmax: Milakov and Gimelshein 2018; tiles: Dao 2023.)
 *
 * Tunables    WG work-items, BR rows, BC keys, DC columns of a chunk of q and k
 * Constants   see attn.clh
 * Launch      ceil(Nq / BR) * ceil(Dv / SLICE) * Hq * B work-groups of WG, in one dimension
 * Local       q and weights share one tile unless there is room for both; k and v share another
 * Numerics    one f32 sum per score in order of D, one per output column in order of keys;
 *             the sum of weights is kept per work-item and added up at the end
 */

/* Value columns of a work-group: each work-item has NV float4 of each of its 2 or 4 rows. */
#define NV_WANTED ((VALUE_DIM + 4 * TC - 1) / (4 * TC))
#define NV (NV_WANTED < 4 ? NV_WANTED : 4)
#define SLICE4 (NV * TC)
#define SLICE (SLICE4 * 4)
#define SLICES ((VALUE_DIM + SLICE - 1) / SLICE)
/* Keys of a chunk of v, a power of two, which fits where a chunk of k was. */
#define VC_MOST (BC * DC / (NV == 1 ? 32 : NV == 2 ? 64 : 128))
#define VC (VC_MOST < BC ? VC_MOST : BC)

#define P4 (BC / 4 + 1)
#define Q_SIZE (BR * LD4)
#define P_SIZE (BR * P4)
#define K_SIZE (BC * LD4)
/* Per row, one number of each of the TC work-items that share it; 3 float4 avoid bank conflicts. */
#define RED4 (TC / 4 + 1)
#define RED_SIZE (BR * RED4)
/* All of q stays in local memory when one chunk holds it, and 32 KB hold all tiles and a word. */
#define KEEP_Q (HEAD_DIM <= DC && Q_SIZE + P_SIZE + K_SIZE + RED_SIZE < 2048)
#define QP_SIZE (KEEP_Q ? Q_SIZE + P_SIZE : Q_SIZE > P_SIZE ? Q_SIZE : P_SIZE)

/* Rows key .. key + VC - 1 of v, columns of one slice; rows from end on become 0. */
FN void stage_values(__local float4 *tile, __local int *odd, const kv_head *values, int key,
                     int end, int column)
{
    int finite = 1;
    for (int e = (int)get_local_id(0); e < VC * SLICE4; e += WG) {
        const int r = key + e / SLICE4;
        const int c = column + e % SLICE4 * 4;
        float4 x = (float4)(0.0f);
        if (r < end && c < VALUE_DIM)
            x = row4(KV_TYPE, values->data, kv_row(values, r), c, VALUE_DIM)
              * kv_factor(values, kv_scales(values, r), c);
        finite &= all_finite(x);
        tile[e] = x;
    }
    if (!finite)
        atomic_or(odd, 1);
}

/* o += p v over one chunk. select: some v is not finite, so weights of masked keys are left out. */
FN void add_values(__local const float4 *p, __local const float4 *v, int tr, int tc, float4 *o,
                   const int select)
{
    for (int k4 = 0; k4 < VC / 4; k4++) {
        float4 w[MR];
#pragma unroll
        for (int i = 0; i < MR; i++)
            w[i] = p[(tr + i * TR) * P4 + k4];
#pragma unroll
        for (int n = 0; n < NV; n++) {
            __local const float4 *at = v + k4 * 4 * SLICE4 + n * TC + tc;
            const float4 x0 = at[0], x1 = at[SLICE4], x2 = at[2 * SLICE4], x3 = at[3 * SLICE4];
#pragma unroll
            for (int i = 0; i < MR; i++) {
                float4 y = o[i * NV + n];
                if (select) {
                    y = add_seen(w[i].x, x0, y);
                    y = add_seen(w[i].y, x1, y);
                    y = add_seen(w[i].z, x2, y);
                    y = add_seen(w[i].w, x3, y);
                } else {
                    y = fma((float4)(w[i].x), x0, y);
                    y = fma((float4)(w[i].y), x1, y);
                    y = fma((float4)(w[i].z), x2, y);
                    y = fma((float4)(w[i].w), x3, y);
                }
                o[i * NV + n] = y;
            }
        }
    }
}

FN float max_of_row(__local const float4 *red)
{
    const float4 x = fmax(red[0], red[1]);
    return fmax(fmax(x.x, x.y), fmax(x.z, x.w));
}

FN float sum_of_row(__local const float4 *red)
{
    const float4 x = red[0] + red[1];
    return (x.x + x.y) + (x.z + x.w);
}

/*
 * Online softmax of one row of the tile: scores s[MC] become weights, written at p. Returns the
 * factor for everything summed before. A NaN passes over the maximum, but not over the sum.
 */
FN float soften_row(const float *s, __local float4 *p, float tile_top, float *top, float *sum)
{
    const float next = fmax(*top, tile_top);
    const float base = base_of(next);
    const float factor = weight_of(*top, base);
    float total = *sum * factor;
    float w[MC];
#pragma unroll
    for (int j = 0; j < MC; j++) {
        w[j] = s[j] == -INFINITY ? MASKED : weight_of(s[j], base);
        total += w[j];
    }
#pragma unroll
    for (int j = 0; j < MC / 4; j++)
        p[j] = (float4)(w[4 * j], w[4 * j + 1], w[4 * j + 2], w[4 * j + 3]);
    *top = next;
    *sum = total;
    return factor;
}

REQD_WG(WG, 1, 1)
__kernel void attn_prefill(ATTN_ARGS)
{
    __local float4 qp_tile[QP_SIZE], kv_tile[K_SIZE], red[RED_SIZE];
    __local int odd;
    __local float4 *p_tile = qp_tile + (KEEP_Q ? Q_SIZE : 0);

    const int lid = (int)get_local_id(0), tr = lid / TC, tc = lid % TC;
    /* The last rows first: under a causal mask they take longest. */
    const uint tiles = (uint)((Nq + BR - 1) / BR), group = (uint)get_group_id(0);
    const int row0 = (int)(tiles - 1 - group % tiles) * BR;
    const int column = (int)(group / tiles % SLICES) * SLICE;
    const uint head = group / tiles / SLICES;
    const int h = (int)(head % (uint)Hq), b = (int)(head / (uint)Hq), hk = h / G;

    const seq s = SEQ_OF(b);
    tile_span span;
    find_span(&span, row0, BR, s, left, right, causal);
    const int rows = span.rows, begin = span.begin, end = span.end;
    const size_t q_at = (size_t)(q_off + b * q_b + h * q_h + (long)(s.q0 + row0) * q_n);
    const kv_head keys = KEYS_OF(b, hk, s);
    const kv_head values = VALUES_OF(b, hk, s);
    const score_rule rule = SCORE_RULE_OF(b, h);

    float top[MR], sum[MR];
    float4 y[MR * NV];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        top[i] = -INFINITY;
        sum[i] = 0.0f;
    }
#pragma unroll
    for (int i = 0; i < MR * NV; i++)
        y[i] = (float4)(0.0f);
    if (lid == 0)
        odd = 0;

    for (int key = begin; key < end; key += BC) {
        float x[MR * MC];
#pragma unroll
        for (int i = 0; i < MR * MC; i++)
            x[i] = 0.0f;
        for (int d4 = 0; d4 < D4; d4 += DC4) {
            barrier(CLK_LOCAL_MEM_FENCE);
            if (!KEEP_Q || key == begin)
                stage_queries(qp_tile, q, q_at, q_n, rows, d4);
            stage_keys(kv_tile, &keys, key, end, d4);
            barrier(CLK_LOCAL_MEM_FENCE);
            add_products(qp_tile, kv_tile, min(DC4, D4 - d4), tr, tc, x);
        }
        score_tile(&rule, s, row0 + tr, key + tc * MC, sees_all(&span, key, BC),
                   left, right, causal, x);

#pragma unroll
        for (int i = 0; i < MR; i++) {
            float most = x[i * MC];
#pragma unroll
            for (int j = 1; j < MC; j++)
                most = fmax(most, x[i * MC + j]);
            ((__local float *)(red + (tr + i * TR) * RED4))[tc] = most;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const int r = tr + i * TR;
            const float factor = soften_row(x + i * MC, p_tile + r * P4 + tc * (MC / 4),
                                            max_of_row(red + r * RED4), &top[i], &sum[i]);
#pragma unroll
            for (int n = 0; n < NV; n++)
                y[i * NV + n] *= factor;
        }
        for (int first = 0; first < BC; first += VC) {
            barrier(CLK_LOCAL_MEM_FENCE);
            stage_values(kv_tile, &odd, &values, key + first, end, column);
            barrier(CLK_LOCAL_MEM_FENCE);
            if (odd)
                add_values(p_tile + first / 4, kv_tile, tr, tc, y, 1);
            else
                add_values(p_tile + first / 4, kv_tile, tr, tc, y, 0);
        }
    }

#pragma unroll
    for (int i = 0; i < MR; i++)
        ((__local float *)(red + (tr + i * TR) * RED4))[tc] = sum[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    const float sink = HAS_SINKS ? sinks[sinks_off + h] : 0.0f;
#pragma unroll
    for (int i = 0; i < MR; i++) {
        const int r = tr + i * TR;
        if (r >= rows)
            continue;
        float factor;
        const float row_lse = end_row(top[i], sum_of_row(red + r * RED4), HAS_SINKS, sink, &factor);
        const long row = s.q0 + row0 + r;
        const size_t to = (size_t)(o_off + b * o_b + h * o_h + row * o_n);
#pragma unroll
        for (int n = 0; n < NV; n++)
            store_row4(OUT_TYPE, o, to, column + (n * TC + tc) * 4, VALUE_DIM,
                       y[i * NV + n] * factor);
        if (HAS_LSE && tc == 0 && column == 0)
            lse[lse_off + b * lse_b + h * lse_h + row * lse_n] = row_lse;
    }
}
