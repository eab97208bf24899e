/* SPDX-License-Identifier: Apache-2.0 */
#include "stats_case.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention_case.h"
#include "cache_case.h"
#include "compare.h"

enum { TOPS = 5, PICKS = 3 };

/* ---- numbers ---- */

stats_data *stats_data_make(const ref_attn *p, const double *probs, size_t rows, size_t packed,
                            uint64_t seed)
{
    stats_data *d = memory_alloc(sizeof *d);
    test_rng rng = { seed };

    d->keys = memory_alloc((packed * PICKS + 1) * sizeof *d->keys);
    for (size_t i = 0; i < packed * PICKS; i++)
        d->keys[i] = i % 31 == 7 ? INT32_MIN : i % 31 == 9 ? INT32_MAX
                                                           : rng_below(&rng, p->Nk + 3) - 1;
    d->ref = (ref_stats){ TOPS, PICKS, d->keys };
    d->rows = rows;
    d->count_mean = (size_t)p->B * p->Nq * p->Nk;
    d->out = memory_alloc((rows * (size_t)ref_stats_width(&d->ref) + 1) * sizeof *d->out);
    d->mean = memory_alloc((d->count_mean + 1) * sizeof *d->mean);
    ref_stats_make(p, &d->ref, probs, d->out, d->mean);
    return d;
}

/* Columns [first, first + n) of the rows. */
static double *columns_of(const stats_data *d, int first, int n)
{
    const size_t width = (size_t)ref_stats_width(&d->ref);
    double *x = memory_alloc((d->rows * (size_t)n + 1) * sizeof *x);
    for (size_t r = 0; r < d->rows; r++)
        memcpy(x + r * (size_t)n, d->out + r * width + first, (size_t)n * sizeof *x);
    return x;
}

static void raise(double *most, const stats_data *d, const float *out, int first, int n)
{
    const size_t width = (size_t)ref_stats_width(&d->ref);
    for (size_t r = 0; r < d->rows; r++)
        *most = fmax(*most, compare_error(out + r * width + first, d->out + r * width + first,
                                          (size_t)n));
}

void stats_data_naive(stats_data *d, const ref_attn *p, const float *probs)
{
    const size_t width = (size_t)ref_stats_width(&d->ref);
    float *out = memory_alloc((d->rows * width + 1) * sizeof *out);
    float *mean = memory_alloc((d->count_mean + 1) * sizeof *mean);

    ref_stats_naive(p, &d->ref, probs, out, mean);
    raise(&d->naive_entropy, d, out, REF_ENTROPY, 1);
    raise(&d->naive_distance, d, out, REF_DISTANCE, 1);
    raise(&d->naive_top, d, out, REF_TOP, TOPS);
    raise(&d->naive_chosen, d, out, REF_TOP + TOPS, PICKS);
    d->naive_mean = fmax(d->naive_mean, compare_error(mean, d->mean, d->count_mean));
    free(out), free(mean);
}

void stats_data_free(stats_data *d)
{
    if (!d)
        return;
    free(d->keys), free(d->out), free(d->mean);
    free(d);
}

/* ---- tensors ---- */

/* [B][Hq][Nq], ragged [Hq][Tq], with one more axis when width > 0. */
static void make_rows(test_memory *m, attn_run *run, clattn_ctx *ctx, clattn_dtype dtype,
                      int width)
{
    static const test_layout wide = { .order = { 1, 0, 2, 3 }, .row_pad = 2, .offset = 3 };
    const attn_spec *s = &run->data->spec;
    const int64_t dense[4] = { s->B, s->Hq, s->Nq, width };
    const int64_t packed[3] = { s->Hq, (int64_t)run->data->q_rows, width };
    const bool ragged = run->data->cu_q != NULL, padded = s->layout == LAYOUT_PADDED && !ragged;

    memory_make(m, ctx, true, dtype, (ragged ? 2 : 3) + (width > 0), ragged ? packed : dense,
                padded ? &wide : NULL);
}

static void make_keys(attn_run *run, clattn_ctx *ctx)
{
    const attn_data *d = run->data;
    const int64_t dense[3] = { d->spec.B, d->spec.Nq, PICKS };
    const int64_t packed[2] = { (int64_t)d->q_rows, PICKS };
    const bool ragged = d->cu_q != NULL;

    memory_make(&run->keys, ctx, false, CLATTN_I32, ragged ? 2 : 3, ragged ? packed : dense, NULL);
    memory_put_bytes(&run->keys, d->stats->keys);
}

/* A cache has its sequences side by side, not packed: [Hq][Tq] or [Hq][Tq][n] by sequence. */
static clattn_tensor by_sequence(const attn_spec *s, clattn_tensor t)
{
    if (!s->kv)
        return t;
    return t.rank == 2 ? cache_rows_by_sequence(t, s->B, s->Nq)
                       : cache_by_sequence(clattn_tensor_swap(t, 0, 1), s->B, s->Nq);
}

/* [Tq][C] as [B][Nq][C]. */
static clattn_tensor keys_by_sequence(const attn_spec *s, clattn_tensor t)
{
    if (!s->kv)
        return t;
    clattn_tensor keys = t;
    keys.rank = 3;
    keys.shape[0] = s->B, keys.stride[0] = s->Nq * t.stride[0];
    keys.shape[1] = s->Nq, keys.stride[1] = t.stride[0];
    keys.shape[2] = t.shape[1], keys.stride[2] = t.stride[1];
    return keys;
}

void stats_run_make(attn_run *run, clattn_ctx *ctx)
{
    const attn_spec *s = &run->data->spec;
    const int64_t mean[3] = { s->B, s->Nq - s->probs_row, s->Nk };

    make_rows(&run->entropy, run, ctx, CLATTN_F32, 0);
    make_rows(&run->distance, run, ctx, CLATTN_F32, 0);
    make_rows(&run->top, run, ctx, CLATTN_F32, TOPS);
    make_rows(&run->top_keys, run, ctx, CLATTN_I32, TOPS);
    make_rows(&run->chosen, run, ctx, CLATTN_F32, PICKS);
    make_keys(run, ctx);
    memory_make(&run->mean, ctx, true, CLATTN_F32, 3, mean, NULL);
    run->params.stats = (clattn_attention_stats){
        .entropy = by_sequence(s, run->entropy.tensor),
        .distance = by_sequence(s, run->distance.tensor),
        .top = by_sequence(s, run->top.tensor),
        .top_keys = by_sequence(s, run->top_keys.tensor),
        .keys = keys_by_sequence(s, run->keys.tensor),
        .chosen = by_sequence(s, run->chosen.tensor),
        .mean = run->mean.tensor,
        .mean_row = s->probs_row,
    };
}

void stats_run_free(attn_run *run)
{
    memory_free(&run->entropy);
    memory_free(&run->distance);
    memory_free(&run->top);
    memory_free(&run->top_keys);
    memory_free(&run->keys);
    memory_free(&run->chosen);
    memory_free(&run->mean);
}

void stats_run_poison(attn_run *run)
{
    memory_poison(&run->entropy);
    memory_poison(&run->distance);
    memory_poison(&run->top);
    memory_poison(&run->top_keys);
    memory_poison(&run->chosen);
    memory_poison(&run->mean);
}

/* ---- checks ---- */

static void check_columns(attn_run *run, const char *name, test_memory *m, int first, int n,
                          double naive)
{
    const stats_data *d = run->data->stats;
    double *want = columns_of(d, first, n);
    float *got = memory_alloc((d->rows * (size_t)n + 1) * sizeof *got);

    memory_get(m, name, got);
    compare_pass(name, got, want, naive, d->rows * (size_t)n, CLATTN_F32);
    free(got), free(want);
}

/* Keys of a row: visible, none twice, -1 after the last; into got: their weights. */
static void check_keys(const attn_data *d, int b, int h, int i, const int32_t *keys, float *got)
{
    const bool ordered = d->spec.regime == REGIME_EQUAL && !d->spec.bias && !d->spec.alibi;
    const double *probs = d->probs + (((size_t)b * d->spec.Hq + h) * d->spec.Nq + i) * d->spec.Nk;
    int visible = 0;

    for (int j = 0; j < ref_seq_of(&d->ref, b).nk; j++)
        visible += ref_visible(&d->ref, b, h, i, j);
    for (int n = 0; n < TOPS; n++) {
        const int key = keys[n];
        ck_assert_msg(key < 0 ? key == -1 && (n >= visible || d->spec.bias_hides)
                              : n < visible && key < ref_seq_of(&d->ref, b).nk
                                    && ref_visible(&d->ref, b, h, i, key),
                      "%s: top key %d of [%d][%d][%d] is %d, %d keys are visible",
                      compare_label_text(), n, b, h, i, key, visible);
        for (int m = 0; m < n && key >= 0; m++)
            ck_assert_msg(keys[m] >= 0 && (ordered ? keys[m] < key : keys[m] != key),
                          "%s: top keys of [%d][%d][%d]: %d after %d", compare_label_text(), b, h,
                          i, key, keys[m]);
        got[n] = key < 0 ? 0 : (float)probs[key];
    }
}

static void check_top_keys(attn_run *run)
{
    const attn_data *d = run->data;
    const size_t count = d->stats->rows * TOPS;
    int32_t *keys = memory_alloc((count + 1) * sizeof *keys);
    float *got = memory_alloc((count + 1) * sizeof *got);
    double *want = columns_of(d->stats, REF_TOP, TOPS);

    memory_get_bytes(&run->top_keys, "top_keys", keys);
    for (int b = 0; b < d->ref.B; b++)
        for (int h = 0; h < d->ref.Hq; h++)
            for (int i = 0; i < ref_seq_of(&d->ref, b).nq; i++) {
                const size_t row = ref_lse_row(&d->ref, b, h, i) * TOPS;
                check_keys(d, b, h, i, keys + row, got + row);
            }
    compare_pass("weights of top_keys", got, want, d->stats->naive_top, count, CLATTN_F32);
    free(keys), free(got), free(want);
}

static void check_mean(attn_run *run)
{
    const attn_data *d = run->data;
    const attn_spec *s = &d->spec;
    const size_t rows = (size_t)(s->Nq - s->probs_row), count = (size_t)s->B * rows * s->Nk;
    float *got = memory_alloc((count + 1) * sizeof *got);
    double *want = memory_alloc((count + 1) * sizeof *want);

    memory_get(&run->mean, "mean", got);
    for (int b = 0; b < s->B; b++)
        memcpy(want + (size_t)b * rows * s->Nk,
               d->stats->mean + ((size_t)b * s->Nq + s->probs_row) * s->Nk,
               rows * (size_t)s->Nk * sizeof *want);
    compare_pass("mean", got, want, d->stats->naive_mean, count, CLATTN_F32);
    free(got), free(want);
}

void stats_run_check(attn_run *run)
{
    const stats_data *d = run->data->stats;

    check_columns(run, "entropy", &run->entropy, REF_ENTROPY, 1, d->naive_entropy);
    check_columns(run, "distance", &run->distance, REF_DISTANCE, 1, d->naive_distance);
    check_columns(run, "top", &run->top, REF_TOP, TOPS, d->naive_top);
    check_columns(run, "chosen", &run->chosen, REF_TOP + TOPS, PICKS, d->naive_chosen);
    check_top_keys(run);
    check_mean(run);
    memory_unchanged(&run->keys, "keys");
}
