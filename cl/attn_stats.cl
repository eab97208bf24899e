/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the weights p_j = exp(s_j) / (sum_j exp(s_j) [+ exp(sink)]) of each row come to:
 *
 *     entropy     -sum_j p_j log p_j
 *     distance    sum_j p_j |i + Nk - Nq - j|
 *     best        the num_best largest p_j and their keys
 *     chosen      p_j of num_asked keys
 *
 * in one pass over the keys. A work-group owns BR rows of one head; of each tile of scores in local
 * memory one work-item per row takes what it needs, in the order of the keys.
 *
 * Tunables    WG work-items, BR <= WG rows, BC keys of a tile, DC columns of a chunk of q and k
 * Constants   see attn.clh
 * Launch      ceil(Nq / BR) * Hq * B work-groups of WG, in one dimension
 * Local       a chunk of BR rows of q and one of BC rows of k, and a tile of scores
 * Numerics    sums refer to the largest score so far. With f = 1 / sum of weights and w a weight,
 *             the entropy is -f (sum w (s - top) + log(f) sum w): two terms of one sign
 */
#define SLD (BC + 1) /* floats of a row of scores; odd, so that rows meet in no bank */

/* What has been seen of a row; the weights refer to top. */
typedef struct row_sums {
    float top, sum;
    float level; /* sum w (s - top) */
    float far;   /* sum w |distance| */
    float least; /* of the best ones: a score must pass it */
} row_sums;

/* BC scores from key on; same is the key that lines up with the row. */
FN void add_scores(row_sums *u, __local const float *s, int key, int same)
{
    float next = u->top;
    for (int c = 0; c < BC; c++)
        next = fmax(next, s[c]);
    const float base = base_of(next);
    if (next > u->top) {
        const float shrink = weight_of(u->top, base);
        u->level = shrink > 0.0f ? shrink * fma(u->sum, u->top - base, u->level) : 0.0f;
        u->sum *= shrink;
        u->far *= shrink;
        u->top = next;
    }
    for (int c = 0; c < BC; c++) {
        const float w = weight_of(s[c], base);
        u->sum += w;
        u->level += w > 0.0f ? w * (s[c] - base) : 0.0f;
        u->far += w * (float)abs(same - key - c);
    }
}

/* Puts scores above the least into the list, behind those that are as large. */
FN void keep_best(row_sums *u, __local const float *s, int key, int count, __global float *list,
                  __global int *keys)
{
    for (int c = 0; c < BC; c++) {
        if (s[c] > u->least) {
            int at = count - 1;
            while (at > 0 && list[at - 1] < s[c]) {
                list[at] = list[at - 1];
                keys[at] = keys[at - 1];
                at--;
            }
            list[at] = s[c];
            keys[at] = key + c;
            u->least = list[count - 1];
        }
    }
}

REQD_WG(WG, 1, 1)
__kernel void attn_stats(ATTN_ARGS, STATS_ARGS)
{
    __local float4 q_tile[BR * LD4], k_tile[BC * LD4];
    __local float scores[BR * SLD];

    const int lid = (int)get_local_id(0), tr = lid / TC, tc = lid % TC;
    const uint tiles = (uint)((Nq + BR - 1) / BR), group = (uint)get_group_id(0);
    const int row0 = (int)(group % tiles) * BR;
    const uint head = group / tiles;
    const int h = (int)(head % (uint)Hq), b = (int)(head / (uint)Hq), hk = h / G;

    const seq s = SEQ_OF(b);
    tile_span span;
    find_span(&span, row0, BR, s, left, right, causal);
    const size_t q_at = (size_t)(q_off + b * q_b + h * q_h + (long)(s.q0 + row0) * q_n);
    const kv_head keys = KEYS_OF(b, hk, s);
    const score_rule rule = SCORE_RULE_OF(b, h);

    /* The row of this work-item, if it has one. */
    const int i = row0 + lid, same = i + s.nk - s.nq;
    const long packed = s.q0 + i;
    const int mine = lid < span.rows;
    __global float *my_best = best + best_off + b * best_b + h * best_h + packed * best_n;
    __global int *my_keys =
        best_keys + best_keys_off + b * best_keys_b + h * best_keys_h + packed * best_keys_n;
    __global const int *my_asked = asked + asked_off + b * asked_b + packed * asked_n;
    __global float *my_chosen =
        chosen + chosen_off + b * chosen_b + h * chosen_h + packed * chosen_n;
    row_sums u = { -INFINITY, 0.0f, 0.0f, 0.0f, -INFINITY };
    if (mine) {
        for (int n = 0; n < num_best; n++) {
            my_best[n] = -INFINITY;
            my_keys[n] = -1;
        }
        for (int n = 0; n < num_asked; n++)
            my_chosen[n] = -INFINITY;
    }
    for (int key = span.begin; key < span.end; key += BC) {
        float x[MR * MC];
        tile_products(q_tile, k_tile, q, q_at, q_n, span.rows, &keys, key, span.end, tr, tc, x);
        score_tile(&rule, s, row0 + tr, key + tc * MC, sees_all(&span, key, BC), left, right,
                   causal, x);
        /* tile_products() has barriers: the scores before these have been read. */
#pragma unroll
        for (int n = 0; n < MR * MC; n++)
            scores[(tr + n / MC * TR) * SLD + tc * MC + n % MC] = x[n];
        barrier(CLK_LOCAL_MEM_FENCE);
        if (mine) {
            __local const float *row = scores + lid * SLD;
            add_scores(&u, row, key, same);
            if (num_best > 0)
                keep_best(&u, row, key, num_best, my_best, my_keys);
            for (int n = 0; n < num_asked; n++) {
                const int c = my_asked[n] - key;
                if (c >= 0 && c < BC)
                    my_chosen[n] = row[c];
            }
        }
    }
    if (mine) {
        const float base = base_of(u.top);
        float factor;
        end_row(u.top, u.sum, HAS_SINKS, HAS_SINKS ? sinks[sinks_off + h] : 0.0f, &factor);
        if (has_entropy)
            entropy[entropy_off + b * entropy_b + h * entropy_h + packed * entropy_n] =
                factor == 0.0f ? 0.0f : -factor * fma(u.sum, log(factor), u.level);
        if (has_distance)
            distance[distance_off + b * distance_b + h * distance_h + packed * distance_n] =
                u.far * factor;
        for (int n = 0; n < num_best; n++)
            my_best[n] = share_of(my_best[n], base, factor);
        for (int n = 0; n < num_asked; n++)
            my_chosen[n] = share_of(my_chosen[n], base, factor);
        if (has_mean) {
            work[ROW_PAIR(b, h, i)] = base;
            work[ROW_PAIR(b, h, i) + 1] = factor;
        }
    }
}
