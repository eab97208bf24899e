/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention for few query rows over many keys on any device:
 *
 *     o_i = sum_j exp(s_j - lse_i) v_j       lse_i = log(sum_j exp(s_j) [+ exp(sink)])
 *
 * A work-group takes RB queries that read the same key/value head (the heads of the group, then
 * the next row) and one part of split_keys keys, and walks them in tiles of KT: scores of the whole
 * tile first, then its values, so that k and v stream from memory and each element is read once per
 * RB queries. Eight work-items share a key and add their products up in local memory. With more
 * than one part the results go to the workspace, without the sink, for attn_merge.
 *
 * Tunables    WG work-items, RB queries, SPLIT least number of keys of a part
 * Constants   see attn.clh
 * Launch      ceil(G Nq / RB) * ceil(Dv / (4 WG)) * splits * Hk * B work-groups of WG, 1 dimension
 * Local       8 RB (KT + 4) floats of partial products, then weights, at the end sums of values;
 *             the queries, while D <= 256
 * Numerics    one f32 sum per work-item and score, then eight of them in order; parts in attn_merge
 */
#define LANES 8
#define SLOTS (WG / LANES)
/* Keys of a tile: the more, the fewer queries need room for them. */
#define KT (RB >= 4 ? 64 : 256 / RB)
/* Keys that a work-item has under way. */
#define KEYS 4
#define PASSES (KT / (SLOTS * KEYS))
#define LD (KT + 4)
#define LD4 (LD / 4)

#define D4 ((HEAD_DIM + 3) / 4)
#define KEEP_Q (HEAD_DIM <= 256)
/* Value columns, in float4, and how many work-items share one. */
#define ALL_COLS ((VALUE_DIM + 3) / 4)
#define COLS (ALL_COLS < WG ? ALL_COLS : WG)
#define SLICES ((ALL_COLS + COLS - 1) / COLS)
#define SHARES (WG / COLS)
/* Work-items that look after the scores of one query. */
#define TEAM (WG / RB)

/* The queries of a work-group. Query x of a key/value head is row x / G of its head x % G. */
typedef struct queries {
    int first, count, G;
    size_t at;
    long h, n;
} queries;

FN size_t query_at(const queries *u, int r)
{
    const int x = u->first + min(r, u->count - 1);
    return u->at + (size_t)((x % u->G) * u->h) + (size_t)((x / u->G) * u->n);
}

/*
 * Partial products of keys key .. key + KT - 1: row LANES r + lane holds those of lane and query r.
 * Keys from end on repeat the last one and are masked later.
 */
FN void partial_products(__local float *part, __local const float4 *q_rows, const queries *u,
                         __global const void *q, const kv_head *keys, int key, int end)
{
    const int lane = (int)get_local_id(0) % LANES, slot = (int)get_local_id(0) / LANES;

    for (int pass = 0; pass < PASSES; pass++) {
        const int first = pass * (SLOTS * KEYS) + slot;
        float s[KEYS * RB];
        size_t from[KEYS], scales[KEYS], q_from[RB];
#pragma unroll
        for (int i = 0; i < KEYS; i++) {
            from[i] = kv_row(keys, min(key + first + i * SLOTS, end - 1));
            scales[i] = kv_scales(keys, min(key + first + i * SLOTS, end - 1));
        }
#pragma unroll
        for (int r = 0; r < RB; r++)
            q_from[r] = query_at(u, r);
#pragma unroll
        for (int i = 0; i < KEYS * RB; i++)
            s[i] = 0.0f;
        for (int c = lane; c < D4; c += LANES) {
            float4 x[KEYS];
#pragma unroll
            for (int i = 0; i < KEYS; i++)
                x[i] = row4(KV_TYPE, keys->data, from[i], 4 * c, HEAD_DIM)
                     * kv_factor(keys, scales[i], 4 * c);
#pragma unroll
            for (int r = 0; r < RB; r++) {
                const float4 y = KEEP_Q ? q_rows[r * D4 + c]
                                        : row4(IN_TYPE, q, q_from[r], 4 * c, HEAD_DIM);
#pragma unroll
                for (int i = 0; i < KEYS; i++)
                    s[i * RB + r] = dot4(y, x[i], s[i * RB + r]);
            }
        }
#pragma unroll
        for (int i = 0; i < KEYS; i++) {
#pragma unroll
            for (int r = 0; r < RB; r++)
                part[(r * LANES + lane) * LD + first + i * SLOTS] = s[i * RB + r];
        }
    }
}

/* Adds the weighted values of n keys from `key` on; each work-item takes every SHARES-th four. */
FN void add_values(__local const float4 *weights, const kv_head *values, int key, int n, int share,
                   int column, const int select, float4 *o)
{
    for (int k4 = share; 4 * k4 < n; k4 += SHARES) {
        float4 x[4];
        int finite = 1;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int at = key + min(4 * k4 + i, n - 1);
            x[i] = row4(KV_TYPE, values->data, kv_row(values, at), column, VALUE_DIM)
                 * kv_factor(values, kv_scales(values, at), column);
            finite &= !select || all_finite(x[i]);
        }
#pragma unroll
        for (int r = 0; r < RB; r++) {
            const float4 w = weights[r * LANES * LD4 + k4];
            if (finite) {
                o[r] = fma((float4)(w.x), x[0], o[r]);
                o[r] = fma((float4)(w.y), x[1], o[r]);
                o[r] = fma((float4)(w.z), x[2], o[r]);
                o[r] = fma((float4)(w.w), x[3], o[r]);
            } else {
                o[r] = add_seen(w.x, x[0], o[r]);
                o[r] = add_seen(w.y, x[1], o[r]);
                o[r] = add_seen(w.z, x[2], o[r]);
                o[r] = add_seen(w.w, x[3], o[r]);
            }
        }
    }
}

FN float max_of_team(__local const float4 *x)
{
    float4 y = x[0];
    for (int i = 1; i < TEAM / 4; i++)
        y = fmax(y, x[i]);
    return fmax(fmax(y.x, y.y), fmax(y.z, y.w));
}

FN float sum_of_team(__local const float4 *x)
{
    float4 y = x[0];
    for (int i = 1; i < TEAM / 4; i++)
        y += x[i];
    return (y.x + y.y) + (y.z + y.w);
}

/* Scores of the keys of one member of a team, from partial products; returns their maximum. */
FN float score_keys(__local float *x, const score_rule *rule, int i, int shift, int key, int member,
                    int begin, int end)
{
    float top = -INFINITY;
    for (int j = member; j < KT; j += TEAM) {
        float product = x[j];
#pragma unroll
        for (int lane = 1; lane < LANES; lane++)
            product += x[lane * LD + j];
        float score = -INFINITY;
        if (key + j >= begin && key + j < end)
            score = score_of(rule, product, i, key + j, shift);
        x[j] = score;
        top = fmax(top, score);
    }
    return top;
}

/* Turns them into weights; returns their sum. A NaN passes over the maximum, but not over it. */
FN float weigh_keys(__local float *x, int member, float base)
{
    float sum = 0.0f;
    for (int j = member; j < KT; j += TEAM) {
        const float w = x[j] == -INFINITY ? MASKED : weight_of(x[j], base);
        sum += w;
        x[j] = w;
    }
    return sum;
}

/* Adds up the shares of o, normalises and stores them; `at` is row 0 of the first head. */
FN void store_rows(int type, __global void *out, size_t at, long out_h, long out_n,
                   const queries *u, __local const float4 *sums, __local const float *factors,
                   int slice)
{
    for (int e = (int)get_local_id(0); e < u->count * COLS; e += WG) {
        const int r = e / COLS, x = u->first + r;
        const int column = (slice * COLS + e % COLS) * 4;
        if (column >= VALUE_DIM)
            continue;
        float4 total = sums[e];
        for (int m = 1; m < SHARES; m++)
            total += sums[m * RB * COLS + e];
        store_row4(type, out, at + (size_t)(x % u->G * out_h) + (size_t)(x / u->G * out_n), column,
                   VALUE_DIM, total * factors[r]);
    }
}

REQD_WG(WG, 1, 1)
__kernel void attn_decode(ATTN_ARGS)
{
    __local float4 part4[RB * LANES * LD4], q_rows[KEEP_Q ? RB * D4 : 1], team4[WG / 4];
    __local float factors[RB];
    __local float *part = (__local float *)part4, *team = (__local float *)team4;

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
    const int all_end = key_end(row_first, s, right, causal);
    const kv_head keys = KEYS_OF(b, hk, s);
    const kv_head values = VALUES_OF(b, hk, s);

    /* As one of a team: its query, what that one sees, its running maximum and own sum. */
    const int r = lid / TEAM, member = lid % TEAM;
    const int i = (first + r) / G, h = hk * G + (first + r) % G;
    const int known = r < u.count;
    const int seen_begin = key_begin(i, s, left);
    const int seen_end = known ? key_end(i, s, right, causal) : 0;
    const score_rule rule = SCORE_RULE_OF(b, known ? h : 0);
    float top = -INFINITY, sum = 0.0f;
    /* As one that adds values: its columns and its share of the keys. */
    const int share = lid / COLS, column = (slice * COLS + lid % COLS) * 4;
    const int adds = share < SHARES && column < VALUE_DIM;
    float4 y[RB];
#pragma unroll
    for (int n = 0; n < RB; n++)
        y[n] = (float4)(0.0f);

    if (KEEP_Q && u.count > 0) {
        for (int e = lid; e < RB * D4; e += WG)
            q_rows[e] = row4(IN_TYPE, q, query_at(&u, e / D4), e % D4 * 4, HEAD_DIM);
    }
    for (int key = begin; key < end; key += KT) {
        barrier(CLK_LOCAL_MEM_FENCE);
        partial_products(part, q_rows, &u, q, &keys, key, end);
        barrier(CLK_LOCAL_MEM_FENCE);

        __local float *x = part + r * LANES * LD;
        team[lid] = score_keys(x, &rule, i, s.nk - s.nq, key, member, seen_begin,
                               min(seen_end, end));
        barrier(CLK_LOCAL_MEM_FENCE);
        const float next = fmax(top, max_of_team(team4 + r * (TEAM / 4)));
        const float factor = weight_of(top, base_of(next));
        top = next;
        sum = sum * factor + weigh_keys(x, member, base_of(next));
        if (member == 0)
            factors[r] = factor;
        barrier(CLK_LOCAL_MEM_FENCE);

        if (adds) {
            const int select = HAS_MASK || HAS_BIAS || key < all_begin
                            || key + KT > min(all_end, end);
#pragma unroll
            for (int n = 0; n < RB; n++)
                y[n] *= factors[n];
            add_values(part4, &values, key, min(KT, end - key), share, column, select, y);
        }
    }

    barrier(CLK_LOCAL_MEM_FENCE);
    if (adds) {
#pragma unroll
        for (int n = 0; n < RB; n++)
            part4[(share * RB + n) * COLS + lid % COLS] = y[n];
    }
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
    barrier(CLK_LOCAL_MEM_FENCE);
    if (splits == 1)
        store_rows(OUT_TYPE, o, (size_t)(o_off + b * o_b + (long)hk * G * o_h + s.q0 * o_n), o_h,
                   o_n, &u, part4, factors, slice);
    else if (begin < end) /* else lse tells that there is nothing to read */
        store_rows(T_F32, work,
                   (size_t)work_o + (((size_t)split * B + b) * Hq + hk * G) * Nq * VALUE_DIM,
                   (long)Nq * VALUE_DIM, VALUE_DIM, &u, part4, factors, slice);
}
