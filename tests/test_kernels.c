/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry walk: every kernel of this device against the double reference. A new kernel needs
 * no edit here.
 *
 * A program takes the driver a second or two to build, and so does every width, dtype and set of
 * options. So shapes of one width that differ in what is not compiled in run with all pairs of
 * values of tunables; another width and other dtypes, and caches, with every value; all shapes in
 * the dispatcher's choice.
 *
 * Where scores are spread widely, only rows with a near tie have an error worth the name. Those
 * shapes have many rows, so that the pass rule compares more than two throws of dice, but stay
 * below 65535 work-items: PoCL builds for more anew.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "kernel_walk.h"
#include "sample_tile.h"
#include "storage.h"
#include "suite.h"

static kernel_walk_scope scope;

/* The widths have tails in every vector and tile. */
#define WIDTHS .D = 40, .Dv = 24, .lse = true
static const attn_spec config_shapes[] = {
    { WIDTHS, .name = "one over a tile, causal, spread 30", .B = 1, .Hq = 4, .Hk = 2, .Nq = 65,
      .Nk = 129, .spread = 30, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .poison_hidden = true },
    { WIDTHS, .name = "one row, long keys, spread 1000", .B = 6, .Hq = 16, .Hk = 2, .Nq = 1,
      .Nk = 1031, .spread = 1000 },
    { WIDTHS, .name = "primes, window, rising scores", .B = 1, .Hq = 11, .Hk = 1, .Nq = 37,
      .Nk = 211, .regime = REGIME_RISING, .spread = 10, .window = true, .left = 70, .right = 11,
      .poison_hidden = true },
    { WIDTHS, .name = "one", .B = 1, .Hq = 1, .Hk = 1, .Nq = 1, .Nk = 1 },
    { WIDTHS, .name = "more rows than keys, padded", .B = 1, .Hq = 2, .Hk = 2, .Nq = 30, .Nk = 7,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .layout = LAYOUT_PADDED },
};

/* The same where nothing is compiled; configurations may be for some dtypes only. */
#define ALL_OPTIONS                                                                            \
    .mask = true, .bias = true, .alibi = true, .sinks = true, .softcap = 20, .poison_hidden = true
static const int many_q[] = { 3, 0, 70, 1 }, many_k[] = { 35, 9, 300, 0 };
static const int lens_pages[] = { 131, 0, 340, 1 };
static const attn_spec native_config_shapes[] = {
    { WIDTHS, .name = "bf16, causal, spread 30", .B = 1, .Hq = 4, .Hk = 2, .Nq = 65, .Nk = 300,
      .in = CLATTN_BF16, .spread = 30, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT,
      .poison_hidden = true },
    { .name = "bf16, window, rising scores", .B = 1, .Hq = 11, .Hk = 1, .Nq = 37, .Nk = 611,
      .D = 72, .Dv = 130, .in = CLATTN_BF16, .lse = true, .regime = REGIME_RISING, .spread = 10,
      .window = true, .left = 170, .right = 11, .poison_hidden = true },
    { .name = "bf16, spread 1000", .B = 2, .Hq = 8, .Hk = 2, .Nq = 130, .Nk = 257, .D = 64,
      .Dv = 64, .in = CLATTN_BF16, .spread = 1000, .causal = CLATTN_CAUSAL_TOP_LEFT },
    { ALL_OPTIONS, .name = "bf16, all options, ragged", .B = 4, .Hq = 2, .Hk = 1, .D = 32,
      .Dv = 48, .in = CLATTN_BF16, .lens_q = many_q, .lens_k = many_k, .lse = true },
    { .name = "bf16, mask by keys, padded", .B = 2, .Hq = 2, .Hk = 1, .Nq = 35, .Nk = 50,
      .D = 1, .Dv = 3, .in = CLATTN_BF16, .scale = -0.5f, .mask = true, .layout = LAYOUT_PADDED },
    { .name = "bf16 pages", .B = 4, .Hq = 4, .Hk = 2, .Nq = 19, .D = 40, .Dv = 24,
      .in = CLATTN_BF16, .kv = CLATTN_BF16, .page_rows = 16, .lens_k = lens_pages, .lse = true,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
};

static const int lens_q[] = { 3, 0, 33, 1 }, lens_k[] = { 35, 9, 2, 0 };

/* Compiled anew where widths, dtypes or options are. */
#define D_80 \
    .D = 80, .Dv = 80, .in = CLATTN_F16, .out = CLATTN_F32, .lse = true, .mask = true, .bias = true
static const attn_spec shapes[] = {
    { .name = "D 1", .B = 1, .Hq = 2, .Hk = 1, .Nq = 5, .Nk = 19, .D = 1, .Dv = 1 },
    { .name = "D 3, Dv 65", .B = 1, .Hq = 2, .Hk = 1, .Nq = 17, .Nk = 33, .D = 3, .Dv = 65,
      .lse = true, .spread = 30 },
    { D_80, .name = "D 80, decode, f16 to f32", .B = 1, .Hq = 8, .Hk = 2, .Nq = 3, .Nk = 2100 },
    { D_80, .name = "mask by keys", .B = 2, .Hq = 2, .Hk = 1, .Nq = 35, .Nk = 50,
      .poison_hidden = true, .layout = LAYOUT_PADDED },
    { .name = "D 320, Dv 16", .B = 1, .Hq = 2, .Hk = 2, .Nq = 7, .Nk = 40, .D = 320, .Dv = 16 },
    { ALL_OPTIONS, .name = "all options", .B = 2, .Hq = 4, .Hk = 2, .Nq = 33, .Nk = 70, .D = 32,
      .Dv = 48, .lse = true, .window = true, .left = 50, .right = -1,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .layout = LAYOUT_BNHD },
    { ALL_OPTIONS, .name = "all options, one row", .B = 2, .Hq = 4, .Hk = 1, .Nq = 1, .Nk = 700,
      .D = 32, .Dv = 32, .in = CLATTN_BF16, .bias_type = CLATTN_F16, .lse = true },
    { ALL_OPTIONS, .name = "all options, ragged", .B = 4, .Hq = 2, .Hk = 1, .D = 32, .Dv = 32,
      .in = CLATTN_F16, .lens_q = lens_q, .lens_k = lens_k, .lse = true },
    { WIDTHS, .name = "tiny values", .B = 1, .Hq = 2, .Hk = 2, .Nq = 18, .Nk = 50,
      .regime = REGIME_TINY },
    { WIDTHS, .name = "one huge score", .B = 1, .Hq = 2, .Hk = 2, .Nq = 18, .Nk = 150,
      .regime = REGIME_ONE_HUGE, .spread = 3 },
    { WIDTHS, .name = "equal scores", .B = 1, .Hq = 2, .Hk = 2, .Nq = 18, .Nk = 150,
      .regime = REGIME_EQUAL },
};

/*
 * Widths that no tile or vector has a tail of, where nothing is compiled. Elsewhere `dtypes` has
 * one, and these are for kernels over the matrix tile, which have other tiles for wide rows.
 */
static const attn_spec whole_shapes[] = {
    { .name = "D 64, f32", .B = 2, .Hq = 8, .Hk = 2, .Nq = 130, .Nk = 257, .D = 64, .Dv = 64,
      .spread = 1000, .causal = CLATTN_CAUSAL_TOP_LEFT, .poison_hidden = true },
    { .name = "D 128, bf16", .B = 1, .Hq = 2, .Hk = 1, .Nq = 70, .Nk = 97, .D = 128, .Dv = 128,
      .in = CLATTN_BF16, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { .name = "D 256, f16", .B = 1, .Hq = 1, .Hk = 1, .Nq = 9, .Nk = 40, .D = 256, .Dv = 256,
      .in = CLATTN_F16, .lse = true, .spread = 30 },
};

/*
 * Caches. The first one takes every road through cl/kv.clh and is compiled with every value of the
 * tunables: how many rows and keys a tile has is what its way to find a key may depend on.
 */
static const int lens_cache[] = { 131, 0, 40, 1 };
#define CACHE .Hq = 4, .Hk = 2, .D = 40, .Dv = 24, .lse = true, .lens_k = lens_cache
static const attn_spec cache_config_shapes[] = {
    { CACHE, .name = "i8 pages", .B = 4, .Nq = 9, .in = CLATTN_F16, .kv = CLATTN_I8,
      .page_rows = 16,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { CACHE, .name = "i8 pages, one row, window", .B = 4, .Nq = 1, .in = CLATTN_F16,
      .kv = CLATTN_I8,
      .page_rows = 32, .window = true, .left = 70, .right = 0, .poison_hidden = true },
};
static const attn_spec cache_shapes[] = {
    { CACHE, .name = "i4 pages, f16", .B = 3, .Nq = 19, .in = CLATTN_F16, .kv = CLATTN_I4,
      .page_rows = 16, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .layout = LAYOUT_PADDED },
    { .name = "f16 cache, bf16 rows, masks", .B = 2, .Hq = 4, .Hk = 1, .Nq = 17, .D = 16, .Dv = 65,
      .in = CLATTN_BF16, .kv = CLATTN_F16, .lens_k = lens_cache, .mask = true, .bias = true,
      .alibi = true, .sinks = true, .softcap = 20, .lse = true, .layout = LAYOUT_BNHD },
    { CACHE, .name = "f32 cache, one row", .B = 4, .Nq = 1, .kv = CLATTN_F32 },
};

/* One program for kernels over tiles, with what no shape above brings to 16 bits. */
static const attn_spec tile_shape = {
    ALL_OPTIONS, .name = "bf16 pages, all options", .B = 4, .Hq = 4, .Hk = 2, .Nq = 19, .D = 40,
    .Dv = 24, .in = CLATTN_BF16, .kv = CLATTN_BF16, .page_rows = 16, .lens_k = lens_pages,
    .lse = true, .window = true, .left = 100, .right = 0,
};

static void check_config(void *user, const cla_kernel *kernel, const void *problem, const int *t)
{
    kernel_run_attention(suite_ctx(), kernel, user, problem, t);
}

/* AMX is for bf16 alone, tiles and the unit of warpgroups are for f16 and bf16, q, k, v and o
 * alike; other kernels refuse nothing. */
static bool takes(const cla_kernel *kernel, const attn_spec *spec)
{
    const bool alike = (spec->out == CLATTN_NONE || spec->out == spec->in)
                    && (spec->kv == CLATTN_NONE || spec->kv == spec->in);
    const bool is_half = alike && (spec->in == CLATTN_F16 || spec->in == CLATTN_BF16);
    if (kernel->needs & CLA_CAP_AMX)
        return alike && spec->in == CLATTN_BF16;
    if (kernel->needs & CLA_CAP_WGMMA)
        return is_half && spec->scale >= 0 && spec->D <= 256 && spec->Dv <= 256;
    return !sample_is_tiled(kernel) || is_half;
}

/* Returns how many configurations ran: what a kernel takes, it runs, but a share may have none. */
static int check_shape(const cla_kernel *kernel, attn_spec spec, kernel_way way)
{
    attn_run run;

    kernel_wants(kernel, &spec);
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run_make(&run, suite_ctx(), data);
    const kernel_task task = { kernel, spec.name, kernel_params(kernel, &run), &run, check_config };
    const int ran = kernel_walk(&task, way);
    ck_assert_msg(ran > 0 || way.kind == WALK_PAIRS || !takes(kernel, &spec), "%s: nothing ran",
                  compare_label_text());
    attn_run_free(&run);
    attn_data_free(data);
    return ran;
}

START_TEST(configurations)
{
    const cla_kernel *kernel = scope.list.kernel[_i];
    int ran = 0;

    for (size_t i = 0; i < sizeof config_shapes / sizeof config_shapes[0]; i++) {
        attn_spec spec = config_shapes[i];
        if (sample_is_tiled(kernel) || (kernel->needs & CLA_CAP_WGMMA))
            spec.in = CLATTN_F16;
        ran += check_shape(kernel, spec, scope.pairs);
    }
    for (size_t i = 0; i < sizeof native_config_shapes / sizeof native_config_shapes[0]; i++)
        if (cla_kernel_is_native(kernel))
            ran += check_shape(kernel, native_config_shapes[i], scope.pairs);
    kernel_walk_report(&scope, kernel, ran);
}
END_TEST

/* f32 has had all pairs; these two share every value. The scalar tile has had them in f16. */
START_TEST(dtypes)
{
    const cla_kernel *kernel = scope.list.kernel[_i];
    static const clattn_dtype types[] = { CLATTN_F16, CLATTN_BF16 };

    for (int i = 0; i < 2; i++) {
        const attn_spec spec = { .name = "D 64", .B = 1, .Hq = 4, .Hk = 2, .Nq = 66, .Nk = 140,
                                 .D = 64, .Dv = 64, .in = types[i], .spread = 10, .lse = true,
                                 .causal = CLATTN_CAUSAL_BOTTOM_RIGHT };
        check_shape(kernel, spec, sample_is_tiled(kernel) ? kernel_walk_default
                                                          : kernel_walk_share(WALK_VALUES, i, 2));
    }
}
END_TEST

/*
 * Where each is built for, half of them do for what is not softmax attention: scores come from the
 * same headers, and of most options there is nothing in the kernel.
 */
START_TEST(all_shapes)
{
    const cla_kernel *kernel = scope.list.kernel[_i];
    const bool all = cla_kernel_is_native(kernel) || kernel->stage == CLA_STAGE_ATTENTION;

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (all || i % 2 == (size_t)_i % 2)
            check_shape(kernel, shapes[i], kernel_walk_default);
    for (size_t i = 0; i < sizeof whole_shapes / sizeof whole_shapes[0]; i++)
        if (cla_kernel_is_native(kernel) || sample_is_tiled(kernel))
            check_shape(kernel, whole_shapes[i], kernel_walk_default);
}
END_TEST

START_TEST(caches)
{
    const cla_kernel *kernel = scope.list.kernel[_i];
    const kernel_way cover = kernel_walk_share(WALK_VALUES, 2, 1);

    check_shape(kernel, cache_config_shapes[0], cover);
    check_shape(kernel, cache_config_shapes[1],
                cla_kernel_is_native(kernel) ? cover : kernel_walk_default);
    for (size_t i = 0; i < sizeof cache_shapes / sizeof cache_shapes[0]; i++)
        check_shape(kernel, cache_shapes[i], kernel_walk_default);
    if (sample_is_tiled(kernel))
        check_shape(kernel, tile_shape, kernel_walk_default);
}
END_TEST

/* ---- merge ---- */

typedef struct merge_spec {
    const char *name;
    int P, B, H, N, Dv;
    clattn_dtype in, out;
    int empty_parts; /* parts that saw no key, NaN in their o */
} merge_spec;

static const merge_spec merges[] = {
    { "one", 1, 1, 1, 1, 1, CLATTN_F32, CLATTN_F32, 0 },
    { "Dv 65", 3, 2, 3, 17, 65, CLATTN_F32, CLATTN_F32, 1 },
    { "f16 to f32", 2, 2, 3, 17, 64, CLATTN_F16, CLATTN_F32, 0 },
    { "bf16", 5, 1, 2, 33, 40, CLATTN_BF16, CLATTN_BF16, 2 },
    { "empty", 4, 1, 2, 3, 128, CLATTN_F32, CLATTN_F16, 4 },
};

typedef struct merge_case {
    const merge_spec *spec;
    size_t rows;
    float *o_parts, *lse_parts, *naive_o, *naive_lse;
    double *o, *lse;
    test_memory m[4]; /* o_parts, lse_parts, o, lse */
} merge_case;

static void merge_make(merge_case *c, const merge_spec *s, clattn_ctx *ctx)
{
    const size_t rows = c->rows = (size_t)s->B * s->H * s->N, width = (size_t)s->Dv;
    const size_t n = (size_t)s->P * rows;
    const int64_t shape[5] = { s->P, s->B, s->H, s->N, s->Dv };
    test_rng rng = { suite_seed() };

    c->spec = s;
    c->o_parts = memory_alloc(n * width * sizeof(float));
    c->lse_parts = memory_alloc(n * sizeof(float));
    c->naive_o = memory_alloc(rows * width * sizeof(float));
    c->naive_lse = memory_alloc(rows * sizeof(float));
    c->o = memory_alloc(rows * width * sizeof(double));
    c->lse = memory_alloc(rows * sizeof(double));
    for (size_t i = 0; i < n; i++) {
        const bool empty = i < (size_t)s->empty_parts * rows || rng_below(&rng, 9) == 0;
        c->lse_parts[i] = empty ? -INFINITY : 20 * (float)rng_normal(&rng);
        for (size_t d = 0; d < width; d++)
            c->o_parts[i * width + d] =
                empty ? NAN : storage_round(s->in, (float)rng_normal(&rng));
    }
    ref_merge(s->P, rows, s->Dv, c->o_parts, c->lse_parts, c->o, c->lse);
    ref_merge_naive(s->P, rows, s->Dv, c->o_parts, c->lse_parts, s->out, c->naive_o, c->naive_lse);
    memory_make(&c->m[0], ctx, false, s->in, 5, shape, NULL);
    memory_make(&c->m[1], ctx, false, CLATTN_F32, 4, shape, NULL);
    memory_make(&c->m[2], ctx, true, s->out, 4, shape + 1, NULL);
    memory_make(&c->m[3], ctx, true, CLATTN_F32, 3, shape + 1, NULL);
    memory_put(&c->m[0], c->o_parts);
    memory_put(&c->m[1], c->lse_parts);
}

static void merge_check(merge_case *c)
{
    const size_t n = c->rows * (size_t)c->spec->Dv;
    float *got = memory_alloc((n + c->rows) * sizeof *got);

    memory_get(&c->m[2], "o", got);
    compare_pass("o", got, c->o, compare_error(c->naive_o, c->o, n), n,
                 c->spec->out);
    memory_get(&c->m[3], "lse", got);
    compare_pass("lse", got, c->lse, compare_error(c->naive_lse, c->lse, c->rows), c->rows,
                 CLATTN_F32);
    memory_get(&c->m[0], "o_parts", NULL);
    free(got);
}

static void merge_free(merge_case *c)
{
    for (int i = 0; i < 4; i++)
        memory_free(&c->m[i]);
    free(c->o_parts), free(c->lse_parts), free(c->naive_o), free(c->naive_lse);
    free(c->o), free(c->lse);
}

static void check_merge(void *user, const cla_kernel *kernel, const void *problem, const int *t)
{
    merge_case *c = user;

    memory_poison(&c->m[2]);
    memory_poison(&c->m[3]);
    kernel_run(suite_ctx(), kernel, problem, t);
    merge_check(c);
}

START_TEST(merge_kernels)
{
    for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
        merge_case c;
        merge_make(&c, &merges[i], suite_ctx());
        const struct clattn_merge_params *params = clattn_merge_params(
            .o_parts = c.m[0].tensor, .lse_parts = c.m[1].tensor, .o = c.m[2].tensor,
            .lse = c.m[3].tensor);
        const kernel_task task = { scope.list.kernel[_i], merges[i].name, params, &c, check_merge };
        ck_assert_int_gt(kernel_walk(&task, kernel_walk_pairs), 0);
        merge_free(&c);
    }
}
END_TEST

/* Programs are dealt out to the parts, and so are the kernels for what is left. */
static Suite *suite(void)
{
    Suite *s = suite_create("kernels");
    for (int i = 0; i < scope.list.count; i++) {
        TCase *t = tcase_create(scope.list.kernel[i]->name);
        const bool mine = kernel_walk_mine(&scope, i);
        if (scope.list.kernel[i]->stage != CLA_STAGE_MERGE) {
            tcase_add_loop_test(t, configurations, i, i + 1);
            if (mine)
                tcase_add_loop_test(t, all_shapes, i, i + 1);
            if (mine)
                tcase_add_loop_test(t, dtypes, i, i + 1);
            if (mine)
                tcase_add_loop_test(t, caches, i, i + 1);
        } else if (mine) {
            tcase_add_loop_test(t, merge_kernels, i, i + 1);
        }
        suite_add_tcase(s, t);
    }
    return s;
}

int main(int argc, char **argv)
{
    return kernel_walk_main(argc, argv,
                            STAGE(ATTENTION) | STAGE(PROBS) | STAGE(STATS) | STAGE(ARGMAX)
                                | STAGE(MERGE),
                            &scope, suite);
}
