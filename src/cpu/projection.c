/* SPDX-License-Identifier: Apache-2.0 */
/* What projections of few and of many rows share on the native CPU: panels of columns, angles. */
#include "../rotary.h"
#include "isa.h"
#include "proj.h"

extern const cla_proj_ops cla_proj_ops_portable, cla_proj_ops_avx2, cla_proj_ops_avx512,
    cla_proj_ops_neon;

const cla_proj_ops *cla_proj_ops_of(cla_isa isa)
{
    static const cla_proj_ops *const tables[] = CLA_TABLES(cla_proj_ops, cla_proj_ops_avx512);
    return tables[isa];
}

/*
 * 192 columns of 384 rows and the sums stay in the second-level cache, 192 columns of a panel in
 * the first.
 */
const cla_proj_tile cla_proj_f32_tile = {
    .block = 12, .element = sizeof(float), .depth = 192, .rows = 384, .panels = 16
};

int cla_proj_panels_of(const cla_proj_part *part)
{
    return (part->out + CLA_PROJ_PANEL - 1) / CLA_PROJ_PANEL;
}

int cla_proj_panels(const cla_proj *p)
{
    int n = 0;
    for (int i = 0; i < p->parts; i++)
        n += cla_proj_panels_of(&p->part[i]);
    return n;
}

double cla_proj_multiply_adds(const cla_proj *p)
{
    double columns = 0;
    for (int i = 0; i < p->parts; i++)
        columns += p->part[i].out;
    return columns * p->rows * p->M;
}

/* The parts before this one that turn the same way share its angles. */
static int turns_owner(const cla_proj *p, int index)
{
    const cla_proj_part *part = &p->part[index];
    for (int i = 0; i < index; i++)
        if (p->part[i].K == part->K && p->part[i].ratio == part->ratio
            && (p->part[i].flags & CLA_PROJ_ROTARY))
            return i;
    return index;
}

size_t cla_proj_turns_floats(const cla_proj *p)
{
    size_t floats = 0;
    for (int i = 0; i < p->parts; i++)
        if ((p->part[i].flags & CLA_PROJ_ROTARY) && turns_owner(p, i) == i)
            floats += (size_t)p->rows * p->part[i].K;
    return (floats + 15) / 16 * 16;
}

static int64_t position_of(const cla_proj *p, int row)
{
    const int b = row / p->N;
    return (p->has_starts ? CLA_AT(const int32_t, p->starts)[b * p->starts.stride[0]] : p->start)
           + row % p->N;
}

void cla_proj_turn_row(const cla_proj_call *c, int row)
{
    const cla_proj *p = c->p;
    for (int i = 0; i < p->parts; i++) {
        const cla_proj_part *part = &p->part[i];
        if (!(part->flags & CLA_PROJ_ROTARY) || turns_owner(p, i) != i)
            continue;
        float *to = (float *)c->turns[i] + (size_t)row * part->K;
        for (int pair = 0; pair < part->K / 2; pair++)
            cla_rotary_angle(cla_rotary_turns(part->ratio, pair), position_of(p, row),
                             &to[2 * pair], &to[2 * pair + 1]);
    }
}

float *cla_proj_place_turns(cla_proj_call *c, float *at)
{
    const cla_proj *p = c->p;
    float *next = at;
    for (int i = 0; i < p->parts; i++) {
        if (!(p->part[i].flags & CLA_PROJ_ROTARY))
            continue;
        if (turns_owner(p, i) != i) {
            c->turns[i] = c->turns[turns_owner(p, i)];
            continue;
        }
        c->turns[i] = next;
        next += (size_t)p->rows * p->part[i].K;
    }
    return at + cla_proj_turns_floats(p);
}
