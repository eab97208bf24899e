/* SPDX-License-Identifier: Apache-2.0 */
/* The device list, selectors, contexts and the measured peaks. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "memory.h"
#include "suite.h"

static void expect_selected(const char *selector, const clattn_device_info *wanted)
{
    clattn_ctx *ctx;

    ck_assert_msg(clattn_ctx_create(clattn_ctx_params(.device = selector), &ctx) == CLATTN_OK,
                  "\"%s\" selects nothing", selector);
    const clattn_device_info *got = clattn_ctx_device(ctx);
    ck_assert_msg(got->index == wanted->index, "\"%s\" selects %d, expected %d", selector,
                  got->index, wanted->index);
    ck_assert_str_eq(got->name, wanted->name);
    clattn_ctx_destroy(&ctx);
}

START_TEST(list)
{
    clattn_device_info *devices;
    int count;

    ck_assert_int_eq(clattn_device_list(&devices, &count), CLATTN_OK);
    ck_assert_int_ge(count, 1);
    for (int i = 0; i < count; i++) {
        const clattn_device_info *d = &devices[i];
        ck_assert_int_eq(d->index, i);
        ck_assert_int_eq(d->type == CLATTN_DEVICE_NATIVE, i == 0);
        ck_assert(d->name[0] && d->platform[0]);
        ck_assert_msg(d->usable || d->why_not[0], "%s is not usable and does not say why", d->name);
        if (d->usable)
            ck_assert(d->compute_units >= 1 && d->max_work_group >= 1 && d->max_alloc_bytes > 0);
    }
    ck_assert_str_eq(devices[0].platform, "native");
    ck_assert(devices[0].usable && devices[0].max_work_group == 1 && devices[0].local_bytes == 0);
    clattn_device_list_free(&devices);
}
END_TEST

/* "cpu", an index, and a part of the name in other letters. */
START_TEST(selectors)
{
    clattn_device_info *devices;
    int count;
    char text[sizeof devices->name];

    ck_assert_int_eq(clattn_device_list(&devices, &count), CLATTN_OK);
    expect_selected("cpu", &devices[0]);
    expect_selected("0", &devices[0]);
    if (count > 1 && devices[1].usable) {
        expect_selected("opencl", &devices[1]);
        expect_selected("1", &devices[1]);
        strcpy(text, devices[1].platform);
        for (char *c = text; *c; c++)
            *c = (char)(isupper((unsigned char)*c) ? tolower(*c) : toupper(*c));
        expect_selected(text, &devices[1]);
    }
    setenv("CLATTN_DEVICE", "0", 1);
    expect_selected(NULL, &devices[0]);
    expect_selected("", &devices[0]);
    clattn_device_list_free(&devices);
}
END_TEST

START_TEST(threads)
{
    clattn_ctx *ctx;

    ck_assert_int_eq(clattn_ctx_create(clattn_ctx_params(.device = "cpu", .num_threads = 3), &ctx),
                     CLATTN_OK);
    ck_assert_int_eq(clattn_ctx_device(ctx)->compute_units, 3);
    clattn_ctx_destroy(&ctx);
    setenv("CLATTN_NUM_THREADS", "2", 1);
    ck_assert_int_eq(clattn_ctx_create(clattn_ctx_params(.device = "cpu"), &ctx), CLATTN_OK);
    ck_assert_int_eq(clattn_ctx_device(ctx)->compute_units, 2);
    clattn_ctx_destroy(&ctx);
    unsetenv("CLATTN_NUM_THREADS");
}
END_TEST

static int lines[CLATTN_LOG_DEBUG + 1];

static void count_lines(void *user, clattn_log_level level, const char *line)
{
    ck_assert(user == lines && strchr(line, '\n') == NULL);
    lines[level]++;
}

START_TEST(log_levels)
{
    clattn_ctx *ctx;

    ck_assert_int_eq(clattn_ctx_create(clattn_ctx_params(.log = count_lines, .log_user = lines,
                                                         .log_level = CLATTN_LOG_INFO), &ctx),
                     CLATTN_OK);
    ck_assert_int_ge(lines[CLATTN_LOG_INFO], 1);
    ck_assert_int_eq(lines[CLATTN_LOG_DEBUG], 0);
    ck_assert_int_eq(lines[CLATTN_LOG_ERROR], 0);
    ck_assert_int_eq(clattn_attention(ctx, NULL), CLATTN_ERR_ARG);
    ck_assert_int_eq(lines[CLATTN_LOG_ERROR], 1);
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* Numbers that no device exceeds and that any device reaches. */
START_TEST(peaks)
{
    clattn_ctx *ctx = suite_ctx();
    double gflops = 0, bandwidth = 0;

    OK(ctx, clattn_measure_peaks(ctx, &gflops, &bandwidth));
    ck_assert_msg(gflops > 0.01 && gflops < 1e7, "%g GFLOP/s", gflops);
    ck_assert_msg(bandwidth > 0.01 && bandwidth < 1e6, "%g GB/s", bandwidth);
    FAILS(ctx, ERR_ARG, "NULL", clattn_measure_peaks(ctx, NULL, &bandwidth));
    FAILS(ctx, ERR_ARG, "NULL", clattn_measure_peaks(ctx, &gflops, NULL));
    if (suite_is_native())
        return;
    const uint64_t most = ctx->dev.info.max_alloc_bytes;
    ctx->dev.info.max_alloc_bytes = 64;
    FAILS(ctx, ERR_UNSUPPORTED, "buffers of 64 bytes are too small",
          clattn_measure_peaks(ctx, &gflops, &bandwidth));
    ctx->dev.info.max_alloc_bytes = most;
}
END_TEST

/* 2^32 rows too wide for any tile: more work-groups than a launch can have. Nothing is touched. */
START_TEST(no_kernel)
{
    static float rows[1 << 20];
    static const int64_t shape[] = { 1, 1, 1, 1 << 20 }, narrow[] = { 1 << 16, 1 << 16, 1, 1 };
    clattn_ctx *ctx = suite_ctx();
    clattn_tensor t = clattn_tensor_of_host(rows, CLATTN_F32, 4, shape);

    if (suite_is_native()) /* does anything, if it takes years */
        return;
    float *o = memory_alloc(1 << 20); /* as if of 2^34 bytes, which must not overlap rows */
    t.shape[0] = t.shape[1] = 1 << 16;
    t.stride[0] = t.stride[1] = 0;
    const clattn_tensor v = clattn_tensor_slice(t, 3, 0, 1);
    FAILS(ctx, ERR_UNSUPPORTED, "attention: no kernel can do this problem on",
          clattn_attention(ctx, clattn_attention_params(
              .q = t, .k = t, .v = v, .o = clattn_tensor_of_host(o, CLATTN_F32, 4, narrow))));
    free(o);
}
END_TEST

START_TEST(matrix_peak)
{
    clattn_ctx *ctx = suite_ctx();
    const clattn_device_info *info = clattn_ctx_device(ctx);
    double gflops = 0;

    FAILS(ctx, ERR_ARG, "NULL", clattn_measure_matrix_peak(ctx, NULL));
    if (info->type == CLATTN_DEVICE_NATIVE && info->matrix_bf16) {
        OK(ctx, clattn_measure_matrix_peak(ctx, &gflops));
        ck_assert_msg(gflops > 1 && gflops < 1e7, "%g GFLOP/s", gflops);
    } else {
        FAILS(ctx, ERR_UNSUPPORTED, "no matrix engine|measured",
              clattn_measure_matrix_peak(ctx, &gflops));
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("device");
    TCase *t = tcase_create("device");

    tcase_add_test(t, peaks);
    tcase_add_test(t, matrix_peak);
    tcase_add_test(t, no_kernel);
    tcase_add_test(t, list);
    tcase_add_test(t, log_levels);
    tcase_add_test(t, threads);
    tcase_add_test(t, selectors);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
