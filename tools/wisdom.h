/* SPDX-License-Identifier: Apache-2.0 */
/* Tuning results as JSON: files that move them from machine to machine. */
#ifndef WISDOM_H
#define WISDOM_H

#include <clattn/tuning.h>
#include <jansson.h>

enum { MAX_WISDOM_FILES = 64 };

/* Results of several files, or of the store. Texts belong to the documents or to the store. */
struct wisdom {
    struct wisdom_entry {
        clattn_result result;
        int file;
    } *entry;
    size_t n, room;
    json_t *document[MAX_WISDOM_FILES];
    int files;
    size_t refused;       /* entries that are no results */
    const char *why;      /* why the first one is none */
};

/* Adds the results of a file. What is no result is left out and counted. EXIT_OK or fail(). */
int wisdom_load(struct wisdom *w, const char *path);

/* Adds what the store holds; it must stay open. */
int wisdom_take(struct wisdom *w, const clattn_results *store);

/*
 * Of several searches for the same bucket of the same device and driver keeps the one that took
 * the most trouble, of equal ones the one with the fastest winner. Sorts.
 */
void wisdom_merge(struct wisdom *w);

/* The whole as JSON, to be freed. */
json_t *wisdom_json(const struct wisdom *w);

void wisdom_free(struct wisdom *w);

#endif
