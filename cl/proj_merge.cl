/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds up the sums of the parts of M that a projection was split into, and does with them what
 * proj.clh says.
 *
 * Constants   see proj.clh
 * Launch      a work-item for four slots of a row, in work-groups of 64
 * Local       none
 * Numerics    f32, parts in order
 */
REQD_WG(64, 1, 1)
__kernel void proj_merge(PROJ_ARGS)
{
    const size_t item = get_global_id(0);
    const int row = (int)(item / ALL_TILES(4));
    int tile = (int)(item % ALL_TILES(4));
    const int column = tile;
    SELECT_PART(p, tile, 4)
    if (row >= rows)
        return;

    float4 sum = vload4(SUMS_AT(0, row, column), work + work_sums);
    for (int split = 1; split < splits; split++)
        sum += vload4(SUMS_AT(split, row, column), work + work_sums);
    const int b = row / N, n = row % N;
    quad q;
    set_quad(&q, &p, tile * 4);
    put_quad(&p, &q, b, n, POSITION(b, n), sum);
}
