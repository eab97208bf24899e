/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check that a candidate must pass: what is right passes, for every operation with all its
 * options; one wrong number, rows that are missing, rows too many do not.
 */
#include <clattn/kv.h>
#include <clattn/tuning.h>

#include <math.h>
#include <string.h>

#include "attention_case.h"
#include "linear_case.h"
#include "plan.h"
#include "projection_case.h"
#include "row_case.h"
#include "suite.h"
#include "tune/bench.h"
#include "tune/check.h"
#include "tune/op_tuning.h"

static const int lens_q[] = { 3, 0, 33, 1 }, lens_k[] = { 35, 9, 2, 0 };
static const int lens_cache[] = { 150, 3, 64 };

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
    { .name = "cache", .B = 3, .Hq = 4, .Hk = 2, .Nq = 2, .D = 40, .Dv = 24,
      .kv = CLATTN_F16, .lens_k = lens_cache, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .lse = true },
    { .name = "i8 cache", .B = 3, .Hq = 8, .Hk = 2, .Nq = 1, .D = 64, .Dv = 64, .in = CLATTN_F16,
      .kv = CLATTN_I8, .lens_k = lens_cache },
    { .name = "pages", .B = 3, .Hq = 2, .Hk = 2, .Nq = 1, .D = 32, .Dv = 32, .kv = CLATTN_BF16,
      .page_rows = 16, .lens_k = lens_cache },
    { .name = "i8 pages", .B = 3, .Hq = 4, .Hk = 2, .Nq = 20, .D = 32, .Dv = 64, .kv = CLATTN_I8,
      .page_rows = 16, .lens_k = lens_cache, .lse = true, .window = true, .left = 90 },
    { .name = "i4 pages", .B = 3, .Hq = 4, .Hk = 1, .Nq = 1, .D = 64, .Dv = 40, .kv = CLATTN_I4,
      .page_rows = 32, .lens_k = lens_cache },
    { .name = "argmax, i4 pages", .B = 3, .Hq = 2, .Hk = 1, .Nq = 3, .D = 64, .Dv = 32,
      .kv = CLATTN_I4, .page_rows = 16, .lens_k = lens_cache, .argmax = true },
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

static const row_spec rows[] = {
    { .name = "norm", .function = CLATTN_ROW_NORM, .B = 2, .N = 60, .M = 300, .eps = 1e-5f },
    { .name = "norm with vectors, f16", .function = CLATTN_ROW_NORM, .B = 1, .N = 3, .M = 70,
      .in = CLATTN_F16, .vectors = true, .padded = true },
    { .name = "softmax", .function = CLATTN_ROW_SOFTMAX, .B = 2, .N = 50, .M = 1000, .scale = 3 },
    { .name = "log-softmax", .function = CLATTN_ROW_LOG_SOFTMAX, .B = 3, .N = 2, .M = 333,
      .in = CLATTN_BF16 },
    { .name = "gelu", .function = CLATTN_ROW_GELU, .B = 1, .N = 40, .M = 129, .in_place = true },
    { .name = "gelu, tanh, f16", .function = CLATTN_ROW_GELU_TANH, .B = 1, .N = 7, .M = 64,
      .in = CLATTN_F16 },
    { .name = "relu", .function = CLATTN_ROW_RELU, .B = 1, .N = 5, .M = 40, .flat = true },
};

static const embedding_spec embeddings[] = {
    { .name = "plain", .B = 2, .N = 19, .M = 100, .V = 77 },
    { .name = "all tables, f16", .B = 3, .N = 9, .M = 64, .V = 50, .P = 40, .T = 2,
      .in = CLATTN_F16, .out = CLATTN_F32, .starts = true, .type_ids = true, .padded = true },
    { .name = "positions", .B = 1, .N = 20, .M = 33, .V = 9, .P = 30, .start = 7 },
};

/* Projections into a cache of 3 sequences, from the second one on. */
typedef struct into_spec {
    const char *name;
    int capacity, page_rows, pages; /* of the cache */
    int N;
    clattn_dtype dtype;
    clattn_rotary rotary;
} into_spec;

static const into_spec intos[] = {
    { "into a cache", 90, 0, 0, 5, CLATTN_F32, CLATTN_ROTARY_NEOX },
    { "into pages, f16", 100, 16, 0, 40, CLATTN_F16, CLATTN_ROTARY_GPTJ },
    { "into the last pages", 64, 16, 6, 40, CLATTN_F32, CLATTN_ROTARY_NONE },
    { "into a full cache", 40, 0, 0, 40, CLATTN_F32, CLATTN_ROTARY_NEOX },
};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- what is noticed ---- */

static bool holds(const cla_subject *s, const cla_problem *host, char *why)
{
    bool blind = false;
    const cla_judge judge = { .seed = 1, .why = why, .size = CLA_WHY, .blind = &blind };
    return s->op->tuning->holds(host->bytes, &judge) || blind;
}

/* The first element of an output that is written. */
static unsigned char *first_written(const cla_subject *s, const cla_subject_part *part,
                                    const cla_problem *host)
{
    const cla_view *view = (const cla_view *)(host->bytes + part->slot->offset);
    cla_view first = *view;
    if (s->op->tuning->piece)
        ck_assert(s->op->tuning->piece(host->bytes, view, 0, &first));
    return part->host + (size_t)first.offset * clattn_dtype_size((clattn_dtype)view->dtype);
}

/* Bends a number of each output of a right result in every way that must be noticed. */
static void check_bent(cla_subject *s, clattn_plan *plan, const char *name)
{
    static const float bent[] = { 1e6f, -1e6f, NAN };
    char why[CLA_WHY];
    cla_problem host;
    bool work_kept;
    OK(s->ctx, cla_subject_poison(s, plan));
    OK(s->ctx, cla_subject_run(s, plan, s->problem.bytes, 0));
    OK(s->ctx, cla_subject_read(s, plan, false, &work_kept));
    ck_assert(work_kept);
    cla_subject_on_host(s, s->problem.bytes, &host);
    ck_assert_msg(holds(s, &host, why), "%s: %s", name, why);
    for (int i = 0; i < s->num_parts; i++) {
        const cla_subject_part *part = &s->parts[i];
        const clattn_dtype type = (clattn_dtype)cla_slot_view(part->slot, host.bytes)->dtype;
        if (!part->slot->written || type == CLATTN_I32)
            continue;
        unsigned char *first = first_written(s, part, &host), kept[8];
        memcpy(kept, first, clattn_dtype_size(type));
        for (int k = 0; k < 3; k++) {
            clattn_from_f32(type, &bent[k], first, 1);
            ck_assert_msg(!holds(s, &host, why), "%s: %g in %s is not noticed", name,
                          (double)bent[k], part->slot->name);
        }
        memcpy(first, kept, clattn_dtype_size(type));
    }
}

static void check_refused(cla_subject *s, clattn_plan *plan, const char *says, const char *name)
{
    char why[CLA_WHY] = "nothing";
    ck_assert_int_eq(cla_check(s, plan, 1, why, sizeof why), CLA_CHECK_WRONG);
    ck_assert_msg(strstr(why, says), "%s: %s", name, why);
}

/* A plan for a corner leaves out the rest; one for all writes too much for a corner. */
static void check_extent(cla_subject *s, clattn_plan *plan, const char *name)
{
    const cla_pin pin = { plan->choices[0].kernel->name, plan->choices[0].t };
    cla_problem whole = s->problem, corner = s->problem;
    clattn_plan *small;
    if (!s->op->tuning->corner || !s->op->tuning->corner(corner.bytes)
        || memcmp(&whole, &corner, sizeof whole) == 0)
        return;
    OK(s->ctx, cla_plan_make(s->ctx, s->op, corner.bytes, &pin, &small));
    check_refused(s, small, "were not written", name);
    clattn_plan_destroy(&small);
    s->problem = corner;
    check_refused(s, plan, "were overwritten", name);
    s->problem = whole;
}

/* The problem as a worker gets it: with the memory of another process. */
static cla_problem sent(const clattn_plan *plan)
{
    cla_problem problem;
    memcpy(problem.bytes, plan->problem, plan->op->size);
    for (const cla_slot *slot = plan->op->slots; slot->name; slot++) {
        cla_view *view = cla_slot_view(slot, problem.bytes);
        view->host = (void *)(uintptr_t)64;
        view->buffer = view->host;
    }
    return problem;
}

/* The plan's own configuration passes; what is wrong with it then is noticed. Frees the plan. */
static void check_plan(clattn_ctx *ctx, clattn_plan *plan, const char *name)
{
    static cla_bench bench;
    cla_bench_result result;
    ck_assert(cla_op_tunable(plan->op, plan->problem));
    OK(ctx, cla_bench_make(ctx, plan->op, sent(plan).bytes, suite_seed(), &bench));
    cla_bench_sample(&bench, plan->choices[0].kernel, plan->choices[0].t, true, 0, &result);
    ck_assert_msg(result.verdict == CLA_VERDICT_OK, "%s: %s", name, result.why);
    ck_assert_double_gt(result.us, 0);
    check_bent(&bench.subject, plan, name);
    check_extent(&bench.subject, plan, name);
    cla_bench_free(&bench);
    clattn_plan_destroy(&plan);
}

/* ---- tests ---- */

/* A plan on the tensors of a case; it keeps their memory. */
#define DEFINE_PLAN_OF(family, call)                                                  \
    static clattn_plan *plan_of_##family(clattn_ctx *ctx, const family##_spec *spec)  \
    {                                                                                 \
        clattn_plan *plan;                                                            \
        family##_run run;                                                             \
        family##_data *data = family##_data_make(spec, suite_seed());                 \
        family##_run_make(&run, ctx, data);                                           \
        OK(ctx, call);                                                                \
        family##_run_free(&run);                                                      \
        family##_data_free(data);                                                     \
        return plan;                                                                  \
    }
DEFINE_PLAN_OF(attn, spec->argmax ? clattn_plan_argmax(ctx, &run.argmax, &plan)
                                  : clattn_plan_attention(ctx, &run.params, &plan))
DEFINE_PLAN_OF(linear, clattn_plan_linear_attention(ctx, &run.params, &plan))
DEFINE_PLAN_OF(proj, clattn_plan_projection(ctx, &run.params, &plan))

/* The same where there is nothing between a case and its tensors. */
#define DEFINE_SIMPLE_PLAN_OF(family, call)                                           \
    static clattn_plan *plan_of_##family(clattn_ctx *ctx, const family##_spec *spec)  \
    {                                                                                 \
        clattn_plan *plan;                                                            \
        family##_run run;                                                             \
        family##_run_make(&run, ctx, spec, suite_seed());                             \
        OK(ctx, call(ctx, &run.params, &plan));                                       \
        family##_run_free(&run);                                                      \
        return plan;                                                                  \
    }
DEFINE_SIMPLE_PLAN_OF(row, clattn_plan_rowwise)
DEFINE_SIMPLE_PLAN_OF(embedding, clattn_plan_embedding)

START_TEST(attention)
{
    clattn_ctx *ctx = suite_ctx();
    check_plan(ctx, plan_of_attn(ctx, &attentions[_i]), attentions[_i].name);
}
END_TEST

START_TEST(linear)
{
    clattn_ctx *ctx = suite_ctx();
    check_plan(ctx, plan_of_linear(ctx, &linears[_i]), linears[_i].name);
}
END_TEST

START_TEST(projection)
{
    clattn_ctx *ctx = suite_ctx();
    check_plan(ctx, plan_of_proj(ctx, &projections[_i]), projections[_i].name);
}
END_TEST

static clattn_tensor zeros(clattn_ctx *ctx, clattn_dtype type, int rank, const int64_t *shape,
                           test_memory *m)
{
    memory_make(m, ctx, false, type, rank, shape, NULL);
    return m->tensor;
}

/* q, k and v of two sequences; k and v go into the cache. */
static clattn_status plan_into(clattn_ctx *ctx, const into_spec *s, int N, clattn_plan **plan)
{
    enum { B = 2, M = 48, Hq = 4, H = 2, D = 16, Dv = 8 };
    static const int64_t wq[] = { Hq, D, M }, wk[] = { H, D, M }, wv[] = { H, Dv, M };
    const int64_t x[] = { B, N, M }, q[] = { B, N, Hq, D };
    test_memory m[5];
    clattn_kv *kv;
    OK(ctx, clattn_kv_create(ctx, clattn_kv_params(.sequences = B + 1, .heads = H, .key_width = D,
                                                   .value_width = Dv, .capacity = s->capacity,
                                                   .page_rows = s->page_rows, .pages = s->pages,
                                                   .dtype = s->dtype), &kv));
    const clattn_status status = clattn_plan_projection(
        ctx,
        clattn_projection_params(
            .x = zeros(ctx, s->dtype, 3, x, &m[0]), .kv = kv, .kv_sequence = 1,
            .parts = { { .w = zeros(ctx, s->dtype, 3, wq, &m[1]), .rotary = s->rotary,
                         .y = zeros(ctx, s->dtype, 4, q, &m[2]) },
                       { .w = zeros(ctx, s->dtype, 3, wk, &m[3]), .rotary = s->rotary,
                         .into = CLATTN_KV_KEYS },
                       { .w = zeros(ctx, s->dtype, 3, wv, &m[4]), .into = CLATTN_KV_VALUES } }),
        plan);
    clattn_kv_destroy(&kv);
    for (int i = 0; i < 5; i++)
        memory_free(&m[i]);
    return status;
}

START_TEST(projection_into)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;
    OK(ctx, plan_into(ctx, &intos[_i], intos[_i].N, &plan));
    check_plan(ctx, plan, intos[_i].name);
}
END_TEST

/* More rows than the cache can ever hold: planned, maybe, but not tuned. */
START_TEST(projection_beyond)
{
    static const int many[] = { 91, 113, 49, 41 };
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;
    OK(ctx, plan_into(ctx, &intos[_i], many[_i], &plan));
    ck_assert(!cla_op_tunable(plan->op, plan->problem));
    ck_assert_int_eq(clattn_plan_tune(plan, NULL, NULL), CLATTN_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(clattn_error(ctx), "never run"));
    clattn_plan_destroy(&plan);
}
END_TEST

START_TEST(rowwise)
{
    clattn_ctx *ctx = suite_ctx();
    check_plan(ctx, plan_of_row(ctx, &rows[_i]), rows[_i].name);
}
END_TEST

START_TEST(embedding)
{
    clattn_ctx *ctx = suite_ctx();
    check_plan(ctx, plan_of_embedding(ctx, &embeddings[_i]), embeddings[_i].name);
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
    memory_free(&m[0]);
    memory_free(&m[1]);
    for (int i = 0; i < 4; i++)
        memory_make(&m[i], ctx, i > 1, CLATTN_F32, 5 - (i % 2) - (i > 1), parts + (i > 1), NULL);
    OK(ctx, clattn_plan_merge(ctx,
                              clattn_merge_params(.o_parts = m[0].tensor, .lse_parts = m[1].tensor,
                                                  .o = m[2].tensor, .lse = m[3].tensor),
                              &plan));
    check_plan(ctx, plan, "merge");
    for (int i = 0; i < 4; i++)
        memory_free(&m[i]);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("check");
    TCase *t = tcase_create("check");
    tcase_add_loop_test(t, attention, 0, COUNT(attentions));
    tcase_add_loop_test(t, linear, 0, COUNT(linears));
    tcase_add_loop_test(t, projection, 0, COUNT(projections));
    tcase_add_loop_test(t, projection_into, 0, COUNT(intos));
    tcase_add_loop_test(t, projection_beyond, 0, COUNT(intos));
    tcase_add_loop_test(t, rowwise, 0, COUNT(rows));
    tcase_add_loop_test(t, embedding, 0, COUNT(embeddings));
    tcase_add_test(t, rope_and_merge);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
