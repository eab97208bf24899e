/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear attention on any device, in both forms:
 *
 *     o_i = phi(q_i)^T S / phi(q_i)^T z = sum_j sim(q_i, k_j) v_j / sum_j sim(q_i, k_j)
 *
 * A work-group owns BR rows of one head and BV value columns. What linear_state and linear_pass
 * left of the keys in front of its segment (causal) or of all keys comes as phi(q) S, with features
 * made on the fly in local memory; the keys of its own segment, or all keys in the quadratic form,
 * come through their similarities. (Chunks: Hua and others 2022, Yang and others 2023.)
 *
 * Tunables    WG work-items, BR rows, BV value columns, SEG keys of a segment
 * Constants   see linear.clh
 * Launch      ceil(Nq / BR) * ceil(Dv / BV) * Hq * B work-groups of WG, in one dimension
 * Local       BR rows of 36 floats, and 32 rows of BV
 * Numerics    f32, one sum per product in order; denominators in TC sums per row
 */
/* Columns d0 .. d0 + DEPTH - 1 of n rows, mapped (raw for poly2); 0 from n and from D on. */
FN void stage_rows(__local float4 *a, const int size, __global const void *x, size_t from,
                   long stride, int n, int d0, float factor)
{
    for (int e = (int)get_local_id(0); e < size * (DEPTH / 4); e += WG) {
        const int r = e / (DEPTH / 4), d = d0 + e % (DEPTH / 4) * 4;
        float4 y = (float4)(0.0f);
        if (r < n && d < HEAD_DIM) {
            y = row4(IN_TYPE, x, from + r * (size_t)stride, d, HEAD_DIM) * factor;
            y.x = map1(y.x);
            y.y = d + 1 < HEAD_DIM ? map1(y.y) : 0.0f;
            y.z = d + 2 < HEAD_DIM ? map1(y.z) : 0.0f;
            y.w = d + 3 < HEAD_DIM ? map1(y.w) : 0.0f;
        }
        a[r * LD4 + e % (DEPTH / 4)] = y;
    }
}

/* phi of n rows of q as a, features f0 .. f0 + DEPTH - 1. */
FN void stage_features(__local float4 *a, __global const void *q, size_t from, long stride, int n,
                       int f0, float factor, float c)
{
    if (!POLY2) {
        stage_rows(a, BR, q, from, stride, n, f0, factor);
    } else {
        for (int e = (int)get_local_id(0); e < BR * DEPTH; e += WG) {
            const int r = e / DEPTH, i = e % DEPTH;
            const int there = r < n && f0 + i < FEATURES;
            ((__local float *)a)[r * LD + i] =
                there ? feature(q, from + r * (size_t)stride, f0 + i, factor, c) : 0.0f;
        }
    }
}

FN void stage_state(__local float4 *b, __global const float *state, int f0, int column)
{
    for (int e = (int)get_local_id(0); e < DEPTH * BV4; e += WG) {
        const int f = f0 + e / BV4, d = column + e % BV4 * 4;
        b[e] = f < FEATURES && d < VALUE_PAD ? vload4(0, state + f * (size_t)VALUE_PAD + d)
                                             : (float4)(0.0f);
    }
}

/* Products of rows tr + i TR of q with keys tc + j TC, DEPTH columns. */
FN void add_products(__local const float4 *q, __local const float4 *k, int tr, int tc, float *s)
{
    for (int d4 = 0; d4 < DEPTH / 4; d4++) {
        float4 x[DEPTH / TC];
#pragma unroll
        for (int j = 0; j < DEPTH / TC; j++)
            x[j] = k[(tc + j * TC) * LD4 + d4];
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const float4 y = q[(tr + i * TR) * LD4 + d4];
#pragma unroll
            for (int j = 0; j < DEPTH / TC; j++) {
                float *sum = &s[i * (DEPTH / TC) + j];
                *sum = fma(y.x, x[j].x, *sum);
                *sum = fma(y.y, x[j].y, *sum);
                *sum = fma(y.z, x[j].z, *sum);
                *sum = fma(y.w, x[j].w, *sum);
            }
        }
    }
}

/*
 * Exact sums of features, where they may cancel. A work-item owns column d of z; it adds keys
 * [begin, end) to what the state has, and leaves in (hi, lo) what each of BR rows sees: causal,
 * also the keys from row to its own.
 */
FN void exact_columns(__local float *hi, __local float *lo, __global const float *state, int d,
                      __global const void *k, size_t k_at, long k_n, int begin, int end, int row,
                      int keys)
{
    sum2 z = { state ? state[Z_AT + d] : 0.0f, 0.0f };
    for (int j = begin; j < end; j++)
        z = add2(z, load(IN_TYPE, k, k_at + j * (size_t)k_n + d));
    for (int r = 0; r < BR; r++) {
        if (CAUSAL && row + r < keys)
            z = add2(z, load(IN_TYPE, k, k_at + (row + r) * (size_t)k_n + d));
        hi[r * LD] = z.hi;
        lo[r * DEPTH] = z.lo;
    }
}

REQD_WG(WG, 1, 1)
__kernel void linear_chunk(LINEAR_ARGS)
{
    __local float4 a[BR * LD4], x[DEPTH * BV4 > DEPTH * LD4 ? DEPTH * BV4 : DEPTH * LD4];
    __local int odd;
    const int lid = (int)get_local_id(0), tr = lid / TC, tc = lid % TC;
    const uint tiles = max(1u, (uint)(Nq + BR - 1) / BR), slices = (VALUE_DIM + BV - 1) / BV;
    const uint group = (uint)get_group_id(0), head = group / tiles / slices;
    const int row0 = (int)(group % tiles) * BR, column = (int)(group / tiles % slices) * BV;
    const uint heads = max(1u, (uint)Hq);
    const int h = (int)(head % heads), b = (int)(head / heads), hk = h / max(G, 1);
    const seq s = SEQ_OF(b);
    const int rows = Hq > 0 ? clamp(s.nq - row0, 0, BR) : 0;
    const int seg = WALK ? row0 / seg_keys : 0;
    const int begin = QUADRATIC | CAUSAL ? seg * seg_keys : s.nk;
    const int end = CAUSAL ? min(s.nk, row0 + rows) : s.nk;
    const size_t q_at = ROW_OF(q, b, h, s.q0 + row0);
    __global const float *state = STATE_OF(b, hk, seg);

    float den[MR], rest[MR]; /* a sum and what rounding took from it */
    float4 y[MR * NV];
#pragma unroll
    for (int i = 0; i < MR; i++)
        den[i] = rest[i] = 0.0f;
#pragma unroll
    for (int i = 0; i < MR * NV; i++)
        y[i] = (float4)(0.0f);
    if (lid == 0)
        odd = 0;

    for (int f0 = 0; !QUADRATIC && states && f0 < FEATURES; f0 += DEPTH) {
        barrier(CLK_LOCAL_MEM_FENCE);
        stage_features(a, q, q_at, q_n, rows, f0, scale, c);
        stage_state(x, state, f0, column);
        barrier(CLK_LOCAL_MEM_FENCE);
        add_tile(a, x, tr, tc, y, 0);
        for (int n = 0; NORMALIZED && n < DEPTH / TC; n++) {
            const int f = n * TC + tc;
            const float z = f0 + f < FEATURES ? state[Z_AT + f0 + f] : 0.0f;
#pragma unroll
            for (int i = 0; i < MR; i++)
                den[i] = fma(((__local const float *)a)[(tr + i * TR) * LD + f], z, den[i]);
        }
    }
    for (int key = begin; key < end; key += DEPTH) {
        const int n = min(DEPTH, end - key);
        float p[MR * (DEPTH / TC)];
#pragma unroll
        for (int i = 0; i < MR * (DEPTH / TC); i++)
            p[i] = 0.0f;
        for (int d0 = 0; d0 < HEAD_DIM; d0 += DEPTH) {
            barrier(CLK_LOCAL_MEM_FENCE);
            stage_rows(a, BR, q, q_at, q_n, rows, d0, scale);
            stage_rows(x, DEPTH, k, ROW_OF(k, b, hk, s.k0 + key), k_n, n, d0, 1.0f);
            barrier(CLK_LOCAL_MEM_FENCE);
            add_products(a, x, tr, tc, p);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
        for (int i = 0; i < MR; i++) {
#pragma unroll
            for (int j = 0; j < DEPTH / TC; j++) {
                const int r = tr + i * TR, at = tc + j * TC;
                const int seen = (!CAUSAL || key + at <= row0 + r) && at < n;
                const float sim = similarity(p[i * (DEPTH / TC) + j], c);
                ((__local float *)a)[r * LD + at] = seen ? sim : MASKED;
                den[i] += seen ? sim : 0.0f;
            }
        }
        stage_values(x, &odd, v, ROW_OF(v, b, hk, s.k0 + key), v_n, n, column);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (odd)
            add_tile(a, x, tr, tc, y, 1);
        else
            add_tile(a, x, tr, tc, y, 0);
    }

#pragma unroll
    for (int i = 0; CANCELS && i < MR; i++)
        den[i] = 0.0f;
    for (int d0 = 0; CANCELS && d0 < HEAD_DIM; d0 += DEPTH) {
        __local float *hi = (__local float *)a, *lo = (__local float *)x;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lid < min(DEPTH, HEAD_DIM - d0))
            exact_columns(hi + lid, lo + lid, !QUADRATIC && states ? state : 0, d0 + lid, k,
                          ROW_OF(k, b, hk, s.k0), k_n, begin, CAUSAL ? min(row0, s.nk) : s.nk,
                          row0, s.nk);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int n = 0; n < DEPTH / TC; n++) {
            const int d = n * TC + tc;
#pragma unroll
            for (int i = 0; i < MR; i++) {
                const int r = tr + i * TR;
                if (r < rows && d0 + d < HEAD_DIM) {
                    const float own = load(IN_TYPE, q, q_at + r * (size_t)q_n + d0 + d) * scale;
                    const sum2 sum = fma2((sum2){ den[i], rest[i] }, own,
                                          (sum2){ hi[r * LD + d], lo[r * DEPTH + d] });
                    den[i] = sum.hi;
                    rest[i] = sum.lo;
                }
            }
        }
    }

    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int i = 0; i < MR; i++) {
        ((__local float *)a)[(tr + i * TR) * LD + tc] = den[i];
        ((__local float *)a)[(tr + i * TR) * LD + TC + tc] = rest[i];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int i = 0; i < MR; i++) {
        const int r = tr + i * TR;
        if (r >= rows)
            continue;
        __local const float *parts = (__local const float *)a + r * LD;
        sum2 sum = { 0.0f, 0.0f };
        for (int n = 0; n < TC; n++) {
            sum = add2(sum, parts[n]);
            sum.lo += parts[TC + n];
        }
        const float factor = normalizer(sum.hi + sum.lo);
        const size_t to = ROW_OF(o, b, h, s.q0 + row0 + r);
#pragma unroll
        for (int n = 0; n < NV; n++)
            store_row4(OUT_TYPE, o, to, column + (n * TC + tc) * 4, VALUE_DIM,
                       y[i * NV + n] * factor);
    }
}
