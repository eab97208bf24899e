/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of an attention problem: random or golden, and what the references make of them. */
#include "attention_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cache_case.h"
#include "compare.h"
#include "storage.h"

static void round_all(clattn_dtype dtype, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = storage_round(dtype, x[i]);
}

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

static int32_t *multiples(int n, int B)
{
    int32_t *cu = memory_alloc((size_t)(B + 1) * sizeof *cu);
    for (int b = 0; b < B; b++)
        cu[b + 1] = cu[b] + n;
    return cu;
}

static void defaults(attn_spec *s)
{
    if (s->argmax) {
        s->out = cache_is_quantised(s->kv) ? CLATTN_F32 : s->kv;
        s->scale = s->softcap = 0;
        s->alibi = s->sinks = s->bias = s->lse = s->probs = s->stats = false;
    }
    s->in = s->in ? s->in : CLATTN_F32;
    s->out = s->out ? s->out : s->in;
    s->bias_type = s->bias_type ? s->bias_type : CLATTN_F32;
    s->spread = s->spread > 0 ? s->spread : 1;
    s->probs_heads = s->probs_heads ? s->probs_heads : s->Hq - s->probs_head;
    s->probs_rows = s->probs_rows ? s->probs_rows : s->Nq - s->probs_row;
}

/* Sizes, and the part of the reference's problem that is no array. */
static void start(attn_data *d)
{
    attn_spec *s = &d->spec;
    ref_attn *r = &d->ref;

    if (s->lens_q) {
        d->cu_q = cumulate(s->lens_q, s->B, &s->Nq);
        d->cu_k = cumulate(s->lens_k, s->B, &s->Nk);
    } else if (s->kv) {
        d->cu_q = multiples(s->Nq, s->B);
        d->cu_k = cumulate(s->lens_k, s->B, &s->Nk);
    }
    defaults(s);
    d->q_rows = d->cu_q ? (size_t)d->cu_q[s->B] : (size_t)s->Nq;
    d->k_rows = d->cu_k ? (size_t)d->cu_k[s->B] : (size_t)s->Nk;
    const size_t batches = d->cu_q ? 1 : (size_t)s->B;
    d->count_lse = batches * s->Hq * d->q_rows;
    d->count_o = d->count_lse * s->Dv;
    d->count_probs = (size_t)s->B * s->Hq * s->Nq * s->Nk;
    r->B = s->B, r->Hq = s->Hq, r->Hk = s->Hk, r->Nq = s->Nq, r->Nk = s->Nk;
    r->D = s->D, r->Dv = s->Dv;
    r->scale = s->scale, r->softcap = s->softcap, r->causal = s->causal;
    r->window = s->window, r->left = s->left, r->right = s->right;
    r->cu_q = d->cu_q, r->cu_k = d->cu_k;
}

static void broadcast_shape(const attn_spec *s, int repeat, int shape[4])
{
    shape[0] = repeat & REPEAT_B ? 1 : s->B;
    shape[1] = repeat & REPEAT_H ? 1 : s->Hq;
    shape[2] = repeat & REPEAT_N ? 1 : s->Nq;
    shape[3] = repeat & REPEAT_K ? 1 : s->Nk;
}

static size_t count4(const int shape[4])
{
    return (size_t)shape[0] * shape[1] * shape[2] * shape[3];
}

static void make_mask_and_bias(attn_data *d, test_rng *rng)
{
    const attn_spec *s = &d->spec;

    if (s->mask) {
        broadcast_shape(s, s->mask_repeat, d->ref.mask_shape);
        const size_t n = count4(d->ref.mask_shape), row = (size_t)d->ref.mask_shape[3];
        d->mask = memory_alloc(n);
        for (size_t i = 0; i < n; i++) /* every fifth row sees nothing */
            d->mask[i] = i / row % 5 != 3 && rng_below(rng, 3) != 0;
        d->ref.mask = d->mask;
    }
    if (s->bias) {
        broadcast_shape(s, s->bias_repeat, d->ref.bias_shape);
        const size_t n = count4(d->ref.bias_shape);
        d->bias = memory_alloc(n * sizeof *d->bias);
        for (size_t i = 0; i < n; i++)
            d->bias[i] = storage_round(s->bias_type, s->bias_mean + (float)rng_normal(rng));
        for (size_t i = 0; i < n && s->bias_hides; i++)
            if (i % 7 == 0 || i / (size_t)d->ref.bias_shape[3] % 5 == 2)
                d->bias[i] = -INFINITY;
        d->ref.bias = d->bias;
    }
}

static void make_head_terms(attn_data *d, test_rng *rng)
{
    const size_t heads = (size_t)d->spec.Hq;

    if (d->spec.alibi)
        d->ref.alibi = d->alibi = memory_alloc(heads * sizeof *d->alibi);
    if (d->spec.sinks)
        d->ref.sinks = d->sinks = memory_alloc(heads * sizeof *d->sinks);
    for (size_t h = 0; h < heads; h++) {
        if (d->alibi)
            d->alibi[h] = exp2f(-8.0f * (float)(h + 1) / (float)heads);
        if (d->sinks)
            d->sinks[h] = (float)rng_normal(rng);
    }
}

static bool seen_by_any(const ref_attn *r, int b, int hk, int j)
{
    const int G = r->Hq / r->Hk;
    for (int h = hk * G; h < (hk + 1) * G; h++)
        for (int i = 0; i < ref_seq_of(r, b).nq; i++)
            if (ref_visible(r, b, h, i, j))
                return true;
    return false;
}

static void poison_hidden(attn_data *d)
{
    const ref_attn *r = &d->ref;
    for (int b = 0; b < r->B; b++)
        for (int hk = 0; hk < r->Hk; hk++)
            for (int j = 0; j < ref_seq_of(r, b).nk; j++) {
                if (seen_by_any(r, b, hk, j))
                    continue;
                const size_t row = r->cu_k ? ((size_t)r->cu_k[b] + j) * r->Hk + hk
                                           : ((size_t)b * r->Hk + hk) * r->Nk + j;
                for (int x = 0; x < r->D; x++)
                    d->k[row * r->D + x] = j % 2 ? NAN : INFINITY;
                for (int x = 0; x < r->Dv; x++)
                    d->v[row * r->Dv + x] = j % 3 ? NAN : -INFINITY;
            }
}

static void alloc_results(attn_data *d)
{
    d->o = memory_alloc(d->count_o * sizeof *d->o);
    d->lse = memory_alloc(d->count_lse * sizeof *d->lse);
    if (d->spec.probs || d->spec.stats)
        d->probs = memory_alloc(d->count_probs * sizeof *d->probs);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

void attn_data_naive(attn_data *d)
{
    float *o = memory_alloc(d->count_o * sizeof *o);
    float *lse = memory_alloc(d->count_lse * sizeof *lse);
    float *probs = d->probs ? memory_alloc(d->count_probs * sizeof *probs) : NULL;

    d->naive_o = d->naive_lse = d->naive_probs = 0;
    for (int order = 0; order < REF_NAIVE_ORDERS; order++) {
        ref_attention_naive(&d->ref, order, d->spec.out, o, lse, probs);
        d->naive_o = larger(d->naive_o, compare_error(o, d->o, d->count_o));
        d->naive_lse = larger(d->naive_lse, compare_error(lse, d->lse, d->count_lse));
        if (probs)
            d->naive_probs = larger(d->naive_probs, compare_error(probs, d->probs, d->count_probs));
        if (d->stats)
            stats_data_naive(d->stats, &d->ref, probs);
    }
    free(o), free(lse), free(probs);
}

attn_data *attn_data_make(const attn_spec *spec, uint64_t seed)
{
    attn_data *d = memory_alloc(sizeof *d);
    test_rng rng = { seed };

    d->spec = *spec;
    start(d);
    const attn_spec *s = &d->spec;
    const size_t batches = d->cu_q ? 1 : (size_t)s->B;
    const size_t rows_q = batches * s->Hq * d->q_rows, rows_k = batches * s->Hk * d->k_rows;
    d->q = memory_alloc(rows_q * s->D * sizeof *d->q);
    d->k = memory_alloc(rows_k * s->D * sizeof *d->k);
    d->v = memory_alloc(rows_k * s->Dv * sizeof *d->v);
    fill_queries(&rng, s->regime, s->spread, d->q, rows_q, s->D);
    fill_keys(&rng, s->regime, d->k, rows_k, s->D, d->k_rows ? (int)d->k_rows : 1);
    fill_values(&rng, s->regime, d->v, rows_k, s->Dv);
    make_mask_and_bias(d, &rng);
    make_head_terms(d, &rng);
    if (s->poison_hidden)
        poison_hidden(d);
    round_all(s->in, d->q, rows_q * s->D);
    if (s->kv)
        cache_store(d);
    else
        round_all(s->in, d->k, rows_k * s->D), round_all(s->in, d->v, rows_k * s->Dv);
    d->ref.q = d->q, d->ref.k = d->k, d->ref.v = d->v;

    if (s->argmax)
        return d;
    alloc_results(d);
    ref_attention(&d->ref, d->o, d->lse, d->probs);
    if (s->stats)
        d->stats = stats_data_make(&d->ref, d->probs, d->count_lse, batches * d->q_rows, seed);
    attn_data_naive(d);
    return d;
}

static void load_doubles(const golden_case *c, const char *name, double *into)
{
    const golden_array a = golden_load(c, name);
    for (size_t i = 0; i < a.count; i++)
        into[i] = (double)a.values[i];
    free(a.values);
}

static int32_t *load_indices(const golden_case *c, const char *name, int *count)
{
    const golden_array a = golden_load(c, name);
    int32_t *x = memory_alloc((a.count + 1) * sizeof *x);
    for (size_t i = 0; i < a.count; i++)
        x[i] = (int32_t)a.values[i];
    *count = (int)a.count;
    free(a.values);
    return x;
}

static void golden_params(const golden_case *c, attn_spec *s)
{
    json_t *window = golden_param(c, "window");

    s->causal = json_is_true(golden_param(c, "causal")) ? CLATTN_CAUSAL_BOTTOM_RIGHT
                                                        : CLATTN_CAUSAL_NONE;
    s->scale = (float)json_number_value(golden_param(c, "scale"));
    s->softcap = (float)json_number_value(golden_param(c, "softcap"));
    if (window) {
        s->window = true;
        s->left = (int)json_integer_value(json_array_get(window, 0));
        s->right = (int)json_integer_value(json_array_get(window, 1));
    }
    s->name = c->name;
    s->lse = true;
    s->probs = golden_has(c, "probs");
}

static int longest(const int32_t *cu, int B)
{
    int n = 0;
    for (int b = 0; b < B; b++)
        n = cu[b + 1] - cu[b] > n ? cu[b + 1] - cu[b] : n;
    return n;
}

/* Dense [B][H][N][D], ragged [T][H][D]. */
static void golden_sizes(attn_data *d, const golden_array *q, const golden_array *k,
                         const golden_array *v, int num_cu)
{
    attn_spec *s = &d->spec;

    s->B = d->cu_q ? num_cu - 1 : (int)q->shape[0];
    s->Hq = (int)q->shape[1], s->Hk = (int)k->shape[1];
    s->D = (int)q->shape[q->rank - 1], s->Dv = (int)v->shape[v->rank - 1];
    s->Nq = d->cu_q ? longest(d->cu_q, s->B) : (int)q->shape[2];
    s->Nk = d->cu_k ? longest(d->cu_k, s->B) : (int)k->shape[2];
}

static void golden_mask_and_bias(const golden_case *c, attn_data *d)
{
    const golden_array mask = golden_load(c, "mask"), bias = golden_load(c, "bias");

    d->spec.mask = mask.values != NULL;
    d->spec.bias = bias.values != NULL;
    for (int a = 0; a < 4; a++) {
        d->ref.mask_shape[a] = (int)mask.shape[a];
        d->ref.bias_shape[a] = (int)bias.shape[a];
    }
    if (mask.values) {
        d->ref.mask = d->mask = memory_alloc(mask.count);
        for (size_t i = 0; i < mask.count; i++)
            d->mask[i] = (uint8_t)mask.values[i];
    }
    free(mask.values);
    d->ref.bias = d->bias = bias.values;
}

static bool exact(clattn_dtype dtype, const golden_array *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (storage_round(dtype, a->values[i]) != a->values[i])
            return false;
    return true;
}

attn_data *attn_data_of_golden(const golden_case *c, clattn_dtype in, clattn_dtype out)
{
    attn_data *d = memory_alloc(sizeof *d);
    const golden_array q = golden_load(c, "q"), k = golden_load(c, "k"), v = golden_load(c, "v");
    int num_cu = 0;

    d->q = q.values, d->k = k.values, d->v = v.values;
    if (!exact(in, &q) || !exact(in, &k) || !exact(in, &v)) {
        attn_data_free(d);
        return NULL;
    }
    if (golden_has(c, "cu_seqlens_q")) {
        d->cu_q = load_indices(c, "cu_seqlens_q", &num_cu);
        d->cu_k = load_indices(c, "cu_seqlens_k", &num_cu);
    }
    golden_params(c, &d->spec);
    d->spec.in = in, d->spec.out = out;
    golden_sizes(d, &q, &k, &v, num_cu);
    start(d);
    golden_mask_and_bias(c, d);
    d->ref.q = d->q, d->ref.k = d->k, d->ref.v = d->v;
    d->ref.alibi = d->alibi = golden_load(c, "alibi").values;
    d->ref.sinks = d->sinks = golden_load(c, "sinks").values;
    d->spec.alibi = d->alibi != NULL;
    d->spec.sinks = d->sinks != NULL;
    alloc_results(d);
    load_doubles(c, "o", d->o);
    load_doubles(c, "lse", d->lse);
    load_doubles(c, "probs", d->probs);
    attn_data_naive(d);
    return d;
}

void attn_data_free(attn_data *d)
{
    if (!d)
        return;
    free(d->q), free(d->k), free(d->v), free(d->bias), free(d->alibi), free(d->sinks);
    free(d->mask), free(d->cu_q), free(d->cu_k);
    free(d->k_stored), free(d->v_stored), free(d->k_scale), free(d->v_scale);
    free(d->o), free(d->lse), free(d->probs);
    stats_data_free(d->stats);
    free(d);
}
