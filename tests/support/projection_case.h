/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One projection as the tests see it: what to compute (proj_spec), the numbers (proj_data), and
 * tensors ready to call (proj_run).
 */
#ifndef TEST_PROJECTION_CASE_H
#define TEST_PROJECTION_CASE_H

#include "golden.h"
#include "memory.h"
#include "ref_projection.h"
#include "test_random.h"

/* Memory of w. */
typedef enum w_layout {
    W_DENSE,      /* [H][K][M] */
    W_FLAT,       /* [out][M], torch's */
    W_PADDED,     /* [K][H][M] with elements between rows, at an odd offset */
    W_TRANSPOSED, /* [M][H][K] */
    W_EINSUM,     /* [H][M][K] */
    W_SCATTERED,  /* [K][M][H] with gaps: no axis is contiguous */
} w_layout;

/* Memory of y and of a residual. */
typedef enum y_layout {
    Y_DENSE,  /* [B][N][H][K] */
    Y_FLAT,   /* [B][N][out] */
    Y_ROWS,   /* [rows][out], and x [rows][M] */
    Y_BHNK,   /* [B][H][N][K] */
    Y_PADDED, /* [N][B][H][K] with elements between heads, at an odd offset */
} y_layout;

typedef struct proj_part_spec {
    int H, K;
    clattn_rotary rotary;
    float base;
    bool bias, residual, in_place; /* in_place: the residual is y itself */
} proj_part_spec;

typedef struct proj_spec {
    const char *name;
    int B, N, M;
    proj_part_spec part[CLATTN_MAX_PARTS];             /* H 0 ends */
    clattn_dtype in, out, w;                           /* NONE: f32; out and w NONE: as in */
    clattn_dtype bias_type, residual_type, scale_type; /* NONE: f32; in_place: as out */
    w_layout w_layout;
    y_layout y_layout;
    int64_t start;
    bool starts; /* a position for each sequence instead */
} proj_spec;

typedef struct proj_data {
    proj_spec spec; /* defaults filled in */
    int parts, rows;
    float *x;
    int32_t *starts;
    int64_t *positions;
    struct {
        ref_proj ref;
        unsigned char *stored; /* quantised weights */
        float *values;         /* weights that are not */
        double *w;
        float *scale, *bias, *residual;
        double *y, naive_err;
    } part[CLATTN_MAX_PARTS];
} proj_data;

proj_data *proj_data_make(const proj_spec *spec, uint64_t seed);

/* Of a golden case of op projection, or NULL when a number is not exact in the dtype. */
proj_data *proj_data_of_golden(const golden_case *c, clattn_dtype in, clattn_dtype out);
void proj_data_free(proj_data *d);

typedef struct proj_run {
    const proj_data *data;
    test_memory x, starts;
    struct {
        test_memory w, scale, bias, residual, y;
    } part[CLATTN_MAX_PARTS];
    struct clattn_projection_params params;
} proj_run;

/* Tensors in buffers of ctx, or in host memory when ctx is NULL. */
void proj_run_make(proj_run *run, clattn_ctx *ctx, const proj_data *data);
void proj_run_free(proj_run *run);

/* Makes all outputs NaN again, or the residual where they are one. */
void proj_run_poison(proj_run *run);

/* Compares every output by the pass rule and checks that nothing else was written. */
void proj_run_check(proj_run *run);

/* All of it: make, clattn_projection, check, free. kernel may be NULL. */
void proj_check(clattn_ctx *ctx, bool host, const proj_data *data, const char *kernel);

#endif
