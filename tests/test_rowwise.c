/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Norm, softmax, activations and embedding: every kernel of this device in every configuration,
 * the public calls, and what they refuse. A new kernel needs no edit here.
 */
#include <math.h>
#include <stdlib.h>

#include "compare.h"
#include "kernel_walk.h"
#include "row_case.h"
#include "suite.h"

static kernel_list kernels;

static const row_spec rows[] = {
    { .name = "norm",
      .function = CLATTN_ROW_NORM,
      .B = 2,
      .N = 7,
      .M = 96,
      .vectors = true,
      .eps = 1e-5f },
    { .name = "norm, far from 0",
      .function = CLATTN_ROW_NORM,
      .B = 1,
      .N = 5,
      .M = 301,
      .center = 100,
      .eps = 1e-12f,
      .padded = true },
    { .name = "norm, f16 vectors",
      .function = CLATTN_ROW_NORM,
      .B = 1,
      .N = 3,
      .M = 768,
      .vectors = true,
      .vector_type = CLATTN_F16,
      .eps = 1e-5f,
      .flat = true },
    { .name = "norm, bf16 in place",
      .function = CLATTN_ROW_NORM,
      .B = 2,
      .N = 3,
      .M = 40,
      .in = CLATTN_BF16,
      .in_place = true,
      .vectors = true,
      .padded = true,
      .eps = 1e-5f },
    { .name = "norm of one", .function = CLATTN_ROW_NORM, .B = 1, .N = 1, .M = 1, .eps = 1 },
    { .name = "softmax", .function = CLATTN_ROW_SOFTMAX, .B = 2, .N = 5, .M = 99, .spread = 3 },
    { .name = "softmax, spread 1000",
      .function = CLATTN_ROW_SOFTMAX,
      .B = 1,
      .N = 9,
      .M = 2500,
      .spread = 1000,
      .padded = true },
    { .name = "softmax, f16 to f32, scaled",
      .function = CLATTN_ROW_SOFTMAX,
      .B = 1,
      .N = 9,
      .M = 31,
      .in = CLATTN_F16,
      .out = CLATTN_F32,
      .scale = 0.7f,
      .flat = true,
      .padded = true },
    { .name = "softmax, specials",
      .function = CLATTN_ROW_SOFTMAX,
      .B = 1,
      .N = 4,
      .M = 70,
      .specials = true },
    { .name = "log-softmax",
      .function = CLATTN_ROW_LOG_SOFTMAX,
      .B = 1,
      .N = 6,
      .M = 517,
      .spread = 30,
      .scale = -2,
      .in_place = true },
    { .name = "log-softmax, specials",
      .function = CLATTN_ROW_LOG_SOFTMAX,
      .B = 2,
      .N = 2,
      .M = 33,
      .specials = true },
    { .name = "gelu", .function = CLATTN_ROW_GELU, .B = 2, .N = 3, .M = 1100, .spread = 3 },
    { .name = "gelu, bf16",
      .function = CLATTN_ROW_GELU,
      .B = 1,
      .N = 3,
      .M = 50,
      .spread = 3,
      .in = CLATTN_BF16,
      .padded = true },
    { .name = "gelu tanh",
      .function = CLATTN_ROW_GELU_TANH,
      .B = 1,
      .N = 5,
      .M = 1537,
      .spread = 3,
      .in_place = true },
    { .name = "gelu tanh, huge",
      .function = CLATTN_ROW_GELU_TANH,
      .B = 1,
      .N = 1,
      .M = 100,
      .spread = 1000,
      .in = CLATTN_F16,
      .out = CLATTN_F32 },
    { .name = "relu", .function = CLATTN_ROW_RELU, .B = 1, .N = 3, .M = 70, .flat = true },
};

static const embedding_spec embeddings[] = {
    { .name = "all tables",
      .B = 2,
      .N = 9,
      .M = 96,
      .V = 99,
      .P = 64,
      .T = 2,
      .type_ids = true,
      .start = 5 },
    { .name = "one table", .B = 1, .N = 1, .M = 1, .V = 1 },
    { .name = "f16 to f32, padded",
      .B = 3,
      .N = 5,
      .M = 301,
      .V = 40,
      .P = 20,
      .T = 3,
      .in = CLATTN_F16,
      .out = CLATTN_F32,
      .starts = true,
      .padded = true },
    { .name = "outside",
      .B = 5,
      .N = 13,
      .M = 33,
      .V = 40,
      .P = 20,
      .T = 3,
      .in = CLATTN_BF16,
      .starts = true,
      .type_ids = true,
      .wild = true },
};

enum { NUM_ROWS = sizeof rows / sizeof rows[0] };
enum { NUM_EMBEDDINGS = sizeof embeddings / sizeof embeddings[0] };

/* ---- every kernel: two or three work-groups of each problem, all of them over three ---- */

static void check_row(void *user, const cla_kernel *kernel, const void *problem, const int *t)
{
    row_run *run = user;

    row_run_poison(run);
    kernel_run(suite_ctx(), kernel, problem, t);
    row_run_check(run);
}

static void check_embedding(void *user, const cla_kernel *kernel, const void *problem, const int *t)
{
    embedding_run *run = user;

    embedding_run_poison(run);
    kernel_run(suite_ctx(), kernel, problem, t);
    embedding_run_check(run);
}

START_TEST(row_kernels)
{
    for (int i = 0; i < NUM_ROWS; i++) {
        row_run run;
        row_run_make(&run, suite_ctx(), &rows[i], suite_seed());
        const kernel_task task = { kernels.kernel[_i], rows[i].name, &run.params, &run, check_row };
        ck_assert_int_gt(kernel_walk(&task, kernel_walk_share(WALK_VALUES, i, 3)), 0);
        row_run_free(&run);
    }
}
END_TEST

START_TEST(embedding_kernels)
{
    for (int i = 0; i < NUM_EMBEDDINGS; i++) {
        embedding_run run;
        embedding_run_make(&run, suite_ctx(), &embeddings[i], suite_seed());
        const kernel_task task = { kernels.kernel[_i], embeddings[i].name, &run.params, &run,
                                   check_embedding };
        ck_assert_int_gt(kernel_walk(&task, kernel_walk_share(WALK_VALUES, i, 2)), 0);
        embedding_run_free(&run);
    }
}
END_TEST

/* ---- the public calls ---- */

/* Host memory and buffers in turn. */
START_TEST(calls)
{
    clattn_ctx *ctx = suite_ctx();

    for (int i = 0; i < NUM_ROWS; i++) {
        row_run run;
        row_run_make(&run, i % 2 ? ctx : NULL, &rows[i], suite_seed());
        compare_label("\"%s\"", rows[i].name);
        OK(ctx, clattn_rowwise(ctx, &run.params));
        row_run_check(&run);
        row_run_free(&run);
    }
    for (int i = 0; i < NUM_EMBEDDINGS; i++) {
        embedding_run run;
        embedding_run_make(&run, i % 2 ? ctx : NULL, &embeddings[i], suite_seed());
        compare_label("\"%s\"", embeddings[i].name);
        OK(ctx, clattn_embedding(ctx, &run.params));
        embedding_run_check(&run);
        embedding_run_free(&run);
    }
}
END_TEST

/* A plan is made once and run at another position and on another vector of ids. */
START_TEST(plans)
{
    clattn_ctx *ctx = suite_ctx();
    const embedding_spec spec = { .B = 1, .N = 4, .M = 20, .V = 30, .P = 12, .start = 1 };
    embedding_run first, second;
    clattn_plan *plan;
    clattn_plan_info info;

    embedding_run_make(&first, ctx, &spec, 1);
    embedding_run_make(&second, ctx,
                       &(embedding_spec){ .B = 1, .N = 4, .M = 20, .V = 30, .P = 12, .start = 8 },
                       2);
    OK(ctx, clattn_plan_embedding(ctx, &first.params, &plan));
    OK(ctx, clattn_plan_describe(plan, &info));
    ck_assert(info.bytes == 3 * 80 * 4 && info.flops == 80);
    OK(ctx, clattn_plan_run(plan));
    OK(ctx, clattn_plan_run_embedding(plan, &second.params));
    embedding_run_check(&first);
    embedding_run_check(&second);
    FAILS(ctx, ERR_ARG, "embedding|rowwise", clattn_plan_run_rowwise(plan, NULL));
    clattn_plan_destroy(&plan);
    embedding_run_free(&first);
    embedding_run_free(&second);

    row_run run;
    row_run_make(&run, ctx, &rows[0], suite_seed());
    OK(ctx, clattn_plan_rowwise(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_run_rowwise(plan, &run.params));
    row_run_check(&run);
    run.params.eps = 1;
    FAILS(ctx, ERR_SHAPE, "differ", clattn_plan_run_rowwise(plan, &run.params));
    clattn_plan_destroy(&plan);
    row_run_free(&run);
}
END_TEST

START_TEST(row_refusals)
{
    clattn_ctx *ctx = suite_ctx();
    row_run run;

    row_run_make(&run, ctx, &rows[0], suite_seed());
    const struct clattn_rowwise_params good = run.params;
    struct clattn_rowwise_params p = good;
    FAILS(ctx, ERR_ARG, "params is NULL", clattn_rowwise(ctx, NULL));
    FAILS(ctx, ERR_ARG, "out is NULL", clattn_plan_rowwise(ctx, &p, NULL));
    p.function = CLATTN_ROW_NONE;
    FAILS(ctx, ERR_ARG, "function is 0", clattn_rowwise(ctx, &p));
    p.function = (clattn_row_function)7;
    FAILS(ctx, ERR_ARG, "function is 7", clattn_rowwise(ctx, &p));
    p.function = CLATTN_ROW_SOFTMAX;
    FAILS(ctx, ERR_ARG, "eps is 1e-05|0 for", clattn_rowwise(ctx, &p));
    p.eps = 0;
    FAILS(ctx, ERR_ARG, "has no weight", clattn_rowwise(ctx, &p));
    p = good;
    p.eps = -1;
    FAILS(ctx, ERR_ARG, "eps is -1", clattn_rowwise(ctx, &p));
    p.eps = NAN;
    FAILS(ctx, ERR_ARG, "eps is|nan|at least 0", clattn_rowwise(ctx, &p));
    p = good;
    p.scale = 2;
    FAILS(ctx, ERR_ARG, "scale is 2", clattn_rowwise(ctx, &p));
    p.function = CLATTN_ROW_SOFTMAX, p.eps = 0, p.scale = INFINITY;
    FAILS(ctx, ERR_ARG, "scale is inf, must be finite", clattn_rowwise(ctx, &p));
    p = good;
    p.x = clattn_tensor_slice(p.x, p.x.rank - 1, 0, 0);
    FAILS(ctx, ERR_SHAPE, "M is 0", clattn_rowwise(ctx, &p));
    p = good;
    p.weight = clattn_tensor_slice(p.weight, 0, 0, 95);
    FAILS(ctx, ERR_SHAPE, "weight has 95|have 96", clattn_rowwise(ctx, &p));
    p = good;
    p.y = clattn_tensor_slice(p.y, 1, 0, 6);
    FAILS(ctx, ERR_SHAPE, "axis 1 of y has length 6, needs 7", clattn_rowwise(ctx, &p));
    p = good;
    p.x = clattn_tensor_slice(p.y, 0, 0, 1);
    p.y = clattn_tensor_slice(p.y, 0, 0, 1);
    p.x = clattn_tensor_slice(p.x, 1, 0, 6);
    p.y = clattn_tensor_slice(p.y, 1, 1, 6);
    FAILS(ctx, ERR_ARG, "output y overlaps x", clattn_rowwise(ctx, &p));
    p = good;
    p.x.dtype = CLATTN_I32;
    FAILS(ctx, ERR_ARG, "x|i32", clattn_rowwise(ctx, &p));
    p = good;
    p.struct_size = 0;
    FAILS(ctx, ERR_ARG, "struct_size", clattn_rowwise(ctx, &p));
    OK(ctx, clattn_rowwise(ctx, &good));
    row_run_check(&run);
    row_run_free(&run);
}
END_TEST

START_TEST(embedding_refusals)
{
    clattn_ctx *ctx = suite_ctx();
    embedding_run run;

    embedding_run_make(&run, ctx, &embeddings[0], suite_seed());
    const struct clattn_embedding_params good = run.params;
    struct clattn_embedding_params p = good;
    FAILS(ctx, ERR_ARG, "params is NULL", clattn_embedding(ctx, NULL));
    FAILS(ctx, ERR_ARG, "out is NULL", clattn_plan_embedding(ctx, &p, NULL));
    p.start = 56;
    FAILS(ctx, ERR_SHAPE, "has 64 rows|start is 56", clattn_embedding(ctx, &p));
    p.start = INT64_MAX;
    FAILS(ctx, ERR_SHAPE, "start is 9223372036854775807", clattn_embedding(ctx, &p));
    p.start = -1;
    FAILS(ctx, ERR_SHAPE, "start is -1", clattn_embedding(ctx, &p));
    p = good;
    p.types.dtype = CLATTN_NONE;
    FAILS(ctx, ERR_ARG, "type_ids is given", clattn_embedding(ctx, &p));
    p = good;
    p.positions.dtype = CLATTN_F16;
    FAILS(ctx, ERR_ARG, "positions|f16", clattn_embedding(ctx, &p));
    p = good;
    p.types = clattn_tensor_slice(p.types, 1, 0, 95);
    FAILS(ctx, ERR_SHAPE, "axis 1 of types has length 95, needs 96", clattn_embedding(ctx, &p));
    p = good;
    p.y = clattn_tensor_slice(p.y, 1, 0, 8);
    FAILS(ctx, ERR_SHAPE, "axis 1 of y has length 8, needs 9", clattn_embedding(ctx, &p));
    p = good;
    p.table = clattn_tensor_slice(p.table, 0, 0, 0);
    FAILS(ctx, ERR_SHAPE, "axis 0 of table|at least", clattn_embedding(ctx, &p));
    p = good;
    p.ids.dtype = CLATTN_F32;
    FAILS(ctx, ERR_ARG, "ids|f32", clattn_embedding(ctx, &p));
    OK(ctx, clattn_embedding(ctx, &good));
    embedding_run_check(&run);
    embedding_run_free(&run);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("rowwise");
    TCase *t = tcase_create("calls");

    tcase_add_test(t, calls);
    tcase_add_test(t, plans);
    tcase_add_test(t, row_refusals);
    tcase_add_test(t, embedding_refusals);
    suite_add_tcase(s, t);
    kernels = kernels_of_device(STAGE(ROWWISE) | STAGE(EMBEDDING));
    for (int i = 0; i < kernels.count; i++) {
        t = tcase_create(kernels.kernel[i]->name);
        if (kernels.kernel[i]->stage == CLA_STAGE_ROWWISE)
            tcase_add_loop_test(t, row_kernels, i, i + 1);
        else
            tcase_add_loop_test(t, embedding_kernels, i, i + 1);
        suite_add_tcase(s, t);
    }
    return s;
}

int main(void)
{
    return suite_main(suite);
}
