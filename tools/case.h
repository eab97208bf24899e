/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden cases: a folder with case.json (op, params, names of inputs and outputs, shapes and
 * dtypes) and one .npy per tensor.
 */
#ifndef CASE_H
#define CASE_H

#include <jansson.h>

#include "array.h"

enum { CASE_MAX_TENSORS = 16, CASE_NAME = 128 };

/* A tensor that an operation knows. */
struct case_tensor {
    const char *name;   /* NULL ends a list */
    clattn_dtype dtype; /* CLATTN_NONE: the storage dtype that the user chose */
    bool required;      /* inputs */
};

struct op;

struct golden {
    char name[CASE_NAME]; /* the folder's */
    char op_name[64];
    const struct op *op;                   /* NULL: not supported */
    clattn_dtype dtype;                    /* how tensors of dtype NONE are stored */
    json_t *params;                        /* the op reads and checks them */
    struct array input[CASE_MAX_TENSORS];  /* by the op's list; dtype NONE: not given */
    struct array output[CASE_MAX_TENSORS]; /* expected values; loaded on request */
    bool wanted[CASE_MAX_TENSORS];         /* outputs that the case names */
    json_t *json;
};

/*
 * Loads a case. An op that is not supported is an error, or with skip_unknown a case without
 * tensors. On failure nothing is held, and only the name may be set.
 */
int case_load(struct golden *c, const char *folder, bool with_outputs, bool skip_unknown);
void case_free(struct golden *c);

/* The folders that CASE names: itself, or the entries of its index.json. */
struct case_list {
    bool indexed;
    size_t n;
    char **folder;
};
int case_list(struct case_list *list, const char *path);
void case_list_free(struct case_list *list);

#endif
