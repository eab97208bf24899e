/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the tile of TILE what tile.clh promises? out[0] = 1 when every map of fragments, every load,
 * the conversion of an accumulator to an operand and the reductions gave the right numbers: small
 * integers without symmetry, which are exact in 16 bits. in: 0 = 1, so that nothing can be folded.
 * Launch: one work-group of two sub-groups, which do the same.
 */
#define ITEMS (2 * TILE_LANES)
#define LD 24 /* of matrices in local memory */

FN int number(int which, int i, int j) { return (i * 7 + j * 3 + i * j % 5 + which * 4) % 15 - 7; }

/* A permutation of k. */
FN int turn(int k) { return (k * 5 + 3) % 16; }

/* A B + A B' when doubled, else A with its columns turned, times B. */
FN float expected(int i, int j, int doubled)
{
    int sum = 0;
    for (int k = 0; k < 16; k++)
        sum += doubled ? number(0, i, k) * (number(1, k, j) + number(1, j, k))
                       : number(0, i, k) * number(1, turn(k), j);
    return (float)sum;
}

/* Do the elements of this lane differ from `factor` times what they should be? */
FN int differs(const tile_c *c, int doubled, float factor)
{
    int wrong = 0;
    for (int r = 0; r < TILE_ROWS; r++)
        for (int j = 0; j < TILE_COLS; j++) {
            float x = 0.0f;
            TILE_UNROLL
            for (int e = 0; e < TILE_ROWS * TILE_COLS; e++)
                x = e == r * TILE_COLS + j ? c->x[e] : x;
            wrong |= x != factor * expected(tile_row(r), tile_col(j), doubled);
        }
    return wrong;
}

/* The same of the highest element and the sum of each row. */
FN int rows_differ(const tile_c *c)
{
    int wrong = 0;
    TILE_UNROLL
    for (int r = 0; r < TILE_ROWS; r++) {
        float top = -INFINITY, sum = 0.0f, right_top = -INFINITY, right_sum = 0.0f;
        TILE_UNROLL
        for (int j = 0; j < TILE_COLS; j++) {
            top = fmax(top, TILE_AT(c, r, j));
            sum += TILE_AT(c, r, j);
        }
        top = tile_row_max(top);
        sum = tile_row_sum(sum);
        for (int j = 0; j < 16; j++) {
            const float x = expected(tile_row(r), j, 1);
            right_top = fmax(right_top, x);
            right_sum += x;
        }
        wrong |= top != right_top || sum != right_sum;
    }
    return wrong;
}

/* A B + A B', and half of it. */
FN int products_differ(__local const ushort *a, __local const ushort *b)
{
    tile_a x;
    tile_b y;
    tile_c c;
    float factor[TILE_ROWS];
    int wrong;

    tile_zero(&c);
    tile_load_a_l(&x, a, LD);
    tile_load_b_l(&y, b, LD);
    tile_mul(&c, &x, &y);
    tile_load_bt_l(&y, b, LD);
    tile_mul(&c, &x, &y);
    wrong = differs(&c, 1, 1.0f) | rows_differ(&c);

    for (int r = 0; r < TILE_ROWS; r++)
        factor[r] = 0.5f;
    tile_scale(&c, factor);
    return wrong | differs(&c, 1, 0.5f);
}

/* (A P) B, P a permutation, over the accumulator that becomes an operand; A P is left at `to`. */
FN int chain_differs(__local const ushort *a, __local const ushort *b, __local const ushort *p,
                     __local ushort *to)
{
    tile_a x;
    tile_b y;
    tile_c c;

    tile_zero(&c);
    tile_load_a_l(&x, a, LD);
    tile_load_b_l(&y, p, LD);
    tile_mul(&c, &x, &y);
    tile_store_l(to, LD, &c);
    tile_to_a(&x, &c);
    tile_zero(&c);
    tile_load_b_l(&y, b, LD);
    tile_mul(&c, &x, &y);
    return differs(&c, 0, 1.0f);
}

REQD_WG(ITEMS, 1, 1) TILE_ATTR
__kernel void probe_tile(__global const float *in, __global uint *out)
{
    __local ushort a[16 * LD] __attribute__((aligned(16)));
    __local ushort b[16 * LD] __attribute__((aligned(16)));
    __local ushort p[16 * LD] __attribute__((aligned(16)));
    __local ushort c[2][16 * LD] __attribute__((aligned(16)));
    __local int wrong;
    __global ushort *bg = (__global ushort *)(out + 4);
    const int lid = (int)get_local_id(0);
    int bad = 0;

    if (lid == 0)
        wrong = 0;
    for (int e = lid; e < 256; e += ITEMS) {
        const int i = e / 16, j = e % 16;
        a[i * LD + j] = tile_bits(in[0] * (float)number(0, i, j));
        bg[e] = tile_bits(in[0] * (float)number(1, i, j));
        p[i * LD + j] = tile_bits(j == turn(i) ? in[0] : 0.0f);
    }
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    for (int e = lid; e < 32; e += ITEMS)
        tile_copy(b + e / 2 * LD + e % 2 * 8, bg + e * 8, 8, 1);
    TILE_COMMIT();
    TILE_WAIT(0);
    barrier(CLK_LOCAL_MEM_FENCE);

    bad |= products_differ(a, b);
    bad |= chain_differs(a, b, p, c[lid / TILE_LANES]);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int e = lid; e < 512; e += ITEMS) {
        const int i = e / 16 % 16, k = e % 16;
        bad |= c[e / 256][i * LD + turn(k)] != tile_bits((float)number(0, i, k));
    }
    if (bad)
        atomic_or(&wrong, 1);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lid == 0)
        out[0] = wrong ? 0u : 1u;
}
