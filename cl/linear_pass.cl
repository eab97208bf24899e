/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between linear_state and the kernel that uses the states: sums over segments.
 *
 *     causal     state[s] = in + sum of the states in front of s
 *     else       state[0] = in + sum of all
 *     out = in + sum of all
 *
 * Tunables    none
 * Constants   see linear.clh
 * Launch      (ceil((F VALUE_PAD + F) / 64) 64, Hk, B), work-groups of 64
 * Local       none
 * Numerics    sums of two floats, in the order of the segments; rounded when stored
 */
REQD_WG(64, 1, 1)
__kernel void linear_pass(LINEAR_ARGS)
{
    const int b = get_global_id(2), hk = get_global_id(1);
    const size_t i = get_global_id(0);
    const int f = (int)(i / VALUE_PAD), d = (int)(i % VALUE_PAD);
    const int is_z = i >= Z_AT;
    const seq s = SEQ_OF(b);
    const int count = segs_of(s, seg_keys);
    if (i >= Z_AT + FEATURES || (!is_z && d >= VALUE_DIM))
        return;

    sum2 sum = { 0.0f, 0.0f };
    if (HAS_IN)
        sum.hi = is_z ? in_z[Z_OF(in, b, hk) + (i - Z_AT)]
                      : in_kv[KV_OF(in, b, hk) + f * (size_t)in_kv_f + d];
    for (int seg = 0; seg < count; seg++) {
        __global float *at = STATE_OF(b, hk, seg) + i;
        /* Without a final state, nobody wrote the last segment. */
        const int own = CAUSAL > HAS_OUT ? seg + 1 < count : 1;
        const float x = own ? *at : 0.0f;
        if (CAUSAL)
            *at = sum.hi + sum.lo;
        sum = add2(sum, x);
    }
    if (!CAUSAL)
        STATE_OF(b, hk, 0)[i] = sum.hi + sum.lo;
    if (HAS_OUT) {
        if (is_z)
            out_z[Z_OF(out, b, hk) + (i - Z_AT)] = sum.hi + sum.lo;
        else
            out_kv[KV_OF(out, b, hk) + f * (size_t)out_kv_f + d] = sum.hi + sum.lo;
    }
}
