/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every OpenCL kernel once on shapes small enough for a simulator. See run_oclgrind.sh.
 * tiny_kernels groups: those with work-groups; tiny_kernels single: those of single work-items.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "kernel_run.h"
#include "kv_model.h"
#include "linear_case.h"
#include "projection_case.h"
#include "rope_case.h"
#include "row_case.h"
#include "sample_append.h"
#include "sample_linear.h"
#include "sample_projection.h"
#include "sample_row.h"
#include "sample_tile.h"
#include "suite.h"

static kernel_list kernels;

static const int lens_q[] = { 3, 0, 5 }, lens_k[] = { 9, 4, 2 };

/* Tails in every direction; the second is split over the keys by the kernels that do so. */
static const attn_spec specs[] = {
    { .name = "causal", .B = 1, .Hq = 2, .Hk = 1, .Nq = 17, .Nk = 37, .D = 12, .Dv = 20,
      .lse = true, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .layout = LAYOUT_PADDED },
    { .name = "one row", .B = 1, .Hq = 2, .Hk = 1, .Nq = 1, .Nk = 260, .D = 8, .Dv = 4,
      .in = CLATTN_F16, .lse = true },
    { .name = "several chunks of D and Dv", .B = 1, .Hq = 1, .Hk = 1, .Nq = 5, .Nk = 40, .D = 40,
      .Dv = 72, .lse = true },
    { .name = "everything, ragged", .B = 3, .Hq = 2, .Hk = 1, .D = 5, .Dv = 3, .in = CLATTN_BF16,
      .lens_q = lens_q, .lens_k = lens_k, .lse = true, .mask = true, .bias = true,
      .alibi = true, .sinks = true, .softcap = 10, .window = true, .left = 6, .right = 2 },
    { .name = "pages of i4", .B = 3, .Hq = 2, .Hk = 1, .Nq = 2, .Nk = 9, .D = 35, .Dv = 3,
      .lens_k = lens_k, .kv = CLATTN_I4, .page_rows = 16, .lse = true },
};
enum { NUM_SPECS = sizeof specs / sizeof specs[0] };

static void check_attention(const cla_kernel *kernel, attn_spec spec, bool safe)
{
    clattn_ctx *ctx = suite_ctx();
    int t[CLA_MAX_TUNABLES];
    cla_attn problem;
    attn_run run;

    kernel_wants(kernel, &spec);
    if (sample_is_tiled(kernel)) {
        spec.in = spec.in == CLATTN_BF16 ? CLATTN_BF16 : CLATTN_F16;
        spec.kv = CLATTN_NONE;
    }
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run_make(&run, ctx, data);
    compare_label("%s, %s", kernel->name, spec.name);
    ck_assert(kernel_problem(ctx, kernel, kernel_params(kernel, &run), &problem));
    if (!safe && kernel->estimate)
        kernel->estimate(&ctx->dev, &problem, t);
    if (safe || !kernel->estimate || !cla_kernel_legal(kernel, &ctx->dev, &problem, t))
        cla_kernel_safe_config(kernel, t);
    ck_assert(cla_kernel_legal(kernel, &ctx->dev, &problem, t));
    kernel_run_attention(ctx, kernel, &run, &problem, t);
    attn_run_free(&run);
    attn_data_free(data);
}

/* By name, so that its plan brings no other kernel in. */
static void check_merge(const cla_kernel *kernel)
{
    static const int64_t shape[] = { 3, 1, 2, 5, 7 };
    clattn_ctx *ctx = suite_ctx();
    float parts[210], lse_parts[30], o[70], lse[10];

    for (int i = 0; i < 210; i++)
        parts[i] = (float)(i % 7);
    for (int i = 0; i < 30; i++)
        lse_parts[i] = (float)(i % 4);
    OK(ctx, clattn_merge(ctx, clattn_merge_params(
        .o_parts = clattn_tensor_of_host(parts, CLATTN_F32, 5, shape),
        .lse_parts = clattn_tensor_of_host(lse_parts, CLATTN_F32, 4, shape),
        .o = clattn_tensor_of_host(o, CLATTN_F32, 4, shape + 1),
        .lse = clattn_tensor_of_host(lse, CLATTN_F32, 3, shape + 1), .kernel = kernel->name)));
    for (int i = 0; i < 70; i++) /* all parts of a column are the same */
        ck_assert(o[i] > (float)(i % 7) - 1e-4f && o[i] < (float)(i % 7) + 1e-4f);
}

/* Quantised weights but for tiles, three parts, tails everywhere; few rows and more. */
static void check_projection(const cla_kernel *kernel, int rows)
{
    const bool tiled = sample_is_tiled(kernel);
    const proj_spec spec = {
        .name = "tiny", .B = 1, .N = rows, .M = 32, .in = tiled ? CLATTN_F16 : CLATTN_F32,
        .w = tiled || rows > 2 ? CLATTN_NONE : CLATTN_I4,
        .part = { { .H = 2, .K = 6, .rotary = CLATTN_ROTARY_NEOX, .bias = true },
                  { .H = 1, .K = 5, .in_place = true },
                  { .H = 1, .K = 3 } },
    };
    proj_data *data = proj_data_make(&spec, suite_seed());
    compare_label("%s, %d rows", kernel->name, rows);
    proj_check(suite_ctx(), true, data, kernel->name);
    proj_data_free(data);
}

static void check_rope(const cla_kernel *kernel)
{
    const rope_spec spec = { .name = "tiny", .B = 2, .N = 2, .H = 2, .D = 6,
                             .rotary = CLATTN_ROTARY_GPTJ };
    rope_run run;
    rope_run_make(&run, NULL, &spec, suite_seed());
    run.params.kernel = kernel->name;
    compare_label("%s", kernel->name);
    OK(suite_ctx(), clattn_rope(suite_ctx(), &run.params));
    rope_run_check(&run);
    rope_run_free(&run);
}

static void check_rowwise(const cla_kernel *kernel)
{
    static const clattn_row_function functions[] = { CLATTN_ROW_NORM, CLATTN_ROW_SOFTMAX,
                                                     CLATTN_ROW_GELU };
    for (int i = 0; i < 3; i++) {
        const row_spec spec = { .name = "tiny", .function = functions[i], .B = 2, .N = 2, .M = 37,
                                .vectors = i == 0 };
        row_run run;
        row_run_make(&run, NULL, &spec, suite_seed());
        run.params.kernel = kernel->name;
        compare_label("%s, function %d", kernel->name, (int)functions[i]);
        OK(suite_ctx(), clattn_rowwise(suite_ctx(), &run.params));
        row_run_check(&run);
        row_run_free(&run);
    }
}

static void check_embedding(const cla_kernel *kernel)
{
    const embedding_spec spec = { .name = "tiny", .B = 4, .N = 3, .M = 5, .V = 7, .P = 8, .T = 2,
                                  .type_ids = true, .starts = true, .wild = true };
    embedding_run run;
    embedding_run_make(&run, NULL, &spec, suite_seed());
    run.params.kernel = kernel->name;
    compare_label("%s", kernel->name);
    OK(suite_ctx(), clattn_embedding(suite_ctx(), &run.params));
    embedding_run_check(&run);
    embedding_run_free(&run);
}

/* Two segments of causal poly2 with states, all keys, and one step. */
static void check_linear(const cla_kernel *kernel)
{
    static const linear_spec tiny_linear[] = {
        { .name = "causal", .B = 1, .Hq = 2, .Hk = 1, .Nq = 70, .Nk = 70, .D = 3, .Dv = 5,
          .map = CLATTN_MAP_POLY2, .causal = true, .state_in = true, .state_out = true },
        { .name = "identity, full", .B = 1, .Hq = 1, .Hk = 1, .Nq = 9, .Nk = 70, .D = 5, .Dv = 3,
          .form = CLATTN_FORM_LINEAR },
        { .name = "quadratic, ragged", .B = 3, .Hq = 2, .Hk = 1, .D = 5, .Dv = 3,
          .lens_q = lens_q, .lens_k = lens_k, .in = CLATTN_BF16, .map = CLATTN_MAP_ELU1,
          .form = CLATTN_FORM_QUADRATIC },
        { .name = "step", .B = 1, .Hq = 2, .Hk = 1, .Nq = 1, .Nk = 1, .D = 3, .Dv = 5,
          .map = CLATTN_MAP_POLY2, .state_in = true, .state_out = true, .in_place = true },
    };
    clattn_ctx *ctx = suite_ctx();
    int ran = 0;

    for (size_t i = 0; i < sizeof tiny_linear / sizeof tiny_linear[0]; i++) {
        linear_data *data = linear_data_make(&tiny_linear[i], suite_seed());
        cla_linear problem;
        linear_run run;
        int t[CLA_MAX_TUNABLES];
        linear_run_make(&run, ctx, data);
        compare_label("%s, %s", kernel->name, tiny_linear[i].name);
        cla_kernel_safe_config(kernel, t);
        if (kernel_problem(ctx, kernel, &run.params, &problem)
            && cla_kernel_legal(kernel, &ctx->dev, &problem, t)) {
            kernel_run(ctx, kernel, &problem, t);
            linear_run_check(&run);
            ran++;
        }
        linear_run_free(&run);
        linear_data_free(data);
    }
    ck_assert_int_gt(ran, 0);
}

static void check_append(const cla_kernel *kernel)
{
    static const clattn_dtype types[] = { CLATTN_F16, CLATTN_I8, CLATTN_I4 };
    for (int i = 0; i < 3; i++) {
        kv_model m;
        kv_input in;
        test_rng rng = { suite_seed() };
        kv_model_make(&m, suite_ctx(), clattn_kv_params(.sequences = 2, .heads = 2, .key_width = 36,
                                                        .value_width = 5, .capacity = 40,
                                                        .dtype = types[i],
                                                        .page_rows = i ? 16 : 0));
        kv_input_make(&in, &m, 0, 2, 3, CLATTN_F32, &rng);
        in.kernel = kernel->name;
        compare_label("%s, %s", kernel->name, clattn_dtype_name(types[i]));
        OK(suite_ctx(), kv_model_append(&m, &in));
        kv_model_check(&m);
        kv_input_free(&in);
        kv_model_free(&m);
    }
}

START_TEST(tiny)
{
    const cla_kernel *kernel = kernels.kernel[_i];

    if (kernel->stage == CLA_STAGE_APPEND) {
        check_append(kernel);
        return;
    }

    if (kernel->stage == CLA_STAGE_PROJECTION) {
        check_projection(kernel, 2);
        check_projection(kernel, 5);
        return;
    }
    if (kernel->stage == CLA_STAGE_ROPE) {
        check_rope(kernel);
        return;
    }
    if (kernel->stage == CLA_STAGE_ROWWISE) {
        check_rowwise(kernel);
        return;
    }
    if (kernel->stage == CLA_STAGE_EMBEDDING) {
        check_embedding(kernel);
        return;
    }
    if (kernel->stage == CLA_STAGE_LINEAR) {
        check_linear(kernel);
        return;
    }

    if (kernel->stage == CLA_STAGE_MERGE) {
        check_merge(kernel);
        return;
    }
    for (int i = 0; i < NUM_SPECS; i++)
        check_attention(kernel, specs[i], i % 2);
}
END_TEST

static bool is_single(const cla_kernel *kernel)
{
    static const cla_attn attention = { .B = 1, .Hq = 1, .Hk = 1, .G = 1, .Nq = 1, .Nk = 1, .D = 1,
                                        .Dv = 1, .splits = 1, .probs_heads = 1, .probs_rows = 1,
                                        .mean_rows = 1 };
    static const cla_merge merge = { .P = 1, .B = 1, .H = 1, .N = 1, .Dv = 1 };
    const cla_proj projection = sample_projection(1, CLATTN_F32, CLATTN_F32, false);
    const cla_rope rope = sample_rope(CLATTN_F32, false);
    const cla_rowwise rowwise = sample_rowwise(CLATTN_F32, false);
    const cla_embedding embedding = sample_embedding(CLATTN_F32, false);
    const cla_append append = sample_append(CLATTN_F32, false);
    const cla_linear linear = sample_linear(16, 16, CLATTN_F32, false);
    const void *problem = kernel->stage == CLA_STAGE_MERGE        ? (const void *)&merge
                        : kernel->stage == CLA_STAGE_PROJECTION ? (const void *)&projection
                        : kernel->stage == CLA_STAGE_ROPE       ? (const void *)&rope
                        : kernel->stage == CLA_STAGE_ROWWISE    ? (const void *)&rowwise
                        : kernel->stage == CLA_STAGE_EMBEDDING  ? (const void *)&embedding
                        : kernel->stage == CLA_STAGE_APPEND     ? (const void *)&append
                        : kernel->stage == CLA_STAGE_LINEAR     ? (const void *)&linear
                                                                  : &attention;
    int t[CLA_MAX_TUNABLES];

    cla_kernel_safe_config(kernel, t);
    return kernel->geometry(problem, t).local[0] == 1;
}

int main(int argc, char **argv)
{
    const bool single = argc > 1 && strcmp(argv[1], "single") == 0;

    suite_begin();
    suite_need_device();
    kernels = kernels_of_device(ANY_STAGE);

    Suite *s = suite_create("tiny_kernels");
    for (int i = 0; i < kernels.count; i++) {
        if (is_single(kernels.kernel[i]) != single)
            continue;
        TCase *t = tcase_create(kernels.kernel[i]->name);
        tcase_add_loop_test(t, tiny, i, i + 1);
        suite_add_tcase(s, t);
    }
    return suite_run(s);
}
