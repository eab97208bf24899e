/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the store share: a folder of its own, problems and results that only the
 * dispatcher looks at, and what the log was told.
 */
#ifndef TEST_STORE_CASE_H
#define TEST_STORE_CASE_H

#include "dispatch.h"
#include "suite.h"
#include "tune/store_state.h"

/* The cache folder, the file in it, and the warnings: how many, and the last one. */
extern char store_folder[4200], store_file[4300], store_heard[1024];
extern int store_warnings;

/* Main programs: makes the folder; skips all where there is no SQLite. */
void store_begin(void);

/* Before each test: no file, nothing heard. */
void store_setup(void);
void store_remove(void);

/* A context that uses the folder and tells us its warnings. */
clattn_ctx *store_open(void);

/* Attention of 8 heads, and its bucket. */
cla_attn store_problem(int B, int Nq, int Nk);
cla_bucket store_bucket(clattn_ctx *ctx, const cla_attn *p);

/* ROWS=192 BK=128 SPLIT=...: never the estimate. */
cla_tuned store_result(int split, double time_us);

cla_choice store_choose(clattn_ctx *ctx, const cla_attn *p);
void store_expect(clattn_ctx *ctx, const cla_attn *p, const char *origin);

#endif
