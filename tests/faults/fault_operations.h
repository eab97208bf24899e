/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation of the library on a small problem, all handled alike. */
#ifndef TEST_FAULT_OPERATIONS_H
#define TEST_FAULT_OPERATIONS_H

#include "attention_case.h"
#include "linear_case.h"
#include "projection_case.h"
#include "rope_case.h"
#include "row_case.h"

/* One operation, its tensors and numbers. */
typedef struct fault_case {
    union {
        attn_run attention;
        linear_run linear;
        proj_run projection;
        rope_run rope;
        row_run row;
        embedding_run embedding;
        struct {
            test_memory o_parts, lse_parts, o, lse;
            struct clattn_merge_params params;
        } merge;
    } run;
    void *data;         /* of attention, linear attention and projections */
    const void *params; /* of the operation */
} fault_case;

typedef struct fault_operation {
    const char *name;
    const void *spec;
    clattn_status (*call)(clattn_ctx *ctx, const void *params);
    clattn_status (*plan)(clattn_ctx *ctx, const void *params, clattn_plan **out);
    void (*make)(fault_case *c, clattn_ctx *ctx, const void *spec); /* ctx NULL: host memory */
    void (*check)(fault_case *c); /* fails the running test unless the outputs are right */
    void (*free)(fault_case *c);
} fault_operation;

extern const fault_operation fault_operations[]; /* name NULL ends */

#endif
