/* SPDX-License-Identifier: Apache-2.0 */
#include "row_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "storage.h"

static const test_layout padded3 = { .order = { 1, 0, 2 }, .row_pad = 3, .offset = 5 };
static const test_layout padded2 = { .order = { 0, 1 }, .row_pad = 2, .offset = 1 };

/* Normal numbers as they are stored. */
static float *numbers(test_rng *rng, clattn_dtype type, size_t n, float spread, float center)
{
    float *x = memory_alloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = storage_round(type, center + spread * (float)rng_normal(rng));
    return x;
}

/* ---- rowwise ---- */

static void make_vector(row_run *run, clattn_ctx *ctx, test_memory *m, const float *values)
{
    const int64_t shape[1] = { run->spec.M };
    memory_make(m, ctx, false, run->spec.vector_type, 1, shape, NULL);
    memory_put(m, values);
}

static void make_tensors(row_run *run, clattn_ctx *ctx)
{
    const row_spec *s = &run->spec;
    const int64_t shape[3] = { s->B, s->N, s->M }, rows[2] = { s->B * s->N, s->M };
    const test_layout *layout = !s->padded ? NULL : s->flat ? &padded2 : &padded3;
    const int rank = s->flat ? 2 : 3;

    memory_make(&run->y, ctx, true, s->out, rank, s->flat ? rows : shape, layout);
    if (!s->in_place) {
        memory_make(&run->x, ctx, false, s->in, rank, s->flat ? rows : shape, layout);
        memory_put(&run->x, run->values);
    }
    run->params = (struct clattn_rowwise_params){
        .struct_size = sizeof run->params,
        .x = s->in_place ? run->y.tensor : run->x.tensor,
        .y = run->y.tensor,
        .function = s->function,
        .eps = s->eps,
        .scale = s->scale,
    };
    if (s->vectors) {
        run->params.weight = run->weight.tensor;
        run->params.bias = run->bias.tensor;
    }
}

static void add_specials(row_run *run)
{
    const int M = run->spec.M;
    for (int i = 0; i < M; i++)
        run->values[i] = -INFINITY;
    run->values[M + M / 2] = NAN;
    run->values[2 * M] = -INFINITY;
}

void row_run_make(row_run *run, clattn_ctx *ctx, const row_spec *spec, uint64_t seed)
{
    test_rng rng = { seed };

    memset(run, 0, sizeof *run);
    run->spec = *spec;
    row_spec *s = &run->spec;
    s->in = s->in ? s->in : CLATTN_F32;
    s->out = s->out ? s->out : s->in;
    s->vector_type = s->vector_type ? s->vector_type : CLATTN_F32;
    run->count = (size_t)s->B * s->N * s->M;
    run->values = numbers(&rng, s->in, run->count, s->spread > 0 ? s->spread : 1, s->center);
    if (s->specials)
        add_specials(run);
    float *weight = numbers(&rng, s->vector_type, (size_t)s->M, 1, 0);
    float *bias = numbers(&rng, s->vector_type, (size_t)s->M, 1, 0);
    if (s->vectors) {
        make_vector(run, ctx, &run->weight, weight);
        make_vector(run, ctx, &run->bias, bias);
    }
    make_tensors(run, ctx);
    const ref_row ref = { .function = s->function,
                          .rows = s->B * s->N,
                          .M = s->M,
                          .x = run->values,
                          .weight = s->vectors ? weight : NULL,
                          .bias = s->vectors ? bias : NULL,
                          .eps = s->eps,
                          .scale = s->scale };
    run->want = memory_alloc(run->count * sizeof *run->want);
    float *naive = memory_alloc(run->count * sizeof *naive);
    ref_rowwise(&ref, run->want);
    ref_rowwise_naive(&ref, s->out, naive);
    run->naive_err = compare_error(naive, run->want, run->count);
    free(naive), free(weight), free(bias);
    row_run_poison(run);
}

void row_run_poison(row_run *run)
{
    memory_poison(&run->y);
    if (run->spec.in_place)
        memory_put(&run->y, run->values);
}

void row_run_check(row_run *run)
{
    float *got = memory_alloc(run->count * sizeof *got);

    memory_get(&run->y, "y", got);
    compare_pass("y", got, run->want, run->naive_err, run->count, run->spec.out);
    free(got);
}

void row_run_free(row_run *run)
{
    memory_free(&run->x);
    memory_free(&run->y);
    memory_free(&run->weight);
    memory_free(&run->bias);
    free(run->values), free(run->want);
}

/* ---- embedding ---- */

static float *make_table(test_memory *m, clattn_ctx *ctx, test_rng *rng, const embedding_spec *s,
                         int rows)
{
    const int64_t shape[2] = { rows, s->M };
    if (rows == 0)
        return NULL;
    float *values = numbers(rng, s->in, (size_t)rows * s->M, 1, 0);
    memory_make(m, ctx, false, s->in, 2, shape, s->padded ? &padded2 : NULL);
    memory_put(m, values);
    return values;
}

static int32_t *make_ids(test_memory *m, clattn_ctx *ctx, test_rng *rng, const embedding_spec *s,
                         int rank, int below)
{
    static const int32_t wild[] = { -1, INT32_MIN, INT32_MAX, 0 };
    const int64_t shape[2] = { s->B, s->N };
    const size_t n = (size_t)s->B * (rank == 2 ? s->N : 1);
    int32_t *ids = memory_alloc(n * sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        const int32_t outside = wild[i / 3 % 4];
        ids[i] = s->wild && i % 3 == 1 ? (outside ? outside : below) : rng_below(rng, below);
    }
    memory_make(m, ctx, false, CLATTN_I32, rank, shape, rank == 2 && s->padded ? &padded2 : NULL);
    memory_put_bytes(m, ids);
    return ids;
}

/* The rows of one token; false: one is outside its table. */
static bool pick(const embedding_spec *s, const int32_t *ids, const int32_t *types,
                 const int32_t *starts, int row, int64_t *at)
{
    at[0] = ids[row];
    at[1] = (int64_t)(s->starts ? starts[row / s->N] : s->start) + row % s->N;
    at[2] = s->type_ids ? types[row] : 0;
    return at[0] >= 0 && at[0] < s->V && (!s->P || (at[1] >= 0 && at[1] < s->P))
           && (!s->T || (at[2] >= 0 && at[2] < s->T));
}

void embedding_run_make(embedding_run *run, clattn_ctx *ctx, const embedding_spec *spec,
                        uint64_t seed)
{
    test_rng rng = { seed };

    memset(run, 0, sizeof *run);
    run->spec = *spec;
    embedding_spec *s = &run->spec;
    s->in = s->in ? s->in : CLATTN_F32;
    s->out = s->out ? s->out : s->in;
    run->count = (size_t)s->B * s->N * s->M;
    run->want = memory_alloc(run->count * sizeof *run->want);
    const int64_t shape[3] = { s->B, s->N, s->M };
    memory_make(&run->y, ctx, true, s->out, 3, shape, s->padded ? &padded3 : NULL);
    int32_t *ids = make_ids(&run->ids, ctx, &rng, s, 2, s->V);
    int32_t *types = s->type_ids ? make_ids(&run->type_ids, ctx, &rng, s, 2, s->T) : NULL;
    int32_t *starts = s->starts ? make_ids(&run->starts, ctx, &rng, s, 1, s->P - s->N + 1) : NULL;
    float *tables[3] = { make_table(&run->table, ctx, &rng, s, s->V),
                         make_table(&run->positions, ctx, &rng, s, s->P),
                         make_table(&run->types, ctx, &rng, s, s->T) };
    for (int row = 0; row < s->B * s->N; row++) {
        int64_t at[3];
        const bool in_range = pick(s, ids, types, starts, row, at);
        for (int i = 0; i < s->M; i++) {
            double sum = in_range ? 0 : NAN;
            for (int n = 0; n < 3 && in_range; n++)
                if (tables[n])
                    sum += (double)tables[n][at[n] * s->M + i];
            run->want[(size_t)row * s->M + i] = sum;
        }
    }
    run->params = (struct clattn_embedding_params){ .struct_size = sizeof run->params,
                                                    .ids = run->ids.tensor,
                                                    .table = run->table.tensor,
                                                    .positions = run->positions.tensor,
                                                    .type_ids = run->type_ids.tensor,
                                                    .types = run->types.tensor,
                                                    .y = run->y.tensor,
                                                    .start = s->start,
                                                    .starts = run->starts.tensor };
    for (int n = 0; n < 3; n++)
        free(tables[n]);
    free(ids), free(types), free(starts);
}

void embedding_run_poison(embedding_run *run)
{
    memory_poison(&run->y);
}

void embedding_run_check(embedding_run *run)
{
    float *got = memory_alloc(run->count * sizeof *got);

    memory_get(&run->y, "y", got);
    compare_pass("y", got, run->want, 0, run->count, run->spec.out);
    free(got);
}

void embedding_run_free(embedding_run *run)
{
    test_memory *const all[] = { &run->ids,   &run->table,  &run->positions, &run->type_ids,
                                 &run->types, &run->starts, &run->y };
    for (int i = 0; i < 7; i++)
        memory_free(all[i]);
    free(run->want);
}
