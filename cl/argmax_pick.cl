/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argmax attention, second half: joins the parts of each row and fetches the winner,
 *
 *     index_i = j*     o_i = v_{j*}, as it is stored     no key: index -1, o = 0
 *
 * o has the dtype of v; quantised values become f32.
 *
 * Tunables    none
 * Constants   VALUE_DIM, KV_TYPE, OUT_TYPE, RAGGED, HAS_LENGTHS, PAGED, HAS_INDEX: few of attn.clh
 * Launch      Nq * Hq * B work-groups of 16, in one dimension: one per row
 * Local       none
 */
REQD_WG(16, 1, 1)
__kernel void argmax_pick(ATTN_ARGS, __global int *index, long index_off, long index_b,
                          long index_h, long index_n)
{
    const uint group = (uint)get_group_id(0), head = group / (uint)Nq;
    const int i = (int)(group % (uint)Nq);
    const int h = (int)(head % (uint)Hq), b = (int)(head / (uint)Hq);
    const seq s = SEQ_OF(b);
    if (i >= s.nq)
        return;

    ulong rank = 0;
    for (int split = 0; split < splits; split++)
        rank = max(rank, RANKS[RANK_AT(split, b, h, i)]);
    const int key = key_of(rank);

    const kv_head values = VALUES_OF(b, h / G, s);
    const size_t from = key < 0 ? 0 : kv_row(&values, key);
    const size_t scales = key < 0 ? 0 : kv_scales(&values, key);
    const size_t to = (size_t)(o_off + b * o_b + h * o_h + (long)(s.q0 + i) * o_n);
    for (int d = (int)get_local_id(0); d < VALUE_DIM; d += 16) {
        if (KV_TYPE != OUT_TYPE)
            ((__global float *)o)[to + d] =
                key < 0 ? 0.0f : load(KV_TYPE, v, from + d) * kv_factor(&values, scales, d);
        else if (OUT_TYPE == T_F32)
            ((__global uint *)o)[to + d] = key < 0 ? 0 : ((__global const uint *)v)[from + d];
        else
            ((__global ushort *)o)[to + d] = key < 0 ? 0 : ((__global const ushort *)v)[from + d];
    }
    if (HAS_INDEX && get_local_id(0) == 0)
        index[index_off + b * index_b + h * index_h + (long)(s.q0 + i) * index_n] = key;
}
