/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* madvise */
#endif
#include "memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* With smaller pages, decoding from memory took a sixth more time. */
enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, FEWEST_HUGE_PAGES = 2 };

bool cla_memory_is_large(size_t bytes)
{
    return bytes >= (size_t)FEWEST_HUGE_PAGES * HUGE_PAGE;
}

void *cla_memory_alloc(size_t bytes)
{
    const bool large = cla_memory_is_large(bytes);
    const size_t alignment = large ? HUGE_PAGE : ALIGNMENT;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void *memory = rounded >= bytes ? aligned_alloc(alignment, rounded) : NULL;
#if defined(MADV_HUGEPAGE)
    if (memory && large)
        madvise(memory, rounded, MADV_HUGEPAGE); /* a wish */
#endif
    return memory;
}

size_t cla_memory_cache_bytes(void)
{
#if defined(_SC_LEVEL3_CACHE_SIZE) && defined(_SC_LEVEL2_CACHE_SIZE)
    const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE), l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
    const long bytes = l3 > l2 ? l3 : l2;
    return bytes > 0 ? (size_t)bytes : 0;
#else
    return 0;
#endif
}
