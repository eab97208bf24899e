/* SPDX-License-Identifier: Apache-2.0 */
#include "rope_case.h"

#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "storage.h"

/* Spec and values are there: the rest. */
static void prepare(rope_run *run, clattn_ctx *ctx, const int32_t *starts)
{
    static const test_layout bhnd = { .order = { 0, 2, 1, 3 }, .row_pad = 2, .offset = 3 };
    const rope_spec *s = &run->spec;
    const int64_t shape[4] = { s->B, s->N, s->H, s->D }, B = s->B;
    const int rows = s->B * s->N;
    int64_t *positions = memory_alloc((size_t)rows * sizeof *positions);

    for (int r = 0; r < rows; r++)
        positions[r] = (s->starts ? starts[r / s->N] : s->start) + r % s->N;
    const ref_proj ref = { .rows = rows,
                           .out = s->H * s->D,
                           .K = s->D,
                           .x = run->values,
                           .rotary = s->rotary,
                           .base = s->base > 0 ? (double)s->base : 10000,
                           .positions = positions };
    run->want = memory_alloc(run->count * sizeof *run->want);
    float *naive = memory_alloc(run->count * sizeof *naive);
    ref_rope(&ref, run->want);
    ref_rope_naive(&ref, s->out, naive);
    run->naive_err = compare_error(naive, run->want, run->count);
    free(naive);
    free(positions);
    memory_make(&run->y, ctx, true, s->out, 4, shape, s->bhnd ? &bhnd : NULL);
    if (!s->in_place) {
        memory_make(&run->x, ctx, false, s->in, 4, shape, s->bhnd ? &bhnd : NULL);
        memory_put(&run->x, run->values);
    }
    run->params = (struct clattn_rope_params){
        .struct_size = sizeof run->params,
        .x = s->in_place ? run->y.tensor : run->x.tensor,
        .y = run->y.tensor,
        .rotary = s->rotary,
        .base = s->base,
        .start = s->start,
    };
    if (s->starts) {
        memory_make(&run->starts, ctx, false, CLATTN_I32, 1, &B, NULL);
        memory_put_bytes(&run->starts, starts);
        run->params.starts = run->starts.tensor;
    }
    rope_run_poison(run);
}

static void set_spec(rope_run *run, const rope_spec *spec)
{
    memset(run, 0, sizeof *run);
    run->spec = *spec;
    if (run->spec.in == CLATTN_NONE)
        run->spec.in = CLATTN_F32;
    if (run->spec.out == CLATTN_NONE)
        run->spec.out = run->spec.in;
    run->count = (size_t)spec->B * spec->N * spec->H * spec->D;
}

void rope_run_make(rope_run *run, clattn_ctx *ctx, const rope_spec *spec, uint64_t seed)
{
    test_rng rng = { seed };
    int32_t starts[64];

    set_spec(run, spec);
    run->values = memory_alloc(run->count * sizeof *run->values);
    for (size_t i = 0; i < run->count; i++)
        run->values[i] = storage_round(run->spec.in, (float)rng_normal(&rng));
    for (int b = 0; b < spec->B && b < 64; b++)
        starts[b] = rng_below(&rng, 100000);
    prepare(run, ctx, starts);
}

bool rope_run_of_golden(rope_run *run, clattn_ctx *ctx, const golden_case *c, clattn_dtype in,
                        clattn_dtype out)
{
    golden_array x = golden_load(c, "x"), y = golden_load(c, "y");
    const char *style = json_string_value(golden_param(c, "style"));
    const rope_spec spec = {
        .name = c->name,
        .B = (int)x.shape[0],
        .N = (int)x.shape[1],
        .H = (int)x.shape[2],
        .D = (int)x.shape[3],
        .in = in,
        .out = out,
        .rotary = strcmp(style, "neox") == 0 ? CLATTN_ROTARY_NEOX : CLATTN_ROTARY_GPTJ,
        .base = (float)json_number_value(golden_param(c, "base")),
        .start = json_integer_value(golden_param(c, "start")),
    };

    set_spec(run, &spec);
    run->values = x.values;
    for (size_t i = 0; i < x.count; i++)
        if (storage_round(in, x.values[i]) != x.values[i]) {
            free(x.values), free(y.values);
            return false;
        }
    prepare(run, ctx, NULL);
    for (size_t i = 0; i < y.count; i++)
        run->want[i] = (double)y.values[i];
    free(y.values);
    return true;
}

void rope_run_poison(rope_run *run)
{
    memory_poison(&run->y);
    if (run->spec.in_place)
        memory_put(&run->y, run->values);
}

void rope_run_check(rope_run *run)
{
    float *got = memory_alloc(run->count * sizeof *got);

    memory_get(&run->y, "y", got);
    compare_pass("y", got, run->want, run->naive_err, run->count, run->spec.out);
    free(got);
}

void rope_run_free(rope_run *run)
{
    memory_free(&run->x);
    memory_free(&run->y);
    memory_free(&run->starts);
    free(run->values), free(run->want);
}
