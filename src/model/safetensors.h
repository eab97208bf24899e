/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The safetensors format: 8 bytes length, a JSON header, then the tensors back to back. Nothing in
 * a file is trusted: every tensor that is handed out lies inside it, with the size that its shape
 * says.
 */
#ifndef CLM_SAFETENSORS_H
#define CLM_SAFETENSORS_H

#include "fault.h"

typedef struct clm_stored {
    char *name;
    clattn_dtype dtype; /* CLATTN_NONE: of a type that clattn does not compute with */
    int rank;
    int64_t shape[CLATTN_MAX_RANK];
    size_t begin, bytes; /* within the data */
    const void *data;    /* may be misaligned */
} clm_stored;

typedef struct clm_safetensors {
    size_t count;
    clm_stored *tensors; /* by name */
    const void *mapped;  /* NULL: the bytes are the caller's */
    size_t mapped_size;
} clm_safetensors;

/* Maps and parses a file. Close it in any case. */
bool clm_safetensors_open(const char *path, clm_safetensors *out, clm_fault *f);

/* Parses bytes that stay the caller's and must outlive out. what: named in sentences. */
bool clm_safetensors_parse(const char *what, const void *bytes, size_t size, clm_safetensors *out,
                           clm_fault *f);

/* Takes zeroed structs. */
void clm_safetensors_close(clm_safetensors *s);

/* NULL: there is no such tensor. */
const clm_stored *clm_safetensors_find(const clm_safetensors *s, const char *name);

#endif
