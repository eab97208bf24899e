/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases: a folder with case.json and one .npy per tensor. The files are trusted. */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include <clattn/clattn.h>
#include <jansson.h>

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

/* Names of the cases of index.json, in CLATTN_GOLDEN_DIR; NULL ends the list. */
char **golden_list(void);
void golden_list_free(char **names);

/* Ends the program when a file is missing or malformed: the checkout is broken. */
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
