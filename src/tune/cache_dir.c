/* SPDX-License-Identifier: Apache-2.0 */
/* Finding, making and checking the folder of the caches. */
#include "cache_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env.h"

/* A relative path would mean another folder after every chdir(). */
static cla_cache_state locate(cla_cache_dir *dir)
{
    const cla_env env = cla_env_read();
    const char *base = env.cache_dir ? env.cache_dir : env.cache_home ? env.cache_home : env.home;
    const char *name = env.cache_dir    ? "CLATTN_CACHE_DIR"
                     : env.cache_home   ? "XDG_CACHE_HOME"
                                        : "HOME";
    const char *below = env.cache_dir ? "" : env.cache_home ? "/clattn" : "/.cache/clattn";
    dir->path[0] = '\0';
    if (!base) {
        snprintf(dir->why_not, sizeof dir->why_not,
                 "none of CLATTN_CACHE_DIR, XDG_CACHE_HOME and HOME is set");
        return CLA_CACHE_REFUSED;
    }
    if (base[0] != '/') {
        snprintf(dir->why_not, sizeof dir->why_not, "%s is \"%.200s\", must be an absolute path",
                 name, base);
        return CLA_CACHE_REFUSED;
    }
    if ((size_t)snprintf(dir->path, sizeof dir->path, "%s%s", base, below) >= sizeof dir->path) {
        dir->path[0] = '\0';
        snprintf(dir->why_not, sizeof dir->why_not, "%s has more than %d characters", name,
                 CLA_PATH - 16);
        return CLA_CACHE_REFUSED;
    }
    return CLA_CACHE_READY;
}

/* Like mkdir -p, for this user alone. */
static void make_dirs(const char *path)
{
    char part[CLA_PATH];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(part, 0700); /* the last mkdir tells what is wrong */
        *slash = '/';
    }
    mkdir(part, 0700);
}

static cla_cache_state check(const char *path, const struct stat *st, const char *what,
                             char *why_not, size_t size)
{
    if (st->st_uid != geteuid())
        snprintf(why_not, size, "%s %s belongs to user %lu, not to user %lu", what, path,
                 (unsigned long)st->st_uid, (unsigned long)geteuid());
    else if (st->st_mode & (S_IWGRP | S_IWOTH))
        snprintf(why_not, size, "%s %s can be written by others (mode %03o)", what, path,
                 (unsigned)st->st_mode & 0777);
    else
        return CLA_CACHE_READY;
    return CLA_CACHE_REFUSED;
}

cla_cache_state cla_cache_dir_find(cla_cache_dir *dir, bool create)
{
    struct stat st;
    dir->why_not[0] = '\0';
    if (locate(dir) != CLA_CACHE_READY)
        return CLA_CACHE_REFUSED;
    int missing = stat(dir->path, &st);
    if (missing && errno == ENOENT && create) {
        make_dirs(dir->path);
        missing = stat(dir->path, &st);
    }
    if (missing && errno == ENOENT && !create)
        return CLA_CACHE_MISSING;
    if (missing || !S_ISDIR(st.st_mode)) {
        snprintf(dir->why_not, sizeof dir->why_not, "cannot use %s: %s", dir->path,
                 missing ? strerror(errno) : "it is not a directory");
        return CLA_CACHE_REFUSED;
    }
    return check(dir->path, &st, "the cache directory", dir->why_not, sizeof dir->why_not);
}

cla_cache_state cla_cache_dir_below(cla_cache_dir *dir, const char *name)
{
    struct stat st;
    const size_t used = strlen(dir->path);
    if ((size_t)snprintf(dir->path + used, sizeof dir->path - used, "/%s", name)
        >= sizeof dir->path - used) {
        snprintf(dir->why_not, sizeof dir->why_not, "the path of the cache is too long");
        return CLA_CACHE_REFUSED;
    }
    const bool missing = (mkdir(dir->path, 0700) && errno != EEXIST) || lstat(dir->path, &st);
    if (missing || !S_ISDIR(st.st_mode)) {
        snprintf(dir->why_not, sizeof dir->why_not, "cannot use %s: %s", dir->path,
                 missing ? strerror(errno) : "it is not a directory");
        return CLA_CACHE_REFUSED;
    }
    return check(dir->path, &st, "the cache directory", dir->why_not, sizeof dir->why_not);
}

cla_cache_state cla_cache_file_check(const char *path, char *why_not, size_t size)
{
    struct stat st;
    if (lstat(path, &st)) {
        if (errno == ENOENT)
            return CLA_CACHE_MISSING;
        snprintf(why_not, size, "cannot use %s: %s", path, strerror(errno));
        return CLA_CACHE_REFUSED;
    }
    if (!S_ISREG(st.st_mode)) {
        snprintf(why_not, size, "%s is not a regular file", path);
        return CLA_CACHE_REFUSED;
    }
    return check(path, &st, "the file", why_not, size);
}
