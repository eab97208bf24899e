/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the configurations of one kernel. */
#ifndef TEST_KERNEL_WALK_H
#define TEST_KERNEL_WALK_H

#include "kernel_run.h"

/* Runs a problem in one configuration and checks the result. */
typedef void (*kernel_check)(void *user, const cla_kernel *kernel, const void *problem,
                             const int *t);

/* What a walk covers: several processes may share it, "PROGRAM PART PARTS" with parts from 1. */
typedef struct kernel_walk_scope {
    const cla_kernel **kernels; /* of this device; free() */
    int count, part, parts;
} kernel_walk_scope;

/* What every such program begins with; ends it when there is no device. */
kernel_walk_scope kernel_walk_begin(int argc, char **argv);

int kernel_num_configs(const cla_kernel *kernel);

/*
 * Every how manieth configuration to take for about this many. A prime above the number of choices
 * of a tunable divides no period of the walk: each value of each tunable turns up.
 */
int kernel_config_step(int configs, int wanted);

/* Every step-th configuration from the first, of those that are legal. Returns how many ran. */
int kernel_walk(const cla_kernel *kernel, const void *problem, int first, int step,
                kernel_check check, void *user);

/* The configuration that the dispatcher chooses. */
void kernel_walk_default(const cla_kernel *kernel, const void *problem, kernel_check check,
                         void *user);

#endif
