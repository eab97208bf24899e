/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projection of many rows on the matrix unit of warpgroups:
 *
 *     y[r][c] = sum_m x[r][m] w[c][m]        then bias, rotary, residual: see proj.clh
 *
 * Two warpgroups multiply 64 rows each by BN slots, while a third brings the next tiles of 64
 * columns of x and w. The sums then pass through local memory, so that a work-item ends the same
 * two slots of one row after another.
 *
 * Tunables    UNIT by which products are done (wgmma.clh), BN slots, STAGES of tiles
 * Constants   see proj.clh
 * Launch      tiles of rows times tiles of slots over all parts, work-groups of 384, of 256 with
 *             UNIT_ITEMS
 * Local       STAGES tiles of 128 rows and of BN slots, where the sums are put later; where each
 *             row and slot starts; 16 bytes of barriers for each stage
 * Numerics    f32 sums
 */
#define CONSUMERS 2
#define ROWS 128
#define X_CHUNKS (ROWS * 8)
#define STAGE_CHUNKS (X_CHUNKS + BN * 8)
#define BARRIERS_AT (STAGES * STAGE_CHUNKS)
#define LOCAL_CHUNKS (BARRIERS_AT + STAGES)
#define FULL(u, s) ((u)->base + 16 * BARRIERS_AT + 8 * (uint)(s))
#define EMPTY(u, s) FULL(u, STAGES + (s))
/* Of a row of sums in local memory; 8 floats more meet other banks. */
#define SUM_ROW (BN + 8)

/* Columns 64 i .. 64 i + 63 to their stage, by `items` work-items. at: starts of rows, of slots. */
FN void bring_stage(const unit *u, __global const void *x, __global const void *w,
                    __local const ulong *at, int i, int M, int whole, int item, int items)
{
    const int to = i % STAGES * STAGE_CHUNKS;
    for (int e = item; e < (ROWS + BN) * 8; e += items) {
        const int r = e / 8, c = e % 8, m = 64 * i + 8 * c, is_x = r < ROWS;
        const int chunk = to + (is_x ? tile_chunk(ROWS, r, c)
                                     : X_CHUNKS + tile_chunk(BN, r - ROWS, c));
        bring_chunk(u, chunk, is_x ? x : w, (size_t)at[r], m, M, m < M, whole);
    }
}

/* A stage is announced when the copies of the next one are on their way. */
FN void produce(const unit *u, __global const void *x, __global const void *w,
                __local const ulong *at, int steps, int M, int whole)
{
    for (int i = 0; i < steps; i++) {
        barrier_wait(EMPTY(u, i % STAGES), ring_parity(i, STAGES) ^ 1);
        bring_stage(u, x, w, at, i, M, whole, u->item, 128);
        copy_commit();
        copy_wait_but_last();
        if (i > 0 && u->item % 32 == 0)
            barrier_arrive(FULL(u, (i - 1) % STAGES));
    }
    copy_wait_all();
    if (u->item % 32 == 0)
        barrier_arrive(FULL(u, (steps - 1) % STAGES));
}

/* The 64 x BN sums of this warpgroup. */
FN void consume(const unit *u, __global const void *x, __global const void *w,
                __local const ulong *at, int steps, int M, int whole, float *sums)
{
    for (int i = 0; i < steps; i++) {
        const int s = i % STAGES;
        if (UNIT == UNIT_WARPGROUP) {
            barrier_wait(FULL(u, s), ring_parity(i, STAGES));
        } else {
            barrier(CLK_LOCAL_MEM_FENCE);
            bring_stage(u, x, w, at, i, M, whole, (int)get_local_id(0), 128 * CONSUMERS);
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        const ulong a = operand_rows(u, s * STAGE_CHUNKS + 64 * 8 * u->warpgroup);
        const ulong b = operand_rows(u, s * STAGE_CHUNKS + X_CHUNKS);
        unit_begin();
        UNROLL
        for (int k = 0; k < 4; k++)
            unit_product(u, BN, sums, a + step_along_row(0, k), b + step_along_row(0, k),
                         i > 0 || k > 0);
        unit_commit();
        unit_wait_before();
        if (i > 0 && u->item % 32 == 0)
            barrier_arrive(EMPTY(u, (i - 1) % STAGES));
    }
    unit_wait_all(BN, sums);
}

/* Sums to local memory, 64 rows of SUM_ROW floats. */
FN void put_sums(const unit *u, __local float *to, const float *sums)
{
    const int row = u->item / 32 * 16 + u->item % 32 / 4, column = u->item % 4 * 2;
    UNROLL
    for (int e = 0; e < BN / 2; e += 2)
        *(__local float2 *)(to + (row + e / 2 % 2 * 8) * SUM_ROW + column + e / 4 * 8) =
            (float2)(sums[e], sums[e + 1]);
}

REQD_WG(128 * (CONSUMERS + (UNIT == UNIT_WARPGROUP)), 1, 1)
__kernel void proj_wgmma(PROJ_ARGS)
{
    __local uint4 sm[LOCAL_CHUNKS] __attribute__((aligned(1024)));
    __local ulong at[ROWS + BN];
    const int lid = (int)get_local_id(0), items = 128 * (CONSUMERS + (UNIT == UNIT_WARPGROUP));
    const unit u = { sm, (__local uint *)sm, UNIT_BASE(sm), of_first_lane(lid / 128), lid % 128 };

    int row_tile, tile = tile_in_turn((int)get_group_id(0), ALL_TILES(BN), TILES(rows, ROWS), 16,
                                      &row_tile);
    SELECT_PART(p, tile, BN)
    const int row0 = row_tile * ROWS, slot0 = tile * BN, steps = (M + 63) / 64;
    const int whole = is_whole(x, (size_t)x_off, x_b | x_n, M)
                   && is_whole(p.w, (size_t)p.w_off, p.w_h | p.w_k, M);

    for (int r = lid; r < ROWS + BN; r += items) {
        size_t start_of = X_ROW(row0 + r);
        if (r >= ROWS)
            start_of = weights_of(&p, slot0 + r - ROWS).at;
        at[r] = start_of;
    }
    if (lid == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_init(FULL(&u, s), 4);
            barrier_init(EMPTY(&u, s), 4 * CONSUMERS);
        }
        barriers_ready();
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (UNIT == UNIT_WARPGROUP && u.warpgroup == CONSUMERS) {
        REGISTERS_LESS("40");
        produce(&u, x, p.w, at, steps, M, whole);
        return; /* no barrier of the whole work-group follows where there is a producer */
    }
    REGISTERS_MORE("232");

    float sums[BN / 2];
    consume(&u, x, p.w, at, steps, M, whole, sums);
    consumers_sync(&u);
    __local float *mine = (__local float *)sm + u.warpgroup * 64 * SUM_ROW;
    put_sums(&u, mine, sums);
    warpgroup_sync(&u);

    /* Each work-item has two slots, of every row or of every other one. */
    const int column = u.item % (BN / 2) * 2, step = 128 / (BN / 2);
    const pair q = pair_of(&p, slot0 + column);
    for (int r = u.item / (BN / 2); r < 64; r += step) {
        const int row = row0 + 64 * u.warpgroup + r, b = row / N, n = row % N;
        const float2 s = *(__local const float2 *)(mine + r * SUM_ROW + column);
        if (row < rows)
            put_pair(&p, q, b, n, POSITION(b, n), s.x, s.y);
    }
}
