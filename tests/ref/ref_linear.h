/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear attention as plain as can be: token by token through the state, in double, and once more
 * in float as the naive implementation of the pass rule.
 */
#ifndef REF_LINEAR_H
#define REF_LINEAR_H

#include <clattn/clattn.h>

/* Arrays are dense. Ragged when cu_q is given: Nq and Nk are then the longest sequences. */
typedef struct ref_linear {
    int B, Hq, Hk, Nq, Nk, D, Dv;
    const float *q; /* [B][Hq][Nq][D], ragged [Tq][Hq][D] */
    const float *k; /* [B][Hk][Nk][D], ragged [Tk][Hk][D] */
    const float *v; /* [B][Hk][Nk][Dv], ragged [Tk][Hk][Dv] */
    const float *in_kv, *in_z; /* [B][Hk][F][Dv] and [B][Hk][F], or NULL */
    const int32_t *cu_q, *cu_k; /* [B+1] or NULL */
    clattn_feature_map map;
    float c;     /* poly2, as it is */
    float scale; /* of q, as it is */
    bool causal, unnormalized;
} ref_linear;

/* F of a map. */
int ref_linear_features(clattn_feature_map map, int D);

/* o as q with Dv in place of D; kv [B][Hk][F][Dv] and z [B][Hk][F] may be NULL. */
void ref_linear_attention(const ref_linear *p, double *o, double *kv, double *z);

/* The same with float sums; o is rounded to out_type as it is stored. */
void ref_linear_attention_naive(const ref_linear *p, clattn_dtype out_type, float *o, float *kv,
                                float *z);

#endif
