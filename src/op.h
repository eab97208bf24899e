/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public forms of an operation, for its entry points. params is the caller's struct, NULL
 * included; everything is checked before the first side effect.
 */
#ifndef CLA_OP_H
#define CLA_OP_H

#include "plan.h"

/* clattn_NAME() where the rows it appends to a cache have got their room before. */
clattn_status cla_op_call_grown(clattn_ctx *ctx, const cla_op *op, const void *params);

/* clattn_NAME(), clattn_plan_NAME() and clattn_plan_run_NAME(); events NULL: none. */
clattn_status cla_op_call(clattn_ctx *ctx, const cla_op *op, const void *params);
clattn_status cla_op_plan(clattn_ctx *ctx, const cla_op *op, const void *params,
                          clattn_plan **out);
clattn_status cla_op_run(clattn_plan *plan, const cla_op *op, const void *params,
                         const cla_events *events);

#endif
