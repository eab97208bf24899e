/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projection of many rows on any device:
 *
 *     y[r][c] = sum_m x[r][m] w[c][m]        then bias, rotary, residual: see proj.clh
 *
 * A work-group computes BR rows by BC slots. Tiles of x and w pass through local memory, stored
 * with M outermost; each work-item keeps MR x NC sums, in 4 x 4 blocks so that it reads float4 and
 * no two work-items of a row of the tile meet in a bank. While one pair of tiles is used, the next
 * is on its way into the other. Where the tiles are too few for the device, M is split into parts,
 * whose sums go to the workspace for proj_merge.
 *
 * Tunables    TX, TY work-items along slots and rows, NC slots and MR rows of each (multiples of
 *             4), BK columns of x in a tile (a multiple of 4), SPLIT parts of M
 * Constants   see proj.clh
 * Launch      (TX TY * tiles of slots over all parts * tiles of rows, splits), groups of TX TY
 * Local       2 BK * (BR + BC + 8) floats
 * Numerics    f32, each sum in order of M; parts in proj_merge
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

FN float x_or_0(__global const void *x, size_t at, int m, int end)
{
    return m < end ? load(IN_TYPE, x, at + m) : 0.0f;
}

FN float w_or_0(const part *p, weights w, int m, int end)
{
    return m < end ? weight(p, w, m) : 0.0f;
}

/* This work-item's share of the tiles from column m of x on; 0 from end on. */
FN void fetch(const part *p, __global const void *x, const size_t *x_at, const weights *w_at, int m,
              int end, int is_aligned, float4 *x_next, float4 *w_next)
{
    const int lid = (int)get_local_id(0);

    if (is_aligned && m + BK <= end) {
#pragma unroll
        for (int i = 0; i < NX; i++)
            x_next[i] = load4_aligned(IN_TYPE, x, x_at[i] + m + X_Q(lid + i * WG) * 4);
#pragma unroll
        for (int i = 0; i < NW; i++)
            w_next[i] = weight4_aligned(p, w_at[i], m + W_Q(lid + i * WG) * 4);
        return;
    }
#pragma unroll
    for (int i = 0; i < NX; i++) {
        const int k = m + X_Q(lid + i * WG) * 4;
        x_next[i] = (float4)(x_or_0(x, x_at[i], k, end), x_or_0(x, x_at[i], k + 1, end),
                             x_or_0(x, x_at[i], k + 2, end), x_or_0(x, x_at[i], k + 3, end));
    }
#pragma unroll
    for (int i = 0; i < NW; i++) {
        const int k = m + W_Q(lid + i * WG) * 4;
        w_next[i] = (float4)(w_or_0(p, w_at[i], k, end), w_or_0(p, w_at[i], k + 1, end),
                             w_or_0(p, w_at[i], k + 2, end), w_or_0(p, w_at[i], k + 3, end));
    }
}

/* Four columns of M of one row of x or column of w go to four rows of the tile. */
FN void put_column(__local float *tile, int ld, int q, int i, float4 v)
{
    tile[(4 * q) * ld + i] = v.x;
    tile[(4 * q + 1) * ld + i] = v.y;
    tile[(4 * q + 2) * ld + i] = v.z;
    tile[(4 * q + 3) * ld + i] = v.w;
}

FN void put_tiles(__local float4 *xs, __local float4 *ws, const float4 *x_next,
                  const float4 *w_next)
{
    const int lid = (int)get_local_id(0);
#pragma unroll
    for (int i = 0; i < NX; i++)
        put_column((__local float *)xs, LDX * 4, X_Q(lid + i * WG), X_R(lid + i * WG), x_next[i]);
#pragma unroll
    for (int i = 0; i < NW; i++)
        put_column((__local float *)ws, LDW * 4, W_Q(lid + i * WG), W_C(lid + i * WG), w_next[i]);
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
    __local float4 xs[2 * BK * LDX], ws[2 * BK * LDW];
    const int lid = (int)get_local_id(0), tx = lid % TX, ty = lid / TX;
    int row_tile, tile = tile_in_turn((int)get_group_id(0), ALL_TILES(BC), TILES(rows, BR), 8,
                                      &row_tile);
    SELECT_PART(p, tile, BC)
    const int row0 = row_tile * BR, slot0 = tile * BC;
    const int split = (int)get_group_id(1), begin = split * split_m;
    const int end = splits > 1 ? min(begin + split_m, M) : M;
    const int is_aligned = columns_aligned(&p) && ROWS_ALIGNED;

    size_t x_at[NX];
    weights w_at[NW];
    float4 x_next[NX], w_next[NW], sums[MR * NC / 4];
#pragma unroll
    for (int i = 0; i < NX; i++)
        x_at[i] = X_ROW(row0 + X_R(lid + i * WG));
#pragma unroll
    for (int i = 0; i < NW; i++)
        w_at[i] = weights_of(&p, slot0 + W_C(lid + i * WG));
#pragma unroll
    for (int i = 0; i < MR * NC / 4; i++)
        sums[i] = (float4)(0.0f);

    for (int m = begin - BK; m < end; m += BK) { /* the first round only fetches */
        const int now = (m - begin + BK) / BK % 2, next = 1 - now;
        fetch(&p, x, x_at, w_at, m + BK, end, is_aligned, x_next, w_next);
        if (m >= begin)
            add_tile(xs + now * BK * LDX, ws + now * BK * LDW, tx, ty, sums);
        put_tiles(xs + next * BK * LDX, ws + next * BK * LDW, x_next, w_next);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

#pragma unroll
    for (int j = 0; j < NC / 4; j++) {
        const int slot = slot0 + (j * TX + tx) * 4;
        quad q;
        if (slot >= p.out)
            continue;
        if (splits == 1) /* else proj_merge asks for it */
            set_quad(&q, &p, slot);
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const int row = row0 + (i / 4 * TY + ty) * 4 + i % 4, b = row / N, n = row % N;
            const float4 s = sums[i * (NC / 4) + j];
            if (row >= rows)
                continue;
            if (splits > 1)
                vstore4(s, SUMS_AT(split, row, p.quads_before + slot / 4), work + work_sums);
            else
                put_quad(&p, &q, b, n, POSITION(b, n), s);
        }
    }
}
