/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random problems of every operation, on the device under test against the double reference, all
 * tensors in buffers or all in host memory. A problem is a seed: what fails prints the line that
 * runs it alone.
 *
 *     CLATTN_TEST_SEED         the first problem
 *     CLATTN_RANDOM_PROBLEMS   how many; default: 150 on the native CPU, 8 on OpenCL, which builds
 *     CLATTN_RANDOM_SECONDS    repeats them for so long; memory must stay flat
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attention_case.h"
#include "compare.h"
#include "linear_case.h"
#include "projection_case.h"
#include "row_case.h"
#include "suite.h"

enum { MOST_BATCH = 4 };

static bool chance(test_rng *rng, int percent)
{
    return rng_below(rng, 100) < percent;
}

static int from(test_rng *rng, const int *choices, int n)
{
    return choices[rng_below(rng, n)];
}
#define FROM(rng, ...) \
    from((rng), (const int[]){ __VA_ARGS__ }, sizeof(int[]){ __VA_ARGS__ } / sizeof(int))

static clattn_dtype storage(test_rng *rng)
{
    return (clattn_dtype)FROM(rng, CLATTN_F32, CLATTN_F32, CLATTN_F16, CLATTN_BF16);
}

static float spread(test_rng *rng)
{
    return (float)FROM(rng, 1, 1, 30, 1000);
}

/* ---- problems ---- */

static void attention(test_rng *rng, clattn_ctx *ctx, bool host, uint64_t seed)
{
    int lens_q[MOST_BATCH], lens_k[MOST_BATCH];
    const int Hk = 1 + rng_below(rng, 3);
    attn_spec s = { .name = "random",
                    .B = 1 + rng_below(rng, MOST_BATCH),
                    .Hk = Hk,
                    .Hq = Hk * FROM(rng, 1, 2, 3, 4),
                    .Nq = FROM(rng, 1, 1, 2, 5, 17, 40, 65),
                    .Nk = FROM(rng, 0, 1, 7, 33, 64, 130, 300),
                    .D = FROM(rng, 1, 8, 16, 40, 64),
                    .Dv = FROM(rng, 1, 8, 24, 64, 80),
                    .in = storage(rng),
                    .spread = spread(rng),
                    .regime = (test_regime)rng_below(rng, REGIME_TINY + 1),
                    .causal = (clattn_causal)rng_below(rng, 3),
                    .argmax = chance(rng, 20),
                    .mask = chance(rng, 20),
                    .layout = (attn_layout)rng_below(rng, 3) };
    if (!s.argmax) {
        s.lse = chance(rng, 50), s.probs = chance(rng, 20), s.bias = chance(rng, 20);
        s.alibi = chance(rng, 20), s.sinks = chance(rng, 20);
        s.softcap = chance(rng, 20) ? 20 : 0;
    }
    if (chance(rng, 25))
        s.window = true, s.left = FROM(rng, -1, 0, 3, 50), s.right = FROM(rng, -1, 0, 9);
    for (int b = 0; b < MOST_BATCH; b++)
        lens_q[b] = rng_below(rng, 30), lens_k[b] = rng_below(rng, 90);
    if (chance(rng, 20) && !s.probs && !s.mask && !s.bias)
        s.lens_q = lens_q, s.lens_k = lens_k;
    else if (chance(rng, 30) && s.regime == REGIME_NORMAL) {
        s.lens_k = lens_k;
        s.kv = (clattn_dtype)FROM(rng, CLATTN_F32, CLATTN_F16, CLATTN_BF16, CLATTN_I8);
        s.page_rows = FROM(rng, 0, 16, 32);
    }
    attn_data *data = attn_data_make(&s, seed);
    attn_check(ctx, host, data, NULL);
    attn_data_free(data);
}

static void linear(test_rng *rng, clattn_ctx *ctx, bool host, uint64_t seed)
{
    const int Hk = 1 + rng_below(rng, 3), Nk = FROM(rng, 1, 7, 33, 64, 130);
    linear_spec s = { .name = "random",
                      .B = 1 + rng_below(rng, 3),
                      .Hk = Hk,
                      .Hq = Hk * FROM(rng, 1, 2, 3),
                      .Nk = Nk,
                      .D = FROM(rng, 1, 4, 8, 12),
                      .Dv = FROM(rng, 1, 8, 20),
                      .in = storage(rng),
                      .map = (clattn_feature_map)FROM(rng, CLATTN_MAP_ELU1, CLATTN_MAP_EXP,
                                                      CLATTN_MAP_POLY2),
                      .causal = chance(rng, 50),
                      .layout = (attn_layout)rng_below(rng, 3) };
    s.Nq = s.causal ? Nk : FROM(rng, 1, 9, 40);
    s.state_out = chance(rng, 30);
    s.state_in = s.state_out && chance(rng, 50);
    linear_data *data = linear_data_make(&s, seed);
    linear_run run;
    linear_run_make(&run, host ? NULL : ctx, data);
    OK(ctx, clattn_linear_attention(ctx, &run.params));
    linear_run_check(&run);
    linear_run_free(&run);
    linear_data_free(data);
}

static void projection(test_rng *rng, clattn_ctx *ctx, bool host, uint64_t seed)
{
    proj_spec s = { .name = "random",
                    .B = 1 + rng_below(rng, 3),
                    .N = FROM(rng, 1, 1, 2, 17, 40),
                    .M = FROM(rng, 32, 64, 96),
                    .in = storage(rng),
                    .w_layout = (w_layout)0,
                    .y_layout = (y_layout)rng_below(rng, Y_FLAT + 1) };
    if (chance(rng, 40))
        s.w = (clattn_dtype)FROM(rng, CLATTN_I8, CLATTN_I4);
    for (int i = 0, parts = 1 + rng_below(rng, CLATTN_MAX_PARTS); i < parts; i++)
        s.part[i] = (proj_part_spec){ .H = 1 + rng_below(rng, 3),
                                      .K = FROM(rng, 8, 16, 40),
                                      .rotary = (clattn_rotary)rng_below(rng, 3),
                                      .bias = chance(rng, 40),
                                      .residual = chance(rng, 20) };
    proj_data *data = proj_data_make(&s, seed);
    proj_run run;
    proj_run_make(&run, host ? NULL : ctx, data);
    OK(ctx, clattn_projection(ctx, &run.params));
    proj_run_check(&run);
    proj_run_free(&run);
    proj_data_free(data);
}

static void rows(test_rng *rng, clattn_ctx *ctx, bool host, uint64_t seed)
{
    row_spec s = { .name = "random",
                   .function = (clattn_row_function)FROM(rng, CLATTN_ROW_NORM, CLATTN_ROW_SOFTMAX,
                                                         CLATTN_ROW_LOG_SOFTMAX, CLATTN_ROW_GELU,
                                                         CLATTN_ROW_GELU_TANH, CLATTN_ROW_RELU),
                   .B = 1 + rng_below(rng, 3),
                   .N = 1 + rng_below(rng, 20),
                   .M = FROM(rng, 1, 7, 64, 333),
                   .in = storage(rng) };
    if (s.function == CLATTN_ROW_NORM)
        s.eps = 1e-5f;
    row_run run;
    row_run_make(&run, host ? NULL : ctx, &s, seed);
    OK(ctx, clattn_rowwise(ctx, &run.params));
    row_run_check(&run);
    row_run_free(&run);
}

static void run_problem(uint64_t seed)
{
    static void (*const kinds[])(test_rng *, clattn_ctx *, bool,
                                 uint64_t) = { attention, attention,  attention,
                                               linear,    projection, rows };
    test_rng rng = { seed };
    const bool host = chance(&rng, 40);
    const int kind = rng_below(&rng, sizeof kinds / sizeof kinds[0]);
    compare_label("CLATTN_TEST_SEED=%" PRIu64 " CLATTN_RANDOM_PROBLEMS=1 CLATTN_DEVICE=%s "
                  "tests/test_random",
                  seed, suite_is_native() ? "cpu" : "opencl");
    kinds[kind](&rng, suite_ctx(), host, seed);
}

/* ---- how many ---- */

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : otherwise;
}

static long resident_kb(void)
{
    long all, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &all, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * sysconf(_SC_PAGESIZE) / 1024;
}

/* At least one, or the running test fails. */
static long problems(void)
{
    const long n = setting("CLATTN_RANDOM_PROBLEMS", suite_is_native() ? 150 : 8);
    ck_assert_int_gt(n, 0);
    return n;
}

START_TEST(once)
{
    for (long i = 0; i < problems(); i++)
        run_problem(suite_seed() + (uint64_t)i);
    printf("# %ld problems\n", problems());
}
END_TEST

/* Memory is looked at after every round over the problems; the first ones warm everything up. */
START_TEST(soak)
{
    const time_t end = time(NULL) + setting("CLATTN_RANDOM_SECONDS", 0);
    long first = 0, last = 0, rounds = 0;
    while (time(NULL) < end || rounds < 3) {
        for (long i = 0; i < problems(); i++)
            run_problem(suite_seed() + (uint64_t)i);
        last = resident_kb();
        if (++rounds == 3)
            first = last;
    }
    printf("# %ld problems, %ld KiB after 3 rounds and %ld KiB after %ld\n", rounds * problems(),
           first, last, rounds);
    ck_assert_msg(last <= first + first / 20 + 1024, "%ld KiB after 3 rounds, %ld KiB after %ld",
                  first, last, rounds);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("random");
    TCase *t = tcase_create("random");

    tcase_add_test(t, once);
    if (setting("CLATTN_RANDOM_SECONDS", 0) > 0)
        tcase_add_test(t, soak);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
