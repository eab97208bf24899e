/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projection of one row or a few on any device, at the speed of reading the weights:
 *
 *     y[r][c] = sum_m x[r][m] w[c][m]        then bias, rotary, residual: see proj.clh
 *
 * TM work-items share the sums of CB columns and RB rows, eight weights at a time; the rest of a
 * work-group takes other columns. Neighbours lie along the axis of w that is contiguous.
 *
 * Tunables    WG work-items, TM of them along M, CB columns (even) and RB rows of each
 * Constants   see proj.clh
 * Launch      (WG * tiles of WG / TM * CB slots over all parts, ceil(rows / RB)), groups of WG
 * Local       WG * CB * RB floats
 * Numerics    f32; each work-item sums every TM-th run of 8 in order, then a tree
 */
#define TC (WG / TM)
#define WIDTH (TC * CB)

/* Work-items that share a column stand side by side if its weights do. */
#define SIDE_BY_SIDE (W_ALONG == ALONG_M)
#define STEP (SIDE_BY_SIDE ? 1 : TC)

FN float dot4(float4 a, float4 b, float sum)
{
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

/* sums[r][c] over the m of this work-item. */
FN void add_products(const part *p, const weights *w, __global const void *x, const size_t *rows,
                     int tm, int M, float *sums)
{
    for (int m = tm * 8; m + 8 <= M; m += TM * 8) {
        float4 a[RB], b[RB];
#pragma unroll
        for (int r = 0; r < RB; r++) {
            a[r] = load4(IN_TYPE, x, rows[r] + m);
            b[r] = load4(IN_TYPE, x, rows[r] + m + 4);
        }
#pragma unroll
        for (int c = 0; c < CB; c++) {
            const float4 u = weight4(p, w[c], m), v = weight4(p, w[c], m + 4);
#pragma unroll
            for (int r = 0; r < RB; r++)
                sums[r * CB + c] = dot4(b[r], v, dot4(a[r], u, sums[r * CB + c]));
        }
    }
    for (int m = M / 8 * 8 + tm; m < M; m += TM) {
#pragma unroll
        for (int c = 0; c < CB; c++) {
            const float u = weight(p, w[c], m);
#pragma unroll
            for (int r = 0; r < RB; r++)
                sums[r * CB + c] = fma(load(IN_TYPE, x, rows[r] + m), u, sums[r * CB + c]);
        }
    }
}

REQD_WG(WG, 1, 1)
__kernel void proj_few(PROJ_ARGS)
{
    __local float shared[RB * CB * WG];
    const int lid = (int)get_local_id(0);
    const int tm = SIDE_BY_SIDE ? lid % TM : lid / TC, tc = SIDE_BY_SIDE ? lid / TM : lid % TC;
    const int row0 = (int)get_group_id(1) * RB;
    int tile = (int)get_group_id(0);
    SELECT_PART(p, tile, WIDTH)
    const int slot0 = tile * WIDTH + tc * CB;

    weights w[CB];
    size_t x_rows[RB];
    float sums[RB * CB];
#pragma unroll
    for (int c = 0; c < CB; c++)
        w[c] = weights_of(&p, slot0 + c);
#pragma unroll
    for (int r = 0; r < RB; r++)
        x_rows[r] = X_ROW(row0 + r);
#pragma unroll
    for (int i = 0; i < RB * CB; i++)
        sums[i] = 0.0f;
    add_products(&p, w, x, x_rows, tm, M, sums);

#pragma unroll
    for (int c = 0; c < CB; c++) {
        const float factor = column_factor(&p, w[c]);
#pragma unroll
        for (int r = 0; r < RB; r++)
            shared[(r * CB + c) * WG + lid] = sums[r * CB + c] * factor;
    }
    for (int half_of = TM / 2; half_of > 0; half_of /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (tm < half_of) {
            for (int i = 0; i < RB * CB; i++)
                shared[i * WG + lid] += shared[i * WG + lid + half_of * STEP];
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    for (int i = tm; i < RB * CB / 2; i += TM) {
        const int r = i / (CB / 2), c = i % (CB / 2) * 2, row = row0 + r;
        __local const float *sum = shared + (r * CB + c) * WG + lid - tm * STEP;
        if (row < rows) {
            const int b = row / N, n = row % N;
            put_pair(&p, pair_of(&p, slot0 + c), b, n, POSITION(b, n), sum[0], sum[WG]);
        }
    }
}
