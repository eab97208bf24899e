/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CLATTN_CHECK=sample: kernels that compute wrongly are reported, those that are right never are,
 * whatever numbers they get. On the native CPU the kernels behind five functions are made wrong; on
 * OpenCL nothing is launched at all.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/cpu.h"
#include "fault_operations.h"
#include "opencl/runtime.h"
#include "suite.h"

static bool planted;

/* ---- wrong kernels ---- */

static void spoil(const cla_view *o)
{
    const size_t size = clattn_dtype_size((clattn_dtype)o->dtype);
    for (int64_t i = 0; i < o->span; i++) {
        char *at = (char *)o->host + (size_t)(o->offset + i) * size;
        float x;
        clattn_to_f32((clattn_dtype)o->dtype, at, &x, 1);
        x += 1;
        clattn_from_f32((clattn_dtype)o->dtype, &x, at, 1);
    }
}

/* The real function, and then wrong numbers in all of a view. */
#define WRAP(name, type, view, params, args)        \
    clattn_status __real_##name params;             \
    clattn_status __wrap_##name params;             \
    clattn_status __wrap_##name params              \
    {                                               \
        const clattn_status s = __real_##name args; \
        if (planted)                                \
            spoil(&p->view);                        \
        return s;                                   \
    }

WRAP(cla_cpu_attention, cla_attn, o, (cla_cpu * cpu, const cla_attn *p, const int *t), (cpu, p, t))
WRAP(cla_cpu_argmax, cla_attn, o, (cla_cpu * cpu, const cla_attn *p), (cpu, p))
WRAP(cla_cpu_linear, cla_linear, o, (cla_cpu * cpu, const cla_linear *p, const int *t), (cpu, p, t))
WRAP(cla_cpu_proj_gemm, cla_proj, part[0].y, (cla_cpu * cpu, const cla_proj *p), (cpu, p))
WRAP(cla_cpu_proj_few, cla_proj, part[0].y, (cla_cpu * cpu, const cla_proj *p), (cpu, p))

clattn_status __real_cla_cl_launch_run(clattn_ctx *ctx, const cla_launch *launches, int count,
                                       const void *problem, void *any_mem,
                                       const cla_events *events);
clattn_status __wrap_cla_cl_launch_run(clattn_ctx *ctx, const cla_launch *launches, int count,
                                       const void *problem, void *any_mem,
                                       const cla_events *events);
clattn_status __wrap_cla_cl_launch_run(clattn_ctx *ctx, const cla_launch *launches, int count,
                                       const void *problem, void *any_mem, const cla_events *events)
{
    return __real_cla_cl_launch_run(ctx, launches, planted ? 0 : count, problem, any_mem, events);
}

/* The operations that are wrong when planted. */
static bool is_wrapped(const fault_operation *op)
{
    static const char *const names[] = { "prefill", "decode", "argmax", "linear", "projection" };
    for (int i = 0; i < 5; i++)
        if (strncmp(op->name, names[i], strlen(names[i])) == 0)
            return true;
    return !suite_is_native();
}

/* ---- contexts ---- */

static void keep_error(void *user, clattn_log_level level, const char *line)
{
    if (level == CLATTN_LOG_ERROR)
        strncat(user, line, 255);
}

/* With no plan yet, and with this wish; NULL: none. */
static clattn_ctx *fresh(const char *wish)
{
    clattn_ctx *ctx;
    unsetenv("CLATTN_CHECK");
    if (wish)
        setenv("CLATTN_CHECK", wish, 1);
    OK(NULL, clattn_ctx_create(NULL, &ctx));
    return ctx;
}

/* ---- right and wrong ---- */

static int num_operations(void)
{
    int n = 0;
    while (fault_operations[n].name)
        n++;
    return n;
}

static void check_operation(const fault_operation *op, bool on_device)
{
    clattn_ctx *ctx = fresh("sample");
    fault_case c;
    op->make(&c, on_device ? ctx : NULL, op->spec);
    OK(ctx, op->call(ctx, c.params));
    op->check(&c);
    op->free(&c);
    clattn_ctx_destroy(&ctx);
    if (!is_wrapped(op))
        return;
    ctx = fresh("sample");
    op->make(&c, on_device ? ctx : NULL, op->spec);
    planted = true;
    FAILS(ctx, ERR_CHECK, "computed wrongly| row |is right, within", op->call(ctx, c.params));
    planted = false;
    OK(ctx, op->call(ctx, c.params));
    op->check(&c);
    op->free(&c);
    clattn_ctx_destroy(&ctx);
}

START_TEST(in_buffers)
{
    check_operation(&fault_operations[_i], true);
}
END_TEST

START_TEST(in_host_memory)
{
    check_operation(&fault_operations[_i], false);
}
END_TEST

/* A plan that was right at first is looked at again. */
START_TEST(later)
{
    const fault_operation *op = &fault_operations[0];
    clattn_ctx *ctx = fresh("sample");
    clattn_plan *plan;
    clattn_status s = CLATTN_OK;
    fault_case c;
    op->make(&c, ctx, op->spec);
    OK(ctx, op->plan(ctx, c.params, &plan));
    OK(ctx, clattn_plan_run(plan));
    planted = true;
    for (const time_t end = time(NULL) + 20; s == CLATTN_OK && time(NULL) < end;)
        s = clattn_plan_run(plan);
    planted = false;
    ck_assert_int_eq(s, CLATTN_ERR_CHECK);
    clattn_plan_destroy(&plan);
    op->free(&c);
    clattn_ctx_destroy(&ctx);
}
END_TEST

START_TEST(off)
{
    static const char *const wishes[] = { NULL, "off" };
    const fault_operation *op = &fault_operations[0];
    clattn_ctx *ctx = fresh(wishes[_i]);
    fault_case c;
    op->make(&c, ctx, op->spec);
    planted = true;
    OK(ctx, op->call(ctx, c.params));
    planted = false;
    op->free(&c);
    clattn_ctx_destroy(&ctx);
}
END_TEST

START_TEST(unknown_wish)
{
    char said[1024] = "";
    clattn_ctx *ctx;
    setenv("CLATTN_CHECK", "often", 1);
    const clattn_status s =
        clattn_ctx_create(clattn_ctx_params(.log = keep_error, .log_user = said), &ctx);
    ck_assert_int_eq(s, CLATTN_ERR_ARG);
    ck_assert_ptr_null(ctx);
    ck_assert_msg(strstr(said, "CLATTN_CHECK is \"often\""), "%s", said);
}
END_TEST

/* ---- numbers that f32 cannot add up ---- */

enum { ROWS = 6, WIDTH = 8, ALL = ROWS * WIDTH, FEATURES = 45 /* of poly2 */, OPERATIONS = 9 };

static const float odd_numbers[] = { NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e20f, 1e-40f, 0 };

typedef struct odd_inputs {
    float x[3][ALL], o[ALL], state[FEATURES * WIDTH], sums[FEATURES];
} odd_inputs;

static clattn_tensor odd_view(float *x)
{
    return clattn_tensor_of_host(x, CLATTN_F32, 4, (int64_t[]){ 1, 1, ROWS, WIDTH });
}

static clattn_status plan_linear(clattn_ctx *ctx, clattn_feature_map map, odd_inputs *in,
                                 clattn_plan **plan)
{
    const int64_t F = map == CLATTN_MAP_POLY2 ? FEATURES : WIDTH;
    return clattn_plan_linear_attention(
        ctx,
        clattn_linear_attention_params(.q = odd_view(in->x[0]), .k = odd_view(in->x[1]),
                                       .v = odd_view(in->x[2]), .o = odd_view(in->o), .map = map,
                                       .causal = true,
                                       .state_out_kv = clattn_tensor_of_host(
                                           in->state, CLATTN_F32, 4, (int64_t[]){ 1, 1, F, WIDTH }),
                                       .state_out_z = clattn_tensor_of_host(
                                           in->sums, CLATTN_F32, 3, (int64_t[]){ 1, 1, F })),
        plan);
}

/* Runs an operation once, in a plan of its own. */
static void run_odd(clattn_ctx *ctx, int operation, odd_inputs *in)
{
    const clattn_tensor q = odd_view(in->x[0]), k = odd_view(in->x[1]), v = odd_view(in->x[2]);
    const clattn_tensor o = odd_view(in->o);
    struct clattn_projection_params projection = *clattn_projection_params(.x = q);
    clattn_plan *plan;
    projection.x = clattn_tensor_of_host(in->x[0], CLATTN_F32, 2, (int64_t[]){ ROWS, WIDTH });
    projection.parts[0].w =
        clattn_tensor_of_host(in->x[1], CLATTN_F32, 2, (int64_t[]){ ROWS, WIDTH });
    projection.parts[0].y = clattn_tensor_of_host(in->o, CLATTN_F32, 2, (int64_t[]){ ROWS, ROWS });
    switch (operation) {
    case 0:
        OK(ctx, clattn_plan_attention(ctx, clattn_attention_params(.q = q, .k = k, .v = v, .o = o),
                                      &plan));
        break;
    case 1:
        OK(ctx,
           clattn_plan_argmax(ctx, clattn_argmax_params(.q = q, .k = k, .v = v, .o = o), &plan));
        break;
    case 2:
        OK(ctx, clattn_plan_projection(ctx, &projection, &plan));
        break;
    case 3:
        OK(ctx, clattn_plan_rowwise(
                    ctx,
                    clattn_rowwise_params(.x = projection.x,
                                          .y = clattn_tensor_of_host(in->o, CLATTN_F32, 2,
                                                                     (int64_t[]){ ROWS, WIDTH }),
                                          .function = CLATTN_ROW_NORM, .eps = 1e-12f),
                    &plan));
        break;
    default:
        OK(ctx, plan_linear(ctx, (clattn_feature_map)(operation - 4), in, &plan));
    }
    OK(ctx, clattn_plan_run(plan));
    clattn_plan_destroy(&plan);
}

/* One of them in each input in turn, then all of them everywhere. */
START_TEST(odd)
{
    clattn_ctx *ctx = fresh("sample");
    for (int n = 0; n < 4 * 8; n++)
        for (int again = 0; again < (suite_is_native() ? 8 : 1); again++) {
            odd_inputs in;
            for (int i = 0; i < 3 * ALL; i++)
                in.x[i / ALL][i % ALL] = n < 24 ? (float)(i * 37 % 19 - 9) / 8
                                                : odd_numbers[(i * 5 + i / 7 + n + again) % 8];
            if (n < 24)
                in.x[n / 8][11] = odd_numbers[n % 8];
            run_odd(ctx, _i, &in);
        }
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* Products, and inputs, that a device may take for 0, and what makes them large again. */
START_TEST(tiny)
{
    static const float sizes[] = { 0x1p-40f, 0x1.5p-60f, 1e-40f, 1e-20f, 1, 1e20f, 3e37f };
    enum { SIZES = sizeof sizes / sizeof *sizes };
    clattn_ctx *ctx = fresh("sample");
    for (int n = 0; n < SIZES * SIZES * SIZES; n++) {
        odd_inputs in;
        for (int i = 0; i < ALL; i++) {
            in.x[0][i] = sizes[n % SIZES] * (float)(1 + i % 5);
            in.x[1][i] = sizes[n / SIZES % SIZES] * (float)(1 + i % 5);
            in.x[2][i] = sizes[n / SIZES / SIZES] * (float)(1 + i % 5);
        }
        run_odd(ctx, _i, &in);
    }
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* ---- integers that lead outside ---- */

enum { TOKENS = 12, MOST_Q = 6, MOST_K = 5, PAGE_ROWS = 16, PAGES = 2, KEYS = 2 * PAGE_ROWS };

static const test_layout in_order;

static clattn_tensor put_floats(clattn_ctx *ctx, test_memory *m, int rank, const int64_t *shape)
{
    static float numbers[PAGES * KEYS * WIDTH];
    for (int i = 0; i < PAGES * KEYS * WIDTH; i++)
        numbers[i] = (float)(i * 37 % 19 - 8) / 8;
    memory_make(m, ctx, false, CLATTN_F32, rank, shape, &in_order);
    memory_put(m, numbers);
    return m->tensor;
}

static clattn_tensor put_ints(clattn_ctx *ctx, test_memory *m, int rank, const int64_t *shape,
                              const int32_t *numbers)
{
    memory_make(m, ctx, false, CLATTN_I32, rank, shape, &in_order);
    memory_put_bytes(m, numbers);
    return m->tensor;
}

/* The buffers of a problem, the last of them its output. */
typedef struct outside {
    clattn_ctx *ctx;
    test_memory m[6], o;
} outside;

static clattn_tensor output_of(outside *u, int rank, const int64_t *shape)
{
    memory_make(&u->o, u->ctx, true, CLATTN_F32, rank, shape, &in_order);
    return u->o.tensor;
}

/* Of a cache of the caller's own: lengths and pages. */
static void outside_the_cache(outside *u)
{
    const int64_t q[] = { 2, 1, 3, WIDTH }, k[] = { PAGES, 1, PAGE_ROWS, WIDTH };
    const clattn_kv_layout layout = {
        .lengths = put_ints(u->ctx, &u->m[0], 1, (int64_t[]){ 2 }, (int32_t[]){ KEYS + 1000, -3 }),
        .block_table =
            put_ints(u->ctx, &u->m[1], 2, (int64_t[]){ 2, 2 }, (int32_t[]){ 7, -9, 1 << 30, 0 }),
    };
    OK(u->ctx, clattn_attention(
                   u->ctx, clattn_attention_params(.q = put_floats(u->ctx, &u->m[2], 4, q),
                                                   .k = put_floats(u->ctx, &u->m[3], 4, k),
                                                   .v = put_floats(u->ctx, &u->m[4], 4, k),
                                                   .o = output_of(u, 4, q), .layout = layout)));
}

/* Of packed rows: starts, also such that sequences share rows. Causal ones must be the same. */
static void outside_the_rows(outside *u, int operation)
{
    static const int32_t starts_q[] = { -5, 4, 2, 900 }, starts_k[] = { 0, 9, 3, 900 };
    const int64_t rows[] = { TOKENS, 1, WIDTH };
    const clattn_tensor q = put_floats(u->ctx, &u->m[0], 3, rows),
                        k = put_floats(u->ctx, &u->m[1], 3, rows),
                        v = put_floats(u->ctx, &u->m[2], 3, rows), o = output_of(u, 3, rows),
                        cu_q = put_ints(u->ctx, &u->m[3], 1, (int64_t[]){ 4 }, starts_q),
                        cu_k = put_ints(u->ctx, &u->m[4], 1, (int64_t[]){ 4 },
                                        operation == 3 ? starts_q : starts_k);
    if (operation == 0)
        OK(u->ctx,
           clattn_attention(
               u->ctx, clattn_attention_params(.q = q, .k = k, .v = v, .o = o, .cu_seqlens_q = cu_q,
                                               .cu_seqlens_k = cu_k, .max_seqlen_q = MOST_Q,
                                               .max_seqlen_k = MOST_K)));
    else if (operation == 1)
        OK(u->ctx,
           clattn_argmax(u->ctx,
                         clattn_argmax_params(.q = q, .k = k, .v = v, .o = o, .cu_seqlens_q = cu_q,
                                              .cu_seqlens_k = cu_k, .max_seqlen_q = MOST_Q,
                                              .max_seqlen_k = MOST_K)));
    else
        OK(u->ctx,
           clattn_linear_attention(
               u->ctx,
               clattn_linear_attention_params(.q = q, .k = k, .v = v, .o = o,
                                              .map = CLATTN_MAP_ELU1, .causal = operation == 3,
                                              .cu_seqlens_q = cu_q, .cu_seqlens_k = cu_k,
                                              .max_seqlen_q = MOST_Q, .max_seqlen_k = MOST_K)));
}

/* Of tables: ids and positions. */
static void outside_the_tables(outside *u)
{
    static const int32_t ids[] = { 0, -1, 5, 1 << 30, 4, 3 }, starts[] = { 2, -1 };
    const int64_t table[] = { 5, WIDTH };
    const clattn_tensor words = put_floats(u->ctx, &u->m[0], 2, table),
                        places = put_floats(u->ctx, &u->m[1], 2, table),
                        at = put_ints(u->ctx, &u->m[2], 2, (int64_t[]){ 2, 3 }, ids),
                        first = put_ints(u->ctx, &u->m[3], 1, (int64_t[]){ 2 }, starts);
    OK(u->ctx,
       clattn_embedding(u->ctx,
                        clattn_embedding_params(.ids = at, .table = words, .positions = places,
                                                .starts = first,
                                                .y = output_of(u, 3, (int64_t[]){ 2, 3, WIDTH }))));
}

/* Kernels clamp them, and so does who judges: nothing is wrong. */
START_TEST(outside_of_it)
{
    for (int n = 0; n < (suite_is_native() ? 40 : 1); n++) {
        outside u = { .ctx = fresh("sample") };
        if (_i == 0)
            outside_the_cache(&u);
        else if (_i == 5)
            outside_the_tables(&u);
        else
            outside_the_rows(&u, _i - 1);
        for (int i = 0; i < 6; i++)
            memory_free(&u.m[i]);
        memory_free(&u.o);
        clattn_ctx_destroy(&u.ctx);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("selfcheck");
    TCase *t = tcase_create("selfcheck");

    tcase_add_loop_test(t, in_buffers, 0, suite_is_native() ? num_operations() : 3);
    tcase_add_test(t, unknown_wish);
    if (suite_is_native()) {
        tcase_add_loop_test(t, in_host_memory, 0, num_operations());
        tcase_add_test(t, later);
        tcase_add_loop_test(t, off, 0, 2);
        tcase_add_loop_test(t, odd, 0, OPERATIONS);
        tcase_add_loop_test(t, tiny, 0, OPERATIONS);
        tcase_add_loop_test(t, outside_of_it, 0, 6);
    } else { /* where building takes the time */
        tcase_add_loop_test(t, in_host_memory, 0, 1);
        tcase_add_loop_test(t, odd, 0, 1);
        tcase_add_loop_test(t, outside_of_it, 0, 2);
    }
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
