/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projections on the native CPU, divided between projection.c, which hands out work to threads, and
 * proj_block.c, which does it and is compiled once per instruction set.
 *
 * Columns of a part are numbered by slots, as in cl/proj.clh: slots 2i and 2i + 1 are the ones that
 * a rotary turns together.
 */
#ifndef CLA_PROJ_H
#define CLA_PROJ_H

#include "cpu.h"

enum {
    CLA_PROJ_PANEL = 32, /* slots of packed weights: [columns][32] */
    CLA_PROJ_BLOCK = 12, /* rows of packed x: [columns][12] */
    CLA_PROJ_STRIP = 32, /* slots of a task that reads weights in place */
    CLA_PROJ_WIDE = 8,   /* such strips of a task with one row, at most */
};

/* One call. */
typedef struct cla_proj_call {
    const cla_proj *p;
    float *x; /* rows of x_ld floats, of those who read weights in place */
    size_t x_ld;
    const float *turns[CLATTN_MAX_PARTS]; /* (cos, sin) [rows][K/2] of a rotary part */
} cla_proj_call;

/* What a task does. Arrays of sums are [rows][32]. */
typedef struct cla_proj_ops {
    /* Columns first .. first + n - 1 of 32 slots from slot on; slots past the last repeat it. */
    void (*pack_weights)(const cla_proj *p, const cla_proj_part *part, int slot, int first, int n,
                         float *to);
    /* Asks the memory for that of one slot in advance. */
    void (*fetch_weights)(const cla_proj *p, const cla_proj_part *part, int slot, int first, int n);
    /* Columns first .. first + n - 1 of 12 rows from row on; rows past the last repeat it. */
    void (*pack_rows)(const cla_proj *p, int row, int first, int n, float *to);
    /* sums of 12 rows += x w over n columns of x. */
    void (*multiply)(const float *x, const float *w, int n, float *sums);
    /* One row in f32, padded with zeros to x_ld, in the order that dots() wants. */
    void (*convert_row)(const cla_proj *p, int row, float *to, size_t x_ld);
    /* Sums of `rows` rows from row on and 32 slots from slot on, weights read in place. */
    void (*dots)(const cla_proj_call *c, int part, int slot, int row, int rows, float *sums);
    /* The same for one row and some panels that lie side by side, sums [panels * 32], zeroed:
     * returns how many panels it did. */
    int (*wide_dots)(const cla_proj_call *c, int part, int slot, int panels, int row, float *sums);
    /* Bias, rotary, residual, and into y: rows of sums, which are used up. */
    void (*finish)(const cla_proj_call *c, int part, int slot, int row, int rows, float *sums);
} cla_proj_ops;

const cla_proj_ops *cla_proj_ops_of(cla_isa isa);

/* Floats of a row that convert_row() writes. */
static inline size_t cla_proj_x_ld(const cla_proj *p)
{
    return ((size_t)p->M + 31) / 32 * 32;
}

/* Rows that dots() takes at most. */
enum { CLA_PROJ_FEW = 16 };

typedef struct cla_column {
    int h, k;
} cla_column;

static inline cla_column cla_column_of(const cla_proj_part *part, int slot)
{
    const int h = slot / part->K, t = slot - h * part->K;
    const bool halves = part->flags & CLA_PROJ_NEOX;
    return (cla_column){ h, halves ? t / 2 + (t & 1) * (part->K / 2) : t };
}

/* Workspace of the two kernels in floats. */
size_t cla_proj_gemm_floats(const cla_proj *p);
size_t cla_proj_few_floats(const cla_proj *p);

#endif
