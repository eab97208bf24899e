/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_attention and its plan forms: everything is checked before anything happens. */
#include <math.h>
#include <string.h>

#include "attn_check.h"
#include "attn_cost.h"
#include "params.h"
#include "plan.h"

typedef struct clattn_attention_params attention_params;

#define SLOT(field, written) { #field, offsetof(cla_attn, field), written }
static const cla_slot slots[] = {
    SLOT(q, false),     SLOT(k, false),     SLOT(v, false),    SLOT(o, true),
    SLOT(lse, true),    SLOT(probs, true),  SLOT(mask, false), SLOT(bias, false),
    SLOT(alibi, false), SLOT(sinks, false), { "cu_seqlens_q", offsetof(cla_attn, cu_q), false },
    { "cu_seqlens_k", offsetof(cla_attn, cu_k), false },
    { "layout.lengths", offsetof(cla_attn, lengths), false },
    { "layout.block_table", offsetof(cla_attn, table), false },
    { "layout.k_scale", offsetof(cla_attn, k_scale), false },
    { "layout.v_scale", offsetof(cla_attn, v_scale), false },
    { NULL, 0, false },
};
#undef SLOT

static bool is_empty(const void *problem)
{
    const cla_attn *p = problem;
    return p->B == 0 || p->Hq == 0 || p->Nq == 0 || p->Tq == 0;
}

static bool wants_probs(const void *problem)
{
    const cla_attn *p = problem;
    return p->has_probs && p->probs.span > 0;
}

static void rebase(void *problem, int64_t floats)
{
    cla_attn *p = problem;
    p->work_k += floats;
    p->work_v += floats;
    p->work_o += floats;
    p->work_lse += floats;
}

const cla_op cla_op_attention = {
    .name = "attention",
    .size = sizeof(cla_attn),
    .slots = slots,
    .work = offsetof(cla_attn, work),
    .num_stages = 2,
    .stages = { { CLA_STAGE_ATTENTION, NULL }, { CLA_STAGE_PROBS, wants_probs } },
    .empty = is_empty,
    .cost = cla_attn_cost,
    .rebase = rebase,
};

/* ---- tensors ---- */

static const char OP[] = "attention";

static clattn_status make_view(clattn_ctx *ctx, const char *name, int rank, unsigned dtypes,
                               bool written, const clattn_tensor *t, cla_view *view)
{
    const cla_tensor_rule rule = { OP, name, rank, dtypes, written, false };
    return cla_view_make(ctx, &rule, t, view);
}

/* ---- optional tensors ---- */

static clattn_status lse_view(clattn_ctx *ctx, const attention_params *u, cla_attn *p)
{
    if (!cla_present(&u->lse))
        return CLATTN_OK;
    p->has_lse = 1;
    CLA_TRY(make_view(ctx, "lse", p->ragged ? 2 : 3, CLA_DTYPE_BIT(CLATTN_F32), true, &u->lse,
                      &p->lse));
    return cla_attn_check_rows(ctx, OP, "lse", p, &p->lse);
}

static clattn_status head_view(clattn_ctx *ctx, const char *name, const clattn_tensor *t,
                               const cla_attn *p, cla_view *view)
{
    CLA_TRY(make_view(ctx, name, 1, CLA_DTYPE_BIT(CLATTN_F32), false, t, view));
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
    CLA_TRY(make_view(ctx, "probs", 4, CLA_DTYPE_BIT(CLATTN_F32), true, &u->probs, &p->probs));
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
    return probs_view(ctx, u, p);
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

static clattn_status workspace_view(clattn_ctx *ctx, const attention_params *u, cla_attn *p)
{
    if (!cla_present(&u->workspace))
        return CLATTN_OK;
    CLA_TRY(make_view(ctx, "workspace", 1, CLA_DTYPE_BIT(CLATTN_U8), true, &u->workspace,
                      &p->work));
    CLA_REQUIRE(ctx, u->workspace.buffer, CLATTN_ERR_ARG,
                "attention: the workspace must be a buffer, not host memory");
    CLA_REQUIRE(ctx, p->work.offset % 64 == 0, CLATTN_ERR_ARG,
                "attention: the workspace starts at byte %lld, must be a multiple of 64",
                (long long)p->work.offset);
    for (const cla_slot *slot = slots; slot->name; slot++)
        CLA_REQUIRE(ctx, !cla_views_overlap(&p->work, cla_slot_view(slot, p)), CLATTN_ERR_ARG,
                    "attention: the workspace overlaps %s in memory", slot->name);
    return CLATTN_OK;
}

/* ---- entry points ---- */

/* The whole validation: params -> problem and pin. Nothing has happened when it fails. */
static clattn_status make_problem(clattn_ctx *ctx, const attention_params *user, cla_attn *p,
                                  cla_kv_bound bound, cla_pin *pin)
{
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, user, CLATTN_ERR_ARG, "attention: params is NULL");
    attention_params u;
    CLA_TRY(cla_params_read(ctx, OP, &u, sizeof u, user));
    memset(p, 0, sizeof *p);
    *pin = (cla_pin){ u.kernel, NULL };
    const bool exact = cla_present(&u.mask) || cla_present(&u.bias) || cla_present(&u.probs);
    const cla_kv_use use = { OP, u.kv, u.kv_sequence, &u.q, &u.k, &u.v, &u.layout,
                             &u.max_seqlen_k, exact };
    CLA_TRY(cla_attn_use_kv(ctx, &use, bound));
    const cla_attn_tensors tensors = { OP, &u.q, &u.k, &u.v, &u.o, &u.cu_seqlens_q,
                                       &u.cu_seqlens_k, u.max_seqlen_q, u.max_seqlen_k,
                                       &u.layout };
    CLA_TRY(cla_attn_check_tensors(ctx, &tensors, p));
    CLA_TRY(optional_views(ctx, &u, p));
    CLA_TRY(numbers(ctx, &u, p));
    cla_attn_limit_window(u.kv, p);
    CLA_TRY(workspace_view(ctx, &u, p));
    return cla_check_overlap(ctx, &cla_op_attention, p);
}

clattn_status clattn_attention(clattn_ctx *ctx, const attention_params *params)
{
    cla_attn p;
    cla_pin pin;
    CLA_TRY(make_problem(ctx, params, &p, CLA_KV_NOW, &pin));
    return cla_plan_call(ctx, &cla_op_attention, &p, &pin);
}

clattn_status clattn_plan_attention(clattn_ctx *ctx, const attention_params *params,
                                    clattn_plan **out)
{
    cla_attn p;
    cla_pin pin;
    if (out)
        *out = NULL;
    CLA_TRY(make_problem(ctx, params, &p, CLA_KV_ALL, &pin));
    CLA_REQUIRE(ctx, out, CLATTN_ERR_ARG, "clattn_plan_attention: out is NULL");
    CLA_TRY(cla_plan_make(ctx, &cla_op_attention, &p, &pin, out));
    cla_plan_hold_buffers(*out);
    return CLATTN_OK;
}

clattn_status cla_attention_run(clattn_plan *plan, const attention_params *params,
                                const cla_events *events)
{
    cla_attn p;
    cla_pin pin;
    CLA_TRY(cla_plan_enter(plan, &cla_op_attention));
    CLA_TRY(make_problem(plan->ctx, params, &p, CLA_KV_ALL, &pin));
    return cla_plan_run_on(plan, &p, events);
}

clattn_status clattn_plan_run_attention(clattn_plan *plan, const attention_params *params)
{
    static const cla_events none = { 0 };
    return cla_attention_run(plan, params, &none);
}
