/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_kv_append: rows into a KV cache. */

#include "attn_cost.h"
#include "kv.h"
#include "op.h"
#include "rotary.h"
#include "tensor.h"

typedef struct clattn_kv_append_params append_params;

static const char OP[] = "kv_append";

#define SLOT(field, written) { #field, offsetof(cla_append, field), written }
static const cla_slot slots[] = {
    SLOT(k, false),       SLOT(v, false),         SLOT(k_rows, true),
    SLOT(v_rows, true),   SLOT(k_scale, true),    SLOT(v_scale, true),
    SLOT(starts, false),  SLOT(positions, false), SLOT(table, false),
    { NULL, 0, false },
};
#undef SLOT

static bool is_empty(const void *problem)
{
    const cla_append *p = problem;
    return p->B == 0 || p->N == 0;
}

static cla_work cost(const void *problem)
{
    const cla_append *p = problem;
    const double rows = (double)p->B * p->Hk * p->N;
    const double read = cla_row_bytes(p->in_type, p->D) + cla_row_bytes(p->in_type, p->Dv);
    const double written = cla_row_bytes(p->kv_type, p->D) + cla_row_bytes(p->kv_type, p->Dv);
    return (cla_work){ .flops = rows * (p->rotary ? 3.0 * p->D : 0),
                       .bytes = rows * (read + written) };
}

static void rebase(void *problem, int64_t floats)
{
    cla_append *p = problem;
    p->work_rows += floats;
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem);
static cla_growth growth(const void *params, const void *problem);

const cla_op cla_op_append = {
    .name = OP,
    .params = { .size = CLA_PARAMS_SIZE(append_params),
                .kernel = offsetof(append_params, kernel),
                .check = check,
                .growth = growth },
    .size = sizeof(cla_append),
    .slots = slots,
    .work = offsetof(cla_append, work),
    .num_stages = 1,
    .stages = { { CLA_STAGE_APPEND, NULL } },
    .empty = is_empty,
    .cost = cost,
    .rebase = rebase,
};

/* ---- the problem ---- */

static clattn_status input_view(clattn_ctx *ctx, const char *name, const clattn_tensor *t,
                                int64_t heads, int64_t width, cla_view *view)
{
    const cla_tensor_rule rule = { OP, name, 4, CLA_DTYPES_FLOAT, false, false };
    CLA_TRY(cla_view_make(ctx, &rule, t, view));
    CLA_REQUIRE(ctx, view->shape[1] == heads && view->shape[3] == width, CLATTN_ERR_SHAPE,
                "kv_append: %s has %lld heads of width %lld, the cache has %lld of %lld", name,
                (long long)view->shape[1], (long long)view->shape[3], (long long)heads,
                (long long)width);
    return CLATTN_OK;
}

static clattn_status inputs(clattn_ctx *ctx, const append_params *u, cla_append *p)
{
    CLA_TRY(input_view(ctx, "k", &u->k, u->kv->Hk, u->kv->D, &p->k));
    CLA_TRY(input_view(ctx, "v", &u->v, u->kv->Hk, u->kv->Dv, &p->v));
    const int64_t *k = p->k.shape, *v = p->v.shape;
    CLA_REQUIRE(ctx, k[0] == v[0] && k[2] == v[2], CLATTN_ERR_SHAPE,
                "kv_append: k has %lld rows in %lld batches, v %lld in %lld", (long long)k[2],
                (long long)k[0], (long long)v[2], (long long)v[0]);
    CLA_REQUIRE(ctx, p->k.dtype == p->v.dtype, CLATTN_ERR_ARG,
                "kv_append: k is %s and v is %s; they must have one dtype",
                clattn_dtype_name(u->k.dtype), clattn_dtype_name(u->v.dtype));
    p->B = (int32_t)k[0];
    p->N = (int32_t)k[2];
    p->in_type = p->k.dtype;
    return CLATTN_OK;
}

static clattn_status own_view(clattn_ctx *ctx, const char *name, clattn_tensor t, bool written,
                              cla_view *view)
{
    const cla_tensor_rule rule = { OP, name, t.rank, CLA_DTYPE_BIT(t.dtype), written, true };
    return t.dtype == CLATTN_NONE ? CLATTN_OK : cla_view_make(ctx, &rule, &t, view);
}

/* Everything that follows from the cache and the sequences [first, first + count). */
static clattn_status target(clattn_ctx *ctx, clattn_kv *kv, int64_t first, int64_t count,
                            cla_append *p)
{
    p->Hk = kv->Hk;
    p->D = kv->D;
    p->Dv = kv->Dv;
    p->kv_type = (int32_t)kv->dtype;
    p->paged = kv->paged;
    p->page_shift = cla_kv_page_shift(kv->pages.page_rows);
    p->last_page = kv->pages.num_pages - 1;
    clattn_tensor k, v;
    clattn_kv_layout layout;
    CLA_TRY(clattn_kv_tensors(kv, first, count, &k, &v, &layout));
    CLA_TRY(own_view(ctx, "k rows", k, true, &p->k_rows));
    CLA_TRY(own_view(ctx, "v rows", v, true, &p->v_rows));
    CLA_TRY(own_view(ctx, "k scales", layout.k_scale, true, &p->k_scale));
    CLA_TRY(own_view(ctx, "v scales", layout.v_scale, true, &p->v_scale));
    CLA_TRY(own_view(ctx, "starts", cla_kv_state(kv, CLA_KV_STARTS, first, count), false,
                     &p->starts));
    CLA_TRY(own_view(ctx, "positions", cla_kv_state(kv, CLA_KV_POSITIONS, first, count), false,
                     &p->positions));
    return own_view(ctx, "table", cla_kv_table(kv, first, count), false, &p->table);
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    append_params *u = params;
    cla_append *p = problem;
    (void)once;
    CLA_REQUIRE(ctx, u->kv, CLATTN_ERR_ARG, "kv_append: kv is NULL");
    CLA_TRY(cla_kv_check(ctx, OP, u->kv, u->sequence, 0));
    CLA_TRY(inputs(ctx, u, p));
    CLA_TRY(cla_kv_check(ctx, OP, u->kv, u->sequence, p->B));
    if (u->rotary != CLATTN_ROTARY_NONE)
        CLA_TRY(cla_rotary_check(ctx, OP, "k", u->rotary, u->kv->D, &u->rotary_base));
    p->rotary = (int32_t)u->rotary;
    p->ratio = p->rotary ? cla_rotary_ratio((double)u->rotary_base, u->kv->D) : 0;
    return target(ctx, u->kv, u->sequence, p->B, p);
}

static cla_growth growth(const void *params, const void *problem)
{
    const append_params *u = params;
    const cla_append *p = problem;
    return (cla_growth){ u->kv, (int32_t)u->sequence, p->B, p->N };
}

clattn_status clattn_kv_append(clattn_ctx *ctx, const append_params *params)
{
    return cla_op_call(ctx, &cla_op_append, params);
}
