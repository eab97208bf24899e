/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output files that appear all together or not at all: everything is written to temporary files
 * beside the targets, then renamed.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "array.h"

enum { MAX_OUTPUTS = 8 };

struct outputs {
    int n;
    struct output {
        char *path;   /* symbolic links resolved: a rename must not replace the link */
        char *temp;   /* NULL: nothing written yet */
        bool special; /* a device or a pipe: written in place */
    } file[MAX_OUTPUTS];
};

/*
 * Announces an output and checks what can be checked before the work: the directory exists and can
 * be written, the target is no directory, no other output has the same path. Returns EXIT_OK or
 * fail(EXIT_INPUT).
 */
int outputs_add(struct outputs *set, const char *path);

/* Refuses an input that one of the outputs would replace. */
int outputs_keep(const struct outputs *set, const char *input);

/* Writes arrays[i] to output i, all or none; f32 and i32. */
int outputs_write(struct outputs *set, const struct array *const *arrays);

/* The same for a set of one output, with any bytes. */
int outputs_write_bytes(struct outputs *set, const void *data, size_t size);

void outputs_free(struct outputs *set);

/* Makes a directory and its parents. *made counts the new ones, so that they can be taken back. */
int make_dirs(const char *path, int *made);

/* Removes the last directory of the path and its parents, as many as made says, if empty. */
void unmake_dirs(const char *path, int made);

#endif
