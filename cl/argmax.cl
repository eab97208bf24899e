/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argmax attention on any device, first half: the rank of the best key of each row,
 *
 *     j* = argmax_j (q_i . k_j)       the lowest j at equal scores; a NaN loses to any number
 *
 * over one part of the keys; argmax_pick joins the parts and fetches v. A work-group owns BR rows
 * of one head and walks its keys in tiles of BC, as attn_prefill does.
 *
 * Tunables    WG work-items, BR rows, BC keys, DC columns of a chunk of q and k, KEYS of a part
 * Constants   see attn.clh
 * Launch      ceil(Nq / BR) * splits * Hq * B work-groups of WG, in one dimension
 * Local       a tile of q, a tile of k, TC ranks per row
 * Numerics    one f32 sum per score, in order of D: equal keys get equal scores
 */
REQD_WG(WG, 1, 1)
__kernel void argmax(ATTN_ARGS)
{
    __local float4 q_tile[BR * LD4], k_tile[BC * LD4];
    __local ulong best_of[BR * TC];

    const int lid = (int)get_local_id(0), tr = lid / TC, tc = lid % TC;
    const uint tiles = (uint)((Nq + BR - 1) / BR), group = (uint)get_group_id(0);
    const int row0 = (int)(group % tiles) * BR;
    const int split = (int)(group / tiles % (uint)splits);
    const uint head = group / tiles / (uint)splits;
    const int h = (int)(head % (uint)Hq), b = (int)(head / (uint)Hq), hk = h / G;

    const seq s = SEQ_OF(b);
    const int rows = clamp(s.nq - row0, 0, BR);
    const int last_row = row0 + max(rows, 1) - 1;
    const int part = min(split * split_keys, s.nk);
    const int part_end = part + min(split_keys, s.nk - part);
    const int begin = max(key_begin(row0, s, left), part);
    const int end = rows > 0 ? min(key_end(last_row, s, right, causal), part_end) : 0;
    const size_t q_at = (size_t)(q_off + b * q_b + h * q_h + (long)(s.q0 + row0) * q_n);
    const kv_head keys = KEYS_OF(b, hk, s);
    const size_t mask_at = (size_t)(mask_off + b * mask_b + h * mask_h);

    ulong best[MR];
#pragma unroll
    for (int i = 0; i < MR; i++)
        best[i] = 0;

    for (int key = begin; key < end; key += BC) {
        float x[MR * MC];
        tile_products(q_tile, k_tile, q, q_at, q_n, rows, &keys, key, end, tr, tc, x);
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const int row = row0 + tr + i * TR;
            const int from = max(key_begin(row, s, left), part);
            const int to = row < s.nq ? min(key_end(row, s, right, causal), part_end) : 0;
#pragma unroll
            for (int j = 0; j < MC; j++) {
                const int at = key + tc * MC + j;
                int seen = at >= from && at < to;
                if (HAS_MASK && seen)
                    seen = mask[mask_at + (size_t)row * mask_n + (size_t)at * mask_k] != 0;
                const ulong rank = seen ? rank_of(x[i * MC + j], at) : 0;
                best[i] = max(best[i], rank);
            }
        }
    }

#pragma unroll
    for (int i = 0; i < MR; i++)
        best_of[(tr + i * TR) * TC + tc] = best[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int r = lid; r < rows; r += WG) {
        ulong rank = best_of[r * TC];
        for (int j = 1; j < TC; j++)
            rank = max(rank, best_of[r * TC + j]);
        RANKS[RANK_AT(split, b, h, row0 + r)] = rank;
    }
}
