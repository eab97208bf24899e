/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled programs in files: a second process compiles nothing, and whatever is done to the files,
 * it computes the same. Each process is this program once more, with the folder as its argument.
 */
#define _XOPEN_SOURCE 700
#include <clattn/tuning.h>
#include <dirent.h>
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

#include "attention_case.h"
#include "compare.h"
#include "opencl/binary_file.h"
#include "suite.h"

static const attn_spec spec = { .name = "binaries", .B = 1, .Hq = 2, .Hk = 1, .Nq = 3, .Nk = 600,
                                .D = 16, .Dv = 16, .lse = true };
static const char *program;
static char folder[4200];

/* One attention, checked, then "COUNTS built loaded". */
START_TEST(child)
{
    clattn_cache_info info;
    attn_data *data = attn_data_make(&spec, 1);
    attn_run run;
    clattn_ctx *ctx;
    ck_assert_int_eq(clattn_ctx_create(NULL, &ctx), CLATTN_OK);
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_attention(ctx, &run.params));
    OK(ctx, clattn_ctx_cache(ctx, &info));
    compare_label("in a process of its own");
    attn_run_check(&run);
    printf("COUNTS %ld %ld %s\n", (long)info.programs_built, (long)info.programs_loaded,
           info.binaries_note);
    attn_run_free(&run);
    attn_data_free(data);
    clattn_ctx_destroy(&ctx);
}
END_TEST

typedef struct counts {
    long built, loaded;
    char note[512];
} counts;

static counts run_child(void)
{
    char command[8800], line[1024];
    counts c = { -1, -1, "" };
    snprintf(command, sizeof command, "'%s' '%s'", program, getenv("CLATTN_CACHE_DIR"));
    FILE *f = popen(command, "r");
    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "COUNTS %ld %ld %511[^\n]", &c.built, &c.loaded, c.note) < 2)
            continue;
    const int status = pclose(f);
    ck_assert_msg(status == 0 && c.built >= 0, "the process ended with 0x%x", (unsigned)status);
    return c;
}

/* The paths of the files; returns how many. */
static int list_files(char (*paths)[4600], int max)
{
    int n = 0;
    char name[4300];
    snprintf(name, sizeof name, "%s/bin", folder);
    DIR *dir = opendir(name);
    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir)) && n < max;)
        if (e->d_name[0] != '.')
            snprintf(paths[n++], sizeof *paths, "%s/%s", name, e->d_name);
    closedir(dir);
    return n;
}

static void each_setup(void)
{
    char paths[64][4600];
    setenv("CLATTN_BINARIES", "on", 1);
    setenv("CLATTN_CACHE_DIR", folder, 1);
    for (int i = list_files(paths, 64); i-- > 0;)
        unlink(paths[i]);
}

START_TEST(second_process)
{
    const counts first = run_child(), second = run_child();
    ck_assert(first.built > 0 && first.loaded == 0);
    ck_assert_int_eq(second.built, 0);
    ck_assert_int_eq(second.loaded, first.built);
    setenv("CLATTN_BINARIES", "off", 1);
    const counts off = run_child();
    ck_assert(off.built == first.built && off.loaded == 0 && off.note[0]);
}
END_TEST

/* Cut or bent anywhere, a file is found out before the driver sees it, and replaced. */
START_TEST(damaged_files)
{
    char paths[64][4600];
    const counts first = run_child();
    const int n = list_files(paths, 64);
    ck_assert_int_eq(n, first.built);
    ck_assert_int_ge(n, 3); /* kinds of damage */
    for (int i = 0; i < n; i++) {
        struct stat st;
        ck_assert(stat(paths[i], &st) == 0 && (st.st_mode & 0777) == 0600);
        if (i % 3 == 0) {
            ck_assert_int_eq(truncate(paths[i], i % 2 ? 0 : st.st_size - 1), 0);
            continue;
        }
        FILE *f = fopen(paths[i], "r+b");
        ck_assert(f != NULL);
        fseek(f, i % 3 == 1 ? st.st_size / 2 : 9, SEEK_SET);
        const int byte = fgetc(f);
        fseek(f, -1, SEEK_CUR);
        fputc(byte ^ 4, f);
        fclose(f);
    }
    const counts second = run_child(), third = run_child();
    ck_assert(second.built == n && second.loaded == 0);
    ck_assert(third.built == 0 && third.loaded == n);
}
END_TEST

/* A file under another name is of another key. */
START_TEST(swapped_files)
{
    char paths[64][4600];
    const counts first = run_child();
    const int n = list_files(paths, 64);
    ck_assert_int_ge(n, 2);
    ck_assert_int_eq(rename(paths[0], paths[1]), 0);
    const counts second = run_child();
    ck_assert_int_eq(second.built, 2);
    ck_assert_int_eq(second.loaded, first.built - 2);
}
END_TEST

START_TEST(bad_folders)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/bin", folder);
    run_child();
    ck_assert_int_eq(chmod(path, 0777), 0);
    const counts open = run_child();
    ck_assert_int_eq(chmod(path, 0700), 0);
    ck_assert(open.built > 0 && open.loaded == 0 && strstr(open.note, "others"));
    setenv("CLATTN_CACHE_DIR", "/dev/null", 1);
    const counts none = run_child();
    ck_assert(none.built > 0 && none.note[0]);
}
END_TEST

/* As on a full disk: false, and nothing is left lying about. */
START_TEST(full_disk)
{
    static unsigned char bytes[100000];
    char paths[64][4600], path[4400];
    int status;
    snprintf(path, sizeof path, "%s/bin", folder);
    const int before = list_files(paths, 64);
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        const struct rlimit limit = { 4096, 4096 };
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(cla_binary_write(path, "key", bytes, sizeof bytes));
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(list_files(paths, 64), before);
}
END_TEST

/* Above 512 MiB the file that was not used for longest goes. */
START_TEST(room)
{
    char paths[64][4600], path[4700], bin[4400];
    unsigned char *bytes = NULL;
    size_t size;
    snprintf(bin, sizeof bin, "%s/bin", folder);
    for (int i = 0; i < 3; i++) {
        const struct timespec times[2] = { { 0, UTIME_OMIT }, { 1000 - i, 0 } };
        snprintf(path, sizeof path, "%s/%064x.bin", bin, i);
        FILE *f = fopen(path, "wb");
        ck_assert(f != NULL && ftruncate(fileno(f), 200 << 20) == 0);
        fclose(f);
        ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    ck_assert(cla_binary_write(bin, "key", (const unsigned char *)"abc", 3));
    ck_assert_int_eq(list_files(paths, 64), 3);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert(cla_binary_read(bin, "key", &bytes, &size));
    ck_assert(size == 3 && memcmp(bytes, "abc", 3) == 0);
    free(bytes);
    ck_assert(!cla_binary_read(bin, "another", &bytes, &size));
    ck_assert(!cla_binary_write(bin, "key", bytes, 0));
}
END_TEST

static Suite *suite(bool in_child)
{
    Suite *s = suite_create("binaries");
    TCase *t = tcase_create("binaries");

    suite_add_tcase(s, t);
    if (in_child) {
        tcase_add_test(t, child);
        return s;
    }
    tcase_add_checked_fixture(t, each_setup, NULL);
    tcase_add_test(t, second_process);
    tcase_add_test(t, damaged_files);
    tcase_add_test(t, swapped_files);
    tcase_add_test(t, bad_folders);
    tcase_add_test(t, full_disk);
    tcase_add_test(t, room);
    return s;
}

int main(int argc, char **argv)
{
    suite_begin();
    program = argv[0];
    if (argc > 1) {
        setenv("CLATTN_CACHE_DIR", argv[1], 1);
        return suite_run(suite(true));
    }
    if (!cla_binary_is_built_in())
        suite_skip_all("built without libmd");
    suite_need_device();
    if (suite_is_native())
        suite_skip_all("the native CPU compiles nothing");
    snprintf(folder, sizeof folder, "%s/programs", suite_dir());
    if (mkdir(folder, 0700))
        return 1;
    return suite_run(suite(false));
}
