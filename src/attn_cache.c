/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values of a cache: each sequence has its own length, rows may be paged and quantised. */
#include "attn_check.h"

enum { LEAST_BOUND = 256 };

clattn_status cla_agree(clattn_ctx *ctx, const char *op, const char *what, const char *name_a,
                        int64_t a, const char *name_b, int64_t b)
{
    CLA_REQUIRE(ctx, a == b, CLATTN_ERR_SHAPE, "%s: %s has %lld %s, %s has %lld", op, name_b,
                (long long)b, what, name_a, (long long)a);
    return CLATTN_OK;
}

/* Every number of a host tensor lies in [0, most]. */
static clattn_status check_numbers(clattn_ctx *ctx, const char *op, const char *name,
                                   const cla_view *view, int64_t most)
{
    if (view->buffer || view->span == 0)
        return CLATTN_OK;
    const int64_t columns = view->shape[1] ? view->shape[1] : 1;
    for (int64_t b = 0; b < view->shape[0]; b++)
        for (int64_t i = 0; i < columns; i++) {
            const int64_t x =
                CLA_AT(const int32_t, *view)[b * view->stride[0] + i * view->stride[1]];
            CLA_REQUIRE(ctx, x >= 0 && x <= most, CLATTN_ERR_ARG,
                        "%s: %s of sequence %lld has a %lld, must be 0 to %lld", op, name,
                        (long long)b, (long long)x, (long long)most);
        }
    return CLATTN_OK;
}

static clattn_status table_view(clattn_ctx *ctx, const cla_attn_tensors *in, cla_attn *p)
{
    const clattn_tensor *t = &in->layout->block_table;
    const cla_tensor_rule rule = { in->op, "layout.block_table", 2, CLA_DTYPE_BIT(CLATTN_I32),
                                   false, false };
    const int64_t rows = p->k.shape[2], pages = p->k.shape[0];
    p->paged = cla_present(t);
    if (!p->paged)
        return CLATTN_OK;
    CLA_TRY(cla_view_make(ctx, &rule, t, &p->table));
    CLA_TRY(cla_agree(ctx, in->op, "batches", "q", p->B, rule.name, p->table.shape[0]));
    CLA_REQUIRE(ctx, cla_kv_page_rows_ok(rows), CLATTN_ERR_SHAPE,
                "%s: pages have %lld rows, must be a power of two, %d or more", in->op,
                (long long)rows, CLA_KV_LEAST_PAGE_ROWS);
    CLA_REQUIRE(ctx, pages >= 1, CLATTN_ERR_SHAPE, "%s: k has no pages", in->op);
    CLA_REQUIRE(ctx, p->table.shape[1] <= CLA_MAX_LENGTH / rows, CLATTN_ERR_SHAPE,
                "%s: %lld pages of %lld rows are more than %d rows", in->op,
                (long long)p->table.shape[1], (long long)rows, CLA_MAX_LENGTH);
    p->page_shift = cla_kv_page_shift(rows);
    p->last_page = (int32_t)pages - 1;
    p->Tk = p->Nk = (int32_t)(p->table.shape[1] * rows);
    return check_numbers(ctx, in->op, rule.name, &p->table, pages - 1);
}

/* i8: [..][Hk][rows]; i4: [..][Hk][rows][ceil(width / 32)]. */
static clattn_status scale_view(clattn_ctx *ctx, const char *op, const char *name,
                                const clattn_tensor *t, const cla_view *data, int32_t width,
                                cla_view *view)
{
    const bool groups = data->dtype == CLATTN_I4;
    if (data->dtype != CLATTN_I8 && !groups) {
        CLA_REQUIRE(ctx, !cla_present(t), CLATTN_ERR_ARG, "%s: %s is given, but rows are %s", op,
                    name, clattn_dtype_name((clattn_dtype)data->dtype));
        return CLATTN_OK;
    }
    const cla_tensor_rule rule = { op, name, groups ? 4 : 3, CLA_DTYPE_BIT(CLATTN_F32), false,
                                   !groups };
    CLA_TRY(cla_view_make(ctx, &rule, t, view));
    CLA_REQUIRE(ctx, view->shape[0] == data->shape[0], CLATTN_ERR_SHAPE,
                "%s: axis 0 of %s has length %lld, that of the rows %lld", op, name,
                (long long)view->shape[0], (long long)data->shape[0]);
    CLA_REQUIRE(ctx, view->shape[1] == data->shape[1] && view->shape[2] == data->shape[2],
                CLATTN_ERR_SHAPE, "%s: %s is for %lld heads of %lld rows, there are %lld of %lld",
                op, name, (long long)view->shape[1], (long long)view->shape[2],
                (long long)data->shape[1], (long long)data->shape[2]);
    CLA_REQUIRE(ctx, !groups || view->shape[3] == (width + 31) / 32, CLATTN_ERR_SHAPE,
                "%s: %s has %lld scales for a row of %d, must be one for each 32", op, name,
                (long long)view->shape[3], width);
    return CLATTN_OK;
}

clattn_status cla_attn_check_cache(clattn_ctx *ctx, const cla_attn_tensors *in, cla_attn *p)
{
    static const char lengths[] = "layout.lengths";
    if (!in->layout)
        return CLATTN_OK;
    const clattn_kv_layout *u = in->layout;
    CLA_REQUIRE(ctx,
                p->has_lengths
                    || !(cla_present(&u->block_table) || cla_present(&u->k_scale)
                         || cla_present(&u->v_scale)),
                CLATTN_ERR_ARG, "%s: layout has a block_table or scales, but no lengths", in->op);
    if (!p->has_lengths)
        return CLATTN_OK;
    const cla_tensor_rule rule = { in->op, lengths, 1, CLA_DTYPE_BIT(CLATTN_I32), false, false };
    CLA_TRY(table_view(ctx, in, p));
    CLA_TRY(cla_view_make(ctx, &rule, &u->lengths, &p->lengths));
    CLA_TRY(cla_agree(ctx, in->op, "batches", "q", p->B, lengths, p->lengths.shape[0]));
    CLA_REQUIRE(ctx, in->max_seqlen_k >= 0 && in->max_seqlen_k <= p->Tk, CLATTN_ERR_SHAPE,
                "%s: max_seqlen_k is %lld, the cache has room for %d rows", in->op,
                (long long)in->max_seqlen_k, p->Tk);
    p->Nk = in->max_seqlen_k ? (int32_t)in->max_seqlen_k : p->Tk;
    CLA_TRY(check_numbers(ctx, in->op, lengths, &p->lengths, p->Nk));
    CLA_TRY(scale_view(ctx, in->op, "layout.k_scale", &u->k_scale, &p->k, p->D, &p->k_scale));
    return scale_view(ctx, in->op, "layout.v_scale", &u->v_scale, &p->v, p->Dv, &p->v_scale);
}

/* ---- cache objects ---- */

static int64_t longest(const clattn_kv *kv, int64_t first, int64_t count)
{
    int64_t most = 0;
    for (int64_t b = first; b < first + count; b++) {
        const int64_t rows = cla_kv_rows(&kv->pages, (int32_t)b);
        most = rows > most ? rows : most;
    }
    return most;
}

/* Powers of two, so that a growing cache needs few plans. */
static int64_t bound_now(const cla_kv_use *use, int64_t room, int64_t rows)
{
    int64_t bound = LEAST_BOUND;
    if (use->exact)
        return rows;
    while (bound < rows)
        bound *= 2;
    return bound < room ? bound : room;
}

clattn_status cla_attn_use_kv(clattn_ctx *ctx, const cla_kv_use *use, bool once)
{
    if (!use->kv)
        return CLATTN_OK;
    const cla_kv_pages *p = &use->kv->pages;
    const int64_t count = use->q->rank == 4 ? use->q->shape[0] : 0;
    const int64_t room = (int64_t)p->most * p->page_rows;
    CLA_REQUIRE(ctx, !cla_present(use->k) && !cla_present(use->v)
                    && !cla_present(&use->layout->lengths), CLATTN_ERR_ARG,
                "%s: a cache and k, v or layout.lengths are both given", use->op);
    CLA_TRY(cla_kv_check(ctx, use->op, use->kv, use->sequence, count));
    CLA_TRY(clattn_kv_tensors(use->kv, use->sequence, count, use->k, use->v, use->layout));
    const int64_t rows = longest(use->kv, use->sequence, count);
    if (*use->max_seqlen_k == 0)
        *use->max_seqlen_k = once ? bound_now(use, room, rows) : room;
    CLA_REQUIRE(ctx, rows <= *use->max_seqlen_k, CLATTN_ERR_SHAPE,
                "%s: max_seqlen_k is %lld, the cache holds a sequence of %lld rows", use->op,
                (long long)*use->max_seqlen_k, (long long)rows);
    return CLATTN_OK;
}

void cla_attn_limit_window(const clattn_kv *kv, cla_attn *p)
{
    if (kv && kv->pages.window > 0 && p->left > kv->pages.window - 1)
        p->left = (int32_t)kv->pages.window - 1;
}
