/* SPDX-License-Identifier: Apache-2.0 */
#include "model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

char *clm_path(const char *dir, const char *name)
{
    const size_t size = strlen(dir) + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", dir, name);
    return path;
}

bool clm_has_file(const char *dir, const char *name)
{
    char *path = clm_path(dir, name);
    const bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

static bool map_file(int fd, const char *path, const void **bytes, size_t *size, clm_fault *f)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return clm_fail(f, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return clm_fail(f, "%s is not a file", path);
    if (st.st_size == 0)
        return clm_fail(f, "%s is empty", path);
    if ((uintmax_t)st.st_size > SIZE_MAX)
        return clm_fail(f, "%s has %lld bytes, too many for this machine", path,
                        (long long)st.st_size);
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return clm_fail(f, "%s: %s", path, strerror(errno));
    *bytes = at;
    *size = (size_t)st.st_size;
    return true;
}

bool clm_map(const char *path, const void **bytes, size_t *size, clm_fault *f)
{
    *bytes = NULL;
    *size = 0;
    /* O_NONBLOCK: a pipe of that name must not make this wait for its other end. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return clm_fail(f, "cannot read %s: %s", path, strerror(errno));
    const bool ok = map_file(fd, path, bytes, size, f);
    close(fd);
    return ok;
}

void clm_unmap(const void *bytes, size_t size)
{
    if (bytes)
        munmap((void *)bytes, size);
}

bool clm_parse_json(const char *what, const void *bytes, size_t size, json_t **out, clm_fault *f)
{
    json_error_t error;
    *out = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error);
    if (!*out)
        return clm_fail(f, "%s: %s (line %d)", what, error.text, error.line);
    if (json_is_object(*out))
        return true;
    json_decref(*out);
    *out = NULL;
    return clm_fail(f, "%s is not a JSON object", what);
}

bool clm_read_json(const char *dir, const char *name, json_t **out, clm_fault *f)
{
    const void *bytes;
    size_t size;
    *out = NULL;
    char *path = clm_path(dir, name);
    if (!path)
        return clm_out_of_memory(f);
    bool ok = clm_map(path, &bytes, &size, f);
    if (ok) {
        ok = clm_parse_json(path, bytes, size, out, f);
        clm_unmap(bytes, size);
    }
    free(path);
    return ok;
}
