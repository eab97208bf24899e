/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled programs from the cache folder, and into it. */
#ifndef CLA_BINARY_H
#define CLA_BINARY_H

#include <clattn/opencl.h>

#include "tune/cache_dir.h"

/* Of a context. On for devices whose drivers may take long and keep nothing; CPU drivers keep what
 * they compile by themselves. CLATTN_BINARIES=on and =off decide otherwise. */
typedef struct cla_binaries {
    bool known, on;
    cla_cache_dir dir;
    const char *note;  /* why they are off */
    int64_t built, loaded;
} cla_binaries;

/* The key of a program; malloc'ed, NULL: binaries are off. second: the options of a second step, ""
 * for most. */
char *cla_binary_key(clattn_ctx *ctx, const char *source, size_t length, const char *options,
                     const char *second);

/* A built program, NULL: there is none, or the driver does not take it any more. */
cl_program cla_binary_load(clattn_ctx *ctx, const char *key, const char *options);
void cla_binary_save(clattn_ctx *ctx, const char *key, cl_program program);

/* What the driver compiled a program to for the device of the context; *bytes is malloc'ed. False:
 * it does not say. */
bool cla_binary_of(const clattn_ctx *ctx, cl_program program, unsigned char **bytes, size_t *size);

#endif
