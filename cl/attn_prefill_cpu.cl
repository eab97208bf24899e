/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention for many query rows on a CPU:
 *
 *     o_i = sum_j exp(s_j - lse_i) v_j       lse_i = log(sum_j exp(s_j) [+ exp(sink)])
 *
 * A work-item owns MB blocks of BR rows of one head and walks the keys in tiles of BK. Both
 * products of a tile are sums of outer products of BR broadcast numbers and NV vectors of 16, and
 * BR * NV sums stay in registers. K comes in panels of 16 keys from attn_pack_cpu, V in place or
 * packed.
 * (Online softmax: Milakov and Gimelshein 2018; tiles: Dao 2023.)
 *
 * Tunables    BR rows of a block, NV vectors of a product, BK keys of a tile (a multiple of 16 NV),
 *             MB blocks of a work-item, which share a tile while it is in the cache
 * Constants   see attn.clh
 * Launch      (ceil(Nq / (MB BR)), Hq, B), work-groups of 1
 * Local       none; about (D + Dv + 24) MB BR + BR BK floats of private memory
 * Numerics    see attn_cpu.clh; sums over D and over keys run in order
 */

#define PIECE 32 /* of D, see score_panels() */

/* The keys that some rows of a block see, and those that all of them see. */
typedef struct block {
    int begin, end, all_begin, all_end;
} block;

/*
 * p[i][0 .. NV - 1] = q[i] . k of NV panels; panels past the last repeat it, to be masked later.
 * Sums over D run in pieces: with one running sum its rounding would dominate at large scores.
 */
FN void score_panels(float16 *p, const float *q, __global const float *k, int panel, int last)
{
    float16 sum[BR][NV];
    __global const float *from[NV];
#pragma unroll
    for (int v = 0; v < NV; v++)
        from[v] = k + min(panel + v, last) * (size_t)(16 * HEAD_DIM);
    for (int d0 = 0; d0 < HEAD_DIM; d0 += PIECE) {
#pragma unroll
        for (int i = 0; i < BR; i++) {
#pragma unroll
            for (int v = 0; v < NV; v++)
                sum[i][v] = (float16)(0.0f);
        }
        for (int d = d0; d < min(d0 + PIECE, HEAD_DIM); d++) {
            float16 x[NV];
#pragma unroll
            for (int v = 0; v < NV; v++)
                x[v] = vload16(d, from[v]);
#pragma unroll
            for (int i = 0; i < BR; i++) {
                const float16 y = (float16)(q[i * HEAD_PAD + d]);
#pragma unroll
                for (int v = 0; v < NV; v++)
                    sum[i][v] = fma(y, x[v], sum[i][v]);
            }
        }
#pragma unroll
        for (int i = 0; i < BR; i++) {
#pragma unroll
            for (int v = 0; v < NV; v++) {
                float16 *to = &p[i * (BK / 16) + v];
                *to = d0 == 0 ? sum[i][v] : *to + sum[i][v];
            }
        }
    }
}

/* o[i][0 .. vecs - 1] += sum over n keys of p[i][key] v[key]; vecs is a constant, at most NV. */
FN void add_values(float16 *o, const float *p, __global const float *v, long v_n, int n,
                   const int vecs)
{
    float16 sum[BR][NV];
#pragma unroll
    for (int i = 0; i < BR; i++) {
#pragma unroll
        for (int c = 0; c < vecs; c++)
            sum[i][c] = o[i * VALUE_VECS + c];
    }
    for (int j = 0; j < n; j++) {
        float16 x[NV];
#pragma unroll
        for (int c = 0; c < vecs; c++)
            x[c] = vload16(c, v + j * (size_t)v_n);
#pragma unroll
        for (int i = 0; i < BR; i++) {
            const float16 y = (float16)(p[i * BK + j]);
#pragma unroll
            for (int c = 0; c < vecs; c++)
                sum[i][c] = fma(y, x[c], sum[i][c]);
        }
    }
#pragma unroll
    for (int i = 0; i < BR; i++) {
#pragma unroll
        for (int c = 0; c < vecs; c++)
            o[i * VALUE_VECS + c] = sum[i][c];
    }
}

FN void add_all_values(float16 *o, const float *p, __global const float *v, long v_n, int n)
{
    for (int c = 0; c + NV <= VALUE_VECS; c += NV)
        add_values(o + c, p, v + c * 16, v_n, n, NV);
    if (VALUE_VECS % NV != 0) {
        const int c = VALUE_VECS / NV * NV;
        add_values(o + c, p, v + c * 16, v_n, n, VALUE_VECS % NV);
    }
}

/* The same, skipping keys that a row does not see: a weight of 0 would not keep out NaN and inf. */
FN void add_seen_values(float16 *o, const float *p, __global const float *v, long v_n, int n,
                        const scoring *w, const query *rows, int k0)
{
    for (int i = 0; i < BR; i++) {
        int seen[16];
        for (int j = 0; j < n; j++) {
            if (j % 16 == 0)
                vstore16(visible16(w, &rows[i], k0 + j), 0, seen);
            if (!seen[j % 16])
                continue;
            for (int c = 0; c < VALUE_VECS; c++)
                o[i * VALUE_VECS + c] = fma((float16)(p[i * BK + j]),
                                            vload16(c, v + j * (size_t)v_n), o[i * VALUE_VECS + c]);
        }
    }
}

FN int all_finite(__global const float *v, long v_n, int n)
{
    float16 zero = (float16)(0.0f);
    for (int j = 0; j < n; j++) {
        for (int c = 0; c < VALUE_VECS; c++)
            zero = fma(vload16(c, v + j * (size_t)v_n), (float16)(0.0f), zero);
    }
    return sum_lanes(zero) == 0.0f;
}

/* Scores in p become weights; the sums of a row are scaled when its maximum grows. */
FN void softmax_tile(float16 *p, float16 *o, int vecs, float c, float *tops, float16 *sums)
{
    for (int i = 0; i < BR; i++) {
        const float factor = softmax_row(p + i * (BK / 16), vecs, c, &tops[i], &sums[i]);
        if (factor == 1.0f)
            continue;
        for (int d = 0; d < VALUE_VECS; d++)
            o[i * VALUE_VECS + d] *= factor;
    }
}

/* count: rows of the sequence from here on. Both bounds grow with the row. */
FN void set_block(block *x, const query *rows, int count)
{
    x->begin = rows[0].begin;
    x->end = count > 0 ? rows[BR - 1].end : 0;
    x->all_begin = rows[BR - 1].begin;
    x->all_end = rows[0].end;
}

REQD_WG(1, 1, 1)
__kernel void attn_prefill_cpu(ATTN_ARGS)
{
    const int b = get_global_id(2);
    const int h = get_global_id(1);
    const int hk = h / G;
    const int row0 = (int)get_global_id(0) * (MB * BR);
    const seq s = SEQ_OF(b);
    if (row0 >= s.nq)
        return;

    const scoring w = SCORING_OF(s);
    const float c = base2_factor(&w);
    const size_t panel0 = panel_of(b, hk, Hk, B, Nk, Tk, s);
    const kv_head in_place = VALUES_OF(b, hk, s);
    __global const float *keys = work + work_k + panel0 * (16 * HEAD_DIM);
    __global const float *values = VALUES_IN_PLACE ? (__global const float *)v + in_place.at
                                                   : work + work_v + panel0 * (16 * VALUE_PAD);
    const long value_n = VALUES_IN_PLACE ? v_n : VALUE_PAD;

    float16 q_rows[MB * BR * HEAD_VECS], o_rows[MB * BR * VALUE_VECS], p[BR * BK / 16];
    float16 sums[MB * BR];
    float tops[MB * BR];
    query rows[MB * BR];
    block blocks[MB];

    for (int r = 0; r < MB * BR; r++) {
        /* Rows past the last repeat it and are not stored. */
        const int i = min(row0 + r, s.nq - 1);
        const size_t at = q_off + b * (size_t)q_b + h * (size_t)q_h + (s.q0 + i) * (size_t)q_n;
        for (int d = 0; d < HEAD_VECS; d++)
            q_rows[r * HEAD_VECS + d] = load_part(IN_TYPE, q, at + d * 16, HEAD_DIM - d * 16)
                                      * (scale < 0.0f ? -1.0f : 1.0f);
        for (int d = 0; d < VALUE_VECS; d++)
            o_rows[r * VALUE_VECS + d] = (float16)(0.0f);
        sums[r] = (float16)(0.0f);
        tops[r] = -INFINITY;
        rows[r] = QUERY_OF(b, h, i, s);
    }
    int begin = s.nk, end = 0;
    for (int m = 0; m < MB; m++) {
        set_block(&blocks[m], &rows[m * BR], s.nq - row0 - m * BR);
        begin = min(begin, blocks[m].begin);
        end = max(end, blocks[m].end);
    }

    for (int k0 = begin / 16 * 16; k0 < end; k0 += BK) {
        __global const float *tile = values + k0 * (size_t)value_n;
        for (int m = 0; m < MB; m++) {
            const int n = min(BK, blocks[m].end - k0);
            if (n <= 0 || k0 + BK <= blocks[m].begin)
                continue;
            const int vecs = (n + 16 * NV - 1) / (16 * NV) * NV;
            const int partial = HAS_MASK || k0 < blocks[m].all_begin
                             || k0 + vecs * 16 > blocks[m].all_end;
            const int adjusted = SHAPED ? 1 : partial;
            const float *weights = (const float *)p;
            float16 *o_block = o_rows + m * BR * VALUE_VECS;

            for (int j = 0; j < vecs; j += NV)
                score_panels(p + j, (const float *)(q_rows + m * BR * HEAD_VECS), keys, k0 / 16 + j,
                             (s.nk - 1) / 16);
            for (int j = 0; adjusted && j < BR * vecs; j++) {
                float16 *x = &p[j / vecs * (BK / 16) + j % vecs];
                *x = scores16(&w, &rows[m * BR + j / vecs], *x, k0 + j % vecs * 16);
            }
            softmax_tile(p, o_block, vecs, c, &tops[m * BR], &sums[m * BR]);
            if (partial && !all_finite(tile, value_n, n))
                add_seen_values(o_block, weights, tile, value_n, n, &w, &rows[m * BR], k0);
            else
                add_all_values(o_block, weights, tile, value_n, n);
        }
    }

    for (int r = 0; r < min(MB * BR, s.nq - row0); r++) {
        const size_t row = s.q0 + row0 + r;
        const size_t to = o_off + b * (size_t)o_b + h * (size_t)o_h + row * o_n;
        float row_lse;
        const float factor = finish_row(&w, tops[r], sum_lanes(sums[r]), HAS_SINKS,
                                        HAS_SINKS ? sinks[sinks_off + h] : 0.0f, HAS_LSE, &row_lse);
        for (int d = 0; d < VALUE_VECS; d++)
            store_part(OUT_TYPE, o, to + d * 16, o_rows[r * VALUE_VECS + d] * factor,
                       VALUE_DIM - d * 16);
        if (HAS_LSE)
            lse[lse_off + b * (size_t)lse_b + h * (size_t)lse_h + row * lse_n] = row_lse;
    }
}
