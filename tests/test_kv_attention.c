/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention over KV caches, of the library's and of the caller's own, against the double reference
 * and against each other. Widths and dtypes are few, as each pair is compiled anew.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cache_case.h"
#include "compare.h"
#include "kernel_run.h"
#include "suite.h"

/* ---- caches of the caller's own ---- */

static const int lens[] = { 131, 0, 40, 7 }, long_lens[] = { 2100, 13, 700 };

#define SIZES .Hq = 4, .Hk = 2, .D = 16, .Dv = 24, .lens_k = lens
static const attn_spec own[] = {
    { SIZES, .name = "everything", .B = 4, .Nq = 5, .kv = CLATTN_F16, .page_rows = 16,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .window = true, .left = 60, .right = -1, .mask = true,
      .bias = true, .alibi = true, .sinks = true, .softcap = 15, .scale = 0.4f, .lse = true,
      .probs = true, .layout = LAYOUT_PADDED, .poison_hidden = true },
    { SIZES, .name = "mask", .B = 4, .Nq = 1, .kv = CLATTN_F32, .mask = true, .lse = true,
      .mask_repeat = REPEAT_H | REPEAT_N, .poison_hidden = true, .layout = LAYOUT_BNHD },
    { SIZES, .name = "bias", .B = 4, .Nq = 3, .kv = CLATTN_I8, .bias = true, .lse = true,
      .bias_repeat = REPEAT_B | REPEAT_K, .bias_type = CLATTN_F16 },
    { SIZES, .name = "alibi", .B = 4, .Nq = 17, .kv = CLATTN_I4, .page_rows = 16, .alibi = true,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { SIZES, .name = "sinks", .B = 4, .Nq = 40, .kv = CLATTN_BF16, .sinks = true, .lse = true },
    { SIZES, .name = "top left", .B = 3, .Nq = 20, .kv = CLATTN_F32, .page_rows = 32,
      .causal = CLATTN_CAUSAL_TOP_LEFT, .poison_hidden = true },
    { SIZES, .name = "probs", .B = 4, .Nq = 9, .kv = CLATTN_I8, .page_rows = 16, .probs = true,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { SIZES, .name = "f16 rows, i8 cache, f32 out", .B = 4, .Nq = 1, .in = CLATTN_F16,
      .out = CLATTN_F32, .kv = CLATTN_I8, .page_rows = 16, .layout = LAYOUT_BNHD },
    { .name = "long, spread 30", .B = 3, .Hq = 8, .Hk = 1, .Nq = 1, .D = 16, .Dv = 24,
      .kv = CLATTN_I8, .lens_k = long_lens, .spread = 30, .lse = true },
    { SIZES, .name = "argmax", .B = 4, .Nq = 3, .kv = CLATTN_F16, .page_rows = 16, .argmax = true,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .poison_hidden = true },
    { SIZES, .name = "argmax, i4", .B = 4, .Nq = 40, .kv = CLATTN_I4, .argmax = true },
    { SIZES, .name = "argmax, i8, mask", .B = 4, .Nq = 1, .kv = CLATTN_I8, .page_rows = 32,
      .argmax = true, .mask = true },
};

START_TEST(own_layouts)
{
    attn_data *data = attn_data_make(&own[_i], suite_seed());

    for (int host = 0; host < 2; host++) {
        compare_label("%s%s", own[_i].name, host ? ", host" : "");
        attn_check(suite_ctx(), host, data, NULL);
    }
    attn_data_free(data);
}
END_TEST

/* Lengths and tables of device buffers are clamped, whatever they are. */
START_TEST(device_numbers_are_clamped)
{
    static const int32_t wild[] = { -5, INT_MAX, INT_MIN, 7 };
    static const int clamped[] = { 0, 131, 0, 7 };
    attn_spec spec = own[5];
    clattn_ctx *ctx = suite_ctx();
    int32_t table[64];
    attn_run run;

    spec.B = 4;
    spec.lens_k = clamped;
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run_make(&run, ctx, data);
    memory_put_bytes(&run.lengths, wild);
    compare_label("wild lengths");
    OK(ctx, clattn_attention(ctx, &run.params));
    attn_run_check(&run);
    for (int i = 0; i < 64; i++)
        table[i] = i % 2 ? INT_MAX - i : INT_MIN + i;
    memory_put_bytes(&run.table, table);
    attn_run_poison(&run);
    OK(ctx, clattn_attention(ctx, &run.params)); /* reads poison, but inside the tensors */
    memory_get(&run.o, "o", NULL);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

#define BAD(status, words, ...)                                 \
    do {                                                        \
        struct clattn_attention_params p = run.params;          \
        __VA_ARGS__;                                            \
        FAILS(ctx, status, words, clattn_attention(ctx, &p));   \
    } while (0)

/* Host numbers are checked, and everything about shapes. */
START_TEST(bad_layouts)
{
    const attn_spec spec = own[6]; /* i8 pages of 16 rows, 4 sequences of 131 at most */
    static const int64_t four[] = { 4 }, twelve[] = { 4, 12 }, many[] = { 4, 1 << 25 };
    static const int64_t halves[] = { 42, 2, 16, 2 };
    int32_t numbers[4] = { 3, 0, 0, 0 }, table[48] = { 0 };
    attn_data *data = attn_data_make(&spec, suite_seed());
    clattn_ctx *ctx = suite_ctx();
    attn_run run;

    attn_run_make(&run, NULL, data);
    run.params.probs = (clattn_tensor){ 0 };
    OK(ctx, clattn_attention(ctx, &run.params));
    const clattn_tensor host = clattn_tensor_of_host(numbers, CLATTN_I32, 1, four);
    const clattn_tensor pages = clattn_tensor_of_host(table, CLATTN_I32, 2, twelve);
    BAD(ERR_ARG, "layout.lengths of sequence 1 has a -1|0 to 131",
        p.layout.lengths = host; numbers[1] = -1);
    BAD(ERR_ARG, "layout.lengths of sequence 1 has a 132|0 to 131",
        p.layout.lengths = host; numbers[1] = 132);
    BAD(ERR_ARG, "layout.block_table of sequence 2 has a 42|0 to 41",
        p.layout.block_table = pages; table[30] = 42);
    BAD(ERR_ARG, "layout.block_table of sequence 2 has a -7", p.layout.block_table = pages;
        table[30] = -7);
    BAD(ERR_SHAPE, "batches|3", p.layout.lengths = clattn_tensor_slice(p.layout.lengths, 0, 0, 3));
    BAD(ERR_SHAPE, "batches|3",
        p.layout.block_table = clattn_tensor_slice(p.layout.block_table, 0, 0, 3));
    BAD(ERR_SHAPE, "pages have 15 rows|power of two", p.k = clattn_tensor_slice(p.k, 2, 0, 15),
        p.v = clattn_tensor_slice(p.v, 2, 0, 15));
    BAD(ERR_SHAPE, "pages have 8 rows|16 or more", p.k = clattn_tensor_slice(p.k, 2, 0, 8),
        p.v = clattn_tensor_slice(p.v, 2, 0, 8));
    BAD(ERR_SHAPE, "k has no pages", p.k = clattn_tensor_slice(p.k, 0, 0, 0),
        p.v = clattn_tensor_slice(p.v, 0, 0, 0));
    BAD(ERR_SHAPE, "k_scale", p.layout.k_scale = clattn_tensor_slice(p.layout.k_scale, 0, 0, 3));
    BAD(ERR_SHAPE, "k_scale is for 1 heads of 16 rows",
        p.layout.k_scale = clattn_tensor_slice(p.layout.k_scale, 1, 0, 1));
    BAD(ERR_SHAPE, "k_scale is for 2 heads of 15 rows",
        p.layout.k_scale = clattn_tensor_slice(p.layout.k_scale, 2, 0, 15));
    BAD(ERR_SHAPE, "k_scale has 2 scales for a row of 16|one for each 32",
        p.k.dtype = p.v.dtype = CLATTN_I4; p.k.shape[3] /= 2; p.v.shape[3] /= 2;
        p.layout.k_scale = clattn_tensor_of_host(table, CLATTN_F32, 4, halves));
    BAD(ERR_ARG, "layout.k_scale is given, but rows are f32", p.k.dtype = p.v.dtype = CLATTN_F32);
    BAD(ERR_SHAPE, "33554432 pages of 16 rows are more than 536870911",
        p.layout.block_table = clattn_tensor_of_host(table, CLATTN_I32, 2, many));
    BAD(ERR_ARG, "layout.v_scale", p.layout.v_scale = (clattn_tensor){ 0 });
    BAD(ERR_ARG, "layout.v_scale|f32", p.layout.v_scale.dtype = CLATTN_I32);
    BAD(ERR_ARG, "k has dtype i8|needs f32", p.layout.lengths = (clattn_tensor){ 0 });
    BAD(ERR_ARG, "a block_table or scales, but no lengths",
        p.layout.lengths = (clattn_tensor){ 0 }, p.k = p.q, p.v = p.o);
    for (int i = 0; i < 2; i++) { /* one kind of scale alone */
        const clattn_tensor scale = run.params.layout.k_scale;
        BAD(ERR_ARG, "a block_table or scales, but no lengths", p.k = p.q, p.v = p.o;
            p.layout = (clattn_kv_layout){ 0 };
            *(i ? &p.layout.k_scale : &p.layout.v_scale) = scale);
    }
    BAD(ERR_SHAPE, "max_seqlen_k is 161|160 rows", p.max_seqlen_k = 161);
    BAD(ERR_ARG, "layout.lengths of sequence 0 has a 131|0 to 130", p.max_seqlen_k = 130);
    BAD(ERR_SHAPE, "max_seqlen_k is -3", p.max_seqlen_k = -3);
    BAD(ERR_ARG, "k is i8 and v is i4", p.v.dtype = CLATTN_I4);
    BAD(ERR_ARG, "v has dtype u8", p.v.dtype = CLATTN_U8);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* ---- caches of the library ---- */

/* Rows [row, row + n) of sequence b of packed [Tk][Hk][width], as k or v of an append. */
static clattn_tensor packed_rows(const attn_data *d, const float *x, int width, int b, int row,
                                 int n)
{
    const int64_t shape[] = { 1, d->spec.Hk, n, width };
    clattn_tensor t = clattn_tensor_of_host(x, CLATTN_F32, 4, shape);

    t.offset = (int64_t)(d->cu_k[b] + row) * d->spec.Hk * width;
    t.stride[1] = width;
    t.stride[2] = (int64_t)d->spec.Hk * width;
    return t;
}

static void append_rows(clattn_kv *kv, const attn_data *d, int b, int row, int n)
{
    clattn_ctx *ctx = suite_ctx();

    OK(ctx, clattn_kv_append(ctx, clattn_kv_append_params(
        .kv = kv, .sequence = b + 1, .k = packed_rows(d, d->k, d->spec.D, b, row, n),
        .v = packed_rows(d, d->v, d->spec.Dv, b, row, n))));
}

static int length_of(const attn_data *d, int b)
{
    return d->cu_k[b + 1] - d->cu_k[b];
}

enum { ROOM = 2112, CHUNK = 37 };

/* Sequence b of the numbers becomes sequence b + 1; sequence 0 stays empty. */
static clattn_kv *make_cache(const attn_data *d, int window)
{
    const attn_spec *s = &d->spec;
    clattn_ctx *ctx = suite_ctx();
    clattn_kv *kv;

    OK(ctx, clattn_kv_create(ctx, clattn_kv_params(
        .sequences = s->B + 1, .heads = s->Hk, .key_width = s->D, .value_width = s->Dv,
        .capacity = ROOM, .dtype = s->kv, .page_rows = s->page_rows, .window = window), &kv));
    for (int b = 0; b < s->B; b++)
        for (int row = 0; row < length_of(d, b); row += CHUNK) {
            const int left = length_of(d, b) - row;
            append_rows(kv, d, b, row, left < CHUNK ? left : CHUNK);
        }
    return kv;
}

/* The numbers become what the cache holds, packed [Hk][rows][width] as read. */
static void adopt(attn_data *d, clattn_kv *kv, bool values)
{
    const int Hk = d->spec.Hk, width = values ? d->spec.Dv : d->spec.D;
    float *to = values ? d->v : d->k;

    for (int b = 0; b < d->spec.B; b++) {
        const int n = length_of(d, b);
        float *x = memory_alloc((size_t)(Hk * n * width) * sizeof *x);
        OK(suite_ctx(), clattn_kv_read(kv, b + 1, 0, n, values ? NULL : x, values ? x : NULL));
        for (int h = 0; h < Hk; h++)
            for (int j = 0; j < n; j++)
                memcpy(to + ((size_t)(d->cu_k[b] + j) * Hk + h) * width, x + (h * n + j) * width,
                       (size_t)width * sizeof *x);
        free(x);
    }
}

/* Quantised rows need not be, to the last bit, what the tests would have stored. */
static void adopt_cache(attn_data *d, clattn_kv *kv)
{
    adopt(d, kv, false);
    adopt(d, kv, true);
    if (d->spec.argmax)
        return;
    ref_attention(&d->ref, d->o, d->lse, d->probs);
    attn_data_naive(d);
}

static void use_cache(attn_run *run, clattn_kv *kv, int64_t sequence)
{
    const clattn_tensor none = { 0 };
    struct clattn_attention_params *p = &run->params;
    struct clattn_argmax_params *a = &run->argmax;

    p->k = p->v = a->k = a->v = none;
    p->layout = a->layout = (clattn_kv_layout){ .lengths = none };
    p->max_seqlen_k = a->max_seqlen_k = 0;
    p->kv = a->kv = kv;
    p->kv_sequence = a->kv_sequence = sequence;
}

static void call(attn_run *run)
{
    clattn_ctx *ctx = suite_ctx();

    if (run->data->spec.argmax)
        OK(ctx, clattn_argmax(ctx, &run->argmax));
    else
        OK(ctx, clattn_attention(ctx, &run->params));
}

static void check_cache(const attn_spec *spec, int window)
{
    attn_data *data = attn_data_make(spec, suite_seed());
    clattn_kv *kv = make_cache(data, window);
    attn_run run;

    if (cache_is_quantised(spec->kv))
        adopt_cache(data, kv);
    attn_run_make(&run, suite_ctx(), data);
    use_cache(&run, kv, 1);
    if (window && spec->left == window - 1) /* the cache knows */
        run.params.window = false;
    call(&run);
    attn_run_check(&run);
    attn_run_free(&run);
    clattn_kv_destroy(&kv);
    attn_data_free(data);
}

static const clattn_dtype storages[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16, CLATTN_I8,
                                         CLATTN_I4 };
static const int some_lens[] = { 100, 3, 331 };

/*
 * Every storage, contiguous and paged; few rows and many, with 1, 4 or all heads in a group. Where
 * each is built for: two of the three beside each other in every way.
 */
START_TEST(storage_and_rows)
{
    static const int rows[] = { 1, 3, 17, 40 }, key_heads[] = { 2, 8, 1, 2 };
    const bool few = (_i / 2 + _i) % 2;

    for (int i = 0; i < 4; i++) {
        if (!suite_is_native() && few != (rows[i] < 17))
            continue;
        const attn_spec spec = { .B = 3, .Hq = 8, .Hk = key_heads[i], .Nq = rows[i], .D = 40,
                                 .Dv = 24, .kv = storages[_i / 2], .page_rows = _i % 2 ? 16 : 0,
                                 .lens_k = some_lens, .lse = true,
                                 .causal = CLATTN_CAUSAL_BOTTOM_RIGHT };
        compare_label("%s, page_rows %d, Nq %d, Hk %d", clattn_dtype_name(spec.kv),
                      spec.page_rows, spec.Nq, spec.Hk);
        check_cache(&spec, 0);
    }
}
END_TEST

static const attn_spec objects[] = {
    { SIZES, .name = "all options", .B = 4, .Nq = 5, .kv = CLATTN_F16, .page_rows = 16,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .window = true, .left = 60, .right = -1, .mask = true,
      .bias = true, .alibi = true, .sinks = true, .softcap = 15, .scale = 0.4f, .lse = true,
      .probs = true },
    { SIZES, .name = "probs", .B = 4, .Nq = 9, .kv = CLATTN_I8, .page_rows = 16, .probs = true,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { SIZES, .name = "argmax", .B = 4, .Nq = 3, .kv = CLATTN_F16, .page_rows = 16, .argmax = true,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { SIZES, .name = "argmax, i8, mask", .B = 4, .Nq = 1, .kv = CLATTN_I8, .page_rows = 16,
      .argmax = true, .mask = true },
    { SIZES, .name = "argmax, i4", .B = 4, .Nq = 40, .kv = CLATTN_I4, .argmax = true },
};

START_TEST(options)
{
    compare_label("%s", objects[_i].name);
    check_cache(&objects[_i], 0);
}
END_TEST

/* A cache that keeps a window is attention with that window over all rows. */
START_TEST(windows)
{
    static const struct {
        int window, left, Nq;
    } cases[] = { { 50, 49, 1 }, { 50, 49, 9 }, { 50, 20, 1 }, { 1, 0, 1 }, { 400, 399, 20 } };
    attn_spec spec = { SIZES, .B = 4, .Nq = cases[_i].Nq, .kv = CLATTN_F16, .page_rows = 16,
                       .window = true, .left = cases[_i].left, .right = -1, .lse = true,
                       .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .poison_hidden = true };

    compare_label("window %d, left %d, Nq %d", cases[_i].window, spec.left, spec.Nq);
    check_cache(&spec, cases[_i].window);
}
END_TEST

/* ---- equivalences ---- */

/* One row at a time, each attending to what is there, is one causal call. */
START_TEST(steps_are_a_prefill)
{
    enum { N = 41 };
    static const int none[] = { N, N };
    const attn_spec spec = { .name = "steps", .B = 2, .Hq = 4, .Hk = 2, .Nq = N, .D = 40, .Dv = 24,
                             .kv = CLATTN_F32, .page_rows = _i ? 16 : 0, .lens_k = none,
                             .lse = true, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT };
    attn_data *data = attn_data_make(&spec, suite_seed());
    clattn_kv *kv = make_cache(data, 0);
    attn_run run;

    for (int b = 0; b < spec.B; b++)
        OK(suite_ctx(), clattn_kv_truncate(kv, b + 1, 0));
    attn_run_make(&run, suite_ctx(), data);
    use_cache(&run, kv, 1);
    const struct clattn_attention_params all = run.params;
    for (int n = 0; n < N; n++) {
        for (int b = 0; b < spec.B; b++)
            append_rows(kv, data, b, n, 1);
        run.params.q = clattn_tensor_slice(all.q, 2, n, 1);
        run.params.o = clattn_tensor_slice(all.o, 2, n, 1);
        run.params.lse = clattn_tensor_slice(all.lse, 2, n, 1);
        call(&run);
    }
    compare_label("steps");
    attn_run_check(&run);
    attn_run_free(&run);
    clattn_kv_destroy(&kv);
    attn_data_free(data);
}
END_TEST

/* Every kernel of this device that is one of softmax or argmax attention. */
static kernel_list kernels;

/* Runs with this kernel and gives o; NULL when it cannot. */
static float *output_with(attn_run *run, const cla_kernel *kernel)
{
    const bool argmax = run->data->spec.argmax;

    attn_run_poison(run);
    run->params.kernel = run->argmax.kernel = kernel->name;
    const clattn_status s = argmax ? clattn_argmax(suite_ctx(), &run->argmax)
                                   : clattn_attention(suite_ctx(), &run->params);
    if (s == CLATTN_ERR_UNSUPPORTED)
        return NULL;
    suite_expect(__FILE__, __LINE__, suite_ctx(), compare_label_text(), s, CLATTN_OK);
    return attn_run_output(run);
}

/* The same bits, or both runs cannot be. Frees both. */
static void check_same(const attn_data *d, float *a, float *b)
{
    ck_assert_msg((a == NULL) == (b == NULL), "%s: only one of the two can", compare_label_text());
    for (size_t i = 0; a && i < d->count_o; i++)
        ck_assert_msg(memcmp(&a[i], &b[i], sizeof *a) == 0, "%s: o[%zu] is %.9g and %.9g",
                      compare_label_text(), i, (double)a[i], (double)b[i]);
    free(a);
    free(b);
}

/* The same rows in pages and without: the same bits from every kernel. */
START_TEST(paged_is_contiguous)
{
    attn_spec spec = { .B = 3, .Hq = 8, .Hk = 2, .D = 40, .Dv = 24, .kv = CLATTN_I8,
                       .lens_k = some_lens, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT,
                       .lse = true, .argmax = kernels.kernel[_i]->stage == CLA_STAGE_ARGMAX };

    for (int i = 0; i < 2; i++) {
        spec.Nq = i ? 9 : 1;
        attn_run run;
        attn_data *data = attn_data_make(&spec, suite_seed());
        clattn_kv *flat = make_cache(data, 0);
        data->spec.page_rows = 32;
        clattn_kv *paged = make_cache(data, 0);
        data->spec.page_rows = 0;
        attn_run_make(&run, suite_ctx(), data);
        compare_label("%s, Nq %d, contiguous and paged", kernels.kernel[_i]->name, spec.Nq);
        use_cache(&run, flat, 1);
        float *one = output_with(&run, kernels.kernel[_i]);
        use_cache(&run, paged, 1);
        check_same(data, one, output_with(&run, kernels.kernel[_i]));
        attn_run_free(&run);
        clattn_kv_destroy(&flat);
        clattn_kv_destroy(&paged);
        attn_data_free(data);
    }
}
END_TEST

/* A sequence alone, with its neighbours, and with others that are much longer. */
START_TEST(batch_does_not_matter)
{
    static const int mixed[] = { 700, 1, 90, 300, 0 };
    attn_spec spec = { .B = 5, .Hq = 8, .Hk = 2, .D = 40, .Dv = 24, .kv = CLATTN_I8,
                       .page_rows = 32, .lens_k = mixed, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT,
                       .lse = true, .argmax = kernels.kernel[_i]->stage == CLA_STAGE_ARGMAX };

    for (int i = 0; i < 2; i++) {
        spec.Nq = i ? 9 : 1;
        attn_run run;
        attn_data *data = attn_data_make(&spec, suite_seed());
        clattn_kv *kv = make_cache(data, 0);
        attn_run_make(&run, suite_ctx(), data);
        use_cache(&run, kv, 1);
        float *together = output_with(&run, kernels.kernel[_i]);
        attn_run_poison(&run);
        for (int b = 0; b < spec.B; b++) {
            attn_run alone = run;
            alone.params.q = alone.argmax.q = clattn_tensor_slice(run.params.q, 0, b, 1);
            alone.params.o = alone.argmax.o = clattn_tensor_slice(run.params.o, 0, b, 1);
            use_cache(&alone, kv, b + 1);
            if (spec.argmax)
                alone.argmax.index = clattn_tensor_slice(run.argmax.index, 0, b, 1);
            else
                alone.params.lse = clattn_tensor_slice(run.params.lse, 0, b, 1);
            if (together)
                call(&alone);
        }
        compare_label("%s, Nq %d, alone", kernels.kernel[_i]->name, spec.Nq);
        check_same(data, together, together ? attn_run_output(&run) : NULL);

        together = output_with(&run, kernels.kernel[_i]);
        for (int b = 1; b < spec.B; b++) /* sequence 0 stays as it is, the others grow or go */
            OK(suite_ctx(), clattn_kv_fork(kv, 1, b + 1));
        for (int n = 0; n < 4; n++)
            append_rows(kv, data, 3, 0, 300);
        float *others = output_with(&run, kernels.kernel[_i]);
        compare_label("%s, Nq %d, among others", kernels.kernel[_i]->name, spec.Nq);
        data->count_o /= (size_t)spec.B;
        check_same(data, together, others);
        attn_run_free(&run);
        clattn_kv_destroy(&kv);
        attn_data_free(data);
    }
}
END_TEST

/* A fork that goes its own way is a second cache, and so is what it was forked from. */
START_TEST(forks_diverge)
{
    static const int both[] = { 150, 170 };
    const attn_spec spec = { .B = 2, .Hq = 8, .Hk = 2, .Nq = 3, .D = 40, .Dv = 24,
                             .kv = CLATTN_I8, .page_rows = _i ? 32 : 0, .lens_k = both,
                             .lse = true, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT };
    enum { COMMON = 100 };
    attn_data *data = attn_data_make(&spec, suite_seed());
    const size_t k = (size_t)COMMON * 2 * 40, v = (size_t)COMMON * 2 * 24;
    clattn_ctx *ctx = suite_ctx();
    attn_run run;

    memcpy(data->k + (size_t)both[0] * 2 * 40, data->k, k * sizeof *data->k);
    memcpy(data->v + (size_t)both[0] * 2 * 24, data->v, v * sizeof *data->v);
    clattn_kv *apart = make_cache(data, 0), *forked = make_cache(data, 0);
    OK(ctx, clattn_kv_truncate(forked, 1, COMMON));
    OK(ctx, clattn_kv_fork(forked, 1, 2));
    for (int n = COMMON; n < both[1]; n++)
        for (int b = 0; b < 2; b++)
            if (n < both[b])
                append_rows(forked, data, b, n, 1);
    attn_run_make(&run, ctx, data);
    use_cache(&run, apart, 1);
    call(&run);
    float *one = attn_run_output(&run);
    use_cache(&run, forked, 1);
    attn_run_poison(&run);
    call(&run);
    compare_label("%s, forked and apart", _i ? "paged" : "contiguous");
    check_same(data, one, attn_run_output(&run));
    attn_run_free(&run);
    clattn_kv_destroy(&apart);
    clattn_kv_destroy(&forked);
    attn_data_free(data);
}
END_TEST

/* The cache as tensors is a layout like the caller's own. */
START_TEST(cache_as_tensors)
{
    const attn_spec spec = { .B = 3, .Hq = 8, .Hk = 2, .Nq = 3, .D = 40, .Dv = 24,
                             .kv = CLATTN_I4, .page_rows = _i ? 16 : 0, .lens_k = some_lens,
                             .lse = true, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT };
    attn_data *data = attn_data_make(&spec, suite_seed());
    clattn_kv *kv = make_cache(data, 0);
    clattn_ctx *ctx = suite_ctx();
    attn_run run;

    attn_run_make(&run, ctx, data);
    use_cache(&run, kv, 1);
    run.params.max_seqlen_k = 512;
    call(&run);
    float *one = attn_run_output(&run);
    run.params.kv = NULL;
    run.params.kv_sequence = 0;
    OK(ctx, clattn_kv_tensors(kv, 1, spec.B, &run.params.k, &run.params.v, &run.params.layout));
    attn_run_poison(&run);
    call(&run);
    compare_label("%s, as tensors", _i ? "paged" : "contiguous");
    check_same(data, one, attn_run_output(&run));
    attn_run_free(&run);
    clattn_kv_destroy(&kv);
    attn_data_free(data);
}
END_TEST

/* One plan serves a cache while it grows, and gives what the one-call form gives. */
START_TEST(plan_of_a_growing_cache)
{
    const attn_spec spec = { .B = 3, .Hq = 8, .Hk = 2, .Nq = _i % 2 ? 3 : 1, .D = 40, .Dv = 24,
                             .kv = CLATTN_I8, .page_rows = 32, .lens_k = some_lens,
                             .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .lse = true,
                             .argmax = _i >= 2 };
    attn_data *data = attn_data_make(&spec, suite_seed());
    clattn_kv *kv = make_cache(data, 0);
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;
    attn_run run;

    attn_run_make(&run, ctx, data);
    use_cache(&run, kv, 1);
    OK(ctx, spec.argmax ? clattn_plan_argmax(ctx, &run.argmax, &plan)
                        : clattn_plan_attention(ctx, &run.params, &plan));
    for (int n = 0; n < 3; n++) {
        compare_label("%s plan, run %d", spec.argmax ? "argmax" : "attention", n);
        call(&run);
        float *one = attn_run_output(&run);
        attn_run_poison(&run);
        OK(ctx, clattn_plan_run(plan));
        check_same(data, one, attn_run_output(&run));
        append_rows(kv, data, n, 0, 1 + n);
        OK(ctx, clattn_kv_fork(kv, 1 + n, 1 + (n + 1) % 3));
    }
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    clattn_kv_destroy(&kv);
    attn_data_free(data);
}
END_TEST

#define COUNT(list) (int)(sizeof list / sizeof list[0])

static Suite *suite(void)
{
    Suite *s = suite_create("kv_attention");
    TCase *t = tcase_create("kv_attention");

    kernels = kernels_of_device(STAGE(ATTENTION) | STAGE(ARGMAX));
    tcase_add_loop_test(t, own_layouts, 0, COUNT(own));
    tcase_add_test(t, device_numbers_are_clamped);
    tcase_add_test(t, bad_layouts);
    tcase_add_loop_test(t, storage_and_rows, 0, 2 * COUNT(storages));
    tcase_add_loop_test(t, options, 0, COUNT(objects));
    tcase_add_loop_test(t, windows, 0, 5);
    tcase_add_loop_test(t, steps_are_a_prefill, 0, 2);
    tcase_add_loop_test(t, paged_is_contiguous, 0, kernels.count);
    tcase_add_loop_test(t, batch_does_not_matter, 0, kernels.count);
    tcase_add_loop_test(t, forks_diverge, 0, 2);
    tcase_add_loop_test(t, cache_as_tensors, 0, 2);
    tcase_add_loop_test(t, plan_of_a_growing_cache, 0, 4);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
