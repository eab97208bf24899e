/* SPDX-License-Identifier: Apache-2.0 */
/* See fault_walk.h. */
#include "fault_walk.h"

#include <check.h>
#include <clattn/opencl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare.h"
#include "fault_layer.h"
#include "suite.h"

static fault_layer *layer;
static char sentence[1024]; /* of the last error */

/* The layer's state, once the loader has loaded it; NULL: it does not. */
static fault_layer *load(const char *path)
{
    static const char *const own[] = { "FAULT_CALL", "FAULT_AT", "FAULT_STICKY", "FAULT_CODE",
                                       "FAULT_REPORT" };
    cl_uint n;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        unsetenv(own[i]);
    setenv("OPENCL_LAYERS", path, 1);
    clGetPlatformIDs(0, NULL, &n); /* the loader reads the variable now */
    void *handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    return handle ? dlsym(handle, FAULT_LAYER_STATE) : NULL;
}

static void begin(int argc, char **argv)
{
    static const char pocl[] = "/etc/OpenCL/vendors/pocl.icd";
    suite_begin();
    if (argc < 2)
        exit(2);
    /* Other drivers only make the walks longer. */
    if (!getenv("OCL_ICD_VENDORS") && access(pocl, R_OK) == 0)
        setenv("OCL_ICD_VENDORS", pocl, 1);
    layer = load(argv[1]);
    if (!layer)
        suite_skip_all("the OpenCL loader knows no layers");
    suite_need_device();
    if (suite_is_native())
        suite_skip_all("the native CPU makes no OpenCL calls");
}

void fault_log(void *user, clattn_log_level level, const char *line)
{
    (void)user;
    if (level == CLATTN_LOG_ERROR)
        snprintf(sentence, sizeof sentence, "%s", line);
}

clattn_status fault_open(clattn_ctx **ctx)
{
    return clattn_ctx_create(clattn_ctx_params(.log = fault_log), ctx);
}

int fault_main(int argc, char **argv, clattn_ctx **ctx, Suite *(*make)(void))
{
    begin(argc, argv);
    OK(NULL, fault_open(ctx));
    const int failed = suite_run(make());
    clattn_ctx_destroy(ctx);
    return failed;
}

static void arm(const fault_walk *walk, long at, bool sticky)
{
    sentence[0] = '\0';
    layer->calls = layer->fired = 0;
    for (int i = 0; i < FAULT_NAMES; i++)
        layer->hit[i] = NULL;
    layer->only = walk->only;
    layer->sticky = sticky;
    layer->code = sticky ? CL_OUT_OF_HOST_MEMORY : CL_OUT_OF_RESOURCES;
    layer->at = at;
}

static void count_living(long *live)
{
    for (int i = 0; i < FAULT_KINDS; i++)
        live[i] = layer->live[i];
}

static void check_living(const long *before)
{
    static const char *const names[FAULT_KINDS] = { "contexts", "queues", "programs",
                                                    "kernels", "memory objects", "events" };
    long now[FAULT_KINDS];
    count_living(now);
    for (int i = 0; i < FAULT_KINDS; i++)
        ck_assert_msg(now[i] == before[i], "%s: %ld %s are left", compare_label_text(),
                      now[i] - before[i], names[i]);
}

/* Does the sentence name a call that failed? What the deed gets over need not be named. */
static bool names_a_call(void)
{
    for (int i = 0; i < FAULT_NAMES && layer->hit[i]; i++)
        if (strstr(sentence, layer->hit[i]))
            return true;
    return false;
}

/* One run; false when it met no fault. */
static bool run_once(const fault_walk *walk, long at, bool sticky, long *survived)
{
    long before[FAULT_KINDS];
    count_living(before);
    if (walk->before)
        walk->before(walk->user);
    arm(walk, at, sticky);
    const clattn_status status = walk->act(walk->user);
    layer->at = 0;
    const bool fired = layer->fired > 0;
    const char *hit = fired ? layer->hit[0] : "no call";
    compare_label("%s, call %ld (%s) fails%s", walk->name, at, hit, sticky ? " for good" : "");
    ck_assert_msg(fired || status == CLATTN_OK, "%s: %s", compare_label_text(), sentence);
    ck_assert_msg(status == CLATTN_OK || names_a_call(), "%s: the sentence is \"%s\"",
                  compare_label_text(), sentence);
    walk->check(walk->user, status);
    if (walk->after)
        walk->after(walk->user);
    check_living(before);
    *survived += fired && status == CLATTN_OK;
    return fired;
}

static long walk_mode(const fault_walk *walk, bool sticky)
{
    long at = 1, points = 0, survived = 0;
    while (run_once(walk, at, sticky, &survived)) {
        points++;
        at += walk->leaps && at >= 4 ? at : sticky && at >= 8 ? at / 4 : 1;
    }
    ck_assert_msg(points > 0 || walk->only, "%s: no call failed", walk->name);
    printf("# %s: %ld faults%s, %ld reported, %ld survived\n", walk->name, points,
           sticky ? " for good" : "", points - survived, survived);
    return points;
}

long fault_walk_run(const fault_walk *walk)
{
    const long points = walk_mode(walk, false);
    return points + walk_mode(walk, true);
}
