/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention for few query rows over many keys on any GPU, bound by reading K and V:
 *
 *     o_i = sum_j exp(s_j - lse_i) v_j       lse_i = log(sum_j exp(s_j) [+ exp(sink)])
 *
 * A work-group takes RB queries that read the same key/value head (the heads of the group, then
 * the next row) and one part of split_keys keys, and walks them in tiles of KT. LANES neighbours
 * share a key, a chunk of 16 bytes each, and add their products up in local memory. Each key and
 * value is read once per RB queries; values are on their way while scores become weights, and the
 * next keys while values are added. The results of several parts go to the workspace, without the
 * sink; where there are marks, the last work-group of a block of queries joins them, and attn_merge
 * where there are none.
 *
 * Tunables    WG work-items, RB queries, SPLIT least number of keys of a part, JOIN parts in this
 *             launch (1) or in one of its own (2)
 * Constants   see attn.clh
 * Launch      ceil(G Nq / RB) * SLICES * splits * Hk * B work-groups of WG, in one dimension
 * Local       RB (KT + 4) LANES floats of partial products, in the end sums of values; RB KT
 *             weights; the queries while they take no more than 8 KB
 * Numerics    one f32 sum per work-item and score, then LANES of them in order; parts in attn_merge
 */
/* Scores of the keys of one member of a team, from partial products; returns their maximum. */
FN float score_keys(__local float *score, __local const float *part, const score_rule *rule, int i,
                    int shift, int key, int member, int begin, int end)
{
    float top = -INFINITY;
    for (int j = member; j < KT; j += TEAM) {
        float product = part[j];
#pragma unroll
        for (int lane = 1; lane < LANES; lane++)
            product += part[lane * 4 * LD4 + j];
        float s = -INFINITY;
        if (key + j >= begin && key + j < end)
            s = score_of(rule, product, i, key + j, shift);
        score[j] = s;
        top = fmax(top, s);
    }
    return top;
}

/*
 * Turns them into weights, and adds to the sum; returns what sums so far are multiplied by. A NaN
 * passes over the maximum, but not over the sum.
 */
FN float weigh_keys(__local float *x, __local const float4 *tops, int member, float *top,
                    float *sum)
{
    const float next = fmax(*top, max_of_team(tops)), factor = weight_of(*top, base_of(next));
    *top = next;
    *sum *= factor;
    for (int j = member; j < KT; j += TEAM) {
        const float w = x[j] == -INFINITY ? MASKED : weight_of(x[j], base_of(next));
        *sum += w;
        x[j] = w;
    }
    return factor;
}

/* Where the results of one query go: to o, or to the workspace as those of a part. */
typedef struct target {
    size_t at; /* row 0 of the first head */
    long h, n;
    int whole;
} target;

/*
 * Adds up the shares of four columns of each chunk of y, normalises and stores them. All work-items
 * take part.
 */
FN void store_quad(__local float4 *sums, __local const float *factors, const float4 *y, int quad,
                   int share, int chunk, int count, __global void *o, __global float *work,
                   const target *to, const queries *u)
{
    const int lid = (int)get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int n = 0; share < SHARES && n < RB; n++)
        sums[(share * RB + n) * COLS + lid % COLS] = y[n * VALUE_QUADS + quad];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int e = lid; e < count * COLS; e += WG) {
        const int r = e / COLS, x = u->first + r;
        const int column = (chunk + e % COLS) * VALUE_CHUNK + 4 * quad;
        const size_t row = to->at + (size_t)(x % u->G * to->h) + (size_t)(x / u->G * to->n);
        if (column >= VALUE_DIM)
            continue;
        float4 total = sums[e];
        for (int m = 1; m < SHARES; m++)
            total += sums[m * RB * COLS + e];
        if (to->whole)
            store_row4(OUT_TYPE, o, row, column, min(VALUE_DIM, column + VALUE_CHUNK),
                       total * factors[r]);
        else
            store_row4(T_F32, work, row, column, min(VALUE_DIM, column + VALUE_CHUNK),
                       total * factors[r]);
    }
}

REQD_WG(WG, 1, 1)
__kernel void attn_decode(ATTN_ARGS, __global int *marks, long marks_off, long marks_count)
{
    __local float4 part4[PART4], q_rows[KEEP_Q ? RB * Q4 : 1], weights4[RB * KT / 4], team4[WG / 4];
    __local float factors[RB];
    __local int last;
    __local float *team = (__local float *)team4;

    const int lid = (int)get_local_id(0);
    const uint blocks = (uint)((G * Nq + RB - 1) / RB), group = (uint)get_group_id(0);
    const int slice = (int)(group / blocks % SLICES);
    const uint rest = group / blocks / SLICES;
    const int split = (int)(rest % (uint)splits);
    const int hk = (int)(rest / (uint)splits % (uint)Hk), b = (int)(rest / (uint)splits / (uint)Hk);

    const seq s = SEQ_OF(b);
    const int first = (int)(group % blocks) * RB;
    const queries u = { first, clamp(G * s.nq - first, 0, RB), G,
                        (size_t)(q_off + b * q_b + (long)hk * G * q_h + s.q0 * q_n), q_h, q_n };
    const int row_first = first / G, row_last = (first + max(u.count, 1) - 1) / G;
    const int begin = max(key_begin(row_first, s, left), split * split_keys);
    const int end = u.count > 0 ? min(key_end(row_last, s, right, causal),
                                      (split + 1) * split_keys) : 0;
    const int all_begin = key_begin(row_last, s, left);
    const int all_end = min(key_end(row_first, s, right, causal), end);
    const kv_head keys = KEYS_OF(b, hk, s);
    const kv_head values = VALUES_OF(b, hk, s);
    const int keys_aligned = kv_aligned(&keys, KEY_CHUNK * BITS_OF(KV_TYPE) / 8);
    const int values_aligned = kv_aligned(&values, VALUE_CHUNK * BITS_OF(KV_TYPE) / 8);

    /* As one that multiplies keys: its chunk, and its keys of a tile. */
    const int lane = lid % LANES, slot = lid / LANES * KEYS, multiplies = slot < KT;
    /* As one of a team: its query, what that one sees, its running maximum and own sum. */
    const int r = lid / TEAM, member = lid % TEAM;
    const int i = (first + r) / G, h = hk * G + (first + r) % G;
    const int known = r < u.count;
    const int seen_begin = key_begin(i, s, left);
    const int seen_end = known ? min(key_end(i, s, right, causal), end) : 0;
    const score_rule rule = SCORE_RULE_OF(b, known ? h : 0);
    __local float *scores = (__local float *)weights4 + r * KT;
    float top = -INFINITY, sum = 0.0f;
    /* As one that adds values: its columns and its share of the keys. */
    const int share = lid / COLS, column = slice * COLS + lid % COLS;
    const int adds = share < SHARES && column < ALL_COLS;
    float4 y[RB * VALUE_QUADS];
#pragma unroll
    for (int n = 0; n < RB * VALUE_QUADS; n++)
        y[n] = (float4)(0.0f);

    uint4 key_raw[KEYS], value_raw[4];
    float key_factor[KEYS], value_factor[4];
    if (begin < end) {
        for (int e = lid; KEEP_Q && e < RB * Q4; e += WG)
            q_rows[e] = query4(q, query_at(&u, e / Q4), e % KEY_CHUNKS, e % Q4 / KEY_CHUNKS);
        fetch_keys(key_raw, key_factor, &keys, begin + slot, end - 1, lane, keys_aligned);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int key = begin; key < end; key += KT) {
        multiply_keys(part4, key_raw, key_factor, &keys, key + slot, end - 1, lane, keys_aligned,
                      multiplies ? slot / 4 : -1, q_rows, &u, q);
        if (adds)
            fetch4(value_raw, value_factor, &values, VALUE_CHUNK, key + 4 * share, end - 1, column,
                   values_aligned);
        barrier(CLK_LOCAL_MEM_FENCE);

        team[lid] = score_keys(scores, (__local float *)part4 + r * 4 * QUERY4, &rule, i,
                               s.nk - s.nq, key, member, seen_begin, seen_end);
        barrier(CLK_LOCAL_MEM_FENCE);
        const float factor = weigh_keys(scores, team4 + r * (TEAM / 4), member, &top, &sum);
        if (member == 0)
            factors[r] = factor;
        barrier(CLK_LOCAL_MEM_FENCE);

        if (key + KT < end)
            fetch_keys(key_raw, key_factor, &keys, key + KT + slot, end - 1, lane, keys_aligned);
        if (adds)
            add_tile(y, value_raw, value_factor, &values, key, end, column, values_aligned, share,
                     weights4, factors,
                     HAS_MASK || HAS_BIAS || key < all_begin || key + KT > all_end);
    }

    barrier(CLK_LOCAL_MEM_FENCE);
    team[lid] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (member == 0 && known) {
        const int with_sink = HAS_SINKS && splits == 1;
        const float sink = with_sink ? sinks[sinks_off + h] : 0.0f;
        float factor;
        const float row_lse = end_row(top, sum_of_team(team4 + r * (TEAM / 4)), with_sink, sink,
                                      &factor);
        factors[r] = factor;
        if (splits > 1 && slice == 0)
            work[work_lse + (long)((((size_t)split * B + b) * Hq + h) * Nq + i)] = row_lse;
        else if (HAS_LSE && slice == 0)
            lse[lse_off + b * lse_b + h * lse_h + (long)(s.q0 + i) * lse_n] = row_lse;
    }
    const size_t at = (size_t)(o_off + b * o_b + (long)hk * G * o_h + s.q0 * o_n);
    const size_t rows = (size_t)B * Hq * Nq, row = ((size_t)b * Hq + hk * G) * Nq;
    const target to = { splits == 1 ? at : (size_t)work_o + (split * rows + row) * VALUE_DIM,
                        splits == 1 ? o_h : (long)Nq * VALUE_DIM, splits == 1 ? o_n : VALUE_DIM,
                        splits == 1 };
    /* Of a part without keys the lse tells that there is nothing to read. */
#pragma unroll
    for (int quad = 0; quad < VALUE_QUADS; quad++)
        store_quad(part4, factors, y, quad, share, slice * COLS,
                   begin < end || splits == 1 ? u.count : 0, o, work, &to, &u);

    /* All columns and parts of a block of queries share a mark: every one needs lse of slice 0. */
    const uint place = (uint)(b * Hk + hk) * blocks + group % blocks;
    const int count = comes_last(marks + marks_off + (marks_count > 0 ? place : 0),
                                 marks_count > 0 ? splits * SLICES : 0, &last) ? u.count : 0;
    const int all = max(0, key_end(row_last, s, right, causal));
    const parts w = { work + work_o, work + work_lse, row, rows, Nq,
                      min(splits, key_begin(row_first, s, left) / split_keys),
                      min(splits, (all + split_keys - 1) / split_keys) };
    const float row_lse = weigh_parts((__local float *)part4, factors, team4, &w, &u, count, r,
                                      member, HAS_SINKS ? sinks[sinks_off + (known ? h : 0)]
                                                        : -INFINITY);
    if (HAS_LSE && member == 0 && r < count)
        lse[lse_off + b * lse_b + h * lse_h + (long)(s.q0 + i) * lse_n] = row_lse;
    join_columns((__local float *)part4, factors, &w, &u, count, o, at, o_h, o_n);
}
