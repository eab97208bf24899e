/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans: run again, on other tensors, in the caller's workspace, beyond the life of the context,
 * and without one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <clattn/layers.h>

#include "attention_case.h"
#include "compare.h"
#include "plan.h"
#include "suite.h"

static const attn_spec spec = { .name = "plan", .B = 2, .Hq = 4, .Hk = 2, .Nq = 21, .Nk = 70,
                                .D = 32, .Dv = 16, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT,
                                .lse = true };

START_TEST(other_tensors)
{
    attn_check_plan(&spec, _i);
}
END_TEST

/* Runs queued one after the other without waiting. */
START_TEST(runs_in_a_row)
{
    enum { RUNS = 8 };
    clattn_ctx *ctx = suite_ctx();
    attn_data *data[RUNS];
    attn_run runs[RUNS];
    clattn_plan *plan;

    for (int i = 0; i < RUNS; i++) {
        data[i] = attn_data_make(&spec, suite_seed() + (uint64_t)i);
        attn_run_make(&runs[i], ctx, data[i]);
    }
    OK(ctx, clattn_plan_attention(ctx, &runs[0].params, &plan));
    for (int i = 0; i < RUNS; i++)
        OK(ctx, clattn_plan_run_attention(plan, &runs[i].params));
    clattn_plan_destroy(&plan); /* before the work is done */
    for (int i = 0; i < RUNS; i++) {
        compare_label("run %d", i);
        attn_run_check(&runs[i]);
        attn_run_free(&runs[i]);
        attn_data_free(data[i]);
    }
}
END_TEST

/* The caller's workspace, full of NaN, inside memory that must stay as it is. */
START_TEST(own_workspace)
{
    clattn_ctx *ctx = suite_ctx();
    attn_spec with_probs = spec;
    clattn_plan *plan;
    clattn_plan_info info;
    test_memory work;
    attn_run run;

    with_probs.lse = false; /* so that lse takes some workspace on every device */
    with_probs.probs = true;
    attn_data *data = attn_data_make(&with_probs, suite_seed());
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_describe(plan, &info));
    clattn_plan_destroy(&plan);
    const int64_t size = (int64_t)info.workspace_bytes;
    ck_assert_int_gt(size, 0);
    memory_make(&work, ctx, true, CLATTN_U8, 1, &size, NULL);
    run.params.workspace = work.tensor;
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_run(plan));
    compare_label("own workspace");
    attn_run_check(&run);
    memory_get(&work, "workspace", NULL);
    clattn_plan_destroy(&plan);
    memory_free(&work);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/*
 * Keys in parts that meet within one launch, whichever work-group comes last: the same bits each
 * time, and in a workspace with anything in it.
 */
START_TEST(same_bits)
{
    enum { RUNS = 1000 };
    static const attn_spec decode = { .name = "decode", .B = 2, .Hq = 8, .Hk = 2, .Nq = 1,
                                      .Nk = 1100, .D = 32, .Dv = 32, .lse = true };
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&decode, suite_seed());
    const int64_t count = 2 * 8 * 32, shape[] = { 2, 8, 1, 32 };
    float first[2 * 8 * 32], again[2 * 8 * 32];
    clattn_buffer *buffer, *work;
    clattn_plan_info info;
    clattn_plan *plan;
    attn_run run;

    attn_run_make(&run, ctx, data);
    if (clattn_ctx_device(ctx)->type != CLATTN_DEVICE_NATIVE)
        run.params.kernel = "attn_decode";
    OK(ctx, clattn_buffer_create(ctx, (size_t)count * sizeof(float), &buffer));
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_describe(plan, &info));
    if (ctx->dev.caps & CLA_CAP_HANDOVER) {
        ck_assert_int_eq(plan->num_launches, 1);
        ck_assert_uint_gt(info.workspace_bytes, 0); /* there are parts */
    }
    const size_t most = info.workspace_bytes > sizeof first ? info.workspace_bytes : sizeof first;
    void *poison = memset(memory_alloc(most), 0xff, most);
    OK(ctx, clattn_buffer_create(ctx, most, &work));
    struct clattn_attention_params p = run.params;
    p.o = clattn_tensor_of_buffer(buffer, CLATTN_F32, 4, shape);
    clattn_plan_destroy(&plan);
    OK(ctx, clattn_plan_attention(ctx, &p, &plan));
    for (int i = 0; i < RUNS; i++) {
        if (i == 1)
            p.workspace = clattn_tensor_of_buffer(work, CLATTN_U8, 1,
                                                  (int64_t[]){ (int64_t)info.workspace_bytes });
        const bool looked_at = i % 10 == 0 || i + 10 > RUNS;
        if (looked_at) {
            OK(ctx, clattn_buffer_write(buffer, 0, poison, sizeof first));
            OK(ctx, clattn_buffer_write(work, 0, poison, most));
        }
        OK(ctx, clattn_plan_run_attention(plan, &p));
        if (!looked_at)
            continue;
        OK(ctx, clattn_buffer_read(buffer, 0, i == 0 ? first : again, sizeof first));
        ck_assert_msg(i == 0 || memcmp(first, again, sizeof first) == 0, "run %d differs", i);
    }
    OK(ctx, clattn_plan_run(plan));
    clattn_plan_destroy(&plan);
    clattn_buffer_destroy(&work);
    clattn_buffer_destroy(&buffer);
    free(poison);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

START_TEST(description)
{
    clattn_ctx *ctx = suite_ctx();
    attn_spec full = { .name = "full", .B = 2, .Hq = 4, .Hk = 2, .Nq = 20, .Nk = 50, .D = 32,
                       .Dv = 16 };
    attn_data *data = attn_data_make(&full, suite_seed());
    attn_run run;
    clattn_plan *plan;
    clattn_plan_info info, causal;
    bool listed = false;

    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_describe(plan, &info));
    for (int i = 0; clattn_kernel_name(i); i++)
        listed = listed || strcmp(clattn_kernel_name(i), info.kernel) == 0;
    ck_assert_msg(listed, "kernel \"%s\" is not in the list", info.kernel);
    ck_assert(info.config && info.origin && info.origin[0]);
    const double pairs = 2.0 * 4 * 20 * 50;
    ck_assert(info.flops >= 2 * pairs * (32 + 16) && info.flops < 3 * pairs * (32 + 16));
    const double elements = 2.0 * (4 * 20 * (32 + 16) + 2 * 50 * (32 + 16));
    ck_assert(info.bytes == 4 * elements);
    ck_assert(fabs(info.intensity - info.flops / info.bytes) < 1e-9);
    clattn_plan_destroy(&plan);

    run.params.causal = CLATTN_CAUSAL_TOP_LEFT; /* 210 of 1000 pairs are visible */
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_describe(plan, &causal));
    ck_assert(fabs(causal.flops / info.flops - 0.21) < 1e-9);
    clattn_plan_destroy(&plan);

    run.params.q = clattn_tensor_slice(run.params.q, 2, 0, 0);
    run.params.o = clattn_tensor_slice(run.params.o, 2, 0, 0);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_describe(plan, &info));
    ck_assert_str_eq(info.kernel, "none");
    ck_assert_str_eq(info.origin, "none");
    OK(ctx, clattn_plan_run(plan));
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* The named kernel is taken, for every kernel that can do the problem. */
/* A plan may outlive the arrays that it was made with: what it says does not follow them. */
START_TEST(description_stays)
{
    static const int64_t rows[] = { 6, 1, 4 }, ends[] = { 3 };
    int32_t cu[] = { 0, 2, 6 };
    static float q[24], o[24];
    const clattn_tensor x = clattn_tensor_of_host(q, CLATTN_F32, 3, rows);
    const clattn_tensor seqlens = clattn_tensor_of_host(cu, CLATTN_I32, 1, ends);
    clattn_plan_info info;
    clattn_plan *plan;
    clattn_ctx *ctx = suite_ctx();

    OK(ctx, clattn_plan_attention(ctx, clattn_attention_params(
        .q = x, .k = x, .v = x, .o = clattn_tensor_of_host(o, CLATTN_F32, 3, rows),
        .cu_seqlens_q = seqlens, .cu_seqlens_k = seqlens), &plan));
    cu[1] = 6;
    OK(ctx, clattn_plan_describe(plan, &info));
    ck_assert_double_eq(info.flops, 2.0 * (4 + 4) * (2 * 2 + 4 * 4));
    clattn_plan_destroy(&plan);
}
END_TEST

START_TEST(pinned_kernel)
{
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;
    int able = 0;

    attn_run_make(&run, ctx, data);
    for (int i = 0; clattn_kernel_name(i); i++) {
        clattn_plan *plan;
        clattn_plan_info info;
        run.params.kernel = clattn_kernel_name(i);
        const clattn_status s = clattn_plan_attention(ctx, &run.params, &plan);
        ck_assert(s == CLATTN_OK || s == CLATTN_ERR_UNSUPPORTED || s == CLATTN_ERR_ARG);
        if (s != CLATTN_OK)
            continue;
        OK(ctx, clattn_plan_describe(plan, &info));
        ck_assert_str_eq(info.kernel, clattn_kernel_name(i));
        ck_assert_str_eq(info.origin, "pinned");
        clattn_plan_destroy(&plan);
        able++;
    }
    ck_assert_int_ge(able, 1);
    ck_assert_ptr_null(clattn_kernel_name(-1));
    ck_assert_ptr_null(clattn_kernel_name(10000));
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* Plans and buffers keep what they need, in whatever order the handles go. */
START_TEST(order_of_destruction)
{
    attn_data *data = attn_data_make(&spec, suite_seed());
    clattn_ctx *ctx;
    clattn_plan *plan;
    attn_run run;

    ck_assert_int_eq(clattn_ctx_create(NULL, &ctx), CLATTN_OK);
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_attention(ctx, &run.params)); /* leaves a plan in the context's cache */
    attn_run_poison(&run);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    clattn_ctx_destroy(&ctx);
    ck_assert_ptr_null(ctx);
    ck_assert_int_eq(clattn_plan_run(plan), CLATTN_OK);
    compare_label("after the context's handle is gone");
    attn_run_check(&run);
    if (_i)
        attn_run_free(&run);
    clattn_plan_destroy(&plan);
    ck_assert_ptr_null(plan);
    if (!_i)
        attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* The four forms of an operation without a context, without params, without a plan. */
#define CHECK_NULLS(name)                                                               \
    do {                                                                                \
        ck_assert_int_eq(clattn_##name(NULL, NULL), CLATTN_ERR_ARG);                    \
        FAILS(ctx, ERR_ARG, #name "|params is NULL", clattn_##name(ctx, NULL));         \
        ck_assert_int_eq(clattn_plan_##name(NULL, NULL, &plan), CLATTN_ERR_ARG);        \
        FAILS(ctx, ERR_ARG, "params is NULL", clattn_plan_##name(ctx, NULL, &plan));    \
        FAILS(ctx, ERR_ARG, "params is NULL", clattn_plan_##name(ctx, NULL, NULL));     \
        ck_assert_ptr_null(plan);                                                       \
        ck_assert_int_eq(clattn_plan_run_##name(NULL, NULL), CLATTN_ERR_ARG);           \
    } while (0)

START_TEST(null_operations)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan = NULL;

    CHECK_NULLS(attention);
    CHECK_NULLS(argmax);
    CHECK_NULLS(merge);
    CHECK_NULLS(linear_attention);
    CHECK_NULLS(projection);
    CHECK_NULLS(rope);
    CHECK_NULLS(rowwise);
    CHECK_NULLS(embedding);
    ck_assert_int_eq(clattn_layer(NULL, NULL), CLATTN_ERR_ARG);
    FAILS(ctx, ERR_ARG, "layer|params is NULL", clattn_layer(ctx, NULL));
    FAILS(ctx, ERR_ARG, "layer|params is NULL", clattn_plan_layer(ctx, NULL, &plan));
    ck_assert_ptr_null(plan);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("plan");
    TCase *t = tcase_create("plan");

    tcase_add_loop_test(t, other_tensors, 0, 2);
    tcase_add_test(t, runs_in_a_row);
    tcase_add_test(t, own_workspace);
    tcase_add_test(t, same_bits);
    tcase_add_test(t, description);
    tcase_add_test(t, description_stays);
    tcase_add_test(t, null_operations);
    tcase_add_test(t, pinned_kernel);
    tcase_add_loop_test(t, order_of_destruction, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
