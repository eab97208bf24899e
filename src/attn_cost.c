/* SPDX-License-Identifier: Apache-2.0 */
#include "attn_cost.h"

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Visible (row, key) pairs of one head of one sequence. */
static double visible_pairs(const cla_attn *p, int64_t nq, int64_t nk)
{
    if (p->causal == CLATTN_CAUSAL_NONE && p->left == CLA_UNBOUNDED && p->right == CLA_UNBOUNDED)
        return (double)nq * (double)nk;
    double pairs = 0;
    const int64_t shift = nk - nq;
    for (int64_t i = 0; i < nq; i++) {
        const int64_t begin = i + shift - p->left > 0 ? i + shift - p->left : 0;
        int64_t end = min64(nk, i + shift + p->right + 1);
        if (p->causal == CLATTN_CAUSAL_TOP_LEFT)
            end = min64(end, i + 1);
        if (p->causal == CLATTN_CAUSAL_BOTTOM_RIGHT)
            end = min64(end, i + shift + 1);
        pairs += end > begin ? (double)(end - begin) : 0;
    }
    return pairs;
}

/* What lies in a buffer may be anything: taken as the kernels take it. */
static int32_t cached_length(const cla_attn *p, int b)
{
    const int32_t length = CLA_AT(const int32_t, p->lengths)[b];
    return length < 0 ? 0 : length < p->Nk ? length : p->Nk;
}

static double all_pairs(const cla_attn *p)
{
    const bool lengths_known = p->ragged && p->cu_q.host && p->cu_k.host;
    double pairs = 0;
    if (p->has_lengths && p->lengths.host) {
        for (int b = 0; b < p->B; b++)
            pairs += visible_pairs(p, p->Nq, cached_length(p, b));
        return pairs;
    }
    if (!lengths_known)
        return (double)p->B * visible_pairs(p, p->Nq, p->Nk);
    const int32_t *cu_q = CLA_AT(const int32_t, p->cu_q), *cu_k = CLA_AT(const int32_t, p->cu_k);
    for (int b = 0; b < p->B; b++)
        pairs += visible_pairs(p, cu_q[b + 1] - cu_q[b], cu_k[b + 1] - cu_k[b]);
    return pairs;
}

/* Distinct elements of a view: broadcast axes count once. */
static double elements(const cla_view *v)
{
    if (v->dtype == CLATTN_NONE || v->span == 0)
        return 0;
    double n = 1;
    for (int i = 0; i < CLATTN_MAX_RANK; i++)
        n *= v->stride[i] > 0 ? (double)v->shape[i] : 1;
    return n;
}

/* Keys of all sequences that have lengths of their own; as many as there can be when unknown. */
static double cached_keys(const cla_attn *p)
{
    double keys = 0;
    if (!p->lengths.host)
        return (double)p->B * p->Nk;
    for (int b = 0; b < p->B; b++)
        keys += cached_length(p, b);
    return keys;
}

double cla_row_bytes(int dtype, int32_t width)
{
    if (dtype == CLATTN_I8)
        return width + 4.0;
    if (dtype == CLATTN_I4)
        return (double)((width + 1) / 2) + 4.0 * ((width + 31) / 32);
    return (double)width * (double)clattn_dtype_size((clattn_dtype)dtype);
}

static double view_bytes(const cla_view *v)
{
    return elements(v) * (double)clattn_dtype_size((clattn_dtype)v->dtype);
}

static double key_bytes(const cla_attn *p)
{
    if (!p->has_lengths)
        return view_bytes(&p->k);
    return cached_keys(p) * p->Hk * cla_row_bytes(p->kv_type, p->D);
}

static double value_bytes(const cla_attn *p)
{
    if (!p->has_lengths)
        return view_bytes(&p->v);
    return cached_keys(p) * p->Hk * cla_row_bytes(p->kv_type, p->Dv);
}

cla_work cla_attn_cost(const void *problem)
{
    const cla_attn *p = problem;
    const cla_view *views[] = { &p->q, &p->o, &p->mask, &p->bias, &p->probs };
    cla_work work = { .flops = 2.0 * (p->D + p->Dv) * p->Hq * all_pairs(p),
                      .bytes = key_bytes(p) + value_bytes(p) };
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
        work.bytes += view_bytes(views[i]);
    if (p->has_lse && !p->lse.in_work)
        work.bytes += view_bytes(&p->lse);
    return work;
}

cla_work cla_argmax_cost(const void *problem)
{
    const cla_attn *p = problem;
    const cla_view *views[] = { &p->q, &p->o, &p->o, &p->mask, &p->index };
    cla_work work = { .flops = 2.0 * p->D * p->Hq * all_pairs(p), .bytes = key_bytes(p) };
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
        work.bytes += view_bytes(views[i]);
    return work;
}
