/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "dispatch.h"
#include "suite.h"

const kernel_way kernel_walk_all = { .kind = WALK_ALL, .part = 1, .parts = 1 };
const kernel_way kernel_walk_default = { .kind = WALK_DEFAULT };

/* A problem, and the configurations of its kernel. */
typedef struct walk {
    const kernel_task *task;
    union {
        char bytes[CLA_MAX_PROBLEM];
        int64_t align;
    } problem;
} walk;

static bool is_legal(const walk *w, const int *t)
{
    return cla_kernel_legal(w->task->kernel, &suite_ctx()->dev, w->problem.bytes, t);
}

static void check(const walk *w, const int *t)
{
    const kernel_task *task = w->task;
    char config[256];

    cla_config_text(task->kernel, t, config, sizeof config);
    compare_label("%s %s on \"%s\"", task->kernel->name, config, task->name);
    task->check(task->run, task->kernel, w->problem.bytes, t);
}

/* Which choice of each tunable a configuration has made. */
static void choices_of(const cla_kernel *kernel, const int *t, int *choice, int *count)
{
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++) {
        const cla_tunable *tunable = &kernel->tunables[i];
        for (count[i] = 0; count[i] < CLA_MAX_CHOICES && tunable->choices[count[i]]; count[i]++)
            if (tunable->choices[count[i]] == t[i])
                choice[i] = count[i];
    }
}

/* The number of the program, among those of all choices. */
static int program_of(const cla_kernel *kernel, const int *t)
{
    int choice[CLA_MAX_TUNABLES], count[CLA_MAX_TUNABLES], number = 0, stride = 1;

    choices_of(kernel, t, choice, count);
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++) {
        if (kernel->tunables[i].run_time)
            continue;
        number += stride * choice[i];
        stride *= count[i];
    }
    return number;
}

static int walk_all(const walk *w, const kernel_way *way)
{
    const cla_kernel *kernel = w->task->kernel;
    int t[CLA_MAX_TUNABLES], ran = 0;

    cla_config_first(kernel, t);
    do {
        if (program_of(kernel, t) % way->parts != way->part - 1 || !is_legal(w, t))
            continue;
        check(w, t);
        ran++;
    } while (cla_config_next(kernel, t));
    return ran;
}

/* Bit c of seen[i]: choice c of tunable i has run. Adds a configuration, counts what is new. */
static int see(const cla_kernel *kernel, const int *t, unsigned *seen)
{
    int choice[CLA_MAX_TUNABLES], count[CLA_MAX_TUNABLES], fresh = 0;

    choices_of(kernel, t, choice, count);
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++) {
        fresh += !(seen[i] & 1u << choice[i]);
        seen[i] |= 1u << choice[i];
    }
    return fresh;
}

/* A legal configuration with as many values not seen yet as any; false: all have been. */
static bool find_fresh(const walk *w, const unsigned *seen, test_rng *rng, int *best)
{
    const cla_kernel *kernel = w->task->kernel;
    int t[CLA_MAX_TUNABLES], most = 0, equals = 0;

    cla_config_first(kernel, t);
    do {
        unsigned copy[CLA_MAX_TUNABLES];
        memcpy(copy, seen, sizeof copy);
        const int fresh = see(kernel, t, copy);
        if (fresh == 0 || fresh < most || !is_legal(w, t))
            continue;
        equals = fresh > most ? 1 : equals + 1;
        most = fresh;
        if (rng_below(rng, equals) == 0)
            memcpy(best, t, sizeof t);
    } while (cla_config_next(kernel, t));
    return most > 0;
}

static int walk_cover(const walk *w, int turn)
{
    unsigned seen[CLA_MAX_TUNABLES] = { 0 };
    test_rng rng = { suite_seed() + (uint64_t)turn };
    int t[CLA_MAX_TUNABLES], ran = 0;

    for (; find_fresh(w, seen, &rng, t); ran++) {
        see(w->task->kernel, t, seen);
        check(w, t);
    }
    return ran;
}

static int walk_default(const walk *w)
{
    const cla_pin pin = { w->task->kernel->name, NULL };
    clattn_ctx *ctx = suite_ctx();
    cla_choice choice;

    OK(ctx, cla_dispatch(ctx, "walk", w->task->kernel->stage, w->problem.bytes, &pin, &choice));
    check(w, choice.t);
    return 1;
}

int kernel_walk(const kernel_task *task, kernel_way way)
{
    walk w = { .task = task };

    compare_label("%s on \"%s\"", task->kernel->name, task->name);
    if (!kernel_problem(suite_ctx(), task->kernel, task->params, w.problem.bytes))
        return 0;
    if (way.kind == WALK_COVER && cla_kernel_is_native(task->kernel))
        way = kernel_walk_all;
    return way.kind == WALK_ALL     ? walk_all(&w, &way)
           : way.kind == WALK_COVER ? walk_cover(&w, way.turn)
                                    : walk_default(&w);
}

int kernel_walk_main(int argc, char **argv, unsigned stages, kernel_walk_scope *scope,
                     Suite *(*make)(void))
{
    suite_begin();
    suite_need_device();
    *scope = (kernel_walk_scope){ kernels_of_device(stages), kernel_walk_all };
    if (argc == 3) {
        scope->all.part = atoi(argv[1]);
        scope->all.parts = atoi(argv[2]);
    }
    if (scope->all.part < 1 || scope->all.part > scope->all.parts)
        suite_bail_out(argv[0], "not a part of parts");
    return suite_run(make());
}

bool kernel_walk_mine(const kernel_walk_scope *scope, int i)
{
    return i % scope->all.parts == scope->all.part - 1;
}

void kernel_walk_report(const kernel_walk_scope *scope, const cla_kernel *kernel, int ran)
{
    int t[CLA_MAX_TUNABLES], programs = 0;

    cla_config_first(kernel, t);
    do
        if (program_of(kernel, t) >= programs)
            programs = program_of(kernel, t) + 1;
    while (cla_config_next(kernel, t));
    ck_assert_msg(ran > 0 || programs < scope->all.parts, "%s has no legal configuration here",
                  kernel->name);
    printf("# %s: %d programs, %d runs in part %d of %d\n", kernel->name, programs, ran,
           scope->all.part, scope->all.parts);
}
