/* SPDX-License-Identifier: Apache-2.0 */
/* See fault_host.h. Built without large-file names, so that each function is what it is called. */
#define _GNU_SOURCE
#include "fault_host.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT fault_host fault_host_state;
static fault_host *const state = &fault_host_state;

/* ---- whose calls count ---- */

enum { MAX_RANGES = 16 };

typedef struct code_range {
    uintptr_t first, last;
} code_range;

static code_range watched[MAX_RANGES];
static int num_watched;

/* The first object is the program. */
static int look_at(struct dl_phdr_info *info, size_t size, void *user)
{
    static const char *const names[] = { "libclattn", "libsqlite3", "libjansson" };
    bool *first = user, wanted = *first;
    (void)size;
    *first = false;
    for (int i = 0; i < 3; i++)
        wanted |= strstr(info->dlpi_name, names[i]) != NULL;
    for (int i = 0; i < info->dlpi_phnum && wanted && num_watched < MAX_RANGES; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        const uintptr_t at = info->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X))
            watched[num_watched++] = (code_range){ at, at + p->p_memsz };
    }
    return 0;
}

static bool counts(const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;
    for (int i = 0; i < num_watched; i++)
        if (at >= watched[i].first && at < watched[i].last)
            return true;
    return false;
}

static bool fails(fault_kind kind, const char *name, const void *caller)
{
    if (state->kind != kind || !counts(caller))
        return false;
    const long call = atomic_fetch_add(&state->calls, 1) + 1;
    if (state->at == 0 || call < state->at || (call > state->at && !state->sticky))
        return false;
    if (atomic_fetch_add(&state->fired, 1) == 0)
        state->hit = name;
    return true;
}
#define FAILS(kind, name) fails((kind), (name), __builtin_return_address(0))

static void report(void)
{
    const char *path = getenv("FAULT_HOST_REPORT");
    state->at = 0;
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f)
        return;
    fprintf(f, "%ld %ld %s\n", (long)state->calls, (long)state->fired,
            state->hit ? state->hit : "-");
    fclose(f);
}

__attribute__((constructor)) static void begin(void)
{
    const char *kind = getenv("FAULT_HOST_KIND"), *at = getenv("FAULT_HOST_AT");
    const char *sticky = getenv("FAULT_HOST_STICKY");
    bool first = true;
    dl_iterate_phdr(look_at, &first);
    atexit(report);
    state->sticky = sticky && strcmp(sticky, "1") == 0;
    state->at = at ? strtol(at, NULL, 10) : 0;
    if (kind)
        state->kind = strcmp(kind, "memory") == 0 ? FAULT_MEMORY : FAULT_FILES;
}

/* ---- memory: dlsym() allocates, so the real ones go by the names that glibc has for them ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

/* Memory of a caller that counts. */
static void *given(void *memory, const void *caller)
{
    if (memory && counts(caller))
        state->live++;
    return memory;
}

static void *refused(void)
{
    errno = ENOMEM;
    return NULL;
}

#define MEMORY_CALL(name, params, real)                                              \
    EXPORT void *name params                                                         \
    {                                                                                \
        return FAILS(FAULT_MEMORY, #name) ? refused()                                \
                                          : given(real, __builtin_return_address(0)); \
    }

MEMORY_CALL(malloc, (size_t size), __libc_malloc(size))
MEMORY_CALL(calloc, (size_t n, size_t size), __libc_calloc(n, size))
MEMORY_CALL(aligned_alloc, (size_t alignment, size_t size), __libc_memalign(alignment, size))

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = FAILS(FAULT_MEMORY, "posix_memalign") ? NULL : __libc_memalign(alignment, size);
    if (memory)
        *out = given(memory, __builtin_return_address(0));
    return memory ? 0 : ENOMEM;
}

EXPORT void *realloc(void *old, size_t size)
{
    if (FAILS(FAULT_MEMORY, "realloc"))
        return refused();
    void *memory = __libc_realloc(old, size);
    return old ? memory : given(memory, __builtin_return_address(0));
}

EXPORT char *strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = FAILS(FAULT_MEMORY, "strdup")
                     ? refused()
                     : given(__libc_malloc(size), __builtin_return_address(0));
    return copy ? memcpy(copy, text, size) : NULL;
}

EXPORT void free(void *memory)
{
    if (memory && counts(__builtin_return_address(0)))
        state->live--;
    __libc_free(memory);
}

/* ---- files ---- */

/* real_name(): the function that this one stands in front of. */
#define FIND(type, name, params)                                 \
    typedef type(*name##_function) params;                       \
    static name##_function real_##name(void)                     \
    {                                                            \
        static name##_function found;                            \
        void *address = found ? NULL : dlsym(RTLD_NEXT, #name);  \
        if (!found)                                              \
            memcpy(&found, &address, sizeof found);              \
        return found;                                            \
    }

/* type name(params): bad with errno set to code, or the real one. */
#define FILE_CALL(type, name, params, args, bad, code)           \
    FIND(type, name, params)                                     \
    EXPORT type name params                                      \
    {                                                            \
        if (FAILS(FAULT_FILES, #name)) {                         \
            errno = (code);                                      \
            return (bad);                                        \
        }                                                        \
        return real_##name() args;                               \
    }

FILE_CALL(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n), -1, EIO)
FILE_CALL(ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at), -1, EIO)
FILE_CALL(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n), -1, ENOSPC)
FILE_CALL(ssize_t, pwrite64, (int fd, const void *from, size_t n, off64_t at), (fd, from, n, at),
          -1, ENOSPC)
FILE_CALL(int, rename, (const char *from, const char *to), (from, to), -1, EACCES)
FILE_CALL(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), -1,
          EACCES)
FILE_CALL(int, fsync, (int fd), (fd), -1, EIO)
FILE_CALL(int, fdatasync, (int fd), (fd), -1, EIO)
FILE_CALL(int, ftruncate64, (int fd, off64_t size), (fd, size), -1, EIO)
FILE_CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), -1, EACCES)
FILE_CALL(int, fstat64, (int fd, struct stat64 *st), (fd, st), -1, EIO)
FILE_CALL(int, stat64, (const char *path, struct stat64 *st), (path, st), -1, EACCES)
FILE_CALL(int, mkstemp64, (char *path), (path), -1, EACCES)
FILE_CALL(DIR *, opendir, (const char *path), (path), NULL, EMFILE)
FILE_CALL(void *, mmap64, (void *at, size_t n, int may, int how, int fd, off64_t first),
          (at, n, may, how, fd, first), MAP_FAILED, ENODEV)
FILE_CALL(FILE *, fopen64, (const char *path, const char *mode), (path, mode), NULL, EMFILE)
FILE_CALL(FILE *, fdopen, (int fd, const char *mode), (fd, mode), NULL, EMFILE)

/* A stream that has failed says so from then on: glibc's bit for ferror(). */
static bool spoiled(FILE *f, bool fails_now)
{
    if (fails_now && f)
        f->_flags |= 0x20;
    return fails_now;
}

#define STREAM_CALL(type, name, params, args, bad, code)         \
    FIND(type, name, params)                                     \
    EXPORT type name params                                      \
    {                                                            \
        if (spoiled(f, FAILS(FAULT_FILES, #name))) {             \
            errno = (code);                                      \
            return (bad);                                        \
        }                                                        \
        return real_##name() args;                               \
    }

STREAM_CALL(size_t, fread, (void *to, size_t size, size_t n, FILE *f), (to, size, n, f), 0, EIO)
STREAM_CALL(size_t, fwrite, (const void *from, size_t size, size_t n, FILE *f), (from, size, n, f),
            0, ENOSPC)
STREAM_CALL(int, fflush, (FILE *f), (f), EOF, ENOSPC)

/* What is given back is given back all the same. */
FIND(int, fclose, (FILE *f))
EXPORT int fclose(FILE *f)
{
    const bool failed = FAILS(FAULT_FILES, "fclose");
    const int result = real_fclose()(f);
    if (failed)
        errno = ENOSPC;
    return failed ? EOF : result;
}

/* The mode is there only with flags that make a file. */
#define OPEN_CALL(name, params, args)                                                  \
    FIND(int, name, params)                                                            \
    EXPORT int name params                                                             \
    {                                                                                  \
        if (FAILS(FAULT_FILES, #name)) {                                               \
            errno = EMFILE;                                                            \
            return -1;                                                                 \
        }                                                                              \
        va_list rest;                                                                  \
        va_start(rest, flags);                                                         \
        const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;  \
        va_end(rest);                                                                  \
        return real_##name() args;                                                     \
    }

OPEN_CALL(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN_CALL(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
