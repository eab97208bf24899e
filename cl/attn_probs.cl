/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probabilities of softmax attention, for the heads and rows asked for, from q and k:
 *
 *     p_ij = exp(s_j) / (sum_j exp(s_j) [+ exp(sink)])
 *
 * 0 where masked, and beyond the rows and keys of the sequence. A work-group owns BR rows of one
 * head: scores go to the output first, and become probabilities when the sums are known.
 *
 * Tunables    WG work-items, BR rows, BC keys of a tile, DC columns of a chunk of q and k
 * Constants   see attn.clh
 * Launch      ceil(rows / BR) * heads * B work-groups of WG, in one dimension
 * Local       a chunk of BR rows of q and one of BC rows of k, two numbers per row and work-item
 *             and two per row
 * Numerics    the sum is taken afresh: lse as it is stored has too few digits for large scores
 */

/* Running maximum and sum of what a work-item has seen of a row. */
FN void sum_weights(const float *s, float *top, float *sum)
{
    float next = *top;
#pragma unroll
    for (int j = 0; j < MC; j++)
        next = fmax(next, s[j]);
    const float base = base_of(next);
    float total = *sum * weight_of(*top, base);
#pragma unroll
    for (int j = 0; j < MC; j++)
        total += weight_of(s[j], base);
    *top = next;
    *sum = total;
}

/* Adds up what the TC work-items of a row have seen; returns the maximum. */
FN float join_row(__local const float *tops, __local const float *sums, float *sum)
{
    float top = tops[0], total = 0.0f;
    for (int t = 1; t < TC; t++)
        top = fmax(top, tops[t]);
    for (int t = 0; t < TC; t++)
        total += sums[t] * weight_of(tops[t], base_of(top));
    *sum = total;
    return top;
}

REQD_WG(WG, 1, 1)
__kernel void attn_probs(ATTN_ARGS)
{
    __local float4 q_tile[BR * LD4], k_tile[BC * LD4];
    __local float tops[BR * TC], sums[BR * TC], bases[BR], factors[BR];

    const int lid = (int)get_local_id(0), tr = lid / TC, tc = lid % TC;
    const uint tiles = (uint)((probs_rows + BR - 1) / BR), group = (uint)get_group_id(0);
    const int to_row = (int)(group % tiles) * BR, row0 = probs_row + to_row;
    const uint head = group / tiles;
    const int to_head = (int)(head % (uint)probs_heads), b = (int)(head / (uint)probs_heads);
    const int h = probs_head + to_head, hk = h / G;

    const seq s = SEQ_OF(b);
    tile_span span;
    find_span(&span, row0, BR, s, left, right, causal);
    const size_t q_at = (size_t)(q_off + b * q_b + h * q_h + (long)(s.q0 + row0) * q_n);
    const kv_head keys = KEYS_OF(b, hk, s);
    __global float *out = probs + (probs_off + b * probs_b + to_head * probs_h);
    const score_rule rule = SCORE_RULE_OF(b, h);

    float top[MR], sum[MR];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        top[i] = -INFINITY;
        sum[i] = 0.0f;
    }
    for (int key = span.begin; key < span.end; key += BC) {
        float x[MR * MC];
        tile_products(q_tile, k_tile, q, q_at, q_n, span.rows, &keys, key, span.end, tr, tc, x);
        score_tile(&rule, s, row0 + tr, key + tc * MC, sees_all(&span, key, BC), left, right,
                   causal, x);
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const int r = to_row + tr + i * TR, first = key + tc * MC;
            const int n = r < probs_rows ? span.end - first : 0;
            sum_weights(x + i * MC, &top[i], &sum[i]);
#pragma unroll
            for (int j = 0; j < MC; j++) {
                if (j < n)
                    out[(size_t)r * probs_n + first + j] = x[i * MC + j];
            }
        }
    }

#pragma unroll
    for (int i = 0; i < MR; i++) {
        tops[(tr + i * TR) * TC + tc] = top[i];
        sums[(tr + i * TR) * TC + tc] = sum[i];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lid < BR) {
        const float sink = HAS_SINKS ? sinks[sinks_off + h] : 0.0f;
        float sum_all, factor;
        const float top_all = join_row(tops + lid * TC, sums + lid * TC, &sum_all);
        end_row(top_all, sum_all, HAS_SINKS, sink, &factor);
        bases[lid] = base_of(top_all);
        factors[lid] = factor;
    }
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    for (int r = 0; r < min(BR, probs_rows - to_row); r++) {
        __global float *p = out + (size_t)(to_row + r) * probs_n;
        for (int j = lid; j < Nk; j += WG) {
            float x = -INFINITY;
            if (j >= span.begin && j < span.end)
                x = p[j];
            p[j] = x == -INFINITY ? 0.0f : weight_of(x, bases[r]) * factors[r];
        }
    }
}
