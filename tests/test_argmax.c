/* SPDX-License-Identifier: Apache-2.0 */
/* Argmax attention through the public API: golden cases, ties, NaN, masks, views, plans. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention_case.h"
#include "compare.h"
#include "ref_argmax.h"
#include "suite.h"

/* ---- golden cases ---- */

static const clattn_dtype dtypes[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16 };

static void check_golden(const char *name, clattn_dtype dtype, bool host)
{
    golden_case c;
    attn_run run;

    golden_open(&c, name);
    attn_data *data = attn_data_of_golden(&c, dtype, dtype);
    const golden_array index = golden_load(&c, "index"), o = golden_load(&c, "o");
    ck_assert_ptr_nonnull(data);
    data->spec.argmax = true;
    data->spec.lse = data->spec.probs = false;
    compare_label("%s, %s%s", name, clattn_dtype_name(dtype), host ? ", host" : "");
    attn_run_make(&run, host ? NULL : suite_ctx(), data);
    OK(suite_ctx(), clattn_argmax(suite_ctx(), &run.argmax));
    attn_run_check(&run);
    float *got = memory_alloc((o.count + index.count) * sizeof *got);
    memory_get(&run.o, "o", got);
    memory_get(&run.index, "index", got + o.count);
    for (size_t i = 0; i < o.count; i++)
        ck_assert_msg(got[i] == o.values[i], "%s: o[%zu]", compare_label_text(), i);
    for (size_t i = 0; i < index.count; i++)
        ck_assert_msg(got[o.count + i] == index.values[i], "%s: index[%zu]", compare_label_text(),
                      i);
    free(got), free(index.values), free(o.values);
    attn_run_free(&run);
    attn_data_free(data);
    golden_close(&c);
}

START_TEST(golden)
{
    golden_names cases;

    golden_find(&cases, "argmax_attention");
    for (int n = 0; n < cases.count; n++) {
        check_golden(cases.name[n], dtypes[_i], false);
        check_golden(cases.name[n], dtypes[_i], true);
    }
    ck_assert_int_ge(cases.count, 3);
}
END_TEST

/* q = (1, 1, 2): k_1 = (0, 3, 4) has the best score, 11, so v_1 = (1, 4, 3) is the answer. */
START_TEST(worked_example)
{
    static const float q[] = { 1, 1, 2 };
    static const float k[] = { 1, 2, 0, 0, 3, 4, 5, 0, 0, 0, 0, 1 };
    static const float v[] = { 2, 0, 1, 1, 4, 3, 0, -1, 4, 1, 0, -1 };
    static const int64_t one[] = { 1, 1, 1, 3 }, keys[] = { 1, 1, 4, 3 };
    clattn_ctx *ctx = suite_ctx();
    float o[3];
    int32_t index = 77;

    OK(ctx, clattn_argmax(ctx, clattn_argmax_params(
        .q = clattn_tensor_of_host(q, CLATTN_F32, 4, one),
        .k = clattn_tensor_of_host(k, CLATTN_F32, 4, keys),
        .v = clattn_tensor_of_host(v, CLATTN_F32, 4, keys),
        .o = clattn_tensor_of_host(o, CLATTN_F32, 4, one),
        .index = clattn_tensor_of_host(&index, CLATTN_I32, 3, one))));
    ck_assert_int_eq(index, 1);
    ck_assert(o[0] == 1 && o[1] == 4 && o[2] == 3);
}
END_TEST

/*
 * ---- problems of every kind, random numbers ----
 *
 * OpenCL builds a kernel for each width, dtype and set of options, so problems that are not about
 * widths have the same.
 */

static const int lens_q[] = { 5, 0, 17, 1, 9 }, lens_k[] = { 40, 12, 3, 0, 2100 };
#define ARGMAX .argmax = true
static const attn_spec specs[] = {
    { ARGMAX, .name = "full", .B = 2, .Hq = 2, .Hk = 2, .Nq = 19, .Nk = 45, .D = 16, .Dv = 16 },
    { ARGMAX, .name = "GQA, causal, Dv != D, padded", .B = 2, .Hq = 6, .Hk = 2, .Nq = 70,
      .Nk = 150, .D = 40, .Dv = 9, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .poison_hidden = true,
      .layout = LAYOUT_PADDED },
    { ARGMAX, .name = "top left", .B = 1, .Hq = 2, .Hk = 1, .Nq = 33, .Nk = 60, .D = 16, .Dv = 16,
      .in = CLATTN_BF16, .causal = CLATTN_CAUSAL_TOP_LEFT, .poison_hidden = true },
    { ARGMAX, .name = "more rows than keys", .B = 1, .Hq = 2, .Hk = 2, .Nq = 50, .Nk = 20, .D = 16,
      .Dv = 16, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { ARGMAX, .name = "window", .B = 1, .Hq = 3, .Hk = 1, .Nq = 80, .Nk = 300, .D = 16, .Dv = 16,
      .window = true, .left = 20, .right = 3, .poison_hidden = true },
    { ARGMAX, .name = "window of the past, causal", .B = 1, .Hq = 1, .Hk = 1, .Nq = 40, .Nk = 40,
      .D = 64, .Dv = 64, .window = true, .left = 6, .right = -1, .in = CLATTN_F16,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { ARGMAX, .name = "mask", .B = 2, .Hq = 4, .Hk = 2, .Nq = 21, .Nk = 50, .D = 16, .Dv = 16,
      .mask = true, .poison_hidden = true },
    { ARGMAX, .name = "mask by keys, causal", .B = 2, .Hq = 4, .Hk = 2, .Nq = 41, .Nk = 50,
      .D = 16, .Dv = 16, .mask = true, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT,
      .layout = LAYOUT_PADDED },
    { ARGMAX, .name = "mask that repeats", .B = 2, .Hq = 2, .Hk = 1, .Nq = 21, .Nk = 33, .D = 16,
      .Dv = 16, .mask = true, .mask_repeat = REPEAT_H | REPEAT_N, .layout = LAYOUT_BNHD },
    { ARGMAX, .name = "mask of rows", .B = 2, .Hq = 2, .Hk = 1, .Nq = 21, .Nk = 33, .D = 16,
      .Dv = 16, .mask = true, .mask_repeat = REPEAT_B | REPEAT_K },
    { ARGMAX, .name = "one row", .B = 3, .Hq = 8, .Hk = 2, .Nq = 1, .Nk = 4500, .D = 64, .Dv = 64,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { ARGMAX, .name = "one row, masked, f16", .B = 1, .Hq = 4, .Hk = 4, .Nq = 1, .Nk = 2100,
      .D = 128, .Dv = 64, .in = CLATTN_F16, .mask = true, .poison_hidden = true },
    { ARGMAX, .name = "few rows, window", .B = 1, .Hq = 8, .Hk = 1, .Nq = 3, .Nk = 5000, .D = 16,
      .Dv = 16, .in = CLATTN_BF16, .window = true, .left = 4000, .right = 0,
      .poison_hidden = true },
    { ARGMAX, .name = "many rows, long keys", .B = 1, .Hq = 2, .Hk = 1, .Nq = 100, .Nk = 4300,
      .D = 16, .Dv = 16 },
    { ARGMAX, .name = "ragged", .B = 5, .Hq = 4, .Hk = 2, .D = 16, .Dv = 24, .lens_q = lens_q,
      .lens_k = lens_k },
    { ARGMAX, .name = "ragged, causal, masked", .B = 5, .Hq = 4, .Hk = 2, .D = 16, .Dv = 8,
      .in = CLATTN_F16, .lens_q = lens_q, .lens_k = lens_k, .mask = true,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .layout = LAYOUT_PADDED },
    { ARGMAX, .name = "wide spread", .B = 1, .Hq = 2, .Hk = 2, .Nq = 60, .Nk = 300, .D = 64,
      .Dv = 16, .spread = 1000 },
    { ARGMAX, .name = "rising", .B = 1, .Hq = 2, .Hk = 2, .Nq = 30, .Nk = 300, .D = 64, .Dv = 16,
      .regime = REGIME_RISING, .spread = 10 },
    { ARGMAX, .name = "equal keys", .B = 1, .Hq = 2, .Hk = 2, .Nq = 30, .Nk = 2300, .D = 64,
      .Dv = 16, .regime = REGIME_EQUAL, .window = true, .left = 2290, .right = -1 },
    { ARGMAX, .name = "equal keys, one row", .B = 1, .Hq = 4, .Hk = 1, .Nq = 1, .Nk = 2300,
      .D = 64, .Dv = 64, .regime = REGIME_EQUAL },
    { ARGMAX, .name = "tiny", .B = 1, .Hq = 2, .Hk = 2, .Nq = 18, .Nk = 50, .D = 64, .Dv = 16,
      .regime = REGIME_TINY },
    { ARGMAX, .name = "D 1", .B = 1, .Hq = 1, .Hk = 1, .Nq = 7, .Nk = 40, .D = 1, .Dv = 1 },
    { ARGMAX, .name = "D 500", .B = 1, .Hq = 1, .Hk = 1, .Nq = 20, .Nk = 40, .D = 500, .Dv = 300 },
};

START_TEST(problems)
{
    attn_data *data = attn_data_make(&specs[_i], suite_seed());

    compare_label("%s", specs[_i].name);
    attn_check(suite_ctx(), false, data, NULL);
    compare_label("%s, host", specs[_i].name);
    attn_check(suite_ctx(), true, data, NULL);
    attn_data_free(data);
}
END_TEST

START_TEST(without_index)
{
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&specs[_i], suite_seed());
    attn_run run;

    compare_label("%s, no index", specs[_i].name);
    attn_run_make(&run, ctx, data);
    memset(&run.argmax.index, 0, sizeof run.argmax.index);
    OK(ctx, clattn_argmax(ctx, &run.argmax));
    attn_run_check(&run);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* B, Hq, Nq, Nk or all of them 0. */
START_TEST(empty_sizes)
{
    const attn_spec spec = { ARGMAX, .B = 2, .Hq = 4, .Hk = 2, .Nq = 5, .Nk = 6, .D = 8, .Dv = 8 };

    attn_check_empty(spec, _i);
}
END_TEST

/* ---- numbers that are exact in every sum, so that the answer is one index ---- */

static void small_integers(float *x, size_t n, uint64_t seed)
{
    test_rng rng = { seed };
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rng_below(&rng, 9) - 4);
}

static attn_data *integer_data(const attn_spec *spec)
{
    attn_data *d = attn_data_make(spec, suite_seed());
    const size_t batches = d->cu_q ? 1 : (size_t)d->spec.B;

    small_integers(d->q, batches * d->spec.Hq * d->q_rows * d->spec.D, 1);
    small_integers(d->k, batches * d->spec.Hk * d->k_rows * d->spec.D, 2);
    return d;
}

/* Indices of a run, dense; to be freed. */
static int32_t *run_index(attn_run *run)
{
    int32_t *index = memory_alloc(run->data->count_lse * sizeof *index);

    attn_run_poison(run);
    OK(suite_ctx(), clattn_argmax(suite_ctx(), &run->argmax));
    attn_run_check(run);
    memory_get_bytes(&run->index, "index", index);
    return index;
}

static void expect_exact(const ref_attn *p, const int32_t *index)
{
    for (int b = 0; b < p->B; b++)
        for (int h = 0; h < p->Hq; h++)
            for (int i = 0; i < ref_seq_of(p, b).nq; i++) {
                const int want = ref_argmax(p, b, h, i);
                const int got = index[ref_lse_row(p, b, h, i)];
                ck_assert_msg(got == want, "%s: index of [%d][%d][%d] is %d, not %d",
                              compare_label_text(), b, h, i, got, want);
            }
}

static const attn_spec integers[] = {
    { ARGMAX, .name = "integers", .B = 2, .Hq = 4, .Hk = 2, .Nq = 90, .Nk = 333, .D = 3, .Dv = 8 },
    { ARGMAX, .name = "integers, causal", .B = 1, .Hq = 4, .Hk = 4, .Nq = 200, .Nk = 200, .D = 4,
      .Dv = 8, .in = CLATTN_F16, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { ARGMAX, .name = "integers, one row", .B = 2, .Hq = 8, .Hk = 2, .Nq = 1, .Nk = 5000, .D = 5,
      .Dv = 8, .in = CLATTN_BF16 },
    { ARGMAX, .name = "integers, masked", .B = 2, .Hq = 2, .Hk = 1, .Nq = 30, .Nk = 2500, .D = 4,
      .Dv = 8, .mask = true },
    { ARGMAX, .name = "integers, ragged", .B = 5, .Hq = 2, .Hk = 1, .D = 3, .Dv = 5,
      .lens_q = lens_q, .lens_k = lens_k },
};

/* Many ties, all of them exact. */
START_TEST(exact_ties)
{
    attn_data *data = integer_data(&integers[_i]);
    attn_run run;

    compare_label("%s", integers[_i].name);
    attn_run_make(&run, suite_ctx(), data);
    int32_t *index = run_index(&run);
    expect_exact(&data->ref, index);
    free(index);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* Keys in another order: the score of the winner is the same, and the lowest of its new places. */
START_TEST(permuted_keys)
{
    enum { NK = 700, D = 16, DV = 16 };
    const attn_spec spec = { ARGMAX, .name = "permuted", .B = 1, .Hq = 3, .Hk = 1,
                             .Nq = _i ? 1 : 40, .Nk = NK, .D = D, .Dv = DV };
    attn_data *data = integer_data(&spec);
    test_rng rng = { suite_seed() };
    float *k = memory_alloc(NK * D * sizeof *k);
    int from[NK];
    attn_run run;

    compare_label("before the permutation");
    attn_run_make(&run, suite_ctx(), data);
    int32_t *before = run_index(&run);
    for (int j = 0; j < NK; j++)
        from[j] = j;
    for (int j = NK - 1; j > 0; j--) {
        const int other = rng_below(&rng, j + 1), held = from[j];
        from[j] = from[other];
        from[other] = held;
    }
    for (int j = 0; j < NK; j++)
        memcpy(k + j * D, data->k + from[j] * D, D * sizeof *k);
    const float *k_before = data->ref.k;
    data->ref.k = k;
    memory_put(&run.k, k);
    compare_label("after the permutation");
    int32_t *after = run_index(&run);
    expect_exact(&data->ref, after);
    for (size_t row = 0; row < data->count_lse; row++) {
        float x = 0, y = 0;
        for (int d = 0; d < D; d++) {
            x += data->q[row * D + d] * k_before[before[row] * D + d];
            y += data->q[row * D + d] * k[after[row] * D + d];
        }
        ck_assert(x == y);
    }
    free(before), free(after), free(k);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* One best key at several places of vectors, tiles and parts: the lowest that is seen wins. */
START_TEST(ties_everywhere)
{
    enum { NK = 9000, D = 16 };
    static const int places[] = { 0,    1,    15,   16,   17,   63,   64,   127,  128,  255,
                                  256,  511,  512,  1023, 1024, 2047, 2048, 2049, 4095, 4096,
                                  8191, 8192, 8999 };
    enum { NUM = sizeof places / sizeof places[0] };
    const attn_spec spec = { ARGMAX, .name = "ties", .B = 1, .Hq = 2, .Hk = 1, .Nq = _i ? 20 : 1,
                             .Nk = NK, .D = D, .Dv = 16, .mask = true,
                             .mask_repeat = REPEAT_H | REPEAT_N };
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    for (size_t i = 0; i < data->count_lse * D; i++)
        data->q[i] = 0.1f + fabsf(data->q[i]);
    for (int i = 0; i < NK * D; i++)
        data->k[i] = -fabsf(data->k[i]);
    for (int n = 0; n < NUM; n++)
        for (int d = 0; d < D; d++)
            data->k[places[n] * D + d] = 0.3f + (float)d / 7;
    memset(data->mask, 1, NK);
    attn_run_make(&run, suite_ctx(), data);
    for (int n = 0; n < NUM; n++) {
        compare_label("the best from %d on", places[n]);
        memory_put_bytes(&run.mask, data->mask);
        int32_t *index = run_index(&run);
        for (size_t row = 0; row < data->count_lse; row++)
            ck_assert_int_eq(index[row], places[n]);
        free(index);
        data->mask[places[n]] = 0;
    }
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* ---- values that are no ordinary numbers ---- */

enum { ODD_NK = 75, ODD_D = 8 };

/* D equal numbers. */
static void fill_key(attn_data *data, int j, float x)
{
    for (int d = 0; d < ODD_D; d++)
        data->k[j * ODD_D + d] = x;
}

typedef struct odd_case {
    const char *name;
    float others;                /* all keys but these */
    int at_a; float a;           /* -1: nowhere */
    int at_b; float b;
    float q;
    int want;
} odd_case;

static const odd_case odd_cases[] = {
    { "-0 before 0", -1, 20, -0.0f, 40, 0.0f, 1, 20 },
    { "0 before -0", -1, 20, 0.0f, 40, -0.0f, 1, 20 },
    { "-0 and 0 next to each other", -1, 33, -0.0f, 34, 0.0f, 1, 33 },
    { "all zero, of both signs", 0, 0, -0.0f, 1, 0.0f, -1, 0 },
    { "+inf", 3, 50, INFINITY, 60, INFINITY, 1, 50 },
    { "+inf after a NaN", 3, 50, NAN, 60, INFINITY, 1, 60 },
    { "-inf loses", -1e30f, 0, -INFINITY, 1, -INFINITY, 1, 2 },
    { "NaN loses", -1e30f, 0, NAN, 1, -INFINITY, 1, 2 },
    { "NaN loses to -inf", NAN, 50, -INFINITY, 60, -INFINITY, 1, 50 },
    { "-inf before NaN", NAN, 0, -INFINITY, 60, -INFINITY, 1, 0 },
    { "all -inf", -INFINITY, -1, 0, -1, 0, 1, 0 },
    { "all NaN", NAN, -1, 0, -1, 0, 1, 0 },
    { "a number among NaN", NAN, 70, -3e38f, -1, 0, 0.1f, 70 },
    { "a NaN query", 1, 3, 2, -1, 0, NAN, 0 },
    { "an infinite query", -1, 3, 2, 5, 2, INFINITY, 3 },
    { "an infinite query on zeros", 0, 3, -2, 5, -2, INFINITY, 3 },
    { "0 times inf", INFINITY, 9, 1, -1, 0, 0, 9 },
};
enum { NUM_ODD = sizeof odd_cases / sizeof odd_cases[0] };

static void check_odd(const odd_case *c, int Nq)
{
    const attn_spec spec = { ARGMAX, .name = c->name, .B = 1, .Hq = 1, .Hk = 1, .Nq = Nq,
                             .Nk = ODD_NK, .D = ODD_D, .Dv = 4 };
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    compare_label("%s, %d rows", c->name, Nq);
    for (int j = 0; j < ODD_NK; j++)
        fill_key(data, j, c->others);
    if (c->at_a >= 0)
        fill_key(data, c->at_a, c->a);
    if (c->at_b >= 0)
        fill_key(data, c->at_b, c->b);
    for (int i = 0; i < Nq * ODD_D; i++)
        data->q[i] = c->q;
    attn_run_make(&run, suite_ctx(), data);
    int32_t *index = run_index(&run);
    for (int i = 0; i < Nq; i++)
        ck_assert_msg(index[i] == c->want, "%s: row %d has index %d, not %d", compare_label_text(),
                      i, index[i], c->want);
    free(index);
    attn_run_free(&run);
    attn_data_free(data);
}

START_TEST(odd_values)
{
    check_odd(&odd_cases[_i], 1);
    check_odd(&odd_cases[_i], 40);
}
END_TEST

/* NaN in all that a causal row sees: the first of them, which is not key 0. */
START_TEST(first_visible_nan)
{
    attn_spec spec = { ARGMAX, .name = "NaN in a window", .B = 1, .Hq = 2, .Hk = 1,
                       .Nq = _i ? 50 : 1, .Nk = 3000, .D = 16, .Dv = 16, .window = true,
                       .left = 9, .right = 0 };
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    compare_label("%s", spec.name);
    for (int i = 0; i < spec.Nk * spec.D; i++)
        data->k[i] = NAN;
    attn_run_make(&run, suite_ctx(), data);
    int32_t *index = run_index(&run);
    for (int i = 0; i < (int)data->count_lse; i++)
        ck_assert_int_eq(index[i], i % spec.Nq + spec.Nk - spec.Nq - 9);
    free(index);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* o holds the stored bits: NaN with a payload, -0, infinities, subnormals. */
START_TEST(values_are_copied)
{
    static const uint32_t bits32[] = { 0x7fc12345u, 0xffa00001u, 0x80000000u, 0x7f800000u,
                                       0x00000001u, 0x807fffffu, 0xff800000u };
    static const uint16_t bits16[] = { 0x7e01u, 0xfd55u, 0x8000u, 0x7c00u, 0x0001u, 0x83ffu,
                                       0x7f81u };
    const attn_spec spec = { ARGMAX, .name = "odd values", .B = 1, .Hq = 4, .Hk = 2, .Nq = 37,
                             .Nk = 90, .D = 16, .Dv = 21, .in = dtypes[_i] };
    attn_data *data = attn_data_make(&spec, suite_seed());
    const size_t n = 2 * 90 * 21, size = clattn_dtype_size(spec.in);
    unsigned char *stored = memory_alloc(n * size);
    attn_run run;

    compare_label("stored bits of %s", clattn_dtype_name(spec.in));
    for (size_t i = 0; i < n; i++)
        memcpy(stored + i * size, size == 4 ? (const void *)&bits32[i % 7] : &bits16[i % 7], size);
    attn_run_make(&run, suite_ctx(), data);
    memory_put_bytes(&run.v, stored);
    free(run_index(&run));
    free(stored);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* ---- masks, caches, repetition, plans ---- */

START_TEST(all_masked)
{
    attn_spec spec = { ARGMAX, .name = "all masked", .B = 2, .Hq = 2, .Hk = 1, .Nq = _i ? 25 : 1,
                       .Nk = 600, .D = 16, .Dv = 16, .mask = true, .poison_hidden = true };
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    compare_label("%s", spec.name);
    memset(data->mask, 0, (size_t)spec.B * spec.Hq * spec.Nq * spec.Nk);
    attn_run_make(&run, suite_ctx(), data);
    int32_t *index = run_index(&run);
    for (size_t i = 0; i < data->count_lse; i++)
        ck_assert_int_eq(index[i], -1);
    free(index);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* Decoding: the rows that a cache holds so far, in a view of all its room. */
START_TEST(prefix_of_a_cache)
{
    enum { B = 2, ROOM = 640, STEPS = 600 };
    attn_spec spec = { ARGMAX, .name = "cache", .B = B, .Hq = 4, .Hk = 2, .Nq = 1, .Nk = ROOM,
                       .D = 32, .Dv = 32, .in = CLATTN_F16,
                       .layout = _i ? LAYOUT_BNHD : LAYOUT_DENSE };
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    attn_run_make(&run, suite_ctx(), data);
    for (int length = 1; length <= STEPS; length += length < 20 ? 1 : 97) {
        struct clattn_argmax_params p = run.argmax;
        int32_t index[B * 4];
        p.k = clattn_tensor_slice(p.k, 2, 0, length);
        p.v = clattn_tensor_slice(p.v, 2, 0, length);
        p.causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
        OK(suite_ctx(), clattn_argmax(suite_ctx(), &p));
        memory_get_bytes(&run.index, "index", index);
        for (int row = 0; row < B * 4; row++) {
            /* The reference sees the whole cache: hide what is not there yet. */
            ref_attn seen = data->ref;
            uint8_t mask[ROOM] = { 0 };
            memset(mask, 1, (size_t)length);
            seen.mask = mask;
            seen.mask_shape[0] = seen.mask_shape[1] = seen.mask_shape[2] = 1;
            seen.mask_shape[3] = ROOM;
            const char *why = ref_argmax_why_not(&seen, row / 4, row % 4, 0, index[row]);
            ck_assert_msg(!why, "length %d, row %d: index %d: %s", length, row, index[row], why);
        }
    }
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

START_TEST(determinism)
{
    const attn_spec spec = { ARGMAX, .name = "repeat", .B = 2, .Hq = 4, .Hk = 2,
                             .Nq = _i ? 1 : 150, .Nk = 2777, .D = 64, .Dv = 16 };
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    compare_label("repeat");
    attn_run_make(&run, suite_ctx(), data);
    int32_t *first = run_index(&run), now[2 * 4 * 150];
    for (int repeat = 0; repeat < 20; repeat++) {
        attn_run_poison(&run);
        OK(suite_ctx(), clattn_argmax(suite_ctx(), &run.argmax));
        memory_get_bytes(&run.index, "index", now);
        ck_assert_int_eq(memcmp(first, now, data->count_lse * sizeof *now), 0);
    }
    free(first);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

static const attn_spec plan_spec = { ARGMAX, .name = "plan", .B = 2, .Hq = 4, .Hk = 2, .Nq = 21,
                                     .Nk = 700, .D = 32, .Dv = 16,
                                     .causal = CLATTN_CAUSAL_BOTTOM_RIGHT };

START_TEST(plans)
{
    attn_check_plan(&plan_spec, _i);
}
END_TEST

START_TEST(description)
{
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&plan_spec, suite_seed());
    attn_run run;
    clattn_plan *plan;
    clattn_plan_info info;

    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_argmax(ctx, &run.argmax, &plan));
    OK(ctx, clattn_plan_describe(plan, &info));
    ck_assert_msg(strncmp(info.kernel, "argmax", 6) == 0, "%s", info.kernel);
    const double pairs = 2.0 * 4 * (21 * 680 + 21 * 20 / 2);
    ck_assert_msg(fabs(info.flops - 2 * 32 * pairs) < 1, "%g flops", info.flops);
    const double bytes = 4.0 * (2 * 4 * 21 * (32 + 2 * 16 + 1) + 2 * 2 * 700 * 32);
    ck_assert_msg(fabs(info.bytes - bytes) < 1, "%g bytes, not %g", info.bytes, bytes);
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* Every kernel of the device that can do it, by name. */
START_TEST(pinned_kernels)
{
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&plan_spec, suite_seed());
    attn_run run;
    int able = 0;

    attn_run_make(&run, ctx, data);
    for (int i = 0; clattn_kernel_name(i); i++) {
        run.argmax.kernel = clattn_kernel_name(i);
        attn_run_poison(&run);
        const clattn_status s = clattn_argmax(ctx, &run.argmax);
        ck_assert(s == CLATTN_OK || s == CLATTN_ERR_UNSUPPORTED || s == CLATTN_ERR_ARG);
        if (s != CLATTN_OK)
            continue;
        compare_label("%s", run.argmax.kernel);
        attn_run_check(&run);
        able++;
    }
    ck_assert_int_ge(able, suite_is_native() ? 1 : 2);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

static Suite *suite(void)
{
    enum { NUM_SPECS = sizeof specs / sizeof specs[0],
           NUM_INTEGERS = sizeof integers / sizeof integers[0] };
    Suite *s = suite_create("argmax");
    TCase *t = tcase_create("argmax");

    tcase_add_loop_test(t, golden, 0, 3);
    tcase_add_test(t, worked_example);
    tcase_add_loop_test(t, problems, 0, NUM_SPECS);
    tcase_add_loop_test(t, without_index, 0, 8);
    tcase_add_loop_test(t, empty_sizes, 0, 16);
    tcase_add_loop_test(t, exact_ties, 0, NUM_INTEGERS);
    tcase_add_loop_test(t, permuted_keys, 0, 2);
    tcase_add_loop_test(t, ties_everywhere, 0, 2);
    tcase_add_loop_test(t, odd_values, 0, NUM_ODD);
    tcase_add_loop_test(t, first_visible_nan, 0, 2);
    tcase_add_loop_test(t, values_are_copied, 0, 3);
    tcase_add_loop_test(t, all_masked, 0, 2);
    tcase_add_loop_test(t, prefix_of_a_cache, 0, 2);
    tcase_add_loop_test(t, determinism, 0, 2);
    tcase_add_loop_test(t, plans, 0, 2);
    tcase_add_test(t, description);
    tcase_add_test(t, pinned_kernels);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
