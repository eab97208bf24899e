/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention for many query rows on the matrix unit of warpgroups:
 *
 *     o_i = sum_j exp(s_j - lse_i) v_j       lse_i = log(sum_j exp(s_j) [+ exp(sink)])
 *
 * A work-group owns 64 CONSUMERS rows of one head. One warpgroup more brings tiles of BC keys and
 * values, from the last that a row sees to the first, so that a causal mask meets the first tiles
 * only. A consumer keeps scores, weights and sums in registers; it gives the unit the products of
 * the next tile before it waits for the sums of the last, and does its softmax meanwhile. (Shah et
 * al. 2024, FlashAttention-3.) A weight of 0 does not stop a NaN or infinity of what is masked:
 * rows whose sums are not finite are done again, score by score.
 *
 * Tunables    UNIT by which products are done (wgmma.clh), CONSUMERS warpgroups, BC keys of a tile,
 *             STAGES of keys and of values, TURNS 2: consumers take turns at the unit, COPY 2:
 *             tensor copies where addresses allow
 * Constants   see attn.clh
 * Launch      ceil(Nq / rows) * Hq * B work-groups of 128 (CONSUMERS + 1), with UNIT_ITEMS of
 *             128 CONSUMERS; `splits` heads are under way at a time, their last rows first
 * Local       q, STAGES tiles of keys and of values, 32 bytes of barriers for each stage
 * Numerics    weights are rounded to the type of q, their sum is of what was not rounded; f32 sums
 */

/* Does a mask hide the key? All of a padded row come by here, and need no products. */
FN int is_masked(const score_rule *u, int i, int j)
{
    return HAS_MASK && u->mask[u->mask_at + (size_t)i * u->mask_n + (size_t)j * u->mask_k] == 0;
}

/*
 * A row once more, score by score, as its definition says: for one whose products were not finite,
 * which what is masked may be to blame for, and one whose scores all lie below HIDDEN. A work-item
 * makes its own elements of the sums; half_row: which of its two rows.
 */
FN void redo_row(const job *x, const kv_head *keys, const kv_head *values, const score_rule *rule,
                 __global const void *q, size_t q_at, int row, int half_row, int column,
                 float *o, float *top, float *sum)
{
    const int shift = x->s.nk - x->s.nq, end = key_end(row, x->s, x->right, x->causal);
    *top = -INFINITY;
    *sum = 0.0f;
    UNROLL
    for (int e = 2 * half_row; e < SUMS; e += 4)
        o[e] = o[e + 1] = 0.0f;
    for (int key = key_begin(row, x->s, x->left); key < end; key++) {
        if (is_masked(rule, row, key))
            continue;
        const size_t k_at = kv_row(keys, key), v_at = kv_row(values, key);
        float product = 0.0f;
        for (int d = 0; d < HEAD_DIM; d++)
            product = fma(load(IN_TYPE, q, q_at + d), load(IN_TYPE, keys->data, k_at + d), product);
        const float s = score_of(rule, product, row, key, shift);
        if (s == -INFINITY)
            continue;
        const float base = base_of(fmax(*top, s));
        const float factor = weight_of(*top, base), weight = weight_of(s, base);
        *top = fmax(*top, s);
        *sum = fma(*sum, factor, weight);
        UNROLL
        for (int e = 2 * half_row; e < SUMS; e += 4) {
            const int c = column + e / 4 * 8;
            o[e] *= factor;
            o[e + 1] *= factor;
            if (c < VALUE_DIM)
                o[e] = fma(weight, load(IN_TYPE, values->data, v_at + c), o[e]);
            if (c + 1 < VALUE_DIM)
                o[e + 1] = fma(weight, load(IN_TYPE, values->data, v_at + c + 1), o[e + 1]);
        }
    }
}

/* Is a sum of the row not finite, or has it seen keys, but no score? */
FN int needs_redo(const job *x, int row, int half_row, const float *o, float top)
{
    float odd = 0.0f;
    UNROLL
    for (int e = 2 * half_row; e < SUMS; e += 4)
        odd = fma(o[e], 0.0f, fma(o[e + 1], 0.0f, odd));
    return isnan(odd)
        || (top <= HIDDEN
            && key_begin(row, x->s, x->left) < key_end(row, x->s, x->right, x->causal));
}

/* Rows of o by quads: 16 bytes of each work-item where `whole`, which says that rows allow it. */
FN void store_sums(const unit *u, __global void *to, size_t at, int stored, int half_row,
                   int whole, const float *o, float factor)
{
    const int t = u->item % 4;
    UNROLL
    for (int g = 0; g < SUMS; g += 16) {
        uint r[4];
        UNROLL
        for (int i = 0; i < 4; i++) {
            const int e = g + 4 * i + 2 * half_row;
            r[i] = pack2(o[e] * factor, o[e + 1] * factor);
        }
        quad_transpose(u, r);
        const int c = 2 * g + 8 * t;
        if (!stored || c >= VALUE_DIM)
            continue;
        __global ushort *row = (__global ushort *)to + at + c;
        if (whole) {
            *(__global uint4 *)row = (uint4)(r[0], r[1], r[2], r[3]);
        } else {
            UNROLL
            for (int i = 0; i < 8; i++)
                if (c + i < VALUE_DIM)
                    row[i] = (ushort)(i % 2 ? r[i / 2] >> 16 : r[i / 2] & 0xffffu);
        }
    }
}

REQD_WG(128 * (CONSUMERS + (UNIT == UNIT_WARPGROUP)), 1, 1)
__kernel void attn_prefill_wgmma(ATTN_ARGS)
{
    __local uint4 sm[LOCAL_CHUNKS] __attribute__((aligned(1024)));
    __local uint words[WORDS];
    const int lid = (int)get_local_id(0), item = lid % 128;
    const unit u = { sm, words, UNIT_BASE(sm), of_first_lane(lid / 128), item };

    const int row_tiles = (Nq + ROWS - 1) / ROWS, group = (int)get_group_id(0);
    const int first_head = group / (row_tiles * splits) * splits;
    const int nth = group - first_head * row_tiles, heads = min(splits, Hq * B - first_head);
    const int head = first_head + nth % heads, h = head % Hq, b = head / Hq, hk = h / G;

    job x;
    x.s = SEQ_OF(b);
    x.row0 = (row_tiles - 1 - nth / heads) * ROWS;
    find_span(&x.span, x.row0, ROWS, x.s, left, right, causal);
    x.tiles = x.span.end > x.span.begin ? (x.span.end - x.span.begin + BC - 1) / BC : 0;
    x.left = left;
    x.right = right;
    x.causal = causal;
    x.maps = COPY == 2 ? MAPS_AT(work + work_k) : 0;
    if (COPY == 2 && !MAPS_WORK(x.maps))
        x.maps = 0;
    x.k_head = k_h > 0 ? hk : 0;
    x.v_head = v_h > 0 ? hk : 0;
    x.k_batch = k_b > 0 ? b : 0;
    x.v_batch = v_b > 0 ? b : 0;
    const kv_head keys = KEYS_OF(b, hk, x.s), values = VALUES_OF(b, hk, x.s);

    if (lid == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_init(KEYS_FULL(&u, s), x.maps ? 1 : 4);
            barrier_init(VALUES_FULL(&u, s), x.maps ? 1 : 4);
            barrier_init(KEYS_EMPTY(&u, s), 4 * CONSUMERS);
            barrier_init(VALUES_EMPTY(&u, s), 4 * CONSUMERS);
        }
        barriers_ready();
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (UNIT == UNIT_WARPGROUP && u.warpgroup == CONSUMERS) {
        REGISTERS_LESS(PRODUCER_REGISTERS);
        if (!x.maps)
            produce_by_items(&u, &x, &keys, &values);
        else if (item == 0)
            produce_by_maps(&u, &x);
        return; /* no barrier of the whole work-group follows where there is a producer */
    }
    REGISTERS_MORE(CONSUMER_REGISTERS);

    const score_rule rule = SCORE_RULE_OF(b, h);
    const size_t q_at = (size_t)(q_off + b * q_b + h * q_h + (long)x.s.q0 * q_n);
    const int column = item % 4 * 2;
    const int row0 = x.row0 + 64 * u.warpgroup + item / 32 * 16 + item % 32 / 4;
    float y[SUMS], top[2] = { HIDDEN, HIDDEN }, sum[2] = { 0.0f, 0.0f };
    UNROLL
    for (int e = 0; e < SUMS; e++)
        y[e] = 0.0f;
    bring_queries(&u, &x, q, q_at, q_n);
    if (x.tiles > 0)
        consume(&u, &x, &keys, &values, &rule, row0, y, top, sum);

    const float sink = HAS_SINKS ? sinks[sinks_off + h] : 0.0f;
    const long o_at = o_off + b * o_b + h * o_h + x.s.q0 * o_n;
    const int whole = is_whole(o, (size_t)o_at, o_n, VALUE_DIM);
    UNROLL
    for (int half_row = 0; half_row < 2; half_row++) {
        const int row = row0 + 8 * half_row, stored = row < x.s.nq;
        float total = quad_sum(&u, sum[half_row]), most = top[half_row], factor;
        most = most > HIDDEN ? RAW_SCORES ? most * scale : most : -INFINITY;
        if (stored && needs_redo(&x, row, half_row, y, top[half_row]))
            redo_row(&x, &keys, &values, &rule, q, q_at + (size_t)row * q_n, row, half_row, column,
                     y, &most, &total);
        const float row_lse = end_row(most, total, HAS_SINKS, sink, &factor);
        store_sums(&u, o, (size_t)(o_at + row * o_n), stored, half_row, whole, y, factor);
        if (HAS_LSE && stored && item % 4 == 0)
            lse[lse_off + b * lse_b + h * lse_h + (x.s.q0 + row) * lse_n] = row_lse;
    }
}
