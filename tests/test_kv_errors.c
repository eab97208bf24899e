/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way to overflow or mis-address a KV cache: a status, a sentence with the values, and a
 * cache as it was.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "kv_model.h"
#include "suite.h"

/* A change of a good call, and how the changed one fails. */
#define BAD(status, words, ...)               \
    do {                                      \
        params p = good;                      \
        __VA_ARGS__;                          \
        FAILS(ctx, status, words, call(&p)); \
    } while (0)

/* ---- creation ---- */

START_TEST(creation)
{
    typedef struct clattn_kv_params params;
    const params good = *clattn_kv_params(.sequences = 3, .heads = 2, .key_width = 16,
                                          .value_width = 8, .capacity = 40);
    clattn_ctx *ctx = suite_ctx();
    clattn_kv *kv = NULL;
#define call(p) clattn_kv_create(ctx, (p), &kv)

    BAD(ERR_SHAPE, "sequences is 0|1 to", p.sequences = 0);
    BAD(ERR_SHAPE, "sequences is -2", p.sequences = -2);
    BAD(ERR_SHAPE, "heads is 0", p.heads = 0);
    BAD(ERR_SHAPE, "key_width is 0", p.key_width = 0);
    BAD(ERR_SHAPE, "value_width is -1", p.value_width = -1);
    BAD(ERR_SHAPE, "capacity is 0", p.capacity = 0);
    BAD(ERR_SHAPE, "capacity is 9223372036854775807", p.capacity = INT64_MAX);
    BAD(ERR_SHAPE, "page_rows is 8|power of two|16", p.page_rows = 8);
    BAD(ERR_SHAPE, "page_rows is 48|power of two", p.page_rows = 48);
    BAD(ERR_SHAPE, "page_rows is -16", p.page_rows = -16);
    BAD(ERR_SHAPE, "pages is -1", p.page_rows = 16, p.pages = -1);
    BAD(ERR_ARG, "pages is 7|page_rows is 0", p.pages = 7);
    BAD(ERR_SHAPE, "window is -1", p.window = -1);
    BAD(ERR_SHAPE, "window of 41|capacity of 40", p.window = 41);
    BAD(ERR_ARG, "dtype is u8|must be f32", p.dtype = CLATTN_U8);
    BAD(ERR_ARG, "dtype is i32", p.dtype = CLATTN_I32);
    BAD(ERR_ARG, "dtype is", p.dtype = (clattn_dtype)77);
    BAD(ERR_SHAPE, "sequences of|are more than", p.sequences = 1 << 28, p.page_rows = 16);
    BAD(ERR_SHAPE, "1 sequences of 536870911 rows in pages of 16|more than 536870911",
        p.sequences = 1, p.capacity = (1 << 29) - 1, p.page_rows = 16);
    BAD(ERR_SHAPE, "size overflows 64 bits", p.sequences = 1, p.capacity = (1 << 29) - 1,
        p.heads = (1 << 29) - 1, p.key_width = 1 << 10);
    struct {
        params p;
        char more[64];
    } newer = { good, { 1 } };
    newer.p.struct_size = sizeof newer;
    FAILS(ctx, ERR_VERSION, "kv_create", call(&newer.p));
    FAILS(ctx, ERR_ARG, "params is NULL", clattn_kv_create(ctx, NULL, &kv));
    FAILS(ctx, ERR_ARG, "out is NULL", clattn_kv_create(ctx, &good, NULL));
    ck_assert_ptr_null(kv);
    ck_assert_int_eq(clattn_kv_create(NULL, &good, &kv), CLATTN_ERR_ARG);
#undef call
}
END_TEST

/* Far more memory than any device: a status, and nothing leaks. */
START_TEST(no_memory)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_kv *kv = NULL;

    const clattn_status s = clattn_kv_create(ctx, clattn_kv_params(
        .sequences = 1 << 12, .heads = 1 << 12, .key_width = 1 << 12, .capacity = 1 << 24), &kv);
    ck_assert_msg(s == CLATTN_ERR_SHAPE || s == CLATTN_ERR_MEMORY, "%s", clattn_status_name(s));
    ck_assert_ptr_null(kv);
}
END_TEST

/* ---- a cache under attack ---- */

enum { ROWS_0 = 40, ROWS_1 = 7, ROWS_2 = 0 };

static const struct clattn_kv_params caches[] = {
    { .struct_size = sizeof(struct clattn_kv_params), .sequences = 3, .heads = 2, .key_width = 16,
      .value_width = 8, .capacity = 48 },
    { .struct_size = sizeof(struct clattn_kv_params), .sequences = 3, .heads = 2, .key_width = 16,
      .value_width = 8, .capacity = 48, .page_rows = 16, .pages = 5, .dtype = CLATTN_I8 },
};

static void fill(kv_model *m, clattn_ctx *ctx, int which)
{
    test_rng rng = { suite_seed() };

    compare_label("%s cache", which ? "paged" : "contiguous");
    kv_model_make(m, ctx, &caches[which]);
    kv_model_fill(m, 0, 1, ROWS_0, CLATTN_F32, &rng);
    kv_model_fill(m, 1, 1, ROWS_1, CLATTN_F32, &rng);
}

/* B sequences of N rows of zeros in host memory. */
static struct clattn_kv_append_params rows(kv_model *m, int64_t sequence, int64_t B, int64_t N)
{
    static float zeros[3 * 2 * 64 * 16];
    const int64_t k[] = { B, 2, N, 16 }, v[] = { B, 2, N, 8 };

    return *clattn_kv_append_params(.kv = m->kv, .sequence = sequence,
                                    .k = clattn_tensor_of_host(zeros, CLATTN_F32, 4, k),
                                    .v = clattn_tensor_of_host(zeros, CLATTN_F32, 4, v));
}

/* What both kinds of cache refuse. */
static void bad_appends(clattn_ctx *ctx, kv_model *m)
{
    typedef struct clattn_kv_append_params params;
    const params good = rows(m, 1, 1, 2);
#define call(p) clattn_kv_append(ctx, (p))

    BAD(ERR_SHAPE, "sequence 0 holds 40 rows|room for 48|9 more", p = rows(m, 0, 1, 9));
    BAD(ERR_SHAPE, "sequence 1 holds 7 rows|42 more", p = rows(m, 1, 1, 42));
    BAD(ERR_SHAPE, "sequence 0 holds 40", p = rows(m, 0, 3, 9));
    BAD(ERR_ARG, "1 sequences from 3 on|has 3", p = rows(m, 3, 1, 1));
    BAD(ERR_ARG, "sequences from -1 on", p = rows(m, -1, 1, 1));
    BAD(ERR_ARG, "2 sequences from 2 on", p = rows(m, 2, 2, 1));
    BAD(ERR_ARG, "sequences from 9223372036854775807 on", p.sequence = INT64_MAX);
    BAD(ERR_SHAPE, "k has 1 heads of width 16, the cache has 2 of 16",
        p.k = clattn_tensor_slice(p.k, 1, 0, 1));
    BAD(ERR_SHAPE, "v has 2 heads of width 7|2 of 8", p.v = clattn_tensor_slice(p.v, 3, 0, 7));
    BAD(ERR_SHAPE, "k has 1 rows in 1 batches, v 2 in 1", p.k = clattn_tensor_slice(p.k, 2, 0, 1));
    BAD(ERR_SHAPE, "k has 2 rows in 1 batches, v 2 in 0", p.v = clattn_tensor_slice(p.v, 0, 0, 0));
    BAD(ERR_ARG, "k is f16 and v is f32", p.k.dtype = CLATTN_F16);
    BAD(ERR_ARG, "k|i8", p.k.dtype = p.v.dtype = CLATTN_I8);
    BAD(ERR_ARG, "k", p.k.dtype = CLATTN_NONE);
    BAD(ERR_ARG, "rotary of k is 3", p.rotary = (clattn_rotary)3);
    BAD(ERR_ARG, "rotary base of k is 0.5",
        p.rotary = CLATTN_ROTARY_NEOX, p.rotary_base = 0.5f);
    BAD(ERR_ARG, "kernel|no_such_kernel", p.kernel = "no_such_kernel");
    BAD(ERR_ARG, "kv is NULL", p.kv = NULL);
    struct {
        params p;
        char more[64];
    } newer = { good, { 1 } };
    newer.p.struct_size = sizeof newer;
    FAILS(ctx, ERR_VERSION, "kv_append", call(&newer.p));
    FAILS(ctx, ERR_ARG, "params is NULL", clattn_kv_append(ctx, NULL));
#undef call
}

START_TEST(append)
{
    clattn_ctx *ctx = suite_ctx();
    kv_model m;

    fill(&m, ctx, _i);
    const int64_t pages = clattn_kv_free_pages(m.kv);
    bad_appends(ctx, &m);
    struct clattn_kv_append_params p = rows(&m, 1, 1, 2);
    if (_i) { /* 3 + 1 of 5 pages are taken; room for sequence 1 and none for 2 */
        p = rows(&m, 1, 2, 10);
        FAILS(ctx, ERR_SHAPE, "sequence 2 needs 1 more pages, 0 of 5 are free",
              clattn_kv_append(ctx, &p));
        p = rows(&m, 2, 1, 17);
        FAILS(ctx, ERR_SHAPE, "sequence 2 needs 2 more pages, 1 of 5", clattn_kv_append(ctx, &p));
    }
    kv_model_check(&m);
    ck_assert_int_eq(clattn_kv_free_pages(m.kv), pages);
    p = rows(&m, 0, 0, 5); /* nothing to do */
    OK(ctx, clattn_kv_append(ctx, &p));
    p = rows(&m, 0, 3, 0);
    OK(ctx, clattn_kv_append(ctx, &p));
    kv_model_check(&m);
    kv_model_free(&m);
}
END_TEST

/* A shared last page that nobody can copy: the writer is refused, all keep their rows. */
START_TEST(no_page_for_a_copy)
{
    clattn_ctx *ctx = suite_ctx();
    test_rng rng = { suite_seed() };
    const int64_t from[] = { 0, 1, 1 };
    kv_model m;

    fill(&m, ctx, 1);
    OK(ctx, clattn_kv_fork(m.kv, 1, 2));
    kv_model_reorder(&m, from);
    struct clattn_kv_append_params p = rows(&m, 1, 1, 10);
    FAILS(ctx, ERR_SHAPE, "sequence 1 needs 1 more pages, 0 of 5", clattn_kv_append(ctx, &p));
    kv_model_check(&m);
    kv_model_fill(&m, 1, 1, 1, CLATTN_F32, &rng); /* its copy takes the last page */
    ck_assert_int_eq(clattn_kv_free_pages(m.kv), 0);
    kv_model_fill(&m, 2, 1, 1, CLATTN_F32, &rng); /* now alone on the other */
    OK(ctx, clattn_kv_reorder(m.kv, from));
    kv_model_reorder(&m, from);
    kv_model_fill(&m, 2, 1, 1, CLATTN_F32, &rng);
    OK(ctx, clattn_kv_fork(m.kv, 0, 2));
    OK(ctx, clattn_kv_fork(m.kv, 1, 0));
    OK(ctx, clattn_kv_fork(m.kv, 2, 1)); /* 0 had 40 rows, which 1 and 2 share now */
    kv_model_reorder(&m, (const int64_t[]){ 1, 0, 0 });
    kv_model_fill(&m, 0, 1, 9, CLATTN_F32, &rng);
    ck_assert_int_eq(clattn_kv_free_pages(m.kv), 0);
    p = rows(&m, 2, 1, 1);
    FAILS(ctx, ERR_SHAPE, "no page of 5 is free for sequence 2, which shares its last one",
          clattn_kv_append(ctx, &p));
    kv_model_check(&m);
    kv_model_free(&m);
}
END_TEST

START_TEST(changes)
{
    clattn_ctx *ctx = suite_ctx();
    const int64_t good[] = { 0, 1, 2 }, high[] = { 0, 3, 2 }, low[] = { -1, 1, 2 };
    float k[48 * 2 * 16];
    clattn_tensor t;
    clattn_kv_layout layout;
    kv_model m;

    fill(&m, ctx, _i);
    FAILS(ctx, ERR_SHAPE, "length 8|sequence 1|has 7 rows", clattn_kv_truncate(m.kv, 1, 8));
    FAILS(ctx, ERR_SHAPE, "length -1", clattn_kv_truncate(m.kv, 1, -1));
    FAILS(ctx, ERR_ARG, "from 3 on|has 3", clattn_kv_truncate(m.kv, 3, 0));
    FAILS(ctx, ERR_ARG, "from -1 on", clattn_kv_truncate(m.kv, -1, 0));
    FAILS(ctx, ERR_ARG, "from 3 on", clattn_kv_fork(m.kv, 3, 0));
    FAILS(ctx, ERR_ARG, "from -1 on", clattn_kv_fork(m.kv, 0, -1));
    FAILS(ctx, ERR_ARG, "from 3 on", clattn_kv_reorder(m.kv, high));
    FAILS(ctx, ERR_ARG, "from -1 on", clattn_kv_reorder(m.kv, low));
    FAILS(ctx, ERR_ARG, "from is NULL", clattn_kv_reorder(m.kv, NULL));
    FAILS(ctx, ERR_SHAPE, "8 rows from 0 on of sequence 1|0 to 6",
          clattn_kv_read(m.kv, 1, 0, 8, k, NULL));
    FAILS(ctx, ERR_SHAPE, "1 rows from 7 on", clattn_kv_read(m.kv, 1, 7, 1, k, NULL));
    FAILS(ctx, ERR_SHAPE, "rows from -1 on", clattn_kv_read(m.kv, 1, -1, 1, k, NULL));
    FAILS(ctx, ERR_SHAPE, "-1 rows", clattn_kv_read(m.kv, 1, 0, -1, k, NULL));
    FAILS(ctx, ERR_SHAPE, "9223372036854775807 rows from 1 on",
          clattn_kv_read(m.kv, 1, 1, INT64_MAX, k, NULL));
    FAILS(ctx, ERR_SHAPE, "0 rows from 8 on", clattn_kv_read(m.kv, 1, 8, 0, k, NULL));
    FAILS(ctx, ERR_ARG, "from 3 on", clattn_kv_read(m.kv, 3, 0, 0, k, NULL));
    FAILS(ctx, ERR_ARG, "an output is NULL", clattn_kv_tensors(m.kv, 0, 1, NULL, &t, &layout));
    FAILS(ctx, ERR_ARG, "an output is NULL", clattn_kv_tensors(m.kv, 0, 1, &t, NULL, &layout));
    FAILS(ctx, ERR_ARG, "an output is NULL", clattn_kv_tensors(m.kv, 0, 1, &t, &t, NULL));
    FAILS(ctx, ERR_ARG, "-1 sequences from 0 on", clattn_kv_tensors(m.kv, 0, -1, &t, &t, &layout));
    OK(ctx, clattn_kv_read(m.kv, 1, 7, 0, k, k));
    OK(ctx, clattn_kv_reorder(m.kv, good));
    OK(ctx, clattn_kv_fork(m.kv, 1, 1));
    OK(ctx, clattn_kv_truncate(m.kv, 0, ROWS_0));
    kv_model_check(&m);
    ck_assert_int_eq(clattn_kv_length(m.kv, 3), -1);
    ck_assert_int_eq(clattn_kv_length(m.kv, -1), -1);
    ck_assert_int_eq(clattn_kv_first(m.kv, 3), -1);
    kv_model_free(&m);
}
END_TEST

START_TEST(null_caches)
{
    clattn_kv *none = NULL;
    clattn_tensor t;
    clattn_kv_layout layout;
    const int64_t from[1] = { 0 };

    ck_assert_int_eq(clattn_kv_truncate(NULL, 0, 0), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_kv_fork(NULL, 0, 0), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_kv_reorder(NULL, from), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_kv_read(NULL, 0, 0, 0, NULL, NULL), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_kv_tensors(NULL, 0, 0, &t, &t, &layout), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_kv_length(NULL, 0), -1);
    ck_assert_int_eq(clattn_kv_first(NULL, 0), -1);
    ck_assert_int_eq(clattn_kv_free_pages(NULL), 0);
    ck_assert_uint_eq(clattn_kv_bytes(NULL), 0);
    clattn_kv_destroy(NULL);
    clattn_kv_destroy(&none);
}
END_TEST

/* ---- attention over it ---- */

START_TEST(attention)
{
    typedef struct clattn_attention_params params;
    static const int64_t shape[] = { 3, 4, 1, 16 }, narrow[] = { 3, 4, 1, 8 }, one[] = { 1 };
    static const int64_t odd[] = { 3, 4, 1, 15 }, four[] = { 4, 4, 1, 16 };
    static const int64_t heads[] = { 3, 3, 1, 16 };
    static float q[4 * 4 * 16], o[4 * 4 * 16];
    static const int32_t zero;
    clattn_ctx *ctx = suite_ctx();
    kv_model m;

    fill(&m, ctx, _i);
    const params good = *clattn_attention_params(
        .kv = m.kv, .q = clattn_tensor_of_host(q, CLATTN_F32, 4, shape),
        .o = clattn_tensor_of_host(o, CLATTN_F32, 4, narrow));
#define call(p) clattn_attention(ctx, (p))
    BAD(ERR_ARG, "cache and k, v or layout.lengths are both given", p.k = p.q);
    BAD(ERR_ARG, "cache and k, v or layout.lengths are both given", p.v = p.q);
    BAD(ERR_ARG, "cache and k, v or layout.lengths are both given",
        p.layout.lengths = clattn_tensor_of_host(&zero, CLATTN_I32, 1, one));
    BAD(ERR_ARG, "3 sequences from 1 on|has 3", p.kv_sequence = 1);
    BAD(ERR_ARG, "sequences from -1 on", p.kv_sequence = -1);
    BAD(ERR_ARG, "4 sequences from 0 on",
        p.q = clattn_tensor_of_host(q, CLATTN_F32, 4, four));
    BAD(ERR_SHAPE, "columns|15", p.q = clattn_tensor_of_host(q, CLATTN_F32, 4, odd));
    BAD(ERR_SHAPE, "o has 16", p.o = clattn_tensor_of_host(o, CLATTN_F32, 4, shape));
    BAD(ERR_SHAPE, "Hq must be a multiple of Hk",
        p.q = clattn_tensor_of_host(q, CLATTN_F32, 4, heads),
        p.o = clattn_tensor_slice(p.o, 1, 0, 3));
    BAD(ERR_SHAPE, "max_seqlen_k is 39|40 rows", p.max_seqlen_k = 39);
    BAD(ERR_SHAPE, "max_seqlen_k is 49|48 rows", p.max_seqlen_k = 49);
    BAD(ERR_SHAPE, "max_seqlen_k is -1", p.max_seqlen_k = -1);
    BAD(ERR_ARG, "q", p.q.dtype = CLATTN_NONE);
    BAD(ERR_ARG, "o is bf16, must be f32 as q, or f32", p.o.dtype = CLATTN_BF16);
    BAD(ERR_ARG, "cu_seqlens and layout.lengths are both given",
        p.cu_seqlens_q = clattn_tensor_of_host(&zero, CLATTN_I32, 1, one));
    OK(ctx, call(&good));
#undef call
    FAILS(ctx, ERR_ARG, _i ? "argmax: o is f16 and v is i8|which are f32" : "argmax: o is f16",
          clattn_argmax(ctx, clattn_argmax_params(
              .kv = m.kv, .q = clattn_tensor_of_host(q, CLATTN_F16, 4, shape),
              .o = clattn_tensor_of_host(o, CLATTN_F16, 4, narrow))));
    kv_model_check(&m);
    kv_model_free(&m);
}
END_TEST

/* A cache is for its own context. */
START_TEST(other_context)
{
    clattn_ctx *ctx = suite_ctx(), *other;
    kv_model m;

    OK(NULL, clattn_ctx_create(NULL, &other));
    fill(&m, ctx, 0);
    const struct clattn_kv_append_params p = rows(&m, 1, 1, 1);
    FAILS(other, ERR_ARG, "another context", clattn_kv_append(other, &p));
    kv_model_check(&m);
    kv_model_free(&m);
    clattn_ctx_destroy(&other);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("kv_errors");
    TCase *t = tcase_create("kv_errors");

    tcase_add_test(t, creation);
    tcase_add_test(t, no_memory);
    tcase_add_loop_test(t, append, 0, 2);
    tcase_add_test(t, no_page_for_a_copy);
    tcase_add_loop_test(t, changes, 0, 2);
    tcase_add_test(t, null_caches);
    tcase_add_loop_test(t, attention, 0, 2);
    tcase_add_test(t, other_context);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
