/* SPDX-License-Identifier: Apache-2.0 */
/* What every softmax attention kernel shares; the device side is cl/attn.clh. */
#ifndef CLA_ATTN_ARGS_H
#define CLA_ATTN_ARGS_H

#include "kernel.h"

extern const cla_arg cla_attn_args[];        /* ATTN_ARGS */
extern const cla_arg cla_attn_marks_args[];  /* ATTN_ARGS, then marks, their offset and number */
extern const cla_arg cla_attn_stats_args[];  /* ATTN_ARGS, STATS_ARGS */
extern const cla_arg cla_argmax_pick_args[]; /* ATTN_ARGS, then the index tensor */

/* Work-items that share a row of a tile, as in cl/attn_tile.clh: what attn_prefill, attn_probs and
 * argmax are made of. A GPU is what they are for; a CPU does a twentieth of what its cores can. */
enum { CLA_ATTN_TILE_ITEMS = 8 };

/* bind() of kernels that leave the keys in one part and need no workspace. */
size_t cla_attn_bind_whole(void *problem, const int *t);

/* With 2 or 4 rows the sums of a work-item stay in registers. */
bool cla_attn_is_tile(int work_group, int rows);

/* Local memory of a chunk of DC columns of BR rows of q and BC keys. */
static inline size_t cla_attn_chunk_bytes(int BR, int BC, int DC)
{
    return ((size_t)BR + (size_t)BC) * ((size_t)DC / 4 + 1) * 16;
}

/* Above the portable kernels on CPUs only: a GPU keeps the registers of a row in memory. */
int cla_attn_priority_cpu(const cla_dev *dev, const void *problem);

/* For cla_kernel.constants: where keys and values lie; where results go; all of cl/attn.clh. */
#define CLA_ATTN_KV_CONSTANTS                               \
    { "VALUE_DIM", offsetof(cla_attn, Dv) },                \
    { "KV_TYPE", offsetof(cla_attn, kv_type) },             \
    { "RAGGED", offsetof(cla_attn, ragged) },               \
    { "HAS_LENGTHS", offsetof(cla_attn, has_lengths) },     \
    { "PAGED", offsetof(cla_attn, paged) }
#define CLA_ATTN_VALUE_CONSTANTS                            \
    { "OUT_TYPE", offsetof(cla_attn, out_type) },           \
    CLA_ATTN_KV_CONSTANTS
#define CLA_ATTN_CONSTANTS                                  \
    { "HEAD_DIM", offsetof(cla_attn, D) },                  \
    { "IN_TYPE", offsetof(cla_attn, in_type) },             \
    { "BIAS_TYPE", offsetof(cla_attn, bias_type) },         \
    { "HAS_MASK", offsetof(cla_attn, has_mask) },           \
    { "HAS_BIAS", offsetof(cla_attn, has_bias) },           \
    { "HAS_ALIBI", offsetof(cla_attn, has_alibi) },         \
    { "HAS_SINKS", offsetof(cla_attn, has_sinks) },         \
    { "HAS_SOFTCAP", offsetof(cla_attn, has_softcap) },     \
    { "HAS_LSE", offsetof(cla_attn, has_lse) },             \
    CLA_ATTN_VALUE_CONSTANTS

#endif
