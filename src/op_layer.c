/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clattn_layer: projections, append, attention and output projection one after the other, over
 * scratch memory for what goes between them. Each step is an operation of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "kv.h"
#include "op.h"
#include "params.h"
#include "tensor.h"

static const char OP[] = "layer";

typedef struct clattn_layer_params layer_params;
typedef struct clattn_projection_params projection_params;

/* The layer as steps. */
typedef struct steps {
    int64_t B, N, Hq, Hk, D, Dv;
    clattn_dtype dtype;    /* of everything in between */
    bool straight;         /* the projection writes k and v into the cache itself */
    size_t scratch_bytes;
    projection_params in, out;
    struct clattn_kv_append_params append;
    struct clattn_attention_params attention;
    cla_growth grow;
} steps;

/* ---- sizes ---- */

/* Weights [H][K][M] say what they are; [out][M] are told how many heads they are. */
static clattn_status weight_heads(clattn_ctx *ctx, const char *name, const clattn_tensor *w,
                                  int64_t heads, int64_t *H, int64_t *K)
{
    CLA_REQUIRE(ctx, w->rank == 2 || w->rank == 3, CLATTN_ERR_SHAPE,
                "layer: %s.w has %d axes, needs 2 or 3", name, w->rank);
    *H = w->rank == 3 ? w->shape[0] : heads;
    CLA_REQUIRE(ctx, *H > 0, CLATTN_ERR_SHAPE,
                "layer: %s.w is [out][M] and the number of its heads is %lld", name,
                (long long)*H);
    CLA_REQUIRE(ctx, heads == 0 || heads == *H, CLATTN_ERR_SHAPE,
                "layer: %s.w has %lld heads, heads or kv_heads says %lld", name, (long long)*H,
                (long long)heads);
    *K = w->rank == 3 ? w->shape[1] : w->shape[0] / *H;
    CLA_REQUIRE(ctx, w->rank == 3 || w->shape[0] % *H == 0, CLATTN_ERR_SHAPE,
                "layer: %s.w has %lld outputs, %lld heads do not divide them", name,
                (long long)w->shape[0], (long long)*H);
    CLA_REQUIRE(ctx, *K > 0 && *K <= CLA_MAX_LENGTH / *H, CLATTN_ERR_SHAPE,
                "layer: %s.w has %lld heads of %lld, must be 1 to %d columns", name, (long long)*H,
                (long long)*K, CLA_MAX_LENGTH);
    return CLATTN_OK;
}

static clattn_status sizes(clattn_ctx *ctx, const layer_params *u, steps *s)
{
    int64_t values, width;
    CLA_REQUIRE(ctx, u->x.rank == 3, CLATTN_ERR_SHAPE, "layer: x has %d axes, needs 3", u->x.rank);
    s->B = u->x.shape[0];
    s->N = u->x.shape[1];
    s->dtype = u->x.dtype;
    CLA_TRY(weight_heads(ctx, "q", &u->q.w, u->heads, &s->Hq, &s->D));
    const int64_t kv_heads = u->kv_heads ? u->kv_heads : u->k.w.rank == 2 ? s->Hq : 0;
    CLA_TRY(weight_heads(ctx, "k", &u->k.w, kv_heads, &s->Hk, &width));
    CLA_TRY(weight_heads(ctx, "v", &u->v.w, u->v.w.rank == 2 ? s->Hk : 0, &values, &s->Dv));
    CLA_REQUIRE(ctx, width == s->D && values == s->Hk, CLATTN_ERR_SHAPE,
                "layer: q has heads of %lld, k %lld heads of %lld, v %lld heads", (long long)s->D,
                (long long)s->Hk, (long long)width, (long long)values);
    CLA_REQUIRE(ctx, s->B >= 0 && s->N >= 0 && s->B <= CLA_MAX_LENGTH
                    && s->N <= CLA_MAX_LENGTH / (s->B ? s->B : 1), CLATTN_ERR_SHAPE,
                "layer: x has %lld batches of %lld rows, must be 0 to %d rows", (long long)s->B,
                (long long)s->N, CLA_MAX_LENGTH);
    return CLATTN_OK;
}

static clattn_status refuse(clattn_ctx *ctx, bool given, const char *name)
{
    CLA_REQUIRE(ctx, !given, CLATTN_ERR_ARG, "layer: %s is given, the layer provides it", name);
    return CLATTN_OK;
}

static clattn_status refuse_inner(clattn_ctx *ctx, const layer_params *u)
{
    const clattn_projection_part *parts[] = { &u->q, &u->k, &u->v };
    const struct clattn_attention_params *a = &u->attention;
    for (int i = 0; i < 3; i++) {
        CLA_TRY(refuse(ctx, cla_present(&parts[i]->y), "y of q, k or v"));
        CLA_TRY(refuse(ctx, cla_present(&parts[i]->residual), "residual of q, k or v"));
        CLA_TRY(refuse(ctx, parts[i]->into != CLATTN_KV_NONE, "into of q, k or v"));
    }
    CLA_TRY(refuse(ctx, cla_present(&a->q) || cla_present(&a->k) || cla_present(&a->v)
                            || cla_present(&a->o), "q, k, v or o of attention"));
    CLA_TRY(refuse(ctx, cla_present(&a->cu_seqlens_q) || cla_present(&a->cu_seqlens_k),
                   "cu_seqlens of attention"));
    return refuse(ctx, a->kv || cla_present(&a->layout.lengths), "the cache of attention");
}

/* ---- steps ---- */

/* A dense tensor [B][N][H][K] in the scratch memory, after the ones before it. */
static clattn_tensor place(steps *s, int64_t H, int64_t K)
{
    const int64_t shape[] = { s->B, s->N, H, K };
    const size_t size = clattn_dtype_size(s->dtype);
    clattn_tensor t = clattn_tensor_of_buffer(NULL, s->dtype, 4, shape);
    t.offset = (int64_t)(s->scratch_bytes / size);
    s->scratch_bytes += (size_t)clattn_tensor_count(&t) * size;
    s->scratch_bytes = (s->scratch_bytes + 63) / 64 * 64;
    return t;
}

static clattn_tensor heads_first(clattn_tensor t)
{
    return clattn_tensor_swap(t, 1, 2);
}

static void projection_step(const layer_params *u, steps *s)
{
    s->in = (projection_params){ .struct_size = sizeof s->in,
                                 .x = u->x,
                                 .parts = { u->q, u->k, u->v },
                                 .start = u->start,
                                 .starts = u->starts };
    s->in.parts[0].y = place(s, s->Hq, s->D);
    if (s->straight) {
        s->in.kv = u->kv;
        s->in.kv_sequence = u->kv_sequence;
        s->in.parts[1].into = CLATTN_KV_KEYS;
        s->in.parts[2].into = CLATTN_KV_VALUES;
    } else {
        if (u->kv)
            s->in.starts = cla_kv_state(u->kv, CLA_KV_POSITIONS, u->kv_sequence, s->B);
        s->in.parts[1].y = place(s, s->Hk, s->D);
        s->in.parts[2].y = place(s, s->Hk, s->Dv);
    }
}

static void other_steps(const layer_params *u, steps *s)
{
    const clattn_tensor o = place(s, s->Hq, s->Dv);
    s->attention = u->attention;
    s->attention.struct_size = sizeof s->attention;
    s->attention.q = heads_first(s->in.parts[0].y);
    s->attention.o = heads_first(o);
    if (u->kv) {
        s->attention.kv = u->kv;
        s->attention.kv_sequence = u->kv_sequence;
        s->append = (struct clattn_kv_append_params){ .struct_size = sizeof s->append,
                                                      .kv = u->kv,
                                                      .sequence = u->kv_sequence,
                                                      .k = heads_first(s->in.parts[1].y),
                                                      .v = heads_first(s->in.parts[2].y) };
    } else {
        s->attention.k = heads_first(s->in.parts[1].y);
        s->attention.v = heads_first(s->in.parts[2].y);
    }
    const int64_t flat[] = { s->B, s->N, s->Hq * s->Dv };
    clattn_tensor joined = clattn_tensor_of_buffer(NULL, s->dtype, 3, flat);
    joined.offset = o.offset;
    s->out = (projection_params){ .struct_size = sizeof s->out, .x = joined, .parts = { u->out } };
}

/* The tensors of the steps lie in this buffer. */
static void attach(steps *s, clattn_buffer *scratch)
{
    clattn_tensor *tensors[] = { &s->in.parts[0].y, &s->in.parts[1].y, &s->in.parts[2].y,
                                 &s->append.k,      &s->append.v,      &s->attention.q,
                                 &s->attention.k,   &s->attention.v,   &s->attention.o,
                                 &s->out.x };
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++)
        if (cla_present(tensors[i]))
            tensors[i]->buffer = scratch;
}

static clattn_status make_steps(clattn_ctx *ctx, const layer_params *user, steps *s)
{
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, user, CLATTN_ERR_ARG, "layer: params is NULL");
    layer_params u;
    CLA_TRY(cla_params_read(ctx, OP, &u, sizeof u, user));
    memset(s, 0, sizeof *s);
    CLA_TRY(refuse_inner(ctx, &u));
    CLA_TRY(sizes(ctx, &u, s));
    CLA_REQUIRE(ctx, s->dtype == CLATTN_F32 || s->dtype == CLATTN_F16 || s->dtype == CLATTN_BF16,
                CLATTN_ERR_ARG, "layer: x has dtype %s, needs f32, f16 or bf16",
                clattn_dtype_name(s->dtype));
    if (u.kv) {
        CLA_TRY(cla_kv_check(ctx, OP, u.kv, u.kv_sequence, s->B));
        CLA_REQUIRE(ctx, !cla_present(&u.starts) && u.start == 0, CLATTN_ERR_ARG,
                    "layer: start or starts is given, positions follow the cache");
        s->straight = u.kv->dtype == s->dtype;
        s->grow = (cla_growth){ u.kv, (int32_t)u.kv_sequence, (int32_t)s->B, s->N };
    }
    projection_step(&u, s);
    other_steps(&u, s);
    return CLATTN_OK;
}

static bool is_empty(const steps *s)
{
    return s->B == 0 || s->N == 0;
}

/* ---- the one-call form ---- */

static clattn_status run_steps(clattn_ctx *ctx, const steps *s)
{
    CLA_TRY(cla_op_call_grown(ctx, &cla_op_projection, &s->in));
    if (s->grow.kv && !s->straight)
        CLA_TRY(cla_op_call_grown(ctx, &cla_op_append, &s->append));
    CLA_TRY(clattn_attention(ctx, &s->attention));
    return clattn_projection(ctx, &s->out);
}

clattn_status clattn_layer(clattn_ctx *ctx, const layer_params *params)
{
    steps s;
    clattn_buffer *scratch;
    CLA_TRY(make_steps(ctx, params, &s));
    if (is_empty(&s))
        return CLATTN_OK;
    CLA_TRY(clattn_buffer_create(ctx, s.scratch_bytes, &scratch));
    attach(&s, scratch);
    clattn_status status = cla_grow(&s.grow);
    if (status == CLATTN_OK) {
        status = run_steps(ctx, &s);
        if (status != CLATTN_OK)
            cla_ungrow(&s.grow);
    }
    clattn_buffer_destroy(&scratch);
    return status;
}

/* ---- plans ---- */

static const cla_op op_layer = { .name = OP };

static clattn_status make_parts(clattn_ctx *ctx, const steps *s, clattn_plan *plan)
{
    clattn_plan **part = plan->parts;
    CLA_TRY(clattn_plan_projection(ctx, &s->in, &part[plan->num_parts]));
    part[plan->num_parts++]->grow.kv = NULL; /* the layer's plan sees to it */
    if (s->grow.kv && !s->straight) {
        CLA_TRY(cla_op_plan(ctx, &cla_op_append, &s->append, &part[plan->num_parts]));
        part[plan->num_parts++]->grow.kv = NULL;
    }
    CLA_TRY(clattn_plan_attention(ctx, &s->attention, &part[plan->num_parts]));
    plan->main_part = plan->num_parts++;
    CLA_TRY(clattn_plan_projection(ctx, &s->out, &part[plan->num_parts]));
    plan->num_parts++;
    return CLATTN_OK;
}

clattn_status clattn_plan_layer(clattn_ctx *ctx, const layer_params *params, clattn_plan **out)
{
    steps s;
    if (out)
        *out = NULL;
    CLA_TRY(make_steps(ctx, params, &s));
    CLA_REQUIRE(ctx, out, CLATTN_ERR_ARG, "clattn_plan_layer: out is NULL");
    clattn_plan *plan;
    CLA_TRY(cla_plan_new(ctx, &op_layer, &plan));
    clattn_status status = CLATTN_OK;
    if (!is_empty(&s)) {
        plan->grow = s.grow;
        status = clattn_buffer_create(ctx, s.scratch_bytes, &plan->workspace);
        attach(&s, plan->workspace);
        if (status == CLATTN_OK)
            status = make_parts(ctx, &s, plan);
        plan->workspace_bytes = s.scratch_bytes;
    }
    if (status != CLATTN_OK)
        clattn_plan_destroy(&plan);
    *out = plan;
    return status;
}
