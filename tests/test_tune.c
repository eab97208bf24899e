/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tuning on the native CPU, with candidates that were tampered with: the linker puts planted() in
 * the place of the attention kernel's work. This program is its own worker.
 */
#define _XOPEN_SOURCE 700
#include <clattn/tuning.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cpu/layout.h"
#include "plan.h"
#include "suite.h"
#include "tune/stopwatch.h"
#include "tune/store.h"

/* What planted() does, by tunables of attn_native; from the environment, so that workers know. */
enum { HONEST, WRONG, UNWRITTEN, STRAY, BEHIND, UNSTABLE, CRASHES, HANGS, SLEEPS };

enum { RIVALS = 16 };

#define RIVAL_SECONDS 1.5

static char self[4096];

clattn_status __real_cla_cpu_attention(cla_cpu *cpu, const cla_attn *p, const int *t);
clattn_status __wrap_cla_cpu_attention(cla_cpu *cpu, const cla_attn *p, const int *t);

/* ROWS=192 is the planted part of the space; BK says which crime. */
static int crime_of(const int *t)
{
    const char *planted = getenv("PLANTED");
    const int crime = planted ? atoi(planted) : HONEST;
    return crime == SLEEPS || t[CLA_NATIVE_ROWS] == 192 ? crime : HONEST;
}

static void nap(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

clattn_status __wrap_cla_cpu_attention(cla_cpu *cpu, const cla_attn *p, const int *t)
{
    static int calls;
    float *o = CLA_AT(float, p->o);
    const int crime = crime_of(t);
    if (crime == WRONG) { /* faster than any honest one */
        memset(o, 0, (size_t)p->o.span * sizeof *o);
        return CLATTN_OK;
    }
    if (crime == CRASHES)
        abort();
    while (crime == HANGS)
        nap(1000);
    if (crime == SLEEPS)
        nap(5);
    const cla_attn_sizes sizes = cla_native_sizes(t);
    const clattn_status s = __real_cla_cpu_attention(cpu, p, t);
    if (crime == UNWRITTEN)
        memset(&o[p->o.span - 1], 0xff, sizeof *o);
    if (crime == STRAY)
        o[p->o.span] = 0;
    if (crime == BEHIND) /* its workspace, which ends at a multiple of 16 floats */
        CLA_AT(float, p->work)[(cla_layout_of(p, &sizes).total + 15) / 16 * 16] = 0;
    if (crime == UNSTABLE)
        o[0] += 1e-7f * (float)++calls;
    return s;
}

/* ---- helpers ---- */

typedef struct job {
    clattn_ctx *ctx;
    clattn_buffer *buffer[4];
    clattn_plan *plan;
} job;

static void job_open(job *j, int threads)
{
    const int64_t q[] = { 1, 2, 40, 16 }, k[] = { 1, 2, 300, 16 };
    clattn_tensor t[4];
    OK(NULL,
       clattn_ctx_create(clattn_ctx_params(.device = "cpu", .num_threads = threads), &j->ctx));
    for (int i = 0; i < 4; i++) {
        const int64_t *shape = i == 0 || i == 3 ? q : k;
        OK(j->ctx, clattn_buffer_create(j->ctx, (size_t)(2 * shape[2] * 16) * 4, &j->buffer[i]));
        t[i] = clattn_tensor_of_buffer(j->buffer[i], CLATTN_F32, 4, shape);
    }
    OK(j->ctx,
       clattn_plan_attention(
           j->ctx, clattn_attention_params(.q = t[0], .k = t[1], .v = t[2], .o = t[3]), &j->plan));
}

static void job_close(job *j)
{
    clattn_plan_destroy(&j->plan);
    for (int i = 0; i < 4; i++)
        clattn_buffer_destroy(&j->buffer[i]);
    clattn_ctx_destroy(&j->ctx);
}

static clattn_tune_report tune(job *j, struct clattn_tune_params *p)
{
    clattn_tune_report report;
    p->struct_size = sizeof *p;
    OK(j->ctx, clattn_plan_tune(j->plan, p, &report));
    return report;
}

/* Nothing in the file is of the planted part. */
static int planted_results(void)
{
    clattn_results *results;
    int n = 0;
    OK(NULL, clattn_results_open(true, &results));
    for (int i = 0; clattn_results_get(results, i); i++)
        n += strstr(clattn_results_get(results, i)->config, "ROWS=192") != NULL;
    clattn_results_close(&results);
    return n;
}

static void forget(void)
{
    clattn_results *results;
    OK(NULL, clattn_results_open(true, &results));
    clattn_results_clear(results, NULL);
    clattn_results_close(&results);
    unsetenv("PLANTED");
}

static void plant(int crime)
{
    char text[16];
    snprintf(text, sizeof text, "%d", crime);
    setenv("PLANTED", text, 1);
}

/* ---- tests ---- */

START_TEST(finds_stores_and_uses)
{
    job j;
    job_open(&j, 1);
    struct clattn_tune_params p = { .effort = CLATTN_EFFORT_QUICK };
    clattn_tune_report r = tune(&j, &p);
    ck_assert_int_gt(r.evals, 0);
    ck_assert_int_eq(r.rejected, 0);
    ck_assert_double_gt(r.best_us, 0);
    ck_assert_double_ge(r.default_us * 1.0001, r.best_us);
    ck_assert_str_eq(r.kernel, "attn_native");
    r = tune(&j, &p); /* as good as before: nothing is timed */
    ck_assert_int_eq(r.end, CLATTN_TUNE_STORED);
    ck_assert_int_eq(r.samples, 0);
    job_close(&j);

    clattn_plan_info info;
    job_open(&j, 1); /* another context finds it in the file */
    OK(j.ctx, clattn_plan_describe(j.plan, &info));
    ck_assert_str_eq(info.origin, "tuned");
    ck_assert_str_eq(info.config, r.config);
    job_close(&j);
    forget();
}
END_TEST

/* Wrong in five ways, in this process and in a worker: put aside, never stored. */
START_TEST(the_wrong_are_put_aside)
{
    for (int in_worker = 0; in_worker < 2; in_worker++) {
        job j;
        plant(_i);
        job_open(&j, 1);
        struct clattn_tune_params p = { .effort = CLATTN_EFFORT_EXHAUSTIVE, .max_seconds = 120 };
        p.worker = in_worker ? self : NULL;
        p.worker_argument = "worker";
        const clattn_tune_report r = tune(&j, &p);
        ck_assert_int_eq(r.rejected, r.legal / 3);
        ck_assert_int_eq(r.quarantined, r.rejected);
        ck_assert_ptr_null(strstr(r.config, "ROWS=192"));
        ck_assert_int_eq(planted_results(), 0);
        job_close(&j);
        forget();
    }
}
END_TEST

/*
 * Candidates that end or block their process: the search goes on, one worker after the other. A
 * third of the space is like that, so among so many there are some.
 */
START_TEST(the_deadly_are_put_aside)
{
    job j;
    plant(_i);
    job_open(&j, 1);
    struct clattn_tune_params p = {
        .max_evals = 12, .worker = self, .worker_argument = "worker", .worker_seconds = 0.5
    };
    const clattn_tune_report r = tune(&j, &p);
    ck_assert_int_gt(r.quarantined, 0);
    ck_assert_int_gt(r.evals, r.quarantined);
    ck_assert_double_gt(r.best_us, 0);
    ck_assert_ptr_null(strstr(r.config, "ROWS=192"));
    ck_assert_int_eq(planted_results(), 0);
    job_close(&j);
    forget();
}
END_TEST

static bool stop_after(void *user, const clattn_tune_status *status)
{
    return status->evals < *(int *)user;
}

START_TEST(goes_on_where_it_was)
{
    job j;
    int evals = 5;
    job_open(&j, 1);
    struct clattn_tune_params p = { .effort = CLATTN_EFFORT_EXHAUSTIVE,
                                    .max_seconds = 60,
                                    .progress = stop_after,
                                    .user = &evals };
    clattn_tune_report r = tune(&j, &p);
    ck_assert_int_eq(r.end, CLATTN_TUNE_STOPPED);
    ck_assert_int_eq(r.evals, 5);
    ck_assert_double_gt(r.best_us, 0);
    job_close(&j);
    job_open(&j, 1);
    evals = 1000;
    r = tune(&j, &p);
    ck_assert_int_eq(r.known, 5);
    ck_assert_int_eq(r.evals, r.legal - 5);
    ck_assert_int_eq(r.end, CLATTN_TUNE_COMPLETE);
    job_close(&j);
    forget();
}
END_TEST

/* This program again, as another process. */
static pid_t run_self(const char *argument)
{
    const pid_t pid = fork();
    if (pid == 0) {
        execl(self, self, argument, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_gt(pid, 0);
    return pid;
}

/* A tuner that is killed at a random moment. */
static void run_and_kill(long ms)
{
    const pid_t pid = run_self("tune");
    nap(ms);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static int run_tuner(void)
{
    job j;
    job_open(&j, 1);
    struct clattn_tune_params p = { .effort = CLATTN_EFFORT_EXHAUSTIVE };
    tune(&j, &p);
    job_close(&j);
    return 0;
}

/* After kills: nothing is broken, and what was timed before was not lost. */
static clattn_tune_report tune_to_the_end(void)
{
    job j;
    unsetenv("PLANTED");
    job_open(&j, 1);
    struct clattn_tune_params p = { .effort = CLATTN_EFFORT_EXHAUSTIVE, .max_seconds = 60 };
    const clattn_tune_report r = tune(&j, &p);
    ck_assert_int_eq(r.end, CLATTN_TUNE_COMPLETE);
    ck_assert_str_eq(r.note, "");
    ck_assert_int_gt(r.known, 0);
    job_close(&j);
    forget();
    return r;
}

START_TEST(survives_being_killed)
{
    plant(SLEEPS);
    for (int i = 0; i < 4; i++)
        run_and_kill(400 + (long)(suite_seed() * 7919 * (uint64_t)(i + 1) % 1000));
    const clattn_tune_report r = tune_to_the_end();
    ck_assert_int_le(48 - r.legal, 2); /* put aside is what ran at two kills, no more */
}
END_TEST

/* Tunes when nobody else does, and uses what there is, for a while. */
static int run_rival(void)
{
    const double end = cla_seconds() + RIVAL_SECONDS;
    while (cla_seconds() < end) {
        job j;
        clattn_plan_info info;
        job_open(&j, 1);
        const clattn_status s = clattn_plan_tune(
            j.plan, clattn_tune_params(.effort = CLATTN_EFFORT_EXHAUSTIVE, .max_seconds = 0.1),
            NULL);
        const bool good = (s == CLATTN_OK || strstr(clattn_error(j.ctx), "another process"))
                          && clattn_plan_describe(j.plan, &info) == CLATTN_OK
                          && clattn_plan_run(j.plan) == CLATTN_OK;
        if (!good)
            fprintf(stderr, "%s\n", clattn_error(j.ctx));
        job_close(&j);
        if (!good)
            return 1;
    }
    return 0;
}

/* Many at once, and half of them are killed at any moment: nobody fails, and nothing is broken. */
START_TEST(rivals_and_kills)
{
    pid_t pids[RIVALS];
    plant(SLEEPS);
    for (int i = 0; i < RIVALS; i++)
        pids[i] = run_self("rival");
    for (int i = 0; i < RIVALS; i += 2) {
        nap((long)(suite_seed() * 7919 * (uint64_t)(i + 1) % 200));
        kill(pids[i], SIGKILL);
    }
    for (int i = 0; i < RIVALS; i++) {
        int status;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_msg(i % 2 == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0),
                      "process %d: status 0x%x", i, (unsigned)status);
    }
    tune_to_the_end();
}
END_TEST

/* A context of more effort tunes by itself, once. */
START_TEST(tunes_at_first_use)
{
    const clattn_effort efforts[] = { CLATTN_EFFORT_QUICK, CLATTN_EFFORT_QUICK, CLATTN_EFFORT_OFF };
    static const char *const origins[] = { "tuned", "tuned", "estimate" };
    for (int i = 0; i < 3; i++) {
        clattn_ctx *ctx;
        clattn_plan *plan;
        clattn_plan_info info;
        float x[2 * 30 * 8] = { 0 }, o[2 * 30 * 8];
        const int64_t shape[] = { 1, 2, 30, 8 };
        const clattn_tensor t = clattn_tensor_of_host(x, CLATTN_F32, 4, shape);
        OK(NULL,
           clattn_ctx_create(
               clattn_ctx_params(.device = "cpu", .num_threads = 1, .effort = efforts[i]), &ctx));
        const struct clattn_attention_params *p =
            clattn_attention_params(.q = t, .k = t, .v = t,
                                    .o = clattn_tensor_of_host(o, CLATTN_F32, 4, shape));
        OK(ctx, clattn_attention(ctx, p));
        OK(ctx, clattn_plan_attention(ctx, p, &plan));
        OK(ctx, clattn_plan_describe(plan, &info));
        ck_assert_str_eq(info.origin, origins[i]);
        clattn_plan_destroy(&plan);
        clattn_ctx_destroy(&ctx);
    }
    forget();
}
END_TEST

START_TEST(no_worker)
{
    static const char *const paths[] = { "/nonexistent/clattn", "/bin/true", "/bin/cat" };
    for (int i = 0; i < 3; i++) {
        job j;
        job_open(&j, 1);
        ck_assert_int_eq(
            clattn_plan_tune(j.plan,
                             clattn_tune_params(.worker = paths[i], .worker_seconds = 0.1,
                                                .again = true),
                             NULL),
            CLATTN_ERR_DEVICE);
        ck_assert_ptr_nonnull(strstr(clattn_error(j.ctx), paths[i]));
        job_close(&j);
    }
}
END_TEST

START_TEST(refuses)
{
    job j;
    job_open(&j, 1);
    ck_assert_int_eq(clattn_plan_tune(NULL, NULL, NULL), CLATTN_ERR_ARG);
#define BAD(words, ...)                                                                    \
    FAILS(j.ctx, ERR_ARG, words, clattn_plan_tune(j.plan, clattn_tune_params(__VA_ARGS__), NULL))
    BAD("effort is 9", .effort = 9);
    BAD("effort is -1", .effort = CLATTN_EFFORT_OFF);
    BAD("a limit is negative", .max_evals = -1);
    BAD("a limit is negative or NaN|nan", .max_seconds = (double)NAN);
    BAD("a limit is negative|-2 s", .worker_seconds = -2);
#undef BAD
    FAILS(j.ctx, ERR_ARG, "info is NULL", clattn_ctx_cache(j.ctx, NULL));
    job_close(&j);
}
END_TEST

/* Plans of nothing, and of what is no operation of its own. */
START_TEST(nothing_to_tune)
{
    static float x[4];
    static const int64_t none[] = { 1, 1, 0, 4 }, one[] = { 1, 1, 1, 4 };
    static const int64_t row[] = { 1, 1, 2 }, heads[] = { 1, 2, 2 }, out[] = { 2, 2 };
    const clattn_tensor q = clattn_tensor_of_host(x, CLATTN_F32, 4, none);
    const clattn_tensor k = clattn_tensor_of_host(x, CLATTN_F32, 4, one);
    const clattn_projection_part part = { .w = clattn_tensor_of_host(x, CLATTN_F32, 3, heads) };
    clattn_ctx *ctx;
    clattn_plan *plan;

    OK(NULL, clattn_ctx_create(clattn_ctx_params(.device = "cpu"), &ctx));
    OK(ctx, clattn_plan_attention(ctx, clattn_attention_params(.q = q, .k = k, .v = k, .o = q),
                                  &plan));
    FAILS(ctx, ERR_UNSUPPORTED, "attention|launches nothing", clattn_plan_tune(plan, NULL, NULL));
    clattn_plan_destroy(&plan);
    float y[2];
    OK(ctx, clattn_plan_layer(
                ctx, clattn_layer_params(.x = clattn_tensor_of_host(x, CLATTN_F32, 3, row),
                                         .q = part, .k = part, .v = part,
                                         .out = { .w = clattn_tensor_of_host(x, CLATTN_F32, 2, out),
                                                  .y = clattn_tensor_of_host(y, CLATTN_F32, 3, row)
                                         }), &plan));
    FAILS(ctx, ERR_UNSUPPORTED, "layer|no check for it", clattn_plan_tune(plan, NULL, NULL));
    clattn_plan_destroy(&plan);
    clattn_ctx_destroy(&ctx);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tune");
    TCase *t = tcase_create("tune");
    tcase_add_test(t, finds_stores_and_uses);
    tcase_add_loop_test(t, the_wrong_are_put_aside, WRONG, UNSTABLE + 1);
    tcase_add_loop_test(t, the_deadly_are_put_aside, CRASHES, HANGS + 1);
    tcase_add_test(t, goes_on_where_it_was);
    tcase_add_test(t, survives_being_killed);
    tcase_add_test(t, rivals_and_kills);
    tcase_add_test(t, tunes_at_first_use);
    tcase_add_test(t, no_worker);
    tcase_add_test(t, refuses);
    tcase_add_test(t, nothing_to_tune);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "worker") == 0)
        return clattn_tune_worker();
    if (argc == 2 && strcmp(argv[1], "tune") == 0)
        return run_tuner();
    if (argc == 2 && strcmp(argv[1], "rival") == 0)
        return run_rival();
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    suite_begin();
    return suite_run(suite());
}
