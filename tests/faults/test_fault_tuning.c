/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every OpenCL call of a search fails once, in this process and in a worker: test_fault_tuning
 * LAYER. This program is its own worker.
 */
#define _XOPEN_SOURCE 700
#include <clattn/tuning.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"
#include "fault_walk.h"
#include "suite.h"

static clattn_ctx *ctx;

/* ---- tuning ---- */

typedef struct tune_walk {
    clattn_ctx *own; /* as many programs stay in a context as candidates were tried */
    clattn_buffer *buffer[4];
    clattn_plan *plan;
    clattn_tune_report report;
} tune_walk;

static void forget_results(void)
{
    clattn_results *results;
    OK(NULL, clattn_results_open(true, &results));
    OK(NULL, clattn_results_clear(results, NULL));
    clattn_results_close(&results);
}

static void make_plan(void *user)
{
    static const int64_t shape[] = { 1, 1, 3, 4 };
    tune_walk *w = user;
    clattn_tensor t[4];
    OK(NULL, fault_open(&w->own));
    for (int i = 0; i < 4; i++) {
        OK(w->own, clattn_buffer_create(w->own, 48, &w->buffer[i]));
        t[i] = clattn_tensor_of_buffer(w->buffer[i], CLATTN_F32, 4, shape);
    }
    OK(w->own, clattn_plan_attention(
                w->own, clattn_attention_params(.q = t[0], .k = t[1], .v = t[2], .o = t[3]),
                &w->plan));
}

static clattn_status tune_in(tune_walk *w, const char *worker)
{
    return clattn_plan_tune(w->plan, clattn_tune_params(.effort = CLATTN_EFFORT_QUICK,
                                                        .max_evals = 2, .max_seconds = 1,
                                                        .again = true, .worker = worker,
                                                        .worker_argument = "worker"), &w->report);
}

static clattn_status tune(void *user)
{
    return tune_in(user, NULL);
}

/* A device that fails is no wrong result: nothing may be put aside for it. */
static void check_tuned(void *user, clattn_status status)
{
    const tune_walk *w = user;
    if (status != CLATTN_OK)
        return;
    ck_assert_msg(w->report.quarantined == 0, "%s: %d configurations are in quarantine",
                  compare_label_text(), w->report.quarantined);
    ck_assert_msg(w->report.best_us > 0 || w->report.note[0] || w->report.rejected > 0,
                  "%s: nothing was found, and nobody says why", compare_label_text());
}

static void free_plan(void *user)
{
    tune_walk *w = user;
    clattn_plan_destroy(&w->plan);
    for (int i = 0; i < 4; i++)
        clattn_buffer_destroy(&w->buffer[i]);
    clattn_ctx_destroy(&w->own);
    forget_results();
}

START_TEST(tuning)
{
    static const char *const entries[] = { "clCreateBuffer", "clCreateKernel", "clFinish",
                                           "clEnqueueNDRangeKernel", "clEnqueueReadBuffer" };
    tune_walk w;
    char name[96];
    make_plan(&w);
    OK(w.own, tune(&w));
    free_plan(&w);
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        snprintf(name, sizeof name, "tuning, %s", entries[i]);
        const fault_walk walk = { .name = name, .before = make_plan, .act = tune,
                                  .check = check_tuned, .after = free_plan, .user = &w,
                                  .only = entries[i], .leaps = true };
        ck_assert_msg(fault_walk_run(&walk) > 0, "%s: no call failed", name);
    }
}
END_TEST

/* ---- tuning in a worker: calls of the worker fail, none of this process ---- */

/* Runs in the worker meet the fault anew, as they do in one that is started in its place. */
static void arm_workers(const char *report, long at, bool sticky)
{
    char number[32];
    snprintf(number, sizeof number, "%ld", at);
    setenv("FAULT_AT", number, 1);
    setenv("FAULT_STICKY", sticky ? "1" : "0", 1);
    setenv("FAULT_REPORT", report, 1);
    remove(report);
}

/* Did a call fail in the last worker? name: which one. */
static bool worker_fired(const char *report, char name[64])
{
    long calls, fired;
    FILE *f = fopen(report, "r");
    ck_assert_msg(f != NULL, "%s: the worker did not end by itself", compare_label_text());
    ck_assert_int_eq(fscanf(f, "%ld %ld %63s", &calls, &fired, name), 3);
    fclose(f);
    return fired > 0;
}

/* One search; false: it met no fault. */
static bool tune_with_fault(const char *self, const char *report, long at, bool sticky)
{
    tune_walk w = { .plan = NULL };
    char name[64];
    make_plan(&w);
    arm_workers(report, at, sticky);
    const clattn_status status = tune_in(&w, self);
    const bool fired = worker_fired(report, name);
    compare_label("tuning in a worker, call %ld (%s) fails%s", at, name, sticky ? " for good" : "");
    ck_assert_msg(fired || status == CLATTN_OK, "%s: %s", compare_label_text(),
                  clattn_error(w.own));
    /* When all fail after the first one, another may be the one that mattered. */
    const char *names = sticky ? "CL_OUT_OF_RESOURCES" : name;
    ck_assert_msg(status == CLATTN_OK || strstr(clattn_error(w.own), names),
                  "%s: the sentence is \"%s\"", compare_label_text(), clattn_error(w.own));
    check_tuned(&w, status);
    ck_assert_msg(waitpid(-1, NULL, WNOHANG) < 0, "%s: a worker is left", compare_label_text());
    free_plan(&w);
    return fired;
}

START_TEST(tuning_in_a_worker)
{
    char self[4096], report[4200];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    snprintf(report, sizeof report, "%s/worker-report", suite_dir());
    for (int sticky = 0; sticky < 2; sticky++) {
        long at = 1, runs = 1;
        for (; tune_with_fault(self, report, at, sticky); runs++)
            at += sticky || at > 8 ? at / 2 + 1 : 1;
        ck_assert_int_gt(runs, 1);
        printf("# %ld calls that fail%s\n", runs - 1, sticky ? " for good" : "");
    }
    unsetenv("FAULT_AT");
    unsetenv("FAULT_STICKY");
    unsetenv("FAULT_REPORT");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("fault_tuning");
    TCase *t = tcase_create("fault_tuning");

    tcase_add_test(t, tuning);
    tcase_add_test(t, tuning_in_a_worker);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "worker") == 0)
        return clattn_tune_worker();
    return fault_main(argc, argv, &ctx, suite);
}
