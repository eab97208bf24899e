/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The computation itself, included by ref_linear.c once for double and once for float. The includer
 * defines REAL, NAME(x), and EXP and SQRT for that type.
 */

/* phi of a row, each number times factor. */
static void NAME(map)(const ref_linear *p, const float *x, float factor, REAL *phi)
{
    const REAL s = (REAL)factor, c = (REAL)p->c;
    int f = 0;

    for (int d = 0; d < p->D && p->map != CLATTN_MAP_POLY2; d++) {
        const REAL y = s * (REAL)x[d];
        switch (p->map) {
        case CLATTN_MAP_RELU: phi[d] = y < 0 ? 0 : y; break;
        case CLATTN_MAP_ELU1: phi[d] = y > 0 ? y + 1 : EXP(y); break;
        case CLATTN_MAP_EXP: phi[d] = EXP(y); break;
        default: phi[d] = y;
        }
    }
    if (p->map != CLATTN_MAP_POLY2)
        return;
    phi[f++] = c;
    for (int a = 0; a < p->D; a++)
        phi[f++] = SQRT(2 * c) * (s * (REAL)x[a]);
    for (int a = 0; a < p->D; a++)
        phi[f++] = (s * (REAL)x[a]) * (s * (REAL)x[a]);
    for (int a = 0; a < p->D; a++)
        for (int b = a + 1; b < p->D; b++)
            phi[f++] = SQRT((REAL)2) * (s * (REAL)x[a]) * (s * (REAL)x[b]);
}

static void NAME(add_key)(const ref_linear *p, const float *k, const float *v, REAL *phi, REAL *S,
                          REAL *z)
{
    const int F = ref_linear_features(p->map, p->D);

    NAME(map)(p, k, 1, phi);
    for (int f = 0; f < F; f++) {
        for (int d = 0; d < p->Dv; d++)
            S[(size_t)f * p->Dv + d] += phi[f] * (REAL)v[d];
        z[f] += phi[f];
    }
}

static void NAME(do_row)(const ref_linear *p, const float *q, REAL *phi, const REAL *S,
                         const REAL *z, REAL *o)
{
    const int F = ref_linear_features(p->map, p->D);
    REAL den = 0;

    NAME(map)(p, q, p->scale, phi);
    for (int f = 0; f < F; f++)
        den += phi[f] * z[f];
    for (int d = 0; d < p->Dv; d++) {
        REAL sum = 0;
        for (int f = 0; f < F; f++)
            sum += phi[f] * S[(size_t)f * p->Dv + d];
        o[d] = p->unnormalized ? sum : den == 0 ? 0 : sum / den;
    }
}

/* All of one key head of one sequence; S, z and phi are scratch. */
static void NAME(do_head)(const ref_linear *p, int b, int hk, REAL *S, REAL *z, REAL *phi, REAL *o)
{
    const int G = p->Hq / p->Hk;
    const int F = ref_linear_features(p->map, p->D);
    const size_t head = (size_t)b * p->Hk + hk;
    const int nq = rows_of(p->cu_q, p->Nq, b), nk = rows_of(p->cu_k, p->Nk, b);

    for (size_t i = 0; i < (size_t)F * p->Dv; i++)
        S[i] = p->in_kv ? (REAL)p->in_kv[head * F * p->Dv + i] : 0;
    for (int f = 0; f < F; f++)
        z[f] = p->in_z ? (REAL)p->in_z[head * F + f] : 0;
    for (int j = 0; j < nk; j++) {
        const size_t row = row_of(p->cu_k, p->Hk, p->Nk, b, hk, j);
        NAME(add_key)(p, p->k + row * p->D, p->v + row * p->Dv, phi, S, z);
        for (int h = hk * G; h < (hk + 1) * G && p->causal; h++) {
            const size_t to = row_of(p->cu_q, p->Hq, p->Nq, b, h, j);
            NAME(do_row)(p, p->q + to * p->D, phi, S, z, o + to * p->Dv);
        }
    }
    for (int h = hk * G; h < (hk + 1) * G && !p->causal; h++)
        for (int i = 0; i < nq; i++) {
            const size_t to = row_of(p->cu_q, p->Hq, p->Nq, b, h, i);
            NAME(do_row)(p, p->q + to * p->D, phi, S, z, o + to * p->Dv);
        }
}

static void NAME(linear_attention)(const ref_linear *p, REAL *o, REAL *kv, REAL *out_z)
{
    const size_t F = (size_t)ref_linear_features(p->map, p->D), size = F * p->Dv;
    REAL *S = malloc((size + 2 * F) * sizeof *S), *z = S + size;

    if (!S)
        abort();
    for (int b = 0; b < p->B; b++)
        for (int hk = 0; hk < p->Hk; hk++) {
            const size_t head = (size_t)b * p->Hk + hk;
            NAME(do_head)(p, b, hk, S, z, z + F, o);
            if (kv)
                memcpy(kv + head * size, S, size * sizeof *S);
            if (out_z)
                memcpy(out_z + head * F, z, F * sizeof *z);
        }
    free(S);
}
