/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs K, and V where need be, for attn_prefill_cpu:
 *
 *     work_k[panel][d][j] = k[16 panel + j][d]     0 for keys past the end of the sequence
 *     work_v[key][d] = v[key][d]                   0 for columns past Dv; unless VALUES_IN_PLACE
 *
 * Both are f32. Panels of one head follow each other; panel_of() says where a sequence starts.
 *
 * Tunables    none
 * Constants   HEAD_DIM, VALUE_DIM, KV_TYPE, RAGGED, HAS_LENGTHS, PAGED: few of attn.clh, so that
 *             many kernels have it in common
 * Launch      (work-items that share the panels of a head, Hk, B), work-groups of 1
 * Local       none
 * Numerics    exact
 */

/* Columns d .. d + 15 of 16 keys, of which n exist. */
FN void pack_square(__global float *to, const kv_head *keys, int key, int n, int d)
{
    float16 x[16], y[16];
#pragma unroll
    for (int j = 0; j < 16; j++)
        x[j] = j < n ? load_key(keys, key + j, d / 16) : (float16)(0.0f);
    zip_round(x, y);
    zip_round(y, x);
    zip_round(x, y);
    zip_round(y, x);
#pragma unroll
    for (int j = 0; j < 16; j++)
        vstore16(x[j], d + j, to);
}

FN float load_key_element(const kv_head *keys, int key, int d)
{
    return load(KV_TYPE, keys->data, kv_row(keys, key) + d)
         * kv_factor(keys, kv_scales(keys, key), d);
}

REQD_WG(1, 1, 1)
__kernel void attn_pack_cpu(ATTN_ARGS)
{
    const int b = get_global_id(2);
    const int hk = get_global_id(1);
    const seq s = SEQ_OF(b);
    const size_t first = panel_of(b, hk, Hk, B, Nk, Tk, s);
    const kv_head keys = KEYS_OF(b, hk, s);
    const kv_head values = VALUES_OF(b, hk, s);
    const int panels = (s.nk + 15) / 16;

    for (int panel = get_global_id(0); panel < panels; panel += get_global_size(0)) {
        const int n = min(16, s.nk - panel * 16);
        __global float *to = work + work_k + (first + panel) * (16 * HEAD_DIM);
        for (int d = 0; d + 16 <= HEAD_DIM; d += 16)
            pack_square(to, &keys, panel * 16, n, d);
        for (int d = HEAD_DIM / 16 * 16; d < HEAD_DIM; d++) {
            for (int j = 0; j < 16; j++)
                to[d * 16 + j] = j < n ? load_key_element(&keys, panel * 16 + j, d) : 0.0f;
        }
        if (VALUES_IN_PLACE)
            continue;
        for (int j = 0; j < n; j++) {
            __global float *packed = work + work_v + ((first + panel) * 16 + j) * VALUE_PAD;
            for (int c = 0; c < VALUE_VECS; c++)
                vstore16(load_value(&values, panel * 16 + j, c), c, packed);
        }
    }
}
