/* SPDX-License-Identifier: Apache-2.0 */
/* Test programs: private directories, the device under test, TAP. */
#define _XOPEN_SOURCE 700
#include "suite.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[4096];
static pid_t owner;
static uint64_t seed = 20177;
static clattn_ctx *shared_ctx;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_dir(void)
{
    if (getpid() == owner)
        nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void suite_begin(void)
{
    const char *tmp = getenv("TMPDIR"), *text = getenv("CLATTN_TEST_SEED");

    if (text && *text)
        seed = strtoull(text, NULL, 0);
    snprintf(dir, sizeof dir, "%s/clattn-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) {
        perror(dir);
        exit(1);
    }
    owner = getpid();
    atexit(remove_dir);
    /* PoCL's cache is not safe for several processes, and its SIGFPE handler hides our bugs. */
    setenv("POCL_CACHE_DIR", dir, 1);
    setenv("POCL_SIGFPE_HANDLER", "0", 1);
    setenv("XDG_CACHE_HOME", dir, 1);
    setenv("HOME", dir, 1);
    unsetenv("CLATTN_CACHE_DIR");
    printf("# seed %" PRIu64 " (CLATTN_TEST_SEED), device %s\n", seed,
           getenv("CLATTN_DEVICE") ? getenv("CLATTN_DEVICE") : "default");
    fflush(stdout);
}

void suite_skip_all(const char *reason)
{
    printf("1..0 # SKIP %s\n", reason);
    exit(0);
}

void suite_bail_out(const char *what, const char *why)
{
    printf("Bail out! %s: %s\n", what, why);
    exit(1);
}

static void print_log(void *user, clattn_log_level level, const char *line)
{
    (void)user, (void)level;
    printf("# %s\n", line);
}

static clattn_status open_device(clattn_ctx **ctx)
{
    return clattn_ctx_create(clattn_ctx_params(.log = print_log, .log_level = CLATTN_LOG_ERROR),
                             ctx);
}

void suite_need_device(void)
{
    const clattn_status s = open_device(&shared_ctx);
    if (s == CLATTN_ERR_DEVICE)
        suite_skip_all("no such device");
    if (s != CLATTN_OK)
        suite_bail_out("clattn_ctx_create", clattn_status_name(s));
    const clattn_device_info *info = clattn_ctx_device(shared_ctx);
    printf("# %s, %s, %s\n", info->name, info->platform, info->driver);
}

int suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    /* A context must not cross a fork, and neither must most OpenCL drivers. */
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    clattn_ctx_destroy(&shared_ctx);
    return failed != 0;
}

int suite_main(Suite *(*make)(void))
{
    suite_begin();
    suite_need_device();
    return suite_run(make());
}

uint64_t suite_seed(void)
{
    return seed;
}

const char *suite_dir(void)
{
    return dir;
}

clattn_ctx *suite_ctx(void)
{
    if (!shared_ctx)
        ck_assert_int_eq(open_device(&shared_ctx), CLATTN_OK);
    return shared_ctx;
}

bool suite_is_native(void)
{
    return clattn_ctx_device(suite_ctx())->type == CLATTN_DEVICE_NATIVE;
}

void suite_expect(const char *file, int line, const clattn_ctx *ctx, const char *call,
                  clattn_status got, clattn_status want)
{
    if (got != want)
        ck_abort_msg("%s:%d: %.120s: %s, expected %s: %s", file, line, call,
                     clattn_status_name(got), clattn_status_name(want),
                     ctx ? clattn_error(ctx) : "(no context)");
}

void suite_sentence(const char *file, int line, const clattn_ctx *ctx, const char *words)
{
    char copy[512], *rest = NULL;

    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok_r(copy, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        if (!strstr(clattn_error(ctx), word))
            ck_abort_msg("%s:%d: \"%s\" does not say \"%s\"", file, line, clattn_error(ctx), word);
}
