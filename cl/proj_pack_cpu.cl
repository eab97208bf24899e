/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs weights, and x where need be, for proj_gemm_cpu:
 *
 *     work_w[panel][m][j] = w[slot 16 panel + j][m]   f32, 0 for slots past the last of the part
 *     work_x[row][m] = x[row][m]                      f32; unless X_IN_PLACE
 *
 * Panels of a part follow each other, parts too.
 *
 * Tunables    none
 * Constants   see proj.clh
 * Launch      (panels of all parts, and unless X_IN_PLACE rows), work-groups of 1
 * Local       none
 * Numerics    exact, but for the product of an integer and its scale
 */
FN void pack_along_m(const part *p, int slot0, int M, __global float *to)
{
    weights w[16];
    float factor[16];
    const int n = min(16, p->out - slot0);
#pragma unroll
    for (int j = 0; j < 16; j++) {
        w[j] = weights_of(p, slot0 + j);
        factor[j] = column_factor(p, w[j]);
    }
    for (int m = 0; m + 16 <= M; m += 16) {
        float16 x[16];
#pragma unroll
        for (int j = 0; j < 16; j++)
            x[j] = j < n ? weight16(p, w[j], m) * factor[j] : (float16)(0.0f);
        transpose16(x);
#pragma unroll
        for (int j = 0; j < 16; j++)
            vstore16(x[j], m + j, to);
    }
    for (int m = M / 16 * 16; m < M; m++) {
        for (int j = 0; j < 16; j++)
            to[m * 16 + j] = j < n ? weight(p, w[j], m) * factor[j] : 0.0f;
    }
}

FN float16 load_weights16(const part *p, const block16 *q, size_t at)
{
    if (W_TYPE == T_I8) {
        const size_t odd = at + p->K / 2;
        float16 x;
        if (q->lie == TOGETHER)
            return load16_i8(p->w, at);
        x.even = convert_float8(vload8(0, (__global const char *)p->w + at));
        x.odd = convert_float8(vload8(0, (__global const char *)p->w + odd));
        return x;
    }
    return load_block(W_TYPE, p, q, p->w, at);
}

FN void pack_along_k(const part *p, int slot0, int M, __global float *to)
{
    const block16 q = block_of(p, slot0);
    const weights first = weights_of(p, slot0);
    weights w[16];
    float factor[16];
    for (int j = 0; j < 16; j++) {
        w[j] = weights_of(p, slot0 + j);
        factor[j] = j < q.count ? column_factor(p, w[j]) : 0.0f;
    }
    if (W_ALONG == ALONG_K && q.lie != APART) {
        for (int m = 0; m < M; m++) {
            const float16 x = load_weights16(p, &q, first.at + m * (size_t)p->w_m);
            vstore16(x * vload16(0, factor), m, to);
        }
        return;
    }
    for (int m = 0; m < M; m++) {
        for (int j = 0; j < 16; j++)
            to[m * (size_t)16 + j] = j < q.count ? weight(p, w[j], m) * factor[j] : 0.0f;
    }
}

REQD_WG(1, 1, 1)
__kernel void proj_pack_cpu(PROJ_ARGS)
{
    const int panels = TILES(out0, 16) + TILES(out1, 16) + TILES(out2, 16);
    int tile = (int)get_global_id(0);
    if (tile >= panels) {
        const int row = tile - panels;
        const size_t from = X_ROW(row);
        __global float *to = work + work_x + row * (size_t)M;
        for (int m = 0; m + 16 <= M; m += 16)
            vstore16(load16(IN_TYPE, x, from + m), 0, to + m);
        for (int m = M / 16 * 16; m < M; m++)
            to[m] = load(IN_TYPE, x, from + m);
        return;
    }
    __global float *to = work + work_w + tile * (size_t)16 * M;
    SELECT_PART(p, tile, 16)
    if (W_ALONG == ALONG_M)
        pack_along_m(&p, tile * 16, M, to);
    else
        pack_along_k(&p, tile * 16, M, to);
}
