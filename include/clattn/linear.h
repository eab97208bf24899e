/* SPDX-License-Identifier: Apache-2.0 */
/** @file Linear (kernelized) attention. Included by clattn.h, which has the letters. */
#ifndef CLATTN_LINEAR_H
#define CLATTN_LINEAR_H

#include "clattn.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The feature map phi, and F, the width of what it makes of a row of D numbers. */
typedef enum clattn_feature_map {
    CLATTN_MAP_IDENTITY = 0, /**< phi(x) = x: also for rows that the caller has mapped; F = D */
    CLATTN_MAP_RELU = 1,     /**< max(x, 0); F = D */
    CLATTN_MAP_ELU1 = 2,     /**< elu(x) + 1, that is x + 1 above 0 and e^x below; F = D */
    CLATTN_MAP_EXP = 3,      /**< e^x; F = D */
    CLATTN_MAP_POLY2 = 4     /**< phi(q).phi(k) = (q.k + c)^2; F = 1 + D + D (D + 1) / 2 */
} clattn_feature_map;

/** Two ways to the same result. */
typedef enum clattn_linear_form {
    CLATTN_FORM_AUTO = 0,     /**< whichever needs fewer flops; with a state: linear */
    CLATTN_FORM_LINEAR = 1,   /**< through the state: 2 F Dv flops per key and per query row */
    CLATTN_FORM_QUADRATIC = 2 /**< through phi(q).phi(k): 2 (D + Dv) flops per visible pair */
} clattn_linear_form;

struct clattn_linear_attention_params {
    size_t struct_size;

    clattn_tensor q; /**< [B][Hq][Nq][D], ragged [Tq][Hq][D]; f32, f16 or bf16 */
    clattn_tensor k; /**< [B][Hk][Nk][D], ragged [Tk][Hk][D]; Hq % Hk == 0; dtype of q */
    clattn_tensor v; /**< [B][Hk][Nk][Dv], ragged [Tk][Hk][Dv]; dtype of q */
    clattn_tensor o; /**< [B][Hq][Nq][Dv], ragged [Tq][Hq][Dv], written; dtype of q, or f32 */

    clattn_tensor state_in_kv;  /**< optional, f32 [B][Hk][F][Dv]: S of the keys before these */
    clattn_tensor state_in_z;   /**< f32 [B][Hk][F]: z of the keys before; given with state_in_kv */
    clattn_tensor state_out_kv; /**< optional output, f32 [B][Hk][F][Dv]: S after these keys */
    clattn_tensor state_out_z;  /**< output, f32 [B][Hk][F]; given with state_out_kv */

    clattn_feature_map map;
    float c;           /**< poly2: the constant, above 0; 0: 1, see homogeneous */
    bool homogeneous;  /**< poly2 with c = 0: phi(q).phi(k) = (q.k)^2 */
    float scale;       /**< q is multiplied by it before it is mapped; 0: not multiplied */
    bool causal;       /**< row i sees keys j <= i, and all keys of the state; Nq == Nk */
    bool unnormalized; /**< o = phi(q)^T S, without division */
    clattn_linear_form form;

    clattn_tensor cu_seqlens_q; /**< i32 [B+1]; given (with _k): q, k, v, o are ragged */
    clattn_tensor cu_seqlens_k; /**< i32 [B+1] */
    int64_t max_seqlen_q;       /**< longest sequence; 0: taken from host cu_seqlens, else Tq */
    int64_t max_seqlen_k;       /**< likewise */

    clattn_tensor workspace; /**< as in clattn_attention_params */
    const char *kernel;      /**< as in clattn_attention_params */
};
#define clattn_linear_attention_params(...)                           \
    (&(struct clattn_linear_attention_params){                        \
        .struct_size = sizeof(struct clattn_linear_attention_params), \
        __VA_ARGS__ })

/**
 * Linear (kernelized) attention. For each batch b, query head h (reading key/value head h / G) and
 * row i, with phi of params->map:
 *
 *     o_i = phi(q_i)^T S / phi(q_i)^T z      S = S_in + sum_j phi(k_j) v_j^T
 *                                            z = z_in + sum_j phi(k_j)
 *
 * The sums run over all keys, or over j <= i when causal. (Katharopoulos and others 2020; in
 * chunks: Hua and others 2022, Yang and others 2023.)
 *
 * State      S and z, always together, f32 whatever the dtype of the rest. N calls of one row and
 *            one key, each with the state of the one before, equal one causal call of N; so does
 *            any other way to cut a sequence. state_in may be the very same tensors as state_out:
 *            no other overlap is allowed. A sequence of no keys hands its state on unchanged.
 * Features   of poly2, in the order of the axis F: c; sqrt(2c) x_a; x_a^2; sqrt(2) x_a x_b for
 *            a < b, row-major. They are made on the fly and never stored.
 * Edges      A denominator of 0 gives o = 0. So does Nk = 0 without a state. B, Hk = 0, or no
 *            rows and no state_out: success, nothing is launched. A NaN or inf in k_j or v_j
 *            changes nothing in rows that do not see key j.
 * Ragged     as in clattn_attention(); when causal, both cu_seqlens must be the same numbers.
 * Layout, blocking, result   as clattn_attention(); F and Dv of the states are rows and columns.
 *
 * @return CLATTN_OK
 *         CLATTN_ERR_ARG          as clattn_attention(); c negative, not finite, or given where it
 *                                 has no meaning; half of a state; the quadratic form with a state
 *         CLATTN_ERR_SHAPE        as clattn_attention(); causal with Nq != Nk; poly2 with D > 16384
 *         CLATTN_ERR_UNSUPPORTED, CLATTN_ERR_MEMORY, CLATTN_ERR_DEVICE, CLATTN_ERR_BUILD,
 *         CLATTN_ERR_VERSION
 */
CLATTN_API clattn_status
clattn_linear_attention(clattn_ctx *ctx, const struct clattn_linear_attention_params *params);

/** A plan, as those of clattn_plan_attention() and its sisters. @return as the operation */
CLATTN_API clattn_status
clattn_plan_linear_attention(clattn_ctx *ctx, const struct clattn_linear_attention_params *params,
                             clattn_plan **out);

/** Running it on other tensors, as clattn_plan_run_attention() and its sisters. */
CLATTN_API clattn_status
clattn_plan_run_linear_attention(clattn_plan *plan,
                                 const struct clattn_linear_attention_params *params);

#ifdef __cplusplus
}
#endif

#endif
