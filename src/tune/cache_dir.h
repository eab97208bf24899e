/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a user's caches: where it is, and whether it may be trusted. */
#ifndef CLA_CACHE_DIR_H
#define CLA_CACHE_DIR_H

#include <stdbool.h>
#include <stddef.h>

enum { CLA_PATH = 1024 };

typedef enum cla_cache_state {
    CLA_CACHE_READY,
    CLA_CACHE_MISSING, /* nothing has been kept yet */
    CLA_CACHE_REFUSED, /* why_not says why */
} cla_cache_state;

typedef struct cla_cache_dir {
    char path[CLA_PATH]; /* "": none of the variables is set */
    char why_not[CLA_PATH + 192];
} cla_cache_dir;

/*
 * CLATTN_CACHE_DIR, else XDG_CACHE_HOME/clattn, else HOME/.cache/clattn; never a shared folder.
 * What lies in it is believed and run, so it must belong to this user and be writable by nobody
 * else. create: makes it, with its parents, for this user alone.
 */
cla_cache_state cla_cache_dir_find(cla_cache_dir *dir, bool create);

/* Goes on to a folder in a folder that is READY; makes it when it is not there. */
cla_cache_state cla_cache_dir_below(cla_cache_dir *dir, const char *name);

/* A regular file of this user that nobody else can write? A missing one gives MISSING. */
cla_cache_state cla_cache_file_check(const char *path, char *why_not, size_t size);

#endif
