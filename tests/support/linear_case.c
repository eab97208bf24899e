/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention problems: numbers, tensors, checks. */
#include "linear_case.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "storage.h"
#include "suite.h"

/* ---- numbers ---- */

static int32_t *cumulate(const int *lens, int B, int *longest)
{
    int32_t *cu = memory_alloc((size_t)(B + 1) * sizeof *cu);
    *longest = 0;
    for (int b = 0; b < B; b++) {
        cu[b + 1] = cu[b] + lens[b];
        *longest = lens[b] > *longest ? lens[b] : *longest;
    }
    return cu;
}

static void start(linear_data *d)
{
    linear_spec *s = &d->spec;

    if (s->lens_q) {
        d->cu_q = cumulate(s->lens_q, s->B, &s->Nq);
        d->cu_k = cumulate(s->lens_k, s->B, &s->Nk);
    }
    s->in = s->in ? s->in : CLATTN_F32;
    s->out = s->out ? s->out : s->in;
    s->spread = s->spread > 0 ? s->spread : 1;
    d->F = ref_linear_features(s->map, s->D);
    d->q_rows = d->cu_q ? (size_t)d->cu_q[s->B] : (size_t)s->Nq;
    d->k_rows = d->cu_k ? (size_t)d->cu_k[s->B] : (size_t)s->Nk;
    const size_t batches = d->cu_q ? 1 : (size_t)s->B;
    d->count_q = batches * s->Hq * d->q_rows * s->D;
    d->count_k = batches * s->Hk * d->k_rows * s->D;
    d->count_v = batches * s->Hk * d->k_rows * s->Dv;
    d->count_o = batches * s->Hq * d->q_rows * s->Dv;
    d->count_z = (size_t)s->B * s->Hk * d->F;
    d->count_kv = d->count_z * s->Dv;
    d->o = memory_alloc(d->count_o * sizeof *d->o);
    d->kv = memory_alloc(d->count_kv * sizeof *d->kv);
    d->z = memory_alloc(d->count_z * sizeof *d->z);
    d->ref = (ref_linear){
        .B = s->B, .Hq = s->Hq, .Hk = s->Hk, .Nq = s->Nq, .Nk = s->Nk, .D = s->D, .Dv = s->Dv,
        .cu_q = d->cu_q, .cu_k = d->cu_k, .map = s->map, .causal = s->causal,
        .unnormalized = s->unnormalized, .scale = s->scale != 0 ? s->scale : 1,
        .c = s->map != CLATTN_MAP_POLY2 || s->homogeneous ? 0 : s->c > 0 ? s->c : 1,
    };
}

static float *fill(test_rng *rng, clattn_dtype dtype, float spread, size_t n)
{
    float *x = memory_alloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = storage_round(dtype, spread * (float)rng_normal(rng));
    return x;
}

static void naive_errors(linear_data *d)
{
    float *o = memory_alloc((d->count_o + d->count_kv + d->count_z) * sizeof *o);
    float *kv = o + d->count_o, *z = kv + d->count_kv;

    ref_linear_attention_naive(&d->ref, d->spec.out, o, kv, z);
    d->naive_o = compare_error(o, d->o, d->count_o);
    d->naive_kv = compare_error(kv, d->kv, d->count_kv);
    d->naive_z = compare_error(z, d->z, d->count_z);
    free(o);
}

void linear_data_update(linear_data *d)
{
    d->ref.q = d->q, d->ref.k = d->k, d->ref.v = d->v;
    d->ref.in_kv = d->in_kv, d->ref.in_z = d->in_z;
    ref_linear_attention(&d->ref, d->o, d->kv, d->z);
    naive_errors(d);
}

/* What 30 keys in front would have left. */
static void make_state_in(linear_data *d, test_rng *rng)
{
    const linear_spec *s = &d->spec;
    const size_t heads = (size_t)s->B * s->Hk, n = 30;
    float *k = fill(rng, s->in, s->spread, heads * n * s->D);
    float *v = fill(rng, s->in, 1, heads * n * s->Dv);
    ref_linear past = d->ref;

    past.cu_q = past.cu_k = NULL;
    past.Nq = 0, past.Nk = (int)n, past.k = k, past.v = v, past.causal = false;
    ref_linear_attention(&past, d->o, d->kv, d->z);
    d->in_kv = memory_alloc(d->count_kv * sizeof *d->in_kv);
    d->in_z = memory_alloc(d->count_z * sizeof *d->in_z);
    for (size_t i = 0; i < d->count_kv; i++)
        d->in_kv[i] = (float)d->kv[i];
    for (size_t i = 0; i < d->count_z; i++)
        d->in_z[i] = (float)d->z[i];
    free(k), free(v);
}

linear_data *linear_data_make(const linear_spec *spec, uint64_t seed)
{
    linear_data *d = memory_alloc(sizeof *d);
    test_rng rng = { seed };

    d->spec = *spec;
    start(d);
    const linear_spec *s = &d->spec;
    d->q = fill(&rng, s->in, s->spread, d->count_q);
    d->k = fill(&rng, s->in, s->spread, d->count_k);
    d->v = fill(&rng, s->in, 1, d->count_v);
    if (s->state_in)
        make_state_in(d, &rng);
    linear_data_update(d);
    return d;
}

static clattn_feature_map map_of(const char *name)
{
    static const char *const names[] = { "identity", "relu", "elu1", "exp", "poly2" };
    for (int i = 0; i < 5; i++)
        if (strcmp(name, names[i]) == 0)
            return (clattn_feature_map)i;
    abort();
}

static bool exact(clattn_dtype dtype, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (storage_round(dtype, x[i]) != x[i])
            return false;
    return true;
}

/* What was recomputed gives way to the file's numbers. */
static void load_expected(const golden_case *c, const char *name, double *into)
{
    const golden_array a = golden_load(c, name);
    for (size_t i = 0; i < a.count; i++)
        into[i] = (double)a.values[i];
    free(a.values);
}

linear_data *linear_data_of_golden(const golden_case *c, clattn_dtype in, clattn_dtype out)
{
    linear_data *d = memory_alloc(sizeof *d);
    linear_spec *s = &d->spec;
    const golden_array q = golden_load(c, "q"), k = golden_load(c, "k"), v = golden_load(c, "v");

    *s = (linear_spec){
        .name = c->name, .B = (int)q.shape[0], .Hq = (int)q.shape[1], .Hk = (int)k.shape[1],
        .Nq = (int)q.shape[2], .Nk = (int)k.shape[2], .D = (int)q.shape[3], .Dv = (int)v.shape[3],
        .in = in, .out = out, .state_out = golden_has(c, "state_kv"),
        .map = map_of(json_string_value(golden_param(c, "feature_map"))),
        .causal = json_is_true(golden_param(c, "causal")),
        .unnormalized = json_is_false(golden_param(c, "normalize")),
        .scale = (float)json_number_value(golden_param(c, "scale")),
    };
    if (s->map == CLATTN_MAP_POLY2)
        s->c = (float)json_number_value(golden_param(c, "c"));
    start(d);
    d->q = q.values, d->k = k.values, d->v = v.values;
    if (!exact(in, d->q, d->count_q) || !exact(in, d->k, d->count_k)
        || !exact(in, d->v, d->count_v)) {
        linear_data_free(d);
        return NULL;
    }
    linear_data_update(d);
    load_expected(c, "o", d->o);
    load_expected(c, "state_kv", d->kv);
    load_expected(c, "state_z", d->z);
    naive_errors(d);
    return d;
}

void linear_data_free(linear_data *d)
{
    if (!d)
        return;
    free(d->q), free(d->k), free(d->v), free(d->in_kv), free(d->in_z), free(d->cu_q), free(d->cu_k);
    free(d->o), free(d->kv), free(d->z);
    free(d);
}

/* ---- tensors ---- */

static void make_rows(test_memory *m, clattn_ctx *ctx, const linear_data *d, bool written,
                      clattn_dtype dtype, int heads, size_t rows, int width)
{
    const bool ragged = d->cu_q != NULL;
    const int64_t dense[4] = { d->spec.B, heads, (int64_t)rows, width };
    const int64_t packed[3] = { (int64_t)rows, heads, width };
    const test_layout layout = attn_layout_of(d->spec.layout, ragged);

    memory_make(m, ctx, written, dtype, ragged ? 3 : 4, ragged ? packed : dense, &layout);
}

static void make_state(clattn_ctx *ctx, const linear_data *d, bool written, test_memory *kv,
                       test_memory *z)
{
    const int64_t shape[4] = { d->spec.B, d->spec.Hk, d->F, d->spec.Dv };
    const test_layout layout = { .row_pad = d->spec.layout == LAYOUT_PADDED ? 3 : 0 };

    memory_make(kv, ctx, written, CLATTN_F32, 4, shape, &layout);
    memory_make(z, ctx, written, CLATTN_F32, 3, shape, &layout);
}

static void make_states(linear_run *run, clattn_ctx *ctx)
{
    const linear_data *d = run->data;

    if (d->spec.state_in && !d->spec.in_place) {
        make_state(ctx, d, false, &run->in_kv, &run->in_z);
        memory_put(&run->in_kv, d->in_kv);
        memory_put(&run->in_z, d->in_z);
    }
    if (d->spec.state_out)
        make_state(ctx, d, true, &run->out_kv, &run->out_z);
    if (d->spec.in_place) {
        memory_put(&run->out_kv, d->in_kv);
        memory_put(&run->out_z, d->in_z);
    }
}

static void make_cu(test_memory *m, clattn_ctx *ctx, int B, const int32_t *values)
{
    const int64_t shape[1] = { B + 1 };

    if (!values)
        return;
    memory_make(m, ctx, false, CLATTN_I32, 1, shape, NULL);
    memory_put_bytes(m, values);
}

void linear_run_make(linear_run *run, clattn_ctx *ctx, const linear_data *d)
{
    const linear_spec *s = &d->spec;

    memset(run, 0, sizeof *run);
    run->data = d;
    make_rows(&run->q, ctx, d, false, s->in, s->Hq, d->q_rows, s->D);
    make_rows(&run->k, ctx, d, false, s->in, s->Hk, d->k_rows, s->D);
    make_rows(&run->v, ctx, d, false, s->in, s->Hk, d->k_rows, s->Dv);
    make_rows(&run->o, ctx, d, true, s->out, s->Hq, d->q_rows, s->Dv);
    memory_put(&run->q, d->q);
    memory_put(&run->k, d->k);
    memory_put(&run->v, d->v);
    make_states(run, ctx);
    make_cu(&run->cu_q, ctx, s->B, d->cu_q);
    make_cu(&run->cu_k, ctx, s->B, d->cu_k);
    run->params = *clattn_linear_attention_params(
        .q = run->q.tensor, .k = run->k.tensor, .v = run->v.tensor, .o = run->o.tensor,
        .state_in_kv = s->in_place ? run->out_kv.tensor : run->in_kv.tensor,
        .state_in_z = s->in_place ? run->out_z.tensor : run->in_z.tensor,
        .state_out_kv = run->out_kv.tensor, .state_out_z = run->out_z.tensor, .map = s->map,
        .c = s->c, .homogeneous = s->homogeneous, .scale = s->scale, .causal = s->causal,
        .unnormalized = s->unnormalized, .form = s->form, .cu_seqlens_q = run->cu_q.tensor,
        .cu_seqlens_k = run->cu_k.tensor, .max_seqlen_q = d->cu_q ? s->Nq : 0,
        .max_seqlen_k = d->cu_k ? s->Nk : 0);
}

void linear_run_free(linear_run *run)
{
    test_memory *all[] = { &run->q,    &run->k,      &run->v,     &run->o,    &run->in_kv,
                           &run->in_z, &run->out_kv, &run->out_z, &run->cu_q, &run->cu_k };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        memory_free(all[i]);
}

void linear_run_poison(linear_run *run)
{
    const linear_spec *s = &run->data->spec;

    memory_poison(&run->o);
    if (s->state_out) {
        memory_poison(&run->out_kv);
        memory_poison(&run->out_z);
    }
    if (s->in_place) {
        memory_put(&run->out_kv, run->data->in_kv);
        memory_put(&run->out_z, run->data->in_z);
    }
}

void linear_run_check(linear_run *run)
{
    const linear_data *d = run->data;
    float *got = memory_alloc((d->count_o + d->count_kv + d->count_z) * sizeof *got);

    if (d->spec.state_out) {
        memory_get(&run->out_kv, "state_kv", got);
        compare_pass("state_kv", got, d->kv, d->naive_kv, d->count_kv, CLATTN_F32);
        memory_get(&run->out_z, "state_z", got);
        compare_pass("state_z", got, d->z, d->naive_z, d->count_z, CLATTN_F32);
    }
    memory_get(&run->o, "o", got);
    compare_pass("o", got, d->o, d->naive_o, d->count_o, d->spec.out);
    free(got);
    memory_unchanged(&run->q, "q");
    memory_unchanged(&run->k, "k");
    memory_unchanged(&run->v, "v");
    memory_unchanged(&run->in_kv, "state_in_kv");
    memory_unchanged(&run->in_z, "state_in_z");
}

float *linear_run_output(linear_run *run)
{
    float *o = memory_alloc(run->data->count_o * sizeof *o);
    memory_get(&run->o, "o", o);
    return o;
}

void linear_check(clattn_ctx *ctx, bool host, const linear_data *data, const char *kernel)
{
    linear_run run;

    linear_run_make(&run, host ? NULL : ctx, data);
    run.params.kernel = kernel;
    OK(ctx, clattn_linear_attention(ctx, &run.params));
    linear_run_check(&run);
    linear_run_free(&run);
}
