/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argmax attention on a CPU, first half: the rank of the best key of each row over one part of the
 * keys, see argmax.cl. The rows of the G query heads of a key head are numbered g * Nq + i. A
 * work-item owns MB blocks of RB of them and reads each key, in place, once per block; the keys of
 * a tile stay in the cache for all its blocks.
 *
 * Tunables    RB rows of a block, MB blocks of a work-item, KEYS of a part
 * Constants   see attn.clh
 * Launch      (splits, ceil(G Nq / (MB RB)), B Hk), work-groups of 1
 * Local       none; about (D + 24) MB RB floats of private memory
 * Numerics    q.k is summed in 16 lanes over D, then pairwise: equal keys get equal scores
 */
REQD_WG(1, 1, 1)
__kernel void argmax_cpu(ATTN_ARGS)
{
    const int split = get_global_id(0);
    const int row0 = (int)get_global_id(1) * (MB * RB);
    const int b = get_global_id(2) / Hk;
    const int hk = get_global_id(2) % Hk;
    const seq s = SEQ_OF(b);
    const int count = min(MB * RB, G * s.nq - row0);
    if (count <= 0)
        return;

    const scoring w = SCORING_OF(s);
    const kv_head keys = KEYS_OF(b, hk, s);
    const int part = min(split * split_keys, s.nk);
    const int part_end = part + min(split_keys, s.nk - part);

    float16 q_rows[MB * RB * HEAD_VECS], p[RB];
    lanes_best best[MB * RB];
    query rows[MB * RB];
    int begin = part_end, end = part;

    for (int r = 0; r < MB * RB; r++) {
        /* Rows past the last repeat it and are not stored. */
        const int row = row0 + min(r, count - 1);
        const int h = hk * G + row / s.nq, i = row % s.nq;
        const size_t at = q_off + b * (size_t)q_b + h * (size_t)q_h + (s.q0 + i) * (size_t)q_n;
        for (int d = 0; d < HEAD_VECS; d++)
            q_rows[r * HEAD_VECS + d] = load_part(IN_TYPE, q, at + d * 16, HEAD_DIM - d * 16);
        best[r].order = (int16)(INT_MIN);
        best[r].key = (int16)(0);
        rows[r] = QUERY_OF(b, h, i, s);
        rows[r].begin = max(rows[r].begin, part);
        rows[r].end = min(rows[r].end, part_end);
        begin = min(begin, rows[r].begin);
        end = max(end, rows[r].end);
    }

    for (int k0 = begin; k0 < end; k0 += 16) {
        const int n = min(16, end - k0);
        for (int m = 0; m < MB * RB && m < count; m += RB) {
            for (int j = 0; j < 16; j += KB)
                score_keys((float *)p + j, q_rows + m * HEAD_VECS, &keys, k0 + min(j, n - 1),
                           max(n - j, 1), end - 1);
            for (int r = 0; r < RB; r++)
                take_better(&best[m + r], orders16(p[r], visible16(&w, &rows[m + r], k0)),
                            LANE + k0);
        }
    }

    for (int r = 0; r < count; r++) {
        const int h = hk * G + (row0 + r) / s.nq, i = (row0 + r) % s.nq;
        RANKS[RANK_AT(split, b, h, i)] = rank_of_lanes(&best[r]);
    }
}
