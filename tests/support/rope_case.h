/* SPDX-License-Identifier: Apache-2.0 */
/* One rotary embedding as the tests see it. */
#ifndef TEST_ROPE_CASE_H
#define TEST_ROPE_CASE_H

#include "golden.h"
#include "memory.h"
#include "ref_projection.h"
#include "test_random.h"

typedef struct rope_spec {
    const char *name;
    int B, N, H, D;
    clattn_rotary rotary;
    float base; /* 0: 10000 */
    int64_t start;
    bool starts, in_place, bhnd; /* bhnd: memory [B][H][N][D] */
    clattn_dtype in, out;        /* NONE: f32; out NONE: as in */
} rope_spec;

typedef struct rope_run {
    rope_spec spec;
    size_t count;
    float *values;
    double *want, naive_err;
    test_memory x, y, starts;
    struct clattn_rope_params params;
} rope_run;

/* Tensors in buffers of ctx, or in host memory when ctx is NULL. */
void rope_run_make(rope_run *run, clattn_ctx *ctx, const rope_spec *spec, uint64_t seed);

/* A golden case of op rope; false when a number is not exact in the dtype. */
bool rope_run_of_golden(rope_run *run, clattn_ctx *ctx, const golden_case *c, clattn_dtype in,
                        clattn_dtype out);
void rope_run_poison(rope_run *run);
void rope_run_check(rope_run *run);
void rope_run_free(rope_run *run);

#endif
