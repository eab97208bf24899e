/* SPDX-License-Identifier: Apache-2.0 */
/* The native CPU beside threads of the caller's own: how many it starts, and what it leaves. */
#include <fenv.h>
#include <float.h>
#include <stdlib.h>

#if defined(_OPENMP)
#include <dirent.h>
#include <omp.h>
#include <string.h>
#endif

#include "cpu/cpu.h"
#include "suite.h"

enum { ROWS = 40, KEYS = 300, WIDTH = 64, COUNT = ROWS * WIDTH };

static float *numbers(size_t n)
{
    float *x = malloc(n * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(i % 37) / 37 - 0.5f;
    return x;
}

/* Attention and a projection of its result, large enough for several threads. */
static void compute(clattn_ctx *ctx, float *o)
{
    float *x = numbers(2 * KEYS * WIDTH + COUNT), *y = numbers(COUNT);
    const float *k = x, *v = x + KEYS * WIDTH, *q = v + KEYS * WIDTH;
    OK(ctx, clattn_attention(ctx, clattn_attention_params(
        .q = clattn_tensor_of_host(q, CLATTN_F32, 4, (int64_t[]){ 1, 1, ROWS, WIDTH }),
        .k = clattn_tensor_of_host(k, CLATTN_F32, 4, (int64_t[]){ 1, 1, KEYS, WIDTH }),
        .v = clattn_tensor_of_host(v, CLATTN_F32, 4, (int64_t[]){ 1, 1, KEYS, WIDTH }),
        .o = clattn_tensor_of_host(y, CLATTN_F32, 4, (int64_t[]){ 1, 1, ROWS, WIDTH }))));
    OK(ctx, clattn_projection(ctx, clattn_projection_params(
        .x = clattn_tensor_of_host(y, CLATTN_F32, 2, (int64_t[]){ ROWS, WIDTH }),
        .parts[0] = { .w = clattn_tensor_of_host(k, CLATTN_F32, 2, (int64_t[]){ WIDTH, WIDTH }),
                      .y = clattn_tensor_of_host(o, CLATTN_F32, 2,
                                                 (int64_t[]){ ROWS, WIDTH }) })));
    free(x), free(y);
}

static clattn_ctx *open_cpu(int threads)
{
    clattn_ctx *ctx;
    ck_assert_int_eq(
        clattn_ctx_create(clattn_ctx_params(.device = "cpu", .num_threads = threads), &ctx),
        CLATTN_OK);
    return ctx;
}

static int threads_of(const cla_cpu *cpu)
{
    return cla_cpu_begin(cpu).threads;
}

/* Calls at the same time have parts of the cores, unless they were promised a number. */
START_TEST(cores_are_shared)
{
    const cla_cpu shared = { .threads = 8, .shared = true }, own = { .threads = 8 };

    ck_assert_int_eq(threads_of(&shared), 8);
    ck_assert_int_eq(threads_of(&shared), 4);
    ck_assert_int_eq(threads_of(&own), 8);
    ck_assert_int_eq(threads_of(&shared), 2);
    for (int i = 4; i < 9; i++)
        ck_assert_int_eq(threads_of(&shared), 8 / (i + 1) ? 8 / (i + 1) : 1);
    for (int i = 0; i < 9; i++)
        cla_cpu_end();
    ck_assert_int_eq(threads_of(&shared), 8);
    cla_cpu_end();
}
END_TEST

/* A call, good or bad, ends: the next has all threads again. */
START_TEST(calls_end)
{
    clattn_ctx *ctx = open_cpu(0);
    const cla_cpu shared = { .threads = 8, .shared = true };
    float o[COUNT];

    compute(ctx, o);
    ck_assert_int_eq(clattn_attention(ctx, NULL), CLATTN_ERR_ARG);
    ck_assert_int_eq(threads_of(&shared), 8);
    cla_cpu_end();
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* What num_threads and CLATTN_NUM_THREADS say, in this order, is not shared. */
START_TEST(wanted_threads)
{
    setenv("CLATTN_NUM_THREADS", "5", 1);
    const char *const texts[] = { "0", "-1", "1025", "2x", "", " " };
    const int given[] = { 3, 0 }, want[] = { 3, 5 };
    for (int i = 0; i < 2; i++) {
        clattn_ctx *ctx = open_cpu(given[i]);
        ck_assert_int_eq(clattn_ctx_device(ctx)->compute_units, want[i]);
        clattn_ctx_destroy(&ctx);
    }
    const int cores = cla_cpu_of(0, NULL).threads;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        setenv("CLATTN_NUM_THREADS", texts[i], 1);
        clattn_ctx *ctx = open_cpu(0);
        ck_assert_int_eq(clattn_ctx_device(ctx)->compute_units, cores);
        clattn_ctx_destroy(&ctx);
    }
    unsetenv("CLATTN_NUM_THREADS");
}
END_TEST

static bool keeps_subnormals(void)
{
    volatile float x = FLT_MIN;
    x = x / 2;
    return x > 0;
}

/* Subnormals and the direction of rounding, on this thread and, as they are the caller's too, on
 * those of OpenMP. */
START_TEST(modes_are_restored)
{
    clattn_ctx *ctx = open_cpu(2);
    float o[COUNT];
    int dropped = 0;

    ck_assert(keeps_subnormals());
    compute(ctx, o);
#pragma omp parallel num_threads(2) reduction(+ : dropped)
    dropped += !keeps_subnormals();
    ck_assert_int_eq(dropped, 0);
    ck_assert_int_eq(fesetround(FE_DOWNWARD), 0);
    compute(ctx, o);
    const int mode = fegetround();
    fesetround(FE_TONEAREST);
    ck_assert_int_eq(mode, FE_DOWNWARD);
    clattn_ctx_destroy(&ctx);
}
END_TEST

#if defined(_OPENMP)
static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;
    ck_assert_ptr_nonnull(tasks);
    for (const struct dirent *e = readdir(tasks); e; e = readdir(tasks))
        n += e->d_name[0] != '.';
    closedir(tasks);
    return n;
}

/* Calls from a parallel region of the caller start no threads, even where regions may be nested,
 * and their results are those of a call alone. */
START_TEST(no_threads_beside_a_team)
{
    enum { TEAM = 3 };
    clattn_ctx *ctx[TEAM];
    static float o[TEAM][COUNT], alone[COUNT];
    const cla_cpu many = { .threads = 8 * TEAM, .shared = true };
    int before = 0, after = 0, most = 0;

    ctx[0] = open_cpu(2);
    compute(ctx[0], alone);
    clattn_ctx_destroy(&ctx[0]);
    omp_set_num_threads(2);
    for (int i = 0; i < TEAM; i++)
        ctx[i] = open_cpu(0);
    omp_set_max_active_levels(2);
#pragma omp parallel num_threads(TEAM) reduction(max : most)
    {
        most = threads_of(&many);
        cla_cpu_end();
#pragma omp master
        before = count_threads();
#pragma omp barrier
        compute(ctx[omp_get_thread_num()], o[omp_get_thread_num()]);
#pragma omp barrier
#pragma omp master
        after = count_threads();
    }
    omp_set_max_active_levels(1);
    ck_assert_int_eq(after, before);
    ck_assert_int_eq(most, 1);
    for (int i = 0; i < TEAM; i++) {
        ck_assert(memcmp(o[i], alone, sizeof alone) == 0);
        clattn_ctx_destroy(&ctx[i]);
    }
}
END_TEST

START_TEST(openmp_settings)
{
    const int cores = cla_cpu_cores();
    omp_set_num_threads(1);
    ck_assert_int_eq(cla_cpu_of(0, NULL).threads, 1);
    ck_assert_int_eq(cla_cpu_of(2, NULL).threads, 2);
    omp_set_num_threads(cores + 1);
    ck_assert_int_eq(cla_cpu_of(0, NULL).threads, cores);
}
END_TEST
#endif

static Suite *suite(void)
{
    Suite *s = suite_create("threads");
    TCase *t = tcase_create("native CPU");

    tcase_add_test(t, cores_are_shared);
    tcase_add_test(t, calls_end);
    tcase_add_test(t, wanted_threads);
    tcase_add_test(t, modes_are_restored);
#if defined(_OPENMP)
    tcase_add_test(t, no_threads_beside_a_team);
    tcase_add_test(t, openmp_settings);
#endif
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    return suite_run(suite());
}
