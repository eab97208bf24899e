/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_rope and its plan forms. */
#include "op.h"
#include "rotary.h"
#include "tensor.h"

static const char OP[] = "rope";

#define SLOT(field, written)                       \
    {                                              \
#field, offsetof(cla_rope, field), written \
    }
static const cla_slot slots[] = {
    SLOT(x, false),
    SLOT(starts, false),
    SLOT(y, true),
    { NULL, 0, false },
};
#undef SLOT

static bool is_empty(const void *problem)
{
    const cla_rope *p = problem;
    return p->B == 0 || p->N == 0 || p->H == 0;
}

/* Each pair: two multiplications and two multiply-adds. */
static cla_work cost(const void *problem)
{
    const cla_rope *p = problem;
    const double count = (double)p->B * p->N * p->H * p->D;
    return (cla_work){ .flops = 3 * count,
                       .bytes = count
                                * (double)(clattn_dtype_size((clattn_dtype)p->in_type)
                                           + clattn_dtype_size((clattn_dtype)p->out_type)) };
}

static bool in_place(const cla_slot *output, const cla_slot *input)
{
    return output->offset == offsetof(cla_rope, y) && input->offset == offsetof(cla_rope, x);
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem);

const cla_op cla_op_rope = {
    .name = OP,
    .params = { .size = CLA_PARAMS_SIZE(struct clattn_rope_params),
                .kernel = offsetof(struct clattn_rope_params, kernel),
                .check = check },
    .size = sizeof(cla_rope),
    .slots = slots,
    .work = offsetof(cla_rope, work),
    .num_stages = 1,
    .stages = { { CLA_STAGE_ROPE, NULL } },
    .empty = is_empty,
    .cost = cost,
    .varies = offsetof(cla_rope, start),
    .varies_size = sizeof(int64_t),
    .in_place = in_place,
    .tuning = &cla_tuning_rope,
};

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    struct clattn_rope_params *u = params;
    cla_rope *p = problem;
    (void)once;
    CLA_TRY(cla_view_of(ctx, OP, "x", 4, CLA_DTYPES_FLOAT, false, &u->x, &p->x));
    const unsigned outputs = CLA_DTYPE_BIT(p->x.dtype) | CLA_DTYPE_BIT(CLATTN_F32);
    CLA_TRY(cla_view_of(ctx, OP, "y", 4, outputs, true, &u->y, &p->y));
    const int64_t *s = p->x.shape;
    CLA_REQUIRE(ctx, s[3] >= 1, CLATTN_ERR_SHAPE, "rope: D is 0, must be at least 1");
    CLA_TRY(cla_check_shape(ctx, OP, "y", &p->y, 4, s));
    p->has_starts = cla_present(&u->starts);
    if (p->has_starts) {
        CLA_TRY(cla_view_of(ctx, OP, "starts", 1, CLA_DTYPE_BIT(CLATTN_I32), false, &u->starts,
                            &p->starts));
        CLA_TRY(cla_check_shape(ctx, OP, "starts", &p->starts, 1, s));
    }
    p->B = (int32_t)s[0];
    p->N = (int32_t)s[1];
    p->H = (int32_t)s[2];
    p->D = (int32_t)s[3];
    CLA_REQUIRE(ctx, u->rotary != CLATTN_ROTARY_NONE, CLATTN_ERR_ARG,
                "rope: rotary is 0 (none), must be 1 or 2");
    CLA_TRY(cla_rotary_check_start(ctx, OP, u->start, p->N));
    CLA_TRY(cla_rotary_check(ctx, OP, "x", u->rotary, p->D, &u->base));
    p->in_type = p->x.dtype;
    p->out_type = p->y.dtype;
    p->neox = u->rotary == CLATTN_ROTARY_NEOX;
    p->ratio = cla_rotary_ratio((double)u->base, p->D);
    p->start = u->start;
    return CLATTN_OK;
}

clattn_status clattn_rope(clattn_ctx *ctx, const struct clattn_rope_params *params)
{
    return cla_op_call(ctx, &cla_op_rope, params);
}

clattn_status clattn_plan_rope(clattn_ctx *ctx, const struct clattn_rope_params *params,
                               clattn_plan **out)
{
    return cla_op_plan(ctx, &cla_op_rope, params, out);
}

clattn_status clattn_plan_run_rope(clattn_plan *plan, const struct clattn_rope_params *params)
{
    return cla_op_run(plan, &cla_op_rope, params, NULL);
}
