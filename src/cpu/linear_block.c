/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear attention on chunks of rows and keys, compiled once per instruction set; CLA_LINEAR_OPS
 * names the table. Rows of q and k are mapped as they are loaded. Keys that are compared with rows
 * are turned into columns, x[d][row], and so is what poly2 makes features of.
 */
#include "linear_ahead.h"
#include "linear_exact.h"
#include "multiply.h"

extern const cla_linear_ops CLA_LINEAR_OPS;

/* Stride of columns, and of rows of weights, whatever the chunk. */
#define LD CLA_LINEAR_LD

/* Rows (or features) of a product: ROWS times two vectors of sums stay in registers. */
#if REGISTERS == 32
#define ROWS 8
#else
#define ROWS 4
#endif

/* The loaded keys of a tile; row r sees the first seen + r of the n. */
typedef struct tile {
    const float *rows, *columns, *values;
    int n, seen;
    bool finite;
} tile;

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static bool is_poly2(const cla_linear *p)
{
    return p->map == CLATTN_MAP_POLY2;
}

/* ------------------------------------------------------------------------------------------ */
/* Products                                                                                   */

/* A matrix that is read number by number: element [r][step] is at r * ld + step, or turned. */
typedef struct numbers {
    const float *x;
    ptrdiff_t ld;
    bool turned; /* at r + step * ld */
} numbers;

/* R rows of ld columns; R, add and turned are constants. */
FN void product(cla_linear_task *t, const int R, const bool add, const bool turned, numbers a,
                int r, const float *b, int n, float *c)
{
    const int ld = t->value_ld;
    const ptrdiff_t a_row = turned ? 1 : a.ld, a_step = turned ? a.ld : 1;
    a.x += r * a_row;
    c += (size_t)r * ld;
    int at = 0;
    for (; at + 2 * LANES <= ld; at += 2 * LANES) {
        ask_ahead(t);
        multiply(R, 2, add, a.x, a_row, a_step, b + at, LANES, ld, n, c + at, ld);
    }
    if (LANES == 16 && at < ld) {
        ask_ahead(t);
        multiply(R, 1, add, a.x, a_row, a_step, b + at, 0, ld, n, c + at, ld);
    }
}

/* What is left of the rows is done four at a time, then one at a time. */
FN void product_rows_of(cla_linear_task *t, const bool add, const bool turned, int rows,
                        numbers a, const float *b, int n, float *c)
{
    int r = 0;
    for (; r + ROWS <= rows; r += ROWS)
        product(t, ROWS, add, turned, a, r, b, n, c);
    for (; ROWS > 4 && r + 4 <= rows; r += 4)
        product(t, 4, add, turned, a, r, b, n, c);
    for (; r < rows; r++)
        product(t, 1, add, turned, a, r, b, n, c);
}

/* c[r][...] = (add ? c : 0) + sum over n steps of a[r][step] * b[step][...]; rows of value_ld. */
static void product_rows(cla_linear_task *t, bool add, int rows, numbers a, const float *b,
                         int n, float *c)
{
    if (add && a.turned)
        product_rows_of(t, true, true, rows, a, b, n, c);
    else if (add)
        product_rows_of(t, true, false, rows, a, b, n, c);
    else if (a.turned)
        product_rows_of(t, false, true, rows, a, b, n, c);
    else
        product_rows_of(t, false, false, rows, a, b, n, c);
}

/* ------------------------------------------------------------------------------------------ */
/* States                                                                                     */

/* Features of rows that follow each other: [row][feature]. */
typedef struct features {
    numbers x;
    int count;
} features;

/* The features from f on, of n rows; *pair goes behind them. poly2 makes them of columns. */
static features make_features(const cla_linear_task *t, const float *rows, const float *columns,
                              int f, int n, cla_pair *pair)
{
    const cla_linear *p = t->p;
    float *made = t->scratch + t->at.made;
    if (!is_poly2(p))
        return (features){ { rows, t->key_ld, false }, p->F };
    const int count = min_int(p->F - f, CLA_LINEAR_MADE);
    for (int i = 0; i < count; i++, made += LD) {
        const float *a = columns + (size_t)pair->a * LD, *b = columns + (size_t)pair->b * LD;
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
    return (features){ { t->scratch + t->at.made, LD, true }, count };
}

/* z += the features of n rows. */
static void add_to_z(const cla_linear_task *t, features phi, int n, float *z)
{
    if (phi.x.turned) {
        for (int f = 0; f < phi.count; f++) {
            const float *x = phi.x.x + (size_t)f * LD;
            vf sum = load_f32(x);
            for (int r = LANES; r < t->chunk; r += LANES)
                sum += load_f32(x + r);
            z[f] += sum_of(sum);
        }
        return;
    }
    for (int f = 0; f < phi.count; f += LANES) {
        vf sum = { 0 };
        for (int r = 0; r < n; r++)
            sum += load_f32(phi.x.x + r * phi.x.ld + f);
        store_f32(z + f, load_f32(z + f) + sum);
    }
}

/* S += phi(k) v^T, z += phi(k) for n keys. */
static void update_state(cla_linear_task *t, const tile *k)
{
    const cla_linear *p = t->p;
    float *z = t->state + (size_t)p->F * t->value_ld;
    cla_pair pair = cla_pair_first(p);
    for (int f = 0; f < p->F;) {
        const features phi = make_features(t, k->rows, k->columns, f, k->n, &pair);
        const numbers a = { phi.x.x, phi.x.ld, !phi.x.turned };
        product_rows(t, true, phi.count, a, k->values, k->n, t->state + (size_t)f * t->value_ld);
        if (!cla_linear_cancels(p))
            add_to_z(t, phi, k->n, z + f);
        f += phi.count;
    }
}

/* Adds features times z to the denominators of n rows. */
static void meet_z(const cla_linear_task *t, features phi, int n, const float *z)
{
    float *den = t->scratch + t->at.den;
    for (int r = 0; r < n && !phi.x.turned; r++) {
        vf sum = load_f32(den + (size_t)r * LANES);
        for (int f = 0; f < phi.count; f += LANES)
            sum += load_f32(phi.x.x + r * phi.x.ld + f) * load_f32(z + f);
        store_f32(den + (size_t)r * LANES, sum);
    }
    for (int r = 0; r < n && phi.x.turned; r += LANES) {
        vf sum = { 0 };
        for (int f = 0; f < phi.count; f++)
            sum += load_f32(phi.x.x + (size_t)f * LD + r) * z[f];
        for (int i = 0; i < LANES; i++)
            den[(size_t)(r + i) * LANES] += sum[i];
    }
}

/* The sums of n rows become, and to their denominators is added, what the state gives. */
static void meet_state(cla_linear_task *t, int n)
{
    const cla_linear *p = t->p;
    const float *z = t->state + (size_t)p->F * t->value_ld;
    const float *q = t->scratch + t->at.q, *columns = t->scratch + t->at.q_columns;
    cla_pair pair = cla_pair_first(p);
    for (int f = 0; f < p->F;) {
        const features phi = make_features(t, q, columns, f, n, &pair);
        product_rows(t, f > 0, n, phi.x, t->state + (size_t)f * t->value_ld, phi.count,
                     t->scratch + t->at.sums);
        if (p->normalized)
            meet_z(t, phi, n, z + f);
        f += phi.count;
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Similarities                                                                               */

/* weights[i][0 .. ) of R rows from r on, before any mask and power. */
FN void similarities_of(const int R, const cla_linear_task *t, const tile *k, int r, int keys)
{
    const int D = t->p->D;
    const float *q = t->scratch + t->at.q + (size_t)r * t->key_ld;
    float *weights = t->scratch + t->at.weights;
    int key = 0;
    for (; key + LANES < keys; key += 2 * LANES)
        multiply(R, 2, false, q, t->key_ld, 1, k->columns + key, LANES, LD, D, weights + key, LD);
    if (key < keys)
        multiply(R, 1, false, q, t->key_ld, 1, k->columns + key, 0, LD, D, weights + key, LD);
}

static void similarities_full(const cla_linear_task *t, const tile *k, int r, int keys)
{
    similarities_of(ROWS, t, k, r, keys);
}

static void similarities_one(const cla_linear_task *t, const tile *k, int r, int keys)
{
    similarities_of(1, t, k, r, keys);
}

/* weights[i][0 .. ) of `rows` rows from r on, 0 for keys not seen; adds them to denominators. */
static void similarities(const cla_linear_task *t, const tile *k, int r, int rows)
{
    const cla_linear *p = t->p;
    const int keys = min_int(k->n, k->seen + r + rows - 1);
    if (rows == ROWS)
        similarities_full(t, k, r, keys);
    else
        similarities_one(t, k, r, keys);
    for (int i = 0; i < rows; i++) {
        float *weights = t->scratch + t->at.weights + i * LD;
        float *den = t->scratch + t->at.den + (size_t)(r + i) * LANES;
        vf sum = load_f32(den);
        for (int key = 0; key < keys; key += LANES) {
            vf y = load_f32(weights + key);
            if (is_poly2(p))
                y = (y + p->c) * (y + p->c);
            y = choose(lane_below(min_int(k->n, k->seen + r + i) - key), y, (vf){ 0 });
            store_f32(weights + key, y);
            sum += y;
        }
        store_f32(den, sum);
    }
}

/* sums and denominators of n rows += what the keys of a tile give. */
static void meet_keys(cla_linear_task *t, int n, const tile *k)
{
    const int ld = t->value_ld;
    float *weights = t->scratch + t->at.weights;
    for (int r = 0; r < n;) {
        const int rows = n - r >= ROWS ? ROWS : 1;
        float *sums = t->scratch + t->at.sums + (size_t)r * ld;
        similarities(t, k, r, rows);
        if (k->finite || k->seen + r >= k->n) {
            product_rows(t, true, rows, (numbers){ weights, LD, false }, k->values,
                         min_int(k->n, k->seen + r + rows - 1), sums);
        } else {
            /* A 0 would not keep NaN and inf out of rows that do not see the key. */
            for (int i = 0; i < rows; i++)
                product_rows(t, true, 1, (numbers){ weights + i * LD, LD, false }, k->values,
                             min_int(k->n, k->seen + r + i), sums + (size_t)i * ld);
        }
        r += rows;
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Tasks                                                                                      */

/* Keys [key, key + n). Their columns are needed where they meet rows, and by poly2. */
static tile load_tile(const cla_linear_task *t, int key, int n, int seen, bool columns)
{
    float *k = t->scratch + t->at.k, *values = t->scratch + t->at.values;
    float *turned = t->scratch + t->at.k_columns;
    load_rows(t, rows_of(t, &t->p->k, t->hk, (int64_t)t->seq.k0 + key, n), 1.0f, k);
    if (columns || is_poly2(t->p))
        turn_rows(t, k, n, turned);
    const bool finite = load_values(t, key, n, values);
    return (tile){ k, turned, values, n, seen, finite };
}

static void start_rows(const cla_linear_task *t, int h, int row, int n)
{
    float *q = t->scratch + t->at.q;
    load_rows(t, rows_of(t, &t->p->q, h, (int64_t)t->seq.q0 + row, n), t->p->scale, q);
    if (is_poly2(t->p))
        turn_rows(t, q, n, t->scratch + t->at.q_columns);
    if (t->p->quadratic)
        memset(t->scratch + t->at.sums, 0, (size_t)t->chunk * t->value_ld * sizeof(float));
    memset(t->scratch + t->at.den, 0, (size_t)t->chunk * LANES * sizeof(float));
}

FN void store_rows_of(const int type, const cla_linear_task *t, char *o, int64_t stride, int n)
{
    for (int r = 0; r < n; r++, o += stride) {
        const float den = sum_of(load_f32(t->scratch + t->at.den + (size_t)r * LANES));
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
    BY_FLOAT(store_rows_of, t->p->out_type, t, o_row(t, h, row), stride, n);
}

/* The tiles of a product with this many rows. */
static int tiles_of(const cla_linear_task *t, int rows)
{
    return (rows + ROWS - 1) / ROWS * ((t->value_ld + 2 * LANES - 1) / (2 * LANES));
}

/* What follows rows of head h of a walk: those of the next head, or the next keys and rows. */
static void plan_walk(cla_linear_task *t, int h, int row)
{
    const int first = t->hk * t->p->G, next = row + t->chunk;
    const bool last = h + 1 == first + t->p->G;
    t->num_ahead = 0;
    if (last)
        plan_keys(t, next);
    plan_rows(t, last ? first : h + 1, last ? next : row);
    spread_ahead(t, tiles_of(t, 2 * t->chunk + (last ? t->p->F : 0)));
}

static void add_keys(cla_linear_task *t)
{
    if (cla_linear_cancels(t->p)) {
        double *z = exact_start(t);
        exact_keys(t, z, t->first, t->end);
        exact_end(t, z);
    }
    for (int key = t->first; key < t->end; key += t->chunk) {
        const tile k = load_tile(t, key, min_int(t->chunk, t->end - key), 0, false);
        t->num_ahead = 0;
        plan_keys(t, key + t->chunk);
        spread_ahead(t, tiles_of(t, t->p->F));
        update_state(t, &k);
    }
}

static void walk(cla_linear_task *t)
{
    const bool cancels = cla_linear_cancels(t->p);
    double *z = cancels ? exact_start(t) : NULL;
    for (int row = t->first; row < t->end; row += t->chunk) {
        const int nq = min_int(t->chunk, t->seq.nq - row), nk = min_int(t->chunk, t->seq.nk - row);
        const tile k = load_tile(t, row, nk > 0 ? nk : 0, 1, true);
        for (int h = t->hk * t->p->G; h < (t->hk + 1) * t->p->G && nq > 0; h++) {
            start_rows(t, h, row, nq);
            plan_walk(t, h, row);
            meet_state(t, nq);
            meet_keys(t, nq, &k);
            if (cancels)
                exact_denominators(t, z, h, row, nq);
            store_rows(t, h, row, nq);
        }
        if (!t->keep && row + t->chunk >= t->end)
            return;
        update_state(t, &k);
        if (cancels)
            exact_keys(t, z, row, row + k.n);
    }
    if (cancels)
        exact_end(t, z);
}

static void do_rows(cla_linear_task *t)
{
    const cla_linear *p = t->p;
    for (int row = t->first; row < t->end; row += t->chunk) {
        const int n = min_int(t->chunk, t->end - row);
        const int keys = !p->quadratic ? 0 : p->causal ? min_int(t->seq.nk, row + n) : t->seq.nk;
        start_rows(t, t->h, row, n);
        t->num_ahead = 0;
        plan_rows(t, t->h, row + t->chunk);
        spread_ahead(t, tiles_of(t, n));
        if (!p->quadratic)
            meet_state(t, n);
        for (int key = 0; key < keys; key += t->chunk) {
            const int count = min_int(t->chunk, t->seq.nk - key);
            const tile k = load_tile(t, key, count, p->causal ? row - key + 1 : count, true);
            meet_keys(t, n, &k);
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
