/* SPDX-License-Identifier: Apache-2.0 */
/* Projection and rotary embedding through the public API: golden cases, host memory, plans, errors.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "projection_case.h"
#include "rope_case.h"
#include "suite.h"

typedef struct clattn_projection_params params;

/* ---- golden cases ---- */

static golden_names cases;

static void check_rope_case(const golden_case *c, clattn_dtype in, clattn_dtype out, bool host)
{
    clattn_ctx *ctx = suite_ctx();
    rope_run run;

    if (rope_run_of_golden(&run, host ? NULL : ctx, c, in, out)) {
        OK(ctx, clattn_rope(ctx, &run.params));
        rope_run_check(&run);
        rope_run_free(&run);
    }
}

/* Buffers for one dtype, host memory for the next: both roads see every case. */
static void check_case(const char *name, clattn_dtype in, clattn_dtype out, bool host)
{
    golden_case c;

    golden_open(&c, name);
    compare_label("%s, %s to %s%s", name, clattn_dtype_name(in), clattn_dtype_name(out),
                  host ? ", host" : "");
    if (strcmp(golden_op(&c), "rope") == 0) {
        check_rope_case(&c, in, out, host);
    } else {
        proj_data *data = proj_data_of_golden(&c, in, out);
        ck_assert_msg(data || in == CLATTN_F16, "%s: not exact", compare_label_text());
        if (data) /* else a number of the case is beyond the range of f16 */
            proj_check(suite_ctx(), host, data, NULL);
        proj_data_free(data);
    }
    golden_close(&c);
}

START_TEST(golden)
{
    check_case(cases.name[_i], CLATTN_F32, CLATTN_F32, _i % 2);
    check_case(cases.name[_i], CLATTN_F16, CLATTN_F16, _i % 2 == 0);
    check_case(cases.name[_i], CLATTN_F16, CLATTN_F32, _i % 2);
    check_case(cases.name[_i], CLATTN_BF16, CLATTN_BF16, _i % 2);
    check_case(cases.name[_i], CLATTN_BF16, CLATTN_F32, _i % 2 == 0);
}
END_TEST

/* ---- dtypes and layouts ---- */

START_TEST(layouts)
{
    for (int w = W_DENSE; w <= W_SCATTERED; w++)
        for (int y = Y_DENSE; y <= Y_PADDED; y++) {
            /* [out][M] beside [out] does not say where heads end. */
            const bool one_head = w == W_FLAT && (y == Y_FLAT || y == Y_ROWS);
            const proj_spec spec = {
                .name = "layouts",
                .B = y == Y_ROWS ? 1 : 2,
                .N = _i ? 19 : 3,
                .M = 24,
                .part = { { .H = one_head ? 1 : 2,
                            .K = one_head ? 36 : 18,
                            .bias = true,
                            .rotary = CLATTN_ROTARY_NEOX,
                            .in_place = true } },
                .start = 40,
                .w_layout = (w_layout)w,
                .y_layout = (y_layout)y,
            };
            proj_data *data = proj_data_make(&spec, suite_seed());
            compare_label("w layout %d, y layout %d", w, y);
            proj_check(suite_ctx(), (w + y) % 2, data, NULL);
            proj_data_free(data);
        }
}
END_TEST

/* Zeros times what lies beside the tensors would be NaN; a NaN in a row stays in its row. */
START_TEST(nan_stays_in_its_row)
{
    const proj_spec spec = {
        .name = "NaN", .B = 1, .N = _i, .M = 37, .part = { { .H = 1, .K = 20 } }
    };
    proj_data *data = proj_data_make(&spec, suite_seed());
    data->x[2 * 37 + 5] = NAN;
    for (int c = 0; c < 20; c++)
        data->part[0].y[2 * 20 + c] = (double)NAN;
    compare_label("NaN in row 2 of %d", _i);
    proj_check(suite_ctx(), false, data, NULL);
    proj_data_free(data);
}
END_TEST

/* ---- plans ---- */

static const proj_spec turned = { .name = "turned",
                                  .B = 2,
                                  .N = 2,
                                  .M = 20,
                                  .start = 5,
                                  .part = { { .H = 2, .K = 8, .rotary = CLATTN_ROTARY_GPTJ },
                                            { .H = 1, .K = 8 } } };

/* start may change from run to run, a shape may not. */
START_TEST(plan_runs_at_another_start)
{
    clattn_ctx *ctx = suite_ctx();
    proj_spec later = turned;
    clattn_plan *plan;
    clattn_plan_info info;
    proj_run first, second;

    later.start = 77;
    proj_data *a = proj_data_make(&turned, suite_seed()), *b = proj_data_make(&later, suite_seed());
    proj_run_make(&first, ctx, a);
    proj_run_make(&second, ctx, b);
    OK(ctx, clattn_plan_projection(ctx, &first.params, &plan));
    OK(ctx, clattn_plan_run_projection(plan, &second.params));
    OK(ctx, clattn_plan_run(plan));
    compare_label("plan, its own start");
    proj_run_check(&first);
    compare_label("plan, another start");
    proj_run_check(&second);
    OK(ctx, clattn_plan_describe(plan, &info));
    ck_assert_double_eq(info.flops, 2.0 * 4 * 20 * 24);
    ck_assert_double_eq(info.bytes, 4.0 * (4 * 20 + 20 * 24 + 4 * 24));
    second.params.parts[0].rotary = CLATTN_ROTARY_NEOX;
    FAILS(ctx, ERR_SHAPE, "differ", clattn_plan_run_projection(plan, &second.params));
    clattn_plan_destroy(&plan);
    proj_run_free(&first);
    proj_run_free(&second);
    proj_data_free(a);
    proj_data_free(b);
}
END_TEST

START_TEST(no_rows)
{
    static const int batches[] = { 0, 3 };
    clattn_ctx *ctx = suite_ctx();

    for (int i = 0; i < 2; i++) {
        const int64_t x[3] = { batches[i], i ? 0 : 4, 8 }, w[2] = { 6, 8 };
        const int64_t y[3] = { x[0], x[1], 6 }, deep[4] = { x[0], x[1], 3, 2 };
        float weights[48] = { 0 };
        OK(ctx,
           clattn_projection(
               ctx, clattn_projection_params(
                            .x = clattn_tensor_of_host(NULL, CLATTN_F32, 3, x),
                            .parts = { { .w = clattn_tensor_of_host(weights, CLATTN_F32, 2, w),
                                         .y = clattn_tensor_of_host(NULL, CLATTN_F32, 3, y) } })));
        OK(ctx, clattn_rope(
                    ctx, clattn_rope_params(.x = clattn_tensor_of_host(NULL, CLATTN_F32, 4, deep),
                                            .y = clattn_tensor_of_host(NULL, CLATTN_F32, 4, deep),
                                            .rotary = CLATTN_ROTARY_NEOX)));
    }
}
END_TEST

/* ---- errors ---- */

#define SPOIL(name, ...)        \
    static void name(params *p) \
    {                           \
        __VA_ARGS__;            \
    }
static const clattn_tensor absent = { .dtype = CLATTN_NONE };

SPOIL(no_x, p->x = absent)
SPOIL(no_w, p->parts[0].w = absent)
SPOIL(no_y, p->parts[1].y = absent)
SPOIL(no_second_w, p->num_parts = 3)
SPOIL(too_many_parts, p->num_parts = 4)
SPOIL(too_few_parts, p->num_parts = -1)
SPOIL(too_many_rows, p->x.shape[0] = p->x.shape[1] = 1 << 15; p->x.stride[0] = p->x.stride[1] = 0)
SPOIL(x_of_i8, p->x.dtype = CLATTN_I8)
SPOIL(w_of_u8, p->parts[0].w.dtype = CLATTN_U8)
SPOIL(w_of_other_part, p->parts[1].w.dtype = CLATTN_BF16)
SPOIL(w_of_rank_1, p->parts[0].w.rank = 1)
SPOIL(w_of_other_M, p->parts[0].w = clattn_tensor_slice(p->parts[0].w, 2, 0, 19))
SPOIL(w_of_no_heads, p->parts[0].w = clattn_tensor_slice(p->parts[0].w, 0, 0, 0))
SPOIL(y_of_other_rows, p->parts[0].y = clattn_tensor_slice(p->parts[0].y, 1, 0, 1))
SPOIL(y_of_other_heads, p->parts[0].y = clattn_tensor_slice(p->parts[0].y, 2, 0, 1))
SPOIL(y_of_other_dtype, p->parts[0].y.dtype = CLATTN_F16)
SPOIL(y_over_x, p->parts[0].y.buffer = p->x.buffer; p->parts[0].y.offset = p->x.offset)
SPOIL(y_over_y, p->parts[1].y.buffer = p->parts[0].y.buffer;
      p->parts[1].y.offset = p->parts[0].y.offset)
SPOIL(residual_shifted, p->parts[0].residual = p->parts[0].y; p->parts[0].residual.offset++)
SPOIL(residual_of_other_shape, p->parts[0].residual = p->parts[1].y)
SPOIL(bias_of_other_length, p->parts[0].bias = clattn_tensor_slice(p->x, 2, 0, 4);
      p->parts[0].bias.rank = 2)
SPOIL(scale_for_floats, p->parts[0].scale = p->parts[0].w)
SPOIL(no_scale, p->parts[0].w.dtype = p->parts[1].w.dtype = CLATTN_I8)
SPOIL(pairs_of_20, p->parts[0].w = clattn_tensor_slice(p->parts[0].w, 2, 0, 10);
      p->parts[0].w.dtype = CLATTN_I4)
SPOIL(nine_pairs, p->parts[0].w = clattn_tensor_slice(p->parts[0].w, 2, 0, 9);
      p->parts[0].w.dtype = CLATTN_I4)
SPOIL(rotary_unknown, p->parts[0].rotary = (clattn_rotary)3)
SPOIL(rotary_of_odd_width, p->parts[0].w = clattn_tensor_slice(p->parts[0].w, 1, 0, 7);
      p->parts[0].y = clattn_tensor_slice(p->parts[0].y, 3, 0, 7))
SPOIL(base_too_small, p->parts[0].rotary_base = 0.5f)
SPOIL(base_nan, p->parts[0].rotary_base = NAN)
SPOIL(starts_too_short, p->starts = clattn_tensor_slice(p->x, 2, 0, 1); p->starts.rank = 1;
      p->starts.dtype = CLATTN_I32; p->starts.shape[0] = 1)
SPOIL(start_too_late, p->start = INT64_MAX)
SPOIL(unknown_kernel, p->kernel = "proj_magic")
SPOIL(kernel_of_other_op, p->kernel = "merge")
SPOIL(outside_its_buffer, p->parts[0].w.offset += 1 << 20)

static const struct {
    void (*spoil)(params *p);
    clattn_status status;
    const char *words;
} errors[] = {
    { no_x, CLATTN_ERR_ARG, "x is missing" },
    { no_w, CLATTN_ERR_ARG, "parts[0].w is missing" },
    { no_y, CLATTN_ERR_ARG, "parts[1].y is missing" },
    { no_second_w, CLATTN_ERR_ARG, "parts[2].w is missing" },
    { too_many_parts, CLATTN_ERR_ARG, "num_parts is 4" },
    { too_few_parts, CLATTN_ERR_ARG, "num_parts is -1" },
    { too_many_rows, CLATTN_ERR_SHAPE, "B * N is 1073741824" },
    { x_of_i8, CLATTN_ERR_ARG, "x has dtype i8|f32, f16, bf16" },
    { w_of_u8, CLATTN_ERR_ARG, "parts[0].w has dtype u8|i8, i4" },
    { w_of_other_part, CLATTN_ERR_ARG, "parts[1].w has dtype bf16|f32" },
    { w_of_rank_1, CLATTN_ERR_SHAPE, "parts[0].w has 1 axes" },
    { w_of_other_M, CLATTN_ERR_SHAPE, "parts[0].w has 19 columns|M = 20" },
    { w_of_no_heads, CLATTN_ERR_SHAPE, "H is 0" },
    { y_of_other_rows, CLATTN_ERR_SHAPE, "axis 1 of parts[0].y has length 1, needs 2" },
    { y_of_other_heads, CLATTN_ERR_SHAPE, "axis 2 of parts[0].y has length 1, needs 2" },
    { y_of_other_dtype, CLATTN_ERR_ARG, "parts[0].y has dtype f16" },
    { y_over_x, CLATTN_ERR_ARG, "output parts[0].y overlaps x" },
    { y_over_y, CLATTN_ERR_ARG, "output parts[0].y overlaps parts[1].y" },
    { residual_shifted, CLATTN_ERR_ARG, "output parts[0].y overlaps parts[0].residual" },
    { residual_of_other_shape, CLATTN_ERR_SHAPE, "parts[0].residual" },
    { bias_of_other_length, CLATTN_ERR_SHAPE, "parts[0].bias" },
    { scale_for_floats, CLATTN_ERR_ARG, "parts[0].scale is given|f32" },
    { no_scale, CLATTN_ERR_ARG, "parts[0].scale is missing|i8" },
    { pairs_of_20, CLATTN_ERR_SHAPE, "M is 20|multiple of 32" },
    { nine_pairs, CLATTN_ERR_SHAPE, "parts[0].w has 9 pairs|M = 20" },
    { rotary_unknown, CLATTN_ERR_ARG, "rotary of parts[0].y is 3" },
    { rotary_of_odd_width, CLATTN_ERR_SHAPE, "parts[0].y are 7 wide|even" },
    { base_too_small, CLATTN_ERR_ARG, "base of parts[0].y is 0.5" },
    { base_nan, CLATTN_ERR_ARG, "base of parts[0].y is" },
    { start_too_late, CLATTN_ERR_SHAPE, "start is 9223372036854775807" },
    { starts_too_short, CLATTN_ERR_SHAPE, "starts has length 1, needs 2" },
    { unknown_kernel, CLATTN_ERR_ARG, "proj_magic" },
    { kernel_of_other_op, CLATTN_ERR_ARG, "merge" },
    { outside_its_buffer, CLATTN_ERR_SHAPE, "parts[0].w ends at element" },
};

/* The error, untouched outputs, and a context that still works. */
START_TEST(refusals)
{
    clattn_ctx *ctx = suite_ctx();
    proj_data *data = proj_data_make(&turned, suite_seed());
    proj_run run;

    proj_run_make(&run, ctx, data);
    params p = run.params;
    errors[_i].spoil(&p);
    suite_expect(__FILE__, __LINE__, ctx, errors[_i].words, clattn_projection(ctx, &p),
                 errors[_i].status);
    suite_sentence(__FILE__, __LINE__, ctx, errors[_i].words);
    OK(ctx, clattn_finish(ctx));
    run.part[0].y.written = run.part[1].y.written = false;
    memory_get(&run.part[0].y, "y", NULL);
    memory_get(&run.part[1].y, "y", NULL);
    run.part[0].y.written = run.part[1].y.written = true;
    compare_label("after %s", errors[_i].words);
    OK(ctx, clattn_projection(ctx, &run.params));
    proj_run_check(&run);
    proj_run_free(&run);
    proj_data_free(data);
}
END_TEST

START_TEST(rope_refusals)
{
    const rope_spec spec = {
        .name = "refusals", .B = 2, .N = 3, .H = 2, .D = 8, .rotary = CLATTN_ROTARY_NEOX
    };
    clattn_ctx *ctx = suite_ctx();
    rope_run run;

    rope_run_make(&run, ctx, &spec, suite_seed());
    const struct clattn_rope_params good = run.params;
    struct clattn_rope_params p = good;
    FAILS(ctx, ERR_ARG, "params is NULL", clattn_rope(ctx, NULL));
    p.rotary = CLATTN_ROTARY_NONE;
    FAILS(ctx, ERR_ARG, "rotary is 0", clattn_rope(ctx, &p));
    p = good;
    p.x = clattn_tensor_slice(p.x, 3, 0, 7);
    p.y = clattn_tensor_slice(p.y, 3, 0, 7);
    FAILS(ctx, ERR_SHAPE, "7 wide|even", clattn_rope(ctx, &p));
    p = good;
    p.x = clattn_tensor_slice(p.x, 3, 0, 0);
    FAILS(ctx, ERR_SHAPE, "D is 0", clattn_rope(ctx, &p));
    p = good;
    p.y = clattn_tensor_slice(p.y, 1, 0, 2);
    FAILS(ctx, ERR_SHAPE, "axis 1 of y has length 2", clattn_rope(ctx, &p));
    p = good;
    p.base = -1;
    FAILS(ctx, ERR_ARG, "base of x is -1", clattn_rope(ctx, &p));
    p = good;
    p.start = INT64_MAX - 2;
    FAILS(ctx, ERR_SHAPE, "start is 9223372036854775805|3 rows", clattn_rope(ctx, &p));
    p.start--;
    OK(ctx, clattn_rope(ctx, &p));
    p.start = INT64_MIN;
    OK(ctx, clattn_rope(ctx, &p));
    p = good;
    p.y = p.x;
    p.y.offset++;
    FAILS(ctx, ERR_ARG, "output y overlaps x", clattn_rope(ctx, &p));
    p = good;
    p.struct_size = 0;
    FAILS(ctx, ERR_ARG, "struct_size", clattn_rope(ctx, &p));
    OK(ctx, clattn_rope(ctx, &good));
    compare_label("after refusals");
    rope_run_check(&run);
    rope_run_free(&run);
}
END_TEST

/* ---- integers ---- */

START_TEST(integer_dtypes)
{
    const float x[6] = { -9, 7.5f, -0.5f, 1.5f, 300, -300 };
    float back[6];
    uint8_t stored[6];

    ck_assert_uint_eq(clattn_dtype_size(CLATTN_I8), 1);
    ck_assert_uint_eq(clattn_dtype_size(CLATTN_I4), 1);
    ck_assert_str_eq(clattn_dtype_name(CLATTN_I4), "i4");
    clattn_from_f32(CLATTN_I4, x, stored, 3);
    ck_assert_uint_eq(stored[0], 0x78); /* 7 in the high half, -8 in the low */
    clattn_to_f32(CLATTN_I4, stored, back, 3);
    const float i4[6] = { -8, 7, 0, 2, 7, -8 }, i8[6] = { -9, 8, 0, 2, 127, -128 };
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(back[i], i4[i]);
    clattn_from_f32(CLATTN_I8, x, stored, 6);
    clattn_to_f32(CLATTN_I8, stored, back, 6);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(back[i], i8[i]);
}
END_TEST

static Suite *suite(void)
{
    static const int rows[] = { 3, 17, 60 };
    Suite *s = suite_create("projection");
    TCase *t = tcase_create("projection");

    golden_find(&cases, "projection|rope");
    tcase_add_loop_test(t, golden, 0, cases.count);
    tcase_add_loop_test(t, layouts, 0, 2);
    for (int i = 0; i < 3; i++)
        tcase_add_loop_test(t, nan_stays_in_its_row, rows[i], rows[i] + 1);
    tcase_add_test(t, plan_runs_at_another_start);
    tcase_add_test(t, no_rows);
    tcase_add_loop_test(t, refusals, 0, (int)(sizeof errors / sizeof errors[0]));
    tcase_add_test(t, rope_refusals);
    tcase_add_test(t, integer_dtypes);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
