/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projections on the native CPU, divided between proj_gemm.c and proj_few.c, which hand out work to
 * threads, and proj_block.c and proj_amx.c, which do it, each for its instruction sets.
 *
 * Columns of a part are numbered by slots, as in cl/proj.clh: slots 2i and 2i + 1 are the ones that
 * a rotary turns together.
 */
#ifndef CLA_PROJ_H
#define CLA_PROJ_H

#include "cpu.h"

enum {
    CLA_PROJ_PANEL = 32, /* slots of packed weights */
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

/* Sizes of the work on many rows. */
typedef struct cla_proj_tile {
    int block;        /* rows of packed x that are multiplied together */
    int element;      /* bytes of a packed number */
    int depth;        /* columns of x that are multiplied before the next panel */
    int rows, panels; /* of a task, at most; rows is a multiple of block */
} cla_proj_tile;

/* What is done to many rows. Packed numbers and the sums of a block are laid out as each likes. */
typedef struct cla_proj_gemm_ops {
    /* Around the work of a thread; NULL: nothing. */
    void (*begin)(void), (*end)(void);
    /* Columns first .. first + n - 1 of 32 slots from slot on; slots past the last repeat it. */
    void (*pack_weights)(const cla_proj *p, const cla_proj_part *part, int slot, int first, int n,
                         void *to);
    /* Asks the memory for that of one slot in advance; NULL: nothing. */
    void (*fetch_weights)(const cla_proj *p, const cla_proj_part *part, int slot, int first, int n);
    /* Columns first .. first + n - 1 of a block of rows from row on; rows past the last
     * repeat it. */
    void (*pack_rows)(const cla_proj *p, int row, int first, int n, void *to);
    /* sums of a block, of which so many rows exist, += x w over n columns of x. */
    void (*multiply)(const void *x, const void *w, int n, int rows, float *sums);
    /* As below, of a block. */
    void (*finish)(const cla_proj_call *c, int part, int slot, int row, int rows, float *sums);
} cla_proj_gemm_ops;

/* What one instruction set does. Arrays of sums are [rows][32]. */
typedef struct cla_proj_ops {
    cla_proj_gemm_ops gemm;
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

/* NULL where it was not compiled in. */
const cla_proj_ops *cla_proj_ops_of(cla_isa isa);

/* Sizes of proj_gemm_native. */
extern const cla_proj_tile cla_proj_f32_tile;

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

/* Panels of 32 slots of a part, and of all; a panel does not span two. */
int cla_proj_panels_of(const cla_proj_part *part);
int cla_proj_panels(const cla_proj *p);
double cla_proj_multiply_adds(const cla_proj *p);

/* Angles: floats they take, their place (returns what is behind them), those of a row. */
size_t cla_proj_turns_floats(const cla_proj *p);
float *cla_proj_place_turns(cla_proj_call *c, float *at);
void cla_proj_turn_row(const cla_proj_call *c, int row);

/* Many rows of bf16 by AMX; CLATTN_ERR_UNSUPPORTED where it was not compiled in. */
clattn_status cla_cpu_proj_amx(cla_cpu *cpu, const cla_proj *p, const cla_proj_tile *tile);

/* Workspace in floats. */
size_t cla_proj_gemm_floats(const cla_proj *p, const cla_proj_tile *tile);
size_t cla_proj_few_floats(const cla_proj *p);

#endif
