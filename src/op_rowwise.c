/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_rowwise and its plan forms. */
#include <math.h>

#include "op.h"
#include "tensor.h"

static const char OP[] = "rowwise";

#define SLOT(field, written)                          \
    {                                                 \
#field, offsetof(cla_rowwise, field), written \
    }
static const cla_slot slots[] = {
    SLOT(x, false), SLOT(weight, false), SLOT(bias, false), SLOT(y, true), { NULL, 0, false },
};
#undef SLOT

static bool is_empty(const void *problem)
{
    const cla_rowwise *p = problem;
    return p->B == 0 || p->N == 0;
}

/* Operations on an element, an exponential being one. */
static cla_work cost(const void *problem)
{
    static const double per_element[] = { 0, 7, 4, 4, 5, 9, 1 };
    const cla_rowwise *p = problem;
    const double count = (double)p->B * p->N * p->M;
    return (cla_work){ .flops = per_element[p->function] * count,
                       .bytes = count
                                * (double)(clattn_dtype_size((clattn_dtype)p->in_type)
                                           + clattn_dtype_size((clattn_dtype)p->out_type)) };
}

static bool in_place(const cla_slot *output, const cla_slot *input)
{
    return output->offset == offsetof(cla_rowwise, y) && input->offset == offsetof(cla_rowwise, x);
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem);

const cla_op cla_op_rowwise = {
    .name = OP,
    .params = { .size = CLA_PARAMS_SIZE(struct clattn_rowwise_params),
                .kernel = offsetof(struct clattn_rowwise_params, kernel),
                .check = check },
    .size = sizeof(cla_rowwise),
    .slots = slots,
    .work = offsetof(cla_rowwise, work),
    .num_stages = 1,
    .stages = { { CLA_STAGE_ROWWISE, NULL } },
    .empty = is_empty,
    .cost = cost,
    .in_place = in_place,
    .tuning = &cla_tuning_rowwise,
};

/* weight or bias: only a norm has them. */
static clattn_status vector(clattn_ctx *ctx, const cla_rowwise *p, const char *name,
                            const clattn_tensor *t, cla_view *view, int32_t *type, int32_t *has)
{
    *type = CLATTN_F32;
    *has = cla_present(t);
    if (!*has)
        return CLATTN_OK;
    CLA_REQUIRE(ctx, p->function == CLATTN_ROW_NORM, CLATTN_ERR_ARG,
                "rowwise: function %d has no %s, only a norm has", p->function, name);
    CLA_TRY(cla_view_of(ctx, OP, name, 1, CLA_DTYPES_FLOAT, false, t, view));
    CLA_REQUIRE(ctx, view->shape[0] == p->M, CLATTN_ERR_SHAPE,
                "rowwise: %s has %lld elements, rows of x have %d", name, (long long)view->shape[0],
                p->M);
    *type = view->dtype;
    return CLATTN_OK;
}

static clattn_status numbers(clattn_ctx *ctx, const struct clattn_rowwise_params *u, cla_rowwise *p)
{
    const bool norm = p->function == CLATTN_ROW_NORM;
    CLA_REQUIRE(ctx, isfinite(u->eps) && u->eps >= 0 && (norm || u->eps == 0), CLATTN_ERR_ARG,
                "rowwise: eps is %g, must be %s", (double)u->eps,
                norm ? "at least 0" : "0 for a function other than norm");
    const bool scaled = !norm && cla_rowwise_reduces(p);
    CLA_REQUIRE(ctx, isfinite(u->scale) && (scaled || u->scale == 0), CLATTN_ERR_ARG,
                "rowwise: scale is %g, must be %s", (double)u->scale,
                scaled ? "finite" : "0 for a function other than softmax");
    p->eps = u->eps;
    p->scale = u->scale != 0 ? u->scale : 1;
    return CLATTN_OK;
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    const struct clattn_rowwise_params *u = params;
    cla_rowwise *p = problem;
    (void)once;
    CLA_REQUIRE(ctx, (int)u->function >= CLATTN_ROW_NORM && u->function <= CLATTN_ROW_RELU,
                CLATTN_ERR_ARG, "rowwise: function is %d, must be 1 to 6", (int)u->function);
    p->function = (int32_t)u->function;
    const clattn_tensor x = cla_with_batch(u->x), y = cla_with_batch(u->y);
    CLA_TRY(cla_view_of(ctx, OP, "x", 3, CLA_DTYPES_FLOAT, false, &x, &p->x));
    const unsigned outputs = CLA_DTYPE_BIT(p->x.dtype) | CLA_DTYPE_BIT(CLATTN_F32);
    CLA_TRY(cla_view_of(ctx, OP, "y", 3, outputs, true, &y, &p->y));
    const int64_t *s = p->x.shape;
    CLA_REQUIRE(ctx, s[2] >= 1, CLATTN_ERR_SHAPE, "rowwise: M is 0, must be at least 1");
    CLA_TRY(cla_check_shape(ctx, OP, "y", &p->y, 3, s));
    p->B = (int32_t)s[0];
    p->N = (int32_t)s[1];
    p->M = (int32_t)s[2];
    CLA_TRY(numbers(ctx, u, p));
    CLA_TRY(vector(ctx, p, "weight", &u->weight, &p->weight, &p->weight_type, &p->has_weight));
    CLA_TRY(vector(ctx, p, "bias", &u->bias, &p->bias, &p->bias_type, &p->has_bias));
    p->in_type = p->x.dtype;
    p->out_type = p->y.dtype;
    return CLATTN_OK;
}

clattn_status clattn_rowwise(clattn_ctx *ctx, const struct clattn_rowwise_params *params)
{
    return cla_op_call(ctx, &cla_op_rowwise, params);
}

clattn_status clattn_plan_rowwise(clattn_ctx *ctx, const struct clattn_rowwise_params *params,
                                  clattn_plan **out)
{
    return cla_op_plan(ctx, &cla_op_rowwise, params, out);
}

clattn_status clattn_plan_run_rowwise(clattn_plan *plan, const struct clattn_rowwise_params *params)
{
    return cla_op_run(plan, &cla_op_rowwise, params, NULL);
}
