/* SPDX-License-Identifier: Apache-2.0 */
/* An attention layer as golden cases have it: sizes, where the weights lie, plain loops. */
#ifndef LAYER_CASE_H
#define LAYER_CASE_H

#include "case.h"

/* H heads of K columns over M: weight [h][k][m] lies at h h_step + k k_step + m m_step. */
struct layer_weights {
    const float *w, *b; /* b [H][K] or NULL */
    int64_t H, K, M, h_step, k_step, m_step;
};

/* x row n of batch b starts at b b_step + n n_step. */
struct layer_case {
    int64_t B, N, M, Hq, Hk, D, Dv, cached, b_step, n_step;
    const float *x, *k_cache, *v_cache; /* caches [B][Hk][cached][D or Dv] */
    struct layer_weights q, k, v, out;  /* out: one head of M columns over Hq Dv */
    bool causal;
};

/* Dense results, each may be NULL: y as x lies, k and v [B][Hk][cached + N][D or Dv], probs
 * [B][Hq][N][cached + N]. */
struct layer_result {
    float *y, *k, *v, *probs;
};

/*
 * Plain loops: f32 sums with everything in between stored as dtype, or double ones as the truth.
 * Returns EXIT_OK or fail().
 */
int naive_layer(const struct layer_case *c, clattn_dtype dtype, bool in_double,
                struct layer_result *out);

#endif
