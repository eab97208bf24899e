/* SPDX-License-Identifier: Apache-2.0 */
/* Tuning results: buckets, the dispatcher's use of them, and the journal of what is being tried. */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_case.h"

/* In place of the library's: what is shipped has no say in these tests. */
const cla_seed cla_seeds[] = { { NULL, NULL, NULL, NULL, NULL } };

/* ---- buckets ---- */

START_TEST(bucket_texts)
{
    clattn_ctx *ctx = store_open();
    cla_attn p = store_problem(1, 100, 100);
    cla_bucket b, again;
    char text[CLA_BUCKET_TEXT];

    p.causal = CLATTN_CAUSAL_TOP_LEFT;
    b = store_bucket(ctx, &p);
    cla_bucket_text(&b, text, sizeof text);
    ck_assert_str_eq(text, "f32 d64 v64 g1 causal; nq=128 nk=128 fill=32");
    ck_assert(cla_bucket_parse(CLA_STAGE_ATTENTION, text, &again));
    ck_assert(cla_bucket_distance(&b, &again) == 0);
    p.Nk = 400;
    again = store_bucket(ctx, &p);
    ck_assert(cla_bucket_distance(&b, &again) == 2);
    p.D = 32;
    again = store_bucket(ctx, &p);
    ck_assert(cla_bucket_distance(&b, &again) < 0);
    clattn_ctx_destroy(&ctx);
}
END_TEST

START_TEST(bucket_bad_texts)
{
    static const char *const bad[] = {
        "",           "f32",          "f32; ",      "f32; nq",          "f32; nq=",
        "f32; nq=0",  "f32; nq=-1",   "f32; =1",    "f32; nq=1x",       "f32; nq=99999999999",
        "f32; NQ=1",  "f32;nq=1",     "f\n32; a=1", "f32; aaaaaaaaa=1", "f; a=1 b=1 c=1 d=1 e=1",
        "f32; nq=1 ", "f32; nq=1; a", "f32; nq= 1",
    };
    cla_bucket b;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!cla_bucket_parse(CLA_STAGE_ATTENTION, bad[i], &b), "\"%s\"", bad[i]);
}
END_TEST

/* Decoding: neither the batch nor, when ragged, the longest sequence of it may matter. */
START_TEST(bucket_ignores_batch)
{
    clattn_ctx *ctx = store_open();
    cla_attn one = store_problem(1, 1, 777), many = store_problem(64, 1, 777);
    const cla_bucket a = store_bucket(ctx, &one), b = store_bucket(ctx, &many);
    ck_assert(memcmp(&a, &b, sizeof a) == 0);
    one.has_lengths = many.has_lengths = 1;
    one.Tk = many.Tk = 8192;
    many.Nk = 5000;
    const cla_bucket e = store_bucket(ctx, &one), f = store_bucket(ctx, &many);
    ck_assert(memcmp(&e, &f, sizeof e) == 0);
    one.has_lengths = many.has_lengths = 0;
    one.ragged = many.ragged = 1;
    many.Nk = 5000;
    many.Nq = 4;
    const cla_bucket c = store_bucket(ctx, &one), d = store_bucket(ctx, &many);
    ck_assert(memcmp(&c, &d, sizeof c) == 0);
    clattn_ctx_destroy(&ctx);
}
END_TEST

START_TEST(config_texts)
{
    static const char *const bad[] = { "WG=64",
                                       "WG=64 RB=4 SPLIT=1024",
                                       "WG=64 RB=4 SPLIT=257 JOIN=1",
                                       "WG=64 RB=4 RB=4 JOIN=1",
                                       "WG=64 RB=4 SPLIT=1024 JOIN=1 X=1",
                                       "WG=64 RB=4 JOIN=1 SPLIT=1024x",
                                       "WG=64 RB=4 JOIN=1 SPLIT=",
                                       "WG RB SPLIT JOIN",
                                       "-cl-fast-relaxed-math",
                                       "WG=99999999999999999999 RB=4 SPLIT=256 JOIN=1" };
    const cla_kernel *kernel = cla_kernel_find("attn_decode");
    int t[CLA_MAX_TUNABLES];
    ck_assert(cla_config_parse(kernel, "SPLIT=256 RB=8 JOIN=2 WG=128", t));
    ck_assert(t[0] == 128 && t[1] == 8 && t[2] == 256 && t[3] == 2);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!cla_config_parse(kernel, bad[i], t), "\"%s\"", bad[i]);
}
END_TEST

/* ---- the dispatcher ---- */

START_TEST(plan_order)
{
    clattn_ctx *ctx = store_open();
    const cla_attn p = store_problem(1, 512, 512), larger = store_problem(1, 512, 1000),
                   far = store_problem(1, 512, 16000);
    const cla_bucket b = store_bucket(ctx, &p), b2 = store_bucket(ctx, &larger);
    const cla_tuned best[] = { store_result(512, 10), store_result(1024, 11) };
    const cla_tuned other = store_result(2048, 20);

    store_expect(ctx, &p, "estimate");
    ck_assert(cla_store_record(cla_ctx_store(ctx), &b, NULL, best, 2));
    store_expect(ctx, &p, "tuned");
    ck_assert_int_eq(store_choose(ctx, &p).t[2], 512);
    store_expect(ctx, &larger, "near");
    store_expect(ctx, &far, "estimate");
    ck_assert(cla_store_record(cla_ctx_store(ctx), &b2, NULL, &other, 1));
    store_expect(ctx, &larger, "tuned");

    /* Another context finds them in the file; a quarantined winner gives way to the next. */
    clattn_ctx *second = store_open();
    store_expect(second, &p, "tuned");
    ck_assert_int_eq(store_choose(second, &p).t[2], 512);
    ck_assert(cla_store_quarantine(cla_ctx_store(second), best[0].kernel, best[0].t, "wrong"));
    ck_assert_int_eq(store_choose(second, &p).t[2], 1024);
    clattn_ctx_destroy(&second);
    second = store_open();
    ck_assert_int_eq(store_choose(second, &p).t[2], 1024);
    ck_assert(cla_store_quarantined(cla_ctx_store(second), best[0].kernel, best[0].t));
    clattn_ctx_destroy(&second);
    clattn_ctx_destroy(&ctx);
    ck_assert_msg(store_warnings == 0, "%s", store_heard);
}
END_TEST

/* An estimate that has crashed is not chosen again. */
START_TEST(quarantined_estimate)
{
    clattn_ctx *ctx = store_open();
    const cla_attn p = store_problem(1, 512, 512);
    const cla_choice first = store_choose(ctx, &p);
    ck_assert(cla_store_quarantine(cla_ctx_store(ctx), first.kernel, first.t, "crash"));
    const cla_choice second = store_choose(ctx, &p);
    ck_assert(memcmp(first.t, second.t, 3 * sizeof(int)) != 0);
    ck_assert_str_eq(cla_origin_name(second.origin), "safe");
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* What a plan was made of it keeps, whatever is found later. */
START_TEST(plans_stay)
{
    clattn_ctx *ctx = store_open();
    const int64_t shape[] = { 1, 8, 64, 64 };
    float *memory = calloc(4 * 8 * 64 * 64, sizeof *memory);
    clattn_plan *plan, *later;
    clattn_plan_info before, after;
    ck_assert(memory != NULL);
    const struct clattn_attention_params *params = clattn_attention_params(
        .q = clattn_tensor_of_host(memory, CLATTN_F32, 4, shape),
        .k = clattn_tensor_of_host(memory + 32768, CLATTN_F32, 4, shape),
        .v = clattn_tensor_of_host(memory + 65536, CLATTN_F32, 4, shape),
        .o = clattn_tensor_of_host(memory + 98304, CLATTN_F32, 4, shape));
    OK(ctx, clattn_plan_attention(ctx, params, &plan));
    const cla_attn p = store_problem(1, 64, 64);
    const cla_bucket b = store_bucket(ctx, &p);
    const cla_tuned one = store_result(512, 10);
    ck_assert(cla_store_record(cla_ctx_store(ctx), &b, NULL, &one, 1));
    OK(ctx, clattn_plan_attention(ctx, params, &later));
    OK(ctx, clattn_plan_describe(plan, &before));
    OK(ctx, clattn_plan_describe(later, &after));
    ck_assert_str_eq(before.origin, "estimate");
    ck_assert_str_eq(after.origin, "tuned");
    ck_assert_str_eq(after.config, "ROWS=192 BK=128 SPLIT=512");
    clattn_plan_destroy(&plan);
    clattn_plan_destroy(&later);
    clattn_ctx_destroy(&ctx);
    free(memory);
}
END_TEST

/* Between tuned and estimated. */
START_TEST(shipped)
{
    clattn_ctx *ctx = store_open();
    const cla_attn p = store_problem(1, 512, 512);
    const cla_bucket b = store_bucket(ctx, &p);
    const cla_tuned one = store_result(256, 1), better = store_result(512, 1);
    cla_store *store = cla_ctx_store(ctx);
    ck_assert(cla_entries_add(&store->entries, &b, &one, CLA_ENTRY_SHIPPED, false));
    cla_entries_sort(&store->entries);
    store_expect(ctx, &p, "shipped");
    ck_assert_int_eq(store_choose(ctx, &p).t[2], 256);
    ck_assert(cla_store_record(store, &b, NULL, &better, 1));
    store_expect(ctx, &p, "tuned");
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* What is not verified, of a search over one kernel, or of another driver is not "tuned". */
START_TEST(seeds_only)
{
    clattn_ctx *ctx = store_open();
    const cla_attn p = store_problem(1, 512, 512);
    const cla_bucket b = store_bucket(ctx, &p);
    cla_tuned one = store_result(512, 10), found[4], *trials;
    char why[512], text[CLA_BUCKET_TEXT], source[CLA_SOURCE_TEXT];

    one.verified = false;
    ck_assert(cla_store_record(cla_ctx_store(ctx), &b, NULL, &one, 1));
    store_expect(ctx, &p, "estimate");

    cla_bucket_text(&b, text, sizeof text);
    cla_kernel_source_key(one.kernel, source);
    cla_db *db = cla_db_open(store_folder, true, why, sizeof why);
    ck_assert_msg(db != NULL, "%s", why);
    ck_assert(cla_db_clear(db, NULL));
    cla_row row = { .device = cla_store_device(ctx->store)->device, .driver = "older",
                    .kind = cla_store_device(ctx->store)->kind, .stage = "attention",
                    .bucket = text, .kernel = "attn_native", .source = source,
                    .config = "ROWS=192 BK=128 SPLIT=512", .rank = 1, .time_us = 5,
                    .verified = 1 };
    ck_assert(cla_db_put(db, &row));
    row.device = "another one";
    row.config = "ROWS=96 BK=256 SPLIT=512";
    ck_assert(cla_db_put(db, &row));
    row.kernel = "no_such_kernel";
    ck_assert(cla_db_put(db, &row));
    cla_db_close(db);

    cla_store_reload(cla_ctx_store(ctx));
    store_expect(ctx, &p, "estimate");
    ck_assert_int_eq(cla_store_seeds(cla_ctx_store(ctx), &b, found, 4), 2);
    ck_assert(found[0].t[0] == 192 && found[1].t[0] == 96 && !found[0].verified);
    ck_assert_int_eq(cla_store_trials(cla_ctx_store(ctx), &b, &trials), 0);
    free(trials);
    one.verified = true;
    ck_assert(cla_store_add(cla_ctx_store(ctx), &b, &one));
    ck_assert_int_eq(cla_store_trials(cla_ctx_store(ctx), &b, &trials), 1);
    ck_assert(trials[0].rank == 0 && trials[0].t[2] == 512 && trials[0].samples == 9);
    free(trials);
    store_expect(ctx, &p, "estimate");
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* ---- the journal ---- */

/* A process dies while it tries a configuration; the next one looks at what is left of it. */
static int recovered_after_death(const cla_tuned *one)
{
    clattn_ctx *ctx = store_open();
    ck_assert_int_ne(cla_store_trying(cla_ctx_store(ctx), one->kernel, one->t), 0);
    clattn_ctx_destroy(&ctx);
    ctx = store_open();
    const int moved = cla_store_recover(cla_ctx_store(ctx));
    ck_assert_int_eq(cla_store_recover(cla_ctx_store(ctx)), 0);
    ck_assert(cla_store_quarantined(cla_ctx_store(ctx), one->kernel, one->t) == (moved > 0));
    clattn_ctx_destroy(&ctx);
    return moved;
}

START_TEST(killed_once_is_no_crime)
{
    clattn_ctx *ctx = store_open();
    const cla_tuned a = store_result(512, 1), b = store_result(1024, 1);
    const cla_attn p = store_problem(1, 512, 512);
    const cla_bucket bucket = store_bucket(ctx, &p);
    ck_assert(cla_store_record(cla_ctx_store(ctx), &bucket, NULL, &a, 1));
    ck_assert_int_eq(recovered_after_death(&a), 0);
    ck_assert_int_eq(recovered_after_death(&b), 0);
    const int64_t token = cla_store_trying(cla_ctx_store(ctx), b.kernel, b.t);
    ck_assert_int_ne(token, 0);
    cla_store_tried(cla_ctx_store(ctx), token); /* b is well */
    ck_assert_int_eq(recovered_after_death(&b), 0);
    ck_assert_int_eq(recovered_after_death(&a), 1);
    ck_assert_int_eq(recovered_after_death(&b), 1);
    clattn_ctx_destroy(&ctx);
    ctx = store_open();
    store_expect(ctx, &p, "estimate"); /* and the result of a is gone */
    clattn_ctx_destroy(&ctx);
}
END_TEST

static bool read_reason(void *user, const cla_bad_row *row)
{
    snprintf(user, 16, "%s", row->reason);
    return true;
}

START_TEST(machine_died)
{
    clattn_ctx *ctx = store_open();
    const cla_tuned one = store_result(512, 1);
    const char *device = cla_store_device(cla_ctx_store(ctx))->device;
    char why[512], config[64], source[CLA_SOURCE_TEXT], reason[16] = "";
    cla_place place = { "", "an earlier one" };
    gethostname(place.host, sizeof place.host - 1);
    cla_config_text(one.kernel, one.t, config, sizeof config);
    cla_kernel_source_key(one.kernel, source);
    const cla_bad_row row = { device, one.kernel->name, source, config, "", 1 };
    cla_db *db = cla_db_open(store_folder, true, why, sizeof why);
    ck_assert_msg(db != NULL, "%s", why);
    ck_assert_int_ne(cla_db_put_trying(db, &row, &place), 0);
    snprintf(place.host, sizeof place.host, "another machine");
    ck_assert_int_ne(cla_db_put_trying(db, &row, &place), 0);
    ck_assert_int_eq(cla_store_recover(cla_ctx_store(ctx)), 1);
    ck_assert(cla_db_quarantine(db, device, read_reason, reason));
    ck_assert_str_eq(reason, "machine");
    cla_db_close(db);
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* One death of a process at most, so far. */
START_TEST(boot_unknown)
{
    clattn_ctx *ctx = store_open();
    char why[512];
    cla_place place = { "", "" };
    gethostname(place.host, sizeof place.host - 1);
    const cla_bad_row row = { cla_store_device(cla_ctx_store(ctx))->device, "attn_native",
                              "source", "config", "", 1 };
    cla_db *db = cla_db_open(store_folder, true, why, sizeof why);
    ck_assert_msg(db != NULL, "%s", why);
    ck_assert_int_ne(cla_db_put_trying(db, &row, &place), 0);
    ck_assert_int_eq(cla_store_recover(cla_ctx_store(ctx)), 0);
    cla_db_close(db);
    clattn_ctx_destroy(&ctx);
}
END_TEST

START_TEST(one_tuner)
{
    clattn_ctx *ctx = store_open(), *rival = store_open();
    ck_assert(cla_store_lock(cla_ctx_store(ctx)));
    ck_assert(!cla_store_lock(cla_ctx_store(rival)));
    cla_store_unlock(cla_ctx_store(ctx));
    ck_assert(cla_store_lock(cla_ctx_store(rival)));
    clattn_ctx_destroy(&rival);
    clattn_ctx_destroy(&ctx);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");

    tcase_add_checked_fixture(t, store_setup, NULL);
    tcase_add_test(t, bucket_texts);
    tcase_add_test(t, bucket_bad_texts);
    tcase_add_test(t, bucket_ignores_batch);
    tcase_add_test(t, config_texts);
    tcase_add_test(t, plan_order);
    tcase_add_test(t, quarantined_estimate);
    tcase_add_test(t, plans_stay);
    tcase_add_test(t, shipped);
    tcase_add_test(t, seeds_only);
    tcase_add_test(t, killed_once_is_no_crime);
    tcase_add_test(t, machine_died);
    tcase_add_test(t, boot_unknown);
    tcase_add_test(t, one_tuner);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    store_begin();
    return suite_run(suite());
}
