/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear attention of one row and one key on a state, on a CPU, bound by moving the state once:
 *
 *     S_out = S_in + phi(k) v^T     z_out = z_in + phi(k)     o = phi(q)^T S_out / phi(q)^T z_out
 *
 * A work-item owns one key head with all its query heads, so that a state may be updated in place.
 *
 * Tunables    none
 * Constants   see linear.clh, and GROUP (G)
 * Launch      (Hk, B), work-groups of 1
 * Local       none; about (GROUP + 1) (D + Dv) floats of private memory
 * Numerics    f32, one sum per column in the order of features
 */
#define VALUE_VECS (VALUE_PAD / 16)

/* A row of q or k, mapped unless the map is poly2; 1 behind its end, see pair. */
FN void load_mapped(float *to, __global const void *x, size_t at, float factor)
{
    for (int d = 0; d < HEAD_DIM; d++)
        to[d] = map1(load(IN_TYPE, x, at + d) * factor);
    to[HEAD_DIM] = 1.0f;
}

FN float feature_of(const float *x, pair p, int f)
{
    return POLY2 ? p.factor * (x[p.a] * x[p.b]) : x[f];
}

REQD_WG(1, 1, 1)
__kernel void linear_step_cpu(LINEAR_ARGS)
{
    const int hk = get_global_id(0), b = get_global_id(1);
    float key[HEAD_DIM + 1], query[GROUP][HEAD_DIM + 1];
    sum2 den[GROUP];
    float16 value[VALUE_VECS], sums[GROUP][VALUE_VECS];
    const size_t v_at = ROW_OF(v, b, hk, 0), in_at = KV_OF(in, b, hk), out_at = KV_OF(out, b, hk);

    load_mapped(key, k, ROW_OF(k, b, hk, 0), 1.0f);
    for (int x = 0; x < VALUE_VECS; x++)
        value[x] = load_part(IN_TYPE, v, v_at + x * 16, VALUE_DIM - x * 16);
    for (int g = 0; g < GROUP; g++) {
        load_mapped(query[g], q, ROW_OF(q, b, hk * GROUP + g, 0), scale);
        den[g] = (sum2){ 0.0f, 0.0f };
        for (int x = 0; x < VALUE_VECS; x++)
            sums[g][x] = (float16)(0.0f);
    }
    pair p = pair_of(0, c);
    for (int f = 0; f < FEATURES; f++) {
        const float phi = feature_of(key, p, f);
        const float z = phi + (HAS_IN ? in_z[Z_OF(in, b, hk) + f] : 0.0f);
        float weight[GROUP];
        for (int g = 0; g < GROUP; g++) {
            weight[g] = feature_of(query[g], p, f);
            den[g] = fma2(den[g], weight[g], (sum2){ z, 0.0f });
        }
        for (int x = 0; x < VALUE_VECS; x++) {
            const int n = VALUE_DIM - x * 16;
            float16 y = phi * value[x];
            if (HAS_IN)
                y += load_part(T_F32, in_kv, in_at + f * (size_t)in_kv_f + x * 16, n);
            if (HAS_OUT)
                store_part(T_F32, out_kv, out_at + f * (size_t)out_kv_f + x * 16, y, n);
            for (int g = 0; g < GROUP; g++)
                sums[g][x] = fma((float16)(weight[g]), y, sums[g][x]);
        }
        if (HAS_OUT)
            out_z[Z_OF(out, b, hk) + f] = z;
        if (POLY2)
            p = next_pair(p, c);
    }
    for (int g = 0; g < GROUP; g++) {
        const size_t to = ROW_OF(o, b, hk * GROUP + g, 0);
        for (int x = 0; x < VALUE_VECS; x++)
            store_part(OUT_TYPE, o, to + x * 16, sums[g][x] * normalizer(den[g].hi + den[g].lo),
                       VALUE_DIM - x * 16);
    }
}
