/* SPDX-License-Identifier: Apache-2.0 */
/* The public forms of every operation: in one call, as a plan, a plan on other tensors. */
#include "op.h"

#include <string.h>

#include "params.h"
#include "tensor.h"

const cla_op *const cla_ops[] = {
    &cla_op_attention,  &cla_op_merge, &cla_op_argmax, &cla_op_linear_attention,
    &cla_op_projection, &cla_op_rope,  &cla_op_append, &cla_op_rowwise,
    &cla_op_embedding,  NULL,
};

const cla_op *cla_op_find(const char *name)
{
    for (int i = 0; cla_ops[i]; i++)
        if (strcmp(cla_ops[i]->name, name) == 0)
            return cla_ops[i];
    return NULL;
}

typedef union params_copy {
    max_align_t align;
    char bytes[CLA_MAX_PARAMS];
} params_copy;

/* The caller's workspace, if it brings one. */
static clattn_status workspace_view(clattn_ctx *ctx, const cla_op *op, const clattn_tensor *given,
                                    void *problem)
{
    const cla_tensor_rule rule = { op->name, "workspace", 1, CLA_DTYPE_BIT(CLATTN_U8), true,
                                   false };
    cla_view *work = (cla_view *)((char *)problem + op->work);
    if (!cla_present(given))
        return CLATTN_OK;
    CLA_TRY(cla_view_make(ctx, &rule, given, work));
    CLA_REQUIRE(ctx, given->buffer, CLATTN_ERR_ARG,
                "%s: the workspace must be a buffer, not host memory", op->name);
    CLA_REQUIRE(ctx, work->offset % 64 == 0, CLATTN_ERR_ARG,
                "%s: the workspace starts at byte %lld, must be a multiple of 64", op->name,
                (long long)work->offset);
    for (const cla_slot *slot = op->slots; slot->name; slot++)
        CLA_REQUIRE(ctx, !cla_views_overlap(work, cla_slot_view(slot, problem)), CLATTN_ERR_ARG,
                    "%s: the workspace overlaps %s in memory", op->name, slot->name);
    return CLATTN_OK;
}

/* The whole validation: params -> problem and pin. Nothing has happened when it fails. */
static clattn_status make_problem(clattn_ctx *ctx, const cla_op *op, const void *user, bool once,
                                  cla_problem *problem, cla_growth *grow, cla_pin *pin)
{
    params_copy params;
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, user, CLATTN_ERR_ARG, "%s: params is NULL", op->name);
    CLA_TRY(cla_params_read(ctx, op->name, &params, op->params.size, user));
    memset(problem, 0, op->size);
    memcpy(&pin->kernel, params.bytes + op->params.kernel, sizeof pin->kernel);
    pin->t = NULL;
    CLA_TRY(op->params.check(ctx, &params, once, problem));
    *grow = op->params.growth && !op->empty(problem) ? op->params.growth(&params, problem)
                                                     : (cla_growth){ 0 };
    if (op->params.workspace)
        CLA_TRY(workspace_view(ctx, op,
                               (const clattn_tensor *)(params.bytes + op->params.workspace),
                               problem));
    return cla_check_overlap(ctx, op, problem);
}

clattn_status cla_op_call(clattn_ctx *ctx, const cla_op *op, const void *params)
{
    cla_problem problem;
    cla_pin pin;
    cla_growth grow;
    CLA_TRY(make_problem(ctx, op, params, true, &problem, &grow, &pin));
    return cla_plan_call_growing(ctx, op, &problem, &pin, &grow);
}

clattn_status cla_op_call_grown(clattn_ctx *ctx, const cla_op *op, const void *params)
{
    cla_problem problem;
    cla_pin pin;
    cla_growth grow;
    CLA_TRY(make_problem(ctx, op, params, true, &problem, &grow, &pin));
    return cla_plan_call(ctx, op, &problem, &pin);
}

clattn_status cla_op_plan(clattn_ctx *ctx, const cla_op *op, const void *params, clattn_plan **out)
{
    cla_problem problem;
    cla_pin pin;
    cla_growth grow;
    if (out)
        *out = NULL;
    CLA_TRY(make_problem(ctx, op, params, false, &problem, &grow, &pin));
    CLA_REQUIRE(ctx, out, CLATTN_ERR_ARG, "clattn_plan_%s: out is NULL", op->name);
    CLA_TRY(cla_plan_make(ctx, op, &problem, &pin, out));
    cla_plan_hold_buffers(*out);
    (*out)->grow = grow;
    (*out)->cost = op->cost(&problem);
    return CLATTN_OK;
}

clattn_status cla_op_run(clattn_plan *plan, const cla_op *op, const void *params,
                         const cla_events *events)
{
    static const cla_events none = { 0 };
    cla_problem problem;
    cla_pin pin;
    CLA_TRY(cla_plan_enter(plan, op));
    cla_growth grow;
    CLA_TRY(make_problem(plan->ctx, op, params, false, &problem, &grow, &pin));
    return cla_plan_run_on(plan, &problem, &grow, events ? events : &none);
}
