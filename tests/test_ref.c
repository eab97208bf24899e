/* SPDX-License-Identifier: Apache-2.0 */
/* The reference against hand-computed values, invariants, and the golden cases. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention_case.h"
#include "compare.h"
#include "ref_argmax.h"
#include "storage.h"
#include "suite.h"

/* q = (1, 0), (0, 1); k = (ln 3, 0), (0, ln 3); v = (1, 2), (5, 10); scale 1: the weights of
 * either row are 3/4 and 1/4. */
static float q2[] = { 1, 0, 0, 1 };
static float k2[] = { 1.0986123f, 0, 0, 1.0986123f };
static float v2[] = { 1, 2, 5, 10 };
static const ref_attn two_by_two = {
    .B = 1, .Hq = 1, .Hk = 1, .Nq = 2, .Nk = 2, .D = 2, .Dv = 2,
    .q = q2, .k = k2, .v = v2, .scale = 1,
};

static void near(double got, double want)
{
    ck_assert_msg(got == want || fabs(got - want) <= 2e-7 * (1 + fabs(want)),
                  "%.9g, expected %.9g", got, want);
}

START_TEST(plain)
{
    double o[4], lse[2], p[4];

    ref_attention(&two_by_two, o, lse, p);
    near(p[0], 0.75), near(p[1], 0.25), near(p[2], 0.25), near(p[3], 0.75);
    near(o[0], 2), near(o[1], 4), near(o[2], 4), near(o[3], 8);
    near(lse[0], log(4)), near(lse[1], log(4));
}
END_TEST

START_TEST(modifiers)
{
    static const uint8_t mask[] = { 1, 0, 0, 0 };
    static const float bias[] = { 0, 1.0986123f }, slope[] = { 1.0986123f };
    static const float sink[] = { 1.3862944f };
    double o[4], lse[2], p[4];

    ref_attn r = two_by_two; /* second row: no key */
    r.mask = mask, r.mask_shape[0] = r.mask_shape[1] = 1, r.mask_shape[2] = r.mask_shape[3] = 2;
    ref_attention(&r, o, lse, p);
    near(o[0], 1), near(o[1], 2), near(lse[0], log(3));
    ck_assert(o[2] == 0 && o[3] == 0 && lse[1] == -(double)INFINITY && p[2] == 0 && p[3] == 0);

    r = two_by_two; /* ln 3 on key 1: weights 1/2, 1/2 and 1/10, 9/10 */
    r.bias = bias, r.bias_shape[0] = r.bias_shape[1] = r.bias_shape[2] = 1, r.bias_shape[3] = 2;
    ref_attention(&r, o, lse, p);
    near(p[0], 0.5), near(p[1], 0.5), near(p[2], 0.1), near(p[3], 0.9);

    r = two_by_two; /* minus ln 3 off the diagonal: 9/10, 1/10 */
    r.alibi = slope;
    ref_attention(&r, o, lse, p);
    near(p[0], 0.9), near(p[1], 0.1), near(p[2], 0.1), near(p[3], 0.9);

    r = two_by_two; /* 3 + 1 + a sink of 4 */
    r.sinks = sink;
    ref_attention(&r, o, lse, p);
    near(p[0], 3.0 / 8), near(p[1], 1.0 / 8), near(lse[0], log(8)), near(o[0], 1);

    r = two_by_two; /* score ln 3 becomes tanh(ln 3) = 0.8, score 0 stays */
    r.softcap = 1;
    ref_attention(&r, o, lse, p);
    near(p[0], exp(0.8) / (exp(0.8) + 1));
}
END_TEST

/* Weights 3/4 and 1/4, then 1/4 and 3/4; three largest of two, keys 1 and 7 asked for. */
START_TEST(statistics)
{
    static const int32_t keys[] = { 1, 7, 0, -1 };
    const ref_stats stats = { .tops = 3, .picks = 2, .keys = keys };
    double p[4], o[4], out[14], mean[4];
    float naive[14], naive_p[4] = { 0.75f, 0.25f, 0.25f, 0.75f }, naive_mean[4];

    ref_attention(&two_by_two, o, NULL, p);
    ref_stats_make(&two_by_two, &stats, p, out, mean);
    ref_stats_naive(&two_by_two, &stats, naive_p, naive, naive_mean);
    const double row[7] = { 0.25 * log(4) + 0.75 * log(4.0 / 3), 0.25, 0.75, 0.25, 0, 0.25, 0 };
    for (int i = 0; i < 14; i++) {
        near(out[i], row[i % 7]);
        ck_assert(fabs((double)naive[i] - row[i % 7]) < 1e-6);
    }
    for (int i = 0; i < 4; i++)
        near(mean[i], p[i]), ck_assert(naive_mean[i] == naive_p[i]);
}
END_TEST

START_TEST(visibility)
{
    ref_attn r = { .B = 1, .Hq = 1, .Hk = 1, .Nq = 2, .Nk = 4 };

    r.causal = CLATTN_CAUSAL_TOP_LEFT;
    ck_assert(ref_visible(&r, 0, 0, 0, 0) && !ref_visible(&r, 0, 0, 0, 1));
    r.causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
    ck_assert(ref_visible(&r, 0, 0, 0, 2) && !ref_visible(&r, 0, 0, 0, 3));
    ck_assert(ref_visible(&r, 0, 0, 1, 3));
    r.causal = CLATTN_CAUSAL_NONE;
    r.window = true, r.left = 1, r.right = 0;
    ck_assert(!ref_visible(&r, 0, 0, 0, 0) && ref_visible(&r, 0, 0, 0, 1));
    ck_assert(ref_visible(&r, 0, 0, 0, 2) && !ref_visible(&r, 0, 0, 0, 3));
    r.left = r.right = -1;
    ck_assert(ref_visible(&r, 0, 0, 0, 0) && ref_visible(&r, 0, 0, 0, 3));
}
END_TEST

/* A row that sees nothing but a sink; NaN at a masked and at a visible key. */
START_TEST(edges)
{
    static const uint8_t mask[] = { 1, 0, 0, 0 };
    static const float sink[] = { 3 };
    float k[4], v[4];
    double o[4], lse[2];
    ref_attn r = two_by_two;

    memcpy(k, k2, sizeof k), memcpy(v, v2, sizeof v);
    k[2] = NAN, v[3] = INFINITY;
    r.k = k, r.v = v, r.sinks = sink;
    r.mask = mask, r.mask_shape[0] = r.mask_shape[1] = 1, r.mask_shape[2] = r.mask_shape[3] = 2;
    ref_attention(&r, o, lse, NULL);
    ck_assert(isfinite(o[0]) && isfinite(o[1]) && isfinite(lse[0]));
    ck_assert(o[2] == 0 && o[3] == 0 && lse[1] == 3);
    r.mask = NULL;
    ref_attention(&r, o, lse, NULL);
    ck_assert(isnan(o[0]) && isnan(o[1]) && isnan(lse[0]));

    r = two_by_two;
    r.Nk = 0;
    ref_attention(&r, o, lse, NULL);
    ck_assert(o[0] == 0 && lse[0] == -(double)INFINITY);
}
END_TEST

START_TEST(merge)
{
    /* Two halves of the first row of two_by_two, and an empty part full of NaN. */
    static const float o_parts[] = { 1, 2, 5, 10, NAN, NAN };
    static const float lse_parts[] = { 1.0986123f, 0, -INFINITY };
    double o[2], lse[1];

    ref_merge(3, 1, 2, o_parts, lse_parts, o, lse);
    near(o[0], 2), near(o[1], 4), near(lse[0], log(4));
    ref_merge(1, 1, 2, o_parts + 4, lse_parts + 2, o, lse);
    ck_assert(o[0] == 0 && o[1] == 0 && lse[0] == -(double)INFINITY);
    ref_merge(0, 1, 2, NULL, NULL, o, NULL);
    ck_assert(o[0] == 0 && o[1] == 0);
}
END_TEST

static const attn_spec everything = {
    .name = "everything", .B = 2, .Hq = 4, .Hk = 2, .Nq = 7, .Nk = 13, .D = 5, .Dv = 3,
    .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .bias = true, .alibi = true, .softcap = 10,
    .lse = true, .probs = true, .spread = 5,
};

START_TEST(rows_sum_to_one)
{
    attn_data *d = attn_data_make(&everything, suite_seed());

    for (int row = 0; row < 2 * 4 * 7; row++) {
        double sum = 0;
        for (int j = 0; j < 13; j++)
            sum += d->probs[row * 13 + j];
        near(sum, 1);
    }
    attn_data_free(d);
}
END_TEST

START_TEST(constant_values)
{
    attn_data *d = attn_data_make(&everything, suite_seed());

    for (size_t i = 0; i < 2 * 2 * 13 * 3; i++)
        d->v[i] = 1.5f;
    ref_attention(&d->ref, d->o, NULL, NULL);
    for (size_t i = 0; i < d->count_o; i++)
        near(d->o[i], 1.5);
    attn_data_free(d);
}
END_TEST

/* Reversing keys and values changes nothing when all keys are visible. */
START_TEST(permuted_keys)
{
    const attn_spec spec = { .B = 1, .Hq = 2, .Hk = 1, .Nq = 3, .Nk = 11, .D = 4, .Dv = 6 };
    attn_data *d = attn_data_make(&spec, suite_seed());
    double *before = memory_alloc(d->count_o * sizeof *before);

    memcpy(before, d->o, d->count_o * sizeof *before);
    for (int j = 0; j < 5; j++) {
        for (int x = 0; x < 4; x++) {
            const float t = d->k[j * 4 + x];
            d->k[j * 4 + x] = d->k[(10 - j) * 4 + x], d->k[(10 - j) * 4 + x] = t;
        }
        for (int x = 0; x < 6; x++) {
            const float t = d->v[j * 6 + x];
            d->v[j * 6 + x] = d->v[(10 - j) * 6 + x], d->v[(10 - j) * 6 + x] = t;
        }
    }
    ref_attention(&d->ref, d->o, NULL, NULL);
    for (size_t i = 0; i < d->count_o; i++)
        near(d->o[i], before[i]);
    free(before);
    attn_data_free(d);
}
END_TEST

/* Both references against PyTorch's float64 results, stored as float. */
START_TEST(golden)
{
    golden_names names;
    int cases = 0;

    golden_find(&names, "attention|attention_varlen");
    for (int i = 0; i < names.count; i++) {
        golden_case c;
        golden_open(&c, names.name[i]);
        if (golden_has(&c, "lse")) {
            attn_data *d = attn_data_of_golden(&c, CLATTN_F32, CLATTN_F32);
            double *o = memory_alloc(d->count_o * sizeof *o);
            double *lse = memory_alloc(d->count_lse * sizeof *lse);
            double *p = memory_alloc(d->count_probs * sizeof *p);
            ref_attention(&d->ref, o, lse, p);
            compare_label("%s", names.name[i]);
            for (size_t x = 0; x < d->count_o; x++)
                near(d->o[x], o[x]);
            for (size_t x = 0; x < d->count_lse; x++)
                near(d->lse[x], lse[x]);
            for (size_t x = 0; x < d->count_probs && d->probs; x++)
                near(d->probs[x], p[x]);
            free(o), free(lse), free(p);
            attn_data_free(d);
            cases++;
        }
        golden_close(&c);
    }
    ck_assert_int_eq(cases, 27);
}
END_TEST

/* The worked example: scores 3, 11, 5, 2. A tie with key 1, a near tie, a NaN, an infinity. */
START_TEST(argmax)
{
    static const float q[] = { 1, 1, 2 };
    float k[] = { 1, 2, 0, 0, 3, 4, 5, 0, 0, 0, 0, 1 };
    uint8_t mask[] = { 1, 1, 1, 1 };
    const ref_attn p = { .B = 1, .Hq = 1, .Hk = 1, .Nq = 1, .Nk = 4, .D = 3, .Dv = 1, .q = q,
                         .k = k, .mask = mask, .mask_shape = { 1, 1, 1, 4 } };

    ck_assert_int_eq(ref_argmax(&p, 0, 0, 0), 1);
    for (int j = -2; j <= 4; j++)
        ck_assert_msg((ref_argmax_why_not(&p, 0, 0, 0, j) == NULL) == (j == 1), "key %d", j);
    memcpy(k + 9, k + 3, 3 * sizeof *k); /* equal keys: the lower one */
    ck_assert_int_eq(ref_argmax(&p, 0, 0, 0), 1);
    ck_assert_ptr_null(ref_argmax_why_not(&p, 0, 0, 0, 1));
    ck_assert_ptr_nonnull(ref_argmax_why_not(&p, 0, 0, 0, 3));
    k[9] = 1e-6f; /* better by less than f32 sums can tell: either */
    ck_assert_int_eq(ref_argmax(&p, 0, 0, 0), 3);
    ck_assert_ptr_null(ref_argmax_why_not(&p, 0, 0, 0, 1));
    ck_assert_ptr_null(ref_argmax_why_not(&p, 0, 0, 0, 3));
    k[9] = 1e-4f;
    ck_assert_ptr_nonnull(ref_argmax_why_not(&p, 0, 0, 0, 1));
    k[9] = NAN;
    ck_assert_int_eq(ref_argmax(&p, 0, 0, 0), 1);
    ck_assert_ptr_nonnull(ref_argmax_why_not(&p, 0, 0, 0, 3));
    k[0] = -INFINITY;
    mask[1] = mask[2] = 0;
    ck_assert_int_eq(ref_argmax(&p, 0, 0, 0), 0);
    ck_assert_ptr_nonnull(ref_argmax_why_not(&p, 0, 0, 0, 1)); /* not seen */
    mask[0] = 0;
    ck_assert_int_eq(ref_argmax(&p, 0, 0, 0), 3);
    ck_assert_ptr_null(ref_argmax_why_not(&p, 0, 0, 0, 3));
    mask[3] = 0;
    ck_assert_int_eq(ref_argmax(&p, 0, 0, 0), -1);
    ck_assert_ptr_null(ref_argmax_why_not(&p, 0, 0, 0, -1));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ref");
    TCase *t = tcase_create("attention");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, plain);
    tcase_add_test(t, modifiers);
    tcase_add_test(t, statistics);
    tcase_add_test(t, visibility);
    tcase_add_test(t, edges);
    tcase_add_test(t, merge);
    tcase_add_test(t, rows_sum_to_one);
    tcase_add_test(t, constant_values);
    tcase_add_test(t, permuted_keys);
    tcase_add_test(t, golden);
    tcase_add_test(t, argmax);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    return suite_run(suite());
}
