/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projection of many rows on any device:
 *
 *     y[r][c] = sum_m x[r][m] w[c][m]        then bias, rotary, residual: see proj.clh
 *
 * A work-group computes BR rows by BC slots. Tiles of x and w pass through local memory, stored
 * with M outermost; each work-item keeps MR x NC sums, in 4 x 4 blocks so that it reads float4 and
 * no two work-items of a row of the tile meet in a bank. The next tile is on its way while this one
 * is used.
 *
 * Tunables    TX, TY work-items along slots and rows, NC slots and MR rows of each (multiples of
 *             4), BK columns of x in a tile (a multiple of 4)
 * Constants   see proj.clh
 * Launch      (TX TY * tiles of slots over all parts, tiles of rows), groups of TX TY
 * Local       BK * (BR + BC + 8) floats
 * Numerics    f32, each sum in order of M
 */
#define WG (TX * TY)
#define BR (TY * MR)
#define BC (TX * NC)
#define KQ (BK / 4)
#define LDX (BR / 4 + 1) /* float4 of a row of a tile; one more against bank conflicts */
#define LDW (BC / 4 + 1)
#define NX (BR * KQ / WG) /* float4 that a work-item brings into a tile */
#define NW (BC * KQ / WG)

/* Element e of a tile, in float4 along M: neighbours lie along the contiguous axis. */
#define X_R(e) ((e) / KQ)
#define X_Q(e) ((e) % KQ)
#define W_C(e) (W_ALONG == ALONG_K ? (e) % BC : (e) / KQ)
#define W_Q(e) (W_ALONG == ALONG_K ? (e) / BC : (e) % KQ)

FN float4 x_quad(__global const void *x, size_t at, int m, int M)
{
    if (m + 4 <= M)
        return load4(IN_TYPE, x, at + m);
    float4 q = (float4)(0.0f);
    if (m < M)
        q.x = load(IN_TYPE, x, at + m);
    if (m + 1 < M)
        q.y = load(IN_TYPE, x, at + m + 1);
    if (m + 2 < M)
        q.z = load(IN_TYPE, x, at + m + 2);
    return q;
}

FN float4 w_quad(const part *p, weights w, int m, int M)
{
    if (m + 4 <= M)
        return weight4(p, w, m);
    float4 q = (float4)(0.0f);
    if (m < M)
        q.x = weight(p, w, m);
    if (m + 1 < M)
        q.y = weight(p, w, m + 1);
    if (m + 2 < M)
        q.z = weight(p, w, m + 2);
    return q;
}

/* Four columns of M of one row of x or column of w go to four rows of the tile. */
FN void put_quad(__local float *tile, int ld, int q, int i, float4 v)
{
    tile[(4 * q) * ld + i] = v.x;
    tile[(4 * q + 1) * ld + i] = v.y;
    tile[(4 * q + 2) * ld + i] = v.z;
    tile[(4 * q + 3) * ld + i] = v.w;
}

FN void add_tile(__local const float4 *xs, __local const float4 *ws, int tx, int ty, float4 *sums)
{
#pragma unroll 4
    for (int k = 0; k < BK; k++) {
        float4 a[MR / 4], b[NC / 4];
#pragma unroll
        for (int i = 0; i < MR / 4; i++)
            a[i] = xs[k * LDX + i * TY + ty];
#pragma unroll
        for (int j = 0; j < NC / 4; j++)
            b[j] = ws[k * LDW + j * TX + tx];
#pragma unroll
        for (int i = 0; i < MR / 4; i++) {
#pragma unroll
            for (int j = 0; j < NC / 4; j++) {
                float4 *s = sums + i * NC + j;
                s[0] = fma((float4)(a[i].x), b[j], s[0]);
                s[NC / 4] = fma((float4)(a[i].y), b[j], s[NC / 4]);
                s[NC / 2] = fma((float4)(a[i].z), b[j], s[NC / 2]);
                s[NC / 4 * 3] = fma((float4)(a[i].w), b[j], s[NC / 4 * 3]);
            }
        }
    }
}

REQD_WG(WG, 1, 1)
__kernel void proj_gemm(PROJ_ARGS)
{
    __local float4 xs[BK * LDX], ws[BK * LDW];
    const int lid = (int)get_local_id(0), tx = lid % TX, ty = lid / TX;
    const int row0 = (int)get_group_id(1) * BR;
    int tile = (int)get_group_id(0);
    SELECT_PART(p, tile, BC)
    const int slot0 = tile * BC;

    size_t x_at[NX];
    weights w_at[NW];
    float4 x_next[NX], w_next[NW], sums[MR * NC / 4];
#pragma unroll
    for (int i = 0; i < NX; i++) {
        x_at[i] = X_ROW(row0 + X_R(lid + i * WG));
        x_next[i] = x_quad(x, x_at[i], X_Q(lid + i * WG) * 4, M);
    }
#pragma unroll
    for (int i = 0; i < NW; i++) {
        w_at[i] = weights_of(&p, slot0 + W_C(lid + i * WG));
        w_next[i] = w_quad(&p, w_at[i], W_Q(lid + i * WG) * 4, M);
    }
#pragma unroll
    for (int i = 0; i < MR * NC / 4; i++)
        sums[i] = (float4)(0.0f);

    for (int m = 0; m < M; m += BK) {
#pragma unroll
        for (int i = 0; i < NX; i++)
            put_quad((__local float *)xs, LDX * 4, X_Q(lid + i * WG), X_R(lid + i * WG), x_next[i]);
#pragma unroll
        for (int i = 0; i < NW; i++)
            put_quad((__local float *)ws, LDW * 4, W_Q(lid + i * WG), W_C(lid + i * WG), w_next[i]);
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
        for (int i = 0; i < NX; i++)
            x_next[i] = x_quad(x, x_at[i], m + BK + X_Q(lid + i * WG) * 4, M);
#pragma unroll
        for (int i = 0; i < NW; i++)
            w_next[i] = w_quad(&p, w_at[i], m + BK + W_Q(lid + i * WG) * 4, M);
        add_tile(xs, ws, tx, ty, sums);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

#pragma unroll
    for (int j = 0; j < NC / 4; j++) {
        const int slot = slot0 + (j * TX + tx) * 4;
        const pair q0 = pair_of(&p, slot), q1 = pair_of(&p, slot + 2);
        const float f0 = column_factor(&p, weights_of(&p, slot));
        const float f1 = column_factor(&p, weights_of(&p, slot + 1));
        const float f2 = column_factor(&p, weights_of(&p, slot + 2));
        const float f3 = column_factor(&p, weights_of(&p, slot + 3));
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const int row = row0 + (i / 4 * TY + ty) * 4 + i % 4, b = row / N, n = row % N;
            const float4 s = sums[i * (NC / 4) + j];
            if (row >= rows)
                continue;
            const long position = POSITION(b, n);
            put_pair(&p, q0, b, n, position, s.x * f0, s.y * f1);
            put_pair(&p, q1, b, n, position, s.z * f2, s.w * f3);
        }
    }
}
