/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a deed through its faults: the first OpenCL call fails, then the second, and so on until
 * a run meets no fault. Once with one failing call; then, in steps that become longer, with all
 * calls after it failing too.
 */
#ifndef TEST_FAULT_WALK_H
#define TEST_FAULT_WALK_H

#include <check.h>

#include <clattn/clattn.h>

typedef struct fault_walk {
    const char *name;
    void (*before)(void *user); /* may be NULL; no faults */
    /* The deed. Contexts it uses log to fault_log(). */
    clattn_status (*act)(void *user);
    /* No faults: results after a success, and what a failure must have left alone. */
    void (*check)(void *user, clattn_status status);
    void (*after)(void *user); /* may be NULL; no faults. Must bring down all that before() made */
    void *user;
    const char *only; /* entry point; NULL: every one */
    bool leaps;       /* for deeds of very many calls: call 4, 8, 16, ... */
} fault_walk;

/*
 * All of main(): loads the layer, argv[1], between the loader and PoCL, and runs the suite with
 * *ctx open. Ends the program with a TAP skip where there are no layers or is no PoCL.
 */
int fault_main(int argc, char **argv, clattn_ctx **ctx, Suite *(*make)(void));

/*
 * Fails the running test unless every run ends well or says so: no objects left, an error sentence
 * that names the entry point that failed, and check() content. Returns how many calls failed: none
 * is wrong, unless it was to be only an entry point that the deed can do without.
 */
long fault_walk_run(const fault_walk *walk);

/* clattn_ctx_params.log of every context in a walk. */
void fault_log(void *user, clattn_log_level level, const char *line);

/* Opens the device under test, which is no native CPU. */
clattn_status fault_open(clattn_ctx **ctx);

#endif
