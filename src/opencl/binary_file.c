/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled programs in files: magic, lengths, SHA-256, key, binary. */
#include "binary_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io.h"

enum {
    MAGIC_SIZE = 8,
    HEAD_SIZE = MAGIC_SIZE + 16 + SHA256_DIGEST_LENGTH, /* magic, two lengths, digest */
    MAX_KEY = 1 << 16,
};
#define MAX_BINARY ((size_t)256 << 20)
#define MAX_FOLDER ((uint64_t)512 << 20)
#define DAY 86400

static const char magic[MAGIC_SIZE] = { 'C', 'L', 'A', 'T', 'B', 'I', 'N', '1' };

bool cla_binary_is_built_in(void)
{
    return true;
}

void cla_sha256_text(const void *bytes, size_t size, char out[CLA_SHA256_TEXT])
{
    SHA256Data(bytes, size, out);
}

/* "FOLDER/<SHA-256 of the key>.bin"; false: the path is too long. */
static bool path_of(const char *folder, const char *key, const char *end, char *path, size_t size)
{
    char name[CLA_SHA256_TEXT];
    cla_sha256_text(key, strlen(key), name);
    return (size_t)snprintf(path, size, "%s/%s%s", folder, name, end) < size;
}

static void put_length(unsigned char *to, uint64_t n)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(n >> 8 * i);
}

static uint64_t get_length(const unsigned char *from)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n |= (uint64_t)from[i] << 8 * i;
    return n;
}

/* Of everything but the magic and itself. */
static void digest_of(const unsigned char *lengths, const unsigned char *content, size_t size,
                      uint8_t out[SHA256_DIGEST_LENGTH])
{
    SHA2_CTX sha;
    SHA256Init(&sha);
    SHA256Update(&sha, lengths, 16);
    SHA256Update(&sha, content, size);
    SHA256Final(out, &sha);
}

/* ---- reading ---- */

/* A whole file of this user, malloc'ed. read(), as a mapping would fault when the file shrinks. */
static unsigned char *read_all(const char *path, size_t *size)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    unsigned char *bytes = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid()
        && !(st.st_mode & (S_IWGRP | S_IWOTH)) && st.st_size >= HEAD_SIZE
        && (uint64_t)st.st_size <= MAX_BINARY + MAX_KEY + HEAD_SIZE)
        bytes = malloc((size_t)st.st_size);
    *size = 0;
    while (bytes && *size < (size_t)st.st_size) {
        const ssize_t n = read(fd, bytes + *size, (size_t)st.st_size - *size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        *size += (size_t)n;
    }
    /* A hit counts as a use, written down once a day. */
    if (bytes && time(NULL) - st.st_mtime > DAY)
        futimens(fd, NULL);
    close(fd);
    return bytes;
}

/* Is it a sound file of this key? */
static bool is_sound(const unsigned char *bytes, size_t size, const char *key)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    const size_t key_size = strlen(key);
    if (size < HEAD_SIZE || memcmp(bytes, magic, MAGIC_SIZE) != 0
        || get_length(bytes + MAGIC_SIZE) != key_size
        || get_length(bytes + MAGIC_SIZE + 8) != size - HEAD_SIZE - key_size
        || size - HEAD_SIZE <= key_size)
        return false;
    digest_of(bytes + MAGIC_SIZE, bytes + HEAD_SIZE, size - HEAD_SIZE, digest);
    return memcmp(digest, bytes + MAGIC_SIZE + 16, sizeof digest) == 0
        && memcmp(bytes + HEAD_SIZE, key, key_size) == 0;
}

bool cla_binary_read(const char *folder, const char *key, unsigned char **bytes, size_t *size)
{
    char path[4096];
    size_t whole;
    if (!path_of(folder, key, ".bin", path, sizeof path))
        return false;
    unsigned char *file = read_all(path, &whole);
    if (!file)
        return false;
    if (!is_sound(file, whole, key)) {
        free(file);
        unlink(path);
        return false;
    }
    *size = whole - HEAD_SIZE - strlen(key);
    memmove(file, file + whole - *size, *size);
    *bytes = file;
    return true;
}

void cla_binary_remove(const char *folder, const char *key)
{
    char path[4096];
    if (path_of(folder, key, ".bin", path, sizeof path))
        unlink(path);
}

/* ---- writing ---- */

static bool write_file(int fd, const char *key, const unsigned char *bytes, size_t size)
{
    unsigned char head[HEAD_SIZE];
    const size_t key_size = strlen(key);
    SHA2_CTX sha;
    memcpy(head, magic, MAGIC_SIZE);
    put_length(head + MAGIC_SIZE, key_size);
    put_length(head + MAGIC_SIZE + 8, size);
    SHA256Init(&sha);
    SHA256Update(&sha, head + MAGIC_SIZE, 16);
    SHA256Update(&sha, (const uint8_t *)key, key_size);
    SHA256Update(&sha, bytes, size);
    SHA256Final(head + MAGIC_SIZE + 16, &sha);
    return cla_write_all(fd, head, sizeof head) && cla_write_all(fd, key, key_size)
        && cla_write_all(fd, bytes, size) && fdatasync(fd) == 0;
}

static bool is_ours(const char *name)
{
    const size_t length = strlen(name);
    return length > 64 && strspn(name, "0123456789abcdef") == 64 && name[64] == '.';
}

/* Size of all files; the one that was not used for longest. */
static uint64_t look_through(DIR *dir, char *oldest, size_t room)
{
    uint64_t sum = 0;
    time_t age = 0;
    struct dirent *e;
    struct stat st;
    oldest[0] = '\0';
    rewinddir(dir);
    while ((e = readdir(dir)))
        if (is_ours(e->d_name) && fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            sum += (uint64_t)st.st_size;
            if (!oldest[0] || st.st_mtime < age) {
                age = st.st_mtime;
                snprintf(oldest, room, "%s", e->d_name);
            }
        }
    return sum;
}

static void make_room(const char *folder)
{
    char oldest[256];
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    while (look_through(dir, oldest, sizeof oldest) > MAX_FOLDER)
        if (unlinkat(dirfd(dir), oldest, 0))
            break;
    closedir(dir);
}

bool cla_binary_write(const char *folder, const char *key, const unsigned char *bytes,
                      size_t size)
{
    char path[4096], temp[4096], end[48];
    if (size == 0 || size > MAX_BINARY || strlen(key) > MAX_KEY)
        return false;
    snprintf(end, sizeof end, ".%ld.tmp", (long)getpid());
    if (!path_of(folder, key, ".bin", path, sizeof path)
        || !path_of(folder, key, end, temp, sizeof temp))
        return false;
    unlink(temp); /* of a dead process with this number */
    const int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool ok = write_file(fd, key, bytes, size);
    ok = close(fd) == 0 && ok && rename(temp, path) == 0;
    if (!ok)
        unlink(temp);
    else
        make_room(folder);
    return ok;
}
