/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weights of a model folder: model.safetensors, or several files that
 * model.safetensors.index.json names. Nothing in them is trusted: no file outside the folder is
 * opened, and a tensor is taken from the one file that the index names.
 */
#ifndef CLM_WEIGHTS_H
#define CLM_WEIGHTS_H

#include "safetensors.h"

typedef struct clm_weights {
    const char *name; /* of the file that says which tensors there are */
    size_t num_files, count;
    clm_safetensors *files;
    const clm_stored **tensors; /* by name */
} clm_weights;

/* Close it in any case. */
bool clm_weights_open(const char *dir, clm_weights *out, clm_fault *f);

/* Takes zeroed structs. */
void clm_weights_close(clm_weights *w);

/* NULL: there is no such tensor. */
const clm_stored *clm_weights_find(const clm_weights *w, const char *name);

#endif
