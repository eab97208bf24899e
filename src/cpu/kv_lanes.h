/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of a row of keys or values, whatever it is stored as. */
#ifndef CLA_KV_LANES_H
#define CLA_KV_LANES_H

#include "kv_row.h"
#include "lanes.h"

/* Of n elements from the start of a row. */
FN size_t kv_bytes(int type, int n)
{
    return type == CLATTN_I4 ? ((size_t)n + 1) / 2 : (size_t)n * (size_t)cla_kv_bytes(type);
}

/* Asks for the line that starts with element d of the row at x, if one does. */
FN void fetch_line(int type, const char *x, int d)
{
    if (kv_bytes(type, d) % 64 == 0)
        __builtin_prefetch(x + kv_bytes(type, d), 0, 2);
}

/* The stored numbers of LANES elements. */
FN vf load_stored(int type, const char *at)
{
    if (type == CLATTN_I8)
        return i8_lanes(*(const vb_mem *)at);
    return type == CLATTN_I4 ? i4_lanes(at) : load(type, at);
}

/* x is stored numbers from element d on, d a multiple of LANES. */
FN vf scale_stored(int type, cla_kv_row row, int d, vf x)
{
    if (type == CLATTN_I8)
        return x * splat(row.scale[0]);
    return type == CLATTN_I4 ? x * splat(row.scale[d / 32]) : x;
}

/* Elements d .. d + LANES - 1 of a row. */
FN vf load_kv(int type, cla_kv_row row, int d)
{
    return scale_stored(type, row, d, load_stored(type, row.at + kv_bytes(type, d)));
}

/* The first n of them, n > 0, zeros after those; reads nothing else. */
FN vf load_stored_first(int type, const char *at, int n)
{
    char part[4 * LANES] = { 0 };
    if (n >= LANES)
        return load_stored(type, at);
    memcpy(part, at, kv_bytes(type, n));
    vf x = load_stored(type, part);
    for (int i = n; i < LANES; i++)
        x[i] = 0;
    return x;
}

FN vf load_kv_first(int type, cla_kv_row row, int d, int n)
{
    return scale_stored(type, row, d, load_stored_first(type, row.at + kv_bytes(type, d), n));
}

/* As load_kv_first(), but the scale of an i8 row is left to the products with the row. */
FN vf load_kv_factor(int type, cla_kv_row row, int d, int n)
{
    const vf x = load_stored_first(type, row.at + kv_bytes(type, d), n);
    return type == CLATTN_I8 ? x : scale_stored(type, row, d, x);
}

#endif
