/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_argmax and its plan forms. */
#include "attn_check.h"
#include "attn_cost.h"
#include "op.h"

typedef struct clattn_argmax_params argmax_params;

static const char OP[] = "argmax";

static const cla_slot slots[] = {
    CLA_ATTN_SLOT(q, false),    CLA_ATTN_SLOT(k, false), CLA_ATTN_SLOT(v, false),
    CLA_ATTN_SLOT(o, true),     CLA_ATTN_SLOT(index, true), CLA_ATTN_SLOT(mask, false),
    CLA_ATTN_SEQUENCE_SLOTS,    { NULL, 0, false },
};

static void rebase(void *problem, int64_t floats)
{
    cla_attn *p = problem;
    p->work_o += floats;
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem);

/* Nothing is appended. */
static cla_growth growth(const void *params, const void *problem)
{
    const argmax_params *u = params;
    (void)problem;
    return (cla_growth){ .kv = u->kv };
}

const cla_op cla_op_argmax = {
    .name = "argmax",
    .params = { .size = CLA_PARAMS_SIZE(argmax_params),
                .kernel = offsetof(argmax_params, kernel),
                .check = check,
                .growth = growth },
    .size = sizeof(cla_attn),
    .slots = slots,
    .work = offsetof(cla_attn, work),
    .num_stages = 1,
    .stages = { { CLA_STAGE_ARGMAX, NULL } },
    .empty = cla_attn_is_empty,
    .cost = cla_argmax_cost,
    .rebase = rebase,
    .tuning = &cla_tuning_argmax,
};

static clattn_status index_view(clattn_ctx *ctx, const argmax_params *u, cla_attn *p)
{
    const cla_tensor_rule rule = { OP, "index", p->ragged ? 2 : 3, CLA_DTYPE_BIT(CLATTN_I32), true,
                                   false };
    if (!cla_present(&u->index))
        return CLATTN_OK;
    p->has_index = 1;
    CLA_TRY(cla_view_make(ctx, &rule, &u->index, &p->index));
    return cla_attn_check_rows(ctx, OP, "index", p, &p->index);
}

/* The whole validation: params -> problem. Nothing has happened when it fails. */
static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    argmax_params *u = params;
    cla_attn *p = problem;
    p->scale = 1;
    p->bias_type = CLATTN_F32;
    const cla_kv_use use = { OP, u->kv, u->kv_sequence, &u->q, &u->k, &u->v, &u->layout,
                             &u->max_seqlen_k, cla_present(&u->mask) };
    CLA_TRY(cla_attn_use_kv(ctx, &use, once));
    const cla_attn_tensors tensors = { OP, &u->q, &u->k, &u->v, &u->o, &u->cu_seqlens_q,
                                       &u->cu_seqlens_k, u->max_seqlen_q, u->max_seqlen_k,
                                       &u->layout };
    CLA_TRY(cla_attn_check_tensors(ctx, &tensors, p));
    const bool quantised = p->kv_type == CLATTN_I8 || p->kv_type == CLATTN_I4;
    CLA_REQUIRE(ctx, p->out_type == (quantised ? CLATTN_F32 : p->kv_type), CLATTN_ERR_ARG,
                "argmax: o is %s and v is %s; o holds stored values, %s",
                clattn_dtype_name(u->o.dtype), clattn_dtype_name(u->v.dtype),
                quantised ? "which are f32" : "the dtypes must be the same");
    CLA_TRY(index_view(ctx, u, p));
    p->has_mask = cla_present(&u->mask);
    if (p->has_mask)
        CLA_TRY(cla_attn_check_scores(ctx, OP, "mask", CLA_DTYPE_BIT(CLATTN_U8), &u->mask, p,
                                      &p->mask));
    const cla_visibility seen = { u->causal, u->window, u->window_left, u->window_right };
    CLA_TRY(cla_attn_check_visibility(ctx, OP, &seen, p));
    cla_attn_limit_window(u->kv, p);
    return CLATTN_OK;
}

clattn_status clattn_argmax(clattn_ctx *ctx, const argmax_params *params)
{
    return cla_op_call(ctx, &cla_op_argmax, params);
}

clattn_status clattn_plan_argmax(clattn_ctx *ctx, const argmax_params *params, clattn_plan **out)
{
    return cla_op_plan(ctx, &cla_op_argmax, params, out);
}

clattn_status clattn_plan_run_argmax(clattn_plan *plan, const argmax_params *params)
{
    return cla_op_run(plan, &cla_op_argmax, params, NULL);
}
