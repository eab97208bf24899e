/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feature maps of linear attention, and rows of q, k and v on their way into the scratch memory of
 * a task.
 */
#ifndef CLA_LINEAR_LOAD_H
#define CLA_LINEAR_LOAD_H

#include <math.h>

#include "linear.h"
#include "lanes.h"

/*
 * e^x for x <= 0, to 2 ulp, 0 below -87; a NaN stays one. As exp2_lanes(), but what is left of
 * x log2(e) is kept to more digits than that product has.
 */
FN vf exp_below_0(vf x)
{
    x = max_keep(x, splat(-88.0f));
    const vf shifted = x * 1.44269504f + ROUND_SHIFT;
    const vf n = shifted - ROUND_SHIFT;
    vf f = x * 1.44269504f - n;
    f = x * 1.92596299e-8f + f;
    return exp2_fraction(f) * power_of_two(shifted);
}

FN vf exp_each(vf x)
{
    for (int i = 0; i < LANES; i++)
        x[i] = expf(x[i]);
    return x;
}

/* elu1 needs no choice: one of its terms is always 0, or e^0. */
FN vf map_lanes(const int map, vf x)
{
    const vf zero = { 0 };
    switch (map) {
    case CLATTN_MAP_RELU: return max_keep(x, zero);
    case CLATTN_MAP_ELU1: return max_keep(x, zero) + exp_below_0(min_keep(x, zero));
    case CLATTN_MAP_EXP: return exp_each(x);
    default: return x;
    }
}

FN vi lane_below(int n)
{
    vi lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = i;
    return lane < splat_i(n);
}

/* Rows of a head in memory, of which some are to be loaded. */
typedef struct rows_of_head {
    const char *first; /* element 0 of row 0 */
    int64_t stride;    /* bytes from row to row */
    int n;
} rows_of_head;

static rows_of_head rows_of(const cla_linear_task *t, const cla_view *view, int h, int64_t row,
                            int n)
{
    const int64_t b = t->seq.b, size = (int64_t)bytes_of(t->p->in_type);
    const int64_t at = view->offset + b * view->stride[0] + h * view->stride[1]
                     + row * view->stride[2];
    return (rows_of_head){ (const char *)view->host + at * size, view->stride[2] * size, n };
}

FN void load_rows_of(const int type, const int map, const cla_linear_task *t, rows_of_head in,
                     float factor, float *out)
{
    const int D = t->p->D;
    for (int r = 0; r < in.n; r++, in.first += in.stride, out += t->key_ld) {
        int d = 0;
        for (; d + LANES <= D; d += LANES) {
            const char *from = in.first + (size_t)d * bytes_of(type);
            store_f32(out + d, map_lanes(map, load(type, from) * factor));
        }
        if (d < D) {
            const vf x = load_first(type, in.first + (size_t)d * bytes_of(type), D - d);
            store_f32(out + d, choose(lane_below(D - d), map_lanes(map, x * factor), (vf){ 0 }));
        }
    }
}

FN void load_rows_as(const int type, const cla_linear_task *t, rows_of_head in, float factor,
                     float *out)
{
    switch (t->p->map) {
    case CLATTN_MAP_RELU: load_rows_of(type, CLATTN_MAP_RELU, t, in, factor, out); break;
    case CLATTN_MAP_ELU1: load_rows_of(type, CLATTN_MAP_ELU1, t, in, factor, out); break;
    case CLATTN_MAP_EXP: load_rows_of(type, CLATTN_MAP_EXP, t, in, factor, out); break;
    default: load_rows_of(type, CLATTN_MAP_IDENTITY, t, in, factor, out);
    }
}

/* Mapped rows (raw for poly2) of key_ld floats; what is past D in the last vector is 0. */
static void load_rows(const cla_linear_task *t, rows_of_head in, float factor, float *out)
{
    BY_FLOAT(load_rows_as, t->p->in_type, t, in, factor, out);
}

/* n rows become columns, out[d][row]; rows up to a whole vector are read with them. */
static void turn_rows(const cla_linear_task *t, const float *rows, int n, float *out)
{
    const int D = t->p->D;
    for (int r = 0; r < n; r += LANES)
        for (int d = 0; d < D; d += LANES) {
            vf x[LANES];
            UNROLL
            for (int i = 0; i < LANES; i++)
                x[i] = load_f32(rows + (size_t)(r + i) * t->key_ld + d);
            transpose(x);
            UNROLL
            for (int i = 0; i < LANES; i++)
                if (d + i < D)
                    store_f32(out + (size_t)(d + i) * CLA_LINEAR_LD + r, x[i]);
        }
}

FN bool load_values_of(const int type, const cla_linear_task *t, rows_of_head in, float *out)
{
    vf zero = { 0 };
    for (int j = 0; j < in.n; j++, in.first += in.stride)
        for (int c = 0; c < t->value_ld; c += LANES) {
            const char *from = in.first + (size_t)c * bytes_of(type);
            const vf x = load_first(type, from, t->p->Dv - c);
            store_f32(out + (size_t)j * t->value_ld + c, x);
            zero += x * 0.0f;
        }
    return sum_of(zero) == 0.0f;
}

/* n values from key on as rows of value_ld floats, 0 past Dv. Returns whether all are finite. */
static bool load_values(const cla_linear_task *t, int key, int n, float *out)
{
    const rows_of_head in = rows_of(t, &t->p->v, t->hk, (int64_t)t->seq.k0 + key, n);
    return BY_FLOAT(load_values_of, t->p->in_type, t, in, out);
}

#endif
