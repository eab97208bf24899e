/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that are not here, played by a driver that knows their limits and computes nothing: the
 * list of devices, contexts, the plans of every operation, and what is said when a device cannot.
 * test_mock DRIVER
 */
#define _XOPEN_SOURCE 700
#include <clattn/tuning.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "mock_defaults.h"
#include "mock_problems.h"
#include "suite.h"

static mock_state *driver;
static const char *listed_name; /* of the only device that is listed */
static char sentence[1024];     /* of the last error */

static void keep_error(void *user, clattn_log_level level, const char *line)
{
    (void)user;
    if (level == CLATTN_LOG_ERROR)
        snprintf(sentence, sizeof sentence, "%s", line);
}

static clattn_status open_device(const char *device, clattn_ctx **ctx)
{
    sentence[0] = '\0';
    return clattn_ctx_create(clattn_ctx_params(.device = device, .log = keep_error), ctx);
}

/* ---- which devices there are ---- */

static bool has_name(const mock_device *device)
{
    return strcmp(device->name, listed_name) == 0;
}

static bool nobody(const mock_device *device)
{
    (void)device;
    return false;
}

static bool is_odd(const mock_device *device)
{
    return device->odd;
}

static void list_only(const char *name)
{
    listed_name = name;
    driver->is_listed = has_name;
}

static void reset(void)
{
    driver->is_listed = NULL;
    driver->bad_source = driver->no_binary = driver->no_kernel = NULL;
    driver->binary_code = CL_INVALID_BINARY;
    driver->ptx_target = NULL;
    driver->no_marks = driver->wrong_products = false;
    driver->compiled_for = 0;
    driver->lose_after = -1;
    driver->violation[0] = '\0';
    setenv("CLATTN_DEVICE", "opencl", 1);
}

static void check_nothing_left(void)
{
    ck_assert_msg(driver->live == 0, "%s: %ld objects are left", compare_label_text(),
                  driver->live);
}

/* ---- the list ---- */

static bool can_compute(const mock_device *d)
{
    return !d->switched_off && !d->no_compiler && !d->miscomputes && d->max_work_group >= 16
        && d->max_alloc > 0;
}

static void check_info(const clattn_device_info *info, const mock_device *d)
{
    compare_label("%.60s", d->name);
    ck_assert_msg(strncmp(info->name, d->name, sizeof info->name - 1) == 0, "\"%s\"", info->name);
    ck_assert_str_eq(info->vendor, d->vendor);
    ck_assert_str_eq(info->platform, d->platform ? "Second Mock" : "First Mock");
    ck_assert_int_eq(info->type, d->odd ? CLATTN_DEVICE_OTHER : CLATTN_DEVICE_GPU);
    ck_assert_uint_eq(info->max_work_group, d->max_work_group);
    ck_assert_uint_eq(info->local_bytes, d->local_bytes);
    ck_assert_uint_eq(info->global_bytes, d->global_bytes);
    ck_assert_uint_eq(info->max_alloc_bytes, d->max_alloc);
    ck_assert_int_ge(info->compute_units, 0);
    ck_assert_msg(info->usable == can_compute(d), "%s: usable %d: \"%s\"", compare_label_text(),
                  info->usable, info->why_not);
    ck_assert(info->usable || info->why_not[0]);
    if (info->usable && !d->odd)
        ck_assert_msg(info->fp16 == d->fp16 && info->fp64 == d->fp64
                          && info->subgroups == d->subgroups && info->matrix_f16 == (d->tile != 0),
                      "%s: \"%s\"", compare_label_text(), info->why_not);
}

START_TEST(list)
{
    clattn_device_info *infos;
    int count, at = 1;
    OK(NULL, clattn_device_list(&infos, &count));
    for (int platform = 0; platform < MOCK_PLATFORMS; platform++)
        for (const mock_device *d = driver->devices; d->name; d++) {
            if (d->platform != platform)
                continue;
            ck_assert_int_lt(at, count);
            ck_assert_int_eq(infos[at].index, at);
            check_info(&infos[at++], d);
        }
    ck_assert_int_eq(at, count);
    clattn_device_list_free(&infos);
    check_nothing_left();
}
END_TEST

static void expect_device(const char *selector, const char *name)
{
    clattn_ctx *ctx;
    const clattn_status s = open_device(selector, &ctx);
    ck_assert_msg(s == CLATTN_OK, "%s: %s", selector ? selector : "default", sentence);
    ck_assert_str_eq(clattn_ctx_device(ctx)->name, name);
    clattn_ctx_destroy(&ctx);
}

START_TEST(selectors)
{
    expect_device("opencl", "Ellesmere");
    expect_device("second mock", "Intel(R) UHD Graphics 630");
    expect_device("GFX90A", "gfx90a:sramecc+:xnack-");
    expect_device("mali-g710", "Mali-G710");
    unsetenv("CLATTN_DEVICE");
    expect_device(NULL, "Ellesmere"); /* a GPU is the best */
    driver->is_listed = is_odd;
    clattn_ctx *ctx;
    ck_assert_int_eq(open_device(NULL, &ctx), CLATTN_OK);
    ck_assert_int_eq(clattn_ctx_device(ctx)->type, CLATTN_DEVICE_NATIVE); /* no accelerator is */
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
}
END_TEST

static void expect_refusal(const char *selector, const char *words)
{
    clattn_ctx *ctx;
    ck_assert_int_eq(open_device(selector, &ctx), CLATTN_ERR_DEVICE);
    ck_assert_ptr_null(ctx);
    ck_assert_msg(strstr(sentence, words), "\"%s\" does not say \"%s\"", sentence, words);
    check_nothing_left();
}

START_TEST(unusable)
{
    static const char *const all[][2] = {
        { "no compiler", "no compiler" },
        { "switched off", "not available" },
        { "cannot count", "computes wrongly" },
        { "one item", "clEnqueueNDRangeKernel(probe_base): CL_INVALID_WORK_ITEM_SIZE" },
        { "no memory", "clCreateBuffer: CL_INVALID_BUFFER_SIZE" },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        expect_refusal(all[i][0], all[i][1]);
        list_only(all[i][0]);
        expect_refusal("opencl", all[i][1]);
        reset();
    }
    driver->is_listed = nobody;
    expect_refusal("opencl", "there is no OpenCL device; there is: 0 ");
    expect_refusal("Ellesmere", "no device fits \"Ellesmere\"");
    expect_refusal("3", "no device fits \"3\"");
}
END_TEST

/* ---- plans ---- */

/* A device that is sold can do everything; another may refuse, for a reason. */
static void check_problem(clattn_ctx *ctx, const mock_device *d, int problem, clattn_dtype dtype)
{
    mock_job job;
    compare_label("%.40s, %s, %s", d->name, mock_problem_name(problem), clattn_dtype_name(dtype));
    driver->violation[0] = '\0';
    clattn_status s = mock_job_make(&job, ctx, problem, dtype);
    if (s == CLATTN_OK) {
        mock_check_launches(d, job.plan);
        s = clattn_plan_run(job.plan);
    }
    if (s == CLATTN_OK)
        s = clattn_finish(ctx);
    ck_assert_msg(!driver->violation[0], "%s: %s", compare_label_text(), driver->violation);
    ck_assert_msg(s == CLATTN_OK
                      || (d->odd && clattn_error(ctx)[0]
                          && (s == CLATTN_ERR_UNSUPPORTED || s == CLATTN_ERR_SHAPE
                              || s == CLATTN_ERR_MEMORY)),
                  "%s: %s: %s", compare_label_text(), clattn_status_name(s), clattn_error(ctx));
    mock_job_free(&job);
}

START_TEST(plans)
{
    const mock_device *d = &driver->devices[_i];
    static const clattn_dtype dtypes[] = { CLATTN_F32, CLATTN_F16 };
    clattn_ctx *ctx;
    if (!can_compute(d))
        return;
    list_only(d->name);
    const clattn_status s = open_device("opencl", &ctx);
    ck_assert_msg(s == CLATTN_OK, "%.40s: %s", d->name, sentence);
    for (int i = 0; mock_problem_name(i); i++)
        for (int n = 0; n < 2; n++)
            check_problem(ctx, d, i, dtypes[n]);
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
}
END_TEST

static int check_defaults_of(const mock_device *d, int *served)
{
    static const clattn_dtype dtypes[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16 };
    int count = 0;
    clattn_ctx *ctx;
    list_only(d->name);
    OK(NULL, open_device("opencl", &ctx));
    for (int i = 0; mock_problem_name(i); i++)
        for (int n = 0; n < 3; n++) {
            mock_job job;
            compare_label("%.40s, %s, %s", d->name, mock_problem_name(i),
                          clattn_dtype_name(dtypes[n]));
            OK(ctx, mock_job_make(&job, ctx, i, dtypes[n]));
            count += mock_check_defaults(d, job.plan, served);
            mock_job_free(&job);
        }
    clattn_ctx_destroy(&ctx);
    return count;
}

/* On every device that is sold, for every problem: what each kernel is run with by default. */
START_TEST(defaults)
{
    enum { MOST = 256 };
    int served[MOST] = { 0 }, count = 0;
    for (const mock_device *d = driver->devices; d->name; d++)
        if (!d->odd)
            count += check_defaults_of(d, served);
    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *k = cla_kernels[i];
        ck_assert_int_lt(i, MOST);
        ck_assert_msg(k->stage >= CLA_STAGE_HELPER || cla_kernel_is_native(k) || served[i] > 0,
                      "no problem here brings up %s", k->name);
    }
    printf("# %d defaults\n", count);
    check_nothing_left();
}
END_TEST

/* The step of a decoder is a few kernels, and what is between them should not be the most of it. */
START_TEST(launches_of_a_step)
{
    static const char *const steps[] = { "decode step", "decode step over i8" };
    static const clattn_dtype dtypes[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16 };
    clattn_ctx *ctx;
    mock_job job;
    OK(NULL, open_device("gfx90a", &ctx));
    for (int i = 0; i < 6; i++) {
        int problem = 0;
        while (strcmp(mock_problem_name(problem), steps[i / 3]) != 0)
            problem++;
        compare_label("%s, %s", steps[i / 3], clattn_dtype_name(dtypes[i % 3]));
        OK(ctx, mock_job_make(&job, ctx, problem, dtypes[i % 3]));
        const long before = driver->launches;
        OK(ctx, clattn_plan_run(job.plan));
        ck_assert_msg(driver->launches - before == 3 + i / 3, "%s: %ld launches",
                      compare_label_text(), driver->launches - before);
        mock_job_free(&job);
    }
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
}
END_TEST

START_TEST(peaks)
{
    clattn_ctx *ctx;
    double gflops, bandwidth;
    driver->is_listed = NULL;
    OK(NULL, open_device("A device whose driver", &ctx));
    driver->violation[0] = '\0';
    OK(ctx, clattn_measure_peaks(ctx, &gflops, &bandwidth));
    ck_assert_msg(!driver->violation[0], "%s", driver->violation);
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
}
END_TEST

/* ---- failures ---- */

START_TEST(does_not_build)
{
    clattn_ctx *ctx;
    mock_job job;
    OK(NULL, open_device("gfx1100", &ctx));
    driver->bad_source = "void attn_";
    for (int i = 0; i < 2; i++) { /* the second time is no other */
        FAILS(ctx, ERR_BUILD, "does not build on gfx1100|mock.cl:7: error: not today|clBuild",
              mock_job_make(&job, ctx, 0, CLATTN_F32));
        mock_job_free(&job);
    }
    driver->bad_source = NULL;
    OK(ctx, mock_job_make(&job, ctx, 0, CLATTN_F32));
    OK(ctx, clattn_plan_run(job.plan));
    mock_job_free(&job);
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
}
END_TEST

/* ---- kernels with marked instructions ---- */

#define HOPPER "NVIDIA H100 80GB HBM3"
static const char on_unit[] = "attn_prefill_wgmma";

static int problem_named(const char *name)
{
    int i = 0;
    while (strcmp(mock_problem_name(i), name) != 0)
        i++;
    return i;
}

/* Attention of f16 on the chip: the kernel it is planned with, and how many programs are built. */
static void plan_on_hopper(const char **kernel, struct clattn_cache_info *info, char *why_not)
{
    static clattn_plan_info plan;
    clattn_ctx *ctx;
    mock_job job;
    OK(NULL, open_device(HOPPER, &ctx));
    OK(ctx, mock_job_make(&job, ctx, problem_named("causal attention"), CLATTN_F16));
    OK(ctx, clattn_plan_run(job.plan));
    OK(ctx, clattn_plan_describe(job.plan, &plan));
    *kernel = plan.kernel;
    strcpy(why_not, clattn_ctx_device(ctx)->why_not);
    OK(ctx, clattn_ctx_cache(ctx, info));
    mock_job_free(&job);
    clattn_ctx_destroy(&ctx);
    ck_assert_msg(!driver->violation[0], "%s", driver->violation);
    check_nothing_left();
}

/* The second process, which has the programs, builds none of them from source. */
START_TEST(two_steps)
{
    struct clattn_cache_info first, second;
    const char *kernel;
    char why_not[256];
    plan_on_hopper(&kernel, &first, why_not);
    ck_assert_str_eq(kernel, on_unit);
    ck_assert_msg(!strstr(why_not, "warpgroups"), "%s", why_not);
    plan_on_hopper(&kernel, &second, why_not);
    ck_assert_str_eq(kernel, on_unit);
    ck_assert_int_eq(second.programs_built, 0);
    ck_assert_int_ge(second.programs_loaded, 4); /* kernel, helper, probes */
}
END_TEST

static bool launches(const clattn_plan *plan, const char *kernel)
{
    for (int i = 0; i < plan->num_launches; i++)
        if (strcmp(plan->launches[i].kernel->name, kernel) == 0)
            return true;
    return false;
}

/* What stages are bound to is apart: each has its helpers. */
START_TEST(two_stages)
{
    clattn_ctx *ctx;
    mock_job job;
    OK(NULL, open_device(HOPPER, &ctx));
    OK(ctx, mock_job_make(&job, ctx, problem_named("attention with stats"), CLATTN_F16));
    static const char *const all[] = { "attn_wgmma_maps", on_unit, "attn_stats", "attn_mean" };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        ck_assert_msg(launches(job.plan, all[i]), "%s is not launched", all[i]);
    mock_job_free(&job);
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
}
END_TEST

/* Whatever fails on the way, another kernel is used, and the device says why. */
static void without_unit(const char *why)
{
    struct clattn_cache_info info;
    const char *kernel;
    char why_not[256];
    setenv("CLATTN_BINARIES", "off", 1);
    plan_on_hopper(&kernel, &info, why_not);
    unsetenv("CLATTN_BINARIES");
    ck_assert_str_ne(kernel, on_unit);
    ck_assert_msg(strstr(why_not, "the matrix unit of warpgroups (") && strstr(why_not, why),
                  "\"%s\" does not say \"%s\"", why_not, why);
    reset();
}

START_TEST(steps_fail)
{
    driver->bad_source = "void probe_wgmma(";
    without_unit("cl/probe_wgmma.cl does not build");
    driver->ptx_target = "sm_80";
    without_unit("its .target is not sm_90");
    driver->no_marks = true;
    without_unit("no instruction in it is marked");
    driver->no_binary = "";
    without_unit("clCreateProgramWithBinary: CL_INVALID_BINARY");
    driver->bad_source = "wgmma;";
    without_unit("cl/probe_wgmma.cl does not build");
    driver->wrong_products = true;
    without_unit("255 of 256 work-items");
    /* The probe passes, a kernel does not. */
    driver->bad_source = "void attn_prefill_wgmma(";
    without_unit("cl/attn_prefill_wgmma.cl does not build");
    driver->no_binary = "void attn_prefill_wgmma(";
    without_unit("cl/attn_prefill_wgmma.cl: clCreateProgramWithBinary: CL_INVALID_BINARY (-42)");
    driver->no_kernel = "attn_wgmma_maps";
    without_unit("attn_wgmma_maps: clCreateKernel: CL_INVALID_KERNEL_NAME (-46)");
    driver->compiled_for = 256;
    without_unit("in work-groups of 256 work-items on NVIDIA H100 80GB HBM3, 384 are wanted");
}
END_TEST

/* Another kernel of the same plan that does not build is no fault of the unit. */
START_TEST(unit_is_kept)
{
    clattn_ctx *ctx;
    mock_job job;
    OK(NULL, open_device(HOPPER, &ctx));
    driver->bad_source = "void attn_stats(";
    FAILS(ctx, ERR_BUILD, "cl/attn_stats.cl does not build",
          mock_job_make(&job, ctx, problem_named("attention with stats"), CLATTN_F16));
    mock_job_free(&job);
    const char *why_not = clattn_ctx_device(ctx)->why_not;
    ck_assert_msg(!strstr(why_not, "warpgroups"), "%s", why_not);
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
}
END_TEST

/* That there is no memory says nothing of the unit. */
START_TEST(step_without_memory)
{
    clattn_ctx *ctx;
    mock_job job;
    setenv("CLATTN_BINARIES", "off", 1);
    OK(NULL, open_device(HOPPER, &ctx));
    unsetenv("CLATTN_BINARIES");
    driver->no_binary = "void attn_prefill_wgmma(";
    driver->binary_code = CL_OUT_OF_HOST_MEMORY;
    const int problem = problem_named("causal attention");
    FAILS(ctx, ERR_MEMORY, "clCreateProgramWithBinary: CL_OUT_OF_HOST_MEMORY (-6)",
          mock_job_make(&job, ctx, problem, CLATTN_F16));
    mock_job_free(&job);
    driver->no_binary = NULL;
    OK(ctx, mock_job_make(&job, ctx, problem, CLATTN_F16));
    ck_assert(launches(job.plan, on_unit));
    mock_job_free(&job);
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
}
END_TEST

/* Other chips, be they newer, are not even asked. */
START_TEST(other_chips)
{
    clattn_ctx *ctx;
    driver->bad_source = "UNIT_WARPGROUP";
    OK(NULL, open_device("NVIDIA B200", &ctx));
    ck_assert_msg(!strstr(clattn_ctx_device(ctx)->why_not, "warpgroups"), "%s",
                  clattn_ctx_device(ctx)->why_not);
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
}
END_TEST

/* All calls fail from then on, and all of them say so; everything can still be given back. */
static bool lose(const char *device, int problem, long launches)
{
    clattn_ctx *ctx;
    mock_job job;
    OK(NULL, open_device(device, &ctx));
    OK(ctx, mock_job_make(&job, ctx, problem, CLATTN_F32));
    driver->lose_after = driver->launches + launches;
    clattn_status s = clattn_plan_run(job.plan);
    if (s == CLATTN_OK)
        s = clattn_finish(ctx);
    const bool lost = s != CLATTN_OK;
    if (lost) {
        ck_assert_int_eq(s, CLATTN_ERR_DEVICE);
        ck_assert_msg(strstr(clattn_error(ctx), "CL_OUT_OF_RESOURCES (-5) on "), "%s",
                      clattn_error(ctx));
        FAILS(ctx, ERR_DEVICE, "clFinish: CL_OUT_OF_RESOURCES (-5)", clattn_finish(ctx));
    }
    mock_job_free(&job);
    clattn_ctx_destroy(&ctx);
    check_nothing_left();
    driver->lose_after = -1;
    return lost;
}

START_TEST(lost)
{
    for (int i = 0; mock_problem_name(i); i++) {
        long launches = 0;
        compare_label("%s", mock_problem_name(i));
        while (lose("Arc(TM) A770", i, launches))
            launches++;
        ck_assert_int_gt(launches, 1);
    }
}
END_TEST

static Suite *suite(int devices)
{
    Suite *s = suite_create("mock");
    TCase *t = tcase_create("mock");

    tcase_add_checked_fixture(t, reset, NULL);
    tcase_add_test(t, list);
    tcase_add_test(t, selectors);
    tcase_add_test(t, unusable);
    tcase_add_test(t, launches_of_a_step);
    tcase_add_loop_test(t, plans, 0, devices);
    tcase_add_test(t, defaults);
    tcase_add_test(t, peaks);
    tcase_add_test(t, does_not_build);
    tcase_add_test(t, lost);
    tcase_add_test(t, two_steps);
    tcase_add_test(t, two_stages);
    tcase_add_test(t, steps_fail);
    tcase_add_test(t, step_without_memory);
    tcase_add_test(t, unit_is_kept);
    tcase_add_test(t, other_chips);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    clattn_device_info *infos;
    int count;
    suite_begin();
    if (argc < 2)
        return 2;
    setenv("OCL_ICD_VENDORS", argv[1], 1);
    unsetenv("OPENCL_LAYERS");
    OK(NULL, clattn_device_list(&infos, &count)); /* loads the driver */
    clattn_device_list_free(&infos);
    void *handle = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD);
    driver = handle ? dlsym(handle, MOCK_STATE) : NULL;
    if (!driver)
        suite_skip_all("the OpenCL loader does not take a driver by its path");
    int devices = 0;
    while (driver->devices[devices].name)
        devices++;
    printf("# %d devices\n", devices);
    return suite_run(suite(devices));
}
