/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that linear attention asks for ahead: what the next chunk reads and writes, spread over
 * the products of this one.
 */
#ifndef CLA_LINEAR_AHEAD_H
#define CLA_LINEAR_AHEAD_H

#include "linear_load.h"

/*
 * Asks for some of what the next chunk reads and writes. Each product of a tile does this, so that
 * memory is busy all the time: a core has few requests under way, and hardware that reads ahead
 * needs time to see where each of the tensors goes.
 */
FN void ask_ahead(cla_linear_task *t)
{
    for (int i = 0; i < t->num_ahead; i++) {
        cla_linear_ahead *rows = &t->ahead[i];
        for (int left = rows->at_once; left > 0 && rows->rows > 0;) {
            const int here = rows->lines - rows->line, n = left < here ? left : here;
            const char *at = rows->at + rows->line * 64;
            for (int line = 0; line < n; line++) {
                if (rows->write)
                    __builtin_prefetch(at + line * 64, 1);
                else
                    __builtin_prefetch(at + line * 64, 0, 2);
            }
            left -= n;
            rows->line += n;
            if (n < here)
                continue;
            rows->line = 0;
            rows->at += rows->stride;
            rows->rows--;
        }
    }
}

static char *o_row(const cla_linear_task *t, int h, int row)
{
    const cla_view *o = &t->p->o;
    const int64_t b = t->seq.b;
    const int64_t at = o->offset + b * o->stride[0] + h * o->stride[1]
                     + (int64_t)(t->seq.q0 + row) * o->stride[2];
    return (char *)o->host + at * (int64_t)bytes_of(t->p->out_type);
}

static void plan_ahead(cla_linear_task *t, rows_of_head rows, int width, size_t size, bool write)
{
    const int lines = (int)(((size_t)width * size + 63) / 64);
    const bool dense = rows.stride == (int64_t)lines * 64; /* then they are one row */
    t->ahead[t->num_ahead++] = (cla_linear_ahead){
        rows.first, rows.stride, dense ? 1 : rows.n, dense ? lines * rows.n : lines, 0, 0, write
    };
}

/* Keys and values from key on. */
static void plan_keys(cla_linear_task *t, int key)
{
    const cla_linear *p = t->p;
    const int n = t->seq.nk - key < t->chunk ? t->seq.nk - key : t->chunk;
    const int64_t row = (int64_t)t->seq.k0 + key;
    if (n <= 0)
        return;
    plan_ahead(t, rows_of(t, &p->v, t->hk, row, n), p->Dv, bytes_of(p->in_type), false);
    plan_ahead(t, rows_of(t, &p->k, t->hk, row, n), p->D, bytes_of(p->in_type), false);
}

/* Rows of q and o from row on. */
static void plan_rows(cla_linear_task *t, int h, int row)
{
    const cla_linear *p = t->p;
    const int n = t->seq.nq - row < t->chunk ? t->seq.nq - row : t->chunk;
    const size_t size = bytes_of(p->out_type);
    if (n <= 0)
        return;
    plan_ahead(t, rows_of(t, &p->q, h, (int64_t)t->seq.q0 + row, n), p->D, bytes_of(p->in_type),
               false);
    plan_ahead(t, (rows_of_head){ o_row(t, h, row), p->o.stride[2] * (int64_t)size, n }, p->Dv,
               size, true);
}

/* As many tiles of sums follow. */
static void spread_ahead(cla_linear_task *t, int tiles)
{
    for (int i = 0; i < t->num_ahead; i++)
        t->ahead[i].at_once = (t->ahead[i].rows * t->ahead[i].lines + tiles - 1) / tiles;
}

#endif
