/* SPDX-License-Identifier: Apache-2.0 */
/* Tuning results: buckets, the dispatcher's use of them, and the file, whatever is done to it. */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dispatch.h"
#include "suite.h"
#include "test_random.h"
#include "tune/store_state.h"

/* In place of the library's: what is shipped has no say in these tests. */
const cla_seed cla_seeds[] = { { NULL, NULL, NULL, NULL, NULL } };

static char folder[4200], file[4300];
static char heard[1024];
static int warnings;

static void hear(void *user, clattn_log_level level, const char *line)
{
    (void)user;
    if (level <= CLATTN_LOG_WARN) {
        warnings++;
        snprintf(heard, sizeof heard, "%s", line);
    }
}

static clattn_ctx *open_ctx(void)
{
    clattn_ctx *ctx;
    ck_assert_int_eq(clattn_ctx_create(clattn_ctx_params(.device = "cpu", .num_threads = 2,
                                                         .log = hear,
                                                         .log_level = CLATTN_LOG_WARN),
                                       &ctx),
                     CLATTN_OK);
    return ctx;
}

/* A problem that only the dispatcher looks at. */
static cla_attn problem_of(int B, int Nq, int Nk)
{
    cla_attn p;
    memset(&p, 0, sizeof p);
    p.B = B;
    p.Hq = p.Hk = 8;
    p.G = 1;
    p.Nq = p.Tq = Nq;
    p.Nk = p.Tk = Nk;
    p.D = p.Dv = 64;
    p.in_type = p.out_type = p.bias_type = CLATTN_F32;
    p.left = p.right = CLA_UNBOUNDED;
    return p;
}

static cla_bucket bucket_of(clattn_ctx *ctx, const cla_attn *p)
{
    cla_bucket b;
    cla_bucket_of(&ctx->dev, CLA_STAGE_ATTENTION, p, &b);
    return b;
}

/* ROWS=192 BK=128 SPLIT=...: never the estimate. */
static cla_tuned result_of(int split, double time_us)
{
    return (cla_tuned){ .kernel = cla_kernel_find("attn_native"), .t = { 192, 128, split },
                        .time_us = time_us, .samples = 9, .effort = 2, .verified = true };
}

static cla_choice choose(clattn_ctx *ctx, const cla_attn *p)
{
    static const cla_pin no_pin = { NULL, NULL };
    cla_choice choice;
    OK(ctx, cla_dispatch(ctx, "store", CLA_STAGE_ATTENTION, p, &no_pin, &choice));
    return choice;
}

static void expect_origin(clattn_ctx *ctx, const cla_attn *p, const char *origin)
{
    const cla_choice choice = choose(ctx, p);
    ck_assert_str_eq(cla_origin_name(choice.origin), origin);
}

static void remove_file(void)
{
    char path[4400];
    static const char *const all[] = { "", "-journal", ".damaged" };
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", file, all[i]);
        unlink(path);
    }
}

static void each_setup(void)
{
    setenv("CLATTN_CACHE_DIR", folder, 1);
    remove_file();
    warnings = 0;
    heard[0] = '\0';
}

/* ---- buckets ---- */

START_TEST(bucket_texts)
{
    clattn_ctx *ctx = open_ctx();
    cla_attn p = problem_of(1, 100, 100);
    cla_bucket b, again;
    char text[CLA_BUCKET_TEXT];

    p.causal = CLATTN_CAUSAL_TOP_LEFT;
    b = bucket_of(ctx, &p);
    cla_bucket_text(&b, text, sizeof text);
    ck_assert_str_eq(text, "f32 d64 v64 g1 causal; nq=128 nk=128 fill=32");
    ck_assert(cla_bucket_parse(CLA_STAGE_ATTENTION, text, &again));
    ck_assert(cla_bucket_distance(&b, &again) == 0);
    p.Nk = 400;
    again = bucket_of(ctx, &p);
    ck_assert(cla_bucket_distance(&b, &again) == 2);
    p.D = 32;
    again = bucket_of(ctx, &p);
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
    clattn_ctx *ctx = open_ctx();
    cla_attn one = problem_of(1, 1, 777), many = problem_of(64, 1, 777);
    const cla_bucket a = bucket_of(ctx, &one), b = bucket_of(ctx, &many);
    ck_assert(memcmp(&a, &b, sizeof a) == 0);
    one.has_lengths = many.has_lengths = 1;
    one.Tk = many.Tk = 8192;
    many.Nk = 5000;
    const cla_bucket e = bucket_of(ctx, &one), f = bucket_of(ctx, &many);
    ck_assert(memcmp(&e, &f, sizeof e) == 0);
    one.has_lengths = many.has_lengths = 0;
    one.ragged = many.ragged = 1;
    many.Nk = 5000;
    many.Nq = 4;
    const cla_bucket c = bucket_of(ctx, &one), d = bucket_of(ctx, &many);
    ck_assert(memcmp(&c, &d, sizeof c) == 0);
    clattn_ctx_destroy(&ctx);
}
END_TEST

START_TEST(config_texts)
{
    static const char *const bad[] = { "WG=64",
                                       "WG=64 RB=4 SPLIT=257",
                                       "WG=64 RB=4 RB=4",
                                       "WG=64 RB=4 SPLIT=1024 X=1",
                                       "WG=64 RB=4 SPLIT=1024x",
                                       "WG=64 RB=4 SPLIT=",
                                       "WG RB SPLIT",
                                       "-cl-fast-relaxed-math",
                                       "WG=99999999999999999999 RB=4 SPLIT=256" };
    const cla_kernel *kernel = cla_kernel_find("attn_decode");
    int t[CLA_MAX_TUNABLES];
    ck_assert(cla_config_parse(kernel, "SPLIT=256 RB=8 WG=128", t));
    ck_assert(t[0] == 128 && t[1] == 8 && t[2] == 256);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!cla_config_parse(kernel, bad[i], t), "\"%s\"", bad[i]);
}
END_TEST

/* ---- the dispatcher ---- */

START_TEST(plan_order)
{
    clattn_ctx *ctx = open_ctx();
    const cla_attn p = problem_of(1, 512, 512), larger = problem_of(1, 512, 1000),
                   far = problem_of(1, 512, 16000);
    const cla_bucket b = bucket_of(ctx, &p), b2 = bucket_of(ctx, &larger);
    const cla_tuned best[] = { result_of(512, 10), result_of(1024, 11) };
    const cla_tuned other = result_of(2048, 20);

    expect_origin(ctx, &p, "estimate");
    ck_assert(cla_store_record(cla_ctx_store(ctx), &b, NULL, best, 2));
    expect_origin(ctx, &p, "tuned");
    ck_assert_int_eq(choose(ctx, &p).t[2], 512);
    expect_origin(ctx, &larger, "near");
    expect_origin(ctx, &far, "estimate");
    ck_assert(cla_store_record(cla_ctx_store(ctx), &b2, NULL, &other, 1));
    expect_origin(ctx, &larger, "tuned");

    /* Another context finds them in the file; a quarantined winner gives way to the next. */
    clattn_ctx *second = open_ctx();
    expect_origin(second, &p, "tuned");
    ck_assert_int_eq(choose(second, &p).t[2], 512);
    ck_assert(cla_store_quarantine(cla_ctx_store(second), best[0].kernel, best[0].t, "wrong"));
    ck_assert_int_eq(choose(second, &p).t[2], 1024);
    clattn_ctx_destroy(&second);
    second = open_ctx();
    ck_assert_int_eq(choose(second, &p).t[2], 1024);
    ck_assert(cla_store_quarantined(cla_ctx_store(second), best[0].kernel, best[0].t));
    clattn_ctx_destroy(&second);
    clattn_ctx_destroy(&ctx);
    ck_assert_msg(warnings == 0, "%s", heard);
}
END_TEST

/* An estimate that has crashed is not chosen again. */
START_TEST(quarantined_estimate)
{
    clattn_ctx *ctx = open_ctx();
    const cla_attn p = problem_of(1, 512, 512);
    const cla_choice first = choose(ctx, &p);
    ck_assert(cla_store_quarantine(cla_ctx_store(ctx), first.kernel, first.t, "crash"));
    const cla_choice second = choose(ctx, &p);
    ck_assert(memcmp(first.t, second.t, 3 * sizeof(int)) != 0);
    ck_assert_str_eq(cla_origin_name(second.origin), "safe");
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* What a plan was made of it keeps, whatever is found later. */
START_TEST(plans_stay)
{
    clattn_ctx *ctx = open_ctx();
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
    const cla_attn p = problem_of(1, 64, 64);
    const cla_bucket b = bucket_of(ctx, &p);
    const cla_tuned one = result_of(512, 10);
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
    clattn_ctx *ctx = open_ctx();
    const cla_attn p = problem_of(1, 512, 512);
    const cla_bucket b = bucket_of(ctx, &p);
    const cla_tuned one = result_of(256, 1), better = result_of(512, 1);
    cla_store *store = cla_ctx_store(ctx);
    ck_assert(cla_entries_add(&store->entries, &b, &one, CLA_ENTRY_SHIPPED, false));
    cla_entries_sort(&store->entries);
    expect_origin(ctx, &p, "shipped");
    ck_assert_int_eq(choose(ctx, &p).t[2], 256);
    ck_assert(cla_store_record(store, &b, NULL, &better, 1));
    expect_origin(ctx, &p, "tuned");
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* What is not verified, of a search over one kernel, or of another driver is not "tuned". */
START_TEST(seeds_only)
{
    clattn_ctx *ctx = open_ctx();
    const cla_attn p = problem_of(1, 512, 512);
    const cla_bucket b = bucket_of(ctx, &p);
    cla_tuned one = result_of(512, 10), found[4], *trials;
    char why[512], text[CLA_BUCKET_TEXT], source[CLA_SOURCE_TEXT];

    one.verified = false;
    ck_assert(cla_store_record(cla_ctx_store(ctx), &b, NULL, &one, 1));
    expect_origin(ctx, &p, "estimate");

    cla_bucket_text(&b, text, sizeof text);
    cla_kernel_source_key(one.kernel, source);
    cla_db *db = cla_db_open(folder, true, why, sizeof why);
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
    expect_origin(ctx, &p, "estimate");
    ck_assert_int_eq(cla_store_seeds(cla_ctx_store(ctx), &b, found, 4), 2);
    ck_assert(found[0].t[0] == 192 && found[1].t[0] == 96 && !found[0].verified);
    ck_assert_int_eq(cla_store_trials(cla_ctx_store(ctx), &b, &trials), 0);
    free(trials);
    one.verified = true;
    ck_assert(cla_store_add(cla_ctx_store(ctx), &b, &one));
    ck_assert_int_eq(cla_store_trials(cla_ctx_store(ctx), &b, &trials), 1);
    ck_assert(trials[0].rank == 0 && trials[0].t[2] == 512 && trials[0].samples == 9);
    free(trials);
    expect_origin(ctx, &p, "estimate");
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* ---- the journal ---- */

/* A process dies while it tries a configuration; the next one looks at what is left of it. */
static int recovered_after_death(const cla_tuned *one)
{
    clattn_ctx *ctx = open_ctx();
    ck_assert_int_ne(cla_store_trying(cla_ctx_store(ctx), one->kernel, one->t), 0);
    clattn_ctx_destroy(&ctx);
    ctx = open_ctx();
    const int moved = cla_store_recover(cla_ctx_store(ctx));
    ck_assert_int_eq(cla_store_recover(cla_ctx_store(ctx)), 0);
    ck_assert(cla_store_quarantined(cla_ctx_store(ctx), one->kernel, one->t) == (moved > 0));
    clattn_ctx_destroy(&ctx);
    return moved;
}

START_TEST(killed_once_is_no_crime)
{
    clattn_ctx *ctx = open_ctx();
    const cla_tuned a = result_of(512, 1), b = result_of(1024, 1);
    const cla_attn p = problem_of(1, 512, 512);
    const cla_bucket bucket = bucket_of(ctx, &p);
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
    ctx = open_ctx();
    expect_origin(ctx, &p, "estimate"); /* and the result of a is gone */
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
    clattn_ctx *ctx = open_ctx();
    const cla_tuned one = result_of(512, 1);
    const char *device = cla_store_device(cla_ctx_store(ctx))->device;
    char why[512], config[64], source[CLA_SOURCE_TEXT], reason[16] = "";
    cla_place place = { "", "an earlier one" };
    gethostname(place.host, sizeof place.host - 1);
    cla_config_text(one.kernel, one.t, config, sizeof config);
    cla_kernel_source_key(one.kernel, source);
    const cla_bad_row row = { device, one.kernel->name, source, config, "", 1 };
    cla_db *db = cla_db_open(folder, true, why, sizeof why);
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

START_TEST(one_tuner)
{
    clattn_ctx *ctx = open_ctx(), *rival = open_ctx();
    ck_assert(cla_store_lock(cla_ctx_store(ctx)));
    ck_assert(!cla_store_lock(cla_ctx_store(rival)));
    cla_store_unlock(cla_ctx_store(ctx));
    ck_assert(cla_store_lock(cla_ctx_store(rival)));
    clattn_ctx_destroy(&rival);
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* ---- a file that something was done to ---- */

/* Records, and makes sure that the context works whether or not that reached the disk. */
static bool use_store(void)
{
    clattn_ctx *ctx = open_ctx();
    const cla_attn p = problem_of(1, 512, 512);
    const cla_bucket b = bucket_of(ctx, &p);
    const cla_tuned one = result_of(512, 10);
    choose(ctx, &p);
    const bool kept = cla_store_record(cla_ctx_store(ctx), &b, NULL, &one, 1);
    expect_origin(ctx, &p, "tuned");
    clattn_ctx_destroy(&ctx);
    return kept;
}

static long read_file(unsigned char *bytes, size_t size)
{
    FILE *f = fopen(file, "rb");
    ck_assert(f != NULL);
    const size_t n = fread(bytes, 1, size, f);
    fclose(f);
    return (long)n;
}

static void write_file(const unsigned char *bytes, long size)
{
    FILE *f = fopen(file, "wb");
    ck_assert(f != NULL && fwrite(bytes, 1, (size_t)size, f) == (size_t)size);
    fclose(f);
}

START_TEST(damaged_files)
{
    static unsigned char good[1 << 17], bad[1 << 17];
    test_rng r = { suite_seed() };
    ck_assert(use_store());
    const long size = read_file(good, sizeof good);
    for (int i = 0; i < 60; i++) {
        long length = size;
        memcpy(bad, good, sizeof bad);
        if (i < 20)
            length = rng_below(&r, (int)size);
        else
            for (int k = 0; k < (i < 40 ? 1 : 200); k++)
                bad[rng_below(&r, (int)size)] ^= (unsigned char)(1 << (k % 8));
        remove_file();
        write_file(bad, length);
        use_store();
        /* Whatever it was, it is repaired or put aside, and the next one is served. */
        clattn_ctx *ctx = open_ctx();
        choose(ctx, &(cla_attn){ .B = 1, .Hq = 1, .Hk = 1, .G = 1, .Nq = 64, .Nk = 64, .D = 8,
                                 .Dv = 8, .in_type = CLATTN_F32 });
        clattn_ctx_destroy(&ctx);
    }
    remove_file();
    memset(bad, 'x', 5000);
    write_file(bad, 5000);
    warnings = 0;
    ck_assert(use_store());
    ck_assert_msg(warnings == 1 && strstr(heard, "results.db"), "%d: %s", warnings, heard);
    warnings = 0;
    ck_assert(use_store());
    ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(newer_or_alien_file)
{
    static unsigned char bytes[1 << 17];
    ck_assert(use_store());
    const long size = read_file(bytes, sizeof bytes);
    bytes[63] = 99; /* the version of the tables, big endian at offset 60 */
    write_file(bytes, size);
    warnings = 0;
    ck_assert(!use_store());
    ck_assert_msg(warnings == 1 && strstr(heard, "newer"), "%d: %s", warnings, heard);
    bytes[63] = 1;
    bytes[71] ^= 1; /* the application, at offset 68 */
    write_file(bytes, size);
    ck_assert(!use_store());
    ck_assert_msg(strstr(heard, "no file of tuning results") != NULL, "%s", heard);
}
END_TEST

/* ---- folders that cannot be used ---- */

/* Runs use_store() in a child, as another user if root, and returns whether it was kept. */
static int in_child(bool unprivileged, rlim_t file_limit)
{
    int status;
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(30);
        if (unprivileged && geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(99);
        if (file_limit) {
            const struct rlimit limit = { file_limit, file_limit };
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &limit);
        }
        const bool kept = use_store();
        _exit(kept ? 0 : warnings == 1 ? 1 : 2);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

START_TEST(bad_folders)
{
    char path[4300];
    struct stat st;

    ck_assert_int_eq(in_child(true, 0), geteuid() == 0); /* root's folder, to somebody else */
    ck_assert_int_eq(in_child(false, 8192), 1);          /* as on a full disk */

    snprintf(path, sizeof path, "%s/deep/er", folder);
    setenv("CLATTN_CACHE_DIR", path, 1);
    ck_assert(use_store());
    ck_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700);
    ck_assert_int_eq(chmod(path, 0777), 0);
    warnings = 0;
    ck_assert(!use_store());
    ck_assert_msg(warnings == 1 && strstr(heard, "written by others"), "%s", heard);

    static const char *const bad[] = { "relative/path", "/dev/null", "/dev/null/x", "/proc/x" };
    for (int i = 0; i < 4; i++) {
        setenv("CLATTN_CACHE_DIR", bad[i], 1);
        warnings = 0;
        ck_assert(!use_store());
        ck_assert_msg(warnings == 1, "%s: %d warnings", bad[i], warnings);
    }
}
END_TEST

START_TEST(no_home)
{
    char *home = strdup(getenv("HOME")), *cache = strdup(getenv("XDG_CACHE_HOME"));
    struct stat st;
    char path[4400];

    unsetenv("CLATTN_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    ck_assert(use_store());
    snprintf(path, sizeof path, "%s/.cache/clattn/results.db", home);
    ck_assert_int_eq(stat(path, &st), 0);
    unsetenv("HOME");
    warnings = 0;
    ck_assert(!use_store());
    ck_assert_msg(warnings == 1 && strstr(heard, "HOME"), "%s", heard);
    setenv("HOME", home, 1);
    setenv("XDG_CACHE_HOME", cache, 1);
    free(home);
    free(cache);
}
END_TEST

/* ---- many processes ---- */

enum { PROCESSES = 16, ROUNDS = 12 };

/* Each files its own buckets, and reads what is there meanwhile. */
static void work(int number)
{
    for (int i = 0; i < ROUNDS; i++) {
        clattn_ctx *ctx = open_ctx();
        const cla_attn p = problem_of(1, 64 << (number % 8), 64 << i % 10);
        const cla_bucket b = bucket_of(ctx, &p);
        const cla_tuned one = result_of(512, 10 + number);
        if (!cla_store_add(cla_ctx_store(ctx), &b, &one)
            || !cla_store_record(cla_ctx_store(ctx), &b, NULL, &one, 1) || warnings) {
            printf("# process %d, round %d: %s\n", number, i, heard);
            fflush(stdout);
            _exit(1);
        }
        choose(ctx, &p);
        clattn_ctx_destroy(&ctx);
    }
}

static pid_t start_worker(int number)
{
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(100);
        work(number);
        _exit(0);
    }
    return pid;
}

START_TEST(many_processes)
{
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start_worker(i);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: status 0x%x", i,
                      (unsigned)status);
    }
    clattn_ctx *ctx = open_ctx();
    for (int number = 0; number < PROCESSES; number++)
        for (int i = 0; i < ROUNDS; i++) {
            const cla_attn p = problem_of(1, 64 << (number % 8), 64 << i % 10);
            expect_origin(ctx, &p, "tuned");
        }
    clattn_ctx_destroy(&ctx);
}
END_TEST

/* Killed at any moment: what is there afterwards is sound, and can be written. */
START_TEST(killed_writers)
{
    test_rng r = { suite_seed() };
    for (int i = 0; i < 25; i++) {
        const pid_t pid = start_worker(i);
        const struct timespec pause = { 0, rng_below(&r, 30000000) };
        nanosleep(&pause, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    ck_assert(use_store());
    ck_assert_msg(warnings == 0, "%s", heard);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");

    tcase_add_checked_fixture(t, each_setup, NULL);
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
    tcase_add_test(t, one_tuner);
    tcase_add_test(t, damaged_files);
    tcase_add_test(t, newer_or_alien_file);
    tcase_add_test(t, bad_folders);
    tcase_add_test(t, no_home);
    tcase_add_test(t, many_processes);
    tcase_add_test(t, killed_writers);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    if (!cla_db_is_built_in())
        suite_skip_all("built without SQLite");
    snprintf(folder, sizeof folder, "%s/results", suite_dir());
    snprintf(file, sizeof file, "%s/results.db", folder);
    if (mkdir(folder, 0700))
        return 1;
    return suite_run(suite());
}
