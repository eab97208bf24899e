/* SPDX-License-Identifier: Apache-2.0 */
/* Writes .npy files through temporary files and renames. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "npy.h"

/* Length of the directory part, slash included; 0 for a plain name. */
static int dir_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (int)(slash - path) + 1 : 0;
}

/* The path without symbolic links: of the file if it exists, else of its directory. */
static char *resolve(const char *path)
{
    char dir[PATH_MAX], *out = realpath(path, NULL), *base;
    const int n = dir_length(path);

    if (out || errno != ENOENT || snprintf(dir, sizeof dir, "%.*s.", n, path) >= PATH_MAX)
        return out;
    base = realpath(dir, NULL);
    if (!base)
        return NULL;
    const size_t size = strlen(base) + strlen(path + n) + 2;
    out = malloc(size);
    if (out)
        snprintf(out, size, "%s%s%s", base, strcmp(base, "/") ? "/" : "", path + n);
    free(base);
    return out;
}

int outputs_add(struct outputs *set, const char *path)
{
    struct output *f = &set->file[set->n];
    struct stat st;
    char dir[PATH_MAX];

    *f = (struct output){ 0 };
    if (!*path || path[strlen(path) - 1] == '/')
        return fail(EXIT_INPUT, "cannot write '%s': that is not the name of a file", path);
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return fail(EXIT_INPUT, "cannot write %s: it is a directory", path);
        f->special = !S_ISREG(st.st_mode);
    }
    f->path = f->special ? strdup(path) : resolve(path);
    if (!f->path)
        return fail(EXIT_INPUT, "cannot write %s: %s", path, strerror(errno));
    set->n++;
    for (int i = 0; i + 1 < set->n; i++) {
        if (strcmp(set->file[i].path, f->path) == 0)
            return fail(EXIT_INPUT, "two outputs have the same path %s", path);
    }
    snprintf(dir, sizeof dir, "%.*s", dir_length(f->path), f->path);
    if (access(f->special ? path : dir, W_OK) != 0)
        return fail(EXIT_INPUT, "cannot write %s: %s", path, strerror(errno));
    return EXIT_OK;
}

int outputs_keep(const struct outputs *set, const char *input)
{
    struct stat in, out;

    if (stat(input, &in) != 0)
        return EXIT_OK; /* opening it will say why */
    for (int i = 0; i < set->n; i++) {
        if (stat(set->file[i].path, &out) == 0 && in.st_dev == out.st_dev
            && in.st_ino == out.st_ino)
            return fail(EXIT_INPUT, "the output %s would overwrite the input %s", set->file[i].path,
                        input);
    }
    return EXIT_OK;
}

static bool write_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* mkstemp() makes private files; outputs get the mode that open() would have given. */
static int open_target(struct output *f)
{
    if (f->special)
        return open(f->path, O_WRONLY | O_CLOEXEC);
    const int n = dir_length(f->path);
    const size_t size = (size_t)n + sizeof ".clattn-XXXXXX";
    f->temp = malloc(size);
    if (!f->temp)
        return -1;
    snprintf(f->temp, size, "%.*s.clattn-XXXXXX", n, f->path);
    const int fd = mkstemp(f->temp);
    if (fd < 0) {
        free(f->temp);
        f->temp = NULL;
        return -1;
    }
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
    return fd;
}

static int write_parts(struct output *f, const void *header, size_t header_size, const void *data,
                       size_t size)
{
    const int fd = open_target(f);

    if (fd < 0)
        return fail(EXIT_INPUT, "cannot write %s: %s", f->path, strerror(errno));
    bool ok = write_all(fd, header, header_size) && write_all(fd, data, size);
    const int why = errno;
    if (close(fd) != 0 && ok)
        return fail(EXIT_INPUT, "cannot write %s: %s", f->path, strerror(errno));
    return ok ? EXIT_OK : fail(EXIT_INPUT, "cannot write %s: %s", f->path, strerror(why));
}

static int write_one(struct output *f, const struct array *a)
{
    char header[NPY_WRITE_HEADER];
    const enum npy_type type = a->dtype == CLATTN_I32 ? NPY_I4 : NPY_F4;
    const size_t n = npy_write_header(type, a->rank, a->shape, header);

    return write_parts(f, header, n, a->data, a->count * npy_item_size(type));
}

static int publish(struct output *f)
{
    if (f->special)
        return EXIT_OK;
    if (rename(f->temp, f->path) != 0)
        return fail(EXIT_INPUT, "cannot write %s: %s", f->path, strerror(errno));
    free(f->temp);
    f->temp = NULL;
    return EXIT_OK;
}

/* Special files last: nothing can be taken back from them. */
int outputs_write(struct outputs *set, const struct array *const *arrays)
{
    for (int special = 0; special < 2; special++) {
        for (int i = 0; i < set->n; i++) {
            if (set->file[i].special != special)
                continue;
            const int code = write_one(&set->file[i], arrays[i]);
            if (code != EXIT_OK)
                return code;
        }
    }
    for (int i = 0; i < set->n; i++) {
        const int code = publish(&set->file[i]);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

int outputs_write_bytes(struct outputs *set, const void *data, size_t size)
{
    const int code = write_parts(&set->file[0], NULL, 0, data, size);

    return code == EXIT_OK ? publish(&set->file[0]) : code;
}

void outputs_free(struct outputs *set)
{
    for (int i = 0; i < set->n; i++) {
        struct output *f = &set->file[i];
        if (f->temp)
            unlink(f->temp);
        free(f->temp);
        free(f->path);
    }
    *set = (struct outputs){ 0 };
}

/* Cuts the last component off; false at the top. */
static bool cut_last(char *path)
{
    char *slash = strrchr(path, '/');

    while (slash && slash > path && slash[-1] == '/')
        slash--;
    if (!slash || slash == path)
        return false;
    *slash = 0;
    return true;
}

void unmake_dirs(const char *path, int made)
{
    char part[PATH_MAX];

    snprintf(part, sizeof part, "%s", path);
    while (made-- > 0 && rmdir(part) == 0 && cut_last(part)) {
    }
}

int make_dirs(const char *path, int *made)
{
    char part[PATH_MAX];

    *made = 0;
    for (size_t n = 1; n <= strlen(path); n++) {
        if (path[n] ? path[n] != '/' || path[n - 1] == '/' : path[n - 1] == '/')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        if (mkdir(part, 0777) == 0) {
            (*made)++;
        } else if (errno != EEXIST) {
            const int code =
                fail(EXIT_INPUT, "cannot make the directory %s: %s", part, strerror(errno));
            if (cut_last(part))
                unmake_dirs(part, *made);
            *made = 0;
            return code;
        }
    }
    return EXIT_OK;
}
