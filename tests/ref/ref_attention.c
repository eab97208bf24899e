/* SPDX-License-Identifier: Apache-2.0 */
/* Reference softmax attention: indexing and visibility; the sums are in ref_attention_real.h. */
#include "ref_attention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "storage.h"

ref_seq ref_seq_of(const ref_attn *p, int b)
{
    if (!p->cu_q)
        return (ref_seq){ 0, p->Nq, 0, p->Nk };
    return (ref_seq){ p->cu_q[b], p->cu_q[b + 1] - p->cu_q[b],
                      p->cu_k[b], p->cu_k[b + 1] - p->cu_k[b] };
}

size_t ref_q_row(const ref_attn *p, int b, int h, int i)
{
    if (p->cu_q)
        return ((size_t)p->cu_q[b] + i) * p->Hq + h;
    return ((size_t)b * p->Hq + h) * p->Nq + i;
}

size_t ref_k_row(const ref_attn *p, int b, int h, int j)
{
    const int hk = h / (p->Hq / p->Hk);
    if (p->cu_k)
        return ((size_t)p->cu_k[b] + j) * p->Hk + hk;
    return ((size_t)b * p->Hk + hk) * p->Nk + j;
}

size_t ref_lse_row(const ref_attn *p, int b, int h, int i)
{
    if (p->cu_q)
        return (size_t)h * p->cu_q[p->B] + p->cu_q[b] + i;
    return ((size_t)b * p->Hq + h) * p->Nq + i;
}

static size_t broadcast_at(const int *shape, int b, int h, int i, int j)
{
    const int at[4] = { b, h, i, j };
    size_t index = 0;

    for (int a = 0; a < 4; a++)
        index = index * shape[a] + (shape[a] == 1 ? 0 : at[a]);
    return index;
}

bool ref_visible(const ref_attn *p, int b, int h, int i, int j)
{
    const ref_seq s = ref_seq_of(p, b);
    const int64_t diagonal = (int64_t)i + s.nk - s.nq;

    if (p->causal == CLATTN_CAUSAL_TOP_LEFT && j > i)
        return false;
    if (p->causal == CLATTN_CAUSAL_BOTTOM_RIGHT && j > diagonal)
        return false;
    if (p->window && p->left >= 0 && j < diagonal - p->left)
        return false;
    if (p->window && p->right >= 0 && j > diagonal + p->right)
        return false;
    return !p->mask || p->mask[broadcast_at(p->mask_shape, b, h, i, j)] != 0;
}

#define REAL double
#define NAME(x) x##_double
#define EXP exp
#define LOG log
#define TANH tanh
#define SQRT sqrt
#include "ref_attention_real.h"
#undef REAL
#undef NAME
#undef EXP
#undef LOG
#undef TANH
#undef SQRT

#define REAL float
#define NAME(x) x##_float
#define EXP expf
#define LOG logf
#define TANH tanhf
#define SQRT sqrtf
#include "ref_attention_real.h"

void ref_attention(const ref_attn *p, double *o, double *lse, double *probs)
{
    attention_double(p, 0, o, lse, probs);
}

void ref_merge(int P, size_t rows, int Dv, const float *o_parts, const float *lse_parts, double *o,
               double *lse)
{
    merge_double(P, rows, Dv, o_parts, lse_parts, o, lse);
}

static void round_to(clattn_dtype type, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = storage_round(type, x[i]);
}

void ref_attention_naive(const ref_attn *p, int order, clattn_dtype out_type, float *o, float *lse,
                         float *probs)
{
    const size_t rows = p->cu_q ? (size_t)p->cu_q[p->B] : (size_t)p->B * p->Nq;

    attention_float(p, order, o, lse, probs);
    round_to(out_type, o, rows * p->Hq * p->Dv);
}

void ref_merge_naive(int P, size_t rows, int Dv, const float *o_parts, const float *lse_parts,
                     clattn_dtype out_type, float *o, float *lse)
{
    merge_float(P, rows, Dv, o_parts, lse_parts, o, lse);
    round_to(out_type, o, rows * Dv);
}
