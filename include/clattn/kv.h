/* SPDX-License-Identifier: Apache-2.0 */
/** @file The KV cache, and the attention layer that fills and reads it. Included by clattn.h. */
#ifndef CLATTN_KV_H
#define CLATTN_KV_H

#include "clattn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------ */
/* KV cache                                                                                   */

struct clattn_kv_params {
    size_t struct_size;
    int64_t sequences;   /**< B, at least 1 */
    int64_t heads;       /**< Hk */
    int64_t key_width;   /**< D */
    int64_t value_width; /**< Dv; 0: D */
    int64_t capacity;    /**< rows that a sequence may hold; paged: whole pages of them */
    clattn_dtype dtype;  /**< f32, f16, bf16, i8, i4; NONE: f32 */
    int64_t page_rows;   /**< 0: contiguous, capacity rows for each sequence; else rows of a page, a
                              power of two, 16 or more */
    int64_t pages;       /**< paged: how many; 0: as many as all sequences need to be full */
    int64_t window;      /**< 0: none; else a sequence keeps its last rows, at least so many, and
                              attention sees so many: paged (page_rows 0: 64). In all a sequence
                              takes 2^31 - 1 rows */
};
#define clattn_kv_params(...) \
    (&(struct clattn_kv_params){ .struct_size = sizeof(struct clattn_kv_params), __VA_ARGS__ })

/**
 * A KV cache: keys and values of B sequences, each with its own length. Rows are appended, read by
 * attention (params.kv of clattn_attention(), clattn_argmax(), clattn_layer()), cut off, shared.
 *
 * Storage    f32, f16 and bf16 as they are; i8 with one f32 scale for each row of a head, the
 *            largest element being 127 of them; i4 with one for each 32 elements, the largest 7.
 *            So an element is off by half a scale at most. A row (i4: a group) with a NaN or an
 *            inf in it reads back as NaN.
 * Pages      A sequence takes pages as it grows and gives them back. Forks share pages until one
 *            of them writes: then it gets a copy of the page (copy on write). With a window, pages
 *            that no row can see any more go back as well; attention then counts the rows that
 *            are held (masks, probabilities, indices): key 0 is row clattn_kv_first().
 * Order      The calls below take effect in the order in which they are made, together with all
 *            work queued on the context. A call that fails leaves the cache as it was, unless it
 *            is the device that failed.
 * Lifetime   The cache keeps its context alive. Plans made with it must not outlive it.
 *
 * @param out  set to the cache or NULL; free with clattn_kv_destroy()
 * @return CLATTN_OK, CLATTN_ERR_ARG, CLATTN_ERR_SHAPE (a size out of range, a window longer than
 *         the capacity), CLATTN_ERR_MEMORY, CLATTN_ERR_DEVICE, CLATTN_ERR_VERSION
 */
CLATTN_API clattn_status clattn_kv_create(clattn_ctx *ctx, const struct clattn_kv_params *params,
                                          clattn_kv **out);

/** Frees the cache once queued work is done with it, and nulls the pointer. Takes NULL. */
CLATTN_API void clattn_kv_destroy(clattn_kv **kv);

/** Rows of a sequence, those that a window has dropped included; -1 when there is no such one. */
CLATTN_API int64_t clattn_kv_length(const clattn_kv *kv, int64_t sequence);

/** Number of the first row that is still held: 0 without a window; -1 for no such sequence. */
CLATTN_API int64_t clattn_kv_first(const clattn_kv *kv, int64_t sequence);

/** Pages that are free; contiguous caches: 0. */
CLATTN_API int64_t clattn_kv_free_pages(const clattn_kv *kv);

/** Device memory of the cache. */
CLATTN_API size_t clattn_kv_bytes(const clattn_kv *kv);

/**
 * Cuts a sequence to its first `length` rows; 0 empties it.
 * @return CLATTN_OK, CLATTN_ERR_ARG (no such sequence), CLATTN_ERR_SHAPE (longer than it is, or
 *         rows that its window has dropped would be needed), CLATTN_ERR_DEVICE
 */
CLATTN_API clattn_status clattn_kv_truncate(clattn_kv *kv, int64_t sequence, int64_t length);

/**
 * Makes sequence `to` what sequence `from` is; what it was is gone. Paged: nothing is copied until
 * one of them writes.
 * @return CLATTN_OK, CLATTN_ERR_ARG, CLATTN_ERR_DEVICE
 */
CLATTN_API clattn_status clattn_kv_fork(clattn_kv *kv, int64_t from, int64_t to);

/**
 * For every sequence b at once: b becomes what from[b] was, as beam search wants it. from has as
 * many entries as there are sequences.
 * @return CLATTN_OK, CLATTN_ERR_ARG, CLATTN_ERR_MEMORY, CLATTN_ERR_DEVICE
 */
CLATTN_API clattn_status clattn_kv_reorder(clattn_kv *kv, const int64_t *from);

/**
 * Reads rows [first, first + count) of a sequence as f32: k [Hk][count][D], v [Hk][count][Dv].
 * Either may be NULL. Blocks.
 * @return CLATTN_OK, CLATTN_ERR_ARG, CLATTN_ERR_SHAPE (rows that are not there),
 *         CLATTN_ERR_MEMORY, CLATTN_ERR_DEVICE
 */
CLATTN_API clattn_status clattn_kv_read(clattn_kv *kv, int64_t sequence, int64_t first,
                                        int64_t count, float *k, float *v);

/**
 * The cache as tensors for clattn_attention_params: `count` sequences from `sequence` on. They are
 * views of memory that the cache owns; lengths and table follow the calls above.
 * @return CLATTN_OK, CLATTN_ERR_ARG, CLATTN_ERR_DEVICE
 */
CLATTN_API clattn_status clattn_kv_tensors(clattn_kv *kv, int64_t sequence, int64_t count,
                                           clattn_tensor *k, clattn_tensor *v,
                                           clattn_kv_layout *layout);

struct clattn_kv_append_params {
    size_t struct_size;
    clattn_kv *kv;
    int64_t sequence;     /**< of the first batch */
    clattn_tensor k;      /**< [B][Hk][N][D]; f32, f16 or bf16 */
    clattn_tensor v;      /**< [B][Hk][N][Dv]; dtype of k */
    clattn_rotary rotary; /**< turns each row of k by its position, the number of the row */
    float rotary_base;    /**< 0: 10000; at least 1 */
    const char *kernel;   /**< as in clattn_attention_params */
};
#define clattn_kv_append_params(...)                           \
    (&(struct clattn_kv_append_params){                        \
        .struct_size = sizeof(struct clattn_kv_append_params), \
        __VA_ARGS__ })

/**
 * Appends N rows to each of B sequences: turned if asked for, rounded or quantised, stored, in one
 * launch. N = 0 or B = 0: success, nothing happens. Blocking and layout as clattn_attention().
 *
 * @return as clattn_attention(); CLATTN_ERR_SHAPE also when a sequence would exceed its capacity
 *         or the pages run out (the sentence says which), CLATTN_ERR_ARG for no such sequence
 */
CLATTN_API clattn_status clattn_kv_append(clattn_ctx *ctx,
                                          const struct clattn_kv_append_params *params);

/* ------------------------------------------------------------------------------------------ */
/* Attention layer                                                                            */

struct clattn_layer_params {
    size_t struct_size;

    clattn_tensor x; /**< [B][N][M]; f32, f16 or bf16 */
    /** Weights, scales, biases and rotary of the three; y and residual stay absent. */
    clattn_projection_part q, k, v;
    /** Weights of [Hq Dv] columns, bias, residual, and y [B][N][out]; no rotary. */
    clattn_projection_part out;
    int64_t heads;    /**< Hq; 0: from q.w, which then is [Hq][D][M] */
    int64_t kv_heads; /**< Hk; 0: from k.w, which then is [Hk][D][M], else Hq */
    int64_t start;        /**< position of row 0, for rotary, without a cache */
    clattn_tensor starts; /**< optional, i32 [B]: in place of start, one for each sequence */

    /** Scale, masks, causality, window, ALiBi, sinks, lse and probs; its q, k, v and o, cu_seqlens,
     *  kv and layout stay absent, its struct_size may be 0. */
    struct clattn_attention_params attention;

    clattn_kv *kv;       /**< optional: k and v are appended, attention is over the cache */
    int64_t kv_sequence; /**< of the first batch */
};
#define clattn_layer_params(...)                           \
    (&(struct clattn_layer_params){                        \
        .struct_size = sizeof(struct clattn_layer_params), \
        __VA_ARGS__ })

/**
 * A multi-head attention layer:
 *
 *     q, k, v = rotate(x W_q^T + b_q), rotate(x W_k^T + b_k), x W_v^T + b_v
 *     o       = attention(q, k, v)
 *     y       = o W_o^T + b_o + residual
 *
 * Dv, the width of values, is free. Without a cache it is self-attention of x. With one the N rows
 * of k and v are appended to the B sequences first, so that each row can see itself and all before
 * it: set attention.causal to CLATTN_CAUSAL_BOTTOM_RIGHT for N > 1. Rotary positions then count on
 * from the length of the sequence. Intermediate results have the dtype of x.
 *
 * Blocking as clattn_attention(). A call that fails leaves a cache as it was.
 * @return as clattn_projection(), clattn_kv_append() and clattn_attention()
 */
CLATTN_API clattn_status clattn_layer(clattn_ctx *ctx, const struct clattn_layer_params *params);

/** Makes a plan of a layer; run it with clattn_plan_run(). @return as clattn_layer() */
CLATTN_API clattn_status clattn_plan_layer(clattn_ctx *ctx,
                                           const struct clattn_layer_params *params,
                                           clattn_plan **out);

#ifdef __cplusplus
}
#endif

#endif
