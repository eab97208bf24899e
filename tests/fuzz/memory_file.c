/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memfd_create */
#include "memory_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int memory_file(char path[MEMORY_PATH])
{
    const int file = memfd_create("fuzz", 0);
    if (file < 0)
        abort();
    snprintf(path, MEMORY_PATH, "/proc/%ld/fd/%d", (long)getpid(), file);
    return file;
}

void memory_file_set(int file, const void *data, size_t size)
{
    if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
        abort();
}
