/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to the sums of a projection on their way into y: bias, rotary, residual. */
#ifndef CLA_PROJ_FINISH_H
#define CLA_PROJ_FINISH_H

#include "proj_lanes.h"

/* What the rows of 32 slots share. */
typedef struct strip {
    int count;
    bool together;                     /* side by side in a row of y */
    cla_column column[CLA_PROJ_PANEL]; /* together and not turned: only the first */
    float bias[CLA_PROJ_PANEL];
} strip;

static void strip_init(strip *s, const cla_proj *p, const cla_proj_part *part, int slot)
{
    const int left = part->out - slot;
    s->count = left < CLA_PROJ_PANEL ? left : CLA_PROJ_PANEL;
    s->together =
        !(part->flags & CLA_PROJ_NEOX) && slot / part->K == (slot + s->count - 1) / part->K;
    const bool plain = s->together && !(part->flags & CLA_PROJ_ROTARY);
    s->column[0] = cla_column_of(part, slot);
    for (int j = 1; j < s->count && !plain; j++)
        s->column[j] = cla_column_of(part, slot + j);
    for (int j = 0; j < s->count && (part->flags & CLA_PROJ_BIAS); j++) {
        const cla_column c =
            plain ? (cla_column){ s->column[0].h, s->column[0].k + j } : s->column[j];
        s->bias[j] = load_one(p->bias_type,
                              element(&part->bias, p->bias_type, c.h * part->bias.stride[0] + c.k));
    }
}

static void rotate(const float *turns, const strip *s, bool halves, float *z)
{
    for (int j = 0; j < s->count; j += 2) {
        const float *cs = turns + 2 * (halves ? s->column[j].k : s->column[j].k / 2);
        const float u = z[j], v = z[j + 1];
        z[j] = u * cs[0] - v * cs[1];
        z[j + 1] = u * cs[1] + v * cs[0];
    }
}

/* One row: y = z + residual. */
FN void put_together(const int type, const cla_proj *p, const cla_proj_part *part, const strip *s,
                     int b, int n, const float *z)
{
    const cla_column first = s->column[0];
    char *y = element(&part->y, type, at_output(p, part, b, n, first));
    const char *residual =
        part->flags & CLA_PROJ_RESIDUAL
            ? element(&part->residual, p->residual_type, at_row(&part->residual, b, n, first))
            : NULL;
    for (int j = 0; j < s->count; j += LANES) {
        vf x = load_f32(z + j);
        if (residual)
            x += load_first(p->residual_type, residual + (size_t)j * bytes_of(p->residual_type),
                            s->count - j);
        store_first(type, y + (size_t)j * bytes_of(type), x, s->count - j);
    }
}

static void put_apart(const cla_proj *p, const cla_proj_part *part, const strip *s, int b, int n,
                      float *z)
{
    for (int j = 0; j < s->count; j++) {
        if (part->flags & CLA_PROJ_RESIDUAL)
            z[j] +=
                load_one(p->residual_type, element(&part->residual, p->residual_type,
                                                   at_row(&part->residual, b, n, s->column[j])));
        store_first(p->out_type,
                    element(&part->y, p->out_type, at_output(p, part, b, n, s->column[j])),
                    splat(z[j]), 1);
    }
}

static void finish(const cla_proj_call *c, int index, int slot, int row, int rows, float *sums)
{
    const cla_proj *p = c->p;
    const cla_proj_part *part = &p->part[index];
    strip s;
    strip_init(&s, p, part, slot);
    int b = row / p->N, n = row % p->N;
    for (int r = 0; r < rows; r++, sums += CLA_PROJ_PANEL) {
        if (part->flags & CLA_PROJ_BIAS)
            for (int j = 0; j < s.count; j++)
                sums[j] += s.bias[j];
        if (part->flags & CLA_PROJ_ROTARY)
            rotate(c->turns[index] + (size_t)(row + r) * part->K, &s, part->flags & CLA_PROJ_NEOX,
                   sums);
        if (s.together)
            BY_FLOAT(put_together, p->out_type, p, part, &s, b, n, sums);
        else
            put_apart(p, part, &s, b, n, sums);
        if (++n == p->N) {
            n = 0;
            b++;
        }
    }
}

#endif
