/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The computation itself, included by ref_attention.c once for double and once for float. The
 * includer defines REAL, NAME(x), and EXP, LOG, TANH, SQRT for that type.
 */

/* Order 0 sums from the first to the last, order 1 from the last; 2 and 3 make partial sums. */
static REAL NAME(dot)(const float *a, const float *b, int n, int order)
{
    const int parts = order == 2 ? 4 : order == 3 ? 16 : 1;
    REAL part[16] = { 0 }, sum = 0;
    for (int i = 0; i < n; i++) {
        const int d = order == 1 ? n - 1 - i : i;
        part[d % parts] += (REAL)a[d] * (REAL)b[d];
    }
    for (int i = 0; i < parts; i++)
        sum += part[i];
    return sum;
}

/* The score of a visible pair, mask and window aside. */
static REAL NAME(score)(const ref_attn *p, int order, int b, int h, int i, int j)
{
    const ref_seq s = ref_seq_of(p, b);
    const float *q = p->q + ref_q_row(p, b, h, i) * (size_t)p->D;
    const float *k = p->k + ref_k_row(p, b, h, j) * (size_t)p->D;
    const REAL scale = p->scale != 0 ? (REAL)p->scale : 1 / SQRT((REAL)p->D);

    REAL x = scale * NAME(dot)(q, k, p->D, order);
    if (p->softcap > 0)
        x = (REAL)p->softcap * TANH(x / (REAL)p->softcap);
    if (p->alibi)
        x -= (REAL)p->alibi[h] * (REAL)abs(i + s.nk - s.nq - j);
    if (p->bias)
        x += (REAL)p->bias[broadcast_at(p->bias_shape, b, h, i, j)];
    return x;
}

/* One row: its nk scores in, its weights out in the same place; returns lse. */
static REAL NAME(softmax)(const ref_attn *p, int b, int h, int i, int nk, REAL *x)
{
    REAL max = p->sinks ? (REAL)p->sinks[h] : -(REAL)INFINITY;
    REAL sum = 0;
    bool any_nan = false;

    for (int j = 0; j < nk; j++) {
        if (!ref_visible(p, b, h, i, j))
            continue;
        max = x[j] > max ? x[j] : max;
        any_nan = any_nan || isnan(x[j]);
    }
    if (max == -(REAL)INFINITY && !any_nan) { /* nothing to see: exp(-inf - -inf) is NaN */
        for (int j = 0; j < nk; j++)
            x[j] = 0;
        return max;
    }
    for (int j = 0; j < nk; j++) {
        x[j] = ref_visible(p, b, h, i, j) ? EXP(x[j] - max) : 0;
        sum += x[j];
    }
    if (p->sinks)
        sum += EXP((REAL)p->sinks[h] - max);
    for (int j = 0; j < nk; j++)
        x[j] /= sum;
    return max + LOG(sum);
}

static void NAME(row)(const ref_attn *p, int order, int b, int h, int i, REAL *x, REAL *o,
                      REAL *lse)
{
    const int nk = ref_seq_of(p, b).nk;

    for (int j = 0; j < nk; j++)
        x[j] = ref_visible(p, b, h, i, j) ? NAME(score)(p, order, b, h, i, j) : 0;
    const REAL row_lse = NAME(softmax)(p, b, h, i, nk, x);
    if (lse)
        *lse = row_lse;
    for (int d = 0; d < p->Dv; d++)
        o[d] = 0;
    for (int j = 0; j < nk; j++) {
        if (!ref_visible(p, b, h, i, j))
            continue; /* what lies there, NaN included, changes nothing */
        const float *v = p->v + ref_k_row(p, b, h, j) * (size_t)p->Dv;
        for (int d = 0; d < p->Dv; d++)
            o[d] += x[j] * (REAL)v[d];
    }
}

static void NAME(attention)(const ref_attn *p, int order, REAL *o, REAL *lse, REAL *probs)
{
    REAL *x = malloc(((size_t)p->Nk + 1) * sizeof *x);

    if (!x)
        abort();
    for (int b = 0; b < p->B; b++) {
        const ref_seq s = ref_seq_of(p, b);
        for (int h = 0; h < p->Hq; h++)
            for (int i = 0; i < p->Nq; i++) {
                const size_t row = ((size_t)b * p->Hq + h) * p->Nq + i;
                if (probs)
                    memset(probs + row * p->Nk, 0, (size_t)p->Nk * sizeof *probs);
                if (i >= s.nq)
                    continue;
                NAME(row)(p, order, b, h, i, x, o + ref_q_row(p, b, h, i) * (size_t)p->Dv,
                          lse ? lse + ref_lse_row(p, b, h, i) : NULL);
                if (probs)
                    memcpy(probs + row * p->Nk, x, (size_t)s.nk * sizeof *probs);
            }
    }
    free(x);
}

static void NAME(merge)(int P, size_t rows, int Dv, const float *o_parts, const float *lse_parts,
                        REAL *o, REAL *lse)
{
    for (size_t r = 0; r < rows; r++) {
        REAL max = -(REAL)INFINITY, sum = 0;
        for (int i = 0; i < P; i++)
            max = (REAL)lse_parts[i * rows + r] > max ? (REAL)lse_parts[i * rows + r] : max;
        for (int d = 0; d < Dv; d++)
            o[r * Dv + d] = 0;
        if (lse)
            lse[r] = max;
        if (max == -(REAL)INFINITY)
            continue;
        for (int i = 0; i < P; i++)
            sum += EXP((REAL)lse_parts[i * rows + r] - max);
        for (int i = 0; i < P; i++) {
            const REAL part_lse = (REAL)lse_parts[i * rows + r];
            if (part_lse == -(REAL)INFINITY)
                continue; /* o of an empty part is not read */
            for (int d = 0; d < Dv; d++)
                o[r * Dv + d] +=
                    EXP(part_lse - max) / sum * (REAL)o_parts[(i * rows + r) * Dv + d];
        }
        if (lse)
            lse[r] = max + LOG(sum);
    }
}
