/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of a segment of keys, into its state in the workspace: S = sum phi(k_j) v_j^T and
 * z = sum phi(k_j). With one segment in all the state before is added and the result handed out.
 *
 * Tunables    none; CHUNK, BR and NV are those of linear_cpu
 * Constants   see linear.clh
 * Launch      (segs, Hk, B), work-groups of 1
 * Local       none; about (D + Dv + 256) CHUNK floats of private memory
 * Numerics    f32; sums over the keys of a chunk stay in registers, chunks follow in order
 */
REQD_WG(1, 1, 1)
__kernel void linear_state_cpu(LINEAR_ARGS)
{
    const int seg = get_global_id(0), hk = get_global_id(1), b = get_global_id(2);
    const seq s = SEQ_OF(b);
    const int count = segs_of(s, seg_keys), last = min(s.nk, (seg + 1) * seg_keys);
    if (seg >= (CAUSAL > HAS_OUT ? count - 1 : count))
        return;

    float16 keys[HEAD_DIM * CHUNK_VECS], total[HEAD_VECS];
    float16 values[CHUNK * VALUE_VECS], made[BLOCK_VECS];
    __global float *state = STATE_OF(b, hk, seg);
    if (segs == 1) {
        start_state(state, in_kv, KV_OF(in, b, hk), in_kv_f, in_z, Z_OF(in, b, hk));
    } else {
        for (int i = 0; i < (int)((Z_AT + FEATURE_PAD) / 16); i++)
            vstore16((float16)(0.0f), i, state);
    }
    sum2_16 z[HEAD_VECS];
    ahead next;
    plan_nothing(&next);
    if (CANCELS)
        start_exact(z, state);
    for (int key = seg * seg_keys; key < last; key += CHUNK) {
        const int n = min(CHUNK, last - key);
        load_columns(keys, total, k, ROW_OF(k, b, hk, s.k0 + key), k_n, n, 1.0f);
        load_values(values, v, ROW_OF(v, b, hk, s.k0 + key), v_n, n);
        const int left = clamp(last - key - CHUNK, 0, CHUNK);
        plan_ahead(&next, 0, k, ROW_OF(k, b, hk, s.k0 + key + CHUNK), k_n, left, HEAD_DIM,
                   SIZE_OF(IN_TYPE));
        plan_ahead(&next, 1, v, ROW_OF(v, b, hk, s.k0 + key + CHUNK), v_n, left, VALUE_DIM,
                   SIZE_OF(IN_TYPE));
        spread_ahead(&next, TILES_OF(FEATURES));
        update_state(state, made, keys, total, values, n, c, &next);
        for (int j = 0; CANCELS && j < n; j++)
            add_exact(z, k, ROW_OF(k, b, hk, s.k0 + key + j));
    }
    if (CANCELS)
        end_exact(z, state);
    if (HAS_OUT && segs == 1)
        hand_out_state(state, out_kv, KV_OF(out, b, hk), out_kv_f, out_z, Z_OF(out, b, hk));
}
