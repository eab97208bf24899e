/* SPDX-License-Identifier: Apache-2.0 */
/* Included by ref_stats.c once for each REAL; the names of its functions are made with NAME(). */

/* One after the other: the largest of those that are smaller, or as large and of a higher key. */
static void NAME(largest)(const REAL *x, int nk, int tops, REAL *out)
{
    int last = -1;
    for (int n = 0; n < tops; n++) {
        int best = -1;
        for (int j = 0; j < nk; j++) {
            const bool behind = last < 0 || x[j] < x[last] || (x[j] == x[last] && j > last);
            if (behind && (best < 0 || x[j] > x[best]))
                best = j;
        }
        out[n] = best < 0 ? 0 : x[best];
        last = best < 0 ? last : best;
    }
}

static void NAME(row)(const ref_attn *p, const ref_stats *s, int b, int i, const REAL *x, REAL *out)
{
    const ref_seq seq = ref_seq_of(p, b);
    const size_t row = p->cu_q ? (size_t)p->cu_q[b] + i : (size_t)b * p->Nq + i;

    out[REF_ENTROPY] = out[REF_DISTANCE] = 0;
    for (int j = 0; j < seq.nk; j++) {
        out[REF_ENTROPY] -= x[j] > 0 ? x[j] * LOG(x[j]) : 0;
        out[REF_DISTANCE] += x[j] * (REAL)abs(i + seq.nk - seq.nq - j);
    }
    NAME(largest)(x, seq.nk, s->tops, out + REF_TOP);
    for (int n = 0; n < s->picks; n++) {
        const int key = s->keys[row * s->picks + n];
        out[REF_TOP + s->tops + n] = key >= 0 && key < seq.nk ? x[key] : 0;
    }
}

static void NAME(stats)(const ref_attn *p, const ref_stats *s, const REAL *probs, REAL *out,
                        REAL *mean)
{
    for (int b = 0; b < p->B; b++)
        for (int i = 0; i < p->Nq; i++)
            for (int h = 0; h < p->Hq; h++) {
                const REAL *x = probs + (((size_t)b * p->Hq + h) * p->Nq + i) * p->Nk;
                REAL *sum = mean + ((size_t)b * p->Nq + i) * p->Nk;
                for (int j = 0; j < p->Nk; j++)
                    sum[j] = (h ? sum[j] : 0) + x[j] / (REAL)p->Hq;
                if (i < ref_seq_of(p, b).nq)
                    NAME(row)(p, s, b, i, x,
                              out + ref_lse_row(p, b, h, i) * (size_t)ref_stats_width(s));
            }
}
