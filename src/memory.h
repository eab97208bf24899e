/* SPDX-License-Identifier: Apache-2.0 */
/* Host memory that is read at memory speed. */
#ifndef CLA_MEMORY_H
#define CLA_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Aligned to cache lines and the widest vectors; large memory is made of huge pages where the
 * system has them. Contents as of malloc(). NULL: out of memory. Free with free().
 */
void *cla_memory_alloc(size_t bytes);

/* Does memory of this size ask for huge pages? */
bool cla_memory_is_large(size_t bytes);

/* The last-level cache of the host; 0: unknown. */
size_t cla_memory_cache_bytes(void);

#endif
