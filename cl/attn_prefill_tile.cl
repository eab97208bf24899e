/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention for many query rows over the matrix tile, f16 or bf16 throughout:
 *
 *     o_i = sum_j exp(s_j - lse_i) v_j       lse_i = log(sum_j exp(s_j) [+ exp(sink)])
 *
 * A work-group owns BR rows of one head and walks the keys that its rows see in tiles of BC, which
 * are copied to local memory ahead of their use. SC sub-groups share MR strips of 16 rows: each
 * computes BC / SC scores of every row, and Dv / SC columns of the result. Alone with its strips, a
 * sub-group turns its weights into operands where they are; else they cross in local memory.
 * (Online softmax: Milakov and Gimelshein 2018; tiles: Dao 2023.)
 *
 * What is masked has weight 0, which does not keep a NaN or an inf of v out of a matrix product:
 * a work-group that ends with one does its rows again, products of values one by one.
 *
 * Tunables    TILE, SR x SC sub-groups, MR strips of each, BC keys, QR: q in local memory (1),
 *             in registers (2)
 * Constants   see attn.clh and tile.clh
 * Launch      ceil(Nq / BR) * Hq * B work-groups of SR * SC * TILE_LANES, in one dimension
 * Local       tiles of k and v, weights, q; q once and o at the end take the place of the others
 * Numerics    scores and sums f32; weights are rounded to the dtype of v, their sum is not
 */
/* Rows of the tile at o_tile, as far as there are any. */
FN void store_rows(__global void *o, size_t to, long stride, int n, __local const ushort *o_tile)
{
    const int aligned = is_aligned(o, to, stride);
    for (int e = (int)get_local_id(0); e < n * VT * 2; e += WG) {
        const int r = e / (VT * 2), c = e % (VT * 2) * 8;
        __local const ushort *from = o_tile + r * LDV + c;
        __global ushort *at = (__global ushort *)o + to + (size_t)r * stride + c;
        if (aligned && c + 8 <= VALUE_DIM)
            *(__global uint4 *)at = *(__local const uint4 *)from;
        else
            for (int i = 0; i < 8 && c + i < VALUE_DIM; i++)
                at[i] = from[i];
    }
}

REQD_WG(WG, 1, 1) TILE_ATTR
__kernel void attn_prefill_tile(ATTN_ARGS)
{
    __local ushort all[ALL_SIZE] __attribute__((aligned(16)));
    __local float red[BR * SC];
    __local int odd;
    __local ushort *k_tile = all + Q_SIZE, *v_tile = k_tile + K_SIZE, *p_tile = v_tile + V_SIZE;

    const int lid = (int)get_local_id(0), sub_group = lid / TILE_LANES;
    const int sc = sub_group % SC, strip = sub_group / SC * MR; /* 16 rows each */
    /* The last rows first: under a causal mask they take longest. */
    const uint tiles = (uint)((Nq + BR - 1) / BR), group = (uint)get_group_id(0);
    const int row0 = (int)(tiles - 1 - group % tiles) * BR;
    const uint head = group / tiles;
    const int h = (int)(head % (uint)Hq), b = (int)(head / (uint)Hq), hk = h / G;

    const seq s = SEQ_OF(b);
    tile_span span;
    find_span(&span, row0, BR, s, left, right, causal);
    const int rows = span.rows, begin = span.begin, end = span.end;
    const size_t q_at = (size_t)(q_off + b * q_b + h * q_h + (long)(s.q0 + row0) * q_n);
    const kv_head keys = KEYS_OF(b, hk, s);
    const kv_head values = VALUES_OF(b, hk, s);
    const score_rule rule = SCORE_RULE_OF(b, h);
    const int columns = min(NO, VT - sc * NO); /* tiles of o that this sub-group has */

    tile_a q_tiles[QR == 1 ? 1 : MR * DT];
    tile_c x[MR * NS], y[MR * NO];
    float top[ROWS], sum[ROWS], highest[ROWS], factor[ROWS];

    stage_queries(all, q, q_at, q_n, rows);
    TILE_COMMIT();
    TILE_WAIT(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    TILE_UNROLL
    for (int i = 0; QR != 1 && i < MR * DT; i++)
        tile_load_a_l(q_tiles + i, all + (strip + i / DT) * 16 * LDK + i % DT * 16, LDK);
    if (lid == 0)
        odd = 0;
    barrier(CLK_LOCAL_MEM_FENCE);

    /* The second time for rows that are not finite. PoCL needs a number of times that it knows. */
    for (int select = 0; select < 2; select++) {
        const int last = select && !odd ? begin : end;
        if (!select || odd)
            start_strips(top, sum, y);
        if (begin < last)
            stage_keys(k_tile, DT, HEAD_DIM, &keys, begin, end);
        TILE_COMMIT();

        for (int key = begin; key < last; key += BC) {
            TILE_WAIT(0);
            barrier(CLK_LOCAL_MEM_FENCE); /* keys are there, nobody needs values or weights */
            stage_keys(v_tile, VT, VALUE_DIM, &values, key, end);
            TILE_COMMIT();
            add_products(x, q_tiles, all + strip * 16 * LDK, k_tile + sc * NS * 16 * LDK);
            TILE_UNROLL
            for (int m = 0; m < MR; m++)
                score_strip(&rule, s, row0 + (strip + m) * 16, key + sc * NS * 16,
                            sees_all(&span, key, BC), left, right, causal, x + m * NS,
                            highest + m * TILE_ROWS);
            tell_rows(red, highest, strip, sc);
            barrier(CLK_LOCAL_MEM_FENCE); /* nobody needs the keys */
            if (key + BC < end)
                stage_keys(k_tile, DT, HEAD_DIM, &keys, key + BC, end);
            TILE_COMMIT();
            join_rows(red, highest, strip, 0);
            soften_strips(x, highest, top, sum, y);
            if (SC > 1 || select)
                store_weights(p_tile + strip * 16 * LDP + sc * NS * 16, x);
            TILE_WAIT(1);
            barrier(CLK_LOCAL_MEM_FENCE); /* values and weights are there */
            if (select)
                add_seen_values(y, p_tile + strip * 16 * LDP, v_tile + sc * NO * 16, columns);
            else
                add_values(y, x, p_tile + strip * 16 * LDP, v_tile + sc * NO * 16, columns);
        }
        if (!select && !all_finite_tiles(y, columns))
            atomic_or(&odd, 1);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    TILE_UNROLL
    for (int i = 0; i < ROWS; i++)
        sum[i] = tile_row_sum(sum[i]);
    tell_rows(red, sum, strip, sc);
    barrier(CLK_LOCAL_MEM_FENCE);
    join_rows(red, sum, strip, 1);
    const float sink = HAS_SINKS ? sinks[sinks_off + h] : 0.0f;
    TILE_UNROLL
    for (int i = 0; i < ROWS; i++) {
        const int r = (strip + i / TILE_ROWS) * 16 + tile_row(i % TILE_ROWS);
        const float row_lse = end_row(top[i], sum[i], HAS_SINKS, sink, factor + i);
        if (HAS_LSE && sc == 0 && tile_col(0) == 0 && r < rows)
            lse[lse_off + b * lse_b + h * lse_h + (long)(s.q0 + row0 + r) * lse_n] = row_lse;
    }
    TILE_UNROLL
    for (int i = 0; i < MR * NO; i++)
        if (i % NO < columns) {
            tile_scale(y + i, factor + i / NO * TILE_ROWS);
            tile_store_l(all + (strip + i / NO) * 16 * LDV + (sc * NO + i % NO) * 16, LDV, y + i);
        }
    barrier(CLK_LOCAL_MEM_FENCE);
    store_rows(o, (size_t)(o_off + b * o_b + h * o_h + (long)(s.q0 + row0) * o_n), o_n, rows, all);
}
