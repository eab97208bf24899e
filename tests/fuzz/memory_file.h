/* SPDX-License-Identifier: Apache-2.0 */
/* A file without a disk: bytes under a path, for parsers that want one. */
#ifndef MEMORY_FILE_H
#define MEMORY_FILE_H

#include <stddef.h>

enum { MEMORY_PATH = 64 };

/* Makes it; path is where it can be opened as long as this process lives. */
int memory_file(char path[MEMORY_PATH]);

/* Its new content. */
void memory_file_set(int file, const void *data, size_t size);

#endif
