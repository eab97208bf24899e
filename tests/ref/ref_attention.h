/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention as plain as can be, for comparison: in double, and once more in float as the
 * naive implementation of the pass rule. Inputs are floats because every storage type converts to
 * float exactly.
 */
#ifndef REF_ATTENTION_H
#define REF_ATTENTION_H

#include <clattn/clattn.h>

/* Arrays are dense. Ragged when cu_q is given: Nq and Nk are then the longest sequences. */
typedef struct ref_attn {
    int B, Hq, Hk, Nq, Nk, D, Dv;
    const float *q; /* [B][Hq][Nq][D], ragged [Tq][Hq][D] */
    const float *k; /* [B][Hk][Nk][D], ragged [Tk][Hk][D] */
    const float *v; /* [B][Hk][Nk][Dv], ragged [Tk][Hk][Dv] */
    const uint8_t *mask; /* or NULL; axes of length 1 repeat */
    int mask_shape[4];
    const float *bias; /* or NULL; axes of length 1 repeat */
    int bias_shape[4];
    const float *alibi; /* [Hq] or NULL */
    const float *sinks; /* [Hq] or NULL */
    const int32_t *cu_q, *cu_k; /* [B+1] or NULL */
    float scale;                /* 0: 1/sqrt(D) */
    float softcap;              /* 0: off */
    clattn_causal causal;
    bool window;
    int64_t left, right; /* -1: unbounded */
} ref_attn;

/* Rows and keys of sequence b, and where they start in the packed rows (0 when not ragged). */
typedef struct ref_seq {
    int q0, nq, k0, nk;
} ref_seq;

ref_seq ref_seq_of(const ref_attn *p, int b);
bool ref_visible(const ref_attn *p, int b, int h, int i, int j);

/* Row numbers of dense q (and o), k (and v), lse. */
size_t ref_q_row(const ref_attn *p, int b, int h, int i);
size_t ref_k_row(const ref_attn *p, int b, int h, int j);
size_t ref_lse_row(const ref_attn *p, int b, int h, int i);

/*
 * o as q with Dv in place of D; lse [B][Hq][Nq], ragged [Hq][Tq]; probs [B][Hq][Nq][Nk], 0 at
 * masked positions and past the end of a ragged sequence. lse and probs may be NULL.
 */
void ref_attention(const ref_attn *p, double *o, double *lse, double *probs);

/*
 * The same with float sums and scores; o is rounded to out_type as it is stored. q.k can be summed
 * in several orders, each as naive as the others.
 */
enum { REF_NAIVE_ORDERS = 4 };
void ref_attention_naive(const ref_attn *p, int order, clattn_dtype out_type, float *o, float *lse,
                         float *probs);

/* o_parts [P][rows][Dv], lse_parts [P][rows] -> o [rows][Dv], lse [rows]. lse may be NULL. */
void ref_merge(int P, size_t rows, int Dv, const float *o_parts, const float *lse_parts, double *o,
               double *lse);
void ref_merge_naive(int P, size_t rows, int Dv, const float *o_parts, const float *lse_parts,
                     clattn_dtype out_type, float *o, float *lse);

#endif
