/* SPDX-License-Identifier: Apache-2.0 */
/* An operation from .npy files to .npy files: what the subcommands of operations share. */
#ifndef FILES_H
#define FILES_H

#include "options.h"
#include "output.h"
#include "work.h"

enum { FILES_MAX_INPUTS = 8, FILES_MAX_OUTPUTS = 4 };

struct file_input {
    const char *path;    /* NULL: not given */
    struct array *array; /* where it is loaded */
    clattn_dtype dtype;
    int rank; /* leading axes of length 1 are added up to it; 0: it stays as it is */
};

struct file_output {
    const char *path;
    struct array *array;
};

/* A subcommand sets what stands above the line, and parses its options into common and the paths.
 */
struct file_job {
    const char *op;
    int arguments;     /* inputs that are given without an option, the first ones */
    const char *needs; /* what they are: "Q.npy, K.npy and V.npy" */
    const char *makes; /* the first output: "O.npy" */
    struct file_input in[FILES_MAX_INPUTS + 1];    /* ends with an array of NULL */
    struct file_output out[FILES_MAX_OUTPUTS + 1]; /* likewise; the first one is always written */
    struct common common;

    /* Checks what was loaded, makes the output arrays, and sets what stands below the line. */
    int (*prepare)(struct file_job *f);
    int (*open)(struct file_job *f, struct work *w, struct session *s);
    void *state; /* the subcommand's */

    /* ---- */

    int lacking;                 /* leading axes that the outputs lose when they are written */
    char shape[160], flags[160]; /* for the report */
};

/*
 * Parses, loads, runs, writes all outputs or none, reports. Returns an exit code; the arrays are
 * left to the caller to free.
 */
int files_main(struct file_job *f, const struct usage *usage, const struct option_spec *specs,
               int argc, char **argv);

#endif
