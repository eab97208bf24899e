/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocations and calls on files that fail, once and from then on, under the library: contexts,
 * operations, plans, caches, layers, tuning and stored results. fault_host is preloaded. The first
 * faults are met one by one, those after them at random distances that grow.
 */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <clattn/kv.h>
#include <clattn/tuning.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "fault_host.h"
#include "fault_operations.h"
#include "suite.h"
#include "test_random.h"

enum { ONE_BY_ONE = 24 };

static fault_host *host;
static char sentence[1024]; /* of the last error */
static long points, survived;

static void keep_error(void *user, clattn_log_level level, const char *line)
{
    (void)user;
    if (level == CLATTN_LOG_ERROR)
        snprintf(sentence, sizeof sentence, "%s", line);
}

static clattn_status open_ctx(clattn_ctx **ctx)
{
    return clattn_ctx_create(
        clattn_ctx_params(.num_threads = suite_is_native() ? 1 : 0, .log = keep_error), ctx);
}

/* ---- the walk ---- */

/* What is done under faults, on a context of its own where that costs little. */
typedef struct deed {
    const char *name;
    clattn_status (*act)(clattn_ctx *ctx, void *user);
    void (*check)(void *user); /* no faults: results after a success */
    void (*after)(void);       /* no faults: after every run; NULL: nothing */
    void *user;
    bool files; /* that it makes calls on files is certain */
} deed;

static clattn_status act(const deed *d)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_status s = suite_is_native() ? open_ctx(&ctx) : CLATTN_OK;
    if (s == CLATTN_OK)
        s = d->act(ctx, d->user);
    if (s != CLATTN_OK && ctx && !sentence[0])
        snprintf(sentence, sizeof sentence, "%s", clattn_error(ctx));
    if (ctx != suite_ctx())
        clattn_ctx_destroy(&ctx);
    return s;
}

/* One run; false when it met no fault. */
static bool run_once(const deed *d, fault_kind kind, long at, bool sticky)
{
    const long before = host->live;
    sentence[0] = '\0';
    host->hit = NULL;
    host->calls = host->fired = 0;
    host->sticky = sticky;
    host->at = at;
    host->kind = kind;
    const clattn_status s = act(d);
    host->kind = FAULT_NONE;
    const char *hit = host->hit ? host->hit : "no call", *how = sticky ? " for good" : "";
    ck_assert_msg(host->live <= before, "%s, call %ld (%s)%s: %ld allocations are left", d->name,
                  at, hit, how, host->live - before);
    ck_assert_msg(s == CLATTN_OK || (host->fired > 0 && kind == FAULT_MEMORY),
                  "%s, call %ld (%s)%s: %s: %s", d->name, at, hit, how, clattn_status_name(s),
                  sentence);
    /* Without memory for a context there is nobody to tell. */
    ck_assert_msg(s == CLATTN_OK || s == CLATTN_ERR_MEMORY, "%s, call %ld (%s)%s: %s: %s", d->name,
                  at, hit, how, clattn_status_name(s), sentence);
    ck_assert_msg(s == CLATTN_OK || at == 1 || strstr(sentence, "out of host memory"),
                  "%s, call %ld (%s)%s: the sentence is \"%s\"", d->name, at, hit, how, sentence);
    if (s == CLATTN_OK && d->check)
        d->check(d->user);
    if (d->after)
        d->after();
    points += host->fired > 0;
    survived += host->fired > 0 && s == CLATTN_OK;
    return host->fired > 0;
}

static void walk(const deed *d)
{
    test_rng random = { suite_seed() };
    ck_assert_int_eq(act(d), CLATTN_OK); /* what is made once is there from now on */
    for (fault_kind kind = FAULT_MEMORY; kind < FAULT_HOST_KINDS; kind++)
        for (int sticky = 0; sticky < 2; sticky++) {
            const long before = points;
            for (long at = 1; run_once(d, kind, at, sticky);)
                at += at < ONE_BY_ONE ? 1 : 1 + rng_below(&random, (int)at / 2);
            ck_assert_msg(points > before || (kind == FAULT_FILES && !d->files),
                          "%s: no call failed", d->name);
        }
}

/* ---- operations ---- */

typedef struct one_operation {
    const fault_operation *op;
    fault_case c;
} one_operation;

static clattn_status call(clattn_ctx *ctx, void *user)
{
    const one_operation *one = user;
    return one->op->call(ctx, one->c.params);
}

static clattn_status plan(clattn_ctx *ctx, void *user)
{
    const one_operation *one = user;
    clattn_plan *made;
    clattn_status s = one->op->plan(ctx, one->c.params, &made);
    if (s == CLATTN_OK)
        s = clattn_plan_run(made);
    clattn_plan_destroy(&made);
    return s;
}

static void check_operation(void *user)
{
    one_operation *one = user;
    one->op->check(&one->c);
}

static void walk_operation(const fault_operation *op,
                           clattn_status (*form)(clattn_ctx *ctx, void *user))
{
    one_operation one = { .op = op };
    op->make(&one.c, NULL, op->spec);
    walk(&(deed){ op->name, form, check_operation, NULL, &one, false });
    op->free(&one.c);
}

START_TEST(calls)
{
    walk_operation(&fault_operations[_i], call);
}
END_TEST

START_TEST(plans)
{
    walk_operation(&fault_operations[_i], plan);
}
END_TEST

/* ---- a cache of keys and values ---- */

enum { HEADS = 2, ROWS = 3, WIDTH = 8, ALL = HEADS * ROWS * WIDTH };

static float numbers[ALL], attended[ALL], kept[2][HEADS * WIDTH];

static clattn_tensor view(float *x)
{
    return clattn_tensor_of_host(x, CLATTN_F32, 4, (int64_t[]){ 1, HEADS, ROWS, WIDTH });
}

static clattn_status use_cache(clattn_ctx *ctx, clattn_kv *kv)
{
    const struct clattn_kv_append_params *append =
        clattn_kv_append_params(.kv = kv, .k = view(numbers), .v = view(numbers));
    clattn_status s = clattn_kv_append(ctx, append);
    if (s == CLATTN_OK)
        s = clattn_kv_fork(kv, 0, 1);
    if (s == CLATTN_OK)
        s = clattn_kv_append(ctx, append);
    if (s == CLATTN_OK)
        s = clattn_kv_truncate(kv, 0, ROWS + 1);
    if (s == CLATTN_OK)
        s = clattn_attention(
            ctx, clattn_attention_params(.q = view(numbers), .kv = kv, .o = view(attended)));
    return s == CLATTN_OK ? clattn_kv_read(kv, 0, ROWS, 1, kept[0], kept[1]) : s;
}

static clattn_status cache(clattn_ctx *ctx, void *user)
{
    clattn_kv *kv;
    (void)user;
    clattn_status s =
        clattn_kv_create(ctx,
                         clattn_kv_params(.sequences = 2, .heads = HEADS, .key_width = WIDTH,
                                          .capacity = 20, .page_rows = 16),
                         &kv);
    if (s == CLATTN_OK)
        s = use_cache(ctx, kv);
    clattn_kv_destroy(&kv);
    return s;
}

/* What was read is row 0 of what was appended the second time. */
static void check_cache(void *user)
{
    (void)user;
    for (int h = 0; h < HEADS; h++)
        ck_assert_mem_eq(kept[0] + h * WIDTH, numbers + h * ROWS * WIDTH, WIDTH * sizeof *numbers);
    ck_assert_mem_eq(kept[0], kept[1], sizeof kept[0]);
}

START_TEST(caches)
{
    walk(&(deed){ "a cache", cache, check_cache, NULL, NULL, false });
}
END_TEST

/* ---- tuning, and what is stored ---- */

/* What is asserted here is asserted later: libcheck allocates too. */
static clattn_tune_report report;
static bool told;

static clattn_status tune(clattn_ctx *ctx, void *user)
{
    const one_operation *one = user;
    clattn_plan *made;
    clattn_status s = one->op->plan(ctx, one->c.params, &made);
    if (s == CLATTN_OK)
        s = clattn_plan_tune(made,
                             clattn_tune_params(.effort = CLATTN_EFFORT_QUICK, .max_evals = 2,
                                                .max_seconds = 1, .again = true),
                             &report);
    if (s == CLATTN_OK)
        s = clattn_plan_run(made);
    clattn_plan_destroy(&made);
    return s;
}

/* Nothing is wrong with a candidate for which there was no memory. */
static void check_tuned(void *user)
{
    check_operation(user);
    ck_assert_int_eq(report.quarantined, 0);
}

/*
 * Who could not write down that he survived counts as dead, and what he tried is put aside at the
 * second death. So each run starts with an empty journal.
 */
static void forget(void)
{
    clattn_results *stored;
    ck_assert_int_eq(clattn_results_open(false, &stored), CLATTN_OK);
    ck_assert_int_eq(clattn_results_clear(stored, NULL), CLATTN_OK);
    clattn_results_close(&stored);
}

START_TEST(tuning)
{
    one_operation one = { .op = &fault_operations[0] };
    one.op->make(&one.c, NULL, one.op->spec);
    walk(&(deed){ "tuning", tune, check_tuned, forget, &one, true });
    one.op->free(&one.c);
}
END_TEST

/* The results are all there or there is a note. */
static clattn_status read_results(clattn_ctx *ctx, void *user)
{
    clattn_results *results;
    (void)ctx;
    (void)user;
    const clattn_status s = clattn_results_open(true, &results);
    told = s == CLATTN_OK && (clattn_results_get(results, 0) || clattn_results_note(results)[0]);
    if (s == CLATTN_ERR_MEMORY) /* there is no context that could say it */
        snprintf(sentence, sizeof sentence, "out of host memory");
    clattn_results_close(&results);
    return s;
}

static void check_results(void *user)
{
    (void)user;
    ck_assert_msg(told, "there are neither results nor a note after %s",
                  host->hit ? host->hit : "no fault");
}

START_TEST(results)
{
    one_operation one = { .op = &fault_operations[0] };
    one.op->make(&one.c, NULL, one.op->spec);
    ck_assert_int_eq(act(&(deed){ "tuning", tune, NULL, NULL, &one, true }), CLATTN_OK);
    one.op->free(&one.c);
    walk(&(deed){ "stored results", read_results, check_results, NULL, NULL, true });
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("host_faults");
    TCase *t = tcase_create("host_faults");
    int n = 0;

    while (fault_operations[n].name)
        n++;
    tcase_add_loop_test(t, plans, 0, n);
    if (suite_is_native()) {
        tcase_add_loop_test(t, calls, 0, n);
        tcase_add_test(t, caches);
        tcase_add_test(t, tuning);
        tcase_add_test(t, results);
    }
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    host = dlsym(RTLD_DEFAULT, FAULT_HOST_STATE);
    if (!host)
        suite_skip_all("fault_host is not preloaded");
    suite_need_device();
    for (int i = 0; i < ALL; i++)
        numbers[i] = (float)(i * 37 % 19 - 9) / 8;
    const int failed = suite_run(suite());
    printf("# %ld faults, %ld reported, %ld survived\n", points, points - survived, survived);
    return failed;
}
