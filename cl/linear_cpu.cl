/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear attention on a CPU, in both forms:
 *
 *     o_i = phi(q_i)^T S / phi(q_i)^T z = sum_j sim(q_i, k_j) v_j / sum_j sim(q_i, k_j)
 *
 * Causal: a work-item walks one segment of a sequence, chunk by chunk, for all query heads of its
 * key head: the keys in front of the chunk through the state, those in it through their
 * similarities. Then the chunk joins the state. Not causal: a work-item owns a chunk of rows and
 * reads the state that linear_state_cpu made. Quadratic: it meets all keys through similarities.
 *
 * Tunables    BR rows (or features) and NV vectors of a product, CHUNK rows and keys of a tile,
 *             SEGS segments of a sequence at most
 * Constants   see linear.clh
 * Launch      causal (segs, Hk, B), else (ceil(Nq / CHUNK), Hq, B), work-groups of 1
 * Local       none; about (2 D + 2 Dv + BR + 256) CHUNK + 6 D floats of private memory
 * Numerics    f32; sums over a chunk stay in registers, chunks follow in order
 */

/* o becomes, and the denominators gain, what the state gives to the rows of q; poly2: both gain. */
FN void meet_state(float16 *o, float *den, float16 *made, const float16 *q,
                   __global const float *state, int n, float c, ahead *next)
{
    float16 total[CHUNK_VECS];
    for (int g = 0; g < CHUNK_VECS; g++)
        total[g] = (float16)(0.0f);
    for (int f0 = 0; f0 < FEATURES; f0 += POLY2 ? BLOCK_FEATURES : FEATURES) {
        const int count = POLY2 ? min(BLOCK_FEATURES, FEATURES - f0) : FEATURES;
        const float16 *phi = features(made, q, f0, count, n, c);
        for (int r = 0; r < n; r += BR)
            read_state_all((float *)(o + r * VALUE_VECS), (const float *)phi + r, 1, CHUNK,
                           state + f0 * (size_t)VALUE_PAD, count, BR, next);
        for (int f = 0; NORMALIZED && f < count; f++) {
            const float16 z = (float16)(state[Z_AT + f0 + f]);
            for (int g = 0; g < CHUNK_VECS; g++)
                total[g] = fma(phi[f * CHUNK_VECS + g], z, total[g]);
        }
    }
    for (int g = 0; g < CHUNK_VECS; g++)
        vstore16(vload16(g, den) + total[g], g, den);
}

/* Vectors of keys that are met together. */
#define KEY_VECS (NV < CHUNK_VECS ? NV : CHUNK_VECS)

/* p[r][0 .. keys - 1] = similarities of BR rows; row r sees the first seen + r keys, at most n. */
FN void similarities(float *p, float *den, const float *q, const float16 *keys, int n, int seen,
                     float c)
{
    for (int i = 0; i < min(n, seen + BR - 1); i += 16 * KEY_VECS) {
        float16 sum[BR][KEY_VECS];
#pragma unroll
        for (int r = 0; r < BR; r++) {
#pragma unroll
            for (int x = 0; x < KEY_VECS; x++)
                sum[r][x] = (float16)(0.0f);
        }
        for (int d = 0; d < HEAD_DIM; d++) {
            float16 y[KEY_VECS];
#pragma unroll
            for (int x = 0; x < KEY_VECS; x++)
                y[x] = keys[d * CHUNK_VECS + i / 16 + x];
#pragma unroll
            for (int r = 0; r < BR; r++) {
#pragma unroll
                for (int x = 0; x < KEY_VECS; x++)
                    sum[r][x] = fma((float16)(q[d * CHUNK + r]), y[x], sum[r][x]);
            }
        }
#pragma unroll
        for (int r = 0; r < BR; r++) {
            float16 total = (float16)(0.0f);
#pragma unroll
            for (int x = 0; x < KEY_VECS; x++) {
                const float16 z = sum[r][x] + c;
                const float16 y = LANE < min(n, seen + r) - i - x * 16 ? POLY2 ? z * z : sum[r][x]
                                                                       : (float16)(0.0f);
                vstore16(y, i / 16 + x, p + r * CHUNK);
                total += y;
            }
            den[r] += sum_lanes(total);
        }
    }
}

/* o and the denominators += what the first n keys of a tile give; row r sees seen + r of them. */
FN void meet_keys(float16 *o, float *den, const float16 *q, int rows, const float16 *keys,
                  const float16 *values, int n, int seen, int finite, float c, ahead *next)
{
    float p[BR * CHUNK];
    for (int r = 0; r < rows; r += BR) {
        const int all = min(n, seen + r + BR - 1);
        float *to = (float *)(o + r * VALUE_VECS);
        similarities(p, den + r, (const float *)q + r, keys, n, seen + r, c);
        if (finite || seen + r >= n) {
            add_values_all(to, p, CHUNK, 1, (const float *)values, all, BR, next);
        } else {
            /* A similarity of 0 would not keep NaN and inf out of rows that do not see the key. */
            for (int i = 0; i < BR; i++)
                add_values_all(to + i * VALUE_PAD, p + i * CHUNK, CHUNK, 1, (const float *)values,
                               min(n, seen + r + i), 1, next);
        }
    }
}

/* Rows of a tensor from `row` on, a chunk of them at most. */
#define PLAN(x, i, h, row, n)                                                                 \
    plan_ahead(&next, i, x, ROW_OF(x, b, h, row), x##_n, clamp(n, 0, CHUNK),                   \
               (i) % 2 ? VALUE_DIM : HEAD_DIM, SIZE_OF((i) == 3 ? OUT_TYPE : IN_TYPE))

REQD_WG(1, 1, 1)
__kernel void linear_cpu(LINEAR_ARGS)
{
    const int b = get_global_id(2), unit = get_global_id(0);
    const int h0 = WALK ? (int)get_global_id(1) * G : (int)get_global_id(1);
    const int h1 = WALK ? h0 + G : min(h0 + 1, Hq);
    const int hk = WALK ? (int)get_global_id(1) : h0 / max(G, 1);
    const seq s = SEQ_OF(b);
    const int length = WALK ? max(s.nq, s.nk) : s.nq;
    const int first = unit * (WALK ? seg_keys : CHUNK);
    const int end = min(length, first + (WALK ? seg_keys : CHUNK));
    const int keep = WALK && HAS_OUT ? segs == 1 : 0;
    __global float *state = STATE_OF(b, hk, WALK ? unit : 0);

    float16 rows[HEAD_DIM * CHUNK_VECS], keys[HEAD_DIM * CHUNK_VECS];
    float16 total[HEAD_VECS], unused[HEAD_VECS];
    float16 values[CHUNK * VALUE_VECS], sums[CHUNK * VALUE_VECS], made[BLOCK_VECS];
    float den[CHUNK];
    ahead next;
    sum2_16 z[HEAD_VECS], own[HEAD_VECS];

    plan_nothing(&next);
    if (WALK && states && segs == 1)
        start_state(state, in_kv, KV_OF(in, b, hk), in_kv_f, in_z, Z_OF(in, b, hk));
    for (int d = 0; CANCELS && d < HEAD_VECS; d++)
        z[d] = (sum2_16){ (float16)(0.0f), (float16)(0.0f) };
    if (CANCELS > QUADRATIC)
        start_exact(z, state);
    /* The quadratic form has one chunk, and its keys in front, or all. */
    for (int j = 0; CANCELS & QUADRATIC && j < (CAUSAL ? min(first, s.nk) : s.nk); j++)
        add_exact(z, k, ROW_OF(k, b, hk, s.k0 + j));
    for (int row = first; row < end; row += CHUNK) {
        const int nq = clamp(s.nq - row, 0, CHUNK), nk = clamp(s.nk - row, 0, CHUNK);
        int finite = 1;
        if (WALK) {
            load_columns(keys, total, k, ROW_OF(k, b, hk, s.k0 + row), k_n, nk, 1.0f);
            finite = load_values(values, v, ROW_OF(v, b, hk, s.k0 + row), v_n, nk);
        }
        for (int h = h0; h < h1; h++) {
            load_columns(rows, unused, q, ROW_OF(q, b, h, s.q0 + row), q_n, nq, scale);
            for (int i = 0; POLY2 + QUADRATIC > 0 && i < CHUNK * VALUE_VECS; i++)
                sums[i] = (float16)(0.0f);
            for (int i = 0; i < CHUNK; i++)
                den[i] = 0.0f;
            const int last = !WALK || h + 1 == h1;
            const int next_h = !WALK ? h : last ? h0 : h + 1;
            const int next_row = last ? row + CHUNK : row;
            PLAN(k, 0, hk, s.k0 + next_row, WALK && last ? s.nk - next_row : 0);
            PLAN(v, 1, hk, s.k0 + next_row, WALK && last ? s.nk - next_row : 0);
            PLAN(q, 2, next_h, s.q0 + next_row, s.nq - next_row);
            PLAN(o, 3, next_h, s.q0 + next_row, s.nq - next_row);
            spread_ahead(&next, TILES_OF((WALK + 1) * CHUNK + (WALK && last ? FEATURES : 0)));
            if (!QUADRATIC && states)
                meet_state(sums, den, made, rows, state, nq, c, &next);
            if (WALK)
                meet_keys(sums, den, rows, nq, keys, values, nk, 1, finite, c, &next);
            for (int key = 0; QUADRATIC && key < (CAUSAL ? min(s.nk, row + nq) : s.nk);
                 key += CHUNK) {
                const int n = min(CHUNK, s.nk - key);
                load_columns(keys, total, k, ROW_OF(k, b, hk, s.k0 + key), k_n, n, 1.0f);
                finite = load_values(values, v, ROW_OF(v, b, hk, s.k0 + key), v_n, n);
                meet_keys(sums, den, rows, nq, keys, values, n, CAUSAL ? row - key + 1 : n, finite,
                          c, &next);
            }
            for (int d = 0; CANCELS && d < HEAD_VECS; d++)
                own[d] = z[d];
            for (int r = 0; CANCELS && r < nq; r++) {
                if (CAUSAL && row + r < s.nk)
                    add_exact(own, k, ROW_OF(k, b, hk, s.k0 + row + r));
                den[r] = dot_exact(own, q, ROW_OF(q, b, h, s.q0 + row + r), scale);
            }
            for (int r = 0; r < nq; r++) {
                const size_t to = ROW_OF(o, b, h, s.q0 + row + r);
                for (int x = 0; x < VALUE_VECS; x++)
                    store_part(OUT_TYPE, o, to + x * 16,
                               sums[r * VALUE_VECS + x] * normalizer(den[r]), VALUE_DIM - x * 16);
            }
        }
        if (WALK && states && (keep || row + CHUNK < end))
            update_state(state, made, keys, total, values, nk, c, &next);
        for (int j = 0; CANCELS & WALK && j < nk; j++)
            add_exact(z, k, ROW_OF(k, b, hk, s.k0 + row + j));
    }
    if (CANCELS & WALK && states)
        end_exact(z, state);
    if (keep)
        hand_out_state(state, out_kv, KV_OF(out, b, hk), out_kv_f, out_z, Z_OF(out, b, hk));
}
