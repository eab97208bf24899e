/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention for few query rows over many keys on a CPU, which is bound by reading K and V:
 *
 *     o_i = sum_j exp(s_j - lse_i) v_j       lse_i = log(sum_j exp(s_j) [+ exp(sink)])
 *
 * The rows of the G query heads of a key head are numbered g * Nq + i. A work-item owns RB of them
 * and one part of the keys, and reads each key and value of it once, in place, for all its rows.
 * Split keys: results go to the workspace, without sinks, to be joined by attn_merge. Parts start
 * at multiples of KEYS of a sequence, whatever else is in the batch.
 *
 * Tunables    RB rows of a work-item, KEYS keys of a part
 * Constants   see attn.clh
 * Launch      (splits, ceil(G Nq / RB), B Hk), work-groups of 1
 * Local       none; about (D + Dv + 96) RB floats of private memory
 * Numerics    see attn_cpu.clh; q.k is summed in 16 lanes over D, then pairwise
 */

#define VB (16 / RB)     /* vectors of V of a product with the weights, likewise */

/*
 * o[r][c .. c + vecs - 1] += sum over n keys from `key` on of p[r][j] v[key + j]; vecs is a
 * constant <= VB. Values 16 keys further, up to `last`, are fetched meanwhile.
 */
FN void add_values(float16 *o, const float *p, const kv_head *values, int key, int n, int last,
                   int c, const int vecs)
{
    float16 sum[RB][VB];
#pragma unroll
    for (int r = 0; r < RB; r++) {
#pragma unroll
        for (int x = 0; x < vecs; x++)
            sum[r][x] = o[r * VALUE_VECS + c + x];
    }
    for (int j = 0; j < n; j++) {
        const size_t row = kv_row(values, key + j), scales = kv_scales(values, key + j);
        const size_t next = kv_row(values, min(key + j + 16, last));
#pragma unroll
        for (int x = 0; x < vecs; x++) {
            const float16 y = load_kv(values, row, scales, c + x, VALUE_DIM);
            fetch_kv(values, next, c + x);
#pragma unroll
            for (int r = 0; r < RB; r++)
                sum[r][x] = fma((float16)(p[r * 16 + j]), y, sum[r][x]);
        }
    }
#pragma unroll
    for (int r = 0; r < RB; r++) {
#pragma unroll
        for (int x = 0; x < vecs; x++)
            o[r * VALUE_VECS + c + x] = sum[r][x];
    }
}

FN void add_all_values(float16 *o, const float *p, const kv_head *values, int key, int n, int last)
{
    const int tail = VALUE_VECS % VB;
#pragma unroll
    for (int c = 0; c + VB <= VALUE_VECS; c += VB)
        add_values(o, p, values, key, n, last, c, VB);
    if (tail != 0)
        add_values(o, p, values, key, n, last, VALUE_VECS - tail, tail);
}

/* The same, skipping keys that a row does not see: a weight of 0 would not keep out NaN and inf. */
FN void add_seen_values(float16 *o, const float *p, const kv_head *values, int n,
                        const scoring *w, const query *rows, int k0)
{
    for (int r = 0; r < RB; r++) {
        int seen[16];
        vstore16(visible16(w, &rows[r], k0), 0, seen);
        for (int j = 0; j < n; j++) {
            if (!seen[j])
                continue;
            for (int c = 0; c < VALUE_VECS; c++)
                o[r * VALUE_VECS + c] = fma((float16)(p[r * 16 + j]),
                                            load_value(values, k0 + j, c),
                                            o[r * VALUE_VECS + c]);
        }
    }
}

FN int all_finite(const kv_head *values, int key, int n)
{
    float16 zero = (float16)(0.0f);
    for (int j = 0; j < n; j++) {
        for (int c = 0; c < VALUE_VECS; c++)
            zero = fma(load_value(values, key + j, c), (float16)(0.0f), zero);
    }
    return sum_lanes(zero) == 0.0f;
}

REQD_WG(1, 1, 1)
__kernel void attn_decode_cpu(ATTN_ARGS)
{
    const int split = get_global_id(0);
    const int row0 = (int)get_global_id(1) * RB;
    const int b = get_global_id(2) / Hk;
    const int hk = get_global_id(2) % Hk;
    const seq s = SEQ_OF(b);
    const int count = min(RB, G * s.nq - row0);
    if (count <= 0)
        return;

    const scoring w = SCORING_OF(s);
    const float c = base2_factor(&w);
    const kv_head keys = KEYS_OF(b, hk, s);
    const kv_head values = VALUES_OF(b, hk, s);
    const int part_begin = min(split * KEYS, s.nk);
    const int part_end = part_begin + min(KEYS, s.nk - part_begin);

    float16 q_rows[RB * HEAD_VECS], o_rows[RB * VALUE_VECS], p[RB], sums[RB];
    float tops[RB];
    query rows[RB];
    int begin = part_end, end = part_begin, all_begin = part_begin, all_end = part_end;

    for (int r = 0; r < RB; r++) {
        /* Rows past the last repeat it and are not stored. */
        const int row = row0 + min(r, count - 1);
        const int h = hk * G + row / s.nq, i = row % s.nq;
        const size_t at = q_off + b * (size_t)q_b + h * (size_t)q_h + (s.q0 + i) * (size_t)q_n;
        for (int d = 0; d < HEAD_VECS; d++)
            q_rows[r * HEAD_VECS + d] = load_part(IN_TYPE, q, at + d * 16, HEAD_DIM - d * 16)
                                      * (scale < 0.0f ? -1.0f : 1.0f);
        for (int d = 0; d < VALUE_VECS; d++)
            o_rows[r * VALUE_VECS + d] = (float16)(0.0f);
        sums[r] = (float16)(0.0f);
        tops[r] = -INFINITY;
        rows[r] = QUERY_OF(b, h, i, s);
        rows[r].begin = max(rows[r].begin, part_begin);
        rows[r].end = min(rows[r].end, part_end);
        begin = min(begin, rows[r].begin);
        end = max(end, rows[r].end);
        all_begin = max(all_begin, rows[r].begin);
        all_end = min(all_end, rows[r].end);
    }

    for (int k0 = begin; k0 < end; k0 += 16) {
        const int n = min(16, end - k0);
        const int partial = HAS_MASK || k0 < all_begin || k0 + 16 > all_end;
        const int adjusted = SHAPED ? 1 : partial;
        const float *weights = (const float *)p;

        for (int j = 0; j < 16; j += KB)
            score_keys((float *)p + j, q_rows, &keys, k0 + min(j, n - 1), max(n - j, 1), end - 1);
        for (int r = 0; adjusted && r < RB; r++)
            p[r] = scores16(&w, &rows[r], p[r], k0);
        for (int r = 0; r < RB; r++) {
            const float factor = softmax_row(&p[r], 1, c, &tops[r], &sums[r]);
            for (int d = 0; factor != 1.0f && d < VALUE_VECS; d++)
                o_rows[r * VALUE_VECS + d] *= factor;
        }
        if (partial && !all_finite(&values, k0, n))
            add_seen_values(o_rows, weights, &values, n, &w, rows, k0);
        else
            add_all_values(o_rows, weights, &values, k0, n, end - 1);
    }

    const int whole = splits == 1;
    for (int r = 0; r < count; r++) {
        const int h = hk * G + (row0 + r) / s.nq, i = (row0 + r) % s.nq;
        float row_lse;
        const float factor = finish_row(&w, tops[r], sum_lanes(sums[r]),
                                        HAS_SINKS && whole, HAS_SINKS ? sinks[sinks_off + h] : 0.0f,
                                        HAS_LSE || !whole, &row_lse);
        const size_t part = (((size_t)split * B + b) * Hq + h) * Nq + i;
        const size_t at = o_off + b * (size_t)o_b + h * (size_t)o_h + (s.q0 + i) * (size_t)o_n;
        for (int d = 0; d < VALUE_VECS; d++) {
            const float16 x = o_rows[r * VALUE_VECS + d] * factor;
            if (whole)
                store_part(OUT_TYPE, o, at + d * 16, x, VALUE_DIM - d * 16);
            else
                store_part(T_F32, work, work_o + part * VALUE_DIM + d * 16, x, VALUE_DIM - d * 16);
        }
        if (!whole)
            work[work_lse + part] = row_lse;
        else if (HAS_LSE)
            lse[lse_off + b * (size_t)lse_b + h * (size_t)lse_h + (s.q0 + i) * (size_t)lse_n] =
                row_lse;
    }
}
