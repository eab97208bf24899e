/* SPDX-License-Identifier: Apache-2.0 */
/* What every test program does at its beginning and end: environment, device, TAP. */
#ifndef TEST_SUITE_H
#define TEST_SUITE_H

#include <check.h>
#include <clattn/clattn.h>

/*
 * Gives the process a directory of its own for every cache and HOME, removed at exit; reads the
 * seed. Call it first in main(), before anything touches OpenCL.
 */
void suite_begin(void);

/* Prints a TAP skip and ends the program unless the device of CLATTN_DEVICE is there. */
void suite_need_device(void);
void suite_skip_all(const char *reason);

/* Ends the program as failed, outside tests too: what the tests stand on is not there. */
_Noreturn void suite_bail_out(const char *what, const char *why);

/* Runs the suite with TAP output on stdout; returns what main() returns. */
int suite_run(Suite *suite);

/* What most main programs are: begin, need a device, make the suite, run it. */
int suite_main(Suite *(*make)(void));

/* CLATTN_TEST_SEED, else a fixed number. */
uint64_t suite_seed(void);

/* The private directory. */
const char *suite_dir(void);

/* A context on CLATTN_DEVICE, the same for the whole program; freed by suite_run(). */
clattn_ctx *suite_ctx(void);
bool suite_is_native(void);

/* OK, or the running test fails with the status and the sentence of the context. */
#define OK(ctx, call) suite_expect(__FILE__, __LINE__, (ctx), #call, (call), CLATTN_OK)
/* Fails with this status, or the running test does; the sentence must contain all the words. */
#define FAILS(ctx, status, words, call)                                         \
    do {                                                                        \
        suite_expect(__FILE__, __LINE__, (ctx), #call, (call), CLATTN_##status); \
        suite_sentence(__FILE__, __LINE__, (ctx), (words));                     \
    } while (0)

void suite_expect(const char *file, int line, const clattn_ctx *ctx, const char *call,
                  clattn_status got, clattn_status want);
/* words: separated by '|', each must occur in clattn_error(ctx). */
void suite_sentence(const char *file, int line, const clattn_ctx *ctx, const char *words);

#endif
