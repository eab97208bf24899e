/* SPDX-License-Identifier: Apache-2.0 */
/* Units that need no device: dtypes, tensors, options structs, statuses, configurations. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "kernel.h"
#include "params.h"
#include "plan.h"
#include "status.h"
#include "storage.h"
#include "suite.h"
#include "tensor.h"
#include "test_random.h"
#include "tune/store_state.h"

/* ---- dtypes ---- */

static bool same_float(float a, float b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

/* Every bit pattern of a 16-bit format, and back. */
static void check_patterns(clattn_dtype dtype)
{
    for (unsigned u = 0; u < 65536; u++) {
        const uint16_t stored = (uint16_t)u;
        uint16_t again;
        float x;
        clattn_to_f32(dtype, &stored, &x, 1);
        ck_assert_msg(same_float(x, storage_get(dtype, &stored, 0)), "0x%04x is %g", u, (double)x);
        clattn_from_f32(dtype, &x, &again, 1);
        ck_assert_msg(isnan(x) ? (again & 0x7fff) > (dtype == CLATTN_F16 ? 0x7c00 : 0x7f80)
                               : again == stored,
                      "0x%04x becomes 0x%04x", u, again);
    }
}

/* Numbers between neighbours: halfway, just below, just above. */
static void check_rounding(clattn_dtype dtype)
{
    for (unsigned u = 0; u < 0x7fff; u++) {
        const uint16_t low = (uint16_t)u, high = (uint16_t)(u + 1);
        const float a = storage_get(dtype, &low, 0), b = storage_get(dtype, &high, 0);
        if (!isfinite(a) || !isfinite(b))
            continue;
        const float middle = (float)(((double)a + (double)b) / 2);
        const float tries[] = { middle, nextafterf(middle, a), nextafterf(middle, b), -middle };
        for (int i = 0; i < 4; i++) {
            uint16_t got, want;
            clattn_from_f32(dtype, &tries[i], &got, 1);
            storage_put(dtype, &want, 0, tries[i]);
            ck_assert_msg(got == want, "%.9g becomes 0x%04x, expected 0x%04x", (double)tries[i],
                          got, want);
        }
    }
}

START_TEST(conversions)
{
    static const float beyond[] = { 65519.996f, 65520, 1e30f, -65520 };
    uint16_t h[4];

    check_patterns(CLATTN_F16);
    check_patterns(CLATTN_BF16);
    check_rounding(CLATTN_F16);
    check_rounding(CLATTN_BF16);
    clattn_from_f32(CLATTN_F16, beyond, h, 4);
    ck_assert(h[0] == 0x7bff && h[1] == 0x7c00 && h[2] == 0x7c00 && h[3] == 0xfc00);
}
END_TEST

START_TEST(integer_conversions)
{
    static const float x[] = { 2.5f, 3.5f, -0.75f, 300, -3e9f, 3e9f, INFINITY, NAN };
    static const uint8_t u8[] = { 2, 4, 0, 255, 0, 255, 255, 0 };
    static const int8_t i8[] = { 2, 4, -1, 127, -128, 127, 127, -128 };
    static const int32_t i32[] = { 2, 4, -1, 300, INT32_MIN, INT32_MAX, INT32_MAX, INT32_MIN };
    uint8_t a[8];
    int8_t b[8];
    int32_t c[8];

    clattn_from_f32(CLATTN_U8, x, a, 8);
    clattn_from_f32(CLATTN_I8, x, b, 8);
    clattn_from_f32(CLATTN_I32, x, c, 8);
    ck_assert_mem_eq(a, u8, sizeof u8);
    ck_assert_mem_eq(b, i8, sizeof i8);
    ck_assert_mem_eq(c, i32, sizeof i32);
}
END_TEST

START_TEST(dtype_names)
{
    static const char *const names[] = { "none", "f32", "f16", "bf16", "u8", "i32" };
    static const size_t sizes[] = { 0, 4, 2, 2, 1, 4 };

    for (int i = 0; i < 6; i++) {
        ck_assert_str_eq(clattn_dtype_name((clattn_dtype)i), names[i]);
        ck_assert_uint_eq(clattn_dtype_size((clattn_dtype)i), sizes[i]);
    }
    ck_assert_uint_eq(clattn_dtype_size((clattn_dtype)77), 0);
    ck_assert_ptr_nonnull(clattn_dtype_name((clattn_dtype)-1));
}
END_TEST

/* ---- statuses ---- */

START_TEST(statuses)
{
    for (int i = CLATTN_OK; i <= CLATTN_ERR_CHECK; i++) {
        const char *name = clattn_status_name((clattn_status)i);
        ck_assert(strncmp(name, "CLATTN_", 7) == 0);
        ck_assert(strlen(clattn_status_text((clattn_status)i)) > 3);
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(name, clattn_status_name((clattn_status)j));
    }
    ck_assert_ptr_nonnull(clattn_status_name((clattn_status)99));
    ck_assert_ptr_nonnull(clattn_status_text((clattn_status)-3));
    ck_assert_str_eq(clattn_error(NULL), "");
    ck_assert_str_eq(clattn_version(), CLATTN_VERSION_STRING);
}
END_TEST

static int logged;

static void count_lines(void *user, clattn_log_level level, const char *line)
{
    ck_assert(user == &logged && level == CLATTN_LOG_ERROR && strchr(line, '\n') == NULL);
    logged++;
}

START_TEST(failures_are_sentences)
{
    clattn_ctx ctx = { .log = count_lines, .log_user = &logged };
    char *endless = calloc(5000, 1);

    ck_assert_ptr_nonnull(endless);
    ck_assert_int_eq(cla_fail(&ctx, CLATTN_ERR_SHAPE, "k has %d heads", 8), CLATTN_ERR_SHAPE);
    ck_assert_str_eq(clattn_error(&ctx), "k has 8 heads");
    memset(endless, 'x', 4999);
    ck_assert_int_eq(cla_fail(&ctx, CLATTN_ERR_ARG, "%s", endless), CLATTN_ERR_ARG);
    ck_assert_uint_eq(strlen(clattn_error(&ctx)), sizeof ctx.error - 1);
    ck_assert_int_eq(cla_fail(NULL, CLATTN_ERR_ARG, "nowhere"), CLATTN_ERR_ARG);
    ck_assert_int_eq(logged, 2);
    free(endless);
}
END_TEST

/* ---- options structs ---- */

typedef struct options {
    size_t struct_size;
    int a, b;
    double c;
} options;

typedef struct newer_options {
    options old;
    int d, e;
} newer_options;

START_TEST(options_structs)
{
    clattn_ctx ctx = { .refs = 1 };
    newer_options n = { { sizeof(options), 1, 2, 3 }, 0, 0 };
    options got;

    ck_assert_int_eq(cla_params_read(&ctx, "op", &got, sizeof got, &n), CLATTN_OK);
    ck_assert(got.a == 1 && got.b == 2 && got.c == 3);

    n.old.struct_size = offsetof(options, b); /* older: what it lacks is 0 */
    ck_assert_int_eq(cla_params_read(&ctx, "op", &got, sizeof got, &n), CLATTN_OK);
    ck_assert(got.a == 1 && got.b == 0 && got.c == 0);

    n.old.struct_size = sizeof n; /* newer, with nothing set that is not known here */
    ck_assert_int_eq(cla_params_read(&ctx, "op", &got, sizeof got, &n), CLATTN_OK);
    ck_assert(got.c == 3);
    n.e = 1;
    FAILS(&ctx, ERR_VERSION, "op", cla_params_read(&ctx, "op", &got, sizeof got, &n));

    n.old.struct_size = 0;
    FAILS(&ctx, ERR_ARG, "struct_size", cla_params_read(&ctx, "op", &got, sizeof got, &n));
    n.old.struct_size = SIZE_MAX; /* uninitialised: must not be read that far */
    FAILS(&ctx, ERR_ARG, "struct_size", cla_params_read(&ctx, "op", &got, sizeof got, &n));
}
END_TEST

/* ---- tensors ---- */

START_TEST(tensor_helpers)
{
    static float x[24];
    static const int64_t shape[] = { 2, 3, 4 };
    const clattn_tensor t = clattn_tensor_of_host(x, CLATTN_F32, 3, shape);

    ck_assert(t.stride[0] == 12 && t.stride[1] == 4 && t.stride[2] == 1 && t.offset == 0);
    ck_assert_int_eq(clattn_tensor_count(&t), 24);
    const clattn_tensor s = clattn_tensor_swap(t, 0, 2);
    ck_assert(s.shape[0] == 4 && s.stride[0] == 1 && s.shape[2] == 2 && s.stride[2] == 12);
    const clattn_tensor cut = clattn_tensor_slice(t, 1, 1, 2);
    ck_assert(cut.shape[1] == 2 && cut.offset == 4 && cut.stride[0] == 12);
    const clattn_tensor one = clattn_tensor_slice(t, 0, 1, 1);
    const clattn_tensor many = clattn_tensor_repeat(one, 0, 1000);
    ck_assert(many.shape[0] == 1000 && many.stride[0] == 0 && many.offset == 12);

    const clattn_tensor absent[] = {
        clattn_tensor_of_host(x, CLATTN_F32, 0, shape),
        clattn_tensor_of_host(x, CLATTN_F32, CLATTN_MAX_RANK + 1, shape),
        clattn_tensor_swap(t, 0, 3),
        clattn_tensor_swap(t, -1, 0),
        clattn_tensor_slice(t, 1, 2, 2),
        clattn_tensor_slice(t, 1, -1, 1),
        clattn_tensor_slice(t, 1, 0, -1),
        clattn_tensor_slice(t, 1, INT64_MAX, INT64_MAX),
        clattn_tensor_repeat(t, 0, 5),
    };
    clattn_tensor far = t;
    far.stride[1] = INT64_MAX;
    ck_assert(clattn_tensor_slice(far, 1, 2, 1).offset == INT64_MAX);
    far.offset = INT64_MAX - 1;
    ck_assert(clattn_tensor_slice(far, 0, 1, 1).offset == INT64_MAX);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        ck_assert_msg(absent[i].dtype == CLATTN_NONE, "case %zu is not absent", i);
        ck_assert_int_eq(clattn_tensor_count(&absent[i]), 0);
    }
}
END_TEST

/* A small random view over `size` elements of memory at `base`, legal or not. */
static clattn_tensor random_tensor(test_rng *rng, void *base)
{
    clattn_tensor t = { .data = base, .rank = 3, .offset = rng_below(rng, 12) };
    t.dtype = rng_below(rng, 2) ? CLATTN_F32 : CLATTN_F16;
    for (int i = 0; i < 3; i++) {
        t.shape[i] = rng_below(rng, 4) + (rng_below(rng, 8) != 0);
        t.stride[i] = i == 2 ? 1 : rng_below(rng, 13);
    }
    return t;
}

/* Marks the bytes of a view; false when two of its elements share one. */
static bool mark(const clattn_tensor *t, unsigned char *map)
{
    const size_t size = clattn_dtype_size(t->dtype);
    bool distinct = true;
    for (int64_t i = 0; i < clattn_tensor_count(t); i++) {
        const int64_t at = t->offset + i / t->shape[2] / t->shape[1] * t->stride[0]
                         + i / t->shape[2] % t->shape[1] * t->stride[1] + i % t->shape[2];
        for (size_t b = 0; b < size; b++) {
            distinct = distinct && !map[(size_t)at * size + b];
            map[(size_t)at * size + b] = 1;
        }
    }
    return distinct;
}

START_TEST(views)
{
    enum { BYTES = 1024 };
    clattn_ctx ctx = { .refs = 1 };
    test_rng rng = { suite_seed() };
    static float base[BYTES / 4];
    int overlaps = 0, apart = 0, refused = 0;

    for (int n = 0; n < 200000; n++) {
        unsigned char map_a[BYTES] = { 0 }, map_b[BYTES] = { 0 };
        const clattn_tensor a = random_tensor(&rng, base), b = random_tensor(&rng, base);
        const cla_tensor_rule out = { "op", "a", 3, CLA_DTYPES_FLOAT, true, false };
        const cla_tensor_rule in = { "op", "b", 3, CLA_DTYPES_FLOAT, false, false };
        cla_view va = { 0 }, vb = { 0 };
        const bool distinct = mark(&a, map_a);
        mark(&b, map_b);
        bool shared = false;
        for (int i = 0; i < BYTES; i++)
            shared = shared || (map_a[i] && map_b[i]);

        ck_assert_int_eq(cla_view_make(&ctx, &in, &b, &vb), CLATTN_OK);
        const clattn_status s = cla_view_make(&ctx, &out, &a, &va);
        ck_assert_msg(distinct || s != CLATTN_OK, "round %d: an output with itself", n);
        if (s != CLATTN_OK) {
            refused++;
            continue;
        }
        const bool said = cla_views_overlap(&va, &vb);
        ck_assert_msg(said || !shared, "round %d: an overlap was not seen", n);
        ck_assert_msg(said == cla_views_overlap(&vb, &va), "round %d: not symmetric", n);
        overlaps += said;
        apart += !said;
    }
    ck_assert(overlaps > 1000 && apart > 1000 && refused > 1000);
}
END_TEST

/* q, k, v, o as slices of one packed array do not overlap; a shifted copy does. */
START_TEST(packed_views)
{
    clattn_ctx ctx = { .refs = 1 };
    static float base[2 * 5 * 4 * 8];
    static const int64_t shape[] = { 2, 5, 4, 8 };
    const cla_tensor_rule rule = { "op", "x", 4, CLA_DTYPES_FLOAT, true, false };
    const clattn_tensor all = clattn_tensor_of_host(base, CLATTN_F32, 4, shape);
    const clattn_tensor a = clattn_tensor_slice(all, 2, 0, 2);
    const clattn_tensor b = clattn_tensor_slice(all, 2, 2, 2);
    clattn_tensor c = b;
    cla_view va = { 0 }, vb = { 0 }, vc = { 0 };

    c.offset -= 1;
    ck_assert_int_eq(cla_view_make(&ctx, &rule, &a, &va), CLATTN_OK);
    ck_assert_int_eq(cla_view_make(&ctx, &rule, &b, &vb), CLATTN_OK);
    ck_assert_int_eq(cla_view_make(&ctx, &rule, &c, &vc), CLATTN_OK);
    ck_assert(!cla_views_overlap(&va, &vb));
    ck_assert(cla_views_overlap(&va, &vc) && cla_views_overlap(&va, &va));
}
END_TEST

/* A view fits its buffer when its last element does. */
START_TEST(view_bounds)
{
    clattn_ctx ctx = { .refs = 1 };
    clattn_buffer buffer = { .ctx = &ctx, .bytes = 4 * 100 };
    const cla_tensor_rule rule = { "op", "x", 2, CLA_DTYPES_FLOAT, false, false };
    static const int64_t shape[] = { 10, 10 };
    clattn_tensor t = clattn_tensor_of_buffer(&buffer, CLATTN_F32, 2, shape);
    cla_view view = { 0 };

    OK(&ctx, cla_view_make(&ctx, &rule, &t, &view));
    t.offset = 1;
    FAILS(&ctx, ERR_SHAPE, "op|x|100|101", cla_view_make(&ctx, &rule, &t, &view));
    t.offset = 0, t.shape[0] = 11;
    FAILS(&ctx, ERR_SHAPE, "x", cla_view_make(&ctx, &rule, &t, &view));
    t.shape[0] = 9, t.stride[0] = 11;
    OK(&ctx, cla_view_make(&ctx, &rule, &t, &view));
    t.stride[0] = 12;
    FAILS(&ctx, ERR_SHAPE, "x", cla_view_make(&ctx, &rule, &t, &view));
    t.shape[0] = 0, t.offset = 1 << 20; /* nothing is outside */
    OK(&ctx, cla_view_make(&ctx, &rule, &t, &view));
}
END_TEST

/* ---- configurations ---- */

static bool always(const cla_dev *dev, const void *problem, const int *t)
{
    (void)dev, (void)problem, (void)t;
    return true;
}

typedef struct small_problem {
    int32_t x, width;
} small_problem;

static const cla_kernel sample = {
    .name = "sample",
    .tunables = { { "BR", { 2, 4, 8 }, 4 }, { "BK", { 16, 32 }, 16 } },
    .constants = { { "WIDTH", offsetof(small_problem, width) } },
    .ok = always,
};

START_TEST(configurations)
{
    static const int wanted[6][2] = { { 2, 16 }, { 4, 16 }, { 8, 16 }, { 2, 32 }, { 4, 32 },
                                      { 8, 32 } };
    int t[CLA_MAX_TUNABLES], n = 0;

    ck_assert_int_eq(cla_kernel_num_tunables(&sample), 2);
    cla_kernel_safe_config(&sample, t);
    ck_assert(t[0] == 4 && t[1] == 16 && t[2] == 0);
    cla_config_first(&sample, t);
    do {
        ck_assert_int_lt(n, 6);
        ck_assert(t[0] == wanted[n][0] && t[1] == wanted[n][1]);
        n++;
    } while (cla_config_next(&sample, t));
    ck_assert_int_eq(n, 6);
}
END_TEST

START_TEST(configuration_texts)
{
    const small_problem problem = { 1, 64 };
    int t[CLA_MAX_TUNABLES] = { 8, 32 };
    char text[64], small[6];

    ck_assert_int_eq(cla_config_text(&sample, t, text, sizeof text), 10);
    ck_assert_str_eq(text, "BR=8 BK=32");
    ck_assert_int_eq(cla_config_text(&sample, t, small, sizeof small), 10);
    ck_assert_str_eq(small, "BR=8 ");
    ck_assert_int_eq(cla_config_text(&sample, t, NULL, 0), 10);
    const int length = cla_kernel_options(&sample, &problem, t, text, sizeof text);
    ck_assert_str_eq(text, "-cl-std=CL1.2 -DBR=8 -DBK=32 -DWIDTH=64");
    ck_assert_int_eq(length, (int)strlen(text));
    ck_assert_int_eq(cla_kernel_options(&sample, &problem, t, small, sizeof small), length);
    ck_assert_int_eq(cla_kernel_options(&sample, &problem, t, NULL, 0), length);
}
END_TEST

/* Every line of the table that is shipped means something to this version. */
START_TEST(shipped_table)
{
    for (const cla_seed *seed = cla_seeds; seed->kind; seed++) {
        const cla_row row = { .stage = seed->stage, .bucket = seed->bucket,
                              .kernel = seed->kernel, .config = seed->config, .time_us = 1 };
        cla_bucket bucket;
        cla_tuned tuned;
        ck_assert_msg(cla_row_read(&row, &bucket, &tuned), "%s; %s; %s", seed->bucket,
                      seed->kernel, seed->config);
    }
}
END_TEST

/* Staging, checks and tuning have so many places for the tensors of an operation. */
START_TEST(slots_of_operations)
{
    for (int i = 0; cla_ops[i]; i++) {
        int n = 0;
        while (cla_ops[i]->slots[n].name)
            n++;
        ck_assert_msg(n > 0 && n <= CLA_MAX_SLOTS, "%s has %d slots", cla_ops[i]->name, n);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("host");
    TCase *t = tcase_create("units");

    tcase_set_timeout(t, 120);
    tcase_add_test(t, conversions);
    tcase_add_test(t, integer_conversions);
    tcase_add_test(t, dtype_names);
    tcase_add_test(t, statuses);
    tcase_add_test(t, failures_are_sentences);
    tcase_add_test(t, options_structs);
    tcase_add_test(t, tensor_helpers);
    tcase_add_test(t, views);
    tcase_add_test(t, packed_views);
    tcase_add_test(t, view_bounds);
    tcase_add_test(t, configurations);
    tcase_add_test(t, shipped_table);
    tcase_add_test(t, slots_of_operations);
    tcase_add_test(t, configuration_texts);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    return suite_run(suite());
}
