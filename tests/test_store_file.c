/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of tuning results, whatever is done to it: damage, folders and files that cannot be
 * used, full disks, many processes, kills.
 */
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

#include "store_case.h"
#include "test_random.h"

/* In place of the library's: what is shipped has no say in these tests. */
const cla_seed cla_seeds[] = { { NULL, NULL, NULL, NULL, NULL } };

/* ---- a file that something was done to ---- */

/* Records, and makes sure that the context works whether or not that reached the disk. */
static bool use_store(void)
{
    clattn_ctx *ctx = store_open();
    const cla_attn p = store_problem(1, 512, 512);
    const cla_bucket b = store_bucket(ctx, &p);
    const cla_tuned one = store_result(512, 10);
    store_choose(ctx, &p);
    const bool kept = cla_store_record(cla_ctx_store(ctx), &b, NULL, &one, 1);
    store_expect(ctx, &p, "tuned");
    clattn_ctx_destroy(&ctx);
    return kept;
}

static long read_file(unsigned char *bytes, size_t size)
{
    FILE *f = fopen(store_file, "rb");
    ck_assert(f != NULL);
    const size_t n = fread(bytes, 1, size, f);
    fclose(f);
    return (long)n;
}

static void write_file(const unsigned char *bytes, long size)
{
    FILE *f = fopen(store_file, "wb");
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
        store_remove();
        write_file(bad, length);
        use_store();
        /* Whatever it was, it is repaired or put aside, and the next one is served. */
        clattn_ctx *ctx = store_open();
        store_choose(ctx, &(cla_attn){ .B = 1,
                                       .Hq = 1,
                                       .Hk = 1,
                                       .G = 1,
                                       .Nq = 64,
                                       .Nk = 64,
                                       .D = 8,
                                       .Dv = 8,
                                       .in_type = CLATTN_F32 });
        clattn_ctx_destroy(&ctx);
    }
    store_remove();
    memset(bad, 'x', 5000);
    write_file(bad, 5000);
    store_warnings = 0;
    ck_assert(use_store());
    ck_assert_msg(store_warnings == 1 && strstr(store_heard, "results.db"), "%d: %s",
                  store_warnings, store_heard);
    store_warnings = 0;
    ck_assert(use_store());
    ck_assert_int_eq(store_warnings, 0);
}
END_TEST

START_TEST(newer_or_alien_file)
{
    static unsigned char bytes[1 << 17];
    ck_assert(use_store());
    const long size = read_file(bytes, sizeof bytes);
    bytes[63] = 99; /* the version of the tables, big endian at offset 60 */
    write_file(bytes, size);
    store_warnings = 0;
    ck_assert(!use_store());
    ck_assert_msg(store_warnings == 1 && strstr(store_heard, "newer"), "%d: %s", store_warnings,
                  store_heard);
    bytes[63] = 1;
    bytes[71] ^= 1; /* the application, at offset 68 */
    write_file(bytes, size);
    ck_assert(!use_store());
    ck_assert_msg(strstr(store_heard, "no file of tuning results") != NULL, "%s", store_heard);
}
END_TEST

/* ---- folders that cannot be used ---- */

enum { NOBODY = 65534 };

/* 0: kept. 1: not kept, and said once. */
static int keep(void)
{
    return use_store() ? 0 : store_warnings == 1 ? 1 : 2;
}

/* Runs it in a child, as another user if root, and returns what it does. */
static int in_child(int (*act)(void), bool unprivileged, rlim_t file_limit)
{
    int status;
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(30);
        if (unprivileged && geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
            _exit(99);
        if (file_limit) {
            const struct rlimit limit = { file_limit, file_limit };
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &limit);
        }
        _exit(act());
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

START_TEST(bad_folders)
{
    char path[4300];
    struct stat st;

    ck_assert_int_eq(in_child(keep, true, 0), geteuid() == 0); /* root's folder, to somebody else */
    ck_assert_int_eq(in_child(keep, false, 8192), 1);          /* as on a full disk */

    snprintf(path, sizeof path, "%s/deep/er", store_folder);
    setenv("CLATTN_CACHE_DIR", path, 1);
    ck_assert(use_store());
    ck_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700);
    ck_assert_int_eq(chmod(path, 0777), 0);
    store_warnings = 0;
    ck_assert(!use_store());
    ck_assert_msg(store_warnings == 1 && strstr(store_heard, "written by others"), "%s",
                  store_heard);

    static const char *const bad[] = { "relative/path", "/dev/null", "/dev/null/x", "/proc/x" };
    for (int i = 0; i < 4; i++) {
        setenv("CLATTN_CACHE_DIR", bad[i], 1);
        store_warnings = 0;
        ck_assert(!use_store());
        ck_assert_msg(store_warnings == 1, "%s: %d warnings", bad[i], store_warnings);
    }
}
END_TEST

/* 0: what is in the file is used; what is found is used too, not kept, and that is said once. */
static int read_and_go_on(void)
{
    clattn_ctx *ctx = store_open();
    const cla_attn known = store_problem(1, 512, 512), p = store_problem(1, 64, 64);
    const cla_bucket b = store_bucket(ctx, &p);
    const cla_tuned one = store_result(1024, 10);
    const bool found = store_choose(ctx, &known).origin == CLA_ORIGIN_TUNED;
    const bool kept = cla_store_record(cla_ctx_store(ctx), &b, NULL, &one, 1)
                      || cla_store_add(cla_ctx_store(ctx), &b, &one);
    const bool used = store_choose(ctx, &p).origin == CLA_ORIGIN_TUNED;
    clattn_ctx_destroy(&ctx);
    return !found ? 1 : kept ? 2 : !used ? 3 : store_warnings == 1 ? 0 : 4;
}

/* A folder or file that may be read and not written, by root neither: it becomes somebody else. */
START_TEST(read_only)
{
    ck_assert(use_store());
    if (geteuid() == 0)
        ck_assert(!chown(store_folder, NOBODY, NOBODY) && !chown(store_file, NOBODY, NOBODY)
                  && !chmod(suite_dir(), 0711));
    ck_assert_int_eq(chmod(store_file, 0400), 0);
    ck_assert_int_eq(in_child(read_and_go_on, true, 0), 0);
    ck_assert_int_eq(chmod(store_file, 0600), 0);
    ck_assert_int_eq(chmod(store_folder, 0500), 0);
    ck_assert_int_eq(in_child(read_and_go_on, true, 0), 0);
    ck_assert_int_eq(chmod(store_folder, 0700), 0);
    if (geteuid() == 0)
        ck_assert(!chown(store_folder, 0, 0) && !chown(store_file, 0, 0)
                  && !chmod(suite_dir(), 0700));
    ck_assert(use_store());
}
END_TEST

/* Another user's file, a link, a folder: neither read nor written. */
START_TEST(foreign_files)
{
    static const char *const says[] = { "belongs to user", "not a regular file",
                                        "not a regular file" };
    char moved[4400];
    struct stat before, after;
    snprintf(moved, sizeof moved, "%s.moved", store_file);
    for (int i = geteuid() == 0 ? 0 : 1; i < 3; i++) {
        store_remove();
        ck_assert(use_store());
        if (i == 0)
            ck_assert_int_eq(chown(store_file, NOBODY, NOBODY), 0);
        else
            ck_assert_int_eq(rename(store_file, moved), 0);
        if (i == 1)
            ck_assert_int_eq(symlink(moved, store_file), 0);
        else if (i == 2)
            ck_assert_int_eq(mkdir(store_file, 0700), 0);
        ck_assert_int_eq(stat(store_file, &before), 0);
        store_warnings = 0;
        ck_assert(!use_store());
        ck_assert_msg(store_warnings == 1 && strstr(store_heard, says[i]), "%d: %s", store_warnings,
                      store_heard);
        ck_assert_int_eq(stat(store_file, &after), 0);
        ck_assert(before.st_ino == after.st_ino && before.st_mtime == after.st_mtime
                  && before.st_size == after.st_size);
        if (i == 2)
            ck_assert_int_eq(rmdir(store_file), 0);
        unlink(moved);
    }
}
END_TEST

enum { MANY_BUCKETS = 40 };

/* 0: all was kept. 1: not all, and said once. */
static int keep_many(void)
{
    clattn_ctx *ctx = store_open();
    bool kept = true;
    for (int i = 0; i < MANY_BUCKETS; i++) {
        const cla_attn p = store_problem(1, 64 << i % 5, 64 << i / 5);
        const cla_bucket b = store_bucket(ctx, &p);
        const cla_tuned some[] = { store_result(512, 10), store_result(1024, 11) };
        kept = cla_store_record(cla_ctx_store(ctx), &b, NULL, some, 2) && kept;
    }
    clattn_ctx_destroy(&ctx);
    return kept ? store_warnings : store_warnings == 1 ? 1 : 2;
}

/* The disk becomes full at one moment after the other: what was there before is there still. */
START_TEST(full_disks)
{
    struct stat st;
    int failures = 0, code;
    rlim_t limit = 4096;
    do {
        store_remove();
        ck_assert(use_store());
        code = in_child(keep_many, false, limit);
        ck_assert_msg(code <= 1, "%d with %ld bytes", code, (long)limit);
        failures += code;
        clattn_ctx *ctx = store_open();
        const cla_attn p = store_problem(1, 512, 512);
        store_expect(ctx, &p, "tuned");
        clattn_ctx_destroy(&ctx);
        ck_assert_msg(store_warnings == 0, "%ld bytes: %s", (long)limit, store_heard);
        ck_assert_int_eq(stat(store_file, &st), 0);
        ck_assert(st.st_size <= (off_t)limit || st.st_size < 32768);
        limit += limit < 32768 ? 4096 : limit / 4;
    } while (code != 0);
    ck_assert_int_gt(failures, 3);
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
    store_warnings = 0;
    ck_assert(!use_store());
    ck_assert_msg(store_warnings == 1 && strstr(store_heard, "HOME"), "%s", store_heard);
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
        clattn_ctx *ctx = store_open();
        const cla_attn p = store_problem(1, 64 << (number % 8), 64 << i % 10);
        const cla_bucket b = store_bucket(ctx, &p);
        const cla_tuned one = store_result(512, 10 + number);
        if (!cla_store_add(cla_ctx_store(ctx), &b, &one)
            || !cla_store_record(cla_ctx_store(ctx), &b, NULL, &one, 1) || store_warnings) {
            printf("# process %d, round %d: %s\n", number, i, store_heard);
            fflush(stdout);
            _exit(1);
        }
        store_choose(ctx, &p);
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
    clattn_ctx *ctx = store_open();
    for (int number = 0; number < PROCESSES; number++)
        for (int i = 0; i < ROUNDS; i++) {
            const cla_attn p = store_problem(1, 64 << (number % 8), 64 << i % 10);
            store_expect(ctx, &p, "tuned");
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
    ck_assert_msg(store_warnings == 0, "%s", store_heard);
}
END_TEST

/* Half of them are killed at any moment: the others go on, and nothing of theirs is lost. */
START_TEST(killed_among_many)
{
    test_rng r = { suite_seed() };
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start_worker(i);
    for (int i = 1; i < PROCESSES; i += 2) {
        const struct timespec pause = { 0, rng_below(&r, 20000000) };
        nanosleep(&pause, NULL);
        kill(pids[i], SIGKILL);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_msg(i % 2 || (WIFEXITED(status) && WEXITSTATUS(status) == 0),
                      "process %d: status 0x%x", i, (unsigned)status);
    }
    clattn_ctx *ctx = store_open();
    for (int i = 0; i < ROUNDS; i++) {
        const cla_attn p = store_problem(1, 64 << i % 4 * 2, 64 << i % 10);
        store_expect(ctx, &p, "tuned");
    }
    clattn_ctx_destroy(&ctx);
    ck_assert_msg(store_warnings == 0, "%s", store_heard);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_file");
    TCase *t = tcase_create("store_file");

    tcase_add_checked_fixture(t, store_setup, NULL);
    tcase_add_test(t, damaged_files);
    tcase_add_test(t, newer_or_alien_file);
    tcase_add_test(t, bad_folders);
    tcase_add_test(t, read_only);
    tcase_add_test(t, foreign_files);
    tcase_add_test(t, full_disks);
    tcase_add_test(t, no_home);
    tcase_add_test(t, many_processes);
    tcase_add_test(t, killed_writers);
    tcase_add_test(t, killed_among_many);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    store_begin();
    return suite_run(suite());
}
