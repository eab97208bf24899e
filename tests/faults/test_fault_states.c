/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every OpenCL call fails once where something outlives the call: KV caches, compiled programs on
 * disk. test_fault_states LAYER
 */
#define _XOPEN_SOURCE 700
#include <clattn/tuning.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compare.h"
#include "fault_walk.h"
#include "kv_model.h"
#include "opencl/binary_file.h"
#include "plan.h"
#include "suite.h"

static clattn_ctx *ctx;

/* ---- caches ---- */

enum { SEQUENCES = 3, FILLED = 19, MORE = 2, WIDTH = 4 };

typedef struct cache_walk {
    const struct clattn_kv_params *params;
    bool in_place; /* rows are moved, and those of a move that the device gave up are lost */
    kv_model model;
    kv_input in;
    float q[SEQUENCES * 2 * WIDTH], o[SEQUENCES * 2 * WIDTH], want[SEQUENCES * 2 * WIDTH];
} cache_walk;

static void make_cache(void *user)
{
    cache_walk *w = user;
    test_rng rng = { suite_seed() };
    cla_plan_cache_free(&ctx->plans);
    kv_model_make(&w->model, ctx, w->params);
    kv_model_fill(&w->model, 0, SEQUENCES, FILLED, CLATTN_F32, &rng);
    kv_input_make(&w->in, &w->model, 0, SEQUENCES, MORE, CLATTN_F32, &rng);
    w->in.host = true;
    cla_plan_cache_free(&ctx->plans);
}

static void free_cache(void *user)
{
    cache_walk *w = user;
    kv_input_free(&w->in);
    kv_model_free(&w->model);
    cla_plan_cache_free(&ctx->plans);
}

/* A change of the cache: the model follows when it succeeds. */
typedef clattn_status (*cache_change)(void *user);

static clattn_status append(void *user)
{
    cache_walk *w = user;
    return kv_model_append(&w->model, &w->in);
}

static clattn_status cut(void *user)
{
    cache_walk *w = user;
    const clattn_status s = clattn_kv_truncate(w->model.kv, 1, 5);
    if (s == CLATTN_OK)
        kv_model_truncate(&w->model, 1, 5);
    return s;
}

static clattn_status reorder(void *user)
{
    static const int64_t from[] = { 2, 2, 0 };
    cache_walk *w = user;
    const clattn_status s = clattn_kv_reorder(w->model.kv, from);
    if (s == CLATTN_OK)
        kv_model_reorder(&w->model, from);
    return s;
}

static clattn_status fork_sequence(void *user)
{
    static const int64_t same[] = { 0, 1, 0 };
    cache_walk *w = user;
    const clattn_status s = clattn_kv_fork(w->model.kv, 0, 2);
    if (s == CLATTN_OK)
        kv_model_reorder(&w->model, same);
    return s;
}

/* What is shared after a fork is copied before it is written. */
static void make_forked(void *user)
{
    make_cache(user);
    ck_assert_int_eq(fork_sequence(user), CLATTN_OK);
}

static clattn_status read_rows(void *user)
{
    cache_walk *w = user;
    float k[FILLED * 2 * WIDTH], v[FILLED * 2 * WIDTH];
    return clattn_kv_read(w->model.kv, 1, 0, FILLED, k, v);
}

static clattn_status attend(void *user)
{
    static const int64_t shape[] = { SEQUENCES, 2, 1, WIDTH };
    cache_walk *w = user;
    for (int i = 0; i < SEQUENCES * 2 * WIDTH; i++)
        w->q[i] = (float)(i % 5) - 2, w->o[i] = 0;
    return clattn_attention(ctx, clattn_attention_params(
        .q = clattn_tensor_of_host(w->q, CLATTN_F32, 4, shape), .kv = w->model.kv,
        .o = clattn_tensor_of_host(w->o, CLATTN_F32, 4, shape)));
}

/* Unchanged after a failure, and the next append is as good as ever. */
static void check_cache(void *user, clattn_status status)
{
    cache_walk *w = user;
    for (int b = 0; b < SEQUENCES && w->in_place && status != CLATTN_OK; b++) {
        OK(ctx, clattn_kv_truncate(w->model.kv, b, 0));
        kv_model_truncate(&w->model, b, 0);
    }
    kv_model_check(&w->model);
    if (status != CLATTN_OK) {
        OK(ctx, kv_model_append(&w->model, &w->in));
        kv_model_check(&w->model);
    }
}

static void check_attended(void *user, clattn_status status)
{
    cache_walk *w = user;
    if (status != CLATTN_OK)
        OK(ctx, attend(w));
    if (w->want[0] == 0) /* the first run: numbers are tested elsewhere, here they stay the same */
        memcpy(w->want, w->o, sizeof w->o);
    ck_assert_mem_eq(w->o, w->want, sizeof w->o);
    kv_model_check(&w->model);
}

static clattn_status create(void *user)
{
    cache_walk *w = user;
    clattn_kv *kv;
    const clattn_status s = clattn_kv_create(ctx, w->params, &kv);
    clattn_kv_destroy(&kv);
    return s;
}

static void check_nothing(void *user, clattn_status status)
{
    (void)user, (void)status;
}

static const struct {
    const char *name;
    void (*before)(void *user);
    clattn_status (*act)(void *user);
    void (*check)(void *user, clattn_status status);
    bool moves; /* in a contiguous cache */
} deeds[] = {
    { "append to", make_cache, append, check_cache, false },
    { "fork and append to", make_forked, append, check_cache, false },
    { "truncate", make_cache, cut, check_cache, false },
    { "fork", make_cache, fork_sequence, check_cache, true },
    { "reorder", make_cache, reorder, check_cache, true },
    { "read", make_cache, read_rows, check_cache, false },
    { "attend over", make_cache, attend, check_attended, false },
};

static void walk_cache(const char *kind, const struct clattn_kv_params *params)
{
    char name[96];
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        cache_walk w = { .params = params, .in_place = deeds[i].moves && !params->page_rows };
        snprintf(name, sizeof name, "%s a %s cache", deeds[i].name, kind);
        deeds[i].before(&w); /* compiles, so that the walk need not */
        OK(ctx, deeds[i].act(&w));
        free_cache(&w);
        fault_walk_run(&(fault_walk){ .name = name, .before = deeds[i].before,
                                      .act = deeds[i].act, .check = deeds[i].check,
                                      .after = free_cache, .user = &w });
    }
    cache_walk w = { .params = params };
    snprintf(name, sizeof name, "create a %s cache", kind);
    fault_walk_run(&(fault_walk){ .name = name, .act = create, .check = check_nothing,
                                  .user = &w });
}

START_TEST(caches)
{
    walk_cache("contiguous", clattn_kv_params(.sequences = SEQUENCES, .heads = 2,
                                              .key_width = WIDTH, .capacity = 30));
    walk_cache("paged i8", clattn_kv_params(.sequences = SEQUENCES, .heads = 2,
                                            .key_width = WIDTH, .capacity = 40, .page_rows = 16,
                                            .dtype = CLATTN_I8));
}
END_TEST

/* ---- a layer and its cache ---- */

enum { M = 8, HEADS = 2 };

typedef struct layer_walk {
    clattn_dtype dtype; /* of the cache: f32 is written by the projection, others are appended to */
    bool plan;
    clattn_kv *kv;
    float x[2 * M], w[4][M * M], y[2 * M], want[2 * M];
} layer_walk;

static clattn_tensor of_host(const float *x, int64_t a, int64_t b, int64_t c)
{
    return clattn_tensor_of_host(x, CLATTN_F32, 3, (int64_t[]){ a, b, c });
}

static struct clattn_layer_params layer_params(layer_walk *w)
{
    struct clattn_layer_params p = *clattn_layer_params(
        .x = of_host(w->x, 1, 2, M), .q.w = of_host(w->w[0], HEADS, M / HEADS, M),
        .k.w = of_host(w->w[1], HEADS, M / HEADS, M), .v.w = of_host(w->w[2], HEADS, M / HEADS, M),
        .out.w = of_host(w->w[3], 1, M, M), .kv = w->kv);
    p.out.w = clattn_tensor_of_host(w->w[3], CLATTN_F32, 2, (int64_t[]){ M, M });
    p.out.y = of_host(w->y, 1, 2, M);
    p.attention.causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
    return p;
}

static clattn_status call_layer(void *user)
{
    layer_walk *w = user;
    const struct clattn_layer_params p = layer_params(w);
    clattn_plan *plan;
    memset(w->y, 0xff, sizeof w->y);
    if (!w->plan)
        return clattn_layer(ctx, &p);
    clattn_status s = clattn_plan_layer(ctx, &p, &plan);
    if (s == CLATTN_OK)
        s = clattn_plan_run(plan);
    clattn_plan_destroy(&plan);
    return s;
}

static void make_layer(void *user)
{
    layer_walk *w = user;
    test_rng rng = { suite_seed() };
    for (int i = 0; i < 2 * M; i++)
        w->x[i] = (float)rng_normal(&rng);
    for (int i = 0; i < 4 * M * M; i++)
        w->w[i / (M * M)][i % (M * M)] = (float)rng_normal(&rng);
    OK(ctx, clattn_kv_create(ctx, clattn_kv_params(.sequences = 1, .heads = HEADS,
                                                   .key_width = M / HEADS, .capacity = 20,
                                                   .page_rows = 16, .dtype = w->dtype), &w->kv));
    OK(ctx, call_layer(w));
    cla_plan_cache_free(&ctx->plans);
}

/* The rows of a layer that fails are not in the cache: the second time it goes as the first. */
static void check_layer(void *user, clattn_status status)
{
    layer_walk *w = user;
    ck_assert_int_eq(clattn_kv_length(w->kv, 0), status == CLATTN_OK ? 4 : 2);
    if (status != CLATTN_OK)
        OK(ctx, call_layer(w));
    if (w->want[0] == 0)
        memcpy(w->want, w->y, sizeof w->y);
    ck_assert_mem_eq(w->y, w->want, sizeof w->y);
}

static void free_layer(void *user)
{
    layer_walk *w = user;
    clattn_kv_destroy(&w->kv);
    cla_plan_cache_free(&ctx->plans);
}

START_TEST(layers)
{
    char name[64];
    for (int i = 0; i < 4; i++) {
        layer_walk w = { .dtype = i & 1 ? CLATTN_I8 : CLATTN_F32, .plan = i & 2 };
        make_layer(&w);
        free_layer(&w);
        snprintf(name, sizeof name, "a layer%s, %s cache", w.plan ? " as a plan" : "",
                 clattn_dtype_name(w.dtype));
        fault_walk_run(&(fault_walk){ .name = name, .before = make_layer, .act = call_layer,
                                      .check = check_layer, .after = free_layer, .user = &w });
    }
}
END_TEST

/* ---- compiled programs on disk ---- */

static clattn_status open_only(void *user)
{
    clattn_ctx *own;
    clattn_cache_info *info = user;
    clattn_status s = fault_open(&own);
    if (s == CLATTN_OK)
        s = clattn_ctx_cache(own, info);
    clattn_ctx_destroy(&own);
    return s;
}

static void use_new_folder(void *user)
{
    static int number;
    char path[4200];
    (void)user;
    snprintf(path, sizeof path, "%s/programs-%d", suite_dir(), number++);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    setenv("CLATTN_CACHE_DIR", path, 1);
}

static void use_filled_folder(void *user)
{
    use_new_folder(user);
    OK(NULL, open_only(user));
}

/* Whatever becomes of a file, the next context is as good as any. */
static void check_programs(void *user, clattn_status status)
{
    clattn_cache_info *info = user;
    (void)status;
    OK(NULL, open_only(info));
    ck_assert_int_gt(info->programs_built + info->programs_loaded, 0);
}

START_TEST(programs)
{
    static const char *const entries[] = {
        "clCreateProgramWithSource", "clCreateProgramWithBinary", "clBuildProgram",
        "clCreateKernelsInProgram",  "clGetProgramInfo",
    };
    clattn_cache_info info;
    char name[96];
    if (!cla_binary_is_built_in())
        return;
    setenv("CLATTN_BINARIES", "on", 1);
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        long failed = 0;
        for (int filled = 0; filled < 2; filled++) {
            snprintf(name, sizeof name, "programs, %s folder, %s", filled ? "filled" : "empty",
                     entries[i]);
            failed += fault_walk_run(
                &(fault_walk){ .name = name, .before = filled ? use_filled_folder : use_new_folder,
                               .act = open_only, .check = check_programs, .user = &info,
                               .only = entries[i] });
        }
        ck_assert_msg(failed > 0, "%s is called with no folder", entries[i]);
    }
    unsetenv("CLATTN_BINARIES");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("fault_states");
    TCase *t = tcase_create("fault_states");

    tcase_add_test(t, caches);
    tcase_add_test(t, layers);
    tcase_add_test(t, programs);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    return fault_main(argc, argv, &ctx, suite);
}
