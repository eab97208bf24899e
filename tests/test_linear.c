/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention through the public API: golden cases, and what must hold between calls. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "linear_case.h"
#include "storage.h"
#include "suite.h"

/* ---- golden cases ---- */

static golden_names cases;

/* Every form in every dtype; where each is built for: every dtype and every form once a case. */
START_TEST(golden)
{
    static const clattn_dtype dtypes[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16 };
    static const clattn_linear_form forms[] = { CLATTN_FORM_AUTO, CLATTN_FORM_LINEAR,
                                                CLATTN_FORM_QUADRATIC };
    for (int i = 0; i < 9; i++) {
        if (!suite_is_native() && (2 * i + _i) % 9 > 1) /* two of nine, all in all the cases */
            continue;
        const clattn_dtype in = dtypes[i % 3], out = i % 2 ? CLATTN_F32 : in;
        golden_case c;
        golden_open(&c, cases.name[_i]);
        linear_data *data = linear_data_of_golden(&c, in, out);
        golden_close(&c);
        ck_assert_msg(data || in != CLATTN_F32, "%s: not exact", cases.name[_i]);
        if (!data)
            continue; /* a number of the case is no f16, or no bf16 */
        data->spec.form = forms[i / 3];
        data->spec.state_out = data->spec.state_out && data->spec.form != CLATTN_FORM_QUADRATIC;
        compare_label("%s, %s, form %d", cases.name[_i], clattn_dtype_name(in), i / 3);
        linear_check(suite_ctx(), i % 2, data, NULL);
        linear_data_free(data);
    }
}
END_TEST

/* ---- options ---- */

static const int lens[] = { 33, 0, 1, 70, 12 }, lens_k[] = { 5, 40, 0, 61, 12 };
static const linear_spec combined[] = {
    { .name = "everything", .B = 2, .Hq = 4, .Hk = 2, .Nq = 77, .Nk = 77, .D = 20, .Dv = 12,
      .map = CLATTN_MAP_POLY2, .c = 0.25f, .scale = 0.5f, .causal = true, .state_in = true,
      .state_out = true, .layout = LAYOUT_PADDED },
    { .name = "identity, near-zero denominators", .B = 2, .Hq = 2, .Hk = 1, .Nq = 90, .Nk = 90,
      .D = 16, .Dv = 24, .causal = true, .form = CLATTN_FORM_LINEAR },
    { .name = "identity, no division", .B = 1, .Hq = 4, .Hk = 2, .Nq = 33, .Nk = 90, .D = 16,
      .Dv = 24, .in = CLATTN_F16, .unnormalized = true, .state_in = true, .layout = LAYOUT_BNHD },
    { .name = "exp, negative scale", .B = 1, .Hq = 2, .Hk = 2, .Nq = 65, .Nk = 65, .D = 16,
      .Dv = 16, .map = CLATTN_MAP_EXP, .scale = -0.7f, .in = CLATTN_BF16, .causal = true },
    { .name = "in place", .B = 2, .Hq = 4, .Hk = 2, .Nq = 40, .Nk = 40, .D = 16, .Dv = 16,
      .map = CLATTN_MAP_ELU1, .causal = true, .state_in = true, .state_out = true,
      .in_place = true },
    { .name = "one step in place", .B = 2, .Hq = 8, .Hk = 2, .Nq = 1, .Nk = 1, .D = 64, .Dv = 64,
      .map = CLATTN_MAP_ELU1, .causal = true, .state_in = true, .state_out = true,
      .in_place = true },
    { .name = "one step, many heads", .B = 1, .Hq = 24, .Hk = 1, .Nq = 1, .Nk = 1, .D = 16,
      .Dv = 40, .map = CLATTN_MAP_RELU, .state_in = true, .state_out = true },
    { .name = "ragged, causal", .B = 5, .Hq = 4, .Hk = 2, .D = 16, .Dv = 24, .lens_q = lens,
      .lens_k = lens, .map = CLATTN_MAP_ELU1, .causal = true, .state_in = true,
      .state_out = true, .layout = LAYOUT_PADDED },
    { .name = "ragged, full", .B = 5, .Hq = 4, .Hk = 4, .D = 16, .Dv = 16, .lens_q = lens,
      .lens_k = lens_k, .map = CLATTN_MAP_EXP, .state_out = true },
    { .name = "ragged, quadratic", .B = 5, .Hq = 4, .Hk = 4, .D = 16, .Dv = 16, .lens_q = lens,
      .lens_k = lens, .map = CLATTN_MAP_ELU1, .causal = true, .form = CLATTN_FORM_QUADRATIC },
    { .name = "no rows, but a state", .B = 2, .Hq = 2, .Hk = 2, .Nq = 0, .Nk = 50, .D = 16,
      .Dv = 16, .map = CLATTN_MAP_ELU1, .state_in = true, .state_out = true },
    { .name = "no keys, but a state", .B = 2, .Hq = 2, .Hk = 2, .Nq = 9, .Nk = 0, .D = 16,
      .Dv = 16, .map = CLATTN_MAP_ELU1, .state_in = true, .state_out = true },
    { .name = "nothing, but a state", .B = 2, .Hq = 2, .Hk = 2, .Nq = 0, .Nk = 0, .D = 16,
      .Dv = 16, .causal = true, .map = CLATTN_MAP_ELU1, .state_in = true, .state_out = true },
    { .name = "features of the caller", .B = 1, .Hq = 2, .Hk = 2, .Nq = 20, .Nk = 20, .D = 700,
      .Dv = 8, .unnormalized = true, .causal = true, .form = CLATTN_FORM_LINEAR },
    { .name = "features of the caller, wide", .B = 1, .Hq = 1, .Hk = 1, .Nq = 5, .Nk = 5,
      .D = 4000, .Dv = 8, .unnormalized = true, .causal = true, .state_out = true },
};

START_TEST(options)
{
    linear_data *data = linear_data_make(&combined[_i], suite_seed());

    compare_label("%s", combined[_i].name);
    linear_check(suite_ctx(), false, data, NULL);
    compare_label("%s, host", combined[_i].name);
    linear_check(suite_ctx(), true, data, NULL);
    linear_data_free(data);
}
END_TEST

/* ---- what must hold ---- */

static const linear_spec sequence = {
    .name = "sequence", .B = 2, .Hq = 4, .Hk = 2, .Nq = 75, .Nk = 75, .D = 12, .Dv = 20,
    .causal = true, .state_in = true, .state_out = true,
};

/* Rows [first, first + n) of a run of the whole, on the state that the run has reached. */
static void do_rows(clattn_ctx *ctx, const linear_run *run, int first, int n)
{
    struct clattn_linear_attention_params p = run->params;

    p.q = clattn_tensor_slice(p.q, 2, first, n);
    p.k = clattn_tensor_slice(p.k, 2, first, n);
    p.v = clattn_tensor_slice(p.v, 2, first, n);
    p.o = clattn_tensor_slice(p.o, 2, first, n);
    OK(ctx, clattn_linear_attention(ctx, &p));
}

/* One causal call, N single steps, and cuts at any point: the same, with the state in place. */
START_TEST(any_cut)
{
    static const clattn_feature_map maps[] = { CLATTN_MAP_ELU1, CLATTN_MAP_POLY2 };
    clattn_ctx *ctx = suite_ctx();
    linear_spec spec = sequence;

    spec.map = maps[_i];
    spec.in_place = true;
    linear_data *data = linear_data_make(&spec, suite_seed());
    for (int cut = 0; cut <= 12; cut++) {
        linear_run run;
        linear_run_make(&run, ctx, data);
        compare_label("map %d, cut %d", (int)spec.map, cut);
        if (cut == 0) {
            for (int i = 0; i < spec.Nq; i++)
                do_rows(ctx, &run, i, 1);
        } else {
            const int at = cut == 12 ? spec.Nq : cut * 7 - 3;
            do_rows(ctx, &run, 0, at);
            do_rows(ctx, &run, at, spec.Nq - at);
        }
        linear_run_check(&run);
        linear_run_free(&run);
    }
    linear_data_free(data);
}
END_TEST

/* The last row of a causal call sees what every row of a full call sees. */
START_TEST(full_is_last_of_causal)
{
    linear_spec spec = sequence;
    clattn_ctx *ctx = suite_ctx();
    linear_run run;

    spec.map = CLATTN_MAP_EXP;
    spec.causal = false;
    linear_data *data = linear_data_make(&spec, suite_seed());
    linear_run_make(&run, ctx, data);
    do_rows(ctx, &run, 0, spec.Nq);
    run.params.causal = true;
    linear_run_poison(&run);
    OK(ctx, clattn_linear_attention(ctx, &run.params));
    float *o = linear_run_output(&run);
    double want[20];
    float got[20];
    for (int head = 0; head < spec.B * spec.Hq; head++) {
        const size_t last = ((size_t)head * spec.Nq + spec.Nq - 1) * 20;
        for (int d = 0; d < 20; d++)
            want[d] = data->o[last + d], got[d] = o[last + d];
        compare_label("head %d", head);
        compare_pass("o", got, want, data->naive_o, 20, CLATTN_F32);
    }
    free(o);
    linear_run_free(&run);
    linear_data_free(data);
}
END_TEST

/* relu of negative keys: all features are 0, and so is the denominator. */
START_TEST(zero_denominators)
{
    static const linear_spec specs[] = {
        { .B = 1, .Hq = 2, .Hk = 1, .Nq = 70, .Nk = 70, .D = 16, .Dv = 8, .causal = true,
          .map = CLATTN_MAP_RELU, .form = CLATTN_FORM_LINEAR },
        { .B = 1, .Hq = 2, .Hk = 1, .Nq = 70, .Nk = 70, .D = 16, .Dv = 8, .causal = true,
          .map = CLATTN_MAP_RELU, .form = CLATTN_FORM_QUADRATIC },
        { .B = 1, .Hq = 2, .Hk = 1, .Nq = 1, .Nk = 1, .D = 16, .Dv = 8, .state_out = true,
          .map = CLATTN_MAP_RELU },
        { .B = 1, .Hq = 2, .Hk = 1, .Nq = 7, .Nk = 0, .D = 16, .Dv = 8, .map = CLATTN_MAP_ELU1 },
        { .B = 1, .Hq = 2, .Hk = 1, .Nq = 7, .Nk = 0, .D = 16, .Dv = 8, .map = CLATTN_MAP_ELU1,
          .form = CLATTN_FORM_LINEAR },
    };
    linear_data *data = linear_data_make(&specs[_i], suite_seed());
    const size_t zero = specs[_i].Nk > 1 ? data->count_k / 2 : data->count_k;

    for (size_t i = 0; i < zero; i++)
        data->k[i] = -fabsf(data->k[i]);
    linear_data_update(data);
    compare_label("zero denominators %d", _i);
    if (data->count_o)
        ck_assert(data->o[0] == 0);
    linear_check(suite_ctx(), false, data, NULL);
    linear_data_free(data);
}
END_TEST

/* NaN and inf in a key or a value reach the rows that see it, and no other. */
START_TEST(one_nan)
{
    static const clattn_linear_form forms[] = { CLATTN_FORM_LINEAR, CLATTN_FORM_QUADRATIC };
    const float odd[] = { NAN, INFINITY, -INFINITY };

    for (int i = 0; i < 12; i++) {
        const linear_spec spec = { .B = 1, .Hq = 2, .Hk = 2, .Nq = 75, .Nk = 75, .D = 16, .Dv = 16,
                                   .causal = true, .form = forms[i % 2], .map = CLATTN_MAP_ELU1 };
        linear_data *data = linear_data_make(&spec, suite_seed());
        const int key = i / 6 ? 70 : 9;
        float *plant = i / 2 % 3 == 0 ? data->k : data->v;
        plant[key * 16 + 3] = odd[i / 2 % 3];
        linear_data_update(data);
        compare_label("odd number %d", i);
        linear_check(suite_ctx(), false, data, NULL);
        linear_data_free(data);
    }
}
END_TEST

START_TEST(determinism)
{
    const linear_spec spec = { .B = 1, .Hq = 3, .Hk = 1, .Nq = 1000, .Nk = 1000, .D = 32, .Dv = 32,
                               .causal = _i, .map = CLATTN_MAP_ELU1 };
    linear_data *data = linear_data_make(&spec, suite_seed());
    clattn_ctx *ctx = suite_ctx();
    float *first = NULL;
    linear_run run;

    linear_run_make(&run, ctx, data);
    for (int repeat = 0; repeat < 10; repeat++) {
        linear_run_poison(&run);
        OK(ctx, clattn_linear_attention(ctx, &run.params));
        float *now = linear_run_output(&run);
        ck_assert(!first || memcmp(first, now, data->count_o * sizeof *now) == 0);
        if (first)
            free(now);
        else
            first = now;
    }
    free(first);
    linear_run_free(&run);
    linear_data_free(data);
}
END_TEST

/*
 * Why attention divides by sqrt(D). For q, k ~ N(mu, s^2 I) the mean of q.k is |mu|^2; at mu = 0,
 * s = 1 its variance is D, and 1 after division by sqrt(D). q.k comes out of the identity map with
 * one key whose value is 1. Six deviations of the estimates: 1 in 500 million runs fails by chance.
 */
START_TEST(scaling_argument)
{
    enum { D = 64, N = 20000 };
    static const double means[] = { 0, 0, 0.5 };
    const double mu = means[_i], scale = _i == 1 ? 1 / sqrt(D) : 1;
    const int64_t rows[] = { N, 1, 1, D }, one[] = { N, 1, 1, 1 };
    float *q = memory_alloc(3 * (size_t)N * D * sizeof *q), *k = q + N * D, *v = k + N * D;
    float *o = v + N;
    clattn_ctx *ctx = suite_ctx();
    test_rng rng = { suite_seed() };
    double mean = 0, variance = 0;

    for (int i = 0; i < 2 * N * D; i++)
        q[i] = (float)(mu + rng_normal(&rng));
    for (int i = 0; i < N; i++)
        v[i] = 1;
    OK(ctx, clattn_linear_attention(
                ctx, clattn_linear_attention_params(
                         .q = clattn_tensor_of_host(q, CLATTN_F32, 4, rows),
                         .k = clattn_tensor_of_host(k, CLATTN_F32, 4, rows),
                         .v = clattn_tensor_of_host(v, CLATTN_F32, 4, one),
                         .o = clattn_tensor_of_host(o, CLATTN_F32, 4, one),
                         .scale = (float)scale, .unnormalized = true)));
    for (int i = 0; i < N; i++)
        mean += (double)o[i] / N;
    for (int i = 0; i < N; i++)
        variance += ((double)o[i] - mean) * ((double)o[i] - mean) / (N - 1);
    /* Var(q.k) = D ((s^2 + mu^2)^2 - mu^4); q.k is nearly normal: its kurtosis is 3 + 6 / D. */
    const double want = scale * scale * D * ((1 + mu * mu) * (1 + mu * mu) - mu * mu * mu * mu);
    ck_assert_double_eq_tol(mean, scale * D * mu * mu, 6 * sqrt(want / N));
    ck_assert_double_eq_tol(variance, want, 6 * want * sqrt((2 + 6.0 / D) / N) * (1 + mu * mu));
    free(q);
}
END_TEST

/* ---- bad input ---- */

START_TEST(errors)
{
    clattn_ctx *ctx = suite_ctx();
    linear_spec spec = sequence;
    linear_run run;
    struct clattn_linear_attention_params p;

    linear_data *data = linear_data_make(&spec, suite_seed());
    linear_run_make(&run, ctx, data);
#define BAD(status, words, ...)                                \
    do {                                                       \
        p = run.params;                                        \
        __VA_ARGS__;                                           \
        FAILS(ctx, status, words, clattn_linear_attention(ctx, &p)); \
    } while (0)
    static float wide[16385];
    static const int64_t wide_shape[] = { 1, 1, 1, 16385 }, narrow_shape[] = { 1, 1, 1, 4 };
    FAILS(ctx, ERR_ARG, "params is NULL", clattn_linear_attention(ctx, NULL));
    BAD(ERR_ARG, "struct_size is 0", p.struct_size = 0);
    BAD(ERR_ARG, "q is missing", p.q.dtype = CLATTN_NONE);
    BAD(ERR_SHAPE, "v has 75 rows, k has 74", p.v = clattn_tensor_slice(p.v, 2, 0, 75),
        p.k = clattn_tensor_slice(p.k, 2, 0, 74));
    BAD(ERR_SHAPE, "causal|q has 75|k has 70", p.k = clattn_tensor_slice(p.k, 2, 0, 70),
        p.v = clattn_tensor_slice(p.v, 2, 0, 70));
    BAD(ERR_SHAPE, "q has 3 heads, k has 2", p.q = clattn_tensor_slice(p.q, 1, 0, 3),
        p.o = clattn_tensor_slice(p.o, 1, 0, 3));
    BAD(ERR_ARG, "map is 7", p.map = (clattn_feature_map)7);
    BAD(ERR_ARG, "c is given|not poly2", p.c = 2);
    BAD(ERR_ARG, "homogeneous is given|not poly2", p.homogeneous = true);
    BAD(ERR_ARG, "c is -1", p.map = CLATTN_MAP_POLY2, p.c = -1);
    BAD(ERR_ARG, "c is nan", p.map = CLATTN_MAP_POLY2, p.c = NAN);
    BAD(ERR_ARG, "c is 2|homogeneous", p.map = CLATTN_MAP_POLY2, p.c = 2, p.homogeneous = true);
    BAD(ERR_ARG, "scale is inf", p.scale = INFINITY);
    BAD(ERR_ARG, "form is 3", p.form = (clattn_linear_form)3);
    BAD(ERR_ARG, "quadratic form has no state|state_in", p.form = CLATTN_FORM_QUADRATIC);
    BAD(ERR_ARG, "quadratic form has no state|state_out", p.form = CLATTN_FORM_QUADRATIC,
        p.state_in_kv.dtype = p.state_in_z.dtype = CLATTN_NONE);
    BAD(ERR_SHAPE, "D is 16385, poly2 takes at most 16384", p.map = CLATTN_MAP_POLY2,
        p.q = p.k = clattn_tensor_of_host(wide, CLATTN_F32, 4, wide_shape),
        p.v = clattn_tensor_of_host(wide, CLATTN_F32, 4, narrow_shape),
        p.o = clattn_tensor_of_host(wide, CLATTN_F32, 4, narrow_shape));
    BAD(ERR_ARG, "state_in_kv is given without state_in_z", p.state_in_z.dtype = CLATTN_NONE);
    BAD(ERR_ARG, "state_out_z is given without state_out_kv", p.state_out_kv.dtype = CLATTN_NONE);
    BAD(ERR_SHAPE, "axis 2 of state_in_kv has length 11, must be F = 12",
        p.state_in_kv = clattn_tensor_slice(p.state_in_kv, 2, 0, 11));
    BAD(ERR_SHAPE, "axis 2 of state_in_kv|F = 91", p.map = CLATTN_MAP_POLY2);
    BAD(ERR_ARG, "state_out_kv|f32", p.state_out_kv.dtype = CLATTN_F16);
    BAD(ERR_ARG, "state_out_kv overlaps state_in_kv", p.state_in_kv = p.state_out_kv,
        p.state_in_kv.offset += 20);
    BAD(ERR_ARG, "o overlaps v|memory", p.o = clattn_tensor_slice(p.v, 3, 0, 20),
        p.q = clattn_tensor_slice(p.q, 1, 0, 2));
    BAD(ERR_ARG, "there is no kernel \"merge\"", p.kernel = "merge");
    BAD(ERR_ARG, "o is bf16, must be f32", p.o.dtype = CLATTN_BF16);
#undef BAD
    OK(ctx, clattn_linear_attention(ctx, &run.params));
    linear_run_check(&run);
    linear_run_free(&run);
    linear_data_free(data);
}
END_TEST

/* Ragged batches whose cu_seqlens do not fit. */
START_TEST(ragged_errors)
{
    static const int some[] = { 3, 4 }, other[] = { 4, 3 };
    const linear_spec spec = { .B = 2, .Hq = 1, .Hk = 1, .D = 4, .Dv = 4, .lens_q = some,
                               .lens_k = other };
    linear_data *data = linear_data_make(&spec, suite_seed());
    clattn_ctx *ctx = suite_ctx();
    linear_run run;

    linear_run_make(&run, NULL, data);
    OK(ctx, clattn_linear_attention(ctx, &run.params));
    linear_run_check(&run);
    run.params.causal = true;
    FAILS(ctx, ERR_SHAPE, "causal needs equal cu_seqlens|entry 1 is 3 for q and 4 for k",
          clattn_linear_attention(ctx, &run.params));
    run.params.causal = false;
    run.params.max_seqlen_q = 3;
    FAILS(ctx, ERR_SHAPE, "cu_seqlens_q|4 rows", clattn_linear_attention(ctx, &run.params));
    linear_run_free(&run);
    linear_data_free(data);
}
END_TEST

/* B, Hq and Hk, Nq or all of them 0: success, and nothing is written. */
START_TEST(empty_sizes)
{
    linear_spec spec = { .B = 2, .Hq = 4, .Hk = 2, .Nq = 5, .Nk = 6, .D = 8, .Dv = 8 };

    spec.B = _i & 1 ? 0 : spec.B;
    spec.Hq = _i & 2 ? 0 : spec.Hq;
    spec.Hk = _i & 4 ? 0 : spec.Hk;
    spec.Nq = _i & 8 ? 0 : spec.Nq;
    if (spec.Hk == 0)
        spec.Hq = 0;
    spec.map = CLATTN_MAP_ELU1;
    spec.state_out = _i & 16;
    if (spec.Hq == 0 && spec.Hk > 0 && spec.state_out) {
        /* Keys without query heads: the state is the one of a call with heads. */
        clattn_ctx *ctx = suite_ctx();
        linear_run run;
        spec.Hq = 2;
        linear_data *data = linear_data_make(&spec, suite_seed());
        linear_run_make(&run, ctx, data);
        run.params.q.shape[1] = run.params.o.shape[1] = 0;
        OK(ctx, clattn_linear_attention(ctx, &run.params));
        float *got = memory_alloc((data->count_kv + 1) * sizeof *got);
        compare_label("no heads");
        memory_get(&run.out_kv, "state_kv", got);
        compare_pass("state_kv", got, data->kv, data->naive_kv, data->count_kv, CLATTN_F32);
        free(got);
        linear_run_free(&run);
        linear_data_free(data);
        return;
    }
    linear_data *data = linear_data_make(&spec, suite_seed());
    compare_label("empty %d", _i);
    linear_check(suite_ctx(), false, data, NULL);
    linear_check(suite_ctx(), true, data, NULL);
    linear_data_free(data);
}
END_TEST

/* A plan, described and run on other tensors, with the caller's workspace. */
START_TEST(plans)
{
    linear_spec spec = sequence;
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;
    clattn_plan_info info;
    linear_run run, other;

    spec.map = CLATTN_MAP_ELU1;
    linear_data *data = linear_data_make(&spec, suite_seed());
    linear_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_linear_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_describe(plan, &info));
    ck_assert_double_eq(info.flops, 2.0 * 12 * 20 * 2 * 75 * (4 + 2));
    compare_label("plan");
    OK(ctx, clattn_plan_run(plan));
    linear_run_check(&run);
    linear_run_make(&other, ctx, data);
    OK(ctx, clattn_plan_run_linear_attention(plan, &other.params));
    linear_run_check(&other);
    test_memory work;
    const int64_t bytes[] = { (int64_t)info.workspace_bytes + 64 };
    memory_make(&work, ctx, true, CLATTN_U8, 1, bytes, NULL);
    other.params.workspace = work.tensor;
    linear_run_poison(&other);
    OK(ctx, clattn_plan_run_linear_attention(plan, &other.params));
    linear_run_check(&other);
    memory_get(&work, "workspace", NULL);
    other.params.unnormalized = true;
    FAILS(ctx, ERR_SHAPE, "differ from those the plan was made with",
          clattn_plan_run_linear_attention(plan, &other.params));
    clattn_plan_destroy(&plan);
    memory_free(&work);
    linear_run_free(&other);
    linear_run_free(&run);
    linear_data_free(data);
}
END_TEST

/* The dispatcher takes the form with fewer flops: quadratic up to about 2 F Dv / (D + Dv) rows. */
START_TEST(choice_of_form)
{
    clattn_ctx *ctx = suite_ctx();

    for (int N = 16; N <= 1024; N *= 2) {
        const int64_t shape[] = { 1, 2, N, 64 };
        clattn_tensor t[4];
        clattn_buffer *buffer;
        clattn_plan *plan;
        clattn_plan_info info;
        OK(ctx, clattn_buffer_create(ctx, (size_t)N * 2 * 64 * 4 * 4, &buffer));
        for (int i = 0; i < 4; i++) {
            t[i] = clattn_tensor_of_buffer(buffer, CLATTN_F32, 4, shape);
            t[i].offset = i * 2 * 64 * N;
        }
        OK(ctx, clattn_plan_linear_attention(
                    ctx, clattn_linear_attention_params(.q = t[0], .k = t[1], .v = t[2], .o = t[3],
                                                        .map = CLATTN_MAP_ELU1, .causal = true),
                    &plan));
        OK(ctx, clattn_plan_describe(plan, &info));
        const double linear = 8.0 * 64 * 64 * N, quadratic = 2.0 * 128 * 2 * N * (N + 1) / 2;
        ck_assert_double_eq(info.flops, linear < quadratic ? linear : quadratic);
        clattn_plan_destroy(&plan);
        clattn_buffer_destroy(&buffer);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("linear");
    TCase *t = tcase_create("linear");

    golden_find(&cases, "linear_attention");
    tcase_add_loop_test(t, golden, 0, cases.count);
    tcase_add_loop_test(t, options, 0, sizeof combined / sizeof combined[0]);
    tcase_add_loop_test(t, any_cut, 0, 2);
    tcase_add_test(t, full_is_last_of_causal);
    tcase_add_loop_test(t, zero_denominators, 0, 5);
    tcase_add_test(t, one_nan);
    tcase_add_loop_test(t, determinism, 0, 2);
    tcase_add_loop_test(t, scaling_argument, 0, 3);
    tcase_add_test(t, errors);
    tcase_add_test(t, ragged_errors);
    tcase_add_loop_test(t, empty_sizes, 0, 32);
    tcase_add_test(t, plans);
    tcase_add_test(t, choice_of_form);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
