/* SPDX-License-Identifier: Apache-2.0 */
/* What attention costs, counted without a device. */
#include "attn_job.h"

double attn_visible(const struct qkv_sizes *n, const struct attn_options *o)
{
    double pairs = 0;

    if (o->causal == CLATTN_CAUSAL_NONE && !o->window)
        return (double)n->Nq * (double)n->Nk;
    for (int64_t i = 0; i < n->Nq; i++) {
        const int64_t diagonal = i + n->Nk - n->Nq;
        int64_t first = 0, last = n->Nk - 1;
        if (o->causal == CLATTN_CAUSAL_TOP_LEFT && i < last)
            last = i;
        if (o->causal == CLATTN_CAUSAL_BOTTOM_RIGHT && diagonal < last)
            last = diagonal;
        if (o->window && o->right >= 0 && o->right < last - diagonal)
            last = diagonal + o->right;
        if (o->window && o->left >= 0 && o->left < diagonal)
            first = diagonal - o->left;
        if (last >= first)
            pairs += (double)(last - first + 1);
    }
    return pairs;
}

double attn_flops(const struct qkv_sizes *n, const struct attn_options *o)
{
    return 2.0 * (double)(n->D + n->Dv) * (double)n->B * (double)n->Hq * attn_visible(n, o);
}

double argmax_flops(const struct qkv_sizes *n, const struct attn_options *o)
{
    return 2.0 * (double)n->D * (double)n->B * (double)n->Hq * attn_visible(n, o);
}

double argmax_bytes(const struct qkv_sizes *n, clattn_dtype dtype)
{
    const double rows = (double)n->Hq * (double)n->Nq, keys = (double)n->Hk * (double)n->Nk;

    return (double)clattn_dtype_size(dtype) * (double)n->B
           * ((double)n->D * (rows + keys) + 2 * (double)n->Dv * rows);
}
