/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry walk of linear attention: every kernel of this device against the double reference.
 * Every shape and every value that is compiled in costs a build. So all pairs of values of tunables
 * run on one shape, every value on another kind of problem, and the dispatcher's choice on all.
 */
#include <stdlib.h>

#include "compare.h"
#include "kernel_walk.h"
#include "linear_case.h"
#include "suite.h"

static kernel_walk_scope scope;

/* Widths with tails in every vector and tile; lengths around chunks and segments. */
#define WALK .D = 24, .Dv = 40, .causal = true, .state_in = true, .state_out = true

/* The first two, which share programs, for all pairs; the others share all values. */
static const linear_spec config_shapes[] = {
    { WALK, .name = "elu1, several segments", .B = 1, .Hq = 2, .Hk = 1, .Nq = 291, .Nk = 291,
      .map = CLATTN_MAP_ELU1 },
    { WALK, .name = "elu1, one row", .B = 2, .Hq = 2, .Hk = 1, .Nq = 1, .Nk = 1,
      .map = CLATTN_MAP_ELU1 },
    { .D = 24, .Dv = 40, .name = "relu, full", .B = 1, .Hq = 2, .Hk = 1, .Nq = 75, .Nk = 290,
      .map = CLATTN_MAP_RELU },
    { .D = 10, .Dv = 24, .name = "poly2, causal", .B = 1, .Hq = 2, .Hk = 2, .Nq = 139, .Nk = 139,
      .map = CLATTN_MAP_POLY2, .causal = true, .form = CLATTN_FORM_LINEAR },
};

static const int lens[] = { 33, 0, 1, 140, 64 }, lens_k[] = { 5, 70, 0, 129, 64 };

/* Each of these is compiled anew. */
static const linear_spec shapes[] = {
    { .name = "one", .B = 1, .Hq = 1, .Hk = 1, .Nq = 1, .Nk = 1, .D = 1, .Dv = 1,
      .map = CLATTN_MAP_EXP, .form = CLATTN_FORM_LINEAR },
    { .name = "poly2 of D 1", .B = 1, .Hq = 2, .Hk = 1, .Nq = 35, .Nk = 35, .D = 1, .Dv = 3,
      .map = CLATTN_MAP_POLY2, .causal = true, .form = CLATTN_FORM_LINEAR, .state_out = true },
    { .name = "D 64, causal, f16", .B = 2, .Hq = 4, .Hk = 2, .Nq = 130, .Nk = 130, .D = 64,
      .Dv = 64, .in = CLATTN_F16, .map = CLATTN_MAP_ELU1, .causal = true,
      .form = CLATTN_FORM_LINEAR },
    { .name = "D 64, full, bf16 to f32, padded", .B = 2, .Hq = 4, .Hk = 4, .Nq = 70, .Nk = 257,
      .D = 64, .Dv = 64, .in = CLATTN_BF16, .out = CLATTN_F32, .map = CLATTN_MAP_EXP,
      .form = CLATTN_FORM_LINEAR, .state_in = true, .state_out = true, .layout = LAYOUT_PADDED },
    { .name = "D 128, identity, unnormalized", .B = 1, .Hq = 2, .Hk = 1, .Nq = 200, .Nk = 200,
      .D = 128, .Dv = 128, .causal = true, .unnormalized = true, .form = CLATTN_FORM_LINEAR,
      .layout = LAYOUT_BNHD },
    { .name = "quadratic, causal", .B = 2, .Hq = 4, .Hk = 2, .Nq = 139, .Nk = 139, .D = 40,
      .Dv = 24, .map = CLATTN_MAP_ELU1, .causal = true, .form = CLATTN_FORM_QUADRATIC },
    { .name = "quadratic poly2, full, f16", .B = 1, .Hq = 2, .Hk = 1, .Nq = 67, .Nk = 150, .D = 48,
      .Dv = 20, .in = CLATTN_F16, .map = CLATTN_MAP_POLY2, .scale = 0.25f, .c = 0.5f,
      .form = CLATTN_FORM_QUADRATIC },
    { .name = "poly2, D 40", .B = 1, .Hq = 2, .Hk = 1, .Nq = 300, .Nk = 300, .D = 40, .Dv = 65,
      .map = CLATTN_MAP_POLY2, .scale = 0.2f, .causal = true, .form = CLATTN_FORM_LINEAR,
      .state_in = true, .state_out = true },
    { .name = "homogeneous, full, in place", .B = 2, .Hq = 2, .Hk = 2, .Nq = 9, .Nk = 41, .D = 17,
      .Dv = 16, .map = CLATTN_MAP_POLY2, .homogeneous = true, .state_in = true, .state_out = true,
      .in_place = true },
    { .name = "ragged, causal", .B = 5, .Hq = 4, .Hk = 2, .D = 32, .Dv = 24, .lens_q = lens,
      .lens_k = lens, .map = CLATTN_MAP_ELU1, .causal = true, .state_in = true, .state_out = true,
      .form = CLATTN_FORM_LINEAR },
    { .name = "ragged, full, bf16", .B = 5, .Hq = 2, .Hk = 1, .D = 20, .Dv = 32, .lens_q = lens,
      .lens_k = lens_k, .in = CLATTN_BF16, .map = CLATTN_MAP_RELU, .state_out = true },
    { .name = "ragged, quadratic", .B = 5, .Hq = 2, .Hk = 1, .D = 20, .Dv = 32, .lens_q = lens,
      .lens_k = lens_k, .map = CLATTN_MAP_ELU1, .form = CLATTN_FORM_QUADRATIC },
    { .name = "step in place, poly2, f16", .B = 3, .Hq = 6, .Hk = 2, .Nq = 1, .Nk = 1, .D = 20,
      .Dv = 72, .in = CLATTN_F16, .map = CLATTN_MAP_POLY2, .causal = true, .state_in = true,
      .state_out = true, .in_place = true, .scale = 0.3f },
    { .name = "step without a state before", .B = 1, .Hq = 2, .Hk = 2, .Nq = 1, .Nk = 1, .D = 64,
      .Dv = 64, .map = CLATTN_MAP_ELU1, .state_out = true, .layout = LAYOUT_PADDED },
};

static void check_config(void *user, const cla_kernel *kernel, const void *problem, const int *t)
{
    linear_run *run = user;

    linear_run_poison(run);
    kernel_run(suite_ctx(), kernel, problem, t);
    linear_run_check(run);
}

/* Returns how many configurations ran. */
static int check_shape(const cla_kernel *kernel, const linear_spec *spec, kernel_way way)
{
    linear_run run;

    linear_data *data = linear_data_make(spec, suite_seed());
    linear_run_make(&run, suite_ctx(), data);
    const kernel_task task = { kernel, spec->name, &run.params, &run, check_config };
    const int ran = kernel_walk(&task, way);
    linear_run_free(&run);
    linear_data_free(data);
    return ran;
}

START_TEST(configurations)
{
    const cla_kernel *kernel = scope.list.kernel[_i];
    int ran = 0;

    for (int i = 0; i < (int)(sizeof config_shapes / sizeof config_shapes[0]); i++)
        ran += check_shape(kernel, &config_shapes[i],
                           i < 2 ? kernel_walk_pairs : kernel_walk_share(WALK_VALUES, i, 2));
    kernel_walk_report(&scope, kernel, ran);
}
END_TEST

START_TEST(all_shapes)
{
    int ran = 0;

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        ran += check_shape(scope.list.kernel[_i], &shapes[i], kernel_walk_default);
    ck_assert_msg(ran > 0, "%s can do none of the shapes", scope.list.kernel[_i]->name);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("linear_kernels");
    for (int i = 0; i < scope.list.count; i++) {
        TCase *t = tcase_create(scope.list.kernel[i]->name);
        if (kernel_walk_mine(&scope, i)) {
            tcase_add_loop_test(t, configurations, i, i + 1);
            tcase_add_loop_test(t, all_shapes, i, i + 1);
        }
        suite_add_tcase(s, t);
    }
    return s;
}

int main(int argc, char **argv)
{
    return kernel_walk_main(argc, argv, STAGE(LINEAR), &scope, suite);
}
