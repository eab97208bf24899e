/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of tables, added: y[b,n,:] = table[id,:] + positions[start + n,:] + types[type,:]
 *
 * Tunables    WG work-items
 * Constants   IN_TYPE, OUT_TYPE, HAS_POSITIONS, HAS_TYPES, HAS_TYPE_IDS, HAS_STARTS
 * Launch      (M rounded up to WG, N, B), groups of WG; a work-item per element
 * Local       none
 * Numerics    f32; a row number outside its table makes the row NaN
 */
REQD_WG(WG, 1, 1)
__kernel void embedding(__global const int *ids, __global const void *table,
                        __global const void *positions, __global const int *type_ids,
                        __global const void *types, __global const int *starts, __global void *y,
                        long ids_off, long ids_b, long table_off, long table_v, long positions_off,
                        long positions_p, long type_ids_off, long type_ids_b, long types_off,
                        long types_t, long starts_off, long y_off, long y_b, long y_n, long start,
                        int M, int V, int P, int T)
{
    const int i = (int)get_global_id(0), n = (int)get_global_id(1), b = (int)get_global_id(2);
    if (i >= M)
        return;
    const int id = ids[ids_off + b * ids_b + n];
    const long position = (HAS_STARTS ? (long)starts[starts_off + b] : start) + n;
    const int type = HAS_TYPE_IDS ? type_ids[type_ids_off + b * type_ids_b + n] : 0;
    const bool has_position = !HAS_POSITIONS || (position >= 0 && position < P);
    const bool has_type = !HAS_TYPES || (type >= 0 && type < T);
    const bool in_range = id >= 0 && id < V && has_position && has_type;
    float sum = NAN;
    if (in_range) {
        sum = load(IN_TYPE, table, (size_t)(table_off + id * table_v) + i);
        if (HAS_POSITIONS)
            sum += load(IN_TYPE, positions, (size_t)(positions_off + position * positions_p) + i);
        if (HAS_TYPES)
            sum += load(IN_TYPE, types, (size_t)(types_off + type * types_t) + i);
    }
    store(OUT_TYPE, y, (size_t)(y_off + b * y_b + n * y_n) + i, sum);
}
