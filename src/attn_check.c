/* SPDX-License-Identifier: Apache-2.0 */
#include "attn_check.h"

#include <string.h>

bool cla_attn_is_empty(const void *problem)
{
    const cla_attn *p = problem;
    return p->B == 0 || p->Hq == 0 || p->Nq == 0 || p->Tq == 0;
}

/* Packed [T][H][D] becomes [1][H][T][D]: the batch axis is walked by cu_seqlens. */
static void unpack_axes(cla_view *view)
{
    const int64_t rows = view->shape[0], row_stride = view->stride[0];
    view->shape[0] = 1;
    view->stride[0] = 0;
    view->shape[3] = view->shape[2];
    view->stride[3] = view->stride[2];
    view->shape[2] = rows;
    view->stride[2] = row_stride;
}

static clattn_status main_view(clattn_ctx *ctx, const cla_attn_tensors *in, const char *name,
                               const clattn_tensor *t, bool written, const cla_attn *p,
                               cla_view *view)
{
    const bool stored = p->has_lengths && (t == in->k || t == in->v);
    const unsigned quantised = CLA_DTYPE_BIT(CLATTN_I8) | CLA_DTYPE_BIT(CLATTN_I4);
    const cla_tensor_rule rule = { in->op, name, p->ragged ? 3 : 4,
                                   CLA_DTYPES_FLOAT | (stored ? quantised : 0), written, false };
    CLA_TRY(cla_view_make(ctx, &rule, t, view));
    if (p->ragged)
        unpack_axes(view);
    return CLATTN_OK;
}

static clattn_status main_views(clattn_ctx *ctx, const cla_attn_tensors *in, cla_attn *p)
{
    CLA_TRY(main_view(ctx, in, "q", in->q, false, p, &p->q));
    CLA_TRY(main_view(ctx, in, "k", in->k, false, p, &p->k));
    CLA_TRY(main_view(ctx, in, "v", in->v, false, p, &p->v));
    CLA_TRY(main_view(ctx, in, "o", in->o, true, p, &p->o));
    CLA_REQUIRE(ctx, p->has_lengths || p->k.dtype == p->q.dtype, CLATTN_ERR_ARG,
                "%s: q is %s, k is %s and v is %s; they must have one dtype", in->op,
                clattn_dtype_name(in->q->dtype), clattn_dtype_name(in->k->dtype),
                clattn_dtype_name(in->v->dtype));
    CLA_REQUIRE(ctx, p->v.dtype == p->k.dtype, CLATTN_ERR_ARG,
                "%s: k is %s and v is %s; they must have one dtype", in->op,
                clattn_dtype_name(in->k->dtype), clattn_dtype_name(in->v->dtype));
    CLA_REQUIRE(ctx, p->o.dtype == p->q.dtype || p->o.dtype == CLATTN_F32
                         || (p->has_lengths && p->o.dtype == p->v.dtype), CLATTN_ERR_ARG,
                "%s: o is %s, must be %s as q, or f32", in->op, clattn_dtype_name(in->o->dtype),
                clattn_dtype_name(in->q->dtype));
    return CLATTN_OK;
}

/* Elements of a stored row: two i4 numbers each. */
static int64_t stored_width(const cla_attn *p, int64_t width)
{
    return p->k.dtype == CLATTN_I4 ? (width + 1) / 2 : width;
}

static clattn_status sizes(clattn_ctx *ctx, const char *op, const cla_attn_tensors *in,
                           cla_attn *p)
{
    const int64_t *q = p->q.shape, *k = p->k.shape, *v = p->v.shape, *o = p->o.shape;
    const bool paged = p->has_lengths && cla_present(&in->layout->block_table);
    CLA_TRY(cla_agree(ctx, op, paged ? "pages" : "batches", "k", k[0], "v", v[0]));
    if (!paged)
        CLA_TRY(cla_agree(ctx, op, "batches", "q", q[0], "k", k[0]));
    CLA_TRY(cla_agree(ctx, op, "batches", "q", q[0], "o", o[0]));
    CLA_TRY(cla_agree(ctx, op, "heads", "k", k[1], "v", v[1]));
    CLA_TRY(cla_agree(ctx, op, "heads", "q", q[1], "o", o[1]));
    CLA_TRY(cla_agree(ctx, op, "rows", "k", k[2], "v", v[2]));
    CLA_TRY(cla_agree(ctx, op, "rows", "q", q[2], "o", o[2]));
    CLA_TRY(cla_agree(ctx, op, "columns", "q", stored_width(p, q[3]), "k", k[3]));
    CLA_TRY(cla_agree(ctx, op, "columns", "v", v[3], "o", stored_width(p, o[3])));
    CLA_REQUIRE(ctx, q[3] >= 1 && o[3] >= 1, CLATTN_ERR_SHAPE,
                "%s: D is %lld and Dv is %lld, both must be at least 1", op, (long long)q[3],
                (long long)o[3]);
    CLA_REQUIRE(ctx, q[1] == 0 || (k[1] > 0 && q[1] % k[1] == 0), CLATTN_ERR_SHAPE,
                "%s: q has %lld heads, k has %lld; Hq must be a multiple of Hk", op,
                (long long)q[1], (long long)k[1]);
    p->B = (int32_t)q[0];
    p->Hq = (int32_t)q[1];
    p->Hk = (int32_t)k[1];
    p->G = p->Hk ? p->Hq / p->Hk : 0;
    p->Nq = p->Tq = (int32_t)q[2];
    p->Nk = p->Tk = (int32_t)k[2];
    p->D = (int32_t)q[3];
    p->Dv = (int32_t)o[3];
    p->in_type = p->q.dtype;
    p->kv_type = p->k.dtype;
    p->out_type = p->o.dtype;
    return CLATTN_OK;
}

/* ---- ragged batches ---- */

/* Contents of a host array: first 0, never decreasing, last T. Returns the longest sequence. */
static clattn_status check_cu(clattn_ctx *ctx, const char *op, const char *name,
                              const cla_view *view, int rows, int *longest)
{
    const int32_t *cu = CLA_AT(const int32_t, *view);
    const int B = (int)view->shape[0] - 1;
    *longest = 0;
    CLA_REQUIRE(ctx, cu[0] == 0, CLATTN_ERR_ARG, "%s: %s starts with %d, must be 0", op, name,
                cu[0]);
    for (int b = 0; b < B; b++) {
        CLA_REQUIRE(ctx, cu[b + 1] >= cu[b], CLATTN_ERR_ARG,
                    "%s: %s decreases from %d to %d at sequence %d", op, name, cu[b], cu[b + 1],
                    b);
        *longest = cu[b + 1] - cu[b] > *longest ? cu[b + 1] - cu[b] : *longest;
    }
    CLA_REQUIRE(ctx, cu[B] == rows, CLATTN_ERR_ARG,
                "%s: %s ends with %d, the packed tensor has %d rows", op, name, cu[B], rows);
    return CLATTN_OK;
}

static clattn_status longest_sequence(clattn_ctx *ctx, const char *op, const char *name,
                                      const cla_view *cu, int64_t given, int32_t rows,
                                      int32_t *out)
{
    CLA_REQUIRE(ctx, given >= 0 && given <= CLA_MAX_LENGTH, CLATTN_ERR_SHAPE,
                "%s: the longest sequence of %s is given as %lld", op, name, (long long)given);
    *out = given && given < rows ? (int32_t)given : rows;
    if (cu->buffer)
        return CLATTN_OK;
    int longest;
    CLA_TRY(check_cu(ctx, op, name, cu, rows, &longest));
    CLA_REQUIRE(ctx, !given || longest <= given, CLATTN_ERR_SHAPE,
                "%s: %s has a sequence of %d rows, the longest is given as %lld", op, name,
                longest, (long long)given);
    if (!given)
        *out = longest;
    return CLATTN_OK;
}

static clattn_status cu_view(clattn_ctx *ctx, const char *op, const char *name,
                             const clattn_tensor *t, cla_view *view)
{
    const cla_tensor_rule rule = { op, name, 1, CLA_DTYPE_BIT(CLATTN_I32), false, false };
    return cla_view_make(ctx, &rule, t, view);
}

static clattn_status ragged_views(clattn_ctx *ctx, const cla_attn_tensors *in, cla_attn *p)
{
    CLA_TRY(cu_view(ctx, in->op, "cu_seqlens_q", in->cu_seqlens_q, &p->cu_q));
    CLA_TRY(cu_view(ctx, in->op, "cu_seqlens_k", in->cu_seqlens_k, &p->cu_k));
    const int64_t n = p->cu_q.shape[0];
    CLA_REQUIRE(ctx, n >= 1 && p->cu_k.shape[0] == n, CLATTN_ERR_SHAPE,
                "%s: cu_seqlens_q has %lld entries and cu_seqlens_k %lld; both need B + 1", in->op,
                (long long)n, (long long)p->cu_k.shape[0]);
    p->B = (int32_t)n - 1;
    CLA_TRY(longest_sequence(ctx, in->op, "cu_seqlens_q", &p->cu_q, in->max_seqlen_q, p->Tq,
                             &p->Nq));
    return longest_sequence(ctx, in->op, "cu_seqlens_k", &p->cu_k, in->max_seqlen_k, p->Tk,
                            &p->Nk);
}

clattn_status cla_attn_check_tensors(clattn_ctx *ctx, const cla_attn_tensors *in, cla_attn *p)
{
    p->splits = 1;
    p->ragged = cla_present(in->cu_seqlens_q) || cla_present(in->cu_seqlens_k);
    p->has_lengths = in->layout && cla_present(&in->layout->lengths);
    CLA_REQUIRE(ctx, !p->ragged || !p->has_lengths, CLATTN_ERR_ARG,
                "%s: cu_seqlens and layout.lengths are both given; keys of a cache have lengths, "
                "packed keys cu_seqlens", in->op);
    CLA_TRY(main_views(ctx, in, p));
    CLA_TRY(sizes(ctx, in->op, in, p));
    CLA_TRY(cla_attn_check_cache(ctx, in, p));
    return p->ragged ? ragged_views(ctx, in, p) : CLATTN_OK;
}

clattn_status cla_attn_check_scores(clattn_ctx *ctx, const char *op, const char *name,
                                    unsigned dtypes, const clattn_tensor *t, const cla_attn *p,
                                    cla_view *view)
{
    const cla_tensor_rule rule = { op, name, 4, dtypes, false, true };
    CLA_TRY(cla_view_make(ctx, &rule, t, view));
    const int64_t want[4] = { p->B, p->Hq, p->Nq, p->Nk };
    static const char *const axis[4] = { "B", "Hq", "Nq", "Nk" };
    for (int i = 0; i < 4; i++)
        CLA_REQUIRE(ctx, view->shape[i] == want[i] || view->shape[i] == 1, CLATTN_ERR_SHAPE,
                    "%s: axis %d of %s has length %lld, must be 1 or %s = %lld", op, i, name,
                    (long long)view->shape[i], axis[i], (long long)want[i]);
    return CLATTN_OK;
}

void cla_attn_add_batch(cla_view *view)
{
    memmove(view->shape + 1, view->shape, 3 * sizeof view->shape[0]);
    memmove(view->stride + 1, view->stride, 3 * sizeof view->stride[0]);
    view->shape[0] = 1;
    view->stride[0] = 0;
}

clattn_status cla_attn_check_rows(clattn_ctx *ctx, const char *op, const char *name,
                                  const cla_attn *p, cla_view *view)
{
    if (p->ragged)
        cla_attn_add_batch(view);
    const int64_t *s = view->shape, B = p->ragged ? 1 : p->B;
    CLA_REQUIRE(ctx, s[0] == B && s[1] == p->Hq && s[2] == p->Tq, CLATTN_ERR_SHAPE,
                "%s: %s is [%lld][%lld][%lld], must be [%lld][%d][%d]", op, name, (long long)s[0],
                (long long)s[1], (long long)s[2], (long long)B, p->Hq, p->Tq);
    return CLATTN_OK;
}

static clattn_status window_side(clattn_ctx *ctx, const char *op, const char *side, int64_t given,
                                 int32_t *out)
{
    CLA_REQUIRE(ctx, given >= -1, CLATTN_ERR_ARG,
                "%s: window_%s is %lld, must be -1 (unbounded) or more", op, side,
                (long long)given);
    *out = given < 0 || given > CLA_UNBOUNDED ? CLA_UNBOUNDED : (int32_t)given;
    return CLATTN_OK;
}

clattn_status cla_attn_check_visibility(clattn_ctx *ctx, const char *op,
                                        const cla_visibility *user, cla_attn *p)
{
    CLA_REQUIRE(ctx, (unsigned)user->causal <= CLATTN_CAUSAL_BOTTOM_RIGHT, CLATTN_ERR_ARG,
                "%s: causal is %d, must be 0, 1 or 2", op, (int)user->causal);
    p->causal = (int32_t)user->causal;
    p->left = p->right = CLA_UNBOUNDED;
    if (!user->window)
        return CLATTN_OK;
    CLA_TRY(window_side(ctx, op, "left", user->left, &p->left));
    return window_side(ctx, op, "right", user->right, &p->right);
}
