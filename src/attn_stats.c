/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of clattn_attention_stats. */
#include "attn_check.h"

/* [B][Hq][Nq], wide: with one more axis. */
static clattn_status row_view(clattn_ctx *ctx, const char *op, const char *name,
                              clattn_dtype dtype, bool wide, const clattn_tensor *t,
                              const cla_attn *p, cla_view *view)
{
    const cla_tensor_rule rule = { op, name, (p->ragged ? 2 : 3) + wide, CLA_DTYPE_BIT(dtype), true,
                                   false };
    CLA_TRY(cla_view_make(ctx, &rule, t, view));
    return cla_attn_check_rows(ctx, op, name, p, view);
}

static clattn_status sums(clattn_ctx *ctx, const char *op, const clattn_attention_stats *u,
                          cla_attn *p)
{
    p->has_entropy = cla_present(&u->entropy);
    p->has_distance = cla_present(&u->distance);
    if (p->has_entropy)
        CLA_TRY(row_view(ctx, op, "stats.entropy", CLATTN_F32, false, &u->entropy, p,
                         &p->entropy));
    if (p->has_distance)
        CLA_TRY(row_view(ctx, op, "stats.distance", CLATTN_F32, false, &u->distance, p,
                         &p->distance));
    return CLATTN_OK;
}

static clattn_status best_keys(clattn_ctx *ctx, const char *op, const clattn_attention_stats *u,
                               cla_attn *p)
{
    CLA_REQUIRE(ctx, cla_present(&u->top) == cla_present(&u->top_keys), CLATTN_ERR_ARG,
                "%s: stats.top and stats.top_keys need each other", op);
    if (!cla_present(&u->top))
        return CLATTN_OK;
    CLA_TRY(row_view(ctx, op, "stats.top", CLATTN_F32, true, &u->top, p, &p->top));
    CLA_TRY(row_view(ctx, op, "stats.top_keys", CLATTN_I32, true, &u->top_keys, p, &p->top_keys));
    p->tops = (int32_t)p->top.shape[3];
    return cla_agree(ctx, op, "columns", "stats.top", p->tops, "stats.top_keys",
                     p->top_keys.shape[3]);
}

/* [B][Nq][C], ragged [Tq][C], which becomes [1][Tq][C]. */
static clattn_status keys_view(clattn_ctx *ctx, const char *op, const clattn_tensor *t,
                               cla_attn *p)
{
    const cla_tensor_rule rule = { op, "stats.keys", p->ragged ? 2 : 3, CLA_DTYPE_BIT(CLATTN_I32),
                                   false, false };
    CLA_TRY(cla_view_make(ctx, &rule, t, &p->keys));
    if (p->ragged)
        cla_attn_add_batch(&p->keys);
    const int64_t *s = p->keys.shape, B = p->ragged ? 1 : p->B;
    CLA_REQUIRE(ctx, s[0] == B && s[1] == p->Tq && s[2] == p->picks, CLATTN_ERR_SHAPE,
                "%s: stats.keys is [%lld][%lld][%lld], must be [%lld][%d][%d]", op,
                (long long)s[0], (long long)s[1], (long long)s[2], (long long)B, p->Tq, p->picks);
    return CLATTN_OK;
}

static clattn_status chosen_keys(clattn_ctx *ctx, const char *op, const clattn_attention_stats *u,
                                 cla_attn *p)
{
    CLA_REQUIRE(ctx, cla_present(&u->keys) == cla_present(&u->chosen), CLATTN_ERR_ARG,
                "%s: stats.keys and stats.chosen need each other", op);
    if (!cla_present(&u->keys))
        return CLATTN_OK;
    CLA_TRY(row_view(ctx, op, "stats.chosen", CLATTN_F32, true, &u->chosen, p, &p->chosen));
    p->picks = (int32_t)p->chosen.shape[3];
    return keys_view(ctx, op, &u->keys, p);
}

static clattn_status mean_rows(clattn_ctx *ctx, const char *op, const clattn_attention_stats *u,
                               cla_attn *p)
{
    const cla_tensor_rule rule = { op, "stats.mean", 3, CLA_DTYPE_BIT(CLATTN_F32), true, false };
    if (!cla_present(&u->mean))
        return CLATTN_OK;
    CLA_TRY(cla_view_make(ctx, &rule, &u->mean, &p->mean));
    const int64_t *s = p->mean.shape;
    CLA_REQUIRE(ctx, s[0] == p->B && s[2] == p->Nk, CLATTN_ERR_SHAPE,
                "%s: stats.mean is [%lld][%lld][%lld], must be [%d][rows][%d]", op,
                (long long)s[0], (long long)s[1], (long long)s[2], p->B, p->Nk);
    CLA_REQUIRE(ctx, u->mean_row >= 0 && u->mean_row <= p->Nq && s[1] <= p->Nq - u->mean_row,
                CLATTN_ERR_SHAPE, "%s: stats.mean is of rows %lld to %lld, q has %d rows", op,
                (long long)u->mean_row, (long long)(u->mean_row + s[1] - 1), p->Nq);
    p->has_mean = p->mean.span > 0;
    p->mean_row = (int32_t)u->mean_row;
    p->mean_rows = (int32_t)s[1];
    return CLATTN_OK;
}

clattn_status cla_attn_check_stats(clattn_ctx *ctx, const char *op,
                                   const clattn_attention_stats *u, cla_attn *p)
{
    CLA_TRY(sums(ctx, op, u, p));
    CLA_TRY(best_keys(ctx, op, u, p));
    CLA_TRY(chosen_keys(ctx, op, u, p));
    CLA_TRY(mean_rows(ctx, op, u, p));
    p->has_stats = p->has_entropy || p->has_distance || p->tops || p->picks || p->has_mean;
    return CLATTN_OK;
}
