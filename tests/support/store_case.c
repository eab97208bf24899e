/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "store_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char store_folder[4200], store_file[4300], store_heard[1024];
int store_warnings;

static void hear(void *user, clattn_log_level level, const char *line)
{
    (void)user;
    if (level <= CLATTN_LOG_WARN) {
        store_warnings++;
        snprintf(store_heard, sizeof store_heard, "%s", line);
    }
}

clattn_ctx *store_open(void)
{
    clattn_ctx *ctx;
    ck_assert_int_eq(clattn_ctx_create(clattn_ctx_params(.device = "cpu", .num_threads = 2,
                                                         .log = hear, .log_level = CLATTN_LOG_WARN),
                                       &ctx),
                     CLATTN_OK);
    return ctx;
}

cla_attn store_problem(int B, int Nq, int Nk)
{
    cla_attn p;
    memset(&p, 0, sizeof p);
    p.B = B;
    p.Hq = p.Hk = 8;
    p.G = 1;
    p.Nq = p.Tq = Nq;
    p.Nk = p.Tk = Nk;
    p.D = p.Dv = 64;
    p.in_type = p.out_type = p.bias_type = CLATTN_F32;
    p.left = p.right = CLA_UNBOUNDED;
    return p;
}

cla_bucket store_bucket(clattn_ctx *ctx, const cla_attn *p)
{
    cla_bucket b;
    cla_bucket_of(&ctx->dev, CLA_STAGE_ATTENTION, p, &b);
    return b;
}

cla_tuned store_result(int split, double time_us)
{
    return (cla_tuned){ .kernel = cla_kernel_find("attn_native"),
                        .t = { 192, 128, split },
                        .time_us = time_us,
                        .samples = 9,
                        .effort = 2,
                        .verified = true };
}

cla_choice store_choose(clattn_ctx *ctx, const cla_attn *p)
{
    static const cla_pin no_pin = { NULL, NULL };
    cla_choice choice;
    OK(ctx, cla_dispatch(ctx, "store", CLA_STAGE_ATTENTION, p, &no_pin, &choice));
    return choice;
}

void store_expect(clattn_ctx *ctx, const cla_attn *p, const char *origin)
{
    const cla_choice choice = store_choose(ctx, p);
    ck_assert_str_eq(cla_origin_name(choice.origin), origin);
}

void store_remove(void)
{
    char path[4400];
    static const char *const all[] = { "", "-journal", ".damaged" };
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", store_file, all[i]);
        unlink(path);
    }
}

void store_begin(void)
{
    suite_begin();
    if (!cla_db_is_built_in())
        suite_skip_all("built without SQLite");
    snprintf(store_folder, sizeof store_folder, "%s/results", suite_dir());
    snprintf(store_file, sizeof store_file, "%s/results.db", store_folder);
    if (mkdir(store_folder, 0700))
        suite_bail_out(store_folder, "cannot be made");
}

void store_setup(void)
{
    setenv("CLATTN_CACHE_DIR", store_folder, 1);
    store_remove();
    store_warnings = 0;
    store_heard[0] = '\0';
}
