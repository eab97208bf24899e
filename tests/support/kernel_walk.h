/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the configurations of one kernel. */
#ifndef TEST_KERNEL_WALK_H
#define TEST_KERNEL_WALK_H

#include <check.h>

#include "kernel_run.h"

/* One problem for one kernel, and what runs and checks it in one configuration. */
typedef struct kernel_task {
    const cla_kernel *kernel;
    const char *name;   /* of the problem, for labels */
    const void *params; /* of the operation that the kernel's stage belongs to */
    void *run;          /* for check() */
    void (*check)(void *run, const cla_kernel *kernel, const void *problem, const int *t);
} kernel_task;

/*
 * A program is what configurations share that differ in run-time tunables alone: the driver takes a
 * second or two to build one. A walk runs all legal configurations of those it chooses, and of all
 * programs when CLATTN_TEST_WALK is "all", or kernels are native and it is not "pairs".
 */
typedef enum kernel_walk_kind {
    WALK_PAIRS,   /* as few as have every value of a tunable beside every one of each other */
    WALK_VALUES,  /* as few as have every value of every tunable */
    WALK_DEFAULT, /* the dispatcher's choice alone; where it is of another kernel, the safe one */
} kernel_walk_kind;

typedef struct kernel_way {
    kernel_walk_kind kind;
    int part, parts; /* every parts-th of the chosen programs, from 1; native kernels: all */
    int turn;        /* another turn or seed, another choice */
} kernel_way;

extern const kernel_way kernel_walk_pairs, kernel_walk_default;

/* For the i-th problem of a list, of which so many share the programs out; 1: each has all. */
kernel_way kernel_walk_share(kernel_walk_kind kind, int i, int shares);

/* Returns how many configurations ran: 0 when the kernel cannot do the problem. */
int kernel_walk(const kernel_task *task, kernel_way way);

/* What one of several processes covers, "PROGRAM PART PARTS". */
typedef struct kernel_walk_scope {
    kernel_list list; /* of this device */
    kernel_way pairs; /* the programs of this part */
} kernel_walk_scope;

/* The main program of a walk: fills in the scope, makes the suite, runs it. */
int kernel_walk_main(int argc, char **argv, unsigned stages, kernel_walk_scope *scope,
                     Suite *(*make)(void));

/* Says how many ran of all the kernel's configurations; none is wrong, unless it has few. */
void kernel_walk_report(const kernel_walk_scope *scope, const cla_kernel *kernel, int ran);

/* Is the i-th of things that are dealt out to the parts this part's? */
bool kernel_walk_mine(const kernel_walk_scope *scope, int i);

#endif
