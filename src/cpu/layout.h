/* SPDX-License-Identifier: Apache-2.0 */
/* How the workspace of native attention is divided. */
#ifndef CLA_LAYOUT_H
#define CLA_LAYOUT_H

#include "block.h"

/* Tunables of attn_native; attn_amx_native has the first two. */
enum {
    CLA_NATIVE_ROWS,  /* query rows of a task */
    CLA_NATIVE_KEYS,  /* keys of a tile */
    CLA_NATIVE_SPLIT, /* keys of a part, where keys are split */
};

/* Sizes of the work of attention. */
typedef struct cla_attn_sizes {
    bool wide;    /* many rows are attended by cla_wide_ops */
    int rows;     /* query rows of a task */
    int keys;     /* keys of a tile */
    int few_keys; /* the same for sequences with few rows, which wide is not for */
    int split;    /* keys of a part, where keys are split */
} cla_attn_sizes;

/* Of the two kernels. */
cla_attn_sizes cla_native_sizes(const int *t);
cla_attn_sizes cla_wide_sizes(const int *t);

/* In floats from the start of the workspace. */
typedef struct cla_layout {
    size_t scratch, slot;      /* scratch of all threads, and of one */
    bool packs;                /* some sequence has its keys packed */
    size_t keys, panels;       /* packed keys: panels of one key head over all sequences */
    size_t values, finite;     /* wide: packed values and what cla_wide says of them */
    int splits;                /* parts the keys of a sequence are split into, at most */
    size_t part_o, part_stat;  /* [B][Hk][splits][part_rows] of value_ld floats, and of 2 */
    size_t part_rows;
    size_t total;
} cla_layout;

cla_layout cla_layout_of(const cla_attn *p, const cla_attn_sizes *sizes);

/* Workspace of attn_probs_native; writes work_v. */
size_t cla_cpu_probs_bytes(cla_attn *p);

/* Workspace of attn_stats_native; writes work_v and work_rows. */
size_t cla_cpu_stats_bytes(cla_attn *p);

/* Rows of one query head, all keys: what these two hand out. At most CLA_HEAD_ROWS rows, in the
 * scratch memory of the thread. */
enum { CLA_HEAD_ROWS = 48 };
cla_task cla_head_task(const cla_attn *p, cla_seq seq, int h, int row, int rows);

/* Workspace of kv_append_native. */
size_t cla_cpu_append_bytes(const cla_append *p);

/* Workspace of argmax_native; writes splits, split_keys and work_o. */
size_t cla_cpu_argmax_bytes(cla_attn *p);

/* Threads that have scratch memory: workspace is laid out before the number of threads is known. */
int cla_scratch_slots(void);

/* Threads worth starting for so many multiply-adds; at most cla_scratch_slots(). */
int cla_threads(const cla_cpu *cpu, double multiply_adds);
int cla_thread_id(void);

#endif
