/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_rope and its plan forms. */
#include <string.h>

#include "op.h"
#include "rotary.h"
#include "tensor.h"

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
    .name = "rope",
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

static clattn_status make_view(clattn_ctx *ctx, const char *name, int rank, unsigned dtypes,
                               bool written, const clattn_tensor *t, cla_view *view)
{
    const cla_tensor_rule rule = { "rope", name, rank, dtypes, written, false };
    return cla_view_make(ctx, &rule, t, view);
}

static clattn_status sizes(clattn_ctx *ctx, cla_rope *p)
{
    static const char letters[] = "BNHD";
    const int64_t *s = p->x.shape;
    int32_t *const out[] = { &p->B, &p->N, &p->H, &p->D };
    for (int i = 0; i < 4; i++) {
        CLA_REQUIRE(ctx, s[i] >= (i == 3) && s[i] <= CLA_MAX_LENGTH, CLATTN_ERR_SHAPE,
                    "rope: %c is %lld, must be %d to %d", letters[i], (long long)s[i], i == 3,
                    CLA_MAX_LENGTH);
        CLA_REQUIRE(ctx, p->y.shape[i] == s[i], CLATTN_ERR_SHAPE,
                    "rope: axis %d of y has length %lld, that of x %lld", i,
                    (long long)p->y.shape[i], (long long)s[i]);
        *out[i] = (int32_t)s[i];
    }
    CLA_REQUIRE(ctx, !p->has_starts || p->starts.shape[0] == s[0], CLATTN_ERR_SHAPE,
                "rope: starts has %lld elements, x has B = %lld", (long long)p->starts.shape[0],
                (long long)s[0]);
    return CLATTN_OK;
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    struct clattn_rope_params *u = params;
    cla_rope *p = problem;
    (void)once;
    CLA_TRY(make_view(ctx, "x", 4, CLA_DTYPES_FLOAT, false, &u->x, &p->x));
    const unsigned outputs = CLA_DTYPE_BIT(p->x.dtype) | CLA_DTYPE_BIT(CLATTN_F32);
    CLA_TRY(make_view(ctx, "y", 4, outputs, true, &u->y, &p->y));
    p->has_starts = cla_present(&u->starts);
    if (p->has_starts)
        CLA_TRY(
            make_view(ctx, "starts", 1, CLA_DTYPE_BIT(CLATTN_I32), false, &u->starts, &p->starts));
    CLA_TRY(sizes(ctx, p));
    CLA_REQUIRE(ctx, u->rotary != CLATTN_ROTARY_NONE, CLATTN_ERR_ARG,
                "rope: rotary is 0 (none), must be 1 or 2");
    CLA_TRY(cla_rotary_check_start(ctx, "rope", u->start, p->N));
    CLA_TRY(cla_rotary_check(ctx, "rope", "x", u->rotary, p->D, &u->base));
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
