/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file What a transformer needs beside attention and projections: norm, softmax, activations and
 * embeddings. Residuals are added by clattn_projection(). Letters as in clattn.h, and M the width
 * of a row.
 */
#ifndef CLATTN_LAYERS_H
#define CLATTN_LAYERS_H

#include "clattn.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a row of M numbers becomes. */
typedef enum clattn_row_function {
    CLATTN_ROW_NONE = 0,
    CLATTN_ROW_NORM = 1,        /**< (x - mean) / sqrt(variance + eps) * weight + bias */
    CLATTN_ROW_SOFTMAX = 2,     /**< e^(scale x) / sum e^(scale x) */
    CLATTN_ROW_LOG_SOFTMAX = 3, /**< scale x - log(sum e^(scale x)) */
    CLATTN_ROW_GELU = 4,        /**< x (1 + erf(x / sqrt 2)) / 2 */
    CLATTN_ROW_GELU_TANH = 5,   /**< x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
    CLATTN_ROW_RELU = 6         /**< max(x, 0) */
} clattn_row_function;

struct clattn_rowwise_params {
    size_t struct_size;
    clattn_tensor x;      /**< [B][N][M] or [rows][M]; f32, f16 or bf16 */
    clattn_tensor weight; /**< norm only, optional (1): [M]; f32, f16 or bf16 */
    clattn_tensor bias;   /**< norm only, optional (0): [M]; f32, f16 or bf16 */
    clattn_tensor y;      /**< shape of x, written; dtype of x, or f32; may be x itself: the same
                               memory with the same strides */
    clattn_row_function function; /**< not NONE */
    float eps;            /**< norm only: at least 0 */
    float scale;          /**< softmax and log-softmax only; 0: 1. A temperature is 1 / scale */
    const char *kernel;   /**< as in clattn_attention_params */
};
#define clattn_rowwise_params(...)                           \
    (&(struct clattn_rowwise_params){                        \
        .struct_size = sizeof(struct clattn_rowwise_params), \
        __VA_ARGS__ })

/**
 * Applies one function to each row of x, with sums in f32. (Layer norm: Ba and others 2016. GELU:
 * Hendrycks and Gimpel 2016.)
 *
 * Edges      B or N = 0: success, nothing is launched. M is at least 1. A softmax over nothing but
 *            -inf is 0, its logarithm -inf; a NaN or +inf makes its row of softmax or norm NaN.
 * Layout     The last axis is contiguous, other strides are free. y overlaps nothing but an x that
 *            is the same view.
 * Blocking, Result  as clattn_attention()
 *
 * @return as clattn_attention()
 */
CLATTN_API clattn_status clattn_rowwise(clattn_ctx *ctx,
                                        const struct clattn_rowwise_params *params);

struct clattn_embedding_params {
    size_t struct_size;
    clattn_tensor ids;       /**< i32 [B][N] */
    clattn_tensor table;     /**< [V][M]; f32, f16 or bf16 */
    clattn_tensor positions; /**< optional: [P][M], row start + n is added; dtype of table */
    clattn_tensor type_ids;  /**< optional: i32 [B][N] */
    clattn_tensor types;     /**< optional: [T][M], row type_ids[b,n] is added, row 0 without
                                  type_ids; dtype of table */
    clattn_tensor y;         /**< [B][N][M], written; f32, f16 or bf16 */
    int64_t start;           /**< position of row 0; at least 0 */
    clattn_tensor starts;    /**< optional, i32 [B]: in place of start, one for each sequence */
    const char *kernel;      /**< as in clattn_attention_params */
};
#define clattn_embedding_params(...)                           \
    (&(struct clattn_embedding_params){                        \
        .struct_size = sizeof(struct clattn_embedding_params), \
        __VA_ARGS__ })

/**
 * What a transformer reads: rows of tables, gathered and added in f32,
 *
 *     y[b,n,:] = table[ids[b,n],:] + positions[start + n,:] + types[type_ids[b,n],:]
 *
 * Edges      B or N = 0: success, nothing is launched. An id, position or type outside its table
 *            reads nothing and makes its row of y NaN; start is checked.
 * Layout     The last axis is contiguous, other strides are free. y overlaps nothing.
 * Blocking, Result  as clattn_attention()
 *
 * @return as clattn_attention()
 */
CLATTN_API clattn_status clattn_embedding(clattn_ctx *ctx,
                                          const struct clattn_embedding_params *params);

/** Plans, as those of clattn_plan_attention() and its sisters. @return as the operation */
CLATTN_API clattn_status clattn_plan_rowwise(clattn_ctx *ctx,
                                             const struct clattn_rowwise_params *params,
                                             clattn_plan **out);
CLATTN_API clattn_status clattn_plan_embedding(clattn_ctx *ctx,
                                               const struct clattn_embedding_params *params,
                                               clattn_plan **out);

/** Running them on other tensors, as clattn_plan_run_attention() and its sisters. */
CLATTN_API clattn_status clattn_plan_run_rowwise(clattn_plan *plan,
                                                 const struct clattn_rowwise_params *params);
CLATTN_API clattn_status clattn_plan_run_embedding(clattn_plan *plan,
                                                   const struct clattn_embedding_params *params);

#ifdef __cplusplus
}
#endif

#endif
