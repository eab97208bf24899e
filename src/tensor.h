/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a caller's tensor a valid view. No OpenCL here. */
#ifndef CLA_TENSOR_H
#define CLA_TENSOR_H

#include "problem.h"
#include "status.h"

/* Sets of dtypes: bit per clattn_dtype. */
#define CLA_DTYPE_BIT(dtype) (1u << (dtype))
#define CLA_DTYPES_FLOAT \
    (CLA_DTYPE_BIT(CLATTN_F32) | CLA_DTYPE_BIT(CLATTN_F16) | CLA_DTYPE_BIT(CLATTN_BF16))

/* What an operation asks of one of its tensors. */
typedef struct cla_tensor_rule {
    const char *op, *name;
    int rank;
    unsigned dtypes;        /* CLA_DTYPE_BITs */
    bool written;
    bool any_last_stride;   /* the last axis need not be contiguous */
} cla_tensor_rule;

static inline bool cla_present(const clattn_tensor *t)
{
    return t->dtype != CLATTN_NONE;
}

/* Checks a tensor that must be present; fills the view. */
clattn_status cla_view_make(clattn_ctx *ctx, const cla_tensor_rule *rule, const clattn_tensor *t,
                            cla_view *view);

/* The same for a tensor whose last axis is contiguous. */
clattn_status cla_view_of(clattn_ctx *ctx, const char *op, const char *name, int rank,
                          unsigned dtypes, bool written, const clattn_tensor *t, cla_view *view);

/* The first rank axes of a view have these lengths. */
clattn_status cla_check_shape(clattn_ctx *ctx, const char *op, const char *name,
                              const cla_view *view, int rank, const int64_t *want);

/* [rows][M] as [1][rows][M]; a tensor of another rank as it is. */
clattn_tensor cla_with_batch(clattn_tensor t);

/*
 * Could the two views share a byte? Never says no when they do. Says no for views that interleave
 * with a common period (slices of one packed array).
 */
bool cla_views_overlap(const cla_view *a, const cla_view *b);

#endif
