/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "kernel_walk.h"

#include "dispatch.h"
#include "suite.h"

int kernel_num_configs(const cla_kernel *kernel)
{
    int t[CLA_MAX_TUNABLES], n = 0;
    cla_config_first(kernel, t);
    do
        n++;
    while (cla_config_next(kernel, t));
    return n;
}

int kernel_config_step(int configs, int wanted)
{
    static const int primes[] = { 13, 17, 19, 23, 29, 31, 37, 41, 53, 67, 83, 101 };
    int step = 1;
    for (int i = 0; i < 12 && step * wanted < configs; i++)
        step = primes[i];
    return step;
}

int kernel_walk(const cla_kernel *kernel, const void *problem, int first, int step,
                kernel_check check, void *user)
{
    int t[CLA_MAX_TUNABLES], n = 0, ran = 0;

    cla_config_first(kernel, t);
    do {
        if (n++ % step != first || !cla_kernel_legal(kernel, &suite_ctx()->dev, problem, t))
            continue;
        check(user, kernel, problem, t);
        ran++;
    } while (cla_config_next(kernel, t));
    return ran;
}

void kernel_walk_default(const cla_kernel *kernel, const void *problem, kernel_check check,
                         void *user)
{
    clattn_ctx *ctx = suite_ctx();
    cla_choice choice;
    const cla_pin pin = { kernel->name, NULL };

    OK(ctx, cla_dispatch(ctx, "walk", kernel->stage, problem, &pin, &choice));
    check(user, kernel, problem, choice.t);
}

kernel_walk_scope kernel_walk_begin(int argc, char **argv)
{
    kernel_walk_scope scope = { .part = 1, .parts = 1 };

    suite_begin();
    suite_need_device();
    if (argc == 3) {
        scope.part = atoi(argv[1]);
        scope.parts = atoi(argv[2]);
    }
    scope.kernels = kernels_of_device(suite_ctx());
    while (scope.kernels[scope.count])
        scope.count++;
    return scope;
}
