/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_attention and its plan forms: everything is checked before anything happens. */
#include <math.h>

#include "attn_check.h"
#include "attn_cost.h"
#include "op.h"

typedef struct clattn_attention_params attention_params;

static const char OP[] = "attention";

static const cla_slot slots[] = {
    CLA_ATTN_SLOT(q, false),     CLA_ATTN_SLOT(k, false),    CLA_ATTN_SLOT(v, false),
    CLA_ATTN_SLOT(o, true),      CLA_ATTN_SLOT(lse, true),   CLA_ATTN_SLOT(probs, true),
    CLA_ATTN_SLOT(mask, false),  CLA_ATTN_SLOT(bias, false), CLA_ATTN_SLOT(alibi, false),
    CLA_ATTN_SLOT(sinks, false), CLA_ATTN_SEQUENCE_SLOTS,
    { "stats.entropy", offsetof(cla_attn, entropy), true },
    { "stats.distance", offsetof(cla_attn, distance), true },
    { "stats.top", offsetof(cla_attn, top), true },
    { "stats.top_keys", offsetof(cla_attn, top_keys), true },
    { "stats.keys", offsetof(cla_attn, keys), false },
    { "stats.chosen", offsetof(cla_attn, chosen), true },
    { "stats.mean", offsetof(cla_attn, mean), true },
    { NULL, 0, false },
};

static bool wants_probs(const void *problem)
{
    const cla_attn *p = problem;
    return p->has_probs && p->probs.span > 0;
}

static bool wants_stats(const void *problem)
{
    const cla_attn *p = problem;
    return p->has_stats;
}

static void rebase(void *problem, int64_t floats)
{
    cla_attn *p = problem;
    p->work_k += floats;
    p->work_v += floats;
    p->work_o += floats;
    p->work_lse += floats;
    p->work_rows += floats;
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem);

/* Nothing is appended. */
static cla_growth growth(const void *params, const void *problem)
{
    const attention_params *u = params;
    (void)problem;
    return (cla_growth){ .kv = u->kv };
}

const cla_op cla_op_attention = {
    .name = OP,
    .params = { .size = CLA_PARAMS_SIZE(attention_params),
                .kernel = offsetof(attention_params, kernel),
                .workspace = offsetof(attention_params, workspace),
                .check = check,
                .growth = growth },
    .size = sizeof(cla_attn),
    .slots = slots,
    .work = offsetof(cla_attn, work),
    .marks = offsetof(cla_attn, marks),
    .num_stages = 3,
    .stages = { { CLA_STAGE_ATTENTION, NULL },
                { CLA_STAGE_PROBS, wants_probs },
                { CLA_STAGE_STATS, wants_stats } },
    .empty = cla_attn_is_empty,
    .cost = cla_attn_cost,
    .rebase = rebase,
    .tuning = &cla_tuning_attention,
};

/* ---- optional tensors ---- */

static clattn_status lse_view(clattn_ctx *ctx, const attention_params *u, cla_attn *p)
{
    if (!cla_present(&u->lse))
        return CLATTN_OK;
    p->has_lse = 1;
    CLA_TRY(cla_view_of(ctx, OP, "lse", p->ragged ? 2 : 3, CLA_DTYPE_BIT(CLATTN_F32), true,
                        &u->lse, &p->lse));
    return cla_attn_check_rows(ctx, OP, "lse", p, &p->lse);
}

static clattn_status head_view(clattn_ctx *ctx, const char *name, const clattn_tensor *t,
                               const cla_attn *p, cla_view *view)
{
    CLA_TRY(cla_view_of(ctx, OP, name, 1, CLA_DTYPE_BIT(CLATTN_F32), false, t, view));
    CLA_REQUIRE(ctx, view->shape[0] == p->Hq, CLATTN_ERR_SHAPE,
                "attention: %s has %lld entries, must be Hq = %d", name,
                (long long)view->shape[0], p->Hq);
    return CLATTN_OK;
}

/* Probabilities are made from lse: without one of the caller's it lives in the workspace. */
static void lse_in_workspace(cla_attn *p)
{
    const int64_t B = p->ragged ? 1 : p->B;
    p->has_lse = 1;
    p->lse = (cla_view){ .dtype = CLATTN_F32,
                         .in_work = 1,
                         .span = B * p->Hq * p->Tq,
                         .shape = { B, p->Hq, p->Tq },
                         .stride = { p->ragged ? 0 : (int64_t)p->Hq * p->Tq, p->Tq, 1 } };
}

static clattn_status probs_view(clattn_ctx *ctx, const attention_params *u, cla_attn *p)
{
    if (!cla_present(&u->probs))
        return CLATTN_OK;
    CLA_TRY(cla_view_of(ctx, OP, "probs", 4, CLA_DTYPE_BIT(CLATTN_F32), true, &u->probs,
                        &p->probs));
    const int64_t *s = p->probs.shape;
    CLA_REQUIRE(ctx, s[0] == p->B && s[3] == p->Nk, CLATTN_ERR_SHAPE,
                "attention: probs is [%lld][%lld][%lld][%lld], must be [%d][heads][rows][%d]",
                (long long)s[0], (long long)s[1], (long long)s[2], (long long)s[3], p->B, p->Nk);
    CLA_REQUIRE(ctx,
                u->probs_head >= 0 && u->probs_head <= p->Hq && s[1] <= p->Hq - u->probs_head,
                CLATTN_ERR_SHAPE, "attention: probs of heads %lld to %lld, q has %d heads",
                (long long)u->probs_head, (long long)(u->probs_head + s[1] - 1), p->Hq);
    CLA_REQUIRE(ctx, u->probs_row >= 0 && u->probs_row <= p->Nq && s[2] <= p->Nq - u->probs_row,
                CLATTN_ERR_SHAPE, "attention: probs of rows %lld to %lld, q has %d rows",
                (long long)u->probs_row, (long long)(u->probs_row + s[2] - 1), p->Nq);
    p->has_probs = 1;
    p->probs_head = (int32_t)u->probs_head;
    p->probs_heads = (int32_t)s[1];
    p->probs_row = (int32_t)u->probs_row;
    p->probs_rows = (int32_t)s[2];
    if (!p->has_lse)
        lse_in_workspace(p);
    return CLATTN_OK;
}

static clattn_status optional_views(clattn_ctx *ctx, const attention_params *u, cla_attn *p)
{
    p->has_mask = cla_present(&u->mask);
    p->has_bias = cla_present(&u->bias);
    p->has_alibi = cla_present(&u->alibi);
    p->has_sinks = cla_present(&u->sinks);
    p->bias_type = p->has_bias ? (int32_t)u->bias.dtype : CLATTN_F32;
    CLA_TRY(lse_view(ctx, u, p));
    if (p->has_mask)
        CLA_TRY(cla_attn_check_scores(ctx, OP, "mask", CLA_DTYPE_BIT(CLATTN_U8), &u->mask, p,
                                      &p->mask));
    if (p->has_bias)
        CLA_TRY(cla_attn_check_scores(ctx, OP, "bias", CLA_DTYPES_FLOAT, &u->bias, p, &p->bias));
    if (p->has_alibi)
        CLA_TRY(head_view(ctx, "alibi", &u->alibi, p, &p->alibi));
    if (p->has_sinks)
        CLA_TRY(head_view(ctx, "sinks", &u->sinks, p, &p->sinks));
    CLA_TRY(probs_view(ctx, u, p));
    return cla_attn_check_stats(ctx, OP, &u->stats, p);
}

/* ---- numbers ---- */

static clattn_status numbers(clattn_ctx *ctx, const attention_params *u, cla_attn *p)
{
    CLA_REQUIRE(ctx, isfinite(u->scale), CLATTN_ERR_ARG, "attention: scale is %g",
                (double)u->scale);
    CLA_REQUIRE(ctx, isfinite(u->softcap) && u->softcap >= 0, CLATTN_ERR_ARG,
                "attention: softcap is %g, must be 0 (off) or positive", (double)u->softcap);
    p->scale = u->scale != 0 ? u->scale : (float)(1 / sqrt((double)p->D));
    p->softcap = u->softcap;
    p->has_softcap = u->softcap > 0;
    const cla_visibility seen = { u->causal, u->window, u->window_left, u->window_right };
    return cla_attn_check_visibility(ctx, OP, &seen, p);
}

/* ---- entry points ---- */

/* The whole validation: params -> problem. Nothing has happened when it fails. */
static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    attention_params *u = params;
    cla_attn *p = problem;
    const bool exact = cla_present(&u->mask) || cla_present(&u->bias) || cla_present(&u->probs)
                    || cla_present(&u->stats.mean);
    const cla_kv_use use = { OP, u->kv, u->kv_sequence, &u->q, &u->k, &u->v, &u->layout,
                             &u->max_seqlen_k, exact };
    CLA_TRY(cla_attn_use_kv(ctx, &use, once));
    const cla_attn_tensors tensors = { OP, &u->q, &u->k, &u->v, &u->o, &u->cu_seqlens_q,
                                       &u->cu_seqlens_k, u->max_seqlen_q, u->max_seqlen_k,
                                       &u->layout };
    CLA_TRY(cla_attn_check_tensors(ctx, &tensors, p));
    CLA_TRY(optional_views(ctx, u, p));
    CLA_TRY(numbers(ctx, u, p));
    cla_attn_limit_window(u->kv, p);
    return CLATTN_OK;
}

clattn_status clattn_attention(clattn_ctx *ctx, const attention_params *params)
{
    return cla_op_call(ctx, &cla_op_attention, params);
}

clattn_status clattn_plan_attention(clattn_ctx *ctx, const attention_params *params,
                                    clattn_plan **out)
{
    return cla_op_plan(ctx, &cla_op_attention, params, out);
}

clattn_status clattn_plan_run_attention(clattn_plan *plan, const attention_params *params)
{
    return cla_op_run(plan, &cla_op_attention, params, NULL);
}
