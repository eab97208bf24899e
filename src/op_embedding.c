/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_embedding and its plan forms. */
#include "op.h"
#include "tensor.h"

#define SLOT(field, written)                            \
    {                                                   \
#field, offsetof(cla_embedding, field), written \
    }
static const cla_slot slots[] = {
    SLOT(ids, false),   SLOT(table, false),  SLOT(positions, false), SLOT(type_ids, false),
    SLOT(types, false), SLOT(starts, false), SLOT(y, true),          { NULL, 0, false },
};
#undef SLOT

static bool is_empty(const void *problem)
{
    const cla_embedding *p = problem;
    return p->B == 0 || p->N == 0;
}

/* The rows that are read, whichever they are. */
static cla_work cost(const void *problem)
{
    const cla_embedding *p = problem;
    const double count = (double)p->B * p->N * p->M;
    const double tables = 1 + p->has_positions + p->has_types;
    return (cla_work){ .flops = (tables - 1) * count,
                       .bytes = count
                                * (tables * (double)clattn_dtype_size((clattn_dtype)p->in_type)
                                   + (double)clattn_dtype_size((clattn_dtype)p->out_type)) };
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem);

const cla_op cla_op_embedding = {
    .name = "embedding",
    .params = { .size = CLA_PARAMS_SIZE(struct clattn_embedding_params),
                .kernel = offsetof(struct clattn_embedding_params, kernel),
                .check = check },
    .size = sizeof(cla_embedding),
    .slots = slots,
    .work = offsetof(cla_embedding, work),
    .num_stages = 1,
    .stages = { { CLA_STAGE_EMBEDDING, NULL } },
    .empty = is_empty,
    .cost = cost,
    .varies = offsetof(cla_embedding, start),
    .varies_size = sizeof(int64_t),
    .tuning = &cla_tuning_embedding,
};

/* A tensor, if it is there, with the lengths that its axes must have; -1: at least 1. */
static clattn_status make_view(clattn_ctx *ctx, const char *name, unsigned dtypes, bool written,
                               const clattn_tensor *t, int rank, const int64_t *want,
                               cla_view *view)
{
    const cla_tensor_rule rule = { "embedding", name, rank, dtypes, written, false };
    CLA_TRY(cla_view_make(ctx, &rule, t, view));
    for (int i = 0; i < rank; i++) {
        const int64_t length = view->shape[i];
        CLA_REQUIRE(ctx, want[i] < 0 ? length >= 1 : length == want[i], CLATTN_ERR_SHAPE,
                    want[i] < 0 ? "embedding: axis %d of %s has length %lld, needs 1 at least"
                                : "embedding: axis %d of %s has length %lld, needs %lld",
                    i, name, (long long)length, (long long)want[i]);
        CLA_REQUIRE(ctx, length <= CLA_MAX_LENGTH, CLATTN_ERR_SHAPE,
                    "embedding: axis %d of %s has length %lld, at most %d are possible", i, name,
                    (long long)length, CLA_MAX_LENGTH);
    }
    return CLATTN_OK;
}

/* ids and type_ids are [B][N]; the ids may be none. */
static clattn_status read_ids(clattn_ctx *ctx, const struct clattn_embedding_params *u,
                              cla_embedding *p)
{
    const unsigned i32 = CLA_DTYPE_BIT(CLATTN_I32);
    CLA_TRY(make_view(ctx, "ids", i32, false, &u->ids, 2, u->ids.shape, &p->ids));
    const int64_t rows[2] = { p->ids.shape[0], p->ids.shape[1] };
    p->B = (int32_t)rows[0];
    p->N = (int32_t)rows[1];
    p->has_type_ids = cla_present(&u->type_ids);
    p->has_starts = cla_present(&u->starts);
    if (p->has_type_ids)
        CLA_TRY(make_view(ctx, "type_ids", i32, false, &u->type_ids, 2, rows, &p->type_ids));
    if (p->has_starts)
        CLA_TRY(make_view(ctx, "starts", i32, false, &u->starts, 1, rows, &p->starts));
    return CLATTN_OK;
}

static clattn_status read_tables(clattn_ctx *ctx, const struct clattn_embedding_params *u,
                                 cla_embedding *p)
{
    int64_t shape[2] = { -1, -1 };
    CLA_TRY(make_view(ctx, "table", CLA_DTYPES_FLOAT, false, &u->table, 2, shape, &p->table));
    const unsigned type = CLA_DTYPE_BIT(p->table.dtype);
    shape[1] = p->table.shape[1];
    p->has_positions = cla_present(&u->positions);
    p->has_types = cla_present(&u->types);
    if (p->has_positions)
        CLA_TRY(make_view(ctx, "positions", type, false, &u->positions, 2, shape, &p->positions));
    if (p->has_types)
        CLA_TRY(make_view(ctx, "types", type, false, &u->types, 2, shape, &p->types));
    p->V = (int32_t)p->table.shape[0];
    p->M = (int32_t)p->table.shape[1];
    p->P = p->has_positions ? (int32_t)p->positions.shape[0] : 0;
    p->T = p->has_types ? (int32_t)p->types.shape[0] : 0;
    p->in_type = p->table.dtype;
    return CLATTN_OK;
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    const struct clattn_embedding_params *u = params;
    cla_embedding *p = problem;
    (void)once;
    CLA_TRY(read_ids(ctx, u, p));
    CLA_TRY(read_tables(ctx, u, p));
    CLA_REQUIRE(ctx, p->has_types || !p->has_type_ids, CLATTN_ERR_ARG,
                "embedding: type_ids is given, types is not");
    const int64_t shape[3] = { p->B, p->N, p->M };
    CLA_TRY(make_view(ctx, "y", CLA_DTYPES_FLOAT, true, &u->y, 3, shape, &p->y));
    p->out_type = p->y.dtype;
    p->start = u->start;
    CLA_REQUIRE(ctx,
                p->has_starts || !p->has_positions
                    || (u->start >= 0 && u->start <= (int64_t)p->P - p->N),
                CLATTN_ERR_SHAPE, "embedding: positions has %d rows; start is %lld and N is %d",
                p->P, (long long)u->start, p->N);
    return CLATTN_OK;
}

clattn_status clattn_embedding(clattn_ctx *ctx, const struct clattn_embedding_params *params)
{
    return cla_op_call(ctx, &cla_op_embedding, params);
}

clattn_status clattn_plan_embedding(clattn_ctx *ctx, const struct clattn_embedding_params *params,
                                    clattn_plan **out)
{
    return cla_op_plan(ctx, &cla_op_embedding, params, out);
}

clattn_status clattn_plan_run_embedding(clattn_plan *plan,
                                        const struct clattn_embedding_params *params)
{
    return cla_op_run(plan, &cla_op_embedding, params, NULL);
}
