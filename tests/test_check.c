/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check that a candidate must pass: what is right passes, for every operation with all its
 * options; one wrong number, a missing one, one too many do not.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention_case.h"
#include "linear_case.h"
#include "plan.h"
#include "projection_case.h"
#include "suite.h"
#include "tune/bench.h"
#include "tune/check.h"
#include "tune/op_tuning.h"

static const int lens_q[] = { 3, 0, 33, 1 }, lens_k[] = { 35, 9, 2, 0 };

static const attn_spec attentions[] = {
    { .name = "plain", .B = 2, .Hq = 4, .Hk = 2, .Nq = 70, .Nk = 150, .D = 64, .Dv = 48,
      .lse = true },
    { .name = "decode", .B = 3, .Hq = 8, .Hk = 2, .Nq = 1, .Nk = 2100, .D = 64, .Dv = 64,
      .in = CLATTN_F16 },
    { .name = "all options", .B = 2, .Hq = 4, .Hk = 2, .Nq = 33, .Nk = 70, .D = 32, .Dv = 32,
      .in = CLATTN_BF16, .mask = true, .bias = true, .alibi = true, .sinks = true, .softcap = 20,
      .window = true, .left = 20, .right = 9, .lse = true, .probs = true,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { .name = "ragged", .B = 4, .Hq = 2, .Hk = 1, .D = 32, .Dv = 32, .lens_q = lens_q,
      .lens_k = lens_k, .lse = true, .causal = CLATTN_CAUSAL_TOP_LEFT },
    { .name = "padded", .B = 2, .Hq = 2, .Hk = 1, .Nq = 35, .Nk = 50, .D = 32, .Dv = 32,
      .layout = LAYOUT_PADDED },
    { .name = "argmax", .B = 2, .Hq = 4, .Hk = 2, .Nq = 40, .Nk = 90, .D = 32, .Dv = 24,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .mask = true, .argmax = true },
};

static const linear_spec linears[] = {
    { .name = "elu1", .B = 2, .Hq = 4, .Hk = 2, .Nq = 40, .Nk = 90, .D = 32, .Dv = 40,
      .map = CLATTN_MAP_ELU1 },
    { .name = "poly2 with states", .B = 1, .Hq = 4, .Hk = 2, .Nq = 60, .Nk = 60, .D = 12, .Dv = 20,
      .map = CLATTN_MAP_POLY2, .causal = true, .state_in = true, .state_out = true },
    { .name = "exp, f16, ragged", .B = 4, .Hq = 2, .Hk = 1, .D = 32, .Dv = 32, .in = CLATTN_F16,
      .map = CLATTN_MAP_EXP, .lens_q = lens_q, .lens_k = lens_k },
    { .name = "identity, unnormalized", .B = 1, .Hq = 2, .Hk = 2, .Nq = 33, .Nk = 33, .D = 16,
      .Dv = 16, .causal = true, .unnormalized = true, .form = CLATTN_FORM_LINEAR },
};

static const proj_spec projections[] = {
    { .name = "plain", .B = 2, .N = 33, .M = 96, .part = { { .H = 3, .K = 24 } } },
    { .name = "qkv", .B = 2, .N = 5, .M = 64, .in = CLATTN_F16, .start = 5000000000,
      .part = { { .H = 4, .K = 16, .rotary = CLATTN_ROTARY_NEOX, .bias = true },
                { .H = 2, .K = 16, .rotary = CLATTN_ROTARY_GPTJ, .residual = true },
                { .H = 2, .K = 16 } } },
    { .name = "i8, one row", .B = 1, .N = 1, .M = 128, .w = CLATTN_I8,
      .part = { { .H = 1, .K = 80 } } },
    { .name = "i4, transposed", .B = 1, .N = 40, .M = 128, .w = CLATTN_I4, .starts = true,
      .part = { { .H = 2, .K = 32, .rotary = CLATTN_ROTARY_NEOX } } },
};

enum {
    NUM_ATTENTIONS = sizeof attentions / sizeof attentions[0],
    NUM_LINEARS = sizeof linears / sizeof linears[0],
    NUM_PROJECTIONS = sizeof projections / sizeof projections[0],
};

/* Bends the outputs of a right result in every way that must be noticed. */
static void check_noticed(cla_subject *s, const char *name)
{
    char why[CLA_WHY];
    cla_problem host;
    cla_subject_on_host(s, s->problem.bytes, &host);
    ck_assert_msg(s->op->tuning->holds(host.bytes, &(cla_judge){ 1, why, sizeof why }), "%s: %s",
                  name, why);
    for (int i = 0; i < s->num_parts; i++) {
        const cla_subject_part *part = &s->parts[i];
        const cla_view *view = cla_slot_view(part->slot, host.bytes);
        const size_t size = clattn_dtype_size((clattn_dtype)view->dtype);
        if (!part->slot->written)
            continue;
        unsigned char *first = part->host + (size_t)view->offset * size, kept[8];
        memcpy(kept, first, size);
        const float bent[] = { 1e6f, -1e6f, (float)NAN };
        for (int k = 0; k < 3 && view->dtype != CLATTN_I32; k++) {
            clattn_from_f32((clattn_dtype)view->dtype, &bent[k], first, 1);
            ck_assert_msg(!s->op->tuning->holds(host.bytes, &(cla_judge){ 1, why, sizeof why }),
                          "%s: %g in %s is not noticed", name, (double)bent[k], part->slot->name);
        }
        memcpy(first, kept, size);
    }
}

/* The plan's own configuration passes, and so does a second one of its kernel. */
static void check_plan(clattn_ctx *ctx, clattn_plan *plan, const char *name)
{
    cla_bench bench;
    cla_bench_result result;
    OK(ctx, cla_bench_make(ctx, plan->op, plan->problem, suite_seed(), &bench));
    cla_bench_sample(&bench, plan->choices[0].kernel, plan->choices[0].t, true, 0, &result);
    ck_assert_msg(result.verdict == CLA_VERDICT_OK, "%s: %s", name, result.why);
    ck_assert_double_gt(result.us, 0);
    OK(ctx, cla_subject_poison(&bench.subject));
    OK(ctx, cla_subject_run(&bench.subject, plan, bench.subject.problem.bytes, 0));
    OK(ctx, cla_subject_read(&bench.subject, false));
    check_noticed(&bench.subject, name);
    cla_bench_free(&bench);
}

START_TEST(attention)
{
    const attn_spec *spec = &attentions[_i];
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;
    attn_run run;
    attn_data *data = attn_data_make(spec, suite_seed());
    attn_run_make(&run, ctx, data);
    OK(ctx, spec->argmax ? clattn_plan_argmax(ctx, &run.argmax, &plan)
                         : clattn_plan_attention(ctx, &run.params, &plan));
    check_plan(ctx, plan, spec->name);
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

START_TEST(linear)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;
    linear_run run;
    linear_data *data = linear_data_make(&linears[_i], suite_seed());
    linear_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_linear_attention(ctx, &run.params, &plan));
    check_plan(ctx, plan, linears[_i].name);
    clattn_plan_destroy(&plan);
    linear_run_free(&run);
    linear_data_free(data);
}
END_TEST

START_TEST(projection)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;
    proj_run run;
    proj_data *data = proj_data_make(&projections[_i], suite_seed());
    proj_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_projection(ctx, &run.params, &plan));
    check_plan(ctx, plan, projections[_i].name);
    clattn_plan_destroy(&plan);
    proj_run_free(&run);
    proj_data_free(data);
}
END_TEST

START_TEST(rope_and_merge)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;
    test_memory m[4];
    const int64_t shape[] = { 2, 17, 3, 32 }, parts[] = { 3, 2, 3, 17, 40 };
    memory_make(&m[0], ctx, false, CLATTN_F16, 4, shape, NULL);
    memory_make(&m[1], ctx, true, CLATTN_F16, 4, shape, NULL);
    OK(ctx, clattn_plan_rope(ctx,
                             clattn_rope_params(.x = m[0].tensor, .y = m[1].tensor,
                                                .rotary = CLATTN_ROTARY_NEOX, .start = -7),
                             &plan));
    check_plan(ctx, plan, "rope");
    clattn_plan_destroy(&plan);
    memory_free(&m[0]);
    memory_free(&m[1]);
    for (int i = 0; i < 4; i++)
        memory_make(&m[i], ctx, i > 1, CLATTN_F32, 5 - (i % 2) - (i > 1), parts + (i > 1), NULL);
    OK(ctx, clattn_plan_merge(ctx,
                              clattn_merge_params(.o_parts = m[0].tensor, .lse_parts = m[1].tensor,
                                                  .o = m[2].tensor, .lse = m[3].tensor),
                              &plan));
    check_plan(ctx, plan, "merge");
    clattn_plan_destroy(&plan);
    for (int i = 0; i < 4; i++)
        memory_free(&m[i]);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("check");
    TCase *t = tcase_create("check");
    tcase_add_loop_test(t, attention, 0, NUM_ATTENTIONS);
    tcase_add_loop_test(t, linear, 0, NUM_LINEARS);
    tcase_add_loop_test(t, projection, 0, NUM_PROJECTIONS);
    tcase_add_test(t, rope_and_merge);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    suite_need_device();
    return suite_run(suite());
}
