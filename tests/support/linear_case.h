/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One linear attention problem as the tests see it: linear_spec says what to compute, linear_data
 * holds the numbers of both references, linear_run the tensors on a device or the host.
 */
#ifndef TEST_LINEAR_CASE_H
#define TEST_LINEAR_CASE_H

#include "attention_case.h"
#include "golden.h"
#include "memory.h"
#include "ref_linear.h"
#include "test_random.h"

typedef struct linear_spec {
    const char *name;
    int B, Hq, Hk, Nq, Nk, D, Dv;
    clattn_dtype in, out; /* NONE: f32; out NONE: as in */
    clattn_feature_map map;
    float c; /* poly2; 0: 1 */
    bool homogeneous;
    float scale; /* 0: 1 */
    float spread; /* of q and k; 0: 1 */
    bool causal, unnormalized;
    clattn_linear_form form;
    bool state_in, state_out, in_place; /* in_place: one pair of tensors for both */
    const int *lens_q, *lens_k; /* [B], ragged when given; Nq and Nk are ignored */
    attn_layout layout;
} linear_spec;

typedef struct linear_data {
    linear_spec spec; /* defaults filled in */
    ref_linear ref;
    int F;
    float *q, *k, *v, *in_kv, *in_z;
    int32_t *cu_q, *cu_k;
    size_t q_rows, k_rows; /* Tq and Tk, or Nq and Nk */
    size_t count_q, count_k, count_v, count_o, count_kv, count_z;
    double *o, *kv, *z; /* expected */
    double naive_o, naive_kv, naive_z; /* errors of the naive implementation */
} linear_data;

/* Random numbers by the spec. The same seed gives the same numbers. */
linear_data *linear_data_make(const linear_spec *spec, uint64_t seed);

/* Of a golden case, or NULL when a number is not exact in the dtype. */
linear_data *linear_data_of_golden(const golden_case *c, clattn_dtype in, clattn_dtype out);

/* Computes what is expected again, after q, k, v or the state have been changed. */
void linear_data_update(linear_data *data);
void linear_data_free(linear_data *data);

typedef struct linear_run {
    const linear_data *data;
    test_memory q, k, v, o, in_kv, in_z, out_kv, out_z, cu_q, cu_k;
    struct clattn_linear_attention_params params;
} linear_run;

/* Tensors in buffers of ctx, or in host memory when ctx is NULL. */
void linear_run_make(linear_run *run, clattn_ctx *ctx, const linear_data *data);
void linear_run_free(linear_run *run);

/* Makes all outputs NaN again; an in-place state is what it was before. */
void linear_run_poison(linear_run *run);

/* Compares every output by the pass rule and checks that nothing else was written. */
void linear_run_check(linear_run *run);

/* The o of a run, dense; to be freed. */
float *linear_run_output(linear_run *run);

/* linear_run_make, clattn_linear_attention, linear_run_check, linear_run_free. */
void linear_check(clattn_ctx *ctx, bool host, const linear_data *data, const char *kernel);

#endif
