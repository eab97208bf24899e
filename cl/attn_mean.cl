/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mean over the heads of the weights of some rows:
 *
 *     mean_ij = sum_h p_hij / Hq
 *
 * 0 where no head sees the key, and beyond the rows and keys of the sequence. Runs after
 * attn_stats, which leaves what scores of a row refer to, and 1 / sum. A work-group owns BR rows
 * and BC keys, and adds up one head after the other.
 *
 * Tunables    none; WG, BR, BC and DC are those of attn_stats
 * Constants   see attn.clh
 * Launch      ceil(mean_rows / BR) * ceil(Nk / BC) * B work-groups of WG, in one dimension
 * Local       a chunk of BR rows of q and one of BC rows of k
 * Numerics    f32 sums in the order of the heads
 */
REQD_WG(WG, 1, 1)
__kernel void attn_mean(ATTN_ARGS, STATS_ARGS)
{
    __local float4 q_tile[BR * LD4], k_tile[BC * LD4];

    const int lid = (int)get_local_id(0), tr = lid / TC, tc = lid % TC;
    const uint row_tiles = (uint)((mean_rows + BR - 1) / BR);
    const uint key_tiles = (uint)((Nk + BC - 1) / BC);
    const uint group = (uint)get_group_id(0);
    const int to_row = (int)(group % row_tiles) * BR, row0 = mean_row + to_row;
    const int key = (int)(group / row_tiles % key_tiles) * BC;
    const int b = (int)(group / row_tiles / key_tiles);

    const seq s = SEQ_OF(b);
    tile_span span;
    find_span(&span, row0, BR, s, left, right, causal);
    const int heads = key < span.end && key + BC > span.begin ? Hq : 0;

    float total[MR * MC];
#pragma unroll
    for (int n = 0; n < MR * MC; n++)
        total[n] = 0.0f;
    for (int h = 0; h < heads; h++) {
        const size_t q_at = (size_t)(q_off + b * q_b + h * q_h + (long)(s.q0 + row0) * q_n);
        const int hk = h / G;
        const kv_head keys = KEYS_OF(b, hk, s);
        const score_rule rule = SCORE_RULE_OF(b, h);
        float x[MR * MC];
        tile_products(q_tile, k_tile, q, q_at, q_n, span.rows, &keys, key, span.end, tr, tc, x);
        score_tile(&rule, s, row0 + tr, key + tc * MC, sees_all(&span, key, BC), left, right,
                   causal, x);
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const int r = tr + i * TR;
            float base = 0.0f, factor = 0.0f;
            if (r < span.rows) {
                base = work[ROW_PAIR(b, h, row0 + r)];
                factor = work[ROW_PAIR(b, h, row0 + r) + 1];
            }
#pragma unroll
            for (int j = 0; j < MC; j++)
                total[i * MC + j] += share_of(x[i * MC + j], base, factor);
        }
    }
    __global float *out = mean + mean_off + b * mean_b;
#pragma unroll
    for (int n = 0; n < MR * MC; n++) {
        const int r = to_row + tr + n / MC * TR, j = key + tc * MC + n % MC;
        if (r < mean_rows && j < Nk)
            out[r * mean_n + j] = total[n] / (float)Hq;
    }
}
