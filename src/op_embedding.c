/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_embedding and its plan forms. */
#include "op.h"
#include "tensor.h"

static const char OP[] = "embedding";

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
    .name = OP,
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

/* ids, type_ids and starts are of the same B and N. */
static clattn_status read_ids(clattn_ctx *ctx, const struct clattn_embedding_params *u,
                              cla_embedding *p)
{
    const unsigned i32 = CLA_DTYPE_BIT(CLATTN_I32);
    CLA_TRY(cla_view_of(ctx, OP, "ids", 2, i32, false, &u->ids, &p->ids));
    p->B = (int32_t)p->ids.shape[0];
    p->N = (int32_t)p->ids.shape[1];
    p->has_type_ids = cla_present(&u->type_ids);
    p->has_starts = cla_present(&u->starts);
    if (p->has_type_ids) {
        CLA_TRY(cla_view_of(ctx, OP, "type_ids", 2, i32, false, &u->type_ids, &p->type_ids));
        CLA_TRY(cla_check_shape(ctx, OP, "type_ids", &p->type_ids, 2, p->ids.shape));
    }
    if (p->has_starts) {
        CLA_TRY(cla_view_of(ctx, OP, "starts", 1, i32, false, &u->starts, &p->starts));
        CLA_TRY(cla_check_shape(ctx, OP, "starts", &p->starts, 1, p->ids.shape));
    }
    return CLATTN_OK;
}

/* Rows of a table, which are as long as those of the first one. */
static clattn_status table_view(clattn_ctx *ctx, const char *name, unsigned dtypes,
                                const clattn_tensor *t, const cla_view *first, cla_view *view)
{
    CLA_TRY(cla_view_of(ctx, OP, name, 2, dtypes, false, t, view));
    for (int i = 0; i < 2; i++)
        CLA_REQUIRE(ctx, view->shape[i] >= 1, CLATTN_ERR_SHAPE,
                    "embedding: axis %d of %s has length 0, needs 1 at least", i, name);
    const int64_t want[2] = { view->shape[0], first->shape[1] };
    return cla_check_shape(ctx, OP, name, view, 2, want);
}

static clattn_status read_tables(clattn_ctx *ctx, const struct clattn_embedding_params *u,
                                 cla_embedding *p)
{
    CLA_TRY(table_view(ctx, "table", CLA_DTYPES_FLOAT, &u->table, &p->table, &p->table));
    const unsigned type = CLA_DTYPE_BIT(p->table.dtype);
    p->has_positions = cla_present(&u->positions);
    p->has_types = cla_present(&u->types);
    if (p->has_positions)
        CLA_TRY(table_view(ctx, "positions", type, &u->positions, &p->table, &p->positions));
    if (p->has_types)
        CLA_TRY(table_view(ctx, "types", type, &u->types, &p->table, &p->types));
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
    CLA_TRY(cla_view_of(ctx, OP, "y", 3, CLA_DTYPES_FLOAT, true, &u->y, &p->y));
    CLA_TRY(cla_check_shape(ctx, OP, "y", &p->y, 3, shape));
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
