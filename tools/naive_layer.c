/* SPDX-License-Identifier: Apache-2.0 */
/* The attention layer in plain loops. */
#include <math.h>
#include <stdlib.h>

#include "cli.h"
#include "layer_case.h"

/* How sums are made, and what is stored in between. */
struct precision {
    bool in_double;
    clattn_dtype dtype;
};

/* Double numbers in between hold every dtype; the truth is never rounded. */
static double stored(const struct precision *p, double x)
{
    uint32_t bits = 0;
    float value = (float)x;

    if (p->in_double)
        return x;
    clattn_from_f32(p->dtype, &value, &bits, 1);
    clattn_to_f32(p->dtype, &bits, &value, 1);
    return (double)value;
}

static double add(const struct precision *p, double sum, double a, double b)
{
    return p->in_double ? sum + a * b : (double)((float)sum + (float)a * (float)b);
}

static double project(const struct precision *p, const struct layer_weights *w, int64_t h,
                      int64_t k, const double *x)
{
    const float *column = w->w + h * w->h_step + k * w->k_step;
    double sum = 0;

    for (int64_t m = 0; m < w->M; m++)
        sum = add(p, sum, x[m], (double)column[m * w->m_step]);
    return stored(p, w->b ? add(p, sum, (double)w->b[h * w->K + k], 1) : sum);
}

/* Keys or values of a batch: the cache, then the projections of its rows. */
static void fill_rows(const struct layer_case *c, const struct precision *p,
                      const struct layer_weights *w, const float *cache, int64_t b, double *out)
{
    const int64_t rows = c->cached + c->N;
    double *x = out + w->H * rows * w->K; /* room for one row of x follows */

    for (int64_t h = 0; h < w->H; h++)
        for (int64_t i = 0; i < c->cached * w->K; i++)
            out[h * rows * w->K + i] = (double)cache[(b * w->H + h) * c->cached * w->K + i];
    for (int64_t n = 0; n < c->N; n++) {
        for (int64_t m = 0; m < c->M; m++)
            x[m] = (double)c->x[b * c->b_step + n * c->n_step + m];
        for (int64_t h = 0; h < w->H; h++)
            for (int64_t k = 0; k < w->K; k++)
                out[(h * rows + c->cached + n) * w->K + k] = project(p, w, h, k, x);
    }
}

/* One row of one head; weights of all keys in p_row. */
static void attend(const struct layer_case *c, const struct precision *p, const double *q,
                   const double *k, const double *v, int64_t seen, double *p_row, double *o)
{
    const double scale = 1 / sqrt((double)c->D);
    double top = -INFINITY, sum = 0;

    for (int64_t j = 0; j < seen; j++) {
        p_row[j] = 0;
        for (int64_t d = 0; d < c->D; d++)
            p_row[j] = add(p, p_row[j], q[d], k[j * c->D + d]);
        p_row[j] = p->in_double ? p_row[j] * scale : (double)((float)p_row[j] * (float)scale);
        top = fmax(top, p_row[j]);
    }
    for (int64_t j = 0; j < seen; j++) {
        p_row[j] = p->in_double ? exp(p_row[j] - top) : (double)expf((float)(p_row[j] - top));
        sum = add(p, sum, p_row[j], 1);
    }
    for (int64_t j = 0; j < seen; j++)
        p_row[j] = p->in_double ? p_row[j] / sum : (double)((float)p_row[j] / (float)sum);
    for (int64_t d = 0; d < c->Dv; d++) {
        double value = 0;
        for (int64_t j = 0; j < seen; j++)
            value = add(p, value, p_row[j], v[j * c->Dv + d]);
        o[d] = stored(p, value);
    }
}

/* Scratch memory of one batch. */
struct scratch {
    double *q, *k, *v, *p, *o;
};

static void run_batch(const struct layer_case *c, const struct precision *p, int64_t b,
                      struct scratch *s, struct layer_result *out)
{
    const int64_t rows = c->cached + c->N, G = c->Hq / c->Hk;

    fill_rows(c, p, &c->k, c->k_cache, b, s->k);
    fill_rows(c, p, &c->v, c->v_cache, b, s->v);
    for (int64_t i = 0; out->k && i < c->Hk * rows * c->D; i++)
        out->k[b * c->Hk * rows * c->D + i] = (float)s->k[i];
    for (int64_t i = 0; out->v && i < c->Hk * rows * c->Dv; i++)
        out->v[b * c->Hk * rows * c->Dv + i] = (float)s->v[i];
    for (int64_t n = 0; n < c->N; n++) {
        const int64_t seen = c->causal ? c->cached + n + 1 : rows;
        double *x = s->q + c->D;
        for (int64_t m = 0; m < c->M; m++)
            x[m] = (double)c->x[b * c->b_step + n * c->n_step + m];
        for (int64_t h = 0; h < c->Hq; h++) {
            for (int64_t d = 0; d < c->D; d++)
                s->q[d] = project(p, &c->q, h, d, x);
            attend(c, p, s->q, s->k + h / G * rows * c->D, s->v + h / G * rows * c->Dv, seen, s->p,
                   s->o + h * c->Dv);
            for (int64_t j = 0; out->probs && j < rows; j++)
                out->probs[((b * c->Hq + h) * c->N + n) * rows + j] =
                    j < seen ? (float)s->p[j] : 0;
        }
        for (int64_t m = 0; out->y && m < c->out.K; m++)
            out->y[(b * c->b_step + n * c->n_step) / c->M * c->out.K + m] =
                (float)project(p, &c->out, 0, m, s->o);
    }
}

int naive_layer(const struct layer_case *c, clattn_dtype dtype, bool in_double,
                struct layer_result *out)
{
    const struct precision p = { in_double, dtype };
    const size_t rows = (size_t)(c->cached + c->N), M = (size_t)c->M;
    struct scratch s = {
        .q = calloc((size_t)c->D + M, sizeof(double)),
        .k = calloc((size_t)c->Hk * rows * (size_t)c->D + M, sizeof(double)),
        .v = calloc((size_t)c->Hk * rows * (size_t)c->Dv + M, sizeof(double)),
        .p = calloc(rows + 1, sizeof(double)),
        .o = calloc((size_t)(c->Hq * c->Dv), sizeof(double)),
    };
    const bool room = s.q && s.k && s.v && s.p && s.o;

    for (int64_t b = 0; b < c->B && room; b++)
        run_batch(c, &p, b, &s, out);
    free(s.q);
    free(s.k);
    free(s.v);
    free(s.p);
    free(s.o);
    return room ? EXIT_OK : fail(EXIT_INPUT, "out of memory");
}
