/* SPDX-License-Identifier: Apache-2.0 */
#include "kv_model.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache_case.h"
#include "compare.h"
#include "storage.h"
#include "suite.h"

void kv_model_make(kv_model *m, clattn_ctx *ctx, const struct clattn_kv_params *params)
{
    memset(m, 0, sizeof *m);
    m->ctx = ctx;
    m->params = *params;
    m->params.dtype = params->dtype ? params->dtype : CLATTN_F32;
    m->params.value_width = params->value_width ? params->value_width : params->key_width;
    m->seq = memory_alloc((size_t)params->sequences * sizeof *m->seq);
    OK(ctx, clattn_kv_create(ctx, params, &m->kv));
}

void kv_model_free(kv_model *m)
{
    for (int b = 0; b < m->params.sequences; b++)
        free(m->seq[b].k), free(m->seq[b].v);
    free(m->seq);
    clattn_kv_destroy(&m->kv);
}

static int width_of(const kv_model *m, bool values)
{
    return (int)(values ? m->params.value_width : m->params.key_width);
}

/* ---- appending ---- */

static float *random_rows(int rows, int width, clattn_dtype dtype, test_rng *rng)
{
    const size_t n = (size_t)rows * (size_t)width;
    float *x = memory_alloc(n * sizeof *x), size = 1;

    for (size_t i = 0; i < n; i++) {
        if (i % (size_t)width == 0) {
            static const float sizes[] = { 1, 1, 1, 1, 0.01f, 100, 0 };
            size = sizes[rng_below(rng, 7)];
        }
        x[i] = storage_round(dtype, size * (float)rng_normal(rng));
    }
    return x;
}

void kv_input_make(kv_input *in, const kv_model *m, int first, int count, int n,
                   clattn_dtype dtype, test_rng *rng)
{
    const int rows = count * (int)m->params.heads * n;

    *in = (kv_input){ .first = first, .count = count, .n = n, .dtype = dtype };
    in->bnhd = rng_below(rng, 2) == 0;
    in->host = rng_below(rng, 4) == 0;
    in->k = random_rows(rows, width_of(m, false), dtype, rng);
    in->v = random_rows(rows, width_of(m, true), dtype, rng);
}

void kv_input_free(kv_input *in)
{
    free(in->k);
    free(in->v);
}

/* [Hk][n][width] of sequence b of the input joins the rows of a sequence, [length][Hk][width]. */
static float *joined(const kv_model *m, const kv_input *in, int b, bool values)
{
    const kv_rows *s = &m->seq[in->first + b];
    const size_t Hk = (size_t)m->params.heads, width = (size_t)width_of(m, values);
    const float *x = (values ? in->v : in->k) + (size_t)b * Hk * in->n * width;
    float *all = memory_alloc((size_t)(s->length + in->n) * Hk * width * sizeof *all);

    if (s->length > 0)
        memcpy(all, values ? s->v : s->k, (size_t)s->length * Hk * width * sizeof *all);
    for (size_t h = 0; h < Hk; h++)
        for (size_t r = 0; r < (size_t)in->n; r++)
            memcpy(all + (((size_t)s->length + r) * Hk + h) * width,
                   x + (h * (size_t)in->n + r) * width, width * sizeof *all);
    return all;
}

static void join(kv_model *m, const kv_input *in)
{
    for (int b = 0; b < in->count; b++) {
        kv_rows *s = &m->seq[in->first + b];
        float *k = joined(m, in, b, false), *v = joined(m, in, b, true);
        free(s->k), free(s->v);
        s->k = k, s->v = v;
        s->length += in->n;
    }
}

clattn_status kv_model_append(kv_model *m, const kv_input *in)
{
    const test_layout layout = attn_layout_of(in->bnhd ? LAYOUT_BNHD : LAYOUT_PADDED, false);
    test_memory x[2];

    for (int i = 0; i < 2; i++) {
        const int64_t shape[] = { in->count, m->params.heads, in->n, width_of(m, i) };
        memory_make(&x[i], in->host ? NULL : m->ctx, false, in->dtype, 4, shape, &layout);
        memory_put(&x[i], i ? in->v : in->k);
    }
    const clattn_status s = clattn_kv_append(m->ctx, clattn_kv_append_params(
        .kv = m->kv, .sequence = in->first, .k = x[0].tensor, .v = x[1].tensor,
        .rotary = in->rotary, .rotary_base = 500, .kernel = in->kernel));
    for (int i = 0; i < 2; i++) {
        memory_get(&x[i], "input", NULL);
        memory_free(&x[i]);
    }
    if (s == CLATTN_OK)
        join(m, in);
    return s;
}

void kv_model_fill(kv_model *m, int first, int count, int n, clattn_dtype dtype, test_rng *rng)
{
    kv_input in;

    kv_input_make(&in, m, first, count, n, dtype, rng);
    OK(m->ctx, kv_model_append(m, &in));
    kv_input_free(&in);
}

/* ---- the rest ---- */

void kv_model_truncate(kv_model *m, int b, int64_t length)
{
    m->seq[b].length = length;
}

static float *copied(const float *x, size_t n)
{
    float *copy = memory_alloc(n * sizeof *copy);
    if (n > 0)
        memcpy(copy, x, n * sizeof *copy);
    return copy;
}

void kv_model_reorder(kv_model *m, const int64_t *from)
{
    const size_t sequences = (size_t)m->params.sequences;
    kv_rows *now = memory_alloc(sequences * sizeof *now);

    for (size_t b = 0; b < sequences; b++) {
        const kv_rows *s = &m->seq[from[b]];
        const size_t rows = (size_t)(s->length * m->params.heads);
        now[b] = (kv_rows){ s->length, copied(s->k, rows * (size_t)width_of(m, false)),
                            copied(s->v, rows * (size_t)width_of(m, true)) };
    }
    for (size_t b = 0; b < sequences; b++)
        free(m->seq[b].k), free(m->seq[b].v);
    free(m->seq);
    m->seq = now;
}

/* ---- reading ---- */

float *kv_model_read(const kv_model *m, int b, bool values)
{
    const int64_t first = clattn_kv_first(m->kv, b);
    const int64_t rows = clattn_kv_length(m->kv, b) - first;
    const size_t Hk = (size_t)m->params.heads, width = (size_t)width_of(m, values);
    const size_t n = (size_t)rows * Hk * width;
    float *heads = memory_alloc(n * sizeof *heads), *out = memory_alloc(n * sizeof *out);

    OK(m->ctx, clattn_kv_read(m->kv, b, first, rows, values ? NULL : heads, values ? heads : NULL));
    for (size_t h = 0; h < Hk; h++)
        for (size_t r = 0; r < (size_t)rows; r++)
            memcpy(out + (r * Hk + h) * width, heads + (h * (size_t)rows + r) * width,
                   width * sizeof *out);
    free(heads);
    return out;
}

static void check_sequence(const kv_model *m, int b, bool values)
{
    const kv_rows *s = &m->seq[b];
    const int64_t first = clattn_kv_first(m->kv, b), Hk = m->params.heads;
    const int width = width_of(m, values);
    const float *want = values ? s->v : s->k;
    float *got = kv_model_read(m, b, values);
    char what[64];

    for (int64_t i = 0; i < (s->length - first) * Hk; i++) {
        snprintf(what, sizeof what, "%s of row %d, sequence %d, head %d", values ? "v" : "k",
                 (int)(first + i / Hk), b, (int)(i % Hk));
        cache_check_row(what, m->params.dtype, want + (first * Hk + i) * width, width,
                        got + i * width);
    }
    free(got);
}

void kv_model_check(const kv_model *m)
{
    for (int b = 0; b < m->params.sequences; b++) {
        const int64_t length = clattn_kv_length(m->kv, b), first = clattn_kv_first(m->kv, b);
        const int64_t window = m->params.window ? m->params.window : length;
        ck_assert_msg(length == m->seq[b].length, "%s: sequence %d has %d rows, not %d",
                      compare_label_text(), b, (int)length, (int)m->seq[b].length);
        ck_assert_msg(first >= 0 && (first == 0 || first + window <= length),
                      "%s: sequence %d of %d rows starts with row %d", compare_label_text(), b,
                      (int)length, (int)first);
        check_sequence(m, b, false);
        check_sequence(m, b, true);
    }
}
