/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is compiled once per instruction set (block.c), and the jobs it is given. The threads, the
 * split into tasks and the workspace are attention.c's and probs.c's business.
 */
#ifndef CLA_BLOCK_H
#define CLA_BLOCK_H

#include "cpu.h"

enum {
    CLA_PANEL = 16,        /* keys (or query rows) of a panel, stored [D][16] */
    CLA_BLOCK_ROWS = 12,   /* query rows of a block, at most; they share every key they load */
    CLA_TASK_ROWS = 192,   /* rows of a task, at most */
    CLA_TILE_KEYS = 256,   /* keys of a tile, at most */
    CLA_SCORE_LD = CLA_TILE_KEYS + 16, /* row stride of scores; no multiple of a page */
    CLA_DIRECT_ROWS = 8,   /* rows per key head up to which keys are not packed at all */
    CLA_SPLIT_ROWS = 32,   /* rows per key head up to which the keys are split */
    CLA_FEW_KEYS = 64,     /* keys of a tile, and of a part, for few rows unless tuned */
    CLA_FEW_SPLIT = 1024,
    CLA_WIDE_ROWS = 48,    /* rows that matrix units work on together, see block_amx.h */
    CLA_WIDE_KEYS = 32,    /* keys of a panel for them */
};

/* One sequence: batch index, where its rows start in packed q and k, how many it has. */
typedef struct cla_seq {
    int b, q0, nq, k0, nk;
} cla_seq;

cla_seq cla_seq_of(const cla_attn *p, int b);

/* Keys [begin, end) that row i sees, mask aside. */
typedef struct cla_range {
    int begin, end;
} cla_range;

cla_range cla_keys_of_row(const cla_attn *p, const cla_seq *seq, int i);

/* Keys and values of a head packed for matrix units, from the sequence's first panel on. */
typedef struct cla_wide {
    char *keys, *values;   /* panels of cla_wide_key_bytes(), cla_wide_value_bytes() */
    unsigned char *finite; /* are all values of a panel? */
} cla_wide;

/* Bytes of a query row, and of panels. */
size_t cla_wide_row_bytes(const cla_attn *p);
size_t cla_wide_key_bytes(const cla_attn *p);
size_t cla_wide_value_bytes(const cla_attn *p);

/*
 * Query rows of one key/value head over a range of its keys. The rows of all its query heads are
 * counted through: row r is row r % nq of query head hk * G + r / nq.
 */
typedef struct cla_task {
    const cla_attn *p;
    cla_seq seq;
    int hk;
    int64_t row;          /* first row */
    int rows;             /* <= CLA_TASK_ROWS */
    cla_range keys;       /* begin is a multiple of tile_keys */
    int tile_keys;        /* multiple of 16, <= CLA_TILE_KEYS */
    const float *panels;  /* keys of this head in panels; NULL: read them from k */
    cla_wide wide;        /* attend of cla_wide_ops reads these instead */
    float *scratch;       /* cla_scratch_floats() of this thread, 64-byte aligned */
    float *part_o;        /* NULL: write o and lse; else sums [rows][value_ld] without division */
    float *part_stat;     /* and [rows][2]: reference score and sum */
    uint64_t *ranks;      /* argmax attention: [Hq][Nq] of this sequence and range of keys */
} cla_task;

/* Dv rounded up to whole vectors of every instruction set. */
int cla_value_ld(const cla_attn *p);

/* Layout of the scratch memory of one thread, in floats. */
typedef struct cla_scratch {
    size_t q, o, sums, scores, keys, values, total;
} cla_scratch;

cla_scratch cla_scratch_of(const cla_attn *p, int rows, int tile_keys);

/* The same of attend_wide(). */
cla_scratch cla_wide_scratch_of(const cla_attn *p, int rows, int tile_keys);

/* Many rows of bf16 on matrix units; NULL where there are none. */
typedef struct cla_wide_ops {
    void (*begin)(void), (*end)(void); /* around the work of a thread */
    /* Keys and values of panels [panel, panel + count) of a head. */
    void (*pack)(const cla_attn *p, const cla_seq *seq, int hk, int panel, int count,
                 const cla_wide *to);
    void (*attend)(const cla_task *task);
    double (*multiply_add_rate)(long n); /* as below, of products of tiles */
} cla_wide_ops;

/* One instruction set. */
typedef struct cla_block_ops {
    /* Keys [16 * panel, 16 * (panel + count)) of a head, from the sequence's first key. */
    void (*pack_keys)(const cla_attn *p, const cla_seq *seq, int hk, int panel, int count,
                      float *out);
    void (*attend)(const cla_task *task);
    /* Joins count parts of row r of a task; parts lie part_rows rows apart. */
    void (*join)(const cla_task *task, int r, int count, size_t part_rows);
    /* The rank of the best key of each row. */
    void (*argmax)(const cla_task *task);
    /* Probabilities of rows of one query head. */
    void (*probs)(const cla_task *task);
    /* What the weights of rows of one query head come to; the pairs of work_rows for mean. */
    void (*stats)(const cla_task *task);
    /* Adds their share of the mean over heads. */
    void (*mean)(const cla_task *task);
    /* n rounds of independent multiply-adds; returns how many operations that was. */
    double (*multiply_add_rate)(long n);
    /* Sum of n floats, n a multiple of 64. */
    float (*read)(const float *p, size_t n);
    cla_wide_ops wide;
} cla_block_ops;

/* NULL where it was not compiled in. */
const cla_block_ops *cla_block_ops_of(cla_isa isa);

/*
 * Subnormals as zero while workers run: they cost ten times the time. f16 subnormals are not
 * affected. Returns what cla_keep_subnormals() restores.
 */
unsigned cla_drop_subnormals(void);
void cla_keep_subnormals(unsigned saved);

#endif
