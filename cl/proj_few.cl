/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projection of one row or a few on any device, at the speed of reading the weights:
 *
 *     y[r][c] = sum_m x[r][m] w[c][m]        then bias, rotary, residual: see proj.clh
 *
 * TM work-items share the sums of CB columns and RB rows; the rest of a work-group takes other
 * columns. Neighbours lie along the axis of w that is contiguous. Columns along M are read 16 bytes
 * at a time where they are aligned to that. Work-groups of the same columns and other rows follow
 * one another, so that the weights are still in a cache.
 *
 * Tunables    WG work-items, TM of them along M, CB columns (even) and RB rows of each
 * Constants   see proj.clh
 * Launch      (WG * ceil(rows / RB) * tiles of WG / TM * CB slots over all parts), groups of WG
 * Local       about WG * CB * RB floats
 * Numerics    f32; each work-item sums every TM-th run of a column in order, then two rounds of
 *             adding up what work-items have; i4 in groups of 32
 */
#define TC (WG / TM)
#define WIDTH (TC * CB)
#define SUMS (RB * CB)

/* Work-items that share a column stand side by side if its weights do. */
#define SIDE_BY_SIDE (W_ALONG == ALONG_M)
#define STEP (SIDE_BY_SIDE ? 1 : TC)   /* to the next one that shares the column */
#define BESIDE (SIDE_BY_SIDE ? TM : 1) /* to the next column */

/* Work-items that add up one sum of all TM. */
#define SHARE (TM >= SUMS ? TM / SUMS : 1)
#define LD (WG + SHARE) /* SHARE more, so that those of different sums meet in no bank */

#define CHUNK (128 / BITS_OF(W_TYPE)) /* weights of 16 bytes */

FN float dot4(float4 a, float4 b, float sum)
{
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

/*
 * Weights 4 j .. 4 j + 3 of a chunk. Four of i4 stay where they are in 16 bits, which spares the
 * shifts of chunk4(): they come times 1, 16, 256 and 4096.
 */
FN float4 chunk_quad(uint4 u, const int j)
{
    if (W_TYPE != T_I4)
        return chunk4(W_TYPE, u, j);
    const uint v = (word_of(u, j / 2) ^ 0x88888888u) >> (j % 2 * 16);
    return as_float4(((uint4)(v) & (uint4)(0xfu, 0xf0u, 0xf00u, 0xf000u)) | 0x4b000000u)
         - (float4)(8388616.0f, 8388736.0f, 8390656.0f, 8421376.0f);
}

/* What takes those factors back. */
#define CHUNK_FACTORS \
    (W_TYPE == T_I4 ? (float4)(1.0f, 0x1p-4f, 0x1p-8f, 0x1p-12f) : (float4)(1.0f))

/* sums[r][c] over the chunks of this work-item; all of a column of x and w are aligned. */
FN void add_chunks(const part *p, const weights *w, __global const void *x, const size_t *rows,
                   int tm, int M, float *sums)
{
    for (int i = tm; i < M / CHUNK; i += TM) {
        uint4 u[CB];
        float dots[SUMS];
#pragma unroll
        for (int c = 0; c < CB; c++) {
            const size_t at = W_TYPE == T_I4 ? w[c].at : w[c].at * BITS_OF(W_TYPE) / 8;
            u[c] = ((__global const uint4 *)p->w)[at / 16 + i];
        }
#pragma unroll
        for (int n = 0; n < SUMS; n++)
            dots[n] = W_TYPE == T_I4 ? 0.0f : sums[n];
#pragma unroll
        for (int j = 0; j < CHUNK / 4; j++) {
            float4 a[RB];
#pragma unroll
            for (int r = 0; r < RB; r++)
                a[r] = load4_aligned(IN_TYPE, x, rows[r] + i * CHUNK + j * 4) * CHUNK_FACTORS;
#pragma unroll
            for (int c = 0; c < CB; c++) {
                const float4 b = chunk_quad(u[c], j);
#pragma unroll
                for (int r = 0; r < RB; r++)
                    dots[r * CB + c] = dot4(a[r], b, dots[r * CB + c]);
            }
        }
#pragma unroll
        for (int c = 0; c < CB; c++) {
            const float scale = W_TYPE == T_I4 ? scale_at(p, w[c].scale + i) : 1.0f;
#pragma unroll
            for (int r = 0; r < RB; r++)
                sums[r * CB + c] = W_TYPE == T_I4
                                     ? fma(dots[r * CB + c], scale, sums[r * CB + c])
                                     : dots[r * CB + c];
        }
    }
}

/* The same from m = first on, one weight at a time, wherever it lies. */
FN void add_singles(const part *p, const weights *w, __global const void *x, const size_t *rows,
                    int first, int M, float *sums)
{
    for (int m = first; m < M; m += TM) {
        float a[RB];
#pragma unroll
        for (int r = 0; r < RB; r++)
            a[r] = load(IN_TYPE, x, rows[r] + m);
#pragma unroll
        for (int c = 0; c < CB; c++) {
            const float b = weight(p, w[c], m);
#pragma unroll
            for (int r = 0; r < RB; r++)
                sums[r * CB + c] = fma(a[r], b, sums[r * CB + c]);
        }
    }
}

/* A finished sum: row r and slot s of the tile. */
FN float sum_of(__local const float *shared, int r, int s)
{
    const int c = SIDE_BY_SIDE ? s % CB : s / TC, tc = SIDE_BY_SIDE ? s / CB : s % TC;
    __local const float *from = shared + (r * CB + c) * LD + tc * BESIDE;
    float sum = from[0];
    for (int l = 1; l < SHARE; l++)
        sum += from[l * STEP];
    return sum;
}

REQD_WG(WG, 1, 1)
__kernel void proj_few(PROJ_ARGS)
{
    __local float shared[SUMS * LD];
    const int lid = (int)get_local_id(0);
    const int tm = SIDE_BY_SIDE ? lid % TM : lid / TC, tc = SIDE_BY_SIDE ? lid / TM : lid % TC;
    const int group = (int)get_group_id(0), row0 = group % TILES(rows, RB) * RB;
    int tile = group / TILES(rows, RB);
    SELECT_PART(p, tile, WIDTH)
    const int slot0 = tile * WIDTH;

    weights w[CB];
    size_t x_rows[RB];
    float sums[SUMS];
#pragma unroll
    for (int c = 0; c < CB; c++)
        w[c] = weights_of(&p, slot0 + (SIDE_BY_SIDE ? tc * CB + c : c * TC + tc));
#pragma unroll
    for (int r = 0; r < RB; r++)
        x_rows[r] = X_ROW(row0 + r);
#pragma unroll
    for (int i = 0; i < SUMS; i++)
        sums[i] = 0.0f;
    int done = 0;
    if (columns_aligned(&p) && ROWS_ALIGNED) {
        add_chunks(&p, w, x, x_rows, tm, M, sums);
        done = M / CHUNK * CHUNK;
    }
    add_singles(&p, w, x, x_rows, done + tm, M, sums);

#pragma unroll
    for (int c = 0; c < CB; c++) {
        const float factor = column_factor(&p, w[c]);
#pragma unroll
        for (int r = 0; r < RB; r++)
            shared[(r * CB + c) * LD + lid] = sums[r * CB + c] * factor;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    /* Number tm % SHARE of a sum is read, and replaced, by one work-item alone. */
    for (int i = tm / SHARE; i < SUMS; i += TM / SHARE) {
        __local float *from = shared + i * LD + tc * BESIDE + tm % SHARE * STEP;
        float sum = from[0];
        for (int l = SHARE; l < TM; l += SHARE)
            sum += from[l * STEP];
        from[0] = sum;
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    for (int i = lid; i < RB * WIDTH / 2; i += WG) {
        const int r = i / (WIDTH / 2), s = i % (WIDTH / 2) * 2, row = row0 + r;
        if (row < rows) {
            const int b = row / N, n = row % N;
            put_pair(&p, pair_of(&p, slot0 + s), b, n, POSITION(b, n), sum_of(shared, r, s),
                     sum_of(shared, r, s + 1));
        }
    }
}
