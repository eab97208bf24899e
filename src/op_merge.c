/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_merge and its plan forms. */
#include "op.h"
#include "tensor.h"

static const char OP[] = "merge";

#define SLOT(field, written) { #field, offsetof(cla_merge, field), written }
static const cla_slot slots[] = {
    SLOT(o_parts, false), SLOT(lse_parts, false), SLOT(o, true), SLOT(lse, true),
    { NULL, 0, false },
};
#undef SLOT

static bool is_empty(const void *problem)
{
    const cla_merge *p = problem;
    return p->B == 0 || p->H == 0 || p->N == 0;
}

/* An exponential and two multiply-adds per part and element. */
static cla_work cost(const void *problem)
{
    const cla_merge *p = problem;
    const double rows = (double)p->B * p->H * p->N, wide = rows * p->Dv;
    const double in = (double)clattn_dtype_size((clattn_dtype)p->in_type);
    const double out = (double)clattn_dtype_size((clattn_dtype)p->out_type);
    return (cla_work){ .flops = 2.0 * p->P * wide,
                       .bytes = p->P * (wide * in + 4 * rows) + wide * out
                              + (p->has_lse ? 4 * rows : 0) };
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem);

const cla_op cla_op_merge = {
    .name = OP,
    .params = { .size = CLA_PARAMS_SIZE(struct clattn_merge_params),
                .kernel = offsetof(struct clattn_merge_params, kernel),
                .check = check },
    .size = sizeof(cla_merge),
    .slots = slots,
    .work = offsetof(cla_merge, work),
    .num_stages = 1,
    .stages = { { CLA_STAGE_MERGE, NULL } },
    .empty = is_empty,
    .cost = cost,
    .tuning = &cla_tuning_merge,
};

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    const struct clattn_merge_params *u = params;
    cla_merge *p = problem;
    const unsigned f32 = CLA_DTYPE_BIT(CLATTN_F32);
    (void)once;
    CLA_TRY(cla_view_of(ctx, OP, "o_parts", 5, CLA_DTYPES_FLOAT, false, &u->o_parts, &p->o_parts));
    CLA_TRY(cla_view_of(ctx, OP, "lse_parts", 4, f32, false, &u->lse_parts, &p->lse_parts));
    CLA_TRY(cla_view_of(ctx, OP, "o", 4, CLA_DTYPES_FLOAT, true, &u->o, &p->o));
    p->has_lse = cla_present(&u->lse);
    if (p->has_lse)
        CLA_TRY(cla_view_of(ctx, OP, "lse", 3, f32, true, &u->lse, &p->lse));

    const int64_t *s = p->o_parts.shape;
    CLA_REQUIRE(ctx, s[4] >= 1, CLATTN_ERR_SHAPE, "merge: Dv is 0, must be at least 1");
    CLA_TRY(cla_check_shape(ctx, OP, "lse_parts", &p->lse_parts, 4, s));
    CLA_TRY(cla_check_shape(ctx, OP, "o", &p->o, 4, s + 1));
    if (p->has_lse)
        CLA_TRY(cla_check_shape(ctx, OP, "lse", &p->lse, 3, s + 1));
    p->P = (int32_t)s[0];
    p->B = (int32_t)s[1];
    p->H = (int32_t)s[2];
    p->N = (int32_t)s[3];
    p->Dv = (int32_t)s[4];
    p->in_type = p->o_parts.dtype;
    p->out_type = p->o.dtype;
    return CLATTN_OK;
}

clattn_status clattn_merge(clattn_ctx *ctx, const struct clattn_merge_params *params)
{
    return cla_op_call(ctx, &cla_op_merge, params);
}

clattn_status clattn_plan_merge(clattn_ctx *ctx, const struct clattn_merge_params *params,
                                clattn_plan **out)
{
    return cla_op_plan(ctx, &cla_op_merge, params, out);
}

clattn_status clattn_plan_run_merge(clattn_plan *plan, const struct clattn_merge_params *params)
{
    return cla_op_run(plan, &cla_op_merge, params, NULL);
}
