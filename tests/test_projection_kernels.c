/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry walk for projections and rotary embeddings: every kernel of this device against the
 * double reference. A new kernel needs no edit here.
 */
#include <stdlib.h>

#include "compare.h"
#include "kernel_walk.h"
#include "projection_case.h"
#include "rope_case.h"
#include "sample_tile.h"
#include "suite.h"

static kernel_walk_scope scope;

/* Three parts: ragged tiles, tails in M, heads that are no multiple of a vector. */
#define ALL(rotary0, rotary1)                                           \
    .part = { { .H = 3, .K = 22, .rotary = rotary0, .bias = true },     \
              { .H = 1, .K = 40, .rotary = rotary1, .residual = true }, \
              { .H = 2, .K = 5, .bias = true, .in_place = true } }

/* All pairs of values of tunables run on these, which differ in what is not compiled in. */
static const proj_spec config_shapes[] = {
    { .name = "many rows",
      .B = 2,
      .N = 51,
      .M = 77,
      .part = { { .H = 1, .K = 70, .bias = true } },
      .w_layout = W_FLAT,
      .y_layout = Y_PADDED },
    { .name = "one row",
      .B = 1,
      .N = 1,
      .M = 301,
      .part = { { .H = 1, .K = 67, .bias = true } },
      .w_layout = W_PADDED,
      .y_layout = Y_FLAT },
    { .name = "5 rows, aligned",
      .B = 5,
      .N = 1,
      .M = 404,
      .part = { { .H = 1, .K = 19, .bias = true } },
      .y_layout = Y_ROWS },
    { .name = "one", .B = 1, .N = 1, .M = 1, .part = { { .H = 1, .K = 1, .bias = true } } },
};

/* The same where nothing is compiled; configurations may be for some dtypes only. */
static const proj_spec native_config_shapes[] = {
    { .name = "bf16, q, k, v of many rows",
      .B = 2,
      .N = 83,
      .M = 301,
      ALL(CLATTN_ROTARY_NEOX, CLATTN_ROTARY_GPTJ),
      .in = CLATTN_BF16,
      .w_layout = W_FLAT },
    { .name = "bf16, transposed",
      .B = 1,
      .N = 35,
      .M = 75,
      .part = { { .H = 1, .K = 70, .bias = true },
                { .H = 1, .K = 18, .rotary = CLATTN_ROTARY_NEOX } },
      .in = CLATTN_BF16,
      .out = CLATTN_F32,
      .w_layout = W_TRANSPOSED },
    { .name = "i8 by bf16",
      .B = 1,
      .N = 12,
      .M = 270,
      .part = { { .H = 3, .K = 14, .rotary = CLATTN_ROTARY_NEOX } },
      .in = CLATTN_BF16,
      .w = CLATTN_I8 },
    { .name = "i8 by bf16, transposed",
      .B = 1,
      .N = 17,
      .M = 31,
      .part = { { .H = 1, .K = 50 } },
      .in = CLATTN_BF16,
      .w = CLATTN_I8,
      .w_layout = W_TRANSPOSED },
};

/* These run in the dispatcher's choice, and most are compiled anew. */
static const proj_spec shapes[] = {
    { .name = "q, k, v of one row",
      .B = 1,
      .N = 1,
      .M = 150,
      ALL(CLATTN_ROTARY_NEOX, CLATTN_ROTARY_GPTJ),
      .start = 100000,
      .w_layout = W_FLAT },
    { .name = "q, k, v of many rows",
      .B = 2,
      .N = 37,
      .M = 65,
      ALL(CLATTN_ROTARY_GPTJ, CLATTN_ROTARY_NEOX),
      .starts = true,
      .y_layout = Y_BHNK },
    { .name = "q, k, v transposed",
      .B = 2,
      .N = 9,
      .M = 33,
      ALL(CLATTN_ROTARY_NEOX, CLATTN_ROTARY_NONE),
      .start = 3,
      .w_layout = W_TRANSPOSED,
      .in = CLATTN_F16 },
    { .name = "q, k, v scattered",
      .B = 1,
      .N = 5,
      .M = 17,
      ALL(CLATTN_ROTARY_GPTJ, CLATTN_ROTARY_NONE),
      .w_layout = W_SCATTERED,
      .in = CLATTN_BF16,
      .out = CLATTN_F32 },
    { .name = "einsum, neox",
      .B = 2,
      .N = 13,
      .M = 48,
      .w_layout = W_EINSUM,
      .y_layout = Y_BHNK,
      .part = { { .H = 4, .K = 64, .rotary = CLATTN_ROTARY_NEOX, .base = 500, .bias = true } },
      .bias_type = CLATTN_F16,
      .start = 7 },
    { .name = "einsum, gptj, residual",
      .B = 3,
      .N = 1,
      .M = 40,
      .w_layout = W_EINSUM,
      .part = { { .H = 2, .K = 96, .rotary = CLATTN_ROTARY_GPTJ, .residual = true } },
      .residual_type = CLATTN_BF16,
      .starts = true,
      .in = CLATTN_F16 },
    { .name = "transposed, one row",
      .B = 1,
      .N = 1,
      .M = 129,
      .w_layout = W_TRANSPOSED,
      .part = { { .H = 1, .K = 300 } },
      .in = CLATTN_BF16 },
    { .name = "f32 x, f16 w",
      .B = 1,
      .N = 19,
      .M = 64,
      .w = CLATTN_F16,
      .part = { { .H = 2, .K = 64, .in_place = true } } },
    { .name = "bf16 x, f32 w",
      .B = 1,
      .N = 3,
      .M = 50,
      .in = CLATTN_BF16,
      .w = CLATTN_F32,
      .part = { { .H = 1, .K = 33 } } },
    { .name = "q, k, v transposed, one row",
      .B = 1,
      .N = 1,
      .M = 77,
      .part = { { .H = 20, .K = 24, .bias = true },
                { .H = 9, .K = 40, .rotary = CLATTN_ROTARY_GPTJ },
                { .H = 1, .K = 300, .residual = true } },
      .w_layout = W_TRANSPOSED },
    { .name = "i8 transposed, one row",
      .B = 1,
      .N = 1,
      .M = 130,
      .w = CLATTN_I8,
      .w_layout = W_TRANSPOSED,
      .part = { { .H = 1, .K = 600, .rotary = CLATTN_ROTARY_NEOX, .bias = true } } },
    { .name = "i8, one row",
      .B = 1,
      .N = 1,
      .M = 336,
      .w = CLATTN_I8,
      .w_layout = W_FLAT,
      .in = CLATTN_F16,
      .part = { { .H = 1, .K = 67, .bias = true } } },
    { .name = "i8, q, k, v",
      .B = 2,
      .N = 20,
      .M = 47,
      .w = CLATTN_I8,
      ALL(CLATTN_ROTARY_NEOX, CLATTN_ROTARY_GPTJ),
      .start = 11 },
    { .name = "i8 transposed",
      .B = 1,
      .N = 6,
      .M = 31,
      .w = CLATTN_I8,
      .w_layout = W_TRANSPOSED,
      .part = { { .H = 2, .K = 48, .rotary = CLATTN_ROTARY_GPTJ, .bias = true } } },
    { .name = "i8 einsum, neox",
      .B = 1,
      .N = 18,
      .M = 31,
      .w = CLATTN_I8,
      .w_layout = W_EINSUM,
      .part = { { .H = 2, .K = 64, .rotary = CLATTN_ROTARY_NEOX, .bias = true } } },
    { .name = "i8 scattered",
      .B = 1,
      .N = 2,
      .M = 10,
      .w = CLATTN_I8,
      .w_layout = W_SCATTERED,
      .part = { { .H = 3, .K = 7 } } },
    { .name = "i4, one row",
      .B = 1,
      .N = 1,
      .M = 352,
      .w = CLATTN_I4,
      .w_layout = W_FLAT,
      .in = CLATTN_F16,
      .part = { { .H = 1, .K = 67, .bias = true } } },
    { .name = "i4, 7 rows, f16 scales",
      .B = 7,
      .N = 1,
      .M = 96,
      .w = CLATTN_I4,
      .scale_type = CLATTN_F16,
      .w_layout = W_PADDED,
      ALL(CLATTN_ROTARY_NEOX, CLATTN_ROTARY_GPTJ) },
    { .name = "i4, many rows",
      .B = 1,
      .N = 45,
      .M = 64,
      .w = CLATTN_I4,
      .in = CLATTN_BF16,
      .part = { { .H = 2, .K = 32 } } },
    { .name = "f16",
      .B = 1,
      .N = 70,
      .M = 200,
      .in = CLATTN_F16,
      .w_layout = W_FLAT,
      .part = { { .H = 1, .K = 130 } } },
    { .name = "f16, 16 rows",
      .B = 16,
      .N = 1,
      .M = 200,
      .in = CLATTN_F16,
      .w_layout = W_FLAT,
      .part = { { .H = 1, .K = 130 } } },
    { .name = "bf16, deep",
      .B = 1,
      .N = 26,
      .M = 1100,
      .in = CLATTN_BF16,
      .w_layout = W_FLAT,
      .part = { { .H = 1, .K = 33 } } },
    { .name = "bf16, more rows than are packed at once",
      .B = 1,
      .N = 1100,
      .M = 8192,
      .part = { { .H = 1, .K = 1 } },
      .in = CLATTN_BF16 },
};

static void check_config(void *user, const cla_kernel *kernel, const void *problem, const int *t)
{
    proj_run *run = user;

    proj_run_poison(run);
    kernel_run(suite_ctx(), kernel, problem, t);
    proj_run_check(run);
}

/* Returns how many configurations ran. */
static int check_shape(const cla_kernel *kernel, const proj_spec *spec, kernel_way way)
{
    proj_run run;

    proj_data *data = proj_data_make(spec, suite_seed());
    proj_run_make(&run, suite_ctx(), data);
    const kernel_task task = { kernel, spec->name, &run.params, &run, check_config };
    const int ran = kernel_walk(&task, way);
    proj_run_free(&run);
    proj_data_free(data);
    return ran;
}

START_TEST(configurations)
{
    const cla_kernel *kernel = scope.list.kernel[_i];
    const bool tiled = sample_is_tiled(kernel);
    const kernel_way way = tiled ? kernel_walk_share(WALK_VALUES, 0, 1) : scope.pairs;
    int ran = 0;

    for (size_t i = 0; i < sizeof config_shapes / sizeof config_shapes[0]; i++)
        ran += check_shape(kernel, &config_shapes[i], way);
    for (size_t i = 0; i < sizeof native_config_shapes / sizeof native_config_shapes[0]; i++)
        if (cla_kernel_is_native(kernel) || (kernel->needs & CLA_CAP_WGMMA) || tiled)
            ran += check_shape(kernel, &native_config_shapes[i], way);
    kernel_walk_report(&scope, kernel, ran);
}
END_TEST

/* Tiles take no f32: they have the shapes that differ in what is not compiled in, in f16. */
START_TEST(all_shapes)
{
    const cla_kernel *kernel = scope.list.kernel[_i];
    const bool tiled = sample_is_tiled(kernel);
    int ran = 0;

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        ran += check_shape(kernel, &shapes[i], kernel_walk_default);
    for (size_t i = 0; tiled && i < sizeof config_shapes / sizeof config_shapes[0]; i++) {
        proj_spec spec = config_shapes[i];
        spec.in = CLATTN_F16;
        ran += check_shape(kernel, &spec, kernel_walk_default);
    }
    ck_assert_msg(ran > 0, "%s can do none of the shapes", kernel->name);
}
END_TEST

/* ---- rope ---- */

static const rope_spec ropes[] = {
    { .name = "neox", .B = 2, .N = 9, .H = 3, .D = 40, .rotary = CLATTN_ROTARY_NEOX, .start = 3 },
    { .name = "gptj, far away",
      .B = 1,
      .N = 5,
      .H = 2,
      .D = 256,
      .rotary = CLATTN_ROTARY_GPTJ,
      .start = 1000003 },
    { .name = "one pair", .B = 1, .N = 1, .H = 1, .D = 2, .rotary = CLATTN_ROTARY_GPTJ, .base = 1 },
    { .name = "starts, f16",
      .B = 4,
      .N = 7,
      .H = 5,
      .D = 64,
      .rotary = CLATTN_ROTARY_NEOX,
      .starts = true,
      .in = CLATTN_F16,
      .bhnd = true },
    { .name = "in place, bf16",
      .B = 2,
      .N = 17,
      .H = 2,
      .D = 34,
      .rotary = CLATTN_ROTARY_NEOX,
      .in = CLATTN_BF16,
      .in_place = true,
      .base = 1000000 },
    { .name = "f16 to f32",
      .B = 1,
      .N = 3,
      .H = 2,
      .D = 130,
      .rotary = CLATTN_ROTARY_GPTJ,
      .in = CLATTN_F16,
      .out = CLATTN_F32,
      .start = -50 },
};

static void check_rope(void *user, const cla_kernel *kernel, const void *problem, const int *t)
{
    rope_run *run = user;

    rope_run_poison(run);
    kernel_run(suite_ctx(), kernel, problem, t);
    rope_run_check(run);
}

START_TEST(rope_kernels)
{
    for (int i = 0; i < (int)(sizeof ropes / sizeof ropes[0]); i++) {
        rope_run run;
        rope_run_make(&run, suite_ctx(), &ropes[i], suite_seed());
        const kernel_task task = { scope.list.kernel[_i], ropes[i].name, &run.params, &run,
                                   check_rope };
        ck_assert_int_gt(kernel_walk(&task, kernel_walk_share(WALK_VALUES, i, 2)), 0);
        rope_run_free(&run);
    }
}
END_TEST

/*
 * Programs are dealt out to the parts, but for the few of the scalar tile; the shapes of a kernel,
 * of which some share a program, are not.
 */
static Suite *suite(void)
{
    Suite *s = suite_create("projection kernels");
    for (int i = 0; i < scope.list.count; i++) {
        const cla_kernel *kernel = scope.list.kernel[i];
        TCase *t = tcase_create(kernel->name);
        const bool mine = kernel_walk_mine(&scope, i);
        if (kernel->stage == CLA_STAGE_PROJECTION) {
            if (mine)
                tcase_add_loop_test(t, all_shapes, i, i + 1);
            if (mine || !sample_is_tiled(kernel))
                tcase_add_loop_test(t, configurations, i, i + 1);
        } else if (mine) {
            tcase_add_loop_test(t, rope_kernels, i, i + 1);
        }
        suite_add_tcase(s, t);
    }
    return s;
}

int main(int argc, char **argv)
{
    return kernel_walk_main(argc, argv, STAGE(PROJECTION) | STAGE(ROPE), &scope, suite);
}
