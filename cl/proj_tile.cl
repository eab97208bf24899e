/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projection of many rows over the matrix tile, x and w both f16 or both bf16:
 *
 *     y[r][c] = sum_m x[r][m] w[c][m]        then bias, rotary, residual: see proj.clh
 *
 * A work-group computes BR rows by BC slots, each of its SR x SC sub-groups MR x NC tiles of that.
 * BK columns of x and w are copied to local memory while those before are multiplied. The sums
 * leave through local memory, 16 rows of each sub-group at a time: a work-item then ends the same
 * four slots of one row after another, whatever the engine gave it.
 *
 * Tunables    TILE, SR x SC sub-groups, MR x NC tiles of each, BK columns of x in a stage
 * Constants   see proj.clh and tile.clh; w lies along M
 * Launch      tiles of slots over all parts * tiles of rows, groups of SR * SC * TILE_LANES
 * Local       two stages of (BR + BC) (BK + 8) elements; in the end, in their place, 16 rows of
 *             16 NC + 4 floats of each sub-group
 * Numerics    f32 sums, in the order of M as far as the engine has one
 */
#define WG (SR * SC * TILE_LANES)
#define BR (16 * MR * SR)
#define BC (16 * NC * SC)
#define LDK (BK + 8) /* an odd number of 16 bytes */
#define CHUNKS (BK / 8)
#define NX (BR * CHUNKS / WG) /* chunks of 8 that a work-item copies */
#define NW (BC * CHUNKS / WG)
#define STAGE ((BR + BC) * LDK)

/* The strip of sums of a sub-group: its fours of slots, work-items for each of them. */
#define FOURS (4 * NC)
#define SHARES (TILE_LANES > FOURS ? TILE_LANES / FOURS : 1)
#define LDS (16 * NC + 4)
#define STRIPS (SR * SC * 16 * LDS * 2) /* in elements of a stage */
#define ALL_SIZE (2 * STAGE > STRIPS ? 2 * STAGE : STRIPS)

/* Chunk c of columns m .. m + BK - 1 of what starts at `from`: a row of x or a column of w. */
FN void copy_chunk(__local ushort *to, int c, __global const void *data, size_t from, int m, int M,
                   int is_aligned)
{
    const int k = m + c % CHUNKS * 8, there = clamp(M - k, 0, 8);
    tile_copy(to + c / CHUNKS * LDK + c % CHUNKS * 8,
              (__global const ushort *)data + from + (there ? k : 0), there, is_aligned);
}

/* Columns m .. m + BK - 1 of the rows of x and the columns of w; 0 from M on. */
FN void copy_stage(__local ushort *stage, __global const void *x, const size_t *x_at,
                   __global const void *w, const size_t *w_at, int m, int M, int is_aligned)
{
    const int lid = (int)get_local_id(0);
    TILE_UNROLL
    for (int i = 0; i < NX; i++)
        copy_chunk(stage, lid + i * WG, x, x_at[i], m, M, is_aligned);
    TILE_UNROLL
    for (int i = 0; i < NW; i++)
        copy_chunk(stage + BR * LDK, lid + i * WG, w, w_at[i], m, M, is_aligned);
}

/* xs, ws: the rows and columns of this sub-group. */
FN void add_stage(tile_c *sums, __local const ushort *xs, __local const ushort *ws)
{
    TILE_UNROLL
    for (int k = 0; k < BK; k += 16) {
        tile_a a[MR];
        TILE_UNROLL
        for (int i = 0; i < MR; i++)
            tile_load_a_l(a + i, xs + i * 16 * LDK + k, LDK);
        TILE_UNROLL
        for (int j = 0; j < NC; j++) {
            tile_b b;
            tile_load_bt_l(&b, ws + j * 16 * LDK + k, LDK);
            TILE_UNROLL
            for (int i = 0; i < MR; i++)
                tile_mul(sums + i * NC + j, a + i, &b);
        }
    }
}

/* NC tiles of sums side by side. */
FN void store_strip(__local float *strip, const tile_c *sums)
{
    TILE_UNROLL
    for (int j = 0; j < NC; j++)
        TILE_UNROLL
        for (int r = 0; r < TILE_ROWS; r++)
            TILE_UNROLL
            for (int c = 0; c < TILE_COLS; c++)
                strip[tile_row(r) * LDS + j * 16 + tile_col(c)] = TILE_AT(sums + j, r, c);
}

REQD_WG(WG, 1, 1) TILE_ATTR
__kernel void proj_tile(PROJ_ARGS)
{
    __local ushort all[ALL_SIZE] __attribute__((aligned(16)));
    const int lid = (int)get_local_id(0), sub_group = lid / TILE_LANES;
    const int sr = sub_group / SC * MR * 16, sc = sub_group % SC * NC * 16;
    int row_tile, tile = tile_in_turn((int)get_group_id(0), ALL_TILES(BC), TILES(rows, BR), 8,
                                      &row_tile);
    SELECT_PART(p, tile, BC)
    const int row0 = row_tile * BR, slot0 = tile * BC;
    const int is_aligned = columns_aligned(&p) && ROWS_ALIGNED;

    size_t x_at[NX], w_at[NW];
    tile_c sums[MR * NC];
    TILE_UNROLL
    for (int i = 0; i < NX; i++)
        x_at[i] = X_ROW(row0 + (lid + i * WG) / CHUNKS);
    TILE_UNROLL
    for (int i = 0; i < NW; i++)
        w_at[i] = weights_of(&p, slot0 + (lid + i * WG) / CHUNKS).at;
    TILE_UNROLL
    for (int i = 0; i < MR * NC; i++)
        tile_zero(sums + i);

    for (int m = -BK; m < M; m += BK) { /* the first round only copies */
        const int now = (m + BK) / BK % 2;
        __local const ushort *stage = all + now * STAGE;
        if (m + BK < M)
            copy_stage(all + (1 - now) * STAGE, x, x_at, p.w, w_at, m + BK, M, is_aligned);
        TILE_COMMIT();
        if (m >= 0)
            add_stage(sums, stage + sr * LDK, stage + (BR + sc) * LDK);
        TILE_WAIT(0);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    __local float *strip = (__local float *)all + sub_group * 16 * LDS;
    TILE_UNROLL
    for (int i = 0; i < MR; i++) {
        store_strip(strip, sums + i * NC);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int four = tile_lane() % FOURS; four < FOURS; four += TILE_LANES) {
            const int slot = slot0 + sc + 4 * four;
            quad q;
            if (slot >= p.out)
                continue;
            set_quad(&q, &p, slot);
            for (int r = tile_lane() / FOURS; r < 16; r += SHARES) {
                const int row = row0 + sr + i * 16 + r, b = row / N, n = row % N;
                const float4 s = ((__local const float4 *)(strip + r * LDS))[four]; /* is aligned */
                if (row < rows)
                    put_quad(&p, &q, b, n, POSITION(b, n), s);
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
