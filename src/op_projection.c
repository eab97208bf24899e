/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_projection and its plan forms: everything is checked before anything happens. */
#include <stdio.h>

#include "op.h"
#include "rotary.h"
#include "tensor.h"

typedef struct clattn_projection_params projection_params;

static const char OP[] = "projection";

enum { GROUP = 32 }; /* weights that share an i4 scale */

#define PART_SLOT(i, field, written)                                        \
    {                                                                       \
        "parts[" #i "]." #field, offsetof(cla_proj, part[i].field), written \
    }
#define PART_SLOTS(i)                                                              \
    PART_SLOT(i, w, false), PART_SLOT(i, scale, false), PART_SLOT(i, bias, false), \
        PART_SLOT(i, residual, false), PART_SLOT(i, y, true)
static const cla_slot slots[] = {
    { "x", offsetof(cla_proj, x), false },
    { "starts", offsetof(cla_proj, starts), false },
    { "rows of the cache", offsetof(cla_proj, cached), false },
    { "pages of the cache", offsetof(cla_proj, table), false },
    PART_SLOTS(0),
    PART_SLOTS(1),
    PART_SLOTS(2),
    { NULL, 0, false },
};

static bool is_empty(const void *problem)
{
    const cla_proj *p = problem;
    return p->rows == 0;
}

static double bytes_of(int32_t dtype, double count)
{
    return count * (double)clattn_dtype_size((clattn_dtype)dtype);
}

static cla_work cost(const void *problem)
{
    const cla_proj *p = problem;
    cla_work work = { 0, bytes_of(p->in_type, (double)p->rows * p->M) };
    for (int i = 0; i < p->parts; i++) {
        const cla_proj_part *part = &p->part[i];
        const double weights = (double)part->out * p->M, values = (double)part->out * p->rows;
        work.flops += 2 * weights * p->rows;
        work.bytes += bytes_of(p->out_type, values);
        work.bytes += bytes_of(p->w_type, p->w_type == CLATTN_I4 ? weights / 2 : weights);
        if (p->w_type == CLATTN_I8)
            work.bytes += bytes_of(p->scale_type, part->out);
        if (p->w_type == CLATTN_I4)
            work.bytes += bytes_of(p->scale_type, weights / GROUP);
        if (part->flags & CLA_PROJ_BIAS)
            work.bytes += bytes_of(p->bias_type, part->out);
        if (part->flags & CLA_PROJ_RESIDUAL)
            work.bytes += bytes_of(p->residual_type, values);
    }
    return work;
}

static void rebase(void *problem, int64_t floats)
{
    cla_proj *p = problem;
    p->work_w += floats;
    p->work_x += floats;
    p->work_sums += floats;
}

static bool in_place(const cla_slot *output, const cla_slot *input)
{
    return output->offset - offsetof(cla_proj_part, y)
           == input->offset - offsetof(cla_proj_part, residual);
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem);
static cla_growth growth(const void *params, const void *problem);

const cla_op cla_op_projection = {
    .name = OP,
    .params = { .size = CLA_PARAMS_SIZE(projection_params),
                .kernel = offsetof(projection_params, kernel),
                .workspace = offsetof(projection_params, workspace),
                .check = check,
                .growth = growth },
    .size = sizeof(cla_proj),
    .slots = slots,
    .work = offsetof(cla_proj, work),
    .num_stages = 1,
    .stages = { { CLA_STAGE_PROJECTION, NULL } },
    .empty = is_empty,
    .cost = cost,
    .rebase = rebase,
    .varies = offsetof(cla_proj, start),
    .varies_size = sizeof(int64_t),
    .in_place = in_place,
    .tuning = &cla_tuning_projection,
};

/* ---- tensors ---- */

/* [out]... becomes [H][K]... at this axis. A shape that is wrong keeps its rank and is refused. */
static clattn_tensor split_axis(clattn_tensor t, int axis, int64_t H, int64_t K)
{
    int64_t stride;
    if (axis >= t.rank || t.rank >= CLATTN_MAX_RANK || t.shape[axis] / K != H
        || t.shape[axis] % K != 0)
        return t;
    if (__builtin_mul_overflow(K, t.stride[axis], &stride))
        stride = INT64_MAX;
    for (int i = t.rank; i > axis + 1; i--) {
        t.shape[i] = t.shape[i - 1];
        t.stride[i] = t.stride[i - 1];
    }
    t.rank++;
    t.shape[axis + 1] = K;
    t.stride[axis + 1] = t.stride[axis];
    t.shape[axis] = H;
    t.stride[axis] = stride;
    return t;
}

static clattn_status check_length(clattn_ctx *ctx, const char *what, int64_t n, int64_t least)
{
    CLA_REQUIRE(ctx, n >= least && n <= CLA_MAX_LENGTH, CLATTN_ERR_SHAPE,
                "projection: %s is %lld, must be %lld to %d", what, (long long)n, (long long)least,
                CLA_MAX_LENGTH);
    return CLATTN_OK;
}

/* x, and the rows that all outputs share. */
static clattn_status x_view(clattn_ctx *ctx, const projection_params *u, cla_proj *p)
{
    const clattn_tensor x = cla_with_batch(u->x);
    CLA_TRY(cla_view_of(ctx, OP, "x", 3, CLA_DTYPES_FLOAT, false, &x, &p->x));
    CLA_TRY(check_length(ctx, "M", p->x.shape[2], 1));
    CLA_TRY(check_length(ctx, "B * N", p->x.shape[0] * p->x.shape[1], 0));
    p->B = (int32_t)p->x.shape[0];
    p->N = (int32_t)p->x.shape[1];
    p->M = (int32_t)p->x.shape[2];
    p->rows = p->B * p->N;
    p->in_type = p->x.dtype;
    p->has_starts = cla_present(&u->starts);
    if (!p->has_starts)
        return CLATTN_OK;
    CLA_TRY(cla_view_of(ctx, OP, "starts", 1, CLA_DTYPE_BIT(CLATTN_I32), false, &u->starts,
                        &p->starts));
    return cla_check_shape(ctx, OP, "starts", &p->starts, 1, p->x.shape);
}

/* One part on its way: the caller's, the result, and how its tensors are called. */
typedef struct draft {
    const projection_params *u;
    const clattn_projection_part *from;
    cla_proj *p;
    cla_proj_part *to;
    int index;
    char name[32];
} draft;

static const char *name_of(draft *d, const char *field)
{
    snprintf(d->name, sizeof d->name, "parts[%d].%s", d->index, field);
    return d->name;
}

/* The dtype that a kind of tensor has in every part that has one. */
static clattn_status agree(clattn_ctx *ctx, draft *d, const char *field, bool first, int32_t dtype,
                           int32_t *common)
{
    CLA_REQUIRE(ctx, first || *common == dtype, CLATTN_ERR_ARG,
                "projection: %s has dtype %s, that of an earlier part is %s", name_of(d, field),
                clattn_dtype_name((clattn_dtype)dtype), clattn_dtype_name((clattn_dtype)*common));
    *common = dtype;
    return CLATTN_OK;
}

static int32_t into_width(const draft *d)
{
    return d->from->into == CLATTN_KV_KEYS ? d->u->kv->D : d->u->kv->Dv;
}

static clattn_status weights_view(clattn_ctx *ctx, draft *d)
{
    const unsigned types = CLA_DTYPES_FLOAT | CLA_DTYPE_BIT(CLATTN_I8) | CLA_DTYPE_BIT(CLATTN_I4);
    clattn_tensor w = d->from->w;
    const bool flat = w.rank == 2, pairs = w.dtype == CLATTN_I4;
    if (flat && d->from->into != CLATTN_KV_NONE)
        w = split_axis(w, 0, d->u->kv->Hk, into_width(d));
    else if (flat && d->from->y.rank == 4 && d->from->y.shape[3] > 0)
        w = split_axis(w, 0, d->from->y.shape[2], d->from->y.shape[3]);
    else if (flat)
        w = cla_with_batch(w);
    const cla_tensor_rule rule = { OP, name_of(d, "w"), 3, types, false, !pairs };
    CLA_TRY(cla_view_make(ctx, &rule, &w, &d->to->w));
    const int64_t *s = d->to->w.shape;
    CLA_REQUIRE(ctx, s[2] == (pairs ? d->p->M / 2 : d->p->M), CLATTN_ERR_SHAPE,
                "projection: %s has %lld %s along M, x has M = %d", rule.name, (long long)s[2],
                pairs ? "pairs" : "columns", d->p->M);
    CLA_REQUIRE(ctx, !pairs || d->p->M % GROUP == 0, CLATTN_ERR_SHAPE,
                "projection: M is %d, i4 weights need a multiple of %d", d->p->M, GROUP);
    CLA_TRY(check_length(ctx, "H", s[0], 1));
    CLA_TRY(check_length(ctx, "K", s[1], 1));
    CLA_TRY(check_length(ctx, "H * K", s[0] * s[1], 1));
    d->to->H = (int32_t)s[0];
    d->to->K = (int32_t)s[1];
    d->to->out = d->to->H * d->to->K;
    return agree(ctx, d, "w", d->index == 0, d->to->w.dtype, &d->p->w_type);
}

static clattn_status scale_view(clattn_ctx *ctx, draft *d)
{
    const bool wide = d->to->w.dtype == CLATTN_I4, wanted = wide || d->to->w.dtype == CLATTN_I8;
    const int64_t shape[3] = { d->to->H, d->to->K, d->p->M / GROUP };
    clattn_tensor scale = d->from->scale;
    CLA_REQUIRE(ctx, wanted == cla_present(&scale), CLATTN_ERR_ARG,
                "projection: parts[%d].scale is %s, w has dtype %s", d->index,
                wanted ? "missing" : "given", clattn_dtype_name((clattn_dtype)d->to->w.dtype));
    if (!wanted)
        return CLATTN_OK;
    if (scale.rank == 1 + wide)
        scale = split_axis(scale, 0, d->to->H, d->to->K);
    const unsigned types = CLA_DTYPE_BIT(CLATTN_F32) | (wide ? CLA_DTYPE_BIT(CLATTN_F16) : 0);
    CLA_TRY(cla_view_of(ctx, OP, name_of(d, "scale"), 2 + wide, types, false, &scale,
                        &d->to->scale));
    CLA_TRY(cla_check_shape(ctx, OP, d->name, &d->to->scale, 2 + wide, shape));
    return agree(ctx, d, "scale", d->index == 0, d->to->scale.dtype, &d->p->scale_type);
}

static clattn_status bias_view(clattn_ctx *ctx, draft *d)
{
    const int64_t shape[2] = { d->to->H, d->to->K };
    clattn_tensor bias = d->from->bias;
    if (!cla_present(&bias))
        return CLATTN_OK;
    if (bias.rank == 1)
        bias = split_axis(bias, 0, d->to->H, d->to->K);
    CLA_TRY(cla_view_of(ctx, OP, name_of(d, "bias"), 2, CLA_DTYPES_FLOAT, false, &bias,
                        &d->to->bias));
    CLA_TRY(cla_check_shape(ctx, OP, d->name, &d->to->bias, 2, shape));
    CLA_TRY(agree(ctx, d, "bias", !d->p->has_bias, d->to->bias.dtype, &d->p->bias_type));
    d->p->has_bias = 1;
    d->to->flags |= CLA_PROJ_BIAS;
    return CLATTN_OK;
}

/* y or residual: [B][N][H][K], [B][N][out], or [rows][out] beside an x [rows][M]. */
static clattn_status result_view(clattn_ctx *ctx, draft *d, const char *field, unsigned types,
                                 bool written, clattn_tensor t, cla_view *view)
{
    const int64_t shape[4] = { d->p->B, d->p->N, d->to->H, d->to->K };
    if (d->u->x.rank == 2)
        t = cla_with_batch(t);
    if (t.rank == 3)
        t = split_axis(t, 2, d->to->H, d->to->K);
    CLA_TRY(cla_view_of(ctx, OP, name_of(d, field), 4, types, written, &t, view));
    return cla_check_shape(ctx, OP, d->name, view, 4, shape);
}

/* y of a part that goes into the cache: [pages][page rows][H][K]. */
static clattn_status into_view(clattn_ctx *ctx, draft *d)
{
    const clattn_kv *kv = d->u->kv;
    const bool values = d->from->into == CLATTN_KV_VALUES;
    const clattn_tensor rows = clattn_tensor_swap(cla_kv_data(kv, values), 1, 2);
    CLA_REQUIRE(ctx, kv->dtype != CLATTN_I8 && kv->dtype != CLATTN_I4, CLATTN_ERR_UNSUPPORTED,
                "projection: the cache is %s; rows are quantised by kv_append",
                clattn_dtype_name(kv->dtype));
    CLA_REQUIRE(ctx, !cla_present(&d->from->y) && !cla_present(&d->from->residual), CLATTN_ERR_ARG,
                "projection: parts[%d] goes into the cache and has y or residual", d->index);
    CLA_REQUIRE(ctx, d->to->H == kv->Hk && d->to->K == into_width(d), CLATTN_ERR_SHAPE,
                "projection: parts[%d].w has %d heads of %d, the cache has %d of %d", d->index,
                d->to->H, d->to->K, kv->Hk, into_width(d));
    d->to->flags |= CLA_PROJ_CACHE;
    return cla_view_of(ctx, OP, name_of(d, "into"), 4, CLA_DTYPES_FLOAT, true, &rows, &d->to->y);
}

static clattn_status part_views(clattn_ctx *ctx, draft *d)
{
    CLA_TRY(weights_view(ctx, d));
    CLA_TRY(scale_view(ctx, d));
    CLA_TRY(bias_view(ctx, d));
    const unsigned outputs = CLA_DTYPE_BIT(d->p->in_type) | CLA_DTYPE_BIT(CLATTN_F32);
    if (d->from->into != CLATTN_KV_NONE)
        CLA_TRY(into_view(ctx, d));
    else
        CLA_TRY(result_view(ctx, d, "y", outputs, true, d->from->y, &d->to->y));
    CLA_TRY(agree(ctx, d, "y", d->index == 0, d->to->y.dtype, &d->p->out_type));
    if (cla_present(&d->from->residual)) {
        CLA_TRY(result_view(ctx, d, "residual", CLA_DTYPES_FLOAT, false, d->from->residual,
                            &d->to->residual));
        CLA_TRY(agree(ctx, d, "residual", !d->p->has_residual, d->to->residual.dtype,
                      &d->p->residual_type));
        d->p->has_residual = 1;
        d->to->flags |= CLA_PROJ_RESIDUAL;
    }
    float base = d->from->rotary_base;
    CLA_TRY(cla_rotary_check(ctx, OP, name_of(d, "y"), d->from->rotary, d->to->K, &base));
    if (d->from->rotary == CLATTN_ROTARY_NONE)
        return CLATTN_OK;
    d->p->has_rotary = 1;
    d->to->flags |= d->from->rotary == CLATTN_ROTARY_NEOX ? CLA_PROJ_NEOX : CLA_PROJ_GPTJ;
    d->to->ratio = cla_rotary_ratio((double)base, d->to->K);
    return CLATTN_OK;
}

static clattn_status count_parts(clattn_ctx *ctx, const projection_params *u, cla_proj *p)
{
    CLA_REQUIRE(ctx, u->num_parts >= 0 && u->num_parts <= CLATTN_MAX_PARTS, CLATTN_ERR_ARG,
                "projection: num_parts is %d, must be 0 (count) to %d", u->num_parts,
                CLATTN_MAX_PARTS);
    p->parts = u->num_parts;
    if (u->num_parts == 0)
        while (p->parts < CLATTN_MAX_PARTS && cla_present(&u->parts[p->parts].w))
            p->parts++;
    CLA_REQUIRE(ctx, p->parts > 0, CLATTN_ERR_ARG, "projection: parts[0].w is missing");
    return CLATTN_OK;
}

/* Strides of axes of length 1 do not matter, and are 0 in a view. */
static int32_t weights_along(const cla_proj *p)
{
    bool along_m = true, along_k = p->w_type != CLATTN_I4;
    for (int i = 0; i < p->parts; i++) {
        const cla_view *w = &p->part[i].w;
        along_m = along_m && (w->shape[2] <= 1 || w->stride[2] == 1);
        along_k = along_k && (w->shape[1] <= 1 || w->stride[1] == 1);
    }
    return along_m ? CLA_W_ALONG_M : along_k ? CLA_W_ALONG_K : CLA_W_FREE;
}

/* ---- caches ---- */

/* One part for keys and one for values, or none at all. */
static clattn_status check_into(clattn_ctx *ctx, const projection_params *u, int parts)
{
    int keys = 0, values = 0;
    for (int i = 0; i < parts; i++) {
        CLA_REQUIRE(ctx, (unsigned)u->parts[i].into <= CLATTN_KV_VALUES, CLATTN_ERR_ARG,
                    "projection: parts[%d].into is %d, must be 0, 1 or 2", i,
                    (int)u->parts[i].into);
        keys += u->parts[i].into == CLATTN_KV_KEYS;
        values += u->parts[i].into == CLATTN_KV_VALUES;
    }
    const int wanted = u->kv ? 1 : 0;
    CLA_REQUIRE(ctx, keys == wanted && values == wanted, CLATTN_ERR_ARG,
                "projection: kv is %s, %d parts go into its keys and %d into its values",
                u->kv ? "given" : "NULL", keys, values);
    return CLATTN_OK;
}

static clattn_status state_view(clattn_ctx *ctx, const char *name, clattn_tensor t, cla_view *view)
{
    return cla_view_of(ctx, OP, name, t.rank, CLA_DTYPE_BIT(CLATTN_I32), false, &t, view);
}

/* Rows and pages of the sequences, and their positions in place of starts. */
static clattn_status cache_views(clattn_ctx *ctx, const projection_params *u, cla_proj *p)
{
    CLA_TRY(check_into(ctx, u, p->parts));
    if (!u->kv)
        return CLATTN_OK;
    CLA_REQUIRE(ctx, !p->has_starts && u->start == 0, CLATTN_ERR_ARG,
                "projection: start or starts is given, positions follow the cache");
    const int64_t first = u->kv_sequence;
    CLA_TRY(cla_kv_check(ctx, OP, u->kv, first, p->B));
    CLA_TRY(state_view(ctx, "rows of the cache",
                       cla_kv_state(u->kv, CLA_KV_STARTS, first, p->B), &p->cached));
    CLA_TRY(state_view(ctx, "positions of the cache",
                       cla_kv_state(u->kv, CLA_KV_POSITIONS, first, p->B), &p->starts));
    CLA_TRY(state_view(ctx, "pages of the cache", cla_kv_table(u->kv, first, p->B), &p->table));
    p->has_cache = p->has_starts = 1;
    p->page_shift = cla_kv_page_shift(u->kv->pages.page_rows);
    p->last_page = u->kv->pages.num_pages - 1;
    return CLATTN_OK;
}

/* ---- entry points ---- */

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    const projection_params *u = params;
    cla_proj *p = problem;
    (void)once;
    p->scale_type = p->bias_type = p->residual_type = CLATTN_F32;
    p->start = u->start;
    CLA_TRY(count_parts(ctx, u, p));
    CLA_TRY(x_view(ctx, u, p));
    CLA_TRY(cla_rotary_check_start(ctx, OP, u->start, p->N));
    CLA_TRY(cache_views(ctx, u, p));
    for (int i = 0; i < p->parts; i++) {
        draft d = { u, &u->parts[i], p, &p->part[i], i, "" };
        CLA_TRY(part_views(ctx, &d));
    }
    p->w_along = weights_along(p);
    return CLATTN_OK;
}

static cla_growth growth(const void *params, const void *problem)
{
    const projection_params *u = params;
    const cla_proj *p = problem;
    return (cla_growth){ u->kv, (int32_t)u->kv_sequence, p->B, p->N };
}

clattn_status clattn_projection(clattn_ctx *ctx, const projection_params *params)
{
    return cla_op_call(ctx, &cla_op_projection, params);
}

clattn_status clattn_plan_projection(clattn_ctx *ctx, const projection_params *params,
                                     clattn_plan **out)
{
    return cla_op_plan(ctx, &cla_op_projection, params, out);
}

clattn_status clattn_plan_run_projection(clattn_plan *plan, const projection_params *params)
{
    return cla_op_run(plan, &cla_op_projection, params, NULL);
}
