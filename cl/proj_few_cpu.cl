/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projection of one row or a few on a CPU, at the speed of reading the weights:
 *
 *     y[r][c] = sum_m x[r][m] w[c][m]        then bias, rotary, residual: see proj.clh
 *
 * Weights are read in place. If they lie along M, vectors of 16 m of CB columns and RB rows are
 * multiplied lane by lane and added up at the end; else vectors of 16 slots, NV at a time, take
 * broadcast numbers of x.
 *
 * Tunables    CB columns and RB rows of a block, NV vectors of slots
 * Constants   see proj.clh
 * Launch      (tiles of WIDTH slots over all parts), work-groups of 1
 * Local       none
 * Numerics    f32; along M 16 sums, added up in a tree; else one sum in order of M
 */
#define AHEAD 512 /* bytes of a row of weights that are on their way */
#define WIDTH (W_ALONG == ALONG_M ? 16 : 16 * NV)

/* CB columns of RB rows, from weights along M; row r of out is 16 floats. */
FN void dot_block(const part *p, __global const void *x, const size_t *from, const weights *w,
                  int M, float *out)
{
    float16 sum[RB][CB];
#pragma unroll
    for (int c = 0; c < CB; c++) {
#pragma unroll
        for (int r = 0; r < RB; r++)
            sum[r][c] = (float16)(0.0f);
    }
    for (int m = 0; m + 16 <= M; m += 16) {
        float16 a[RB];
        if (m * BITS_OF(W_TYPE) % 512 == 0) {
#pragma unroll
            for (int c = 0; c < CB; c++)
                FETCH((__global const char *)p->w + weight_bytes(w[c], m) + AHEAD);
        }
#pragma unroll
        for (int r = 0; r < RB; r++)
            a[r] = load16(IN_TYPE, x, from[r] + m);
#pragma unroll
        for (int c = 0; c < CB; c++) {
            const float16 b = weight16(p, w[c], m);
#pragma unroll
            for (int r = 0; r < RB; r++)
                sum[r][c] = fma(a[r], b, sum[r][c]);
        }
    }
#pragma unroll
    for (int c = 0; c < CB; c++) {
        const float factor = column_factor(p, w[c]);
#pragma unroll
        for (int r = 0; r < RB; r++) {
            float total = sum16(sum[r][c]);
            for (int m = M / 16 * 16; m < M; m++)
                total = fma(load(IN_TYPE, x, from[r] + m), weight(p, w[c], m), total);
            out[r * 16 + c] = total * factor;
        }
    }
}

/* A vector of slots where no 16 weights lie together. */
FN float16 gather(const part *p, int slot, int m)
{
    float z[16];
    for (int j = 0; j < 16; j++)
        z[j] = weight(p, weights_of(p, slot + j), m);
    return vload16(0, z);
}

FN float16 gather_factors(const part *p, int slot)
{
    float z[16];
    for (int j = 0; j < 16; j++)
        z[j] = column_factor(p, weights_of(p, slot + j));
    return vload16(0, z);
}

/* NV vectors of slots of RB rows. together: all of them lie so in w. */
FN void add_block(const part *p, __global const void *x, const size_t *from, int slot0, int M,
                  const int together, float16 *out)
{
    float16 sum[RB][NV];
    size_t at[NV];
#pragma unroll
    for (int v = 0; v < NV; v++) {
        at[v] = weights_of(p, slot0 + v * 16).at;
#pragma unroll
        for (int r = 0; r < RB; r++)
            sum[r][v] = (float16)(0.0f);
    }
    for (int m = 0; m < M; m++) {
        float16 b[NV];
#pragma unroll
        for (int v = 0; v < NV; v++)
            b[v] = !together        ? gather(p, slot0 + v * 16, m)
                 : W_TYPE == T_I8 ? load16_i8(p->w, at[v] + m * (size_t)p->w_m)
                                  : load16(W_TYPE, p->w, at[v] + m * (size_t)p->w_m);
#pragma unroll
        for (int r = 0; r < RB; r++) {
            const float16 a = (float16)(load(IN_TYPE, x, from[r] + m));
#pragma unroll
            for (int v = 0; v < NV; v++)
                sum[r][v] = fma(a, b[v], sum[r][v]);
        }
    }
#pragma unroll
    for (int v = 0; v < NV; v++) {
        float16 factors = (float16)(1.0f);
        if (W_TYPE == T_I8)
            factors = gather_factors(p, slot0 + v * 16);
#pragma unroll
        for (int r = 0; r < RB; r++)
            out[r * NV + v] = sum[r][v] * factors;
    }
}

FN int lie_together(const part *p, int slot0)
{
    int together = W_ALONG == ALONG_K;
    for (int v = 0; v < NV; v++)
        together &= block_of(p, slot0 + v * 16).lie == TOGETHER;
    return together;
}

REQD_WG(1, 1, 1)
__kernel void proj_few_cpu(PROJ_ARGS)
{
    int tile = (int)get_global_id(0);
    SELECT_PART(p, tile, WIDTH)
    const int slot0 = tile * WIDTH;
    const block16 q = block_of(&p, slot0);
    weights w[16];
    for (int c = 0; W_ALONG == ALONG_M && c < 16; c++) {
        w[c] = c == 0 || q.lie != TOGETHER ? weights_of(&p, slot0 + c) : w[0];
        if (q.lie == TOGETHER) {
            w[c].at += c * (size_t)p.w_k;
            w[c].scale += c * (size_t)p.scale_k;
        }
    }

    for (int row0 = 0; row0 < rows; row0 += RB) {
        const int count = min(RB, rows - row0);
        size_t from[RB];
#pragma unroll
        for (int r = 0; r < RB; r++)
            from[r] = X_ROW(row0 + r);
        if (W_ALONG == ALONG_M) {
            float sums[RB * 16];
            for (int c = 0; c < 16; c += CB)
                dot_block(&p, x, from, w + c, M, sums + c);
            for (int r = 0; r < count; r++) {
                const int b = (row0 + r) / N, n = (row0 + r) % N;
                put_row(&p, &q, b, n, POSITION(b, n), vload16(r, sums));
            }
        } else {
            float16 sums[RB * NV];
            if (lie_together(&p, slot0))
                add_block(&p, x, from, slot0, M, 1, sums);
            else
                add_block(&p, x, from, slot0, M, 0, sums);
            for (int v = 0; v < NV; v++) {
                const block16 z = block_of(&p, slot0 + v * 16);
                for (int r = 0; r < count; r++) {
                    const int b = (row0 + r) / N, n = (row0 + r) % N;
                    put_row(&p, &z, b, n, POSITION(b, n), sums[r * NV + v]);
                }
            }
        }
    }
}
