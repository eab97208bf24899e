/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_linear_attention and its plan forms; the choice between the two forms. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attn_check.h"
#include "op.h"

typedef struct clattn_linear_attention_params linear_params;

static const char OP[] = "linear_attention";

#define SLOT(field, written) { #field, offsetof(cla_linear, field), written }
static const cla_slot slots[] = {
    SLOT(q, false),
    SLOT(k, false),
    SLOT(v, false),
    SLOT(o, true),
    { "state_in_kv", offsetof(cla_linear, in_kv), false },
    { "state_in_z", offsetof(cla_linear, in_z), false },
    { "state_out_kv", offsetof(cla_linear, out_kv), true },
    { "state_out_z", offsetof(cla_linear, out_z), true },
    { "cu_seqlens_q", offsetof(cla_linear, cu_q), false },
    { "cu_seqlens_k", offsetof(cla_linear, cu_k), false },
    { NULL, 0, false },
};
#undef SLOT

static bool is_empty(const void *problem)
{
    const cla_linear *p = problem;
    const bool no_rows = p->Hq == 0 || p->Nq == 0 || p->Tq == 0;
    return p->B == 0 || p->Hk == 0 || (no_rows && !p->has_out);
}

static void rebase(void *problem, int64_t floats)
{
    cla_linear *p = problem;
    p->work_state += floats;
}

/* ---- costs ---- */

static double visible_pairs(const cla_linear *p, double nq, double nk)
{
    return p->causal ? nq * (nq + 1) / 2 : nq * nk;
}

/* Of all sequences; of a ragged batch whose cu_seqlens lie on a device, as if all were longest. */
static double all_pairs(const cla_linear *p)
{
    if (!p->ragged || !p->cu_q.host || !p->cu_k.host)
        return (double)p->B * visible_pairs(p, p->Nq, p->Nk);
    const int32_t *cu_q = CLA_AT(const int32_t, p->cu_q), *cu_k = CLA_AT(const int32_t, p->cu_k);
    double pairs = 0;
    for (int b = 0; b < p->B; b++)
        pairs += visible_pairs(p, cu_q[b + 1] - cu_q[b], cu_k[b + 1] - cu_k[b]);
    return pairs;
}

static double quadratic_flops(const cla_linear *p)
{
    return 2.0 * ((double)p->D + p->Dv) * p->Hq * all_pairs(p);
}

/* Every key goes into the state once, every query row meets it once. */
static double linear_flops(const cla_linear *p)
{
    const double batches = p->ragged ? 1 : p->B;
    const double rows = batches * ((double)p->Hq * p->Tq + (double)p->Hk * p->Tk);
    return 2.0 * p->F * p->Dv * rows;
}

static double view_bytes(const cla_view *v)
{
    double n = v->dtype == CLATTN_NONE || v->span == 0 ? 0 : 1;
    for (int i = 0; i < CLATTN_MAX_RANK; i++)
        n *= v->stride[i] > 0 ? (double)v->shape[i] : 1;
    return n * (double)clattn_dtype_size((clattn_dtype)v->dtype);
}

static cla_work cost(const void *problem)
{
    const cla_linear *p = problem;
    const cla_view *views[] = { &p->q,    &p->k,      &p->v,    &p->o, &p->in_kv,
                                &p->in_z, &p->out_kv, &p->out_z };
    cla_work work = { .flops = p->quadratic ? quadratic_flops(p) : linear_flops(p) };
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
        work.bytes += view_bytes(views[i]);
    return work;
}

/* A state may be updated where it is. */
static bool in_place(const cla_slot *output, const cla_slot *input)
{
    return (output->offset == offsetof(cla_linear, out_kv)
            && input->offset == offsetof(cla_linear, in_kv))
        || (output->offset == offsetof(cla_linear, out_z)
            && input->offset == offsetof(cla_linear, in_z));
}

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem);

const cla_op cla_op_linear_attention = {
    .name = OP,
    .params = { .size = CLA_PARAMS_SIZE(linear_params),
                .kernel = offsetof(linear_params, kernel),
                .workspace = offsetof(linear_params, workspace),
                .check = check },
    .size = sizeof(cla_linear),
    .slots = slots,
    .work = offsetof(cla_linear, work),
    .num_stages = 1,
    .stages = { { CLA_STAGE_LINEAR, NULL } },
    .empty = is_empty,
    .cost = cost,
    .rebase = rebase,
    .in_place = in_place,
    .tuning = &cla_tuning_linear_attention,
};

/* ---- tensors ---- */

/* q, k, v and o as every operation over them has them. */
static clattn_status main_views(clattn_ctx *ctx, const linear_params *u, cla_linear *p)
{
    const cla_attn_tensors in = {
        .op = OP, .q = &u->q, .k = &u->k, .v = &u->v, .o = &u->o,
        .cu_seqlens_q = &u->cu_seqlens_q, .cu_seqlens_k = &u->cu_seqlens_k,
        .max_seqlen_q = u->max_seqlen_q, .max_seqlen_k = u->max_seqlen_k,
    };
    cla_attn a;
    memset(&a, 0, sizeof a);
    CLA_TRY(cla_attn_check_tensors(ctx, &in, &a));
    p->q = a.q, p->k = a.k, p->v = a.v, p->o = a.o, p->cu_q = a.cu_q, p->cu_k = a.cu_k;
    p->B = a.B, p->Hq = a.Hq, p->Hk = a.Hk, p->G = a.G;
    p->Nq = a.Nq, p->Nk = a.Nk, p->Tq = a.Tq, p->Tk = a.Tk;
    p->D = a.D, p->Dv = a.Dv;
    p->in_type = a.in_type, p->out_type = a.out_type, p->ragged = a.ragged;
    return CLATTN_OK;
}

static clattn_status same_cu(clattn_ctx *ctx, const cla_linear *p)
{
    const int32_t *cu_q = CLA_AT(const int32_t, p->cu_q), *cu_k = CLA_AT(const int32_t, p->cu_k);
    for (int b = 0; p->cu_q.host && p->cu_k.host && b <= p->B; b++)
        CLA_REQUIRE(ctx, cu_q[b] == cu_k[b], CLATTN_ERR_SHAPE,
                    "%s: causal needs equal cu_seqlens, entry %d is %d for q and %d for k", OP, b,
                    cu_q[b], cu_k[b]);
    return CLATTN_OK;
}

/* ---- states ---- */

static clattn_status state_views(clattn_ctx *ctx, const char *name, const clattn_tensor *kv,
                                 const clattn_tensor *z, bool written, const cla_linear *p,
                                 cla_view *kv_view, cla_view *z_view)
{
    const unsigned f32 = CLA_DTYPE_BIT(CLATTN_F32);
    char names[2][16];
    for (int i = 0; i < 2; i++)
        snprintf(names[i], sizeof names[i], "%s_%s", name, i ? "z" : "kv");
    CLA_REQUIRE(ctx, cla_present(kv) && cla_present(z), CLATTN_ERR_ARG,
                "%s: %s is given without %s; a state is both", OP, names[!cla_present(kv)],
                names[cla_present(kv)]);
    CLA_TRY(cla_view_of(ctx, OP, names[0], 4, f32, written, kv, kv_view));
    CLA_TRY(cla_view_of(ctx, OP, names[1], 3, f32, written, z, z_view));
    const int64_t want[4] = { p->B, p->Hk, p->F, p->Dv };
    static const char *const axis[4] = { "B", "Hk", "F", "Dv" };
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < 4 - n; i++) {
            const int64_t length = n ? z_view->shape[i] : kv_view->shape[i];
            CLA_REQUIRE(ctx, length == want[i], CLATTN_ERR_SHAPE,
                        "%s: axis %d of %s has length %lld, must be %s = %lld", OP, i, names[n],
                        (long long)length, axis[i], (long long)want[i]);
        }
    return CLATTN_OK;
}

static clattn_status all_states(clattn_ctx *ctx, const linear_params *u, cla_linear *p)
{
    p->has_in = cla_present(&u->state_in_kv) || cla_present(&u->state_in_z);
    p->has_out = cla_present(&u->state_out_kv) || cla_present(&u->state_out_z);
    if (p->has_in)
        CLA_TRY(state_views(ctx, "state_in", &u->state_in_kv, &u->state_in_z, false, p, &p->in_kv,
                            &p->in_z));
    if (p->has_out)
        CLA_TRY(state_views(ctx, "state_out", &u->state_out_kv, &u->state_out_z, true, p,
                            &p->out_kv, &p->out_z));
    return CLATTN_OK;
}

/* ---- numbers ---- */

static clattn_status features(clattn_ctx *ctx, const linear_params *u, cla_linear *p)
{
    enum { MAX_POLY2 = 16384 }; /* F = 134 million */
    CLA_REQUIRE(ctx, (unsigned)u->map <= CLATTN_MAP_POLY2, CLATTN_ERR_ARG,
                "%s: map is %d, must be a clattn_feature_map", OP, (int)u->map);
    const bool poly2 = u->map == CLATTN_MAP_POLY2;
    CLA_REQUIRE(ctx, isfinite(u->c) && u->c >= 0, CLATTN_ERR_ARG,
                "%s: c is %g, must be 0 (the default, 1) or positive", OP, (double)u->c);
    CLA_REQUIRE(ctx, poly2 || (u->c == 0 && !u->homogeneous), CLATTN_ERR_ARG,
                "%s: %s is given, but map %d is not poly2", OP, u->c > 0 ? "c" : "homogeneous",
                (int)u->map);
    CLA_REQUIRE(ctx, !u->homogeneous || u->c == 0, CLATTN_ERR_ARG,
                "%s: c is %g, but homogeneous means 0", OP, (double)u->c);
    CLA_REQUIRE(ctx, !poly2 || p->D <= MAX_POLY2, CLATTN_ERR_SHAPE,
                "%s: D is %d, poly2 takes at most %d", OP, p->D, MAX_POLY2);
    p->map = (int32_t)u->map;
    p->c = poly2 && !u->homogeneous ? u->c > 0 ? u->c : 1.0f : 0.0f;
    p->F = poly2 ? 1 + p->D + p->D * (p->D + 1) / 2 : p->D;
    return CLATTN_OK;
}

static clattn_status numbers(clattn_ctx *ctx, const linear_params *u, cla_linear *p)
{
    CLA_REQUIRE(ctx, isfinite(u->scale), CLATTN_ERR_ARG, "%s: scale is %g", OP, (double)u->scale);
    CLA_REQUIRE(ctx, (unsigned)u->form <= CLATTN_FORM_QUADRATIC, CLATTN_ERR_ARG,
                "%s: form is %d, must be 0, 1 or 2", OP, (int)u->form);
    p->scale = u->scale != 0 ? u->scale : 1.0f;
    p->causal = u->causal;
    p->normalized = !u->unnormalized;
    CLA_REQUIRE(ctx, !p->causal || p->Tq == p->Tk, CLATTN_ERR_SHAPE,
                "%s: causal needs as many rows as keys, q has %d and k has %d", OP, p->Tq, p->Tk);
    if (p->causal && p->ragged) {
        CLA_TRY(same_cu(ctx, p));
        p->Nq = p->Nk = p->Nq < p->Nk ? p->Nq : p->Nk;
    }
    return CLATTN_OK;
}

static clattn_status choose_form(clattn_ctx *ctx, const linear_params *u, cla_linear *p)
{
    const bool state = p->has_in || p->has_out;
    CLA_REQUIRE(ctx, u->form != CLATTN_FORM_QUADRATIC || !state, CLATTN_ERR_ARG,
                "%s: the quadratic form has no state, but %s is given", OP,
                p->has_in ? "state_in" : "state_out");
    p->quadratic = u->form == CLATTN_FORM_QUADRATIC
                || (u->form == CLATTN_FORM_AUTO && !state && quadratic_flops(p) < linear_flops(p));
    return CLATTN_OK;
}

/* ---- entry points ---- */

static clattn_status check(clattn_ctx *ctx, void *params, bool once, void *problem)
{
    const linear_params *u = params;
    cla_linear *p = problem;
    (void)once;
    p->segs = 1;
    CLA_TRY(main_views(ctx, u, p));
    CLA_TRY(features(ctx, u, p));
    CLA_TRY(numbers(ctx, u, p));
    CLA_TRY(all_states(ctx, u, p));
    return choose_form(ctx, u, p);
}

clattn_status clattn_linear_attention(clattn_ctx *ctx, const linear_params *params)
{
    return cla_op_call(ctx, &cla_op_linear_attention, params);
}

clattn_status clattn_plan_linear_attention(clattn_ctx *ctx, const linear_params *params,
                                           clattn_plan **out)
{
    return cla_op_plan(ctx, &cla_op_linear_attention, params, out);
}

clattn_status clattn_plan_run_linear_attention(clattn_plan *plan, const linear_params *params)
{
    return cla_op_run(plan, &cla_op_linear_attention, params, NULL);
}
