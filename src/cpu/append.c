/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending rows to a KV cache on all cores, by the formulas of cl/kv_append.cl. The angles of
 * a row are computed once for all its heads; each row is turned as floats, then stored.
 */
#include <math.h>

#include "../rotary.h"
#include "layout.h"

enum { GROUP = 32 }; /* i4 elements that share a scale */

/* Scratch of a thread: cos and sin of the D / 2 pairs, then one row, padded to a whole group. */
static size_t slot_floats(const cla_append *p)
{
    const int32_t widest = p->D > p->Dv ? p->D : p->Dv;
    return (size_t)p->D + ((size_t)widest + GROUP - 1) / GROUP * GROUP + 16;
}

size_t cla_cpu_append_bytes(const cla_append *p)
{
    return slot_floats(p) * (size_t)cla_scratch_slots() * sizeof(float);
}

/* Where a row lies in the cache. */
typedef struct place {
    char *row;
    float *scale;
} place;

static void turn_row(const cla_append *p, const float *angles, float *x)
{
    const bool neox = p->rotary == CLATTN_ROTARY_NEOX;
    const int half = p->D / 2;
    for (int i = 0; i < half; i++) {
        float *first = x + (neox ? i : 2 * i), *second = x + (neox ? i + half : 2 * i + 1);
        const float u = *first, v = *second, c = angles[2 * i], s = angles[2 * i + 1];
        *first = u * c - v * s;
        *second = u * s + v * c;
    }
}

/* A NaN is the largest. */
static float largest(const float *x, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++)
        most = isnan(most) || fabsf(x[i]) <= most ? most : fabsf(x[i]);
    return most;
}

static int quantise(float x, float scale, float levels)
{
    const float q = rintf(x / scale);
    return fabsf(q) <= levels ? (int)q : 0; /* 0 / 0, and rows of NaN and inf */
}

static void store_i8(const float *x, int width, place to)
{
    const float scale = to.scale[0] = largest(x, width) / 127;
    for (int d = 0; d < width; d++)
        to.row[d] = (char)quantise(x[d], scale, 127);
}

/* x has zeros up to a whole group. */
static void store_i4(const float *x, int width, place to)
{
    for (int d = 0; d < width; d += GROUP) {
        const float scale = to.scale[d / GROUP] = largest(x + d, GROUP) / 7;
        for (int i = d; i < d + GROUP && i < width; i += 2)
            to.row[i / 2] = (char)((quantise(x[i], scale, 7) & 15)
                                   | (quantise(x[i + 1], scale, 7) & 15) << 4);
    }
}

static place place_of(const cla_append *p, bool values, int b, int h, int n)
{
    const cla_view *rows = values ? &p->v_rows : &p->k_rows;
    const cla_view *scale = values ? &p->v_scale : &p->k_scale;
    int64_t part = b, row = (int64_t)CLA_AT(const int32_t, p->starts)[b] + n;
    if (p->paged) {
        const int32_t *pages = CLA_AT(const int32_t, p->table) + b * p->table.stride[0];
        part = pages[row >> p->page_shift];
        row &= (1 << p->page_shift) - 1;
    }
    const int64_t at = part * rows->stride[0] + h * rows->stride[1] + row * rows->stride[2];
    const size_t size = clattn_dtype_size((clattn_dtype)p->kv_type);
    place to = { (char *)rows->host + (size_t)(rows->offset + at) * size, NULL };
    if (scale->dtype != CLATTN_NONE)
        to.scale = CLA_AT(float, *scale) + part * scale->stride[0] + h * scale->stride[1]
                 + row * scale->stride[2];
    return to;
}

/* scratch: a row of floats. */
static void append_head(const cla_append *p, bool values, int b, int h, int n, const float *angles,
                        float *scratch)
{
    const cla_view *x = values ? &p->v : &p->k;
    const int width = values ? p->Dv : p->D, padded = (width + GROUP - 1) / GROUP * GROUP;
    const int64_t at = x->offset + b * x->stride[0] + h * x->stride[1] + n * x->stride[2];
    const clattn_dtype in = (clattn_dtype)p->in_type, out = (clattn_dtype)p->kv_type;
    const place to = place_of(p, values, b, h, n);
    clattn_to_f32(in, (const char *)x->host + (size_t)at * clattn_dtype_size(in), scratch,
                  (size_t)width);
    for (int d = width; d < padded; d++)
        scratch[d] = 0;
    if (angles && !values)
        turn_row(p, angles, scratch);
    if (out == CLATTN_I8)
        store_i8(scratch, width, to);
    else if (out == CLATTN_I4)
        store_i4(scratch, width, to);
    else
        clattn_from_f32(out, scratch, to.row, (size_t)width);
}

/* Row n of batch b, all heads. */
static void append_row(const cla_append *p, int b, int n)
{
    float *angles = (float *)p->work.host + p->work_rows + slot_floats(p) * cla_thread_id();
    float *scratch = angles + p->D;
    const int64_t position = (int64_t)CLA_AT(const int32_t, p->positions)[b] + n;
    for (int i = 0; p->rotary && i < p->D / 2; i++)
        cla_rotary_angle(cla_rotary_turns(p->ratio, i), position, &angles[2 * i],
                         &angles[2 * i + 1]);
    for (int h = 0; h < p->Hk; h++) {
        append_head(p, false, b, h, n, p->rotary ? angles : NULL, scratch);
        append_head(p, true, b, h, n, NULL, scratch);
    }
}

clattn_status cla_cpu_append(cla_cpu *cpu, const cla_append *p)
{
    const int64_t rows = (int64_t)p->B * p->N;
    const int threads = cla_threads(cpu, 8.0 * (double)rows * p->Hk * (p->D + p->Dv));
    (void)threads; /* without OpenMP */
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < rows; i++)
        append_row(p, (int)(i / p->N), (int)(i % p->N));
    return CLATTN_OK;
}
