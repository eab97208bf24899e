/* SPDX-License-Identifier: Apache-2.0 */
/* What operations over q, k and v check alike: shapes, ragged batches, masks, causality. */
#ifndef CLA_ATTN_CHECK_H
#define CLA_ATTN_CHECK_H

#include "kv.h"
#include "tensor.h"

/* For tables of cla_slot: a view that is called as its field; ragged batches and caches. */
#define CLA_ATTN_SLOT(field, written) { #field, offsetof(cla_attn, field), written }
#define CLA_ATTN_SEQUENCE_SLOTS                                 \
    { "cu_seqlens_q", offsetof(cla_attn, cu_q), false },        \
    { "cu_seqlens_k", offsetof(cla_attn, cu_k), false },        \
    { "layout.lengths", offsetof(cla_attn, lengths), false },   \
    { "layout.block_table", offsetof(cla_attn, table), false }, \
    { "layout.k_scale", offsetof(cla_attn, k_scale), false },   \
    { "layout.v_scale", offsetof(cla_attn, v_scale), false }

/* Is there no row? For cla_op.empty. */
bool cla_attn_is_empty(const void *problem);

/* The tensors of a call; op names it in error sentences. */
typedef struct cla_attn_tensors {
    const char *op;
    const clattn_tensor *q, *k, *v, *o;
    const clattn_tensor *cu_seqlens_q, *cu_seqlens_k; /* absent ones: not ragged */
    int64_t max_seqlen_q, max_seqlen_k;
    const clattn_kv_layout *layout; /* NULL or without lengths: k and v are no cache */
} cla_attn_tensors;

/*
 * Fills the views q, k, v, o, cu_q, cu_k and those of a cache, all sizes, ragged, has_lengths,
 * paged, in_type, kv_type and out_type.
 */
clattn_status cla_attn_check_tensors(clattn_ctx *ctx, const cla_attn_tensors *in, cla_attn *p);

/* The part of it that is about caches, in attn_cache.c. */
clattn_status cla_attn_check_cache(clattn_ctx *ctx, const cla_attn_tensors *in, cla_attn *p);

/* What of a call a cache object stands in for. */
typedef struct cla_kv_use {
    const char *op;
    clattn_kv *kv;        /* NULL: there is none */
    int64_t sequence;
    const clattn_tensor *q;
    clattn_tensor *k, *v;
    clattn_kv_layout *layout;
    int64_t *max_seqlen_k;
    bool exact;           /* mask, bias or probs: Nk is the length of the longest sequence */
} cla_kv_use;

/*
 * Fills k, v, layout and max_seqlen_k from the cache, before cla_attn_check_tensors(). Where the
 * caller gives no Nk, a plan is made for all the room of the cache; once: for what is in it.
 */
clattn_status cla_attn_use_kv(clattn_ctx *ctx, const cla_kv_use *use, bool once);

/* A cache that keeps a window shows no row more, after cla_attn_check_visibility(). */
void cla_attn_limit_window(const clattn_kv *kv, cla_attn *p);

/* One length that two tensors must agree on. */
clattn_status cla_agree(clattn_ctx *ctx, const char *op, const char *what, const char *name_a,
                        int64_t a, const char *name_b, int64_t b);

/* mask and bias: [B][Hq][Nq][Nk], where an axis of length 1 repeats (its stride is 0). */
clattn_status cla_attn_check_scores(clattn_ctx *ctx, const char *op, const char *name,
                                    unsigned dtypes, const clattn_tensor *t, const cla_attn *p,
                                    cla_view *view);

/* A packed view of rank 3 at most gets a batch axis in front. */
void cla_attn_add_batch(cla_view *view);

/*
 * A tensor with one number per row, or some: [B][Hq][Nq], ragged [Hq][Tq], which becomes
 * [1][Hq][Tq]. The view has been made with that rank, or one more.
 */
clattn_status cla_attn_check_rows(clattn_ctx *ctx, const char *op, const char *name,
                                  const cla_attn *p, cla_view *view);

/* Fills the views of stats and the numbers that say how much of it is wanted. */
clattn_status cla_attn_check_stats(clattn_ctx *ctx, const char *op,
                                   const clattn_attention_stats *u, cla_attn *p);

/* Which keys a row sees: fills causal, left and right. */
typedef struct cla_visibility {
    clattn_causal causal;
    bool window;
    int64_t left, right;
} cla_visibility;

clattn_status cla_attn_check_visibility(clattn_ctx *ctx, const char *op,
                                        const cla_visibility *user, cla_attn *p);

#endif
