/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projection of many rows on a CPU:
 *
 *     y[r][c] = sum_m x[r][m] w[c][m]        then bias, rotary, residual: see proj.clh
 *
 * Sums of outer products: BR broadcast numbers of x with NV vectors of 16 weights, BR * NV sums in
 * registers. Weights come in panels of 16 slots from proj_pack_cpu. A work-item owns MB blocks of
 * BR rows, which share KC rows of a panel while these are in the cache.
 *
 * Tunables    BR rows of a block, NV vectors, MB blocks of a work-item, KC rows of a panel
 * Constants   see proj.clh
 * Launch      (ceil(rows / (MB BR)), tiles of 16 NV slots over all parts), work-groups of 1
 * Local       none; MB BR (16 NV + 4) floats of private memory
 * Numerics    f32, each sum in order of M
 */

/* sums += x w over n columns of x; w[v] is vector v of the panels at the first of them. */
FN void add_products(float16 *sums, __global const float *const *x, __global const float *const *w,
                     int n)
{
    float16 sum[BR][NV];
#pragma unroll
    for (int i = 0; i < BR; i++) {
#pragma unroll
        for (int v = 0; v < NV; v++)
            sum[i][v] = sums[i * NV + v];
    }
    for (int m = 0; m < n; m++) {
        float16 b[NV];
#pragma unroll
        for (int v = 0; v < NV; v++)
            b[v] = vload16(m, w[v]);
#pragma unroll
        for (int i = 0; i < BR; i++) {
            const float16 a = (float16)(x[i][m]);
#pragma unroll
            for (int v = 0; v < NV; v++)
                sum[i][v] = fma(a, b[v], sum[i][v]);
        }
    }
#pragma unroll
    for (int i = 0; i < BR; i++) {
#pragma unroll
        for (int v = 0; v < NV; v++)
            sums[i * NV + v] = sum[i][v];
    }
}

REQD_WG(1, 1, 1)
__kernel void proj_gemm_cpu(PROJ_ARGS)
{
    const int row0 = (int)get_global_id(0) * (MB * BR);
    const int blocks = min(MB, (rows - row0 + BR - 1) / BR);
    int tile = (int)get_global_id(1), panel = tile * NV;
    /* Parts start at whole panels, tiles may leave some of theirs unused. */
    if (PARTS > 1 && tile >= TILES(out0, 16 * NV)) {
        panel = TILES(out0, 16) + (tile - TILES(out0, 16 * NV)) * NV;
        if (PARTS > 2 && tile >= TILES(out0, 16 * NV) + TILES(out1, 16 * NV))
            panel = TILES(out0, 16) + TILES(out1, 16)
                  + (tile - TILES(out0, 16 * NV) - TILES(out1, 16 * NV)) * NV;
    }
    SELECT_PART(p, tile, 16 * NV)
    const int slot0 = tile * (16 * NV), last = (p.out - slot0 + 15) / 16 - 1;

    __global const float *w[NV], *x_rows[MB * BR];
    float16 sums[MB * BR * NV];
#pragma unroll
    for (int v = 0; v < NV; v++)
        w[v] = work + work_w + (panel + min(v, last)) * (size_t)16 * M;
    for (int r = 0; r < MB * BR; r++)
        x_rows[r] = X_IN_PLACE ? (__global const float *)x + X_ROW(row0 + r)
                               : work + work_x + min(row0 + r, rows - 1) * (size_t)M;
    for (int i = 0; i < MB * BR * NV; i++)
        sums[i] = (float16)(0.0f);

    for (int m = 0; m < M; m += KC) {
        const int n = min(KC, M - m);
        for (int block = 0; block < blocks; block++) {
            __global const float *from[BR];
#pragma unroll
            for (int i = 0; i < BR; i++)
                from[i] = x_rows[block * BR + i] + m;
            add_products(sums + block * BR * NV, from, w, n);
        }
#pragma unroll
        for (int v = 0; v < NV; v++)
            w[v] += KC * 16;
    }

    for (int v = 0; v <= min(last, NV - 1); v++) {
        const block16 q = block_of(&p, slot0 + v * 16);
        for (int r = 0; r < min(MB * BR, rows - row0); r++) {
            const int b = (row0 + r) / N, n = (row0 + r) % N;
            put_row(&p, &q, b, n, POSITION(b, n), sums[r * NV + v]);
        }
    }
}
