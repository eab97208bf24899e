/* SPDX-License-Identifier: Apache-2.0 */
/* Norm, softmax and activations of rows, on all cores. */
#include <math.h>

#include "layout.h"

enum { COLUMNS = 256 }; /* read, worked on and written at a time */

/* One row, or a block of its columns. */
typedef struct row {
    const cla_rowwise *p;
    const char *x;
    char *y;
    size_t in_bytes, out_bytes;
} row;

static row row_of(const cla_rowwise *p, int64_t index)
{
    const int64_t b = index / p->N, n = index % p->N;
    row r = { .p = p,
              .in_bytes = clattn_dtype_size((clattn_dtype)p->in_type),
              .out_bytes = clattn_dtype_size((clattn_dtype)p->out_type) };
    r.x = (const char *)p->x.host
          + (size_t)(p->x.offset + b * p->x.stride[0] + n * p->x.stride[1]) * r.in_bytes;
    r.y = (char *)p->y.host
          + (size_t)(p->y.offset + b * p->y.stride[0] + n * p->y.stride[1]) * r.out_bytes;
    return r;
}

static int count_at(const row *r, int first)
{
    return r->p->M - first < COLUMNS ? r->p->M - first : COLUMNS;
}

static void get(const row *r, int first, int count, float *out)
{
    clattn_to_f32((clattn_dtype)r->p->in_type, r->x + (size_t)first * r->in_bytes, out,
                  (size_t)count);
}

static void put(const row *r, int first, int count, const float *values)
{
    clattn_from_f32((clattn_dtype)r->p->out_type, values, r->y + (size_t)first * r->out_bytes,
                    (size_t)count);
}

/* tanh(u) = 2 / (1 + e^(-2u)) - 1: this way no near numbers are subtracted. */
static float gelu_tanh(float x)
{
    return x / (1.0f + expf(-1.59576912160573071f * (x + 0.044715f * x * x * x)));
}

static void activate(const row *r, int first)
{
    const int count = count_at(r, first);
    float v[COLUMNS];
    get(r, first, count, v);
    switch (r->p->function) {
    case CLATTN_ROW_GELU:
        for (int i = 0; i < count; i++)
            v[i] = 0.5f * v[i] * (1.0f + erff(v[i] * 0.70710678118654752f));
        break;
    case CLATTN_ROW_GELU_TANH:
        for (int i = 0; i < count; i++)
            v[i] = gelu_tanh(v[i]);
        break;
    default:
        for (int i = 0; i < count; i++)
            v[i] = v[i] > 0 || isnan(v[i]) ? v[i] : 0;
        break;
    }
    put(r, first, count, v);
}

/* Sum of |x - center|^power, power 1 (signed) or 2. */
static double moment(const row *r, double center, int power)
{
    double sum = 0;
    for (int first = 0; first < r->p->M; first += COLUMNS) {
        const int count = count_at(r, first);
        float v[COLUMNS];
        get(r, first, count, v);
        for (int i = 0; i < count; i++) {
            const double d = (double)v[i] - center;
            sum += power == 2 ? d * d : d;
        }
    }
    return sum;
}

/* Elements [first, first + count) of a vector of M, or what stands for an absent one. */
static void get_vector(const cla_view *view, float absent, int first, int count, float *out)
{
    const clattn_dtype type = (clattn_dtype)view->dtype;
    if (type == CLATTN_NONE)
        for (int i = 0; i < count; i++)
            out[i] = absent;
    else
        clattn_to_f32(type,
                      (const char *)view->host
                          + (size_t)(view->offset + first) * clattn_dtype_size(type),
                      out, (size_t)count);
}

static void normalize(const row *r)
{
    const double mean = moment(r, 0, 1) / r->p->M;
    const double variance = moment(r, mean, 2) / r->p->M;
    const float factor = (float)(1 / sqrt(variance + (double)r->p->eps)), center = (float)mean;
    for (int first = 0; first < r->p->M; first += COLUMNS) {
        const int count = count_at(r, first);
        float v[COLUMNS], weight[COLUMNS], bias[COLUMNS];
        get(r, first, count, v);
        get_vector(&r->p->weight, 1, first, count, weight);
        get_vector(&r->p->bias, 0, first, count, bias);
        for (int i = 0; i < count; i++)
            v[i] = (v[i] - center) * factor * weight[i] + bias[i];
        put(r, first, count, v);
    }
}

/* The largest of scale * x, and the sum of e^(scale * x - top): NaN when there is a NaN. */
static double softmax_sum(const row *r, float *top)
{
    double sum = 0;
    *top = -INFINITY;
    for (int first = 0; first < r->p->M; first += COLUMNS) {
        const int count = count_at(r, first);
        float v[COLUMNS], old = *top;
        get(r, first, count, v);
        for (int i = 0; i < count; i++)
            *top = fmaxf(*top, r->p->scale * v[i]);
        sum *= *top > old ? (double)expf(old - *top) : 1;
        for (int i = 0; i < count; i++)
            if (r->p->scale * v[i] != -INFINITY)
                sum += (double)expf(r->p->scale * v[i] - *top);
    }
    return sum;
}

static void softmax(const row *r)
{
    const bool logarithm = r->p->function == CLATTN_ROW_LOG_SOFTMAX;
    float top;
    const double sum = softmax_sum(r, &top);
    const float factor = (float)(1 / sum), lse = (float)log(sum);
    const bool empty = sum == 0; /* nothing but -inf */
    for (int first = 0; first < r->p->M; first += COLUMNS) {
        const int count = count_at(r, first);
        float v[COLUMNS];
        get(r, first, count, v);
        for (int i = 0; i < count; i++) {
            const float s = r->p->scale * v[i];
            if (logarithm)
                v[i] = empty ? -INFINITY : s - top - lse;
            else
                v[i] = empty ? 0 : expf(s - top) * factor;
        }
        put(r, first, count, v);
    }
}

clattn_status cla_cpu_rowwise(cla_cpu *cpu, const cla_rowwise *p)
{
    const int64_t rows = (int64_t)p->B * p->N;
    const int64_t blocks = cla_rowwise_reduces(p) ? 1 : (p->M + COLUMNS - 1) / COLUMNS;
    const int threads = cla_threads(cpu, 8.0 * (double)rows * p->M);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t task = 0; task < rows * blocks; task++) {
        const row r = row_of(p, task / blocks);
        if (p->function == CLATTN_ROW_NORM)
            normalize(&r);
        else if (cla_rowwise_reduces(p))
            softmax(&r);
        else
            activate(&r, (int)(task % blocks) * COLUMNS);
    }
    return CLATTN_OK;
}
