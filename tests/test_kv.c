/* SPDX-License-Identifier: Apache-2.0 */
/* The KV cache through the public API: what goes in comes out, whatever happens in between. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cache_case.h"
#include "compare.h"
#include "kernel_run.h"
#include "kv_model.h"
#include "storage.h"
#include "suite.h"

/* ---- random operations ---- */

typedef struct kv_shape {
    const char *name;
    struct clattn_kv_params params;
    clattn_dtype in;
} kv_shape;

#define PARAMS(...) { .struct_size = sizeof(struct clattn_kv_params), __VA_ARGS__ }
static const kv_shape shapes[] = {
    { "f32", PARAMS(.sequences = 3, .heads = 1, .key_width = 8, .capacity = 40), CLATTN_F32 },
    { "f32 from bf16, pages",
      PARAMS(.sequences = 4, .heads = 3, .key_width = 40, .value_width = 24, .capacity = 60,
             .page_rows = 16, .pages = 11), CLATTN_BF16 },
    { "f16, window",
      PARAMS(.sequences = 3, .heads = 2, .key_width = 5, .value_width = 70, .capacity = 60,
             .dtype = CLATTN_F16, .page_rows = 16, .window = 40), CLATTN_F32 },
    { "bf16, window of one row",
      PARAMS(.sequences = 2, .heads = 1, .key_width = 16, .capacity = 20, .dtype = CLATTN_BF16,
             .page_rows = 16, .pages = 3, .window = 1), CLATTN_F32 },
    { "i8", PARAMS(.sequences = 3, .heads = 2, .key_width = 33, .value_width = 65, .capacity = 50,
                   .dtype = CLATTN_I8), CLATTN_F16 },
    { "i8, pages, window",
      PARAMS(.sequences = 4, .heads = 2, .key_width = 65, .value_width = 7, .capacity = 50,
             .dtype = CLATTN_I8, .page_rows = 32, .pages = 9, .window = 33), CLATTN_F32 },
    { "i4", PARAMS(.sequences = 2, .heads = 1, .key_width = 1, .value_width = 33, .capacity = 30,
                   .dtype = CLATTN_I4), CLATTN_F32 },
    { "i4, pages", PARAMS(.sequences = 5, .heads = 3, .key_width = 71, .value_width = 64,
                          .capacity = 64, .dtype = CLATTN_I4, .page_rows = 32, .pages = 8),
      CLATTN_BF16 },
};
enum { NUM_SHAPES = sizeof shapes / sizeof shapes[0] };

/* Contiguous caches take what their capacity allows; with pages others may have taken them. */
static bool must_fit(const kv_model *m, const kv_input *in)
{
    bool fits = m->params.page_rows == 0;
    for (int b = in->first; b < in->first + in->count; b++)
        fits = fits && m->seq[b].length + in->n <= m->params.capacity;
    return fits;
}

static bool must_fail(const kv_model *m, const kv_input *in)
{
    bool fails = false;
    for (int b = in->first; b < in->first + in->count; b++)
        fails = fails
             || (m->params.page_rows == 0 && m->seq[b].length + in->n > m->params.capacity);
    return fails;
}

/* Returns whether it fitted. */
static bool append_some(kv_model *m, clattn_dtype dtype, test_rng *rng)
{
    const int sequences = (int)m->params.sequences, first = rng_below(rng, sequences);
    const int count = 1 + rng_below(rng, sequences - first);
    const int n = rng_below(rng, 3) ? rng_below(rng, 4) : rng_below(rng, 40);
    kv_input in;

    kv_input_make(&in, m, first, count, n, dtype, rng);
    const bool fits = must_fit(m, &in), fails = must_fail(m, &in);
    const clattn_status s = kv_model_append(m, &in);
    ck_assert_msg(s == CLATTN_OK ? !fails : s == CLATTN_ERR_SHAPE && !fits, "%s: %s: %s",
                  compare_label_text(), clattn_status_name(s), clattn_error(m->ctx));
    kv_input_free(&in);
    return s == CLATTN_OK;
}

static void truncate_some(kv_model *m, test_rng *rng)
{
    const int b = rng_below(rng, (int)m->params.sequences);
    const int64_t length = rng_below(rng, (int)m->seq[b].length + 1);
    const int64_t first = clattn_kv_first(m->kv, b);

    if (length == 0 || first == 0 || length - m->params.window >= first) {
        OK(m->ctx, clattn_kv_truncate(m->kv, b, length));
        kv_model_truncate(m, b, length);
    } else {
        FAILS(m->ctx, ERR_SHAPE, "are gone", clattn_kv_truncate(m->kv, b, length));
    }
}

static void share_some(kv_model *m, test_rng *rng)
{
    const int sequences = (int)m->params.sequences;
    int64_t from[8];

    for (int b = 0; b < sequences; b++)
        from[b] = b;
    if (rng_below(rng, 2) == 0) {
        const int to = rng_below(rng, sequences);
        from[to] = rng_below(rng, sequences);
        OK(m->ctx, clattn_kv_fork(m->kv, from[to], to));
    } else {
        for (int b = 0; b < sequences; b++)
            from[b] = rng_below(rng, sequences);
        OK(m->ctx, clattn_kv_reorder(m->kv, from));
    }
    kv_model_reorder(m, from);
}

START_TEST(random_operations)
{
    const kv_shape *s = &shapes[_i];
    test_rng rng = { suite_seed() + (uint64_t)_i };
    int refused = 0;
    kv_model m;

    kv_model_make(&m, suite_ctx(), &s->params);
    const int64_t pages = clattn_kv_free_pages(m.kv);
    for (int step = 0; step < 80; step++) {
        compare_label("%s, step %d", s->name, step);
        switch (rng_below(&rng, 6)) {
        case 0: truncate_some(&m, &rng); break;
        case 1: share_some(&m, &rng); break;
        default: refused += !append_some(&m, s->in, &rng); break;
        }
        kv_model_check(&m);
    }
    ck_assert_int_gt(refused, 0);
    for (int b = 0; b < s->params.sequences; b++)
        OK(m.ctx, clattn_kv_truncate(m.kv, b, 0));
    ck_assert_int_eq(clattn_kv_free_pages(m.kv), pages);
    kv_model_free(&m);
}
END_TEST

/* ---- every kernel that appends ---- */

static kernel_list kernels;

static const clattn_dtype storages[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16, CLATTN_I8,
                                         CLATTN_I4 };
static const clattn_dtype inputs[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16 };

START_TEST(dtypes)
{
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 3; j++) {
            test_rng rng = { suite_seed() };
            kv_input in;
            kv_model m;
            kv_model_make(&m, suite_ctx(), clattn_kv_params(
                .sequences = 3, .heads = 2, .key_width = 70, .value_width = 131, .capacity = 64,
                .dtype = storages[i], .page_rows = (i + j) % 2 ? 0 : 16));
            compare_label("%s, %s from %s", kernels.kernel[_i]->name,
                          clattn_dtype_name(storages[i]), clattn_dtype_name(inputs[j]));
            for (int n = 1; n < 30; n += 13) {
                kv_input_make(&in, &m, n % 2, 2, n, inputs[j], &rng);
                in.kernel = kernels.kernel[_i]->name;
                OK(m.ctx, kv_model_append(&m, &in));
                kv_input_free(&in);
            }
            kv_model_check(&m);
            kv_model_free(&m);
        }
}
END_TEST

/* One NaN or inf makes a quantised row NaN, in i4 32 elements of it, and nothing else. */
START_TEST(not_finite)
{
    static const float values[] = { NAN, INFINITY, -INFINITY };
    test_rng rng = { suite_seed() };

    for (int i = 0; i < 5; i++) {
        kv_input in;
        kv_model m;
        kv_model_make(&m, suite_ctx(), clattn_kv_params(
            .sequences = 1, .heads = 2, .key_width = 70, .value_width = 131, .capacity = 40,
            .dtype = storages[i], .page_rows = i % 2 ? 0 : 16));
        compare_label("%s, %s", kernels.kernel[_i]->name, clattn_dtype_name(storages[i]));
        kv_input_make(&in, &m, 0, 1, 20, CLATTN_F32, &rng);
        in.kernel = kernels.kernel[_i]->name;
        for (int x = 0; x < 3; x++) {
            in.k[(3 + 7 * x) * 70 + 33 * x % 70] = values[x];
            in.v[(5 + 9 * x) * 131 + 65 * x] = values[x];
        }
        OK(m.ctx, kv_model_append(&m, &in));
        kv_model_check(&m);
        kv_input_free(&in);
        kv_model_free(&m);
    }
}
END_TEST

/* ---- rotary ---- */

enum { TURN_HEADS = 2, TURN_ROWS = 21, TURN_WIDTH = 34 };

/* Turned by clattn_rope() from position start on: [H][N][D] in, [N][H][D] out as [H][N][D]. */
static void turned(clattn_ctx *ctx, const float *x, clattn_dtype dtype, clattn_rotary rotary,
                   int64_t start, float *y)
{
    static const int64_t shape[] = { 1, TURN_HEADS, TURN_ROWS, TURN_WIDTH };
    test_memory in, out;

    memory_make(&in, ctx, false, dtype, 4, shape, NULL);
    memory_make(&out, ctx, true, CLATTN_F32, 4, shape, NULL);
    memory_put(&in, x);
    OK(ctx, clattn_rope(ctx, clattn_rope_params(
        .x = clattn_tensor_swap(in.tensor, 1, 2), .y = clattn_tensor_swap(out.tensor, 1, 2),
        .rotary = rotary, .base = 500, .start = start)));
    memory_get(&out, "y", y);
    memory_free(&in);
    memory_free(&out);
}

/* The pair of element d turns by one angle: an error is small beside the longer of the two. */
static int partner(clattn_rotary rotary, int d)
{
    return rotary == CLATTN_ROTARY_GPTJ ? d ^ 1 : (d + TURN_WIDTH / 2) % TURN_WIDTH;
}

static void check_turned(clattn_rotary rotary, const float *want, const float *got)
{
    for (int d = 0; d < TURN_WIDTH; d++) {
        const float *pair = want + partner(rotary, d);
        const double size = hypot((double)want[d], (double)*pair);
        ck_assert_msg(fabs((double)got[d] - (double)want[d]) <= 2 * storage_ulp(CLATTN_F32, size),
                      "%s: element %d is %.9g, not %.9g", compare_label_text(), d, (double)got[d],
                      (double)want[d]);
    }
}

/* Appended in two parts, after other rows of which a window drops some: positions count on. */
static void check_rotary(const cla_kernel *kernel, clattn_rotary rotary, clattn_dtype in,
                         clattn_dtype kv)
{
    clattn_ctx *ctx = suite_ctx();
    test_rng rng = { suite_seed() };
    const int before = 60, rows = TURN_HEADS * TURN_ROWS;
    float want[TURN_HEADS * TURN_ROWS * TURN_WIDTH];
    kv_input x;
    kv_model m;

    kv_model_make(&m, ctx, clattn_kv_params(.sequences = 2, .heads = TURN_HEADS,
                                            .key_width = TURN_WIDTH, .value_width = 3,
                                            .capacity = 64, .dtype = kv, .window = 40,
                                            .page_rows = 16));
    for (int i = 0; i < 3; i++)
        kv_model_fill(&m, 0, 2, before / 3, in, &rng);
    kv_input_make(&x, &m, 1, 1, TURN_ROWS, in, &rng);
    x.kernel = kernel->name;
    x.rotary = rotary;
    OK(ctx, kv_model_append(&m, &x));
    turned(ctx, x.k, in, rotary, before, want);
    float *got = kv_model_read(&m, 1, false);
    const float *tail = got + (before - clattn_kv_first(m.kv, 1)) * TURN_HEADS * TURN_WIDTH;
    for (int i = 0; i < rows; i++) {
        const float *row = want + (i % TURN_HEADS * TURN_ROWS + i / TURN_HEADS) * TURN_WIDTH;
        if (kv == CLATTN_F32)
            check_turned(rotary, row, tail + i * TURN_WIDTH);
        else
            cache_check_row("turned key", kv, row, TURN_WIDTH, tail + i * TURN_WIDTH);
    }
    ck_assert_int_eq(clattn_kv_length(m.kv, 1), before + TURN_ROWS);
    free(got);
    kv_input_free(&x);
    kv_model_free(&m);
}

START_TEST(rotary_positions)
{
    static const struct {
        clattn_dtype in, kv;
    } types[] = { { CLATTN_F32, CLATTN_F32 }, { CLATTN_F16, CLATTN_F32 },
                  { CLATTN_BF16, CLATTN_I8 }, { CLATTN_F32, CLATTN_I4 } };

    for (int i = 0; i < 8; i++) {
        const clattn_rotary rotary = i % 2 ? CLATTN_ROTARY_NEOX : CLATTN_ROTARY_GPTJ;
        compare_label("%s, rotary %d, %s from %s", kernels.kernel[_i]->name, (int)rotary,
                      clattn_dtype_name(types[i / 2].kv), clattn_dtype_name(types[i / 2].in));
        check_rotary(kernels.kernel[_i], rotary, types[i / 2].in, types[i / 2].kv);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("kv");
    TCase *t = tcase_create("kv");

    kernels = kernels_of_device(STAGE(APPEND));
    tcase_add_loop_test(t, random_operations, 0, NUM_SHAPES);
    tcase_add_loop_test(t, dtypes, 0, kernels.count);
    tcase_add_loop_test(t, not_finite, 0, kernels.count);
    tcase_add_loop_test(t, rotary_positions, 0, kernels.count);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
