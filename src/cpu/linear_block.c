/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear attention on chunks of rows and keys, compiled once per instruction set; CLA_LINEAR_OPS
 * names the table. As in cl/linear_cpu.clh, rows of q and k are held as columns, x[d][row], so that
 * maps and features are made for a vector of rows at once.
 */
#include "linear.h"
#include "lanes.h"

#include <math.h>

extern const cla_linear_ops CLA_LINEAR_OPS;

/* Stride of columns, and of rows of weights, whatever the chunk. */
#define LD CLA_LINEAR_LD

/* Rows (or features) of a product: ROWS times two vectors of sums stay in registers. */
#if LANES == 16
#define ROWS 8
#else
#define ROWS 4
#endif

/* ------------------------------------------------------------------------------------------ */
/* Maps                                                                                       */

/*
 * e^x for x <= 0, to 2 ulp, 0 below -87; a NaN stays one, and x above 0 gives any number. As
 * exp2_lanes(), but what is left of x log2(e) is kept to more digits than that product has.
 */
FN vf exp_below_0(vf x)
{
    x = max_keep(x, splat(-88.0f));
    const vf shifted = x * 1.44269504f + ROUND_SHIFT;
    const vf n = shifted - ROUND_SHIFT;
    vf f = x * 1.44269504f - n;
    f = x * 1.92596299e-8f + f;
    vf p = f * 1.559467782e-4f + 1.340664341e-3f;
    p = p * f + 9.617692791e-3f;
    p = p * f + 5.550310388e-2f;
    p = p * f + 2.402265221e-1f;
    p = p * f + 6.931472421e-1f;
    p = p * f + 1.0f;
    return p * power_of_two(shifted);
}

FN vf exp_each(vf x)
{
    for (int i = 0; i < LANES; i++)
        x[i] = expf(x[i]);
    return x;
}

FN vf map_lanes(const int map, vf x)
{
    switch (map) {
    case CLATTN_MAP_RELU: return choose(x < 0.0f, splat(0.0f), x);
    case CLATTN_MAP_ELU1: return choose(x > 0.0f, x + 1.0f, exp_below_0(x));
    case CLATTN_MAP_EXP: return exp_each(x);
    default: return x;
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Loading                                                                                    */

/* Rows that are to become columns. */
typedef struct rows_in {
    const char *first; /* element 0 of row 0 */
    int64_t stride;    /* bytes from row to row */
    int n;
    float factor;
} rows_in;

FN vi lane_below(int n)
{
    vi lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = i;
    return lane < splat_i(n);
}

/* A square of LANES rows and columns, all there. */
FN void load_square(const int type, const int map, const char *from, int64_t stride, float factor,
                    float *out, ptrdiff_t ld)
{
    vf x[LANES];
    UNROLL
    for (int r = 0; r < LANES; r++) {
        x[r] = load(type, from + r * stride);
        /* Rows are read a piece at a time, which no hardware sees coming. */
        __builtin_prefetch(from + (LANES + r) * stride);
    }
    transpose(x);
    UNROLL
    for (int i = 0; i < LANES; i++)
        store_f32(out + i * ld, map_lanes(map, x[i] * factor));
}

/* The same, of which n rows and width columns are there; columns past n become 0. */
FN void load_part_square(const int type, const int map, const char *from, int64_t stride,
                         float factor, int n, int width, float *out, ptrdiff_t ld)
{
    vf x[LANES];
    for (int r = 0; r < LANES; r++)
        x[r] = r < n ? load_first(type, from + r * stride, width) : (vf){ 0 };
    transpose(x);
    for (int i = 0; i < width; i++)
        store_f32(out + i * ld, choose(lane_below(n), map_lanes(map, x[i] * factor), (vf){ 0 }));
}

FN void load_columns_of(const int type, const int map, const cla_linear_task *t, rows_in in,
                        float *out)
{
    const int D = t->p->D;
    for (int r = 0; r < t->chunk; r += LANES)
        for (int d = 0; d < D; d += LANES) {
            const char *from = in.first + r * in.stride + (size_t)d * bytes_of(type);
            float *to = out + (size_t)d * LD + r;
            if (in.n - r >= LANES && D - d >= LANES)
                load_square(type, map, from, in.stride, in.factor, to, LD);
            else
                load_part_square(type, map, from, in.stride, in.factor, in.n - r,
                                 D - d < LANES ? D - d : LANES, to, LD);
        }
}

FN void load_columns_as(const int type, const cla_linear_task *t, rows_in in, float *out)
{
    switch (t->p->map) {
    case CLATTN_MAP_RELU: load_columns_of(type, CLATTN_MAP_RELU, t, in, out); break;
    case CLATTN_MAP_ELU1: load_columns_of(type, CLATTN_MAP_ELU1, t, in, out); break;
    case CLATTN_MAP_EXP: load_columns_of(type, CLATTN_MAP_EXP, t, in, out); break;
    default: load_columns_of(type, CLATTN_MAP_IDENTITY, t, in, out);
    }
}

/* Rows [row, row + n) of a head become mapped columns (raw for poly2); columns from n on are 0. */
static void load_columns(const cla_linear_task *t, const cla_view *view, int h, int64_t row, int n,
                         float factor, float *out)
{
    const int64_t size = (int64_t)bytes_of(t->p->in_type);
    const int64_t b = t->seq.b;
    const int64_t at = view->offset + b * view->stride[0] + h * view->stride[1]
                     + row * view->stride[2];
    const rows_in in = { (const char *)view->host + at * size, view->stride[2] * size, n, factor };
    if (t->p->in_type == CLATTN_F16)
        load_columns_as(CLATTN_F16, t, in, out);
    else if (t->p->in_type == CLATTN_BF16)
        load_columns_as(CLATTN_BF16, t, in, out);
    else
        load_columns_as(CLATTN_F32, t, in, out);
}

FN bool load_values_of(const int type, const cla_linear_task *t, const char *v, int64_t stride,
                       int n, float *out)
{
    vf zero = { 0 };
    for (int j = 0; j < n; j++, v += stride)
        for (int c = 0; c < t->value_ld; c += LANES) {
            const vf x = load_first(type, v + (size_t)c * bytes_of(type), t->p->Dv - c);
            __builtin_prefetch(v + 16 * stride + (size_t)c * bytes_of(type));
            store_f32(out + (size_t)j * t->value_ld + c, x);
            zero += x * 0.0f;
        }
    return sum_of(zero) == 0.0f;
}

/* n values from key on as rows of value_ld floats, 0 past Dv. Returns whether all are finite. */
static bool load_values(const cla_linear_task *t, int key, int n, float *out)
{
    const cla_view *v = &t->p->v;
    const int64_t b = t->seq.b, size = (int64_t)bytes_of(t->p->in_type);
    const int64_t at = v->offset + b * v->stride[0] + t->hk * v->stride[1]
                     + (int64_t)(t->seq.k0 + key) * v->stride[2];
    const char *first = (const char *)v->host + at * size;
    const int64_t stride = v->stride[2] * size;
    if (t->p->in_type == CLATTN_F16)
        return load_values_of(CLATTN_F16, t, first, stride, n, out);
    if (t->p->in_type == CLATTN_BF16)
        return load_values_of(CLATTN_BF16, t, first, stride, n, out);
    return load_values_of(CLATTN_F32, t, first, stride, n, out);
}

/* ------------------------------------------------------------------------------------------ */
/* Products                                                                                   */

/* A matrix that is read number by number: columns of features, or rows of weights. */
typedef struct numbers {
    const float *x;
    bool by_row; /* element [r][step] is at r * LD + step, else at r + step * LD */
} numbers;

/* c[r][0 .. C * LANES) += sum over n steps of a[r][step] * b[step][...], r < R; R, C constants. */
FN void product(const int R, const int C, const bool by_row, const float *a, const float *b,
                ptrdiff_t b_ld, int n, float *c, ptrdiff_t c_ld)
{
    vf sum[ROWS * 2], x[2];
    UNROLL
    for (int i = 0; i < R * C; i++)
        sum[i] = load_f32(c + i / C * c_ld + i % C * LANES);
    for (int step = 0; step < n; step++) {
        UNROLL
        for (int j = 0; j < C; j++)
            x[j] = load_f32(b + j * LANES);
        UNROLL
        for (int i = 0; i < R * C; i++)
            sum[i] += a[i / C * (by_row ? LD : 1)] * x[i % C];
        a += by_row ? 1 : LD;
        b += b_ld;
    }
    UNROLL
    for (int i = 0; i < R * C; i++)
        store_f32(c + i / C * c_ld + i % C * LANES, sum[i]);
}

/* The same for `width` columns, a multiple of LANES. */
FN void product_wide(const int R, const bool by_row, const float *a, const float *b, int n,
                     float *c, int ld)
{
    int at = 0;
    for (; at + 2 * LANES <= ld; at += 2 * LANES)
        product(R, 2, by_row, a, b + at, ld, n, c + at, ld);
    if (at < ld)
        product(R, 1, by_row, a, b + at, ld, n, c + at, ld);
}

/* rows of ld columns; a row at a time where fewer than ROWS are left. */
FN void product_rows_of(const bool by_row, int rows, const float *a, const float *b, int n,
                        float *c, int ld)
{
    int r = 0;
    for (; r + ROWS <= rows; r += ROWS)
        product_wide(ROWS, by_row, a + (size_t)r * (by_row ? LD : 1), b, n, c + (size_t)r * ld, ld);
    for (; r < rows; r++)
        product_wide(1, by_row, a + (size_t)r * (by_row ? LD : 1), b, n, c + (size_t)r * ld, ld);
}

static void product_rows(int rows, numbers a, const float *b, int n, float *c, int ld)
{
    if (a.by_row)
        product_rows_of(true, rows, a.x, b, n, c, ld);
    else
        product_rows_of(false, rows, a.x, b, n, c, ld);
}

/* ------------------------------------------------------------------------------------------ */
/* States                                                                                     */

/* Features that follow each other: where they are, and how many. */
typedef struct features {
    const float *x;
    int count;
} features;

static bool is_poly2(const cla_linear *p)
{
    return p->map == CLATTN_MAP_POLY2;
}

/* The features from f on, of n columns, the rest being 0; moves *pair behind them. */
static features make_features(const cla_linear_task *t, const float *x, int f, int n,
                              cla_pair *pair)
{
    const cla_linear *p = t->p;
    float *made = t->scratch + t->at.made;
    if (!is_poly2(p))
        return (features){ x, p->F };
    const int count = p->F - f < CLA_LINEAR_MADE ? p->F - f : CLA_LINEAR_MADE;
    for (int i = 0; i < count; i++, made += LD) {
        const float *a = x + (size_t)pair->a * LD, *b = x + (size_t)pair->b * LD;
        for (int r = 0; r < t->chunk; r += LANES) {
            vf y = splat(pair->factor);
            if (pair->a < p->D)
                y *= load_f32(a + r);
            if (pair->b < p->D)
                y *= load_f32(b + r);
            store_f32(made + r, choose(lane_below(n - r), y, (vf){ 0 }));
        }
        *pair = cla_pair_next(p, *pair);
    }
    return (features){ t->scratch + t->at.made, count };
}

/* S += phi(k) v^T, z += phi(k) for n keys. */
static void update_state(const cla_linear_task *t, const float *k, const float *values, int n)
{
    const cla_linear *p = t->p;
    float *z = t->state + (size_t)p->F * t->value_ld;
    cla_pair pair = cla_pair_first(p);
    for (int f = 0; f < p->F;) {
        const features phi = make_features(t, k, f, n, &pair);
        product_rows(phi.count, (numbers){ phi.x, true }, values, n,
                     t->state + (size_t)f * t->value_ld, t->value_ld);
        for (int i = 0; i < phi.count && !cla_linear_cancels(p); i++) {
            const float *x = phi.x + (size_t)i * LD;
            vf sum = load_f32(x);
            for (int r = LANES; r < t->chunk; r += LANES)
                sum += load_f32(x + r);
            z[f + i] += sum_of(sum);
        }
        f += phi.count;
    }
}

/* sums and denominators of n rows += what the state gives. */
static void meet_state(const cla_linear_task *t, const float *q, int n)
{
    const cla_linear *p = t->p;
    const float *z = t->state + (size_t)p->F * t->value_ld;
    float *den = t->scratch + t->at.den;
    cla_pair pair = cla_pair_first(p);
    for (int f = 0; f < p->F;) {
        const features phi = make_features(t, q, f, n, &pair);
        product_rows(n, (numbers){ phi.x, false }, t->state + (size_t)f * t->value_ld,
                     phi.count, t->scratch + t->at.sums, t->value_ld);
        for (int r = 0; p->normalized && r < n; r += LANES) {
            vf sum = load_f32(den + r);
            for (int i = 0; i < phi.count; i++)
                sum += load_f32(phi.x + (size_t)i * LD + r) * z[f + i];
            store_f32(den + r, sum);
        }
        f += phi.count;
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Similarities                                                                               */

/* The loaded keys of a tile; row r sees the first seen + r of the n. */
typedef struct tile {
    const float *k, *values;
    int n, seen;
    bool finite;
} tile;

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* weights[i][0 .. ) of R rows from r on; adds them to the denominators. */
FN void similarities(const int R, const cla_linear_task *t, const float *q, const tile *k, int r)
{
    const cla_linear *p = t->p;
    float *weights = t->scratch + t->at.weights;
    const int end = min_int(k->n, k->seen + r + R - 1);
    for (int key = 0; key < end; key += LANES) {
        vf sum[ROWS];
        UNROLL
        for (int i = 0; i < R; i++)
            sum[i] = (vf){ 0 };
        for (int d = 0; d < p->D; d++) {
            const vf x = load_f32(k->k + (size_t)d * LD + key);
            UNROLL
            for (int i = 0; i < R; i++)
                sum[i] += q[(size_t)d * LD + r + i] * x;
        }
        for (int i = 0; i < R; i++) {
            const vf more = sum[i] + p->c;
            const vf y = is_poly2(p) ? more * more : sum[i];
            const vi seen = lane_below(min_int(k->n, k->seen + r + i) - key);
            const vf x = choose(seen, y, (vf){ 0 });
            store_f32(weights + i * LD + key, x);
            t->scratch[t->at.den + r + i] += sum_of(x);
        }
    }
}

static void similarities_full(const cla_linear_task *t, const float *q, const tile *k, int r)
{
    similarities(ROWS, t, q, k, r);
}

static void similarities_one(const cla_linear_task *t, const float *q, const tile *k, int r)
{
    similarities(1, t, q, k, r);
}

/* sums and denominators of n rows += what the keys of a tile give. */
static void meet_keys(const cla_linear_task *t, const float *q, int n, const tile *k)
{
    const int ld = t->value_ld;
    float *weights = t->scratch + t->at.weights;
    for (int r = 0; r < n;) {
        const int rows = n - r >= ROWS ? ROWS : 1;
        float *sums = t->scratch + t->at.sums + (size_t)r * ld;
        if (rows == ROWS)
            similarities_full(t, q, k, r);
        else
            similarities_one(t, q, k, r);
        if (k->finite || k->seen + r >= k->n) {
            product_rows(rows, (numbers){ weights, true }, k->values,
                         min_int(k->n, k->seen + r + rows - 1), sums, ld);
        } else {
            /* A 0 would not keep NaN and inf out of rows that do not see the key. */
            for (int i = 0; i < rows; i++)
                product_rows(1, (numbers){ weights + i * LD, true }, k->values,
                             min_int(k->n, k->seen + r + i), sums + (size_t)i * ld, ld);
        }
        r += rows;
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Sums that may cancel                                                                       */

typedef VECTOR(double, LANES) vd;
typedef double vd_mem __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

/* Rows of a head in memory. */
typedef struct rows_of_head {
    const char *first;
    int64_t stride; /* bytes */
    int n;
} rows_of_head;

static rows_of_head rows_of(const cla_linear_task *t, const cla_view *view, int h, int64_t row,
                            int n)
{
    const int64_t b = t->seq.b, size = (int64_t)bytes_of(t->p->in_type);
    const int64_t at = view->offset + b * view->stride[0] + h * view->stride[1]
                     + row * view->stride[2];
    return (rows_of_head){ (const char *)view->host + at * size, view->stride[2] * size, n };
}

/* Row after row: z += k, then den = q.z, as far as there are rows of either. */
FN void exact_rows_of(const int type, const cla_linear_task *t, double *z, rows_of_head q,
                      rows_of_head k, float *den)
{
    const int D = t->p->D, rows = q.n > k.n ? q.n : k.n;
    for (int r = 0; r < rows; r++) {
        vd sum = { 0 };
        for (int d = 0; d < D; d += LANES) {
            const size_t at = (size_t)d * bytes_of(type);
            vd y = *(const vd_mem *)(z + d);
            if (r < k.n) {
                y += __builtin_convertvector(load_first(type, k.first + r * k.stride + at, D - d),
                                             vd);
                *(vd_mem *)(z + d) = y;
            }
            if (r < q.n) {
                const vf x = load_first(type, q.first + r * q.stride + at, D - d) * t->p->scale;
                sum += __builtin_convertvector(x, vd) * y;
            }
        }
        if (r >= q.n)
            continue;
        double total = 0;
        for (int i = 0; i < LANES; i++)
            total += sum[i];
        den[r] = (float)total;
    }
}

static void exact_rows(const cla_linear_task *t, double *z, rows_of_head q, rows_of_head k)
{
    float *den = t->scratch + t->at.den;
    if (t->p->in_type == CLATTN_F16)
        exact_rows_of(CLATTN_F16, t, z, q, k, den);
    else if (t->p->in_type == CLATTN_BF16)
        exact_rows_of(CLATTN_BF16, t, z, q, k, den);
    else
        exact_rows_of(CLATTN_F32, t, z, q, k, den);
}

/* The running z of a task, from that of its state; the space behind it is for one chunk's. */
static double *exact_start(const cla_linear_task *t)
{
    const cla_linear *p = t->p;
    double *z = (double *)(t->scratch + t->at.z);
    for (int d = 0; d < (p->D + 15) / 16 * 16; d++)
        z[d] = d < p->D && t->state ? (double)t->state[(size_t)p->F * t->value_ld + d] : 0;
    return z;
}

static void exact_end(const cla_linear_task *t, const double *z)
{
    for (int d = 0; d < t->p->D; d++)
        t->state[(size_t)t->p->F * t->value_ld + d] = (float)z[d];
}

static const rows_of_head no_rows = { NULL, 0, 0 };

/* z += keys [first, end). */
static void exact_keys(const cla_linear_task *t, double *z, int first, int end)
{
    exact_rows(t, z, no_rows,
               rows_of(t, &t->p->k, t->hk, (int64_t)t->seq.k0 + first, end - first));
}

/* Denominators of n rows from row on: each sees the keys in z, and causal those up to its own. */
static void exact_denominators(const cla_linear_task *t, const double *z, int h, int row, int n)
{
    const size_t padded = (size_t)(t->p->D + 15) / 16 * 16;
    double *own = (double *)(t->scratch + t->at.z) + padded;
    const int keys = t->p->causal ? min_int(n, t->seq.nk - row) : 0;
    memcpy(own, z, padded * sizeof *own);
    exact_rows(t, own, rows_of(t, &t->p->q, h, (int64_t)t->seq.q0 + row, n),
               rows_of(t, &t->p->k, t->hk, (int64_t)t->seq.k0 + row, keys));
}

/* ------------------------------------------------------------------------------------------ */
/* Tasks                                                                                      */

static tile load_tile(const cla_linear_task *t, int key, int n, int seen)
{
    float *k = t->scratch + t->at.k, *values = t->scratch + t->at.values;
    load_columns(t, &t->p->k, t->hk, (int64_t)t->seq.k0 + key, n, 1.0f, k);
    const bool finite = load_values(t, key, n, values);
    return (tile){ k, values, n, seen, finite };
}

static char *o_row(const cla_linear_task *t, int h, int row)
{
    const cla_view *o = &t->p->o;
    const int64_t b = t->seq.b;
    const int64_t at = o->offset + b * o->stride[0] + h * o->stride[1]
                     + (int64_t)(t->seq.q0 + row) * o->stride[2];
    return (char *)o->host + at * (int64_t)bytes_of(t->p->out_type);
}

/* The rows of o are asked for now, and written when the chunk is done. */
static void start_rows(const cla_linear_task *t, int h, int row, int n)
{
    const size_t width = (size_t)t->p->Dv * bytes_of(t->p->out_type);
    for (int r = 0; r < n; r++) {
        const char *o = o_row(t, h, row + r);
        for (size_t at = 0; at < width; at += 64)
            __builtin_prefetch(o + at, 1);
    }
    load_columns(t, &t->p->q, h, (int64_t)t->seq.q0 + row, n, t->p->scale, t->scratch + t->at.q);
    memset(t->scratch + t->at.sums, 0, (size_t)t->chunk * t->value_ld * sizeof(float));
    memset(t->scratch + t->at.den, 0, (size_t)t->chunk * sizeof(float));
}

FN void store_rows_of(const int type, const cla_linear_task *t, char *o, int64_t stride, int n)
{
    for (int r = 0; r < n; r++, o += stride) {
        const float den = t->scratch[t->at.den + r];
        const float *sums = t->scratch + t->at.sums + (size_t)r * t->value_ld;
        const float factor = !t->p->normalized ? 1.0f : den == 0.0f ? 0.0f : 1.0f / den;
        for (int c = 0; c < t->p->Dv; c += LANES)
            store_first(type, o + (size_t)c * bytes_of(type), load_f32(sums + c) * factor,
                        t->p->Dv - c);
    }
}

static void store_rows(const cla_linear_task *t, int h, int row, int n)
{
    const int64_t stride = t->p->o.stride[2] * (int64_t)bytes_of(t->p->out_type);
    char *first = o_row(t, h, row);
    if (t->p->out_type == CLATTN_F16)
        store_rows_of(CLATTN_F16, t, first, stride, n);
    else if (t->p->out_type == CLATTN_BF16)
        store_rows_of(CLATTN_BF16, t, first, stride, n);
    else
        store_rows_of(CLATTN_F32, t, first, stride, n);
}

static void add_keys(const cla_linear_task *t)
{
    if (cla_linear_cancels(t->p)) {
        double *z = exact_start(t);
        exact_keys(t, z, t->first, t->end);
        exact_end(t, z);
    }
    for (int key = t->first; key < t->end; key += t->chunk) {
        const tile k = load_tile(t, key, min_int(t->chunk, t->end - key), 0);
        update_state(t, k.k, k.values, k.n);
    }
}

static void walk(const cla_linear_task *t)
{
    const float *q = t->scratch + t->at.q;
    const bool cancels = cla_linear_cancels(t->p);
    double *z = cancels ? exact_start(t) : NULL;
    for (int row = t->first; row < t->end; row += t->chunk) {
        const int nq = min_int(t->chunk, t->seq.nq - row), nk = min_int(t->chunk, t->seq.nk - row);
        const tile k = load_tile(t, row, nk > 0 ? nk : 0, 1);
        for (int h = t->hk * t->p->G; h < (t->hk + 1) * t->p->G && nq > 0; h++) {
            start_rows(t, h, row, nq);
            meet_state(t, q, nq);
            meet_keys(t, q, nq, &k);
            if (cancels)
                exact_denominators(t, z, h, row, nq);
            store_rows(t, h, row, nq);
        }
        if (!t->keep && row + t->chunk >= t->end)
            return;
        update_state(t, k.k, k.values, k.n);
        if (cancels)
            exact_keys(t, z, row, row + k.n);
    }
    if (cancels)
        exact_end(t, z);
}

static void do_rows(const cla_linear_task *t)
{
    const cla_linear *p = t->p;
    const float *q = t->scratch + t->at.q;
    for (int row = t->first; row < t->end; row += t->chunk) {
        const int n = min_int(t->chunk, t->end - row);
        const int keys = !p->quadratic ? 0 : p->causal ? min_int(t->seq.nk, row + n) : t->seq.nk;
        start_rows(t, t->h, row, n);
        if (!p->quadratic)
            meet_state(t, q, n);
        for (int key = 0; key < keys; key += t->chunk) {
            const int count = min_int(t->chunk, t->seq.nk - key);
            const tile k = load_tile(t, key, count, p->causal ? row - key + 1 : count);
            meet_keys(t, q, n, &k);
        }
        if (cla_linear_cancels(p)) {
            double *z = exact_start(t);
            if (p->quadratic)
                exact_keys(t, z, 0, p->causal ? min_int(row, t->seq.nk) : t->seq.nk);
            exact_denominators(t, z, t->h, row, n);
        }
        store_rows(t, t->h, row, n);
    }
}

/* One row of a state in a step: what comes in plus phi(k) v, and o += phi(q) times that. */
FN void step_row(const cla_linear_task *t, const float *in, float *out, const float *v, float phi,
                 const float *weights, int width)
{
    float *sums = t->scratch + t->at.sums;
    for (int c = 0; c < width; c += LANES) {
        const int n = width - c;
        vf y = load_f32(v + c) * phi;
        if (in)
            y += load_first(CLATTN_F32, in + c, n);
        if (out)
            store_first(CLATTN_F32, out + c, y, n);
        for (int g = 0; g < t->p->G; g++) {
            float *sum = sums + (size_t)g * CLA_LINEAR_COLUMNS + c;
            store_f32(sum, load_f32(sum) + y * weights[g]);
        }
    }
}

static int64_t head_at(const cla_view *view, int64_t b, int64_t h)
{
    return view->offset + b * view->stride[0] + h * view->stride[1];
}

/* Columns [first, end), at most CLA_LINEAR_COLUMNS of them, of one key head. */
static void step(const cla_linear_task *t)
{
    const cla_linear *p = t->p;
    const int b = t->seq.b, hk = t->hk, G = p->G, width = t->end - t->first;
    float *k = t->scratch + t->at.k, *q = t->scratch + t->at.q, *v = t->scratch + t->at.values;
    float *sums = t->scratch + t->at.sums;
    double *den = (double *)(t->scratch + t->at.den);
    float *weights = t->scratch + t->at.weights;
    const float *in = p->has_in ? (float *)p->in_kv.host + head_at(&p->in_kv, b, hk) : NULL;
    const float *in_z = p->has_in ? (float *)p->in_z.host + head_at(&p->in_z, b, hk) : NULL;
    float *out = p->has_out ? (float *)p->out_kv.host + head_at(&p->out_kv, b, hk) : NULL;
    const ptrdiff_t q_ld = p->D + 1;

    cla_linear_map_row(p, &p->k, head_at(&p->k, b, hk), 1.0f, k);
    for (int g = 0; g < G; g++)
        cla_linear_map_row(p, &p->q, head_at(&p->q, b, hk * G + g), p->scale, q + g * q_ld);
    const char *values = (const char *)p->v.host
                       + (size_t)(head_at(&p->v, b, hk) + t->first) * bytes_of(p->in_type);
    for (int c = 0; c < width; c += LANES)
        store_f32(v + c, load_first(p->in_type, values + (size_t)c * bytes_of(p->in_type),
                                    width - c));
    memset(sums, 0, (size_t)G * CLA_LINEAR_COLUMNS * sizeof *sums);
    memset(den, 0, (size_t)G * sizeof *den);
    cla_pair pair = cla_pair_first(p);
    for (int f = 0; f < p->F; f++) {
        const float phi = cla_linear_feature(p, k, pair, f);
        const float z = phi + (in_z ? in_z[f] : 0.0f);
        for (int g = 0; g < G; g++) {
            weights[g] = cla_linear_feature(p, q + g * q_ld, pair, f);
            den[g] += (double)weights[g] * (double)z;
        }
        step_row(t, in ? in + f * p->in_kv.stride[2] + t->first : NULL,
                 out ? out + f * p->out_kv.stride[2] + t->first : NULL, v, phi, weights, width);
        pair = cla_pair_next(p, pair);
    }
    for (int g = 0; g < G; g++) {
        const float factor = !p->normalized ? 1.0f : den[g] == 0 ? 0.0f : (float)(1 / den[g]);
        const int64_t at = head_at(&p->o, b, hk * G + g) + t->first;
        for (int c = 0; c < width; c += LANES)
            store_first(p->out_type,
                        (char *)p->o.host + (size_t)(at + c) * bytes_of(p->out_type),
                        load_f32(sums + (size_t)g * CLA_LINEAR_COLUMNS + c) * factor, width - c);
    }
}

const cla_linear_ops CLA_LINEAR_OPS = {
    .add_keys = add_keys,
    .walk = walk,
    .rows = do_rows,
    .step = step,
};
