/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases: a folder with case.json and one .npy per tensor. The files are trusted. */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include <clattn/clattn.h>
#include <jansson.h>

enum { MAX_GOLDEN = 64 };

typedef struct golden_array {
    int rank;
    int64_t shape[CLATTN_MAX_RANK];
    size_t count;
    float *values; /* u8 and i32 converted */
} golden_array;

typedef struct golden_case {
    char name[64];
    char path[4096];
    json_t *json;
} golden_case;

typedef struct golden_names {
    int count;
    char name[MAX_GOLDEN][64];
} golden_names;

/*
 * The cases of index.json, in CLATTN_GOLDEN_DIR, whose op is one of ops, as in "projection|rope".
 * Here and below, a file that is missing or malformed ends the program, and so do ops without a
 * case: the checkout is broken.
 */
void golden_find(golden_names *out, const char *ops);

void golden_open(golden_case *c, const char *name);
void golden_close(golden_case *c);

const char *golden_op(const golden_case *c);
bool golden_has(const golden_case *c, const char *tensor);
json_t *golden_param(const golden_case *c, const char *name); /* borrowed; NULL: not given */

/* A tensor; values is NULL when the case has none of this name. Freed with free(values). */
golden_array golden_load(const golden_case *c, const char *tensor);

/* A .npy file that belongs to no case. */
golden_array golden_read(const char *path);

#endif
