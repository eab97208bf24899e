/* SPDX-License-Identifier: Apache-2.0 */
/* Projections as numbers and as tensors. */
#include "projection_case.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "storage.h"
#include "suite.h"

enum { GROUP = 32 };

/* ---- numbers ---- */

static float *random_floats(test_rng *rng, clattn_dtype dtype, size_t n, double scale)
{
    float *x = memory_alloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = storage_round(dtype, (float)(scale * rng_normal(rng)));
    return x;
}

static int nibble(int pair, int odd)
{
    const int value = odd ? pair >> 4 : pair & 15;
    return value < 8 ? value : value - 16;
}

/* Integers with their scales. */
static void quantised(proj_data *d, int i, test_rng *rng)
{
    const size_t out = (size_t)d->part[i].ref.out, M = (size_t)d->spec.M;
    const bool pairs = d->spec.w == CLATTN_I4;
    const size_t group = pairs ? GROUP : M;
    const size_t bytes = out * (pairs ? M / 2 : M);

    d->part[i].stored = memory_alloc(bytes);
    d->part[i].scale = memory_alloc(out * (M / group) * sizeof(float));
    d->part[i].w = memory_alloc(out * M * sizeof(double));
    for (size_t n = 0; n < bytes; n++)
        d->part[i].stored[n] = (unsigned char)rng_below(rng, 256);
    for (size_t n = 0; n < out * (M / group); n++)
        d->part[i].scale[n] = storage_round(d->spec.scale_type,
                                            (float)((0.5 + rng_uniform(rng)) / (pairs ? 8 : 128)));
    for (size_t n = 0; n < out * M; n++) {
        const int value =
            pairs ? nibble(d->part[i].stored[n / 2], n % 2) : (signed char)d->part[i].stored[n];
        d->part[i].w[n] = value * (double)d->part[i].scale[n / M * (M / group) + n % M / group];
    }
}

static void as_doubles(proj_data *d, int i)
{
    const size_t n = (size_t)d->part[i].ref.out * d->spec.M;
    d->part[i].w = memory_alloc(n * sizeof(double));
    for (size_t j = 0; j < n; j++)
        d->part[i].w[j] = (double)d->part[i].values[j];
}

static void compute(proj_data *d, int i)
{
    ref_proj *ref = &d->part[i].ref;
    const size_t n = (size_t)ref->rows * ref->out;
    ref->x = d->x;
    ref->w = d->part[i].w;
    ref->bias = d->part[i].bias;
    ref->residual = d->part[i].residual;
    ref->positions = d->positions;
    d->part[i].y = memory_alloc(n * sizeof(double));
    float *naive = memory_alloc(n * sizeof *naive);
    ref_projection(ref, d->part[i].y);
    ref_projection_naive(ref, d->spec.out, naive);
    d->part[i].naive_err = compare_error(naive, d->part[i].y, n);
    free(naive);
}

static void default_to(clattn_dtype *dtype, clattn_dtype value)
{
    if (*dtype == CLATTN_NONE)
        *dtype = value;
}

static proj_data *new_data(const proj_spec *spec)
{
    proj_data *d = memory_alloc(sizeof *d);
    d->spec = *spec;
    default_to(&d->spec.in, CLATTN_F32);
    default_to(&d->spec.out, d->spec.in);
    default_to(&d->spec.w, d->spec.in);
    default_to(&d->spec.bias_type, CLATTN_F32);
    default_to(&d->spec.residual_type, CLATTN_F32);
    default_to(&d->spec.scale_type, CLATTN_F32);
    d->rows = spec->B * spec->N;
    while (d->parts < CLATTN_MAX_PARTS && spec->part[d->parts].H)
        d->parts++;
    for (int i = 0; i < d->parts; i++) {
        const proj_part_spec *part = &spec->part[i];
        d->part[i].ref = (ref_proj){ .rows = d->rows,
                                     .M = spec->M,
                                     .out = part->H * part->K,
                                     .K = part->K,
                                     .rotary = part->rotary,
                                     .base = part->base > 0 ? (double)part->base : 10000 };
        if (part->in_place)
            d->spec.residual_type = d->spec.out;
    }
    return d;
}

proj_data *proj_data_make(const proj_spec *spec, uint64_t seed)
{
    proj_data *d = new_data(spec);
    test_rng rng = { seed };

    d->x = random_floats(&rng, d->spec.in, (size_t)d->rows * spec->M, 1);
    d->starts = memory_alloc(((size_t)spec->B + 1) * sizeof *d->starts);
    d->positions = memory_alloc(((size_t)d->rows + 1) * sizeof *d->positions);
    for (int b = 0; b < spec->B; b++)
        d->starts[b] = rng_below(&rng, 5000) - 1000;
    for (int r = 0; r < d->rows; r++)
        d->positions[r] = (spec->starts ? d->starts[r / spec->N] : spec->start) + r % spec->N;
    for (int i = 0; i < d->parts; i++) {
        const size_t out = (size_t)d->part[i].ref.out;
        if (d->spec.w == CLATTN_I8 || d->spec.w == CLATTN_I4) {
            quantised(d, i, &rng);
        } else {
            d->part[i].values = random_floats(&rng, d->spec.w, out * spec->M, 1);
            as_doubles(d, i);
        }
        if (spec->part[i].bias)
            d->part[i].bias = random_floats(&rng, d->spec.bias_type, out, 2);
        if (spec->part[i].residual || spec->part[i].in_place)
            d->part[i].residual = random_floats(&rng, d->spec.residual_type, d->rows * out, 3);
        compute(d, i);
    }
    return d;
}

static bool exact_in(clattn_dtype dtype, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (storage_round(dtype, x[i]) != x[i])
            return false;
    return true;
}

proj_data *proj_data_of_golden(const golden_case *c, clattn_dtype in, clattn_dtype out)
{
    golden_array x = golden_load(c, "x"), w = golden_load(c, "w"), b = golden_load(c, "b");
    golden_array y = golden_load(c, "y");
    const proj_spec spec = {
        .name = c->name,
        .B = 1,
        .N = (int)x.shape[0],
        .M = (int)x.shape[1],
        .in = in,
        .out = out,
        .bias_type = in,
        .w_layout = W_FLAT,
        .y_layout = Y_ROWS,
        .part = { { .H = 1, .K = (int)w.shape[0], .bias = b.values != NULL } },
    };
    proj_data *d = new_data(&spec);

    d->x = x.values;
    d->part[0].values = w.values;
    d->part[0].bias = b.values;
    as_doubles(d, 0);
    compute(d, 0);
    for (size_t i = 0; i < y.count; i++)
        d->part[0].y[i] = (double)y.values[i];
    free(y.values);
    if (exact_in(in, x.values, x.count) && exact_in(in, w.values, w.count)
        && (!b.values || exact_in(in, b.values, b.count)))
        return d;
    proj_data_free(d);
    return NULL;
}

void proj_data_free(proj_data *d)
{
    if (!d)
        return;
    for (int i = 0; i < CLATTN_MAX_PARTS; i++) {
        free(d->part[i].stored), free(d->part[i].values), free(d->part[i].w);
        free(d->part[i].scale), free(d->part[i].bias), free(d->part[i].residual);
        free(d->part[i].y);
    }
    free(d->x), free(d->starts), free(d->positions);
    free(d);
}

/* ---- tensors ---- */

static void make_weights(proj_run *run, clattn_ctx *ctx, int i)
{
    static const test_layout layouts[] = {
        [W_DENSE] = { .order = { 0 } },
        [W_FLAT] = { .order = { 0 } },
        [W_PADDED] = { .order = { 1, 0, 2 }, .row_pad = 6, .offset = 3 },
        [W_TRANSPOSED] = { .order = { 2, 0, 1 } },
        [W_EINSUM] = { .order = { 0, 2, 1 } },
        [W_SCATTERED] = { .order = { 1, 2, 0 }, .row_pad = 3, .offset = 1 },
    };
    const proj_data *d = run->data;
    const proj_part_spec *part = &d->spec.part[i];
    const bool flat = d->spec.w_layout == W_FLAT, pairs = d->spec.w == CLATTN_I4;
    const int64_t M = pairs ? d->spec.M / 2 : d->spec.M, groups = d->spec.M / GROUP;
    const int64_t deep[3] = { part->H, part->K, M }, wide[2] = { deep[0] * deep[1], M };
    const int64_t scale[3] = { part->H, part->K, groups };
    const int64_t flat_scale[2] = { wide[0], groups };
    test_memory *w = &run->part[i].w, *s = &run->part[i].scale;

    memory_make(w, ctx, false, d->spec.w, flat ? 2 : 3, flat ? wide : deep,
                &layouts[d->spec.w_layout]);
    if (d->part[i].stored)
        memory_put_bytes(w, d->part[i].stored);
    else
        memory_put(w, d->part[i].values);
    if (!d->part[i].scale)
        return;
    memory_make(s, ctx, false, d->spec.scale_type, (flat ? 1 : 2) + pairs,
                flat ? flat_scale : scale, NULL);
    memory_put(s, d->part[i].scale);
}

static void make_result(proj_run *run, clattn_ctx *ctx, int i, bool written, clattn_dtype dtype,
                        test_memory *m)
{
    static const test_layout layouts[] = {
        [Y_DENSE] = { .order = { 0 } },
        [Y_FLAT] = { .order = { 0 } },
        [Y_ROWS] = { .order = { 0 } },
        [Y_BHNK] = { .order = { 0, 2, 1, 3 } },
        [Y_PADDED] = { .order = { 1, 0, 2, 3 }, .row_pad = 3, .offset = 5 },
    };
    const proj_data *d = run->data;
    const proj_part_spec *part = &d->spec.part[i];
    const int64_t deep[4] = { d->spec.B, d->spec.N, part->H, part->K };
    const int64_t flat[3] = { d->spec.B, d->spec.N, deep[2] * deep[3] };
    const int64_t rows[2] = { d->rows, flat[2] };
    const y_layout y = d->spec.y_layout;

    memory_make(m, ctx, written, dtype,
                y == Y_ROWS   ? 2
                : y == Y_FLAT ? 3
                              : 4,
                y == Y_ROWS   ? rows
                : y == Y_FLAT ? flat
                              : deep,
                &layouts[y]);
}

static void make_part(proj_run *run, clattn_ctx *ctx, int i)
{
    const proj_data *d = run->data;
    const proj_part_spec *part = &d->spec.part[i];
    clattn_projection_part *to = &run->params.parts[i];
    const bool flat = d->spec.w_layout == W_FLAT;
    const int64_t shape[2] = { part->H, part->K }, out = shape[0] * shape[1];

    make_weights(run, ctx, i);
    if (part->bias) {
        memory_make(&run->part[i].bias, ctx, false, d->spec.bias_type, flat ? 1 : 2,
                    flat ? &out : shape, NULL);
        memory_put(&run->part[i].bias, d->part[i].bias);
    }
    make_result(run, ctx, i, true, d->spec.out, &run->part[i].y);
    if (part->residual) {
        make_result(run, ctx, i, false, d->spec.residual_type, &run->part[i].residual);
        memory_put(&run->part[i].residual, d->part[i].residual);
    }
    *to = (clattn_projection_part){
        .w = run->part[i].w.tensor,
        .scale = run->part[i].scale.tensor,
        .bias = run->part[i].bias.tensor,
        .residual = run->part[i].residual.tensor,
        .y = run->part[i].y.tensor,
        .rotary = part->rotary,
        .rotary_base = part->base,
    };
    if (part->in_place)
        to->residual = to->y;
}

void proj_run_make(proj_run *run, clattn_ctx *ctx, const proj_data *data)
{
    const proj_spec *s = &data->spec;
    const int64_t shape[3] = { s->B, s->N, s->M }, plain[2] = { data->rows, s->M }, B = s->B;
    const test_layout padded = { .order = { 1, 0, 2 }, .row_pad = 5, .offset = 1 };
    const bool rows = s->y_layout == Y_ROWS;

    memset(run, 0, sizeof *run);
    run->data = data;
    memory_make(&run->x, ctx, false, s->in, rows ? 2 : 3, rows ? plain : shape,
                s->y_layout == Y_PADDED ? &padded : NULL);
    memory_put(&run->x, data->x);
    run->params.struct_size = sizeof run->params;
    run->params.x = run->x.tensor;
    run->params.start = s->start;
    if (s->starts) {
        memory_make(&run->starts, ctx, false, CLATTN_I32, 1, &B, NULL);
        memory_put_bytes(&run->starts, data->starts);
        run->params.starts = run->starts.tensor;
    }
    for (int i = 0; i < data->parts; i++)
        make_part(run, ctx, i);
    proj_run_poison(run);
}

void proj_run_free(proj_run *run)
{
    memory_free(&run->x);
    memory_free(&run->starts);
    for (int i = 0; i < CLATTN_MAX_PARTS; i++) {
        memory_free(&run->part[i].w);
        memory_free(&run->part[i].scale);
        memory_free(&run->part[i].bias);
        memory_free(&run->part[i].residual);
        memory_free(&run->part[i].y);
    }
}

void proj_run_poison(proj_run *run)
{
    for (int i = 0; i < run->data->parts; i++) {
        memory_poison(&run->part[i].y);
        if (run->data->spec.part[i].in_place)
            memory_put(&run->part[i].y, run->data->part[i].residual);
    }
}

void proj_run_check(proj_run *run)
{
    const proj_data *d = run->data;
    for (int i = 0; i < d->parts; i++) {
        const size_t n = (size_t)d->rows * d->part[i].ref.out;
        float *got = memory_alloc(n * sizeof *got);
        char name[32];
        snprintf(name, sizeof name, "parts[%d].y", i);
        memory_get(&run->part[i].y, name, got);
        compare_pass(name, got, d->part[i].y, d->part[i].naive_err, n, d->spec.out);
        free(got);
        memory_get(&run->part[i].w, "w", NULL);
    }
    memory_get(&run->x, "x", NULL);
}

void proj_check(clattn_ctx *ctx, bool host, const proj_data *data, const char *kernel)
{
    proj_run run;

    proj_run_make(&run, host ? NULL : ctx, data);
    run.params.kernel = kernel;
    OK(ctx, clattn_projection(ctx, &run.params));
    proj_run_check(&run);
    proj_run_free(&run);
}
