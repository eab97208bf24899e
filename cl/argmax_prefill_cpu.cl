/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argmax attention for many query rows on a CPU, first half: the rank of the best key of each row
 * over one part of the keys, see argmax.cl. The rows of the G query heads of a key head are
 * numbered g * Nq + i. A work-item owns MB blocks of BR of them. It turns 16 NV keys at a time into
 * columns, and the scores of a block against them are sums of outer products of BR broadcast
 * numbers and NV vectors, which stay in registers.
 *
 * Tunables    BR rows of a block, NV vectors of a product, MB blocks of a work-item, KEYS of a part
 * Constants   see attn.clh
 * Launch      (splits, ceil(G Nq / (MB BR)), B Hk), work-groups of 1
 * Local       none; about (D + 48) MB BR + 16 NV D floats of private memory
 * Numerics    one f32 sum per score, in order of D: equal keys get equal scores
 */

/* Keys that some rows of a block see, and those that all of them see. */
typedef struct block {
    int begin, end, all_begin, all_end;
} block;

/* panel[d] = column d of 16 keys, of which n > 0 exist; the last one is repeated. */
FN void turn_keys(float16 *panel, const kv_head *keys, int key, int n)
{
    for (int d = 0; d < HEAD_DIM; d += 16) {
        float16 x[16], y[16];
#pragma unroll
        for (int j = 0; j < 16; j++)
            x[j] = load_key(keys, key + min(j, n - 1), d / 16);
        zip_round(x, y);
        zip_round(y, x);
        zip_round(x, y);
        zip_round(y, x);
#pragma unroll
        for (int j = 0; j < 16; j++)
            panel[d + j] = x[j];
    }
}

/* Scores of the block against the keys in the panels, the first of which is key k0. */
FN void improve_block(lanes_best *best, const float *q, const float16 *panels, const block *range,
                      const scoring *w, const query *rows, int k0)
{
    float16 sum[BR][NV];
#pragma unroll
    for (int i = 0; i < BR; i++) {
#pragma unroll
        for (int v = 0; v < NV; v++)
            sum[i][v] = (float16)(0.0f);
    }
    for (int d = 0; d < HEAD_DIM; d++) {
        float16 x[NV];
#pragma unroll
        for (int v = 0; v < NV; v++)
            x[v] = panels[v * HEAD_PAD + d];
#pragma unroll
        for (int i = 0; i < BR; i++) {
            const float16 y = (float16)(q[i * HEAD_PAD + d]);
#pragma unroll
            for (int v = 0; v < NV; v++)
                sum[i][v] = fma(y, x[v], sum[i][v]);
        }
    }
    const int partial = HAS_MASK || k0 < range->all_begin || k0 + 16 * NV > range->all_end;
#pragma unroll
    for (int i = 0; i < BR; i++) {
#pragma unroll
        for (int v = 0; v < NV; v++) {
            const int key = k0 + v * 16;
            const int16 seen = partial ? visible16(w, &rows[i], key) : (int16)(-1);
            take_better(&best[i], orders16(sum[i][v], seen), LANE + key);
        }
    }
}

REQD_WG(1, 1, 1)
__kernel void argmax_prefill_cpu(ATTN_ARGS)
{
    const int split = get_global_id(0);
    const int row0 = (int)get_global_id(1) * (MB * BR);
    const int b = get_global_id(2) / Hk;
    const int hk = get_global_id(2) % Hk;
    const seq s = SEQ_OF(b);
    const int count = min(MB * BR, G * s.nq - row0);
    if (count <= 0)
        return;

    const scoring w = SCORING_OF(s);
    const kv_head keys = KEYS_OF(b, hk, s);
    const int part = min(split * split_keys, s.nk);
    const int part_end = part + min(split_keys, s.nk - part);

    float16 q_rows[MB * BR * HEAD_VECS], panels[NV * HEAD_PAD];
    lanes_best best[MB * BR];
    query rows[MB * BR];
    block blocks[MB];
    int begin = part_end, end = part;

    for (int m = 0; m < MB; m++)
        blocks[m] = (block){ part_end, part, part, part_end };
    for (int r = 0; r < MB * BR; r++) {
        /* Rows past the last repeat it and are not stored. */
        const int row = row0 + min(r, count - 1);
        const int h = hk * G + row / s.nq, i = row % s.nq;
        const size_t at = q_off + b * (size_t)q_b + h * (size_t)q_h + (s.q0 + i) * (size_t)q_n;
        block *x = &blocks[r / BR];
        for (int d = 0; d < HEAD_VECS; d++)
            q_rows[r * HEAD_VECS + d] = load_part(IN_TYPE, q, at + d * 16, HEAD_DIM - d * 16);
        best[r].order = (int16)(INT_MIN);
        best[r].key = (int16)(0);
        rows[r] = QUERY_OF(b, h, i, s);
        rows[r].begin = max(rows[r].begin, part);
        rows[r].end = min(rows[r].end, part_end);
        x->begin = min(x->begin, rows[r].begin);
        x->end = max(x->end, rows[r].end);
        x->all_begin = max(x->all_begin, rows[r].begin);
        x->all_end = min(x->all_end, rows[r].end);
        begin = min(begin, x->begin);
        end = max(end, x->end);
    }

    for (int k0 = begin; k0 < end; k0 += 16 * NV) {
        for (int x = 0; x < NV; x++) {
            const int key = min(k0 + x * 16, end - 1);
            turn_keys(panels + x * HEAD_PAD, &keys, key, min(16, end - key));
        }
        for (int m = 0; m < MB && m * BR < count; m++) {
            if (k0 < blocks[m].end && k0 + 16 * NV > blocks[m].begin)
                improve_block(&best[m * BR], (const float *)(q_rows + m * BR * HEAD_VECS), panels,
                              &blocks[m], &w, &rows[m * BR], k0);
        }
    }

    for (int r = 0; r < count; r++) {
        const int h = hk * G + (row0 + r) / s.nq, i = (row0 + r) % s.nq;
        RANKS[RANK_AT(split, b, h, i)] = rank_of_lanes(&best[r]);
    }
}
