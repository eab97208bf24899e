/* SPDX-License-Identifier: Apache-2.0 */
/* Where the tensors of a projection lie, and vectors of its weights. Included by proj_block.c. */
#ifndef CLA_PROJ_LANES_H
#define CLA_PROJ_LANES_H

#include "lanes.h"
#include "proj.h"

enum { CLA_PROJ_GROUP = 32 }; /* i4 weights that share a scale */

FN size_t element_bytes(int type)
{
    return type == CLATTN_I8 || type == CLATTN_I4 ? 1 : bytes_of(type);
}

FN char *element(const cla_view *view, int type, int64_t at)
{
    return (char *)view->host + (view->offset + at) * (int64_t)element_bytes(type);
}

/* Of residual, and of a y that is no cache. */
FN int64_t at_row(const cla_view *view, int b, int n, cla_column c)
{
    return b * view->stride[0] + n * view->stride[1] + c.h * view->stride[2] + c.k;
}

/* Of y, which may be a cache. No contents of the page table can lead outside it. */
FN int64_t at_output(const cla_proj *p, const cla_proj_part *part, int b, int n, cla_column c)
{
    if (!(part->flags & CLA_PROJ_CACHE))
        return at_row(&part->y, b, n, c);
    const int row = CLA_AT(const int32_t, p->cached)[b] + n;
    int page = CLA_AT(const int32_t, p->table)[b * p->table.stride[0] + (row >> p->page_shift)];
    page = page < 0 ? 0 : page < p->last_page ? page : p->last_page;
    return at_row(&part->y, page, row & ((1 << p->page_shift) - 1), c);
}

FN const char *x_row(const cla_proj *p, int row)
{
    return element(&p->x, p->in_type, row / p->N * p->x.stride[0] + row % p->N * p->x.stride[1]);
}

FN float load_one(int type, const char *at)
{
    return load_first(type, at, 1)[0];
}

/* Columns m .. m + LANES - 1 of a row of x, zeros past the last. */
FN vf load_x(int type, const char *row, int m, int M)
{
    const char *at = row + (size_t)m * bytes_of(type);
    return BY_FLOAT(load_first, type, at, M - m);
}

/* ------------------------------------------------------------------------------------------ */
/* Weights                                                                                    */

/* One column of w. */
typedef struct source {
    const char *at;
    int64_t scale; /* i4: element of the first scale */
    float factor;  /* i8: the scale */
} source;

FN float scale_of(const cla_proj *p, const cla_proj_part *part, int64_t at)
{
    if (p->scale_type == CLATTN_F16)
        return load_one(CLATTN_F16, element(&part->scale, CLATTN_F16, at));
    return CLA_AT(const float, part->scale)[at];
}

/* Slots past the last repeat it. */
FN source source_of(const cla_proj *p, const cla_proj_part *part, int slot)
{
    const cla_column c = cla_column_of(part, slot < part->out ? slot : part->out - 1);
    source w = { .at = element(&part->w, p->w_type,
                               c.h * part->w.stride[0] + c.k * part->w.stride[1]),
                 .scale = c.h * part->scale.stride[0] + c.k * part->scale.stride[1],
                 .factor = 1 };
    if (p->w_type == CLATTN_I8)
        w.factor = scale_of(p, part, w.scale);
    return w;
}

/* Do n slots from slot on lie side by side in w? */
FN bool lie_together(const cla_proj *p, const cla_proj_part *part, int slot, int n)
{
    return p->w_along == CLA_W_ALONG_K && slot + n <= part->out && !(part->flags & CLA_PROJ_NEOX)
           && (slot / part->K == (slot + n - 1) / part->K
               || part->w.stride[0] == part->K * part->w.stride[1]);
}

/* With its scale. */
FN float weight(const cla_proj *p, const cla_proj_part *part, const source *w, int m)
{
    const char *at = w->at + m * part->w.stride[2] * (int64_t)element_bytes(p->w_type);
    switch (p->w_type) {
    case CLATTN_I8:
        return (float)*(const int8_t *)at * w->factor;
    case CLATTN_I4: {
        const int pair = *(const uint8_t *)(w->at + m / 2);
        return (float)(((m & 1 ? pair >> 4 : pair & 15) ^ 8) - 8)
               * scale_of(p, part, w->scale + m / CLA_PROJ_GROUP);
    }
    default:
        return load_one(p->w_type, at);
    }
}

/* LANES weights without their scale, as floats. Not for i4. */
FN vf load_weights(int type, const char *at)
{
    if (type == CLATTN_I8)
        return i8_lanes(*(const vb_mem *)at);
    return load(type, at);
}

FN vf load_weights_first(int type, const char *at, int n)
{
    vb part = { 0 };
    if (type != CLATTN_I8)
        return load_first(type, at, n);
    memcpy(&part, at, (size_t)n);
    return i8_lanes(part);
}

/* 2 LANES i4 weights without their scale: the even ones and the odd ones. */
FN void load_halves(const char *at, vf *even, vf *odd)
{
    const vi pairs = u8_lanes(*(const vub_mem *)at);
    *even = __builtin_convertvector(((pairs & 15) ^ 8) - 8, vf);
    *odd = __builtin_convertvector(((pairs >> 4) ^ 8) - 8, vf);
}

/* Weights m .. m + LANES - 1 with their scale; they lie along M. */
FN vf weights_in_order(int type, const cla_proj *p, const cla_proj_part *part, const source *w,
                       int m)
{
    if (type == CLATTN_I4) {
        float x[LANES];
        for (int i = 0; i < LANES; i++)
            x[i] = weight(p, part, w, m + i);
        return load_f32(x);
    }
    const vf x = load_weights(type, w->at + (size_t)m * element_bytes(type));
    return type == CLATTN_I8 ? x * splat(w->factor) : x;
}

#endif
