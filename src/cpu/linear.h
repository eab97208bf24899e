/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native linear attention: what is compiled once per instruction set (linear_block.c), and the
 * tasks it is given. Threads, segments and states are linear.c's business.
 */
#ifndef CLA_LINEAR_H
#define CLA_LINEAR_H

#include "cpu.h"

/* Tunables of linear_native. */
enum {
    CLA_LINEAR_CHUNK, /* rows or keys that are worked on together: 16 to 128 */
    CLA_LINEAR_SEGS,  /* segments of a sequence, at most */
};

enum {
    CLA_LINEAR_MADE = 96,    /* features of poly2 made at a time */
    CLA_LINEAR_COLUMNS = 64,  /* of a state, in a step */
    CLA_LINEAR_LANES = 16,    /* of the widest vector */
    CLA_LINEAR_LD = 128 + 16, /* the longest chunk, and no multiple of a page */
};

/* One sequence: batch index, where its rows start in packed q and k, how many it has. */
typedef struct cla_linear_seq {
    int b, q0, nq, k0, nk;
} cla_linear_seq;

/* Scratch memory of a thread: floats from its start. */
typedef struct cla_linear_scratch {
    size_t q, k, q_columns, k_columns, made, values, sums, den, weights, total;
    size_t z; /* 2 rows of D doubles */
} cla_linear_scratch;

/* Rows of memory to be asked for: lines of 64 bytes of rows that follow each other. */
typedef struct cla_linear_ahead {
    const char *at;
    int64_t stride;
    int rows, lines, line; /* line: the next of the first row */
    int at_once;           /* lines */
    bool write;
} cla_linear_ahead;

/* One task. A state is S as F rows of value_ld floats, then z. */
typedef struct cla_linear_task {
    const cla_linear *p;
    cla_linear_seq seq;
    int hk, h;            /* key head; query head, where the task has only one */
    int first, end;       /* rows or keys [first, end) of the sequence */
    int chunk;
    int key_ld, value_ld; /* floats of a row in scratch memory */
    bool keep;            /* walk: the state after the last chunk is wanted */
    float *state;
    float *scratch;
    cla_linear_scratch at;
    cla_linear_ahead ahead[4]; /* tensors of the next chunk */
    int num_ahead;
} cla_linear_task;

/* One instruction set. */
typedef struct cla_linear_ops {
    void (*add_keys)(cla_linear_task *t);   /* state += keys [first, end) */
    void (*walk)(cla_linear_task *t);       /* rows of all heads of hk; the state follows */
    void (*rows)(cla_linear_task *t);       /* rows of head h on a state, or on all keys */
    void (*step)(const cla_linear_task *t); /* columns [first, end) of a step; not z_out */
} cla_linear_ops;

/* NULL where it was not compiled in. */
const cla_linear_ops *cla_linear_ops_of(cla_isa isa);

/* D and Dv rounded up to whole vectors of every instruction set. */
int cla_linear_key_ld(const cla_linear *p);
int cla_linear_value_ld(const cla_linear *p);

/*
 * The identity alone gives features of both signs, so that a denominator may be almost nothing of
 * what was summed. Its sums over keys and features are then made in double.
 */
static inline bool cla_linear_cancels(const cla_linear *p)
{
    return p->map == CLATTN_MAP_IDENTITY && p->normalized;
}

/* Sets segs, seg_keys, states and work_state; bytes of the workspace. */
size_t cla_cpu_linear_bind(cla_linear *p, const int *t);

/* A feature of poly2 is factor * x[a] * x[b]; index D stands for the number 1. */
typedef struct cla_pair {
    int a, b;
    float factor;
} cla_pair;

/* The first feature, and the one behind a feature. */
cla_pair cla_pair_first(const cla_linear *p);
cla_pair cla_pair_next(const cla_linear *p, cla_pair pair);

/* Feature f of a row x of D numbers that is followed by the number 1; pair is that of f. */
static inline float cla_linear_feature(const cla_linear *p, const float *x, cla_pair pair, int f)
{
    return p->map == CLATTN_MAP_POLY2 ? pair.factor * (x[pair.a] * x[pair.b]) : x[f];
}

/* Mapped numbers of a row (raw ones for poly2), then 1. */
void cla_linear_map_row(const cla_linear *p, const cla_view *view, int64_t at, float factor,
                        float *out);

#endif
