/* SPDX-License-Identifier: Apache-2.0 */
/* A machine without any OpenCL driver: the native CPU is there, and the error says so. */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attention_case.h"
#include "compare.h"
#include "suite.h"

static char log_line[1024];

static void keep_line(void *user, clattn_log_level level, const char *line)
{
    (void)user;
    if (level == CLATTN_LOG_ERROR)
        snprintf(log_line, sizeof log_line, "%s", line);
}

START_TEST(device_list)
{
    clattn_device_info *list;
    int count;

    ck_assert_int_eq(clattn_device_list(&list, &count), CLATTN_OK);
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(list[0].type, CLATTN_DEVICE_NATIVE);
    ck_assert_int_eq(list[0].index, 0);
    ck_assert(list[0].usable && list[0].compute_units >= 1 && list[0].name[0]);
    clattn_device_list_free(&list);
    ck_assert_ptr_null(list);
}
END_TEST

START_TEST(opencl_asked_for)
{
    clattn_ctx *ctx;

    ck_assert_int_eq(clattn_ctx_create(clattn_ctx_params(.device = "opencl", .log = keep_line),
                                       &ctx),
                     CLATTN_ERR_DEVICE);
    ck_assert_ptr_null(ctx);
    ck_assert_msg(strstr(log_line, "OpenCL") != NULL, "the log says \"%s\"", log_line);
}
END_TEST

START_TEST(default_device)
{
    const attn_spec spec = { .name = "native by default", .B = 1, .Hq = 2, .Hk = 1, .Nq = 9,
                             .Nk = 33, .D = 16, .Dv = 16, .lse = true };
    attn_data *data = attn_data_make(&spec, suite_seed());

    ck_assert(suite_is_native());
    compare_label("%s", spec.name);
    attn_check(suite_ctx(), true, data, NULL);
    attn_data_free(data);
}
END_TEST

int main(void)
{
    char empty[4200];

    suite_begin();
    snprintf(empty, sizeof empty, "%s/no-vendors/", suite_dir());
    if (mkdir(empty, 0700))
        return 1;
    setenv("OCL_ICD_VENDORS", empty, 1);
    unsetenv("CLATTN_DEVICE");

    Suite *s = suite_create("no_opencl");
    TCase *t = tcase_create("no_opencl");
    tcase_add_test(t, device_list);
    tcase_add_test(t, opencl_asked_for);
    tcase_add_test(t, default_device);
    suite_add_tcase(s, t);
    return suite_run(s);
}
