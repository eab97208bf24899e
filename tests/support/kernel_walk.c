/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "dispatch.h"
#include "suite.h"

const kernel_way kernel_walk_pairs = { .kind = WALK_PAIRS, .part = 1, .parts = 1 };
const kernel_way kernel_walk_default = { .kind = WALK_DEFAULT, .part = 1, .parts = 1 };

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

/* Which of its choices a tunable has; count: of all choices. */
static int choice_of(const cla_tunable *tunable, int value, int *count)
{
    int choice = 0;

    for (*count = 0; *count < CLA_MAX_CHOICES && tunable->choices[*count]; (*count)++)
        if (tunable->choices[*count] == value)
            choice = *count;
    return choice;
}

/* The number of the program of a configuration, and of programs of all choices. */
static int program_of(const cla_kernel *kernel, const int *t, int *programs)
{
    int number = 0, count;

    *programs = 1;
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++) {
        if (kernel->tunables[i].run_time)
            continue;
        number += *programs * choice_of(&kernel->tunables[i], t[i], &count);
        *programs *= count;
    }
    return number;
}

/* Which compiled choices of two tunables have met; of one alone beside itself. */
typedef struct met {
    bool any, pair[CLA_MAX_TUNABLES][CLA_MAX_TUNABLES][CLA_MAX_CHOICES][CLA_MAX_CHOICES];
} met;

/* Adds those of a configuration; returns how many had not met. */
static int meet(met *m, const cla_kernel *kernel, kernel_walk_kind kind, const int *t)
{
    int fresh = !m->any, count;

    m->any = true;
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++)
        for (int j = kind == WALK_PAIRS ? 0 : i; j <= i; j++) {
            const cla_tunable *a = &kernel->tunables[i], *b = &kernel->tunables[j];
            if (a->run_time || b->run_time)
                continue;
            bool *pair = &m->pair[i][j][choice_of(a, t[i], &count)][choice_of(b, t[j], &count)];
            fresh += !*pair;
            *pair = true;
        }
    return fresh;
}

/* The programs of a kernel, in the order in which they were chosen. */
typedef struct order {
    const cla_kernel *kernel;
    int count, *number; /* of each program, from 1; 0: not chosen */
} order;

/*
 * Problems that follow each other in walks over pairs go on with one order: what one has built the
 * next can have again.
 */
static order *order_of(const walk *w, const kernel_way *way, int programs)
{
    static order last;
    const cla_kernel *kernel = way->kind == WALK_PAIRS ? w->task->kernel : NULL;

    if (!kernel || last.kernel != kernel) {
        free(last.number);
        last = (order){ kernel, 0, memory_alloc((size_t)programs * sizeof *last.number) };
    }
    return &last;
}

/*
 * A legal configuration that brings as many together as any; false: there is nothing left. again:
 * of the programs of an order alone.
 */
static bool find_fresh(const walk *w, kernel_walk_kind kind, const met *so_far, test_rng *rng,
                       const order *again, int *best)
{
    const cla_kernel *kernel = w->task->kernel;
    int t[CLA_MAX_TUNABLES], most = 0, equals = 0, programs;

    cla_config_first(kernel, t);
    do {
        met m = *so_far;
        if (again && !again->number[program_of(kernel, t, &programs)])
            continue;
        const int fresh = meet(&m, kernel, kind, t);
        if (fresh == 0 || fresh < most || !is_legal(w, t))
            continue;
        equals = fresh > most ? 1 : equals + 1;
        most = fresh;
        if (rng_below(rng, equals) == 0)
            memcpy(best, t, sizeof t);
    } while (cla_config_next(kernel, t));
    return most > 0;
}

static bool wants_all(const cla_kernel *kernel)
{
    const char *wish = getenv("CLATTN_TEST_WALK");

    if (wish && strcmp(wish, "pairs") == 0)
        return false;
    return cla_kernel_is_native(kernel) || (wish && strcmp(wish, "all") == 0);
}

/* Marks the programs of this way, by their numbers. */
static void choose(const walk *w, const kernel_way *way, bool *chosen, int programs)
{
    const cla_kernel *kernel = w->task->kernel;
    const bool native = cla_kernel_is_native(kernel);
    test_rng rng = { suite_seed() + (uint64_t)way->turn };
    order *o = order_of(w, way, programs);
    met so_far = { 0 };
    int t[CLA_MAX_TUNABLES];

    for (int n = 0; n < programs && wants_all(kernel); n++)
        chosen[n] = native || n % way->parts == way->part - 1;
    while (!wants_all(kernel)
           && (find_fresh(w, way->kind, &so_far, &rng, o, t)
               || find_fresh(w, way->kind, &so_far, &rng, NULL, t))) {
        const int program = program_of(kernel, t, &programs);
        meet(&so_far, kernel, way->kind, t);
        if (!o->number[program])
            o->number[program] = ++o->count;
        chosen[program] = native || o->number[program] % way->parts == way->part % way->parts;
    }
}

static int walk_programs(const walk *w, const kernel_way *way)
{
    const cla_kernel *kernel = w->task->kernel;
    int t[CLA_MAX_TUNABLES], programs, ran = 0;

    cla_config_first(kernel, t);
    program_of(kernel, t, &programs);
    bool *chosen = memory_alloc((size_t)programs);
    choose(w, way, chosen, programs);
    do {
        if (!chosen[program_of(kernel, t, &programs)] || !is_legal(w, t))
            continue;
        check(w, t);
        ran++;
    } while (cla_config_next(kernel, t));
    free(chosen);
    return ran;
}

/* Pinned, a kernel for GPUs takes tiles on a CPU that its compiler works on for ten seconds. */
static int walk_default(const walk *w)
{
    const cla_kernel *kernel = w->task->kernel;
    const cla_pin none = { NULL, NULL }, pin = { kernel->name, NULL };
    clattn_ctx *ctx = suite_ctx();
    cla_choice choice;
    int safe[CLA_MAX_TUNABLES];

    OK(ctx, cla_dispatch(ctx, "walk", kernel->stage, w->problem.bytes, &none, &choice));
    cla_kernel_safe_config(kernel, safe);
    if (choice.kernel == kernel) {
        check(w, choice.t);
    } else if (is_legal(w, safe)) {
        check(w, safe);
    } else {
        OK(ctx, cla_dispatch(ctx, "walk", kernel->stage, w->problem.bytes, &pin, &choice));
        check(w, choice.t);
    }
    return 1;
}

int kernel_walk(const kernel_task *task, kernel_way way)
{
    walk w = { .task = task };

    compare_label("%s on \"%s\"", task->kernel->name, task->name);
    if (!kernel_problem(suite_ctx(), task->kernel, task->params, w.problem.bytes))
        return 0;
    return way.kind == WALK_DEFAULT ? walk_default(&w) : walk_programs(&w, &way);
}

int kernel_walk_main(int argc, char **argv, unsigned stages, kernel_walk_scope *scope,
                     Suite *(*make)(void))
{
    suite_begin();
    suite_need_device();
    *scope = (kernel_walk_scope){ kernels_of_device(stages), kernel_walk_pairs };
    if (argc == 3) {
        scope->pairs.part = atoi(argv[1]);
        scope->pairs.parts = atoi(argv[2]);
    }
    if (scope->pairs.part < 1 || scope->pairs.part > scope->pairs.parts)
        suite_bail_out(argv[0], "not a part of parts");
    return suite_run(make());
}

kernel_way kernel_walk_share(kernel_walk_kind kind, int i, int shares)
{
    return (kernel_way){ kind, 1 + i % shares, shares, i / shares };
}

bool kernel_walk_mine(const kernel_walk_scope *scope, int i)
{
    return i % scope->pairs.parts == scope->pairs.part - 1;
}

void kernel_walk_report(const kernel_walk_scope *scope, const cla_kernel *kernel, int ran)
{
    int t[CLA_MAX_TUNABLES], programs;

    cla_config_first(kernel, t);
    program_of(kernel, t, &programs);
    ck_assert_msg(ran > 0 || programs < scope->pairs.parts, "%s has no legal configuration here",
                  kernel->name);
    printf("# %s: %d programs, %d runs in part %d of %d\n", kernel->name, programs, ran,
           scope->pairs.part, scope->pairs.parts);
}
