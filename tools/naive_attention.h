/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax and argmax attention with sums in REAL; included by naive.c for each type, hence without
 * a guard.
 */
/* clang-format off: it takes NAIVE(x) for an expression */

/* One row: where its tensors lie and which keys it sees. */
struct NAIVE(row) {
    const struct attn_job *job;
    const float *q, *k, *v; /* k and v of key 0 */
    int64_t k_stride, v_stride;
    int64_t b, h, i, nq, nk;
    REAL scale;
};

/* Element of a [B][Hq][Nq][Nk] tensor whose axes of length 1 repeat. */
static int64_t NAIVE(at)(const struct array *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const int64_t index[] = { b, h, i, j };
    int64_t at = 0;

    for (int axis = 0; axis < 4; axis++)
        at = at * a->shape[axis] + (a->shape[axis] == 1 ? 0 : index[axis]);
    return at;
}

static bool NAIVE(visible)(const struct NAIVE(row) *r, int64_t j)
{
    const struct attn_job *job = r->job;
    const struct attn_options *o = &job->options;
    const int64_t diagonal = r->i + r->nk - r->nq;

    if (o->causal == CLATTN_CAUSAL_TOP_LEFT && j > r->i)
        return false;
    if (o->causal == CLATTN_CAUSAL_BOTTOM_RIGHT && j > diagonal)
        return false;
    if (o->window && o->left >= 0 && j < diagonal - o->left)
        return false;
    if (o->window && o->right >= 0 && j > diagonal + o->right)
        return false;
    return job->mask.dtype == CLATTN_NONE
           || ((const uint8_t *)job->mask.data)[NAIVE(at)(&job->mask, r->b, r->h, r->i, j)];
}

static REAL NAIVE(score)(const struct NAIVE(row) *r, int64_t j)
{
    const struct attn_job *job = r->job;
    const float *k = r->k + j * r->k_stride;
    const REAL cap = (REAL)job->options.softcap;
    REAL s = 0;

    for (int64_t d = 0; d < job->in.n.D; d++)
        s += (REAL)r->q[d] * (REAL)k[d];
    s *= r->scale;
    if (cap > 0)
        s = cap * TANH(s / cap);
    if (job->alibi.dtype != CLATTN_NONE) {
        const int64_t apart = r->i + r->nk - r->nq - j;
        s -= (REAL)((const float *)job->alibi.data)[r->h] * (REAL)(apart < 0 ? -apart : apart);
    }
    if (job->bias.dtype != CLATTN_NONE)
        s += (REAL)((const float *)job->bias.data)[NAIVE(at)(&job->bias, r->b, r->h, r->i, j)];
    return s;
}

/*
 * Scores in, weights out, in the same place; returns the logarithm of the sum. A row that sees
 * nothing has max = -inf, and exp(-inf - -inf) would be NaN.
 */
static REAL NAIVE(softmax)(const struct NAIVE(row) *r, REAL *x)
{
    const struct array *sinks = &r->job->sinks;
    const REAL sink = sinks->dtype == CLATTN_NONE ? (REAL)-INFINITY
                                                  : (REAL)((const float *)sinks->data)[r->h];
    REAL max = sink, sum = 0;
    bool nan = false;

    for (int64_t j = 0; j < r->nk; j++) {
        nan = nan || isnan(x[j]);
        max = x[j] > max ? x[j] : max;
    }
    if (max == (REAL)-INFINITY && !nan) {
        for (int64_t j = 0; j < r->nk; j++)
            x[j] = 0;
        return max;
    }
    for (int64_t j = 0; j < r->nk; j++) {
        x[j] = EXP(x[j] - max);
        sum += x[j];
    }
    if (sink > (REAL)-INFINITY)
        sum += EXP(sink - max);
    for (int64_t j = 0; j < r->nk; j++)
        x[j] /= sum;
    return max + LOG(sum);
}

/* x and acc have room for nk and Dv numbers; lse and probs may be NULL. */
static void NAIVE(do_row)(const struct NAIVE(row) *r, REAL *x, REAL *acc, float *o, float *lse,
                          float *probs)
{
    const int64_t Dv = r->job->in.n.Dv;

    for (int64_t j = 0; j < r->nk; j++)
        x[j] = NAIVE(visible)(r, j) ? NAIVE(score)(r, j) : (REAL)-INFINITY;
    const REAL total = NAIVE(softmax)(r, x);
    for (int64_t d = 0; d < Dv; d++)
        acc[d] = 0;
    for (int64_t j = 0; j < r->nk; j++) {
        if (!NAIVE(visible)(r, j))
            continue; /* what lies there, NaN included, changes nothing */
        for (int64_t d = 0; d < Dv; d++)
            acc[d] += x[j] * (REAL)r->v[j * r->v_stride + d];
    }
    for (int64_t d = 0; d < Dv; d++)
        o[d] = (float)acc[d];
    if (lse)
        *lse = (float)total;
    for (int64_t j = 0; j < r->nk && probs; j++)
        probs[j] = (float)x[j];
}

/* The lowest of the best keys, a NaN being worse than any number; -1: none is visible. */
static int32_t NAIVE(best_key)(const struct NAIVE(row) *r)
{
    int32_t best = -1;
    REAL top = 0;

    for (int64_t j = 0; j < r->nk; j++) {
        if (!NAIVE(visible)(r, j))
            continue;
        const REAL s = NAIVE(score)(r, j);
        if (best < 0 || s > top || (isnan(top) && !isnan(s))) {
            best = (int32_t)j;
            top = s;
        }
    }
    return best;
}

static void NAIVE(do_argmax_row)(const struct NAIVE(row) *r, float *o, int32_t *index)
{
    const int64_t Dv = r->job->in.n.Dv;
    const int32_t best = NAIVE(best_key)(r);

    for (int64_t d = 0; d < Dv; d++)
        o[d] = best < 0 ? 0 : r->v[best * r->v_stride + d];
    if (index)
        *index = best;
}

/* All rows of one head of one sequence; first_q and first_k are its first packed rows. */
static void NAIVE(do_head)(struct NAIVE(row) *r, int64_t first_q, int64_t first_k, REAL *x,
                           struct attn_results *out)
{
    const struct attn_job *job = r->job;
    const struct qkv_sizes *n = &job->in.n;
    const bool ragged = job->in.ragged;
    const int64_t head_k = r->h / (n->Hq / n->Hk);
    float *o = out->o.data, *lse = out->lse.data, *probs = out->probs.data;
    int32_t *index = out->index.data;

    /* Dense tensors are [B][H][N][.]; packed ones [T][H][.], lse and index [H][T]. */
    const int64_t q_base = ragged ? first_q * n->Hq + r->h : (r->b * n->Hq + r->h) * n->Nq;
    const int64_t k_base = ragged ? first_k * n->Hk + head_k
                                  : (r->b * n->Hk + head_k) * n->Nk;
    const int64_t lse_base = ragged ? r->h * n->Nq + first_q : q_base;
    const int64_t q_step = ragged ? n->Hq : 1, k_step = ragged ? n->Hk : 1;
    r->k = (const float *)job->in.k.data + k_base * n->D;
    r->v = (const float *)job->in.v.data + k_base * n->Dv;
    r->k_stride = k_step * n->D;
    r->v_stride = k_step * n->Dv;
    for (r->i = 0; r->i < r->nq; r->i++) {
        const int64_t row = q_base + r->i * q_step;
        r->q = (const float *)job->in.q.data + row * n->D;
        if (job->argmax) {
            NAIVE(do_argmax_row)(r, o + row * n->Dv, index ? index + lse_base + r->i : NULL);
            continue;
        }
        NAIVE(do_row)(r, x, x + n->Nk, o + row * n->Dv, lse ? lse + lse_base + r->i : NULL,
                      probs ? probs + row * n->Nk : NULL);
    }
}

int NAIVE(naive_attention)(const struct attn_job *job, struct attn_results *out)
{
    const struct qkv_sizes *n = &job->in.n;
    const REAL by_width = job->argmax ? 1 : 1 / SQRT((REAL)n->D);
    struct NAIVE(row) r = { .job = job, .nq = n->Nq, .nk = n->Nk };
    REAL *x = calloc((size_t)(n->Nk + n->Dv) + 1, sizeof *x);

    if (!x)
        return fail(EXIT_INPUT, "out of memory");
    r.scale = job->options.scale != 0 ? (REAL)job->options.scale : by_width;
    for (r.b = 0; r.b < n->B; r.b++) {
        int64_t first_q = 0, first_k = 0;
        if (job->in.ragged) {
            const int32_t *cu_q = job->in.cu_q.data, *cu_k = job->in.cu_k.data;
            first_q = cu_q[r.b];
            first_k = cu_k[r.b];
            r.nq = cu_q[r.b + 1] - first_q;
            r.nk = cu_k[r.b + 1] - first_k;
        }
        for (r.h = 0; r.h < n->Hq; r.h++)
            NAIVE(do_head)(&r, first_q, first_k, x, out);
    }
    free(x);
    return EXIT_OK;
}
