/* SPDX-License-Identifier: Apache-2.0 */
/* One function of rows, and one embedding, as the tests see them. */
#ifndef TEST_ROW_CASE_H
#define TEST_ROW_CASE_H

#include "memory.h"
#include "ref_row.h"
#include "test_random.h"

typedef struct row_spec {
    const char *name;
    clattn_row_function function;
    int B, N, M;
    clattn_dtype in, out, vector_type; /* NONE: f32; out NONE: as in */
    float spread, center;              /* of x; spread 0: 1 */
    float eps, scale;
    bool vectors, in_place, padded, flat; /* flat: [rows][M] */
    bool specials;                        /* rows of -inf, a NaN, +inf */
} row_spec;

typedef struct row_run {
    row_spec spec;
    size_t count;
    float *values;
    double *want, naive_err;
    test_memory x, y, weight, bias;
    struct clattn_rowwise_params params;
} row_run;

/* Tensors in buffers of ctx, or in host memory when ctx is NULL. */
void row_run_make(row_run *run, clattn_ctx *ctx, const row_spec *spec, uint64_t seed);
void row_run_poison(row_run *run);
void row_run_check(row_run *run);
void row_run_free(row_run *run);

typedef struct embedding_spec {
    const char *name;
    int B, N, M, V, P, T; /* P, T: 0 without positions, types */
    clattn_dtype in, out; /* NONE: f32; out NONE: as in */
    int start;
    bool starts, type_ids, padded;
    bool wild; /* some ids, types and starts are outside their tables */
} embedding_spec;

typedef struct embedding_run {
    embedding_spec spec;
    size_t count;
    double *want;
    test_memory ids, table, positions, type_ids, types, starts, y;
    struct clattn_embedding_params params;
} embedding_run;

void embedding_run_make(embedding_run *run, clattn_ctx *ctx, const embedding_spec *spec,
                        uint64_t seed);
void embedding_run_poison(embedding_run *run);
void embedding_run_check(embedding_run *run);
void embedding_run_free(embedding_run *run);

#endif
