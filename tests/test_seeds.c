/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From results to a table that is compiled in: this program has the one that `clattn wisdom seeds`
 * makes of data/wisdom.json in place of the library's, and no stored results.
 */
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "tune/store_state.h"

static const char config[] = "ROWS=192 BK=256 SPLIT=2048"; /* no estimate */

enum { HEADS = 1024, NQ = 32, NK = 64, D = 8 };

static clattn_ctx *open_ctx(clattn_effort effort)
{
    clattn_ctx *ctx;
    OK(NULL, clattn_ctx_create(clattn_ctx_params(.device = "cpu", .effort = effort), &ctx));
    return ctx;
}

/* A plan for so many query heads of a key head and so many keys, and what it says of itself. */
static clattn_plan_info plan_info(clattn_ctx *ctx, int G, int keys)
{
    static float x[HEADS * NK * 2 * D], o[HEADS * NQ * D];
    const int64_t q[] = { 1, HEADS, NQ, D }, k[] = { 1, HEADS / G, keys, D };
    clattn_plan *plan;
    clattn_plan_info info;
    OK(ctx,
       clattn_plan_attention(
           ctx,
           clattn_attention_params(.q = clattn_tensor_of_host(x, CLATTN_F32, 4, q),
                                   .k = clattn_tensor_of_host(x, CLATTN_F32, 4, k),
                                   .v = clattn_tensor_of_host(x, CLATTN_F32, 4, k),
                                   .o = clattn_tensor_of_host(o, CLATTN_F32, 4, q)),
           &plan));
    OK(ctx, clattn_plan_describe(plan, &info));
    info.config = strcmp(info.config, config) == 0 ? config : "another";
    clattn_plan_destroy(&plan);
    return info;
}

/* One line: the winner of the most thorough search on any device of the kind. */
START_TEST(table)
{
    ck_assert_ptr_nonnull(cla_seeds[0].kind);
    int ours = 0;
    for (const cla_seed *seed = cla_seeds; seed->kind; seed++)
        if (strcmp(seed->kind, "native portable") == 0) {
            ours++;
            ck_assert_str_eq(seed->config, config);
            ck_assert_str_eq(seed->bucket, "f32 d8 v8 g1; nq=32 nk=64 fill=64");
        }
    ck_assert_int_eq(ours, 1);
}
END_TEST

START_TEST(used_without_results)
{
    static const struct {
        int G, keys;
        const char *origin;
    } all[] = {
        { 1, NK, "shipped" },
        { 1, 2 * NK, "shipped" }, /* the nearest */
        { 2, NK, "estimate" },    /* was not verified */
        { 4, NK, "estimate" },    /* of a search over one kernel */
        { 8, NK, "estimate" },    /* of another kind of device */
    };
    clattn_ctx *ctx = open_ctx(CLATTN_EFFORT_ESTIMATE);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const clattn_plan_info info = plan_info(ctx, all[i].G, all[i].keys);
        ck_assert_str_eq(info.origin, all[i].origin);
        ck_assert((info.config == config) == (i < 2));
    }
    clattn_ctx_destroy(&ctx);
    ctx = open_ctx(CLATTN_EFFORT_OFF);
    ck_assert_str_eq(plan_info(ctx, 1, NK).origin, "estimate");
    clattn_ctx_destroy(&ctx);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("seeds");
    TCase *t = tcase_create("seeds");
    tcase_add_test(t, table);
    tcase_add_test(t, used_without_results);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    setenv("CLATTN_ISA", "portable", 1); /* the kind of device that every machine has */
    return suite_run(suite());
}
