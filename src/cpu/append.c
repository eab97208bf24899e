/* SPDX-License-Identifier: Apache-2.0 */
/* Appending rows to a KV cache on all cores. The formulas are those of cl/kv_append.cl. */
#include <math.h>

#include "../rotary.h"
#include "layout.h"

enum { CHUNK = 64, GROUP = 32 };

/* A row on its way into the cache. */
typedef struct input {
    const cla_append *p;
    const char *x;
    int width;
    bool turn;
    int64_t position;
} input;

/* The place of a row: its elements and scales. */
typedef struct output {
    char *row;
    float *scale;
} output;

static size_t stored_bytes(int type)
{
    return clattn_dtype_size((clattn_dtype)type);
}

static void load_some(const input *u, int d, int n, float *out)
{
    const clattn_dtype type = (clattn_dtype)u->p->in_type;
    clattn_to_f32(type, u->x + (size_t)d * clattn_dtype_size(type), out, (size_t)n);
}

/* Elements d .. d + n - 1, n <= CHUNK, d and n even when they turn in pairs. */
static void load_turned(const input *u, int d, int n, float *out)
{
    const cla_append *p = u->p;
    const int half = u->width / 2;
    load_some(u, d, n, out);
    if (!u->turn || p->rotary == CLATTN_ROTARY_NONE)
        return;
    for (int i = 0; i < n; i++) {
        const bool neox = p->rotary == CLATTN_ROTARY_NEOX;
        const bool second = neox ? d + i >= half : (d + i) & 1;
        const int other = neox ? (second ? d + i - half : d + i + half) : (d + i) ^ 1;
        float x, y, c, s;
        load_some(u, d + i, 1, &x);
        load_some(u, other, 1, &y);
        cla_rotary_angle(cla_rotary_turns(p->ratio, neox ? (d + i) % half : (d + i) / 2),
                         u->position, &c, &s);
        out[i] = second ? y * s + x * c : x * c - y * s;
    }
}

static void store_floats(const input *u, const output *to)
{
    const clattn_dtype type = (clattn_dtype)u->p->kv_type;
    for (int d = 0; d < u->width; d += CHUNK) {
        const int n = u->width - d < CHUNK ? u->width - d : CHUNK;
        float x[CHUNK];
        load_turned(u, d, n, x);
        clattn_from_f32(type, x, to->row + (size_t)d * clattn_dtype_size(type), (size_t)n);
    }
}

/* A NaN is the largest. */
static float larger(float most, float x)
{
    return isnan(most) || fabsf(x) <= most ? most : fabsf(x);
}

static int quantise(float x, float scale, float levels)
{
    const float q = rintf(x / scale);
    return fabsf(q) <= levels ? (int)q : 0; /* 0 / 0, and rows of NaN and inf */
}

static void store_i8(const input *u, const output *to)
{
    float x[CHUNK], most = 0;
    for (int d = 0; d < u->width; d += CHUNK) {
        const int n = u->width - d < CHUNK ? u->width - d : CHUNK;
        load_turned(u, d, n, x);
        for (int i = 0; i < n; i++)
            most = larger(most, x[i]);
    }
    to->scale[0] = most / 127;
    for (int d = 0; d < u->width; d += CHUNK) {
        const int n = u->width - d < CHUNK ? u->width - d : CHUNK;
        load_turned(u, d, n, x);
        for (int i = 0; i < n; i++)
            to->row[d + i] = (char)quantise(x[i], to->scale[0], 127);
    }
}

static void store_i4(const input *u, const output *to)
{
    for (int d = 0; d < u->width; d += GROUP) {
        const int n = u->width - d < GROUP ? u->width - d : GROUP;
        float x[GROUP] = { 0 }, most = 0;
        load_turned(u, d, n, x);
        for (int i = 0; i < n; i++)
            most = larger(most, x[i]);
        const float scale = most / 7;
        to->scale[d / GROUP] = scale;
        for (int i = 0; i < n; i += 2)
            to->row[(d + i) / 2] = (char)((quantise(x[i], scale, 7) & 15)
                                          | (quantise(x[i + 1], scale, 7) & 15) << 4);
    }
}

static output output_of(const cla_append *p, bool values, int b, int h, int n)
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
    output to = { (char *)rows->host + (size_t)(rows->offset + at) * stored_bytes(p->kv_type),
                  NULL };
    if (scale->dtype != CLATTN_NONE)
        to.scale = CLA_AT(float, *scale) + part * scale->stride[0] + h * scale->stride[1]
                 + row * scale->stride[2];
    return to;
}

static void append_row(const cla_append *p, bool values, int b, int h, int n)
{
    const cla_view *x = values ? &p->v : &p->k;
    const int64_t at =
        x->offset + b * x->stride[0] + h * x->stride[1] + n * x->stride[2];
    const input from = { p, (const char *)x->host + (size_t)at * stored_bytes(p->in_type),
                         values ? p->Dv : p->D, !values,
                         (int64_t)CLA_AT(const int32_t, p->positions)[b] + n };
    const output to = output_of(p, values, b, h, n);
    if (p->kv_type == CLATTN_I8)
        store_i8(&from, &to);
    else if (p->kv_type == CLATTN_I4)
        store_i4(&from, &to);
    else
        store_floats(&from, &to);
}

clattn_status cla_cpu_append(cla_cpu *cpu, const cla_append *p)
{
    const int64_t rows = (int64_t)p->B * p->Hk * p->N;
    const int threads = cla_threads(cpu, 8.0 * (double)rows * (p->D + p->Dv));
    (void)threads; /* without OpenMP */
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < 2 * rows; i++)
        append_row(p, i >= rows, (int)(i % rows / p->N / p->Hk), (int)(i / p->N % p->Hk),
                   (int)(i % p->N));
    return CLATTN_OK;
}
