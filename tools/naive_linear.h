/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear attention with sums in REAL, token by token; included by naive_linear.c for each type,
 * hence without a guard.
 */

/* The features of a row, each number times factor. */
static void NAIVE(map)(const struct linear_job *job, const float *x, float factor, REAL *phi)
{
    const int64_t D = job->in.n.D;
    const REAL s = (REAL)factor, c = (REAL)job->options.c;

    if (job->options.map == CLATTN_MAP_POLY2) {
        *phi++ = c;
        for (int64_t a = 0; a < D; a++)
            *phi++ = SQRT(2 * c) * (s * (REAL)x[a]);
        for (int64_t a = 0; a < D; a++)
            *phi++ = (s * (REAL)x[a]) * (s * (REAL)x[a]);
        for (int64_t a = 0; a < D; a++) {
            for (int64_t b = a + 1; b < D; b++)
                *phi++ = SQRT((REAL)2) * (s * (REAL)x[a]) * (s * (REAL)x[b]);
        }
        return;
    }
    for (int64_t d = 0; d < D; d++) {
        const REAL y = s * (REAL)x[d];
        switch (job->options.map) {
        case CLATTN_MAP_RELU: phi[d] = y < 0 ? 0 : y; break;
        case CLATTN_MAP_ELU1: phi[d] = y > 0 ? y + 1 : EXP(y); break;
        case CLATTN_MAP_EXP: phi[d] = EXP(y); break;
        default: phi[d] = y;
        }
    }
}

/* One sequence and key head: where its rows lie, and its state. */
struct NAIVE(head) {
    const struct linear_job *job;
    int64_t hk, nq, nk, q0, k0, b;
    int64_t F;
    REAL *S, *z, *phi;
};

static int64_t NAIVE(row)(const struct NAIVE(head) *c, int64_t heads, int64_t N, int64_t first,
                          int64_t h, int64_t i)
{
    return c->job->in.ragged ? (first + i) * heads + h : (c->b * heads + h) * N + i;
}

static void NAIVE(add_key)(const struct NAIVE(head) *c, int64_t j)
{
    const struct qkv_sizes *n = &c->job->in.n;
    const int64_t row = NAIVE(row)(c, n->Hk, n->Nk, c->k0, c->hk, j);
    const float *v = (const float *)c->job->in.v.data + row * n->Dv;

    NAIVE(map)(c->job, (const float *)c->job->in.k.data + row * n->D, 1, c->phi);
    for (int64_t f = 0; f < c->F; f++) {
        for (int64_t d = 0; d < n->Dv; d++)
            c->S[f * n->Dv + d] += c->phi[f] * (REAL)v[d];
        c->z[f] += c->phi[f];
    }
}

static void NAIVE(do_row)(const struct NAIVE(head) *c, int64_t h, int64_t i, float *out)
{
    const struct qkv_sizes *n = &c->job->in.n;
    const struct linear_options *options = &c->job->options;
    const int64_t row = NAIVE(row)(c, n->Hq, n->Nq, c->q0, h, i);
    float *o = out + row * n->Dv;
    REAL den = 0;

    NAIVE(map)(c->job, (const float *)c->job->in.q.data + row * n->D,
               options->scale != 0 ? options->scale : 1, c->phi);
    for (int64_t f = 0; f < c->F; f++)
        den += c->phi[f] * c->z[f];
    for (int64_t d = 0; d < n->Dv; d++) {
        REAL sum = 0;
        for (int64_t f = 0; f < c->F; f++)
            sum += c->phi[f] * c->S[f * n->Dv + d];
        o[d] = (float)(options->unnormalized ? sum : den == 0 ? 0 : sum / den);
    }
}

static void NAIVE(do_head)(const struct NAIVE(head) *c, struct linear_results *out)
{
    const struct linear_job *job = c->job;
    const int64_t G = job->in.n.Hq / job->in.n.Hk, size = c->F * job->in.n.Dv;
    const int64_t head = c->b * job->in.n.Hk + c->hk;
    const float *kv = job->in_kv.data, *z = job->in_z.data;

    for (int64_t i = 0; i < size; i++)
        c->S[i] = kv ? (REAL)kv[head * size + i] : 0;
    for (int64_t f = 0; f < c->F; f++)
        c->z[f] = z ? (REAL)z[head * c->F + f] : 0;
    for (int64_t j = 0; j < c->nk; j++) {
        NAIVE(add_key)(c, j);
        for (int64_t h = c->hk * G; h < (c->hk + 1) * G && job->options.causal; h++)
            NAIVE(do_row)(c, h, j, out->o.data);
    }
    for (int64_t h = c->hk * G; h < (c->hk + 1) * G && !job->options.causal; h++) {
        for (int64_t i = 0; i < c->nq; i++)
            NAIVE(do_row)(c, h, i, out->o.data);
    }
    for (int64_t i = 0; i < size && out->kv.data; i++)
        ((float *)out->kv.data)[head * size + i] = (float)c->S[i];
    for (int64_t f = 0; f < c->F && out->z.data; f++)
        ((float *)out->z.data)[head * c->F + f] = (float)c->z[f];
}

int NAIVE(naive_linear)(const struct linear_job *job, struct linear_results *out)
{
    const struct qkv_sizes *n = &job->in.n;
    struct NAIVE(head) c = { .job = job, .nq = n->Nq, .nk = n->Nk };

    c.F = linear_features(job->options.map, n->D);
    c.S = malloc((size_t)(c.F * (n->Dv + 2)) * sizeof(REAL));
    if (!c.S)
        return fail(EXIT_INPUT, "out of memory for a reference");
    c.z = c.S + c.F * n->Dv;
    c.phi = c.z + c.F;
    for (c.b = 0; c.b < n->B; c.b++) {
        if (job->in.ragged) {
            const int32_t *cu_q = job->in.cu_q.data, *cu_k = job->in.cu_k.data;
            c.q0 = cu_q[c.b], c.nq = cu_q[c.b + 1] - cu_q[c.b];
            c.k0 = cu_k[c.b], c.nk = cu_k[c.b + 1] - cu_k[c.b];
        }
        for (c.hk = 0; c.hk < n->Hk; c.hk++)
            NAIVE(do_head)(&c, out);
    }
    free(c.S);
    return EXIT_OK;
}
