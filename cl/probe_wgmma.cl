/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the matrix unit of warpgroups do what attn_prefill_wgmma asks of it? Makes x = a b^T and
 * x b of small integers in each of two warpgroups, where b comes by a tensor copy that a third one
 * starts, and counts in out[0] the work-items that have the right numbers in all their registers:
 * 256. Local memory is as large as any kernel's on this unit.
 *
 * in: 0 = 1.5; the numbers depend on it, so that the compiler cannot fold them
 * Launch: one work-group of 384.
 */
#define SIDE 64 /* rows and columns of a, b and their products */
#define CHUNKS (SIDE * SIDE / 8)
#define LOCAL_BYTES (226 * 1024)

FN int number_a(int warpgroup, int i, int k) { return (i * 7 + k * 3 + warpgroup) % 5 - 2; }
FN int number_b(int j, int k) { return (j * 5 + k * 11) % 7 - 3; }

FN int product(int warpgroup, int i, int j)
{
    int sum = 0;
    for (int k = 0; k < SIDE; k++)
        sum += number_a(warpgroup, i, k) * number_b(j, k);
    return sum;
}

FN int product_twice(int warpgroup, int i, int column)
{
    int sum = 0;
    for (int j = 0; j < SIDE; j++)
        sum += product(warpgroup, i, j) * number_b(j, column);
    return sum;
}

/* Both products of this work-item's warpgroup; returns whether all its elements are right. */
FN int multiply(const unit *u, uint full)
{
    float x[SIDE / 2], y[SIDE / 2];
    uint p[SIDE / 4];
    const ulong a = operand_rows(u, (1 + u->warpgroup) * CHUNKS), b = operand_rows(u, 0);
    barrier_wait(full, 0);
    unit_begin();
    UNROLL
    for (int k = 0; k < SIDE / 16; k++)
        unit_product(u, SIDE, x, a + step_along_row(SIDE, k), b + step_along_row(SIDE, k), k > 0);
    unit_commit();
    unit_wait_all(SIDE, x);
    UNROLL
    for (int e = 0; e < SIDE / 2; e++)
        y[e] = 0.0f;
    UNROLL
    for (int e = 0; e < SIDE / 2; e += 2)
        p[e / 2] = pack2(x[e], x[e + 1]);
    unit_share(u, p, SIDE / 16);
    unit_begin();
    UNROLL
    for (int k = 0; k < SIDE / 16; k++)
        unit_sum(u, SIDE, y, p, k, SIDE / 16, operand_columns(u, 0, SIDE) + step_along_column(k));
    unit_commit();
    unit_wait_all(SIDE, y);

    const int row = u->item / 32 * 16 + u->item % 32 / 4, column = u->item % 4 * 2;
    int good = 1;
    UNROLL
    for (int e = 0; e < SIDE / 2; e++) {
        const int i = row + e / 2 % 2 * 8, j = column + e / 4 * 8 + e % 2;
        good &= x[e] == (float)product(u->warpgroup, i, j);
        good &= y[e] == (float)product_twice(u->warpgroup, i, j);
    }
    return good;
}

REQD_WG(384, 1, 1)
__kernel void probe_wgmma(__global const float *in, __global uint *out)
{
    __local uint4 sm[LOCAL_BYTES / 16] __attribute__((aligned(1024)));
    const int lid = (int)get_local_id(0), item = lid % 128;
    const unit u = { sm, (__local uint *)sm, UNIT_BASE(sm), of_first_lane(lid / 128), item };
    const uint full = u.base + LOCAL_BYTES - 16;
    const ulong map = MAPS_AT(out + 1);
    __global ushort *b = (__global ushort *)(map + MAP_BYTES);
    const float one = in[0] - 0.5f;
    const int size[4] = { SIDE, SIDE, 1, 1 };
    const long stride[4] = { 1, SIDE, 0, 0 };

    for (int e = lid; e < SIDE * SIDE; e += 384)
        store(T_F16, b, e, one * (float)number_b(e / SIDE, e % SIDE));
    if (lid == 0) {
        out[0] = 0;
        map_make(map, b, 0, size, stride, SIDE);
        map_release();
        barrier_init(full, 1);
        barriers_ready();
    }
    for (int e = item; e < CHUNKS && u.warpgroup < 2; e += 128) {
        float x[8];
        for (int i = 0; i < 8; i++)
            x[i] = one * (float)number_a(u.warpgroup, e / 8, e % 8 * 8 + i);
        sm[(1 + u.warpgroup) * CHUNKS + tile_chunk(SIDE, e / 8, e % 8)] = (uint4)(
            pack2(x[0], x[1]), pack2(x[2], x[3]), pack2(x[4], x[5]), pack2(x[6], x[7]));
    }
    unit_sees_memory();
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);

    if (u.warpgroup == 2) {
        REGISTERS_LESS("40");
        if (item == 0) {
            map_acquire(map);
            barrier_expect(full, SIDE * SIDE * 2);
            map_copy(&u, 0, map, 0, 0, 0, 0, full);
        }
        return; /* no barrier follows */
    }
    REGISTERS_MORE("232");
    if (multiply(&u, full))
        atomic_inc(out);
}
