/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary embedding on all cores: the angles of a row are computed once for all its heads. */
#include "../rotary.h"
#include "layout.h"

enum { PAIRS = 64 }; /* of a head, turned at a time */

static void turn_pairs(const cla_rope *p, const char *x, char *y, const float (*angle)[2],
                       int first, int count)
{
    const clattn_dtype in = (clattn_dtype)p->in_type, out = (clattn_dtype)p->out_type;
    const size_t in_bytes = clattn_dtype_size(in), out_bytes = clattn_dtype_size(out);
    float u[2 * PAIRS], v[PAIRS], z[2 * PAIRS], other[PAIRS];
    const int half = p->D / 2, step = p->neox ? 1 : 2;
    if (p->neox) {
        clattn_to_f32(in, x + (size_t)first * in_bytes, u, (size_t)count);
        clattn_to_f32(in, x + (size_t)(first + half) * in_bytes, v, (size_t)count);
    } else {
        clattn_to_f32(in, x + (size_t)(2 * first) * in_bytes, u, (size_t)(2 * count));
    }
    for (int i = 0; i < count; i++) {
        const float a = u[step * i], b = p->neox ? v[i] : u[2 * i + 1];
        const float even = a * angle[i][0] - b * angle[i][1];
        const float odd = a * angle[i][1] + b * angle[i][0];
        z[step * i] = even;
        if (p->neox)
            other[i] = odd;
        else
            z[2 * i + 1] = odd;
    }
    if (p->neox) {
        clattn_from_f32(out, z, y + (size_t)first * out_bytes, (size_t)count);
        clattn_from_f32(out, other, y + (size_t)(first + half) * out_bytes, (size_t)count);
    } else {
        clattn_from_f32(out, z, y + (size_t)(2 * first) * out_bytes, (size_t)(2 * count));
    }
}

static void turn_row(const cla_rope *p, int b, int n)
{
    const int64_t position =
        (p->has_starts ? CLA_AT(const int32_t, p->starts)[b * p->starts.stride[0]] : p->start) + n;
    const size_t in = clattn_dtype_size((clattn_dtype)p->in_type);
    const size_t out = clattn_dtype_size((clattn_dtype)p->out_type);
    for (int first = 0; first < p->D / 2; first += PAIRS) {
        const int left = p->D / 2 - first, count = left < PAIRS ? left : PAIRS;
        float angle[PAIRS][2];
        for (int i = 0; i < count; i++)
            cla_rotary_angle(cla_rotary_turns(p->ratio, first + i), position, &angle[i][0],
                             &angle[i][1]);
        for (int h = 0; h < p->H; h++) {
            const int64_t from =
                p->x.offset + b * p->x.stride[0] + n * p->x.stride[1] + h * p->x.stride[2];
            const int64_t to =
                p->y.offset + b * p->y.stride[0] + n * p->y.stride[1] + h * p->y.stride[2];
            turn_pairs(p, (const char *)p->x.host + (size_t)from * in,
                       (char *)p->y.host + (size_t)to * out, (const float(*)[2])angle, first,
                       count);
        }
    }
}

clattn_status cla_cpu_rope(cla_cpu *cpu, const cla_rope *p)
{
    const int64_t rows = (int64_t)p->B * p->N;
    const int threads = cla_threads(cpu, (double)rows * p->D * (8 + p->H));
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < rows; row++)
        turn_row(p, (int)(row / p->N), (int)(row % p->N));
    return CLATTN_OK;
}
