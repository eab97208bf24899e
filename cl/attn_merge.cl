/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins the parts that a kernel with split keys left in the workspace:
 *
 *     lse = log(sum_p e^lse_p [+ e^sink])       o = sum_p o_p e^(lse_p - lse)
 *
 * A part that saw no key has lse_p = -inf, and its o_p is not read. Parts know no sink.
 *
 * Tunables    none
 * Constants   see attn.clh
 * Launch      a work-item for each of B Hq Nq Dv elements of o, in work-groups of 64
 * Local       none
 * Numerics    f32, parts in order
 */
REQD_WG(64, 1, 1)
__kernel void attn_merge(ATTN_ARGS)
{
    const size_t rows = (size_t)B * Hq * Nq;
    const size_t row = get_global_id(0) / VALUE_DIM;
    const int d = (int)(get_global_id(0) % VALUE_DIM);
    if (row >= rows)
        return;
    const int i = (int)(row % Nq), h = (int)(row / Nq % Hq), b = (int)(row / Nq / Hq);
    const seq s = SEQ_OF(b);
    if (i >= s.nq)
        return;

    __global const float *lses = work + work_lse + row;
    __global const float *parts = work + work_o + row * VALUE_DIM + d;
    const float sink = HAS_SINKS ? sinks[sinks_off + h] : -INFINITY;
    float top = sink;
    for (int p = 0; p < splits; p++)
        top = fmax(top, lses[p * rows]);
    const float base = base_of(top);

    float total = HAS_SINKS ? weight_of(sink, base) : 0.0f, sum = 0.0f;
    for (int p = 0; p < splits; p++) {
        const float x = lses[p * rows];
        if (x == -INFINITY)
            continue;
        const float w = weight_of(x, base);
        total += w;
        sum = fma(w, parts[p * rows * VALUE_DIM], sum);
    }

    const long to_row = s.q0 + i;
    store(OUT_TYPE, o, (size_t)(o_off + b * o_b + h * o_h + to_row * o_n + d),
          total == 0.0f ? 0.0f : sum / total);
    if (HAS_LSE && d == 0)
        lse[lse_off + b * lse_b + h * lse_h + to_row * lse_n] = base + log(total);
}
